"""The list of steps: tree, kind, name, what it says, tokens, cost, time."""

from __future__ import annotations

from collections import OrderedDict
from math import log10
from typing import TYPE_CHECKING, Any

from agent_stack._render.figures import duration, tokens
from agent_stack._render.lines import Line
from agent_stack._render.replay_rows import row_words
from agent_stack._render.words import GLYPHS
from agent_stack._tui._painted import Painted
from agent_stack._tui._scrollbar import draw_directly

if TYPE_CHECKING:
    from agent_debug_replay import Replay, StepRow
    from agent_stack._tui._shown import ShownRows
    from agent_stack._tui._view import RunView

__all__ = ["LARGE", "StepList", "size"]

#: Bytes of a record that are not read to preview a row.
LARGE = 1_000_000

_DEEPEST = 10  # levels that are indented
_NAME = 28
_DECADES = 5  # of the bar: 1 ms is nothing of it, 10 ms a cell, 100 s all
_KEPT = 2_000  # words of rows
_CLEARLY = 1.5  # times as many errors as usual: a mark where most parts of a list have some
_TRIES = 50  # errors that are not shown, after which a part of the list is taken to have none


class StepList(Painted):
    """The steps that are shown, by place. The application moves the cursor."""

    def __init__(self, replay: Replay, shown: ShownRows, **options: Any) -> None:
        super().__init__(**options)
        self._replay = replay
        self.shown = shown
        self.marks: dict[int, str] = {}
        self.noted: set[int] = set()
        self.parents: set[int] = set()
        self.fresh_from: int | None = None
        self.has_prices = False
        self._words: OrderedDict[int, list[tuple[str, str]]] = OrderedDict()
        self.count = len(shown)
        self._marked: tuple[tuple[object, ...], list[int]] = ((), [])
        draw_directly(self.vertical_scrollbar, self.error_cells)

    def show_run(self, view: RunView) -> None:
        """Show another run."""
        self._replay, self.shown, self.fresh_from = view.navigator.replay, view.shown, view.fresh_from
        self.marks, self.noted, self.parents = {}, set(), view.parents or set()
        self._marked = ((), [])
        self._words.clear()
        self.set_count(len(self.shown))

    def set_count(self, count: int, *, keep: bool = False) -> None:
        """There are *count* rows now; see `Painted.set_count`."""
        super().set_count(count, keep=keep)
        self.vertical_scrollbar.refresh()

    def error_cells(self, cells: int) -> list[int]:
        """Return in which of *cells* equal parts of the list there are steps that failed.

        Where that is most of them: in which there are clearly more than in others.
        """
        rows = self.shown.rows
        what = (cells, self._replay.version, len(rows), self.shown.is_filtered, len(self.shown.folded))
        if what != self._marked[0]:
            ends = [len(rows) * cell // max(cells, 1) for cell in range(cells + 1)]
            marks = [cell for cell in range(cells) if self._has_error(ends[cell], ends[cell + 1])]
            if len(marks) > cells // 2 and isinstance(rows, range):
                counts = [self._replay.errors_between(ends[cell], ends[cell + 1]) for cell in range(cells)]
                usual = sum(counts) / cells
                marks = [cell for cell in marks if counts[cell] > _CLEARLY * usual]
            self._marked = (what, marks)
        return self._marked[1]

    def _has_error(self, first: int, end: int) -> bool:
        """Whether a row shown from place *first* to before *end* failed."""
        rows = self.shown.rows
        if first >= end:
            return False
        row, last = rows[first], rows[end - 1]
        for _ in range(_TRIES):
            found = self._replay.error_between(row, last + 1)
            if found is None or self.shown.place_of(found) is not None:
                return found is not None
            row = found + 1
        return False

    def forget(self) -> None:
        """Read what rows say again: they have other numbers, or say something else."""
        self._words.clear()
        self.repaint_all()

    def forget_rows(self, rows: tuple[int, ...]) -> None:
        """Read again what these rows say."""
        for row in rows:
            self._words.pop(row, None)
        if rows:
            self.repaint_all()

    def paint(self, place: int, width: int) -> Line:
        """Return a step in one line."""
        row = self._replay.row(self.shown.row_at(place))
        figures = self._figures(row, width)
        line = self._gutter(row, is_here=place == self.cursor)
        line.add("│ " * min(row.depth, _DEEPEST), "guide")
        glyph, style = GLYPHS.get(row.type, ("◇", "note"))
        if row.has_children and row.row in self.shown.folded:
            glyph = "▸"
        if row.is_error:
            glyph, style = "✗", "error"
        elif row.is_in_flight:
            glyph, style = "◌", "warn"
        room = width - figures.width - 2
        line.add(glyph, style).add(" ")
        name = "error_bold" if row.is_error else style
        line.add(row.name or row.type or "?", name, max(min(_NAME, room - line.width), 4))
        if row.is_retry:
            line.add(" ↻", "warn")
        if row.step in self.parents:
            line.add(" ↳", "note")
        if row.row in self.noted:
            line.add(" ✎", "note")
        for text, piece_style in self._said(row):
            left = room - line.width
            if left > 5 and text:
                line.add("  ").add(text, piece_style, left - 2)
        return line.right(figures, width) if figures.width else line

    def _gutter(self, row: StepRow, *, is_here: bool) -> Line:
        mark = self.marks.get(row.row)
        if is_here:
            line = Line("▶", "note")
        elif mark:
            line = Line().add(mark, "warn_bold", 1)
        elif self.fresh_from is not None and row.row >= self.fresh_from:
            line = Line("+", "ok")
        else:
            line = Line(" ")
        # As wide as the last number, so that it does not jump.
        least = max(len(str(len(self._replay))), 2) + 1
        label = Line().add(row.label, "number", 12)
        return line.pad(max(1, 1 + least - label.width)).extend(label).add(" ")

    def _said(self, row: StepRow) -> list[tuple[str, str]]:
        said = self._words.get(row.row)
        if said is None:
            if row.size_bytes > LARGE:
                said = [(f"({size(row.size_bytes)}; o opens it)", "dim")]
            else:
                said = row_words(self._replay, row)
            self._words[row.row] = said
            if len(self._words) > _KEPT:
                self._words.popitem(last=False)
        return said

    def _figures(self, row: StepRow, width: int) -> Line:
        """Return tokens, cost, and time as a bar and a figure, as far as there is room."""
        line = Line()
        if width >= 44:
            shown = Line()
            if row.type == "llm_call" and not row.is_in_flight:
                shown.add(tokens(row.input_tokens)).add("→", "dim").add(tokens(row.output_tokens))
            line = shown
        if self.has_prices and width >= 66:
            cost = self._cost(row)
            line.pad(line.width + (9 - len(cost) if cost else 0)).add(cost, "dim")
        if width >= 56:
            line.add(" ").extend(_bar(row.duration_ms))
        time = "in flight" if row.is_in_flight else duration(row.duration_ms) if _is_timed(row) else ""
        return line.pad(line.width + 9 - len(time)).add(time, "warn" if row.is_in_flight else "")

    def _cost(self, row: StepRow) -> str:
        if row.type != "llm_call" or row.is_in_flight or row.size_bytes > LARGE:
            return ""
        usd = self._replay.cost_usd(row.row)
        if usd is None:
            return "$?"
        return f"${usd:.4f}" if usd < 10 else f"${usd:,.2f}"


def _is_timed(row: StepRow) -> bool:
    return row.duration_ms is not None or row.type != "event"


def _bar(ms: float | None) -> Line:
    cells = 0.0 if ms is None or ms <= 1 else min(log10(ms), _DECADES)
    whole = int(cells)
    text = "▄" * whole + ("▂" if cells - whole >= 0.5 and whole < _DECADES else "")
    style = "error" if cells >= 4.5 else "warn" if cells >= 4 else "dim"
    return Line().add(text, style).pad(_DECADES)


def size(number: int) -> str:
    """Return bytes as a person reads them."""
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= limit:
            return f"{number / limit:.1f} {unit}"
    return f"{number} bytes"
