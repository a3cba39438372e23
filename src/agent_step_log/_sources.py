"""What a path given to a reader means: which files, in which order, and their bytes.

    file        it, after the files it was rotated into (``run.000001.jsonl``, ...)
    directory   every log below it, sorted by path
    pattern     every log it matches (``*``, ``?``, ``[...]``, ``**``)

Logs are recognised by name: ``.jsonl``, also ``.gz`` and ``.zst`` of it. A file named
outright may be called anything.
"""

from __future__ import annotations

import glob
import gzip
import os
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from agent_step_log.errors import LogSourceError, MissingExtraError

if TYPE_CHECKING:
    from agent_step_log._reader import Source

__all__ = ["is_compressed", "log_files", "open_bytes"]

_SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst")


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
    if path.exists():
        return [*_rotated(path), path]
    if glob.has_magic(name):
        files = [file for file in map(Path, sorted(glob.glob(name, recursive=True))) if file.is_file()]  # noqa: PTH207
        if files:
            return files
        raise LogSourceError(name, "no file matches this pattern")
    raise LogSourceError(path, "no such file or directory")


def is_compressed(path: Path) -> bool:
    """Whether *path* is read through a decompressor, and so cannot be sought or followed."""
    return path.suffix in (".gz", ".zst")


def open_bytes(path: Path) -> IO[bytes]:
    """Open *path* for reading, decompressed. The caller closes it.

    Raises:
        MissingExtraError: a .zst file without the zstandard library.
        OSError: it cannot be opened.
    """
    if path.suffix == ".gz":
        return cast("IO[bytes]", gzip.open(path, "rb"))
    if path.suffix == ".zst":
        try:
            import zstandard
        except ModuleNotFoundError:
            message = f"Reading {path} needs 'zstandard': pip install 'agent-step-log[tap]'"
            raise MissingExtraError(message) from None
        decompressor = zstandard.ZstdDecompressor()
        return cast("IO[bytes]", decompressor.stream_reader(path.open("rb"), read_across_frames=True))
    return path.open("rb", buffering=0)


def _is_log(path: Path) -> bool:
    return path.name.endswith(_SUFFIXES) and ".tape." not in path.name and path.is_file()


def _rotated(path: Path) -> list[Path]:
    pattern = f"{glob.escape(path.stem)}.[0-9][0-9][0-9][0-9][0-9][0-9]{glob.escape(path.suffix)}"
    return sorted(path.parent.glob(pattern))
