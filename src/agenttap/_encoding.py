"""Content-Encoding undone as bytes come, as far as they go.

gzip and deflate (with the zlib header or without) are always here; br and zstd
where the process has a library for them: the one its HTTP client uses will do.
Encodings may be stacked (``gzip, br``).

A body that was cut or damaged gives what could be read before. Nothing here
raises. What one `Decompressor.feed` gives back is bounded: behind some `MAX_FEED_BYTES`, or
`MAX_RATIO` times what it was fed where that is more, the body is taken for a bomb
and no more of it is read.
"""

from __future__ import annotations

import zlib
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MAX_FEED_BYTES", "MAX_RATIO", "Decompressor", "decompressor"]

#: Bytes one `feed` may give back, whatever it was fed.
MAX_FEED_BYTES = 64 * 1024 * 1024
#: Times what it was fed that one `feed` may give back.
MAX_RATIO = 200

_MAX_STACKED = 4


class Decompressor(Protocol):
    """Undoes the encoding of one body. One thread at a time."""

    @property
    def is_damaged(self) -> bool:
        """Some of the body could not be read."""

    def feed(self, data: bytes) -> bytes:
        """Return what can be read by now."""

    def end(self) -> bytes:
        """Return what is left; no more bytes will come."""


def decompressor(encoding: str | None) -> Decompressor | None:
    """Return what undoes *encoding*, the value of a Content-Encoding header.

    None: this process cannot, and the bytes are best kept as they are. None or
    an empty *encoding* and ``identity`` are undone by doing nothing.
    """
    names = [name.strip().lower() for name in (encoding or "").split(",")]
    names = [name for name in names if name not in ("", "identity")]
    if len(names) > _MAX_STACKED:
        return None
    steps = [_step(name) for name in reversed(names)]  # the last applied is undone first
    if not all(steps):
        return None
    return _Stacked([step for step in steps if step is not None])


def _step(name: str) -> _Step | None:
    if name in ("gzip", "x-gzip"):
        return _Step(_Zlib(zlib.MAX_WBITS | 16))
    if name == "deflate":
        return _Step(_Zlib(None))
    make = _br if name == "br" else _zstd if name == "zstd" else None
    engine = make() if make is not None else None
    return None if engine is None else _Step(engine)


class _Engine(Protocol):
    def read(self, data: bytes) -> tuple[bytes, bytes]:
        """Return what some of *data* gives, and the rest of it."""


class _Stacked:
    def __init__(self, steps: list[_Step]) -> None:
        self._steps = steps

    @property
    def is_damaged(self) -> bool:
        return any(step.is_damaged for step in self._steps)

    def feed(self, data: bytes) -> bytes:
        for step in self._steps:
            data = step.feed(data)
        return data

    def end(self) -> bytes:
        return b""


class _Step:
    """One encoding, and its end at the first thing that is wrong."""

    def __init__(self, engine: _Engine) -> None:
        self._engine = engine
        self.is_damaged = False

    def feed(self, data: bytes) -> bytes:
        if self.is_damaged or not data:
            return b""
        left, parts = max(MAX_FEED_BYTES, MAX_RATIO * len(data)), []
        try:
            while data and left > 0:
                part, data = self._engine.read(data)
                parts.append(part)
                left -= len(part)
        except Exception:  # noqa: BLE001  each library has errors of its own
            self.is_damaged = True
        if left <= 0:
            self.is_damaged = True
        return b"".join(parts)


class _Damage(Exception):  # noqa: N818  it ends a step, nobody sees it
    pass


class _Zlib:
    """gzip (several members too) and both that are called deflate."""

    def __init__(self, wbits: int | None) -> None:
        self._wbits = wbits
        self._object = None if wbits is None else zlib.decompressobj(wbits)
        self._held = b""
        self._is_damaged = False

    def read(self, data: bytes) -> tuple[bytes, bytes]:
        if self._is_damaged:
            raise _Damage
        if self._object is None:
            data = self._held + data
            self._held = data if len(data) < 2 else b""
            if self._held:
                return b"", b""
            # A zlib header: method 8, and a multiple of 31.
            has_header = data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
            self._wbits = zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS
            self._object = zlib.decompressobj(self._wbits)
        engine = self._object
        before = engine.copy()
        try:
            part = engine.decompress(data, MAX_FEED_BYTES)
        except zlib.error:
            self._is_damaged = True
            return _up_to_damage(before, data), b"."
        if not engine.eof:
            return part, engine.unconsumed_tail
        rest = engine.unused_data
        if self._wbits == zlib.MAX_WBITS | 16:  # another member may follow, or padding
            self._object = zlib.decompressobj(self._wbits)
            return part, rest.lstrip(b"\0")
        return part, b""


def _up_to_damage(engine: Any, data: bytes) -> bytes:
    """Return what *data* gives before the byte that is wrong: the library itself would keep it."""
    parts, size = [], len(data) // 2
    while size:
        trial = engine.copy()
        try:
            parts.append(trial.decompress(data[:size]))
        except zlib.error:
            pass
        else:
            engine, data = trial, data[size:]
        size //= 2
    return b"".join(parts)


class _Slices:
    """A library that keeps what it read before damage, and has no limit: it gets little at a time."""

    def __init__(self, read: Callable[[bytes], bytes], size: int) -> None:
        self._read, self._size = read, size

    def read(self, data: bytes) -> tuple[bytes, bytes]:
        return self._read(data[: self._size]), data[self._size :]


def _br() -> _Engine | None:
    library = _first("brotli", "brotlicffi")
    if library is None:
        return None
    engine = library.Decompressor()
    # A block of 16 MB takes a dozen bytes.
    return _Slices(getattr(engine, "decompress", None) or engine.process, 64)


def _zstd() -> _Engine | None:
    library = _first("zstandard")
    if library is not None:
        return _Frames(lambda: library.ZstdDecompressor().decompressobj())
    library = _first("compression.zstd", "backports.zstd")
    return None if library is None else _Frames(library.ZstdDecompressor)


class _Frames:
    """zstd: frames follow each other."""

    _SIZE = 1024  # a block of 128 KB takes four bytes

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make, self._engine = make, make()

    def read(self, data: bytes) -> tuple[bytes, bytes]:
        part = self._engine.decompress(data[: self._SIZE])
        rest = data[self._SIZE :]
        if self._engine.eof:
            rest = self._engine.unused_data + rest
            self._engine = self._make()
        return part, rest


def _first(*names: str) -> Any:
    for name in names:
        try:
            return import_module(name)
        except ImportError:
            continue
    return None
