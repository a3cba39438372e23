"""Where an answer is written to: HTTP/1.1 here, HTTP/2 in `_http2`."""

from __future__ import annotations

import contextlib
import socket
import struct
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import asyncio

__all__ = ["Framing", "Http1Sink", "Left", "Sink"]

Framing = Literal["chunked", "content-length", "to-the-end"]


class Left(Exception):  # noqa: N818  nothing went wrong
    """The client has gone."""


class Sink(Protocol):
    """One response being written."""

    async def start(
        self, status: int, headers: list[tuple[str, str]], framing: Framing, length: int
    ) -> None: ...
    async def write(self, data: bytes) -> None: ...
    async def finish(self) -> None: ...
    async def cut(self, *, is_reset: bool) -> None: ...
    async def wait_until_left(self) -> None: ...


class Http1Sink:
    """A response on an HTTP/1.1 connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._is_chunked = False
        #: Whether another request may follow on the connection.
        self.is_reusable = True

    async def start(self, status: int, headers: list[tuple[str, str]], framing: Framing, length: int) -> None:
        """Write the head. *length* counts with the framing that tells it."""
        self._is_chunked = framing == "chunked"
        headers = list(headers)
        if framing == "content-length":
            headers.append(("content-length", str(length)))
        elif framing == "chunked":
            headers.append(("transfer-encoding", "chunked"))
        else:
            headers.append(("connection", "close"))
            self.is_reusable = False
        phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Unknown"
        head = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers), "", ""]
        await self._send("\r\n".join(head).encode("latin-1"))

    async def write(self, data: bytes) -> None:
        """Write bytes of the body, as one chunk where it is chunked."""
        if data:
            await self._send(b"%x\r\n%b\r\n" % (len(data), data) if self._is_chunked else data)

    async def finish(self) -> None:
        """End the body in order."""
        if self._is_chunked:
            await self._send(b"0\r\n\r\n")

    async def cut(self, *, is_reset: bool) -> None:
        """Close the connection in the middle."""
        self.is_reusable = False
        if is_reset:
            raw = self._writer.get_extra_info("socket")
            # With a linger of 0 seconds the kernel resets instead of closing in order.
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._writer.transport.abort()

    async def wait_until_left(self) -> None:
        """Wait until the client closes. It is not to send anything meanwhile."""
        self.is_reusable = False
        with contextlib.suppress(ConnectionError):
            while await self._reader.read(1024):
                pass

    async def _send(self, data: bytes) -> None:
        if self._writer.is_closing():
            raise Left
        try:
            self._writer.write(data)
            await self._writer.drain()
        except ConnectionError as error:
            raise Left from error
