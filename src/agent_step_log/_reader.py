"""Reading a log back: every whole record, and word of the bytes that are none.

A line that does not decode is looked at twice. A record with keys of the wrong type
is still a record: those keys are left out. Else it is damage, and the records in it
are saved: a writer killed inside a write leaves the beginning of a line, the next
record is glued behind it, and both share one newline. Every record begins with the
same head, so the end of the line, from some head on, is that next record.

    Damage(path, offset, length, reason)
        torn        the beginning of a record, its end missing
        not JSON    bytes that are no record at all
        not a record   JSON without the head of a record
        too long    a line over MAX_LINE_BYTES; it is skipped without being held
        cut         a compressed file that ends early

A last line without its newline is no damage: its writer was stopped there, or is
about to go on. It is yielded if it is whole.
"""

from __future__ import annotations

import json
import os
import re
from time import sleep
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeAlias

import msgspec

from agent_step_log._records import FORMAT_VERSION, Record
from agent_step_log._sources import is_compressed, log_files, open_bytes
from agent_step_log.errors import LogFormatError, LogTooNewError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["MAX_LINE_BYTES", "Damage", "OnDamage", "Source", "read_file", "read_log"]

Source: TypeAlias = str | os.PathLike[str]

MAX_LINE_BYTES = 64 * 1024 * 1024
_CHUNK = 1024 * 1024
_POLL_S = 0.05  # between two looks at a file being followed
_MAX_HEADS = 64  # tried in one damaged line, half from each end
_HEAD = re.compile(rb'\{"run_id":"(?:[^"\\]|\\.)*","step":-?\d+,"type":"')

_decode = msgspec.json.Decoder(Record).decode
_decode_any = msgspec.json.Decoder().decode


class Damage(msgspec.Struct, frozen=True):
    """A stretch of a log that is not a record: *length* bytes at *offset* of *path* (decompressed)."""

    path: str
    offset: int
    length: int
    reason: str


class _Stop(Protocol):
    """What can end a following read; `threading.Event` is one."""

    def is_set(self) -> bool: ...
    def wait(self, timeout: float) -> object: ...


OnDamage: TypeAlias = "Callable[[Damage], None]"


def read_log(
    source: Source,
    *,
    run_id: str | None = None,
    on_damage: OnDamage | None = None,
    follow: bool = False,
    stop: _Stop | None = None,
) -> Iterator[Record]:
    """Yield the records of *source* in the order they stand there; steps are ordered by `step`, not by line.

    Args:
        source: A file, directory or pattern; ``.gz`` and ``.zst`` too.
        run_id: Only records of this run.
        on_damage: Called once for each stretch skipped. Default: nobody is told.
        follow: Go on for ever with what the file gains (one plain file; it may be moved or cut short).
        stop: Ends a following read when set.

    Raises:
        LogSourceError: There is nothing at *source*.
        LogFormatError: A file named outright holds no record at all, and is not empty.
        LogTooNewError: A later version wrote it.
        OSError: A file cannot be read.
    """
    files = log_files(source)
    tell = on_damage if on_damage is not None else _ignore
    for path in files:
        following = follow and path is files[-1] and not is_compressed(path)
        try:
            for record in read_file(path, on_damage=tell, follow=following, stop=stop):
                if run_id is None or record.run_id == run_id:
                    yield record
        except LogTooNewError:
            raise
        except LogFormatError:
            # One of many: say so and go on. Alone, it was meant, and is an error.
            if len(files) == 1:
                raise
            tell(Damage(str(path), 0, path.stat().st_size, "not a log"))


def read_file(
    path: Path,
    *,
    on_damage: OnDamage,
    offset: int = 0,
    follow: bool = False,
    stop: _Stop | None = None,
) -> Iterator[Record]:
    """Yield the records of one file from *offset* on; see `read_log`."""
    lines = _Lines(path, offset, on_damage, follow, stop)
    found = False
    for block in lines:
        for index, line in enumerate(block):
            try:
                record = _decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                for record in _second_look(line, lines.offset_of(index), path, on_damage):
                    found = True
                    yield _checked(record, path)
                continue
            record.line = line
            if record.format is not None:
                _checked(record, path)
            found = True
            yield record
        if not found and lines.position > offset + MAX_LINE_BYTES:
            raise LogFormatError(path)
    if not found and lines.has_text and offset == 0:
        raise LogFormatError(path)


