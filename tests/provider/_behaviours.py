"""Marks in a model's name: how the provider misbehaves while it answers.

A model called ``test-cut-after-3`` or ``anything-test-gzip_drip`` carries the marks after ``test-``,
parted by ``_``; the header ``x-test`` carries more, parted by commas.

    think, parallel, max-tokens, no-tools, no-usage    what is said
    drip                 one byte a write
    one-write            the whole body in one write
    split-N              the body in writes of N bytes, wherever that cuts it
    lockstep             after each piece with text, wait until the test has seen it
    lockstep-all         after each write, likewise
    crlf, cr             line ends of the event stream
    comments             a comment before each event
    no-content-type      the header is left out
    gzip, deflate, raw-deflate, br, zstd      content-encoding, flushed at each piece
    truncated-ENCODING   the same, the last third missing, ended as if it were whole
    content-length       the body's length is told, not chunked
    to-the-end           neither: the body ends with the connection
    long-content-length  a hundred bytes more are promised than come
    short-content-length the length told is half of what is sent
    cut-after-N          the connection goes after N pieces
    reset-after-N        the same, by RST
    hang-after-N         nothing more comes after N pieces, until the client goes
    hang                 not even headers come
    endless              text for ever, until the client goes
    no-end               the stream ends in order, without its last event
    error-midstream      after some text, the API's own in-band error
    not-json             200, a page of HTML called JSON
    wrong-content-type   the right body, called text/plain
    invalid-utf8         the first text holds a byte that is no UTF-8
    deep-json            the body is 100,000 brackets
    empty                200 and no body
    big-N                the text is N kilobytes long
    STATUS-once, STATUS-twice, STATUS-always  that error, as often, before the answer
    redirect             307 to the same path once
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ENCODINGS", "Compressor", "Marks", "compressor", "marks_of"]

_MARKED = re.compile(r"test-([a-z0-9_-]+)")
_TIMES = {"once": 1, "twice": 2, "thrice": 3, "always": 1 << 30}

ENCODINGS = ("gzip", "deflate", "raw-deflate", "br", "zstd")


class Marks:
    """The marks of one request."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = [name for name in names if name]

    def has(self, name: str) -> bool:
        return name in self.names

    def number(self, prefix: str) -> int | None:
        """Return N of the mark *prefix*-N."""
        for name in self.names:
            head, _, tail = name.rpartition("-")
            if head == prefix and tail.isdigit():
                return int(tail)
        return None

    @property
    def refusal(self) -> tuple[int, int] | None:
        """The status to refuse with, and how often."""
        for name in self.names:
            status, _, times = name.partition("-")
            if status.isdigit() and times in _TIMES:
                return int(status), _TIMES[times]
        return None

    @property
    def encoding(self) -> str | None:
        """The content-encoding by this module's name for it."""
        found = [name for name in ENCODINGS if self.has(name) or self.has(f"truncated-{name}")]
        return found[0] if found else None

    @property
    def is_truncated(self) -> bool:
        return any(name.startswith("truncated-") for name in self.names)


def marks_of(model: str, header: str) -> Marks:
    """Return the marks in *model*'s name and in the header."""
    found = _MARKED.search(model)
    return Marks([*(found.group(1).split("_") if found else ()), *re.split(r"[,\s]+", header)])


class Compressor(Protocol):
    """What has come so far comes out of `add`, so that a reader is not kept waiting."""

    def add(self, data: bytes) -> bytes: ...
    def end(self) -> bytes: ...


class _Zlib:
    def __init__(self, wbits: int) -> None:
        self._inner = zlib.compressobj(wbits=wbits)

    def add(self, data: bytes) -> bytes:
        return self._inner.compress(data) + self._inner.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        return self._inner.flush()


class _Brotli:
    def __init__(self) -> None:
        import brotli

        self._inner = brotli.Compressor(quality=5)

    def add(self, data: bytes) -> bytes:
        return bytes(self._inner.process(data) + self._inner.flush())

    def end(self) -> bytes:
        return bytes(self._inner.finish())


class _Zstd:
    def __init__(self) -> None:
        import zstandard

        self._inner = zstandard.ZstdCompressor().compressobj()
        self._block = zstandard.COMPRESSOBJ_FLUSH_BLOCK

    def add(self, data: bytes) -> bytes:
        return self._inner.compress(data) + self._inner.flush(self._block)

    def end(self) -> bytes:
        return self._inner.flush()


class _Identity:
    def add(self, data: bytes) -> bytes:
        return data

    def end(self) -> bytes:
        return b""


def compressor(encoding: str | None) -> Compressor:
    """Return a new compressor for *encoding*."""
    if encoding == "br":
        return _Brotli()
    if encoding == "zstd":
        return _Zstd()
    if encoding is None:
        return _Identity()
    return _Zlib({"gzip": 31, "deflate": 15, "raw-deflate": -15}[encoding])
