"""HTTP/1.1, read by hand: what was sent is kept as it was sent."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from tests.provider._served import Served
from tests.provider._sinks import Http1Sink

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.provider._sinks import Sink

__all__ = ["PREFACE", "serve_http1"]

#: How an HTTP/2 connection begins where it was not agreed upon before.
PREFACE = b"PRI * HTTP/2.0\r\n\r\n"


async def serve_http1(
    first: bytes,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    answer: Callable[[Served, Sink], Awaitable[None]],
) -> None:
    """Serve the requests of one connection. *first* is the head of the first one."""
    head: bytes | None = first
    while head:
        served = await _read(head, reader, writer)
        if served is None:
            return
        sink = Http1Sink(reader, writer)
        await answer(served, sink)
        if not sink.is_reusable or served.ended != "whole":
            return
        head = None
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")


async def _read(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Served | None:
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, path, _ = first.split(" ")
    headers = [(line.partition(":")[0].lower(), line.partition(":")[2].strip()) for line in lines]
    known = dict(headers)
    if known.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    try:
        if known.get("transfer-encoding", "").lower() == "chunked":
            body = await _read_chunked(reader)
        else:
            body = await reader.readexactly(int(known.get("content-length", 0)))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return Served(method, path, headers, body, "HTTP/1.1")


async def _read_chunked(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while True:
        size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
        body += await reader.readexactly(size)
        await reader.readexactly(2)
        if not size:
            return bytes(body)
