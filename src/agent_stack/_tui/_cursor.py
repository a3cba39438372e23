"""The cursor: moves through the list, and the pane filled with what stands there or with a result."""

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from agent_stack._tui._beside import Stopped
from agent_stack._tui._details import TABS, detail_lines
from agent_stack._tui._growth import with_largest
from agent_stack._tui._head import sums_line
from agent_stack._tui._text import PORTIONS
from agent_stack._tui._work import Working

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from agent_debug_replay import Moved, Replay
    from agent_stack._render.lines import Line
    from agent_stack._tui._pane import TabBar

__all__ = ["IDLE_S", "QUIET_S", "SLICE_S", "Cursor"]

IDLE_S = 0.15  # without a key before sums are made
QUIET_S = 0.05  # without a key before a pane is filled that took long the last time
SLICE_S = 0.015  # of work done for want of keys, between which they are answered


class Cursor(Working):
    """Work that has a cursor.

    Attributes:
        tab: Which tab the pane shows, from 0.
    """

    def __init__(self, replay: Replay, on_loaded: Callable[[], None] | None = None) -> None:
        super().__init__(replay, on_loaded)
        self.tab = 0
        self._portion = 0
        self._result = ""  # the title of what the pane shows in the place of a tab
        self._is_stale = False  # the pane
        self._filling_s = 0.0
        self._idle = 0.0  # until when keys are waited for
        self._is_tidy = False  # nothing was done since garbage was collected

    def _step(self, rows: int) -> None:
        moved = self._moved_list()
        if not moved.has_cursor or (moved is self.pane and not self.pane.has_targets):
            moved.move(rows)
            return
        if moved.cursor is None:
            return
        place = min(max(moved.cursor + rows, 0), moved.count - 1)
        if moved is not self.steps:
            moved.put_cursor(place)
        elif place != moved.cursor:
            self._show_moved(self.navigator.seek(self.view.shown.row_at(place)))
        elif not self.view.is_read and place == moved.count - 1:
            self.tell(f"The log is still being read: {self.replay.progress:.0%}; G goes to its end.")
        else:
            is_last = place == moved.count - 1
            hidden = " shown" if self.view.shown.is_filtered else ""
            self.tell(f"This is the {'last' if is_last else 'first'} step{hidden}.")

    def _to_end(self, is_last: bool) -> None:
        moved = self._moved_list()
        self._step(moved.count if is_last else -moved.count)
        if moved is self.steps and is_last and (self.view.is_watched or not self.view.is_read):
            self._follow()

    def _follow(self) -> None:
        """Keep the cursor at the end of what there is."""
        self.view.is_following = True
        self.view.fresh = 0
        self.view.fresh_from = self.steps.fresh_from = None
        self.tell("following the end; any move to another step stops it", "dim")
        self._show_head()

    def _stay_at_end(self) -> None:
        """Follow the end of what is shown."""
        if self.view.is_following and len(self.view.shown):
            row = self.view.shown.row_at(len(self.view.shown) - 1)
            if row != self.navigator.position:
                self.navigator.seek(row)
                self._follow_cursor()

    def _show_moved(self, moved: Moved) -> None:
        self._portion = 0
        if moved.row is not None and moved.row < len(self.replay) - 1:
            self.view.is_following = False
        self._result = ""
        parts = [f"■ {hit.kind} {hit.stop}: {hit.detail or hit.text}" for hit in moved.hits]
        parts += [moved.message] if moved.message else []
        note = self.navigator.note_at(moved.row) if moved.row is not None else None
        parts += [f"✎ {note}"] if note is not None else []
        parts += [f"{text} = {self._shown_value(text)}" for text in map(str, self.navigator.displays)]
        if moved.row is not None and self.view.shown.place_of(moved.row) is None:
            if self.view.shown.is_filtered:
                parts.append(f"Step {self.replay.row(moved.row).label} is not in the filter; esc shows all.")
            elif self.view.shown.unfold_to(moved.row):
                self._shown_changed()
        style = "warn" if moved.hits or moved.end == "nowhere" else "dim"
        self.tell("   ".join(parts), style)
        self._follow_cursor()

    def _shown_value(self, expression: str) -> str:
        from agent_debug_replay import MISSING
        from agent_stack._render.replay_values import value_cell

        value = self.navigator.value(expression)
        return value_cell(expression, value, is_missing=value is MISSING)[:200]

    def _follow_cursor(self) -> None:
        """Put the list's cursor where the navigator's is, and fill the pane once keys have been drawn."""
        at = self.navigator.position
        self.steps.put_cursor(None if at is None else self.view.shown.nearest(at))
        self._show_head()
        self.view.summed = None
        self._idle = perf_counter() + IDLE_S
        if not self._is_stale:
            self._is_stale = True
            if self._filling_s < SLICE_S:
                self.call_after_refresh(self._refill)
            # Else the pane waits for a moment without keys, so that the list keeps up with them.

    def _shown_changed(self, *, keep: bool = False) -> None:
        self.steps.set_count(len(self.view.shown), keep=keep)
        self._show_head()

    # -- the pane -------------------------------------------------------------------

    def _refill(self) -> None:
        """Fill the pane with the step at the cursor."""
        self._is_stale = False
        if self._result:
            return
        begin = perf_counter()
        self.tabs.show(self.tab)
        lines = detail_lines(self.navigator, self.tab, max(self.pane.cells, 20), self._portion)
        self.pane.show(lines, keep=self._portion > 0)
        self._filling_s = perf_counter() - begin

    def _show_lines(
        self, title: str, lines: Iterable[Line], targets: Mapping[int, int | str] | None = None
    ) -> None:
        """Show *lines* in the pane in the place of a tab."""
        from collections.abc import Sequence

        self._result = title
        self.tabs.show(self.tab, title)
        self.pane.show(lines if isinstance(lines, Sequence) else list(lines), targets)
        if self.pane.has_targets:
            self._focus_pane()
            self.tell(f"{title}: enter goes to the step, esc closes", "dim")

    def _open_tab(self, tab: int) -> None:
        self.tab, self._portion, self._result = tab, 0, ""
        self._refill()

    def _open(self) -> None:
        if self._result:
            return
        if self._portion + 1 < len(PORTIONS):
            self._portion += 1
        self._refill()
        self._focus_pane()

    def on_tab_bar_chosen(self, message: TabBar.Chosen) -> None:
        """Open the tab that was clicked."""
        self._open_tab(message.tab)

    # -- the growth of the context --------------------------------------------------

    def _toggle_growth(self) -> None:
        self._left.toggle_class("-growth")
        if self._is_growth:
            self._start(self._load_growth, self._words_of("looking at every model call"))
        self._focus_list()

    async def _load_growth(self) -> None:
        replay = self.replay
        points, largest = await self.view.beside.do(lambda: with_largest(replay.growth()))
        self._spare_loaded()
        self.growth.load(points, largest, self.navigator.position)
        self.tell("enter goes to the call, v closes" if points else "No model was called.", "dim")

    # -- sums -----------------------------------------------------------------------

    async def _sum_up(self) -> None:
        """Show the sums so far at the margin."""
        view, at = self.view, self.navigator.position
        if at is None:
            return
        try:
            totals = await view.beside.do(partial(self.replay.totals, at))
        except Stopped:
            if view.summed == at:
                view.summed = None
            return
        if view is self.view:
            self.bars["message"].show_right(sums_line(totals))


assert len(TABS) == 7  # keys 1 to 7