def _ignore(damage: Damage) -> None:
    """Tell nobody."""


def _checked(record: Record, path: Path) -> Record:
    if record.type == "run_start" and record.format is not None and record.format > FORMAT_VERSION:
        raise LogTooNewError(path, found=record.format, supported=FORMAT_VERSION)
    return record


class _Lines:
    """The lines of one file in blocks, newline left out, within bounded memory.

    Attributes:
        position: Offset of the first byte not yet handed out.
        has_text: Whether anything but whitespace was met.
    """

    def __init__(
        self, path: Path, offset: int, on_damage: OnDamage, follow: bool, stop: _Stop | None
    ) -> None:
        self.path = path
        self.position = offset
        self.has_text = False
        self._on_damage = on_damage
        self._follow = follow
        self._stop = stop
        self._put_back = b""
        self._block: list[bytes] = []
        self._block_at = offset

    def offset_of(self, index: int) -> int:
        """Offset in the file of line *index* of the block at hand."""
        return self._block_at + sum(len(line) + 1 for line in self._block[:index])

    def __iter__(self) -> Iterator[list[bytes]]:
        file = open_bytes(self.path)
        try:
            if self.position:
                file.seek(self.position)
            tail: list[bytes] = []
            size = 0
            while True:
                chunk = self._read(file)
                if not chunk:
                    if not self._follow or self._is_stopped():
                        break
                    file, moved = self._moved(file, self.position + size)
                    if moved:
                        tail, size, self.position = [], 0, 0
                    continue
                head, newline, rest = chunk.rpartition(b"\n")
                if newline:
                    yield self._hand_out(b"".join((*tail, head)))
                    self.position += size + len(head) + 1
                    tail, size = [], 0
                tail.append(rest)
                size += len(rest)
                if size > MAX_LINE_BYTES:
                    size += self._skip_line(file)
                    self._on_damage(Damage(str(self.path), self.position, size, "too long"))
                    self.has_text = True
                    self.position += size + 1
                    tail, size = [], 0
            last = b"".join(tail)
            if last and not self._follow:
                yield from self._last_line(last)
        finally:
            file.close()

    def _hand_out(self, text: bytes) -> list[bytes]:
        self.has_text = self.has_text or bool(text.strip())
        self._block, self._block_at = text.split(b"\n"), self.position
        return self._block

    def _last_line(self, line: bytes) -> Iterator[list[bytes]]:
        """A line without its newline: handed out if it is a record, left out in silence if not."""
        self.has_text = self.has_text or not _HEAD.match(line)
        if _whole(line) is not None:
            yield self._hand_out(line)

    def _read(self, file: IO[bytes]) -> bytes:
        if self._put_back:
            chunk, self._put_back = self._put_back, b""
            return chunk
        try:
            return file.read(_CHUNK) or b""
        except (EOFError, OSError, ValueError) as error:
            if not is_compressed(self.path):
                raise
            self._on_damage(Damage(str(self.path), self.position, 0, f"cut: {type(error).__name__}"))
            return b""
        except Exception as error:
            # zstandard has an error class of its own, which cannot be named without importing it.
            if type(error).__name__ != "ZstdError":
                raise
            self._on_damage(Damage(str(self.path), self.position, 0, "cut: ZstdError"))
            return b""

    def _skip_line(self, file: IO[bytes]) -> int:
        """Read to the next newline, holding nothing; return how many bytes that was, newline left out."""
        skipped = 0
        while chunk := self._read(file):
            end = chunk.find(b"\n")
            if end >= 0:
                self._put_back = chunk[end + 1 :]
                return skipped + end
            skipped += len(chunk)
        return skipped

    def _is_stopped(self) -> bool:
        if self._stop is None:
            sleep(_POLL_S)
            return False
        if not self._stop.is_set():
            self._stop.wait(_POLL_S)
            return False
        # Set: one more look has already been taken, and found nothing.
        return True

    def _moved(self, file: IO[bytes], position: int) -> tuple[IO[bytes], bool]:
        """Open the file anew when the path names another one, or it became shorter than what was read."""
        try:
            there, here = self.path.stat(), os.fstat(file.fileno())
        except OSError:
            return file, False  # moved away, and nothing in its place yet
        if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino) and there.st_size >= position:
            return file, False
        file.close()
        return open_bytes(self.path), True


