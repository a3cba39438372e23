"""The run played at the pace it had: the cursor goes on by itself, from row to row, to the next stop."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from agent_stack._tui._descending import Descending

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agent_debug_replay import Replay

__all__ = ["LONGEST_S", "SHORTEST_S", "Playing"]

LONGEST_S = 2.0  # a row is waited for, however long nothing had happened
SHORTEST_S = 0.03  # so that each is seen


class Playing(Descending):
    """A list that can be played.

    Attributes:
        pause: Waits so many seconds between two rows.
    """

    def __init__(self, replay: Replay, on_loaded: Callable[[], None] | None = None) -> None:
        super().__init__(replay, on_loaded)
        self.pause: Callable[[float], Awaitable[object]] = asyncio.sleep
        self._is_playing = False

    def _words_of(self, text: str) -> Callable[[], str]:
        words = super()._words_of(text)
        return lambda: self.message if self._is_playing else words()

    async def _play(self, speed: float) -> None:
        """Go on to the next stop or to the end, *speed* times as fast as the run went."""
        words = f"playing{'' if speed == 1 else f' {speed:g} times as fast'}; space or esc stops"
        self._is_playing = True
        try:
            self.tell(words, "dim")
            while (following := self._following()) is not None:
                row, gap_s = following
                await self.pause(min(max(gap_s / speed, SHORTEST_S), LONGEST_S))
                most = row - (self.navigator.position or 0)
                moved = await self.view.beside.do(partial(self.navigator.resume, most=most))
                if moved.end != "arrived":
                    self._show_moved(moved)
                    return
                self._show_moved(replace(moved, message=words))
            self._tell_end()
        finally:
            self._is_playing = False

    def _following(self) -> tuple[int, float] | None:
        """Return the next row that is shown, and how many seconds later it began; None at the last."""
        at, rows = self.navigator.position, self.view.shown.rows
        place = bisect_right(rows, at) if at is not None else len(rows)
        if at is None or place == len(rows):
            return None
        return rows[place], self.replay.row(rows[place]).start - self.replay.row(at).start

    def _tell_end(self) -> None:
        if self.navigator.position == len(self.replay) - 1:
            self._show_moved(self.navigator.resume(most=1))  # it says whether more may come
        else:
            self.tell("This is the last step shown.")
