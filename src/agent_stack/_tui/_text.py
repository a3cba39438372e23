"""Long texts laid out for a pane: safe, wrapped, and never more of them than was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent_stack import _safe
from agent_stack._json import pretty_json
from agent_stack._render.lines import Line

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PORTIONS", "Budget", "lay_out", "lay_out_value"]

#: Characters of one pane: at first, and each time more is asked for. The last is more than a line of a log
#: may hold.
PORTIONS = (16_000, 400_000, 4_000_000, 80_000_000)


class Budget:
    """How many characters a pane may still lay out.

    Attributes:
        left: Characters.
        left_out: Characters that were not laid out for want of it.
    """

    def __init__(self, characters: int) -> None:
        self.left = characters
        self.left_out = 0

    def take(self, text: str) -> str:
        """Return as much of *text* as is left."""
        taken = text[: self.left]
        self.left -= len(taken)
        self.left_out += len(text) - len(taken)
        return taken


def lay_out(text: str, width: int, budget: Budget, *, indent: int = 0, style: str = "") -> Iterator[Line]:
    """Yield *text* in lines of *width* cells, broken at spaces where there are some."""
    room = max(width - indent, 8)
    for logical in budget.take(text).replace("\r\n", "\n").expandtabs(4).split("\n"):
        for piece in _broken(_safe.line(logical), room):
            yield Line(" " * indent).add(piece, style)


def lay_out_value(value: Any, width: int, budget: Budget, *, indent: int = 0) -> Iterator[Line]:
    """Yield any value of JSON: text as it is, an object key by key, anything else as indented JSON."""
    if isinstance(value, str):
        yield from lay_out(value, width, budget, indent=indent)
    elif isinstance(value, dict) and value:
        for key, item in value.items():
            if budget.left <= 0:
                budget.left_out += _length(item)
                continue
            yield from _entry(key, item, width, budget, indent)
    else:
        yield from lay_out(_json(value, budget.left), width, budget, indent=indent)


def _entry(key: str, item: Any, width: int, budget: Budget, indent: int) -> Iterator[Line]:
    head = Line(" " * indent).add(budget.take(key[:200]), "note", max(width - indent - 4, 8)).add(": ", "dim")
    text = item if isinstance(item, str) else _json(item, budget.left)
    if "\n" not in text[:width] and len(text) <= width - head.width:
        yield head.add(budget.take(text))
        return
    yield head
    yield from lay_out(text, width, budget, indent=indent + 2)


def _json(value: Any, most: int) -> str:
    if isinstance(value, list) and len(value) > most:
        # Items take two characters at the least: laying out all of them would be for nothing.
        value = value[: most + 1]
    return pretty_json(value)


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str) else 1


def _broken(text: str, room: int) -> Iterator[str]:
    """Yield *text*, which is safe, in pieces of at most *room* cells."""
    if len(text) <= room and _safe.width(text) <= room:
        yield text
        return
    start = 0
    while start < len(text):
        end = min(start + room, len(text))
        piece = text[start:end]
        while _safe.width(piece) > room:  # wide characters
            end -= max((_safe.width(piece) - room) // 2, 1)
            piece = text[start:end]
        if end < len(text):
            space = piece.rfind(" ", len(piece) // 2)
            if space > 0:
                piece, end = piece[:space], start + space + 1
        yield piece
        start = end