def _second_look(line: bytes, offset: int, path: Path, on_damage: OnDamage) -> Iterator[Record]:
    """Yield what can be saved of a line that is not one record, and report the rest of it."""
    if not line.strip():
        return
    record = _whole(line)
    if record is not None:
        yield record
        return
    for start, end, found in _saved(line):
        if found is None:
            on_damage(Damage(str(path), offset + start, end - start, _reason(line[start:end])))
        else:
            yield found


def _whole(line: bytes) -> Record | None:
    """Return the record *line* is, with keys of the wrong type left out; None if it is none."""
    try:
        record = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _salvaged(line)
    record.line = line
    return record


def _salvaged(line: bytes) -> Record | None:
    try:
        keys = _decode_any(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not _has_head(keys):
        return None
    record = Record(keys["run_id"], keys["step"], keys["type"], float(keys["ts"]))
    for field in msgspec.structs.fields(Record)[4:]:
        if field.name in keys:
            try:
                setattr(record, field.name, msgspec.convert(keys[field.name], field.type))
            except msgspec.ValidationError:
                if field.type == str | None and isinstance(keys[field.name], (int, float)):
                    setattr(record, field.name, str(keys[field.name]))
    record.line = line
    return record


def _has_head(keys: Any) -> bool:
    return (
        type(keys) is dict
        and type(keys.get("run_id")) is str
        and type(keys.get("step")) is int
        and type(keys.get("type")) is str
        and type(keys.get("ts")) in (int, float)
    )


def _saved(line: bytes) -> Iterator[tuple[int, int, Record | None]]:
    """Split a damaged line into ``(start, end, record)`` and ``(start, end, None)`` for what is lost.

    From the front: records one damaged byte apart, as a flipped newline leaves them.
    From the back: the end of the line from some head on, as a torn write leaves it.
    A head in between proves nothing: a record's own payload may hold one.
    """
    position = 0
    while (end := _record_end(line, position)) is not None:
        yield position, end, _whole(line[position:end])
        position = end + 1
    position = max(position - 1, 0)
    if position >= len(line):
        return
    for start in _heads(line, position):
        record = _whole(line[start:])
        if record is not None:
            if start > position:
                yield position, start, None
            yield start, len(line), record
            return
    yield position, len(line), None


def _heads(line: bytes, position: int) -> list[int]:
    # A line made to hold a million heads would otherwise be decoded a million times.
    starts = [match.start() for match in _HEAD.finditer(line, position)]
    if len(starts) > _MAX_HEADS:
        return starts[: _MAX_HEADS // 2] + starts[-_MAX_HEADS // 2 :]
    return starts


def _record_end(line: bytes, position: int) -> int | None:
    """Return where the record that begins at *position* ends; None when none begins there."""
    if not _HEAD.match(line, position):
        return None
    try:
        # The standard library's decoder tells where a value ends; only damaged lines come here.
        text = line[position:].decode("utf-8", "surrogateescape")
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None
    end = position + len(text[:end].encode("utf-8", "surrogateescape"))
    return end if _whole(line[position:end]) is not None else None


def _reason(fragment: bytes) -> str:
    if _HEAD.match(fragment):
        return "torn"
    try:
        _decode_any(fragment)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "not JSON"
    return "not a record"
