"""One line for eyes: pieces of text, each with the name of a style.

Text goes through `_safe` on its way into a line, all of it and always, so that no
renderer can let a log's control sequences through.
"""

from __future__ import annotations

from typing import Self

from agent_stack import _safe

__all__ = ["Line"]


class Line:
    """Pieces of safe text; style names are those of `_screen.STYLES`, "" for none.

    Attributes:
        pieces: ``(text, style)`` in order.
        width: Cells they take together.
    """

    __slots__ = ("pieces", "width")

    def __init__(self, text: str = "", style: str = "") -> None:
        self.pieces: list[tuple[str, str]] = []
        self.width = 0
        if text:
            self.add(text, style)

    def add(self, text: str, style: str = "", cells: int | None = None) -> Self:
        """Append *text*, made safe, in at most *cells* cells (default: as many as it takes)."""
        safe = _safe.line(text) if cells is None else _safe.fit(text, cells)
        if safe:
            self.pieces.append((safe, style))
            self.width += _safe.width(safe)
        return self

    def extend(self, other: Line) -> Self:
        """Append the pieces of *other*."""
        self.pieces.extend(other.pieces)
        self.width += other.width
        return self

    def pad(self, cells: int) -> Self:
        """Fill up with spaces to *cells* cells."""
        if self.width < cells:
            self.pieces.append((" " * (cells - self.width), ""))
            self.width = cells
        return self

    def right(self, other: Line, cells: int) -> Self:
        """Put *other* at the right margin of a line of *cells* cells, one space away at the least."""
        return self.pad(max(cells - other.width, self.width + 1)).extend(other)

    def __str__(self) -> str:
        return "".join(text for text, _ in self.pieces).rstrip()

    def __repr__(self) -> str:
        return f"Line({str(self)!r})"
