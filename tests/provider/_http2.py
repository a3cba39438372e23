"""HTTP/2, in the clear by prior knowledge or over TLS. Needs the package h2."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from tests.provider._served import Served
from tests.provider._sinks import Left

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.provider._sinks import Framing, Sink

__all__ = ["serve_http2"]


async def serve_http2(
    first: bytes,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    answer: Callable[[Served, Sink], Awaitable[None]],
) -> None:
    """Serve the streams of one connection, side by side. *first* are bytes already read from it."""
    await _Connection(reader, writer, answer).run(first)


class _Connection:
    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answer: Callable[[Served, Sink], Awaitable[None]],
    ) -> None:
        from h2.config import H2Configuration
        from h2.connection import H2Connection

        self._reader, self._writer, self._answer = reader, writer, answer
        self.h2 = H2Connection(config=H2Configuration(client_side=False, header_encoding="utf-8"))
        self._asked: dict[int, tuple[list[tuple[str, str]], bytearray]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.gone: set[int] = set()
        #: Set whenever the peer has said something: windows may have opened, streams gone.
        self.moved = asyncio.Event()
        self.is_closed = False

    async def run(self, first: bytes) -> None:
        self.h2.initiate_connection()
        data = first
        try:
            while not self.is_closed:
                if data:
                    for event in self.h2.receive_data(data):
                        self._take(event)
                    await self.flush()
                    self.moved.set()
                data = await self._reader.read(65536)
                if not data:
                    break
        except ConnectionError:
            pass
        finally:
            self.is_closed = True
            self.moved.set()
            for task in self._tasks:
                with contextlib.suppress(ConnectionError):
                    await task

    def _take(self, event: Any) -> None:
        kind = type(event).__name__
        if kind == "RequestReceived":
            self._asked[event.stream_id] = (list(event.headers), bytearray())
        elif kind == "DataReceived":
            self._asked[event.stream_id][1].extend(event.data)
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif kind == "StreamReset":
            self.gone.add(event.stream_id)
        elif kind == "ConnectionTerminated":
            self.is_closed = True
        if kind == "StreamEnded":
            headers, body = self._asked.pop(event.stream_id)
            known = dict(headers)
            plain = [(name, value) for name, value in headers if not name.startswith(":")]
            served = Served(known[":method"], known[":path"], plain, bytes(body), "HTTP/2")
            task = asyncio.create_task(_run(self._answer(served, _Sink(self, event.stream_id))))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def flush(self) -> None:
        data = self.h2.data_to_send()
        if data:
            self._writer.write(data)
            await self._writer.drain()


async def _run(answer: Awaitable[None]) -> None:
    await answer


class _Sink:
    """One stream's response."""

    def __init__(self, connection: _Connection, stream: int) -> None:
        self._connection, self._stream = connection, stream

    async def start(self, status: int, headers: list[tuple[str, str]], framing: Framing, length: int) -> None:
        self._check()
        if framing == "content-length":
            headers = [*headers, ("content-length", str(length))]
        self._connection.h2.send_headers(self._stream, [(":status", str(status)), *headers])
        await self._connection.flush()

    async def write(self, data: bytes) -> None:
        h2 = self._connection.h2
        while data:
            self._check()
            size = min(h2.local_flow_control_window(self._stream), h2.max_outbound_frame_size, len(data))
            if size <= 0:
                self._connection.moved.clear()
                await self._connection.moved.wait()
                continue
            h2.send_data(self._stream, data[:size])
            data = data[size:]
            await self._connection.flush()

    async def finish(self) -> None:
        self._check()
        self._connection.h2.end_stream(self._stream)
        await self._connection.flush()

    async def cut(self, *, is_reset: bool) -> None:
        self._check()
        self._connection.h2.reset_stream(self._stream, error_code=2)
        await self._connection.flush()

    async def wait_until_left(self) -> None:
        while True:
            self._connection.moved.clear()
            self._check()
            await self._connection.moved.wait()

    def _check(self) -> None:
        if self._connection.is_closed or self._stream in self._connection.gone:
            raise Left
