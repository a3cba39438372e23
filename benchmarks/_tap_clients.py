"""The HTTP clients that are measured with and without a tap, each read chunk by chunk."""

from __future__ import annotations

import asyncio
from importlib import import_module
from time import perf_counter, thread_time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CLIENTS", "REQUEST", "Client", "Read"]

#: A request for a stream, as small as a tap takes it for one.
REQUEST = b'{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"Go on."}]}'

_HEADERS = {"content-type": "application/json", "authorization": "Bearer sk-not-a-real-key"}


class Read(NamedTuple):
    """How one stream was read.

    Attributes:
        first_s: Seconds from the call to the first chunk of the body, without what the server took to
            think, as its answer's header ``thought`` says.
        whole_s: Seconds from the call until it was read and closed; without the same.
        cpu_s: CPU seconds this thread took for it all.
        stream_s: Of these, from the first chunk to the end of the last.
        chunks: Chunks that came.
    """

    first_s: float
    whole_s: float
    cpu_s: float
    stream_s: float
    chunks: int


class Client(Protocol):
    """Keeps its connection from one `read` to the next."""

    def read(self, url: str, body: bytes) -> Read:
        """POST *body*, read the stream to its end and close it."""

    def close(self) -> None:
        """Close the connection."""


def _read(response: Any, start: float, first: float, cpu: tuple[float, float, float], chunks: int) -> Read:
    end, cpu_end = perf_counter(), thread_time()
    thought = float(response.headers["thought"])
    begun, first_cpu, last_cpu = cpu
    return Read(first - start - thought, end - start - thought, cpu_end - begun, last_cpu - first_cpu, chunks)


class _Httpx:
    def __init__(self, library: str) -> None:
        self._client: Any = import_module(library).Client(timeout=60)

    def read(self, url: str, body: bytes) -> Read:
        chunks, first, first_cpu = 0, 0.0, 0.0
        cpu, start = thread_time(), perf_counter()
        with self._client.stream("POST", url, content=body, headers=_HEADERS) as response:
            for _ in response.iter_raw():
                if not chunks:
                    first, first_cpu = perf_counter(), thread_time()
                chunks += 1
            last_cpu = thread_time()
        return _read(response, start, first, (cpu, first_cpu, last_cpu), chunks)

    def close(self) -> None:
        self._client.close()


class _AsyncHttpx:
    def __init__(self, library: str) -> None:
        self._runner = asyncio.Runner()
        self._client: Any = import_module(library).AsyncClient(timeout=60)

    def read(self, url: str, body: bytes) -> Read:
        return self._runner.run(self._read(url, body))

    async def _read(self, url: str, body: bytes) -> Read:
        chunks, first, first_cpu = 0, 0.0, 0.0
        cpu, start = thread_time(), perf_counter()
        async with self._client.stream("POST", url, content=body, headers=_HEADERS) as response:
            async for _ in response.aiter_raw():
                if not chunks:
                    first, first_cpu = perf_counter(), thread_time()
                chunks += 1
            last_cpu = thread_time()
        return _read(response, start, first, (cpu, first_cpu, last_cpu), chunks)

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()


class _Aiohttp:
    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._session: Any = self._runner.run(self._open())

    async def _open(self) -> Any:
        return import_module("aiohttp").ClientSession()

    def read(self, url: str, body: bytes) -> Read:
        return self._runner.run(self._read(url, body))

    async def _read(self, url: str, body: bytes) -> Read:
        chunks, first, first_cpu = 0, 0.0, 0.0
        cpu, start = thread_time(), perf_counter()
        async with self._session.post(url, data=body, headers=_HEADERS) as response:
            async for _, ends_chunk in response.content.iter_chunks():
                if not chunks:
                    first, first_cpu = perf_counter(), thread_time()
                chunks += ends_chunk
            last_cpu = thread_time()
        return _read(response, start, first, (cpu, first_cpu, last_cpu), chunks)

    def close(self) -> None:
        self._runner.run(self._session.close())
        self._runner.close()


class _Requests:
    def __init__(self) -> None:
        self._session: Any = import_module("requests").Session()
        # Of the machine, not of this measurement.
        self._session.trust_env = False

    def read(self, url: str, body: bytes) -> Read:
        chunks, first, first_cpu = 0, 0.0, 0.0
        cpu, start = thread_time(), perf_counter()
        with self._session.post(url, data=body, headers=_HEADERS, stream=True) as response:
            for _ in response.iter_content(None):
                if not chunks:
                    first, first_cpu = perf_counter(), thread_time()
                chunks += 1
            last_cpu = thread_time()
        return _read(response, start, first, (cpu, first_cpu, last_cpu), chunks)

    def close(self) -> None:
        self._session.close()


CLIENTS: dict[str, Callable[[], Client]] = {
    "httpx2": lambda: _Httpx("httpx2"),
    "httpx2, async": lambda: _AsyncHttpx("httpx2"),
    "aiohttp": _Aiohttp,
    "requests (urllib3)": _Requests,
    "httpx": lambda: _Httpx("httpx"),
}
