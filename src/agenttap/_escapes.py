r"""Undoing JSON's escapes while remembering where each character came from.

An encoder may write any character as ``\u0041``, so a secret may hide from a search through the bytes. JSON
in JSON doubles the backslashes; that makes no difference here.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["has_escaped", "outside_escape", "plain_and_offsets"]

# A printable ASCII character written as an escape; the quote and the backslash keep theirs.
_LONGEST = 12
_DEEPEST = 4
_ESCAPED = re.compile(r"(\\+)u00(?!22|5[cC])([2-7][0-9a-fA-F])")


def has_escaped(text: str, start: int = 0, stop: int | None = None) -> bool:
    """Whether there is something to undo in this stretch of *text*."""
    place = text.find("\\u00", start, stop)
    while place >= 0:
        if _ESCAPED.match(text, place):
            return True
        place = text.find("\\u00", place + 4, stop)
    return False


def outside_escape(text: str, place: int, step: int) -> int:
    """Return a place near *place*, in the direction of *step*, that lies within no escape."""
    while 0 < place < len(text) and "\\" in text[max(0, place - _LONGEST) : place]:
        place += step
    return place


def plain_and_offsets(text: str) -> tuple[str, Callable[[int], int]]:
    """Return *text* with its needless escapes undone, and a function from a place in that to one in *text*.

    The place of a character is where its escape begins; the place behind it is where the escape ends.
    """
    plain, original = _undone(text)
    for _ in range(_DEEPEST):
        if not has_escaped(plain):
            break
        # An escape that was itself escaped, in part.
        plain, inner = _undone(plain)
        original = _composed(original, inner)
    return plain, original


def _composed(outer: Callable[[int], int], inner: Callable[[int], int]) -> Callable[[int], int]:
    return lambda place: outer(inner(place))


def _undone(text: str) -> tuple[str, Callable[[int], int]]:
    parts: list[str] = []
    #: Places in the plain text from which on it lies `shifts` behind the original.
    places, shifts = [0], [0]
    taken = length = 0
    for escape in _ESCAPED.finditer(text):
        end = escape.end()
        slashes = len(escape[1])
        # In JSON in JSON a backslash is written as two, four, ...; those left over stand for backslashes.
        begin = escape.end(1) - (slashes & -slashes)
        parts += text[taken:begin], chr(int(escape[2], 16))
        length += begin - taken + 1
        taken = end
        places.append(length)
        shifts.append(end - length)
    parts.append(text[taken:])

    def original(place: int) -> int:
        return place + shifts[bisect_right(places, place) - 1]

    return "".join(parts), original
