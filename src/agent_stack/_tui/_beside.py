"""Work that follows the length of the run: on a thread, one at a time, while the screen answers keys."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent_debug_replay import Replay

__all__ = ["Beside", "Stopped"]

T = TypeVar("T")


class Stopped(Exception):  # noqa: N818  no error: somebody wanted it
    """The work was stopped before its end."""


class Beside:
    """A thread beside the screen that looks at *replay*, too. All but `check` is for the screen's thread.

    Attributes:
        row: The row the work at hand looked at last; None: it has not told.
    """

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._turn = asyncio.Lock()
        self._stop = threading.Event()
        self._waiting = 0
        self.row: int | None = None

    @property
    def is_busy(self) -> bool:
        """Whether there is work at hand. Then the replay must not be refreshed."""
        return self._waiting > 0

    def stop(self) -> None:
        """Have the work at hand end early."""
        self._stop.set()

    async def stopped(self) -> None:
        """Stop the work at hand, and wait until it has ended."""
        self.stop()
        async with self._turn:
            pass

    async def do(self, work: Callable[[], T]) -> T:
        """Do *work* on the thread, once what was at hand before has been stopped, and return what it returns.

        Raises:
            Stopped: Somebody stopped it.
            Exception: Whatever *work* raises.
        """
        self._waiting += 1
        try:
            self.stop()
            async with self._turn:
                self._stop = threading.Event()
                self.row = None
                ended = asyncio.get_running_loop().run_in_executor(None, self._run, work)
                # Asked for here, as nobody else does when the screen is left meanwhile.
                ended.add_done_callback(lambda future: future.cancelled() or future.exception())
                try:
                    return await asyncio.shield(ended)
                except asyncio.CancelledError:
                    self.stop()
                    await asyncio.wait([ended])  # it looks at the replay until then
                    raise
        finally:
            self._waiting -= 1

    def _run(self, work: Callable[[], T]) -> T:
        self._replay.tell_rows(self.check)
        try:
            return work()
        finally:
            self._replay.tell_rows(None)

    def check(self, row: int) -> None:
        """Say on the thread that *row* is looked at.

        Raises:
            Stopped: The work is to end.
        """
        self.row = row
        if self._stop.is_set():
            raise Stopped
