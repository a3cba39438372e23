"""Rows of any query as a table, or one value a line where the columns do not fit.

No column is left out: what was asked for is shown. Text shrinks to some cells, numbers
never; where even that is wider than the screen, each row becomes a block of its own.
"""

from __future__ import annotations

from itertools import chain
from math import isfinite
from typing import TYPE_CHECKING, Any

from agent_stack import _safe
from agent_stack._json import json_line
from agent_stack._render.lines import Line
from agent_stack._render.table import Cell, Column, render_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["plain", "render_grid"]

_LEAST = 10  # cells of text that still say something
_MOST = 400  # characters of a cell that are looked at; more than any screen is wide
_LABEL = 24


def render_grid(columns: Sequence[str], rows: Sequence[Sequence[Any]], width: int) -> Iterator[Line]:
    """Yield *rows* for a screen of *width* cells."""
    cells = [[_cell(value) for value in row] for row in rows]
    numeric = [_is_numeric(rows, place) for place in range(len(columns))]
    drawn = [
        Column(
            name, is_right=is_number, least=None if is_number else min(_LEAST, _widest(name, cells, place))
        )
        for place, (name, is_number) in enumerate(zip(columns, numeric, strict=True))
    ]
    if _least_total(drawn, cells) <= width:
        yield from chain.from_iterable(render_table(drawn, cells, width, indent=0))
    else:
        yield from _blocks(columns, cells, width)


def plain(value: Any) -> str:
    """Return *value* as text without a loss: for CSV and Markdown."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict | tuple):
        return json_line(_known(value))
    return str(value)


def _known(value: Any) -> Any:
    """Return *value* with what JSON has no form for as text."""
    if isinstance(value, dict):
        return {str(key): _known(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_known(item) for item in value]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def _cell(value: Any) -> Cell:
    if value is None:
        return "null", "dim"
    if isinstance(value, float):
        return _float(value), ""
    return " ".join(plain(value)[:_MOST].split()), ""


def _float(value: float) -> str:
    """Three decimals at most; more figures where the number is small."""
    if not isfinite(value):
        return str(value)
    if value and (abs(value) < 0.001 or abs(value) >= 1e15):
        return f"{value:.4g}"
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _is_numeric(rows: Sequence[Sequence[Any]], place: int) -> bool:
    met = [row[place] for row in rows if row[place] is not None]
    return bool(met) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in met)


def _widest(name: str, cells: Sequence[Sequence[Cell]], place: int) -> int:
    return max(len(name), *(len(row[place][0]) for row in cells)) if cells else len(name)


def _least_total(columns: Sequence[Column], cells: Sequence[Sequence[Cell]]) -> int:
    least = [
        column.least if column.least is not None else _widest(column.title, cells, place)
        for place, column in enumerate(columns)
    ]
    return sum(least) + len(least) - 1


def _blocks(columns: Sequence[str], cells: Sequence[Sequence[Cell]], width: int) -> Iterator[Line]:
    label = min(_LABEL, max(map(len, columns), default=0))
    for number, row in enumerate(cells, 1):
        yield Line("── ", "guide").add(f"row {number:,}", "dim").add(" ──", "guide")
        for name, (text, style) in zip(columns, row, strict=True):
            line = Line("  ").add(_safe.fit(name, label), "dim").pad(label + 4)
            yield line.add(text, style, max(_LEAST, width - line.width))
