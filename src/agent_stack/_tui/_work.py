"""Work beside the screen: what follows the length of the run, one piece at a time.

A filter, a search, a command that goes on to the next stop: on a thread, while keys are answered; rows do
not change meanwhile.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from agent_stack._tui._beside import Stopped
from agent_stack._tui._frame import Frame

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from textual.worker import Worker

    from agent_debug_replay import Replay

__all__ = ["Working"]


class Working(Frame):
    """A frame that has work done beside it.

    Args:
        replay: The run to begin with.
        on_loaded: Called when more has been loaded that stays for long. Default: nothing is.
    """

    def __init__(self, replay: Replay, on_loaded: Callable[[], None] | None = None) -> None:
        super().__init__(replay)
        self._on_loaded = on_loaded
        self._doing: Callable[[], str] | None = None  # what is done beside, in words
        self._is_commanded = False  # commands are done beside: they move the cursor
        self._begun = 0.0  # when

    def _start(
        self, work: Callable[[], Awaitable[None]], words: Callable[[], str], *, is_commanded: bool = False
    ) -> None:
        """Have *work* done beside the screen; *words* say how far it is."""
        self._is_commanded = is_commanded
        self._doing = words
        self._begun = perf_counter()

        async def worked() -> None:
            try:
                await work()
            except Stopped:
                self.tell("stopped", "dim")
            finally:
                if self._doing is words:
                    self._doing, self._is_commanded = None, False

        # Not called here: work that is stopped before it began would be told as never awaited.
        _: Worker[None] = self.run_worker(worked, group="scan", exclusive=True)

    def _spare_loaded(self) -> None:
        """Say that there is more that stays."""
        if self._on_loaded is not None:
            self._on_loaded()

    def _words_of(self, text: str) -> Callable[[], str]:
        return lambda: f"{text}{self._at_step()}; esc stops"

    def _at_step(self) -> str:
        row = self.view.beside.row
        return f": step {self.replay.row(row).label}" if row is not None else " …"

    async def _stop_commands(self) -> None:
        """Have commands that are done beside end where they are: the cursor is about to go elsewhere."""
        if self._is_commanded:
            self.workers.cancel_group(self, "scan")
            await self.view.beside.stopped()
