"""Which runs a directory holds, told by the first and the last line of each file.

A recorder gives each run a file of its own, and then these two lines tell all there is to know before
one of them is opened. A file whose first and last record are of one run is taken for that run's.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Peeked", "ends", "peek"]

_SIZES = (16 * 1024, 1024 * 1024)  # bytes looked at for a line; a longer one has the file read as a whole
_SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst")


class _Place(msgspec.Struct):
    run_id: str
    type: str
    ts: float
    step: int


_decode = msgspec.json.Decoder(_Place).decode


class Peeked(NamedTuple):
    """One run: when it began, and its files in reading order."""

    started_at: float
    paths: list[Path]


def peek(directory: Path) -> dict[str, Peeked] | None:
    """Return the runs below *directory*; None where its files do not tell them so simply."""
    found: dict[str, Peeked] = {}
    for path in sorted(directory.rglob("*")):
        if not path.name.endswith(_SUFFIXES) or ".tape." in path.name or not path.is_file():
            continue
        first, last = ends(path) if path.suffix == ".jsonl" else (None, None)
        if first is None or last is None or first.run_id != last.run_id:
            return None
        known = found.get(first.run_id)
        if known is None:
            found[first.run_id] = Peeked(first.ts, [path])
        else:
            found[first.run_id] = Peeked(min(known.started_at, first.ts), [*known.paths, path])
    return found


def ends(path: Path) -> tuple[_Place | None, _Place | None]:
    """Return what the first and the last line of a plain log say; None for one that cannot be told so."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        return _first(fd), _last(fd, size)
    finally:
        os.close(fd)


def _first(fd: int) -> _Place | None:
    for length in _SIZES:
        line, newline, _ = os.pread(fd, length, 0).partition(b"\n")
        if newline:
            return _place(line)
    return None


def _last(fd: int, size: int) -> _Place | None:
    for length in _SIZES:
        begin = max(size - length, 0)
        before, newline, last = os.pread(fd, length, begin).rpartition(b"\n")
        if newline and not last:  # a line cut short says nothing of what comes next
            _, newline, line = before.rpartition(b"\n")
            if newline or not begin:
                return _place(line)
    return None


def _place(line: bytes) -> _Place | None:
    try:
        return _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
