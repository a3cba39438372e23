"""A run that goes on, or whose log is still being read: what it gains is shown as it comes."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING

from agent_stack._tui._cursor import IDLE_S, QUIET_S, SLICE_S
from agent_stack._tui._filtering import Filtering
from agent_stack._tui._garbage import tidy
from agent_step_log.errors import StepLogError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent_debug_replay import Change, Replay

__all__ = ["Growing"]

_LIVE_S = 0.25  # between looks at a log that is still written
_LOOK_S = 0.05  # between looks at what waits for a moment without keys
_READING_S = 0.15  # between looks at how far reading has come
_CHANGES = {
    "rotated": "The log was rotated; reading on in the new file.",
    "shrunk": "The log got shorter; it was read again.",
    "replaced": "Another log is in the place of this one; it was read.",
    "gone": "The log is not there any more; what was read stays.",
}


class Growing(Filtering):
    """A list that grows with the run.

    Args:
        replay: The run to begin with.
        on_loaded: Called when more has been loaded that stays as long as the screen. Default: nothing is.
    """

    def __init__(self, replay: Replay, on_loaded: Callable[[], None] | None = None) -> None:
        super().__init__(replay, on_loaded)
        self._is_priced = False
        self._looked = 0.0  # when it was looked how far reading has come

    def look_after_run(self) -> None:
        """Begin to look at what comes."""
        self._spare_loaded()
        self.set_interval(_LOOK_S, self._look_after)
        self.set_interval(_LIVE_S, self._look_again)

    def _look_after(self) -> None:
        """Say how far things have come, and do what waited for a moment without keys."""
        now = perf_counter()
        if now > self._looked + _READING_S:
            self._looked = now
            if self._doing is not None and now > self._begun + IDLE_S:
                self.tell(self._doing(), "dim")
            elif self._doing is None and not self.view.is_read:
                self._look_again()
        if self._doing is None and self.view.filter and self.view.has_unfiltered:
            self._start(self._filter_more, lambda: f"filter: more steps{self._at_step()}; esc shows all")
        if self._is_stale and now > self._idle - IDLE_S + QUIET_S:
            self._refill()
        if now < self._idle or self._doing is not None or not self.view.is_read:
            return
        if self._is_growth:
            until = perf_counter() + SLICE_S
            while perf_counter() < until and self.growth.measure_next():
                pass
        self._idle_work()

    def _idle_work(self) -> bool:
        """Begin one piece of what is done for want of keys; return whether there was any."""
        if self.view.summed is None:
            self.view.summed = self.navigator.position
            self.run_worker(self._sum_up(), group="sums", exclusive=True)
        elif not self._is_priced:
            self._is_priced = True
            self.run_worker(self._load_prices(), group="prices")
        elif not self._is_tidy:
            self._is_tidy = True
            tidy()
        else:
            return False
        return True

    async def _load_prices(self) -> None:
        """Show what calls cost, once the list of prices has been read beside."""
        if await asyncio.to_thread(_has_prices):
            self.steps.has_prices = True
            self.steps.repaint_all()
        self._spare_loaded()

    def _look_again(self) -> None:
        """Take in what the run has gained; not while somebody looks at it beside."""
        if (
            self._doing is not None
            or self.view.beside.is_busy
            or (self.view.is_read and not self.view.is_watched)
        ):
            return
        before, at = len(self.replay), self.navigator.position
        was_read = self.view.is_read
        try:
            change = self.navigator.refresh()
        except (StepLogError, OSError) as error:
            self.view.is_read, self.view.is_watched, self.view.is_following = True, False, False
            self.tell(f"The log cannot be read{' any more' if was_read else ''}: {error}", "error")
            self._show_head()
            return
        if change.added or change.changed or change.is_moved:
            if was_read and change.added and not self.view.is_following:
                if not self.view.fresh:
                    self.view.fresh_from = self.steps.fresh_from = before
                self.view.fresh += change.added
            self._take_in(change, before, is_first=at is None)
        words = self._change_words(change)
        if not was_read and self.replay.is_complete:
            self.view.is_read = True
            self.view.is_watched = self.replay.status == "running"
            self._stay_at_end()  # it was asked for while the log was read
            self.view.is_following &= self.view.is_watched
        if self.view.is_watched and self.replay.status != "running":
            self.view.is_watched = self.view.is_following = False
            words += f" The run has ended: {self.replay.status}."
        if words:
            self.tell(words.strip(), "warn" if change.kind in _CHANGES else "note")
        self._show_head()

    def _take_in(self, change: Change, before: int, *, is_first: bool) -> None:
        """Show what has come."""
        self._is_tidy = False
        self.steps.forget_rows(change.changed)
        if change.is_moved:
            self.view.shown.folded.clear()
            self.steps.forget()
        if self.view.filter and change.is_moved:
            self._refilter()
        elif self.view.filter:
            self.view.unfiltered.update(change.changed)
        elif change.is_moved:
            self.view.shown.show_all()
        else:
            self.view.shown.grow(before)
        self._show_marks()
        is_wider = len(str(before)) != len(str(len(self.replay)))
        self._shown_changed(keep=not change.is_moved and not is_wider)
        at = self.navigator.position
        if is_first or change.is_moved or at in change.changed:
            self._follow_cursor()
        self._stay_at_end()

    def _change_words(self, change: Change) -> str:
        """Return what became of the log, once."""
        is_known = change.kind == "gone" and self.view.is_gone
        self.view.is_gone = change.kind == "gone"
        return "" if is_known else _CHANGES.get(change.kind, "")

    def _toggle_follow(self) -> None:
        if self.view.is_following:
            self.view.is_following = False
            self.tell("not following any more", "dim")
            self._show_head()
            return
        self.view.is_watched |= self.view.is_read
        self._step(self.steps.count) if self._moved_list() is self.steps else None
        self._follow()
        self._stay_at_end()
        if self.view.is_read and self.replay.status != "running":
            self.tell(f"following; the run is not going on: {self.replay.status}", "dim")
        self.steps.repaint_all()


def _has_prices() -> bool:
    """Read the list of prices; return whether there is one."""
    from agent_step_log.errors import MissingExtraError

    try:
        from agentsnap import Prices

        _ = Prices.load().version
    except MissingExtraError:
        return False
    return True
