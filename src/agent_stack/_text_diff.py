"""Two texts beside each other: which lines went, came or stayed, and which words of a line changed.

Work is bounded: of texts too long or too different to be matched, everything between
what they have in common at both ends counts as changed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["DiffLine", "diff_lines", "similarity"]

_MOST = 1_000_000  # pairs of lines, or of words, that are compared
_CONTEXT = 2  # lines shown around what changed
_ALIKE = 0.35  # from here on a line that went and one that came are one line that changed
_WORD = re.compile(r"\w+|\s+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line of a comparison.

    Attributes:
        sign: "-" went, "+" came, " " is the same, "…" stands for `same` lines that are.
        spans: ``(text, is it what changed)``; joined, the line.
        same: How many lines a "…" stands for.
    """

    sign: str
    spans: tuple[tuple[str, bool], ...] = ()
    same: int = 0

    @property
    def text(self) -> str:
        """The line."""
        return "".join(text for text, _ in self.spans)


def diff_lines(before: Sequence[str], after: Sequence[str]) -> list[DiffLine]:
    """Return the comparison of two texts, line by line; what is the same only around what changed."""
    lines: list[DiffLine] = []
    for tag, i1, i2, j1, j2 in _opcodes(before, after):
        if tag == "equal":
            lines += [DiffLine(" ", ((line, False),)) for line in before[i1:i2]]
        else:
            lines += _changed(before[i1:i2], after[j1:j2])
    return _folded(lines)


def similarity(before: str, after: str, most: int = 4000) -> float:
    """Return how alike two texts are, from 0 to 1, by the words of their first *most* characters."""
    one, other = _WORD.findall(before[:most]), _WORD.findall(after[:most])
    if not one and not other:
        return 1.0
    return SequenceMatcher(None, one, other, autojunk=False).quick_ratio()


def _changed(before: Sequence[str], after: Sequence[str]) -> list[DiffLine]:
    """Lines that gave way to others; side by side those that resemble each other."""
    if len(before) != len(after) and len(before) * len(after) > 1:
        return [DiffLine("-", ((line, True),)) for line in before] + [
            DiffLine("+", ((line, True),)) for line in after
        ]
    went: list[DiffLine] = []
    came: list[DiffLine] = []
    for old, new in zip(before, after, strict=False):
        if similarity(old, new) < _ALIKE:
            went.append(DiffLine("-", ((old, True),)))
            came.append(DiffLine("+", ((new, True),)))
            continue
        removed, added = _words(old, new)
        went.append(DiffLine("-", removed))
        came.append(DiffLine("+", added))
    pairs = len(went)
    went += [DiffLine("-", ((line, True),)) for line in before[pairs:]]
    came += [DiffLine("+", ((line, True),)) for line in after[pairs:]]
    return went + came


def _words(before: str, after: str) -> tuple[Any, Any]:
    old, new = _WORD.findall(before), _WORD.findall(after)
    removed: list[tuple[str, bool]] = []
    added: list[tuple[str, bool]] = []
    for tag, i1, i2, j1, j2 in _opcodes(old, new):
        _add(removed, "".join(old[i1:i2]), tag != "equal")
        _add(added, "".join(new[j1:j2]), tag != "equal")
    return tuple(removed), tuple(added)


def _add(spans: list[tuple[str, bool]], text: str, is_changed: bool) -> None:
    if text and spans and spans[-1][1] == is_changed:
        spans[-1] = (spans[-1][0] + text, is_changed)
    elif text:
        spans.append((text, is_changed))


def _opcodes(before: Sequence[str], after: Sequence[str]) -> list[tuple[str, int, int, int, int]]:
    """As `SequenceMatcher.get_opcodes`, in bounded time."""
    head = 0
    for one, other in zip(before, after, strict=False):
        if one != other:
            break
        head += 1
    tail = 0
    most = min(len(before), len(after)) - head
    while tail < most and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    i_end, j_end = len(before) - tail, len(after) - tail
    found: list[tuple[str, int, int, int, int]] = [("equal", 0, head, 0, head)] if head else []
    if (i_end - head) * (j_end - head) > _MOST:
        found.append(("replace", head, i_end, head, j_end))
    else:
        matcher = SequenceMatcher(None, before[head:i_end], after[head:j_end], autojunk=False)
        found += [
            (tag, i1 + head, i2 + head, j1 + head, j2 + head) for tag, i1, i2, j1, j2 in matcher.get_opcodes()
        ]
    if tail:
        found.append(("equal", i_end, len(before), j_end, len(after)))
    return found


def _folded(lines: list[DiffLine]) -> list[DiffLine]:
    """Leave out lines that are the same and far from what changed."""
    near: set[int] = set()
    for place, line in enumerate(lines):
        if line.sign != " ":
            near.update(range(place - _CONTEXT, place + _CONTEXT + 1))
    folded: list[DiffLine] = []
    for place, line in enumerate(lines):
        if place in near:
            folded.append(line)
        elif folded and folded[-1].sign == "…":
            folded[-1] = DiffLine("…", same=folded[-1].same + 1)
        else:
            folded.append(DiffLine("…", same=1))
    # A fold of one line takes as much room as the line.
    return [
        DiffLine(" ", ((lines[_place(folded, number)].text, False),)) if line.same == 1 else line
        for number, line in enumerate(folded)
    ]


def _place(folded: list[DiffLine], number: int) -> int:
    return sum(line.same or 1 for line in folded[:number])
