"""Which steps are in the list: a filter, folds; and a search among them."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from functools import partial
from typing import TYPE_CHECKING

from agent_debug_replay import Expression, ExpressionError
from agent_stack._render.figures import many
from agent_stack._tui._beside import Stopped
from agent_stack._tui._cursor import Cursor

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent_debug_replay import Replay

__all__ = ["Filtering"]


class Filtering(Cursor):
    """A cursor in a list of some of the steps."""

    def __init__(self, replay: Replay, on_loaded: Callable[[], None] | None = None) -> None:
        super().__init__(replay, on_loaded)
        self._found = ""  # the text looked for last

    def _set_filter(self, text: str) -> bool:
        """Show only rows where *text* holds; "" shows all. Return whether it was understood."""
        if not text:
            self.workers.cancel_group(self, "scan")
            self._show_all()
            return True
        try:
            Expression(text)
        except ExpressionError as error:
            self.tell(f"{error.why} (column {error.column + 1})", "error")
            self.prompt.cursor_position = min(error.column, len(self.prompt.value))
            return False
        self.view.filter = text
        self._refilter()
        return True

    def _show_all(self) -> None:
        self.view.filter = ""
        self.view.shown.show_all()
        self._shown_changed()
        self._follow_cursor()

    def _refilter(self) -> None:
        """Look at every row for whether it is shown."""
        rows = array("I")

        def words() -> str:
            # Only now, as most filters are done before it: nobody wants to see the list empty.
            self.view.shown.filter(rows)
            self._shown_changed()
            return f"filter: {len(rows):,} so far{self._at_step()}; esc stops"

        self.view.filtered_to = 0
        self.view.unfiltered.clear()
        self._start(partial(self._filter_rows, rows), words)

    async def _filter_rows(self, rows: array[int]) -> None:
        """Put what the filter lets through into *rows*, and show it."""
        total = len(self.replay)
        condition = Expression(self.view.filter)

        def filter_rows() -> None:
            holds = condition.condition(self.replay)
            for row in range(total):
                if holds(row):
                    rows.append(row)
                if not row & 1023:
                    self.view.beside.check(row)

        try:
            await self.view.beside.do(filter_rows)
        except Stopped:
            self._show_all()
            raise
        self.view.shown.filter(rows)
        self.view.filtered_to = total
        self._shown_changed()
        at = self.navigator.position
        place = self.view.shown.nearest(at) if at is not None else None
        if place is not None and self.view.shown.place_of(at or 0) is None:
            self.navigator.seek(self.view.shown.row_at(place))
        self._portion = 0
        self._follow_cursor()
        none = (
            "no step matches; esc shows all"
            if not rows
            else f"{many(len(rows), 'step')} of {total:,}; esc shows all"
        )
        self.tell(none, "" if rows else "warn")

    async def _filter_more(self) -> None:
        """Show what the filter lets through of what it was not asked about yet."""
        condition = Expression(self.view.filter)
        total = len(self.replay)
        looked_at = [*sorted(self.view.unfiltered), *range(self.view.filtered_to, total)]

        def filter_rows() -> list[bool]:
            holds = condition.condition(self.replay)
            verdicts = []
            for row in looked_at:
                self.view.beside.check(row)
                verdicts.append(holds(row))
            return verdicts

        try:
            verdicts = await self.view.beside.do(filter_rows)
        except Stopped:
            self._show_all()
            raise
        if not self.view.shown.is_filtered:  # another piece of work came before all was looked at
            self.view.shown.filter(array("I"))
        for row, is_shown in zip(looked_at, verdicts, strict=True):
            self.view.shown.put(row, is_shown=is_shown)
        self.view.filtered_to = total
        self.view.unfiltered.clear()
        self._shown_changed()
        self._stay_at_end()

    def _find(self, text: str, way: int) -> None:
        if not text:
            self.tell("There is nothing to look for yet: / asks for it.", "warn")
            return
        work = partial(self._find_row, text, way)
        self._start(work, lambda: f"looking for {text!r}{self._at_step()}; esc stops")

    async def _find_row(self, text: str, way: int) -> None:
        at = self.navigator.position
        if at is None:
            return
        if not text:
            self.tell("There is nothing to look for yet: / asks for it.", "warn")
            return
        self._found = text
        shown = self.view.shown.rows if self.view.shown.is_filtered else range(len(self.replay))
        place = bisect_left(shown, at)
        is_here = place < len(shown) and shown[place] == at
        rows = shown[place + is_here :] if way > 0 else shown[:place][::-1]

        def find_row() -> int | None:
            holds = self.replay.holds(text)
            return next((row for row in rows if holds(row)), None)

        found = await self.view.beside.do(find_row)
        if found is not None:
            self._show_moved(self.navigator.seek(found))
            return
        self.tell(f"There is no {'later' if way > 0 else 'earlier'} step that holds {text!r}.", "warn")

    def _fold(self) -> None:
        row = self.navigator.row
        if row is None or self.view.shown.is_filtered:
            self.tell("A filtered list has no folds; esc shows all steps.", "warn")
            return
        if not row.has_children and row.parent is not None:
            self.navigator.out()
            row = self.navigator.row
            assert row is not None
        if not row.has_children:
            self.tell("There is no step in this one.", "warn")
            return
        self.view.shown.fold(row.row)
        self._shown_changed()
        self._follow_cursor()

    def _fold_all(self) -> None:
        if self.view.shown.is_filtered:
            self.tell("A filtered list has no folds; esc shows all steps.", "warn")
            return
        if not self.view.shown.fold_all():
            self.tell("No step has any steps in it.", "warn")
            return
        row = self.navigator.row
        while row is not None and row.parent is not None and self.view.shown.place_of(row.row) is None:
            self.navigator.out()
            row = self.navigator.row
        self._shown_changed()
        self._follow_cursor()
