"""Columns that fit the screen: they shrink to what still says something, then go, the least needed first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent_stack import _safe
from agent_stack._render.lines import Line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Cell", "Column", "render_table"]

Cell = tuple[str, str]  # text, style
_GAPS = (2, 1)  # cells between columns: the wider one if all of them fit as they are
_WIDEST = 200  # of a column nobody bounded


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        title: Its head.
        is_right: Numbers stand at the right.
        least: Cells it may shrink to. Default: it does not shrink.
        most: Cells it never exceeds.
        rank: Columns of the highest rank are left out first when the screen is too narrow; 0 never is.
    """

    title: str
    is_right: bool = False
    least: int | None = None
    most: int = _WIDEST
    rank: int = 0


def render_table(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int, indent: int = 2
) -> Iterator[list[Line]]:
    """Yield the lines of the head, then those of each row: one line each, in a list to add to."""
    cells = [
        [(_safe.fit(text, column.most), style) for column, (text, style) in zip(columns, row, strict=True)]
        for row in rows
    ]
    natural = _natural(columns, cells)
    gap = next((gap for gap in _GAPS if _total(natural, gap) <= width - indent), _GAPS[-1])
    sizes = _fitted(columns, natural, width - indent, gap)
    yield [_row([(column.title, "dim") for column in columns], columns, sizes, indent, gap)]
    for row in cells:
        yield [_row(row, columns, sizes, indent, gap)]


def _natural(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> list[int]:
    sizes = [len(column.title) for column in columns]
    for row in rows:
        for place, (text, _) in enumerate(row):
            size = len(text) if text.isascii() else _safe.width(text)
            if size > sizes[place]:
                sizes[place] = size
    return sizes


def _fitted(columns: Sequence[Column], sizes: list[int], width: int, gap: int) -> list[int]:
    """Return the width of each column, 0 for those left out."""
    for rank in range(max((column.rank for column in columns), default=0), -1, -1):
        fitted = _shrunk(columns, sizes, width, gap)
        if _total(fitted, gap) <= width or rank == 0:
            return fitted
        sizes = [0 if column.rank == rank else size for column, size in zip(columns, sizes, strict=True)]
    return sizes


def _shrunk(columns: Sequence[Column], sizes: list[int], width: int, gap: int) -> list[int]:
    sizes = list(sizes)
    spare = [
        size - (column.least if column.least is not None else size)
        for column, size in zip(columns, sizes, strict=True)
    ]
    while _total(sizes, gap) > width and max(spare, default=0) > 0:
        widest = spare.index(max(spare))
        sizes[widest] -= 1
        spare[widest] -= 1
    return sizes


def _total(sizes: list[int], gap: int) -> int:
    shown = [size for size in sizes if size]
    return sum(shown) + gap * (len(shown) - 1)


def _row(row: Sequence[Cell], columns: Sequence[Column], sizes: list[int], indent: int, gap: int) -> Line:
    line = Line()
    at = indent
    for (text, style), column, size in zip(row, columns, sizes, strict=True):
        if not size:
            continue
        fitted = _safe.fit(text, size)
        line.pad(at + size - _safe.width(fitted) if column.is_right else at)
        line.add(fitted, style)
        at += size + gap
    return line
