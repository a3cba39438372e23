"""What a path given to a reader means: which files, in which order, and their bytes.

    file        it, after the files it was rotated into (``run.000001.jsonl``, ...)
    directory   every log below it, sorted by path
    pattern     every log it matches (``*``, ``?``, ``[...]``, ``**``)

Logs are recognised by name: ``.jsonl``, also ``.gz`` and ``.zst`` of it. A file named
outright may be called anything.
"""

from __future__ import annotations

import glob
import os
import re
from itertools import pairwise
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from agent_step_log.errors import LogSourceError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent_step_log._reader import Source

__all__ = [
    "CutShortError",
    "as_they_go_on",
    "files_since",
    "is_compressed",
    "log_files",
    "next_file",
    "open_bytes",
]

_SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst")
_COMPRESSED = (".gz", ".zst")
_ZSTD_FEED = 4096  # compressed bytes taken at once: even of zeros these make some 100 MB at most


class CutShortError(Exception):
    """A compressed file ends early or is damaged; all that could be had of it has been read."""


def log_files(source: Source) -> list[Path]:
    """Return the files *source* names, in reading order.

    Raises:
        LogSourceError: There is no such file, or no log in that directory or pattern.
    """
    name = os.fspath(source)
    if "\0" in name:
        raise LogSourceError(repr(name), "a path cannot hold NUL")
    path = Path(name)
    if path.is_dir():
        files = [file for file in sorted(path.rglob("*")) if _is_log(file)]
        if not files:
            raise LogSourceError(
                path, "no log in this directory (looked for *.jsonl, *.jsonl.gz, *.jsonl.zst)"
            )
        return files
    rotated = _rotated(path)
    if path.exists() or rotated:
        # Its writer may have been killed when it had moved the file aside, and not made the next one yet.
        return [*rotated, path] if path.exists() else rotated
    if glob.has_magic(name):
        files = [file for file in map(Path, sorted(glob.glob(name, recursive=True))) if file.is_file()]  # noqa: PTH207
        if files:
            return files
        raise LogSourceError(name, "no file matches this pattern")
    raise LogSourceError(path, "no such file or directory")


def is_compressed(path: Path) -> bool:
    """Whether *path* is read through a decompressor, and so cannot be sought or followed."""
    return path.suffix in _COMPRESSED


def files_since(path: Path, inode: tuple[int, int] | None) -> list[tuple[Path, tuple[int, int]]]:
    """Return the file *inode* (device and number) that once was at *path*, and those that came after it.

    Each with its own inode. Only the one at *path* when that file is not there any more.
    """
    files = [file for file in _rotated(path) if not is_compressed(file)]
    found = [(file, (status.st_dev, status.st_ino)) for file in [*files, path] for status in [file.stat()]]
    starts = [index for index, (_, each) in enumerate(found) if each == inode]
    return found[starts[0] :] if starts else found[-1:]


def as_they_go_on(files: list[Path]) -> Iterator[Path]:
    """Yield *files* in order. Before one whose log was rotated since the first was asked for, what that made.

    Reading takes long, and a log may be moved aside before its turn comes: what was at its path then is in
    another file now.
    """
    inodes = {path: _inode(path) for path in files} if len(files) > 1 else {}
    known = set(files)
    for path in files:
        inode = inodes.get(path)
        since: list[Path] = []
        if inode is not None and _inode(path) != inode:
            parts = [file for file in _rotated(path) if not is_compressed(file)]
            starts = [place for place, part in enumerate(parts) if _inode(part) == inode]
            since = [part for part in parts[starts[0] :] if part not in known] if starts else []
            yield from since
        # Moved aside this very moment, it has no next file yet.
        if not since or path.exists():
            yield path


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def next_file(path: Path, status: os.stat_result) -> Path:
    """Return what to read after the file of *status*, which once was at *path* and was moved aside."""
    files = [file for file in _rotated(path) if not is_compressed(file)]
    for file, after in pairwise([*files, path]):
        there = file.stat()
        if (there.st_dev, there.st_ino) == (status.st_dev, status.st_ino):
            return after
    return path


def open_bytes(path: Path) -> IO[bytes]:
    """Open *path* for reading, decompressed. The caller closes it.

    Reading a compressed file raises `CutShortError` where it ends early or is damaged.

    Raises:
        MissingExtraError: a .zst file without the zstandard library.
        OSError: it cannot be opened.
    """
    if path.suffix == ".gz":
        return cast("IO[bytes]", _Gzip(path))
    if path.suffix == ".zst":
        return cast("IO[bytes]", _Zstd(path))
    return path.open("rb", buffering=0)


class _Gzip:
    """A gzip file, read so that nothing decompressed before a damaged place is lost."""

    def __init__(self, path: Path) -> None:
        import gzip
        import zlib

        self._errors = (EOFError, gzip.BadGzipFile, zlib.error)
        self._file = gzip.GzipFile(path, "rb")

    def read(self, size: int) -> bytes:
        try:
            # read() would drop what it already has when it meets the damage.
            return self._file.read1(size)
        except self._errors as error:
            raise CutShortError from error

    def close(self) -> None:
        self._file.close()


class _Zstd:
    """A zstd file of any number of frames; like `_Gzip`. The library's own stream takes a cut for the end."""

    def __init__(self, path: Path) -> None:
        try:
            import zstandard
        except ModuleNotFoundError:
            message = f"Reading {path} needs 'zstandard': pip install 'agent-step-log[tap]'"
            raise MissingExtraError(message) from None
        self._error = zstandard.ZstdError
        self._library = zstandard.ZstdDecompressor()
        self._frame: Any = None
        self._rest = b""  # compressed bytes of the frame to come
        self._file = path.open("rb")

    def read(self, _size: int) -> bytes:
        while True:
            compressed = self._rest or self._file.read(_ZSTD_FEED)
            self._rest = b""
            if not compressed:
                if self._frame is not None:
                    self._frame = None
                    raise CutShortError
                return b""
            data = self._decompress(compressed)
            if data:
                return data

    def _decompress(self, compressed: bytes) -> bytes:
        try:
            if self._frame is None:
                self._frame = self._library.decompressobj()
            data: bytes = self._frame.decompress(compressed)
        except self._error as error:
            self._frame = None
            self._file.seek(0, os.SEEK_END)
            raise CutShortError from error
        if self._frame.eof:
            self._rest = self._frame.unused_data
            self._frame = None
        return data

    def close(self) -> None:
        self._file.close()


def _is_log(path: Path) -> bool:
    return path.name.endswith(_SUFFIXES) and ".tape." not in path.name and path.is_file()


def _rotated(path: Path) -> list[Path]:
    """Return the files *path* was rotated into, oldest first; compressed since, maybe."""
    name = re.compile(rf"{re.escape(path.stem)}\.[0-9]{{6}}{re.escape(path.suffix)}(?:\.gz|\.zst)?")
    try:
        with os.scandir(path.parent) as entries:
            return sorted(path.parent / entry.name for entry in entries if name.fullmatch(entry.name))
    except OSError:
        return []  # no such directory: then there is no such file, which is for others to say
