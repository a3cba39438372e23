"""The lines of a log or a tape, whatever state it is in: what can be read is, and the rest is told."""

from __future__ import annotations

import zlib
from typing import IO, TYPE_CHECKING

from agent_step_log.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["MAX_LINE_BYTES", "lines_of"]

#: A longer line is handed out in pieces of that size.
MAX_LINE_BYTES = 64 * 1024 * 1024
_PIECE = 1024 * 1024
_MAX_WINDOW = 1 << 31


def lines_of(path: Path, on_damage: Callable[[str], None]) -> Iterator[bytes]:
    """Yield the lines of *path*, without their newlines; the last may be unfinished.

    Args:
        path: Plain, or compressed as its ending says (``.gz``, ``.zst``).
        on_damage: Told why the rest of it cannot be read.

    Raises:
        OSError: It cannot be opened.
        MissingExtraError: It is ``.zst``, and zstandard is not installed.
    """
    pieces = {".gz": _gzip, ".zst": _zstd}.get(path.suffix, _plain)
    rest = bytearray()
    with path.open("rb") as file:
        for piece in pieces(file, on_damage):
            *lines, last = piece.split(b"\n")
            if lines:
                yield bytes(rest) + lines[0]
                yield from lines[1:]
                rest = bytearray(last)
            else:
                rest += last
            while len(rest) > MAX_LINE_BYTES:
                yield bytes(rest[:MAX_LINE_BYTES])
                del rest[:MAX_LINE_BYTES]
    if rest:
        yield bytes(rest)


def _plain(file: IO[bytes], on_damage: Callable[[str], None]) -> Iterator[bytes]:
    try:
        while piece := file.read(_PIECE):
            yield piece
    except OSError as error:
        on_damage(str(error.strerror or error))


def _gzip(file: IO[bytes], on_damage: Callable[[str], None]) -> Iterator[bytes]:
    member = zlib.decompressobj(wbits=31)
    for piece in _plain(file, on_damage):
        data = piece
        while data:
            try:
                plain = member.decompress(data, _PIECE)
            except zlib.error:
                on_damage("damaged: it cannot be decompressed from here on")
                return
            if plain:
                yield plain
            data = member.unconsumed_tail
            if member.eof:
                data = member.unused_data.lstrip(b"\0")
                member = zlib.decompressobj(wbits=31)


def _zstd(file: IO[bytes], on_damage: Callable[[str], None]) -> Iterator[bytes]:
    try:
        import zstandard
    except ModuleNotFoundError:
        message = "Reading a compressed log or tape needs 'zstandard': pip install 'agent-step-log[tap]'"
        raise MissingExtraError(message) from None
    reader = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW).stream_reader(
        file, read_across_frames=True
    )
    try:
        while piece := reader.read(_PIECE):
            yield piece
    except zstandard.ZstdError:
        on_damage("damaged: it cannot be decompressed from here on")
    except OSError as error:
        on_damage(str(error.strerror or error))
