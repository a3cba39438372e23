"""The provider: a server on 127.0.0.1 in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from threading import Condition, Thread
from typing import TYPE_CHECKING, Self

from tests.provider._answering import Answerer
from tests.provider._gate import Gate
from tests.provider._http1 import PREFACE, serve_http1

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

    from tests.provider._served import Served
    from tests.provider._sinks import Sink

__all__ = ["Provider"]

#: Seconds until something a test waits for counts as not coming. Only a failing test waits as long.
_NEVER_S = 120.0


class Provider:
    """See the package.

    Args:
        tls: Serve TLS instead, with HTTP/2 or HTTP/1.1 as the client chooses.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="provider", daemon=True)
        self._changed = Condition()  # guards _served, and tells of changes in it
        self._served: list[Served] = []
        self._connections: set[asyncio.Task[None]] = set()
        self.gate = Gate()
        counter = itertools.count(1)
        self._answerer = Answerer(self.gate, lambda: next(counter), {})
        self.port = 0
        #: Exceptions out of the provider itself: a test that saw any means nothing.
        self.failures: list[BaseException] = []

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def served(self) -> list[Served]:
        """All requests so far, in the order they came."""
        with self._changed:
            return list(self._served)

    @property
    def calls(self) -> list[Served]:
        """The requests to an API that were answered, not refused or redirected, and ended."""
        return [served for served in self.served if served.number]

    def wait_for(self, count: int) -> list[Served]:
        """Wait until *count* requests have come, and return all.

        Raises:
            TimeoutError: They do not come.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._served) >= count, _NEVER_S):
                raise TimeoutError(f"{len(self._served)} of {count} requests came")
            return list(self._served)

    def wait_done(self) -> list[Served]:
        """Wait until every request so far is answered to its end, and return all.

        Raises:
            TimeoutError: One is not.
        """
        for served in self.served:
            if not served.done.wait(_NEVER_S):
                raise TimeoutError(f"{served.path} is still being answered")
        return self.served

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(_NEVER_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(_NEVER_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_NEVER_S)
        self._loop.close()
        if self.failures and error is None:
            raise ExceptionGroup(
                "the provider failed", [e for e in self.failures if isinstance(e, Exception)]
            )

    async def _start(self) -> None:
        self._server = await asyncio.start_server(
            self._connected, "127.0.0.1", 0, ssl=self._tls, limit=1 << 20
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                head = await reader.readuntil(b"\r\n\r\n")
                if head == PREFACE:
                    from tests.provider._http2 import serve_http2

                    await serve_http2(head, reader, writer, self._answer)
                else:
                    await serve_http1(head, reader, writer, self._answer)
        except asyncio.CancelledError:
            pass
        except BaseException as failure:
            self.failures.append(failure)
        finally:
            self._connections.discard(task)
            writer.close()

    async def _answer(self, served: Served, sink: Sink) -> None:
        with self._changed:
            self._served.append(served)
            self._changed.notify_all()
        try:
            await self._answerer.answer(served, sink)
        except Exception as failure:
            self.failures.append(failure)
            raise
        finally:
            served.done.set()
