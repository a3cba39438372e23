"""Lock-step: the provider writes on when the test has seen what was written before.

No clock tells a delayed chunk from a slow machine. So the next is written only when the
client has shown this one to the test: a client that holds a chunk back until another comes
waits for ever, and fails.
"""

from __future__ import annotations

import asyncio
from threading import Lock

__all__ = ["Gate"]

#: Seconds until a piece counts as never seen. Only a failing test waits as long.
_NEVER_S = 120.0


class Gate:
    """What the test has seen so far: characters of text, or bytes. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()  # guards both below
        self._seen = 0
        self._waiting: list[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = []

    @property
    def total(self) -> int:
        """All that was seen."""
        with self._lock:
            return self._seen

    def seen(self, shown: str | bytes) -> None:
        """Say that the client has shown *shown*."""
        with self._lock:
            self._seen += len(shown)
            woken = [item for item in self._waiting if item[0] <= self._seen]
            self._waiting = [item for item in self._waiting if item[0] > self._seen]
        for _, loop, event in woken:
            loop.call_soon_threadsafe(event.set)

    async def wait(self, total: int) -> bool:
        """Wait until *total* has been seen; False if it never is."""
        event = asyncio.Event()
        with self._lock:
            if self._seen >= total:
                return True
            self._waiting.append((total, asyncio.get_running_loop(), event))
        try:
            await asyncio.wait_for(event.wait(), _NEVER_S)
        except TimeoutError:
            return False
        return True
