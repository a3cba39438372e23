"""What commands came to, as lines for a pane, some of which lead to a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, overload

from agent_stack import _safe
from agent_stack._render.figures import many
from agent_stack._render.lines import Line
from agent_stack._render.replay_outcomes import render_outcome
from agent_stack._render.replay_values import value_cell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent_debug_replay import Navigator, Outcome, Tabulated

__all__ = ["Result", "result_of"]

_COLUMN = (6, 48)  # cells of one, at the least and the most
_LOOKED_AT = 200  # rows by which columns are sized


class Result(NamedTuple):
    """Lines, and the row each of some leads to, or the commands."""

    title: str
    lines: Sequence[Line]
    targets: Mapping[int, int | str]


def result_of(navigator: Navigator, outcome: Outcome, width: int) -> Result:
    """Return *outcome* laid out in *width* cells."""
    import agent_debug_replay as replay

    title = type(outcome).__name__
    targets: dict[int, int | str] = {}
    if isinstance(outcome, replay.Tabulated):
        table = _Table(outcome, width)
        return Result(many(len(outcome.rows) + outcome.left_out, "hit"), table, _Leads(outcome))
    lines = list(render_outcome(navigator, outcome, width))
    if isinstance(outcome, replay.Listing | replay.Where):
        targets = {place: row.row for place, row in enumerate(outcome.rows)}
        if isinstance(outcome, replay.Where) and outcome.rows:
            here, inside = outcome.rows[-1].key, len(outcome.rows)
            for place in range(len(outcome.children)):
                targets[inside + place] = f"goto {here}; in {place + 1}"
    elif isinstance(outcome, replay.Marks):
        targets = {2 * place + 1: row.row for place, row in enumerate(outcome.marks.values())}
    elif isinstance(outcome, replay.Notes):
        targets = {place: outcome.notes[place // 2][0].row for place in range(2 * len(outcome.notes))}
    elif isinstance(outcome, replay.StateShown):
        title = "State"
    elif isinstance(outcome, replay.Changes):
        title = "Difference"
    return Result(title, lines, targets)


class _Leads(Mapping[int, int]):
    """The row each line of a table leads to, by its place below the heads."""

    def __init__(self, table: Tabulated) -> None:
        self._rows = table.rows

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[int]:
        return iter(range(1, len(self._rows) + 1))

    def __getitem__(self, place: int) -> int:
        if not 1 <= place <= len(self._rows):
            raise KeyError(place)
        return self._rows[place - 1][0].row


class _Table(Sequence[Line]):
    """A table laid out row by row as rows come into sight."""

    def __init__(self, table: Tabulated, width: int) -> None:
        self._table = table
        self._widths = [7, 18]
        rows = table.rows[:_LOOKED_AT]
        for column, name in enumerate(table.columns):
            longest = max((len(self._cell(place, column)) for place in range(len(rows))), default=0)
            self._widths.append(min(max(longest, len(name), _COLUMN[0]), _COLUMN[1]))
        if table.columns:
            self._widths[-1] = max(self._widths[-1], width - sum(self._widths[:-1]) - 2 * len(self._widths))

    def __len__(self) -> int:
        return len(self._table.rows) + 1

    @overload
    def __getitem__(self, place: int) -> Line: ...
    @overload
    def __getitem__(self, place: slice) -> list[Line]: ...
    def __getitem__(self, place: int | slice) -> Line | list[Line]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        if place == 0:
            if not self._table.rows:
                return Line("No step matches.", "dim")
            return self._row(["step", "name", *self._table.columns], ["dim"] * len(self._widths))
        row, _ = self._table.rows[place - 1]
        cells = [self._cell(place - 1, column) for column in range(len(self._table.columns))]
        styles = ["number", "error" if row.is_error else "", *([""] * len(cells))]
        return self._row([row.label, row.name or "?", *cells], styles)

    def _row(self, texts: list[str], styles: list[str]) -> Line:
        line = Line()
        at = 0
        for text, style, cells in zip(texts, styles, self._widths, strict=True):
            line.pad(at).add(text, style, cells)
            at += cells + 2
        return line

    def _cell(self, place: int, column: int) -> str:
        from agent_debug_replay import MISSING

        value = self._table.rows[place][1][column]
        return _safe.fit(
            value_cell(self._table.columns[column], value, is_missing=value is MISSING), 4 * _COLUMN[1]
        )
