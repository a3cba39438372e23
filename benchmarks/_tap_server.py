"""A provider's streams on this machine, in a process of its own; for the benchmarks of the tap.

    python -m benchmarks._tap_server [TURNS]      prints its port, serves until its input is closed

    POST /v1/chat/completions?events=N     N events of a chat, each an HTTP chunk, then [DONE]
        &size=BYTES   that much text in each event       &wait_ms=MS   think before answering
        &gap_ms=MS    wait between two events
    POST /v1/chat/completions?turn=K       the K-th list of events of TURNS, a file of msgpack

A request's body is read and thrown away. One connection serves many requests. An answer's header
``thought`` tells the seconds from the request's last byte to the answer's first: a sleep of 20 ms takes
20 to 21, and that is not the client's.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["server"]

_WORDS = ("the", "parser", "returns", "a", "list", "of", "tokens", "and", "tests", "pass", "now", "so")
_EVENT = (
    'data: {{"id":"chatcmpl-9f2c81","object":"chat.completion.chunk","created":1767225600,"model":"gpt-4o",'
    '"system_fingerprint":"fp_1bb46167f9","choices":[{{"index":0,"delta":{{"content":" {}"}},"logprobs":null,'
    '"finish_reason":null}}]}}\n\n'
)
_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    b"transfer-encoding: chunked\r\nthought: %.6f\r\n\r\n"
)
_BLOCK = 64 * 1024  # bytes written at once


@contextmanager
def server(turns: Path | None = None) -> Iterator[str]:
    """Serve while the block runs; gives the URL of the streams, without its query."""
    command = [sys.executable, "-m", "benchmarks._tap_server", *([str(turns)] if turns else [])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            port = int(process.stdout.readline())
            yield f"http://127.0.0.1:{port}/v1/chat/completions"
        finally:
            process.stdin.close()
            process.wait(10)


def _framed(event: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(event), event)


class _Streams:
    def __init__(self, turns: list[list[bytes]]) -> None:
        self._turns = turns

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                for line in head.lower().split("\r\n"):
                    if line.startswith("content-length:"):
                        await reader.readexactly(int(line[15:]))
                await self._answer(writer, dict(parse_qsl(urlsplit(head.split(" ", 2)[1]).query)))
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass  # the client has gone, or the benchmark is over
        finally:
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, query: dict[str, str]) -> None:
        received = perf_counter()
        await asyncio.sleep(float(query.get("wait_ms", 0)) / 1000)
        gap = float(query.get("gap_ms", 0)) / 1000
        held = bytearray(_HEAD % (perf_counter() - received))
        for event in self._events(query):
            held += event
            if gap or len(held) >= _BLOCK:
                writer.write(held)
                await writer.drain()
                held = bytearray()
                if gap:
                    await asyncio.sleep(gap)
        writer.write(held + _framed(b"data: [DONE]\n\n") + b"0\r\n\r\n")
        await writer.drain()

    def _events(self, query: dict[str, str]) -> Iterator[bytes]:
        if "turn" in query:
            yield from map(_framed, self._turns[int(query["turn"])])
            return
        size = int(query.get("size", 0))
        events = [_framed(_EVENT.format(word + "x" * size).encode()) for word in _WORDS]
        count = int(query["events"])
        if "gap_ms" not in query:
            # Many at once: the client is measured, and a server at work on the other core slows it.
            together = b"".join(events)
            times = max(_BLOCK // len(together), 1)
            blocks, count = divmod(count, times * len(events))
            yield from repeat(together * times, blocks)
        for number in range(count):
            yield events[number % len(events)]


async def _main() -> None:
    turns: list[list[bytes]] = []
    if len(sys.argv) > 1:
        turns = msgspec.msgpack.decode(Path(sys.argv[1]).read_bytes(), type=list[list[bytes]])
    listening = await asyncio.start_server(_Streams(turns).serve, "127.0.0.1", 0)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main())
