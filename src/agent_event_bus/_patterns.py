"""Which topics a pattern means.

    topic    := segment ("." segment)*       "step.llm_call"
    pattern  := piece ("." piece)*           "step.*", "**.error"
    piece    := segment | "*" | "**"

``*`` stands for exactly one segment, ``**`` for any number of them, none included:
``step.**`` means ``step``, ``step.llm_call`` and ``step.tool_call.error``. Everything else
stands for itself, upper and lower case apart.
"""

from __future__ import annotations

from .errors import InvalidPatternError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["matches", "parse_pattern"]


def parse_pattern(pattern: str) -> tuple[str, ...]:
    """Return the pieces of *pattern*.

    Raises:
        InvalidPatternError: It is no string, a piece is empty, or ``*`` stands beside other characters.
    """
    if not isinstance(pattern, str):
        raise InvalidPatternError(pattern, "is not a string")
    pieces = tuple(pattern.split("."))
    for piece in pieces:
        if not piece:
            raise InvalidPatternError(pattern, "has an empty segment")
        if "*" in piece and piece not in ("*", "**"):
            raise InvalidPatternError(pattern, "a wildcard stands for whole segments")
    return pieces


def matches(pieces: Sequence[str], segments: Sequence[str]) -> bool:
    """Whether the pattern of *pieces* means the topic of *segments*.

    Goes back to the last ``**`` only, so the time is bounded by the product of the two lengths.
    """
    piece = segment = 0
    star, retry = -1, 0
    while segment < len(segments):
        if piece < len(pieces) and pieces[piece] == "**":
            star, retry = piece, segment
            piece += 1
        elif piece < len(pieces) and pieces[piece] in ("*", segments[segment]):
            piece += 1
            segment += 1
        elif star >= 0:
            retry += 1
            piece, segment = star + 1, retry
        else:
            return False
    return all(rest == "**" for rest in pieces[piece:])
