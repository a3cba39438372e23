"""Files the engine cannot read as `read_log` does: read by our own reader, and their records put into a copy.

The engine takes a line for one JSON object or loses it. Our own reader saves more: records glued together,
lone surrogates, a first line behind a byte order mark. And of a key met twice it takes the last, the
engine the first. So a file with such lines is read once by our reader, and the engine reads what that wrote.

Copies are the user's records: they stand in a directory only the user may enter, which goes
when the logs are closed.
"""

from __future__ import annotations

import errno
from contextlib import suppress
from pathlib import Path  # noqa: TC003  the tests of public names look at it
from typing import IO, TYPE_CHECKING, NamedTuple

import msgspec

from agent_step_log._reader import Damage, read_file
from agent_step_log.errors import LogFormatError, LogTooNewError

if TYPE_CHECKING:
    from agent_step_log._record import Record

__all__ = ["Examined", "examine"]

#: A write that fails for these does not say where.
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class Examined(NamedTuple):
    """What our own reader makes of a file.

    Attributes:
        damage: As `read_log` reports it; a file that is no log, or of a later format, as one whole.
        error: Why reading ended early, if it did: no log, or of a later format.
    """

    damage: list[Damage]
    error: LogFormatError | None


def examine(path: Path, copy: Path | None = None, *, anew: bool = False) -> Examined:
    """Read *path* with our own reader.

    Args:
        path: The file.
        copy: Where to put its records, one to a line. Default: nowhere.
        anew: Whether each line is encoded anew, so that no key is in it twice. Default: only those
            the engine could not read.

    Raises:
        MissingExtraError: A ``.zst`` file without the zstandard library.
        OSError: It cannot be read, or *copy* not be written.
    """
    damage: list[Damage] = []
    try:
        if copy is None:
            for _ in read_file(path, on_damage=damage.append):
                pass
        else:
            _copy(path, copy, damage, anew=anew)
    except LogFormatError as error:
        why = "of a later format" if isinstance(error, LogTooNewError) else "not a log"
        return Examined([*damage, Damage(str(path), 0, path.stat().st_size, why)], error)
    return Examined(damage, None)


def _copy(path: Path, copy: Path, damage: list[Damage], *, anew: bool) -> None:
    try:
        with copy.open("wb") as file:
            _write(path, damage, file, anew=anew)
    except OSError as error:
        # Half of it is of no use, and takes room that somebody may be about to make.
        with suppress(OSError):
            copy.unlink()
        if error.errno not in _NO_ROOM:
            raise
        why = f"{error.strerror}, for a copy of {path.name} that can be queried; TMPDIR names another place"
        raise OSError(error.errno, why, str(copy.parent)) from None


def _write(path: Path, damage: list[Damage], file: IO[bytes], *, anew: bool) -> None:
    for record in read_file(path, on_damage=damage.append):
        file.write(_encode(record.to_dict()) if anew else _plain(record))
        file.write(b"\n")


def _plain(record: Record) -> bytes:
    """Return the line of *record*, mended if it is not JSON as it stands."""
    line = record.line.lstrip(b"\xef\xbb\xbf \t\r\x0b")
    try:
        line.decode()
        _decode(line)
    except _UNDECODABLE:
        return _encode(record.to_dict())
    return line
