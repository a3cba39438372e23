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
        cut         a compressed file that ends early, or cannot be decompressed from here on
        unfinished  the beginning of a record at the very end, told only on request
        not a log, of a later format   one whole file of several

A last line without its newline is no damage: its writer was stopped there, or is
about to go on. It is yielded if it is whole. `docs/format.md` states these rules in
full; the two must agree.
"""

from __future__ import annotations

import json
import os
import re
from time import sleep
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import msgspec

from agent_step_log._mending import mended
from agent_step_log._numbers import finite_number, whole_number
from agent_step_log._record import Record
from agent_step_log._records import FORMAT_VERSION, Number
from agent_step_log._sources import (
    CutShortError,
    as_they_go_on,
    is_compressed,
    log_files,
    next_file,
    open_bytes,
)
from agent_step_log.errors import LogFormatError, LogTooNewError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = [
    "MAX_LINE_BYTES",
    "Damage",
    "Lines",
    "OnDamage",
    "Source",
    "parse_record",
    "parse_records",
    "read_file",
    "read_files",
    "read_log",
    "read_records",
    "split_line",
]

Source: TypeAlias = str | os.PathLike[str]

MAX_LINE_BYTES = 64 * 1024 * 1024
# As much as a processor keeps close: larger ones read slower. At most MAX_LINE_BYTES, so that
# only the first line of a chunk can be too long.
_CHUNK = 64 * 1024
_POLL_S = 0.05  # between two looks at a file being followed
# A line made to hold a million heads must not be decoded a million times.
_MAX_TRIED_BYTES = 4 * MAX_LINE_BYTES
_BLANK = b" \t\r\n"  # JSON's; bytes.strip() would take a vertical tab, too
_OPENING = b'{"run_id":"'
_BETWEEN = b"}\n" + _OPENING  # the longer it is, the faster it is counted
_HEAD = re.compile(rb'\{"run_id":"[^"\\]*+(?:\\.[^"\\]*+)*+","step":-?\d+,"type":"')
_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_decode = msgspec.json.Decoder(Record).decode
_decode_lines = msgspec.json.Decoder(Record).decode_lines
_decode_any = msgspec.json.Decoder().decode
# Tells where a value ends; only damaged lines come here. What a number is does not matter for that.
_raw_decode = json.JSONDecoder(parse_int=len, parse_float=len).raw_decode


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
        on_damage: Called once for each stretch skipped, and for each file of many that is no log or
            is of a later format. Default: nobody is told.
        follow: Go on for ever with what the file gains (one plain file; it may be rotated, replaced or
            cut short).
        stop: Ends a following read when set, once what had been written before is read.

    Raises:
        LogSourceError: There is nothing at *source*.
        LogFormatError: A file named outright holds no record at all, and is not empty.
        LogTooNewError: A later version wrote it; of several files, only if there is no *on_damage*.
        OSError: A file cannot be read.
    """
    files = log_files(source)
    if len(files) == 1 and run_id is None:
        following = follow and not is_compressed(files[0])
        return read_file(files[0], on_damage=on_damage or _ignore, follow=following, stop=stop)
    found = read_files(files, on_damage=on_damage, follow=follow, stop=stop)
    return (record for _, record in found if run_id is None or record.run_id == run_id)


def read_records(
    source: Source,
    *,
    on_damage: OnDamage | None = None,
    report_unfinished: bool = False,
    follow: bool = False,
    stop: _Stop | None = None,
) -> Iterator[tuple[Path, Record]]:
    """Yield each record of *source* with the file it is in; see `read_log` and `read_file`."""
    return read_files(
        log_files(source),
        on_damage=on_damage,
        report_unfinished=report_unfinished,
        follow=follow,
        stop=stop,
    )


def read_files(
    files: list[Path],
    *,
    on_damage: OnDamage | None = None,
    report_unfinished: bool = False,
    follow: bool = False,
    stop: _Stop | None = None,
) -> Iterator[tuple[Path, Record]]:
    """Yield each record of *files* with the file it is in; *follow* is about the last one."""
    tell = on_damage if on_damage is not None else _ignore
    for path in as_they_go_on(files):
        following = follow and path == files[-1] and not is_compressed(path)
        records = read_file(
            path, on_damage=tell, report_unfinished=report_unfinished, follow=following, stop=stop
        )
        try:
            for record in records:
                yield path, record
        except LogFormatError as error:
            is_too_new = isinstance(error, LogTooNewError)
            # One of many: say so and go on. Alone, it was meant. And what lacks the records
            # of a later version must not pass for the whole when nobody is told.
            if len(files) == 1 or (is_too_new and on_damage is None):
                raise
            why = "of a later format" if is_too_new else "not a log"
            tell(Damage(str(path), 0, path.stat().st_size, why))


def read_file(
    path: Path,
    *,
    on_damage: OnDamage,
    report_unfinished: bool = False,
    follow: bool = False,
    stop: _Stop | None = None,
) -> Iterator[Record]:
    """Yield the records of one file; see `read_log`.

    Args:
        report_unfinished: Whether an unfinished last line is told as damage too.
    """
    lines = Lines(path, on_damage, report_unfinished=report_unfinished, follow=follow, stop=stop)
    for text in lines:
        records = _decoded(text) if lines.is_utf8 else None
        if records is None:
            for record in _one_by_one(lines):
                yield _checked(record, path)
        else:
            lines.is_log = True
            for at, record in enumerate(records):
                record.block, record.at = text, at
                if record.format is not None:
                    _checked(record, path)
                yield record
        if not lines.is_log and lines.position > MAX_LINE_BYTES:
            raise LogFormatError(path)
    if not lines.is_log and lines.has_text:
        raise LogFormatError(path)


def _decoded(text: bytes) -> list[Record] | None:
    """Return the records of a block when every line of it is one, which is nearly always; else None."""
    try:
        records = _decode_lines(text)
    except _UNDECODABLE:
        return None
    # One value to a line, if each newline stands between the end of one and the beginning of the
    # next, where it can only be outside of both, and there are as many values as that makes. As
    # many values as lines would not do: a line may hold two, and another one be blank.
    newlines = text.count(b"\n")
    return records if newlines + 1 == len(records) == text.count(_BETWEEN) + 1 else None


def _one_by_one(lines: Lines) -> Iterator[Record]:
    decode = _decode if lines.is_utf8 else _decode_strictly
    for index, line in enumerate(lines.block):
        try:
            record = decode(line)
        except _UNDECODABLE:
            yield from lines.second_look(index)
            continue
        record.block = line
        lines.is_log = True
        yield record


def _ignore(damage: Damage) -> None:
    """Tell nobody."""


def _checked(record: Record, path: Path) -> Record:
    if record.type == "run_start" and record.format is not None and record.format > FORMAT_VERSION:
        raise LogTooNewError(path, found=record.format, supported=FORMAT_VERSION)
    return record


class Lines:
    """The lines of one file in blocks, newline left out, within bounded memory.

    Attributes:
        position: Offset of the first byte of the block at hand.
        has_text: Whether anything but whitespace was met.
        is_log: Whether a record, or the beginning of one, was met.
        is_utf8: Whether the block at hand is.
    """

    def __init__(
        self,
        path: Path,
        on_damage: OnDamage,
        *,
        report_unfinished: bool = False,
        follow: bool = False,
        stop: _Stop | None = None,
    ) -> None:
        self.path = path
        self.position = 0
        self.has_text = self.is_log = False
        self.is_utf8 = True
        self._on_damage = on_damage
        self._follow = follow
        self._stop = stop
        self._is_last_look = False  # told to stop: what was written before that is still to be read
        self._is_drained = False  # the path names another file, and this one was read to its end since
        self._unfinished = "unfinished" if report_unfinished else None  # what to call it; None: say nothing
        self._tail: list[bytes] = []  # of the line whose end has not come yet; empty once it is too long
        self._size = 0  # bytes of that line so far
        self._text = b""  # the block at hand
        self._block: list[bytes] | None = None  # its lines, once asked for
        self._is_last = False  # the block at hand is a last line without its newline
        self._is_cut = False  # a compressed file ended where it should not
        self._looked_at = (0, 0)  # index in the block, and offset, of the line looked at last

    @property
    def block(self) -> list[bytes]:
        """The lines of the block at hand."""
        if self._block is None:
            self._block = self._text.split(b"\n")
        return self._block

    def __iter__(self) -> Iterator[bytes]:
        file = open_bytes(self.path)
        try:
            while True:
                chunk = self._read(file)
                if chunk:
                    self._is_drained = False
                    yield from self.take(chunk)
                elif not self._follow:
                    yield from self._finish()
                    return
                elif (other := self._elsewhere(file)) is not None:
                    yield from self._finish()
                    file.close()
                    file, self.position, self._is_drained = other, 0, False
                elif not self._goes_on():
                    return
        finally:
            file.close()

    def second_look(self, index: int) -> Iterator[Record]:
        """Yield what can be saved of a line of the block that is not one record, and report the rest."""
        line = self.block[index]
        before, offset = self._looked_at
        offset += sum(len(line) + 1 for line in self.block[before:index])
        self._looked_at = index, offset
        for part in split_line(line, is_ended=not self._is_last):
            if part.record is not None:
                self.is_log = True
                yield part.record
                continue
            lost = line[part.start : part.end]
            is_beginning = _OPENING.startswith(lost[: len(_OPENING)])
            if self._is_last and is_beginning and part.end == len(line):
                self.is_log = True
                reason = self._unfinished
            else:
                reason = _reason(lost)
                # A brace alone begins many a file that is no log.
                self.is_log = self.is_log or (reason == "torn" and lost.startswith(_OPENING))
            if reason is not None:
                self._tell(offset + part.start, len(lost), reason)

    def rest(self) -> bytes:
        """Return what there is of the line whose end has not come yet."""
        return b"".join(self._tail)

    def _tell(self, offset: int, length: int, reason: str) -> None:
        self._on_damage(Damage(str(self.path), offset, length, reason))

    def take(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the lines that *chunk*, the next bytes of the file, brings to their end, as one block."""
        end = chunk.find(b"\n")
        if self._size + (end if end >= 0 else len(chunk)) > MAX_LINE_BYTES:
            self._drop_tail(chunk)
            if end < 0:
                self._size += len(chunk)
                return
            self._size += end
            self._tell(self.position, self._size, "too long")
            self.position += self._size + 1
            self._size = 0
            chunk = chunk[end + 1 :]
        whole, newline, rest = chunk.rpartition(b"\n")
        if newline:
            text = b"".join((*self._tail, whole))
            self._tail, self._size = [], 0
            yield self._hand_out(text)
            self.position += len(text) + 1
        if rest:
            self._tail.append(rest)
            self._size += len(rest)

    def _drop_tail(self, chunk: bytes) -> None:
        self.has_text = True
        beginning = self._tail[0] if self._tail else chunk
        self.is_log = self.is_log or (not self._is_too_long() and beginning.startswith(_OPENING))
        self._tail = []

    def _is_too_long(self) -> bool:
        return self._size > 0 and not self._tail

    def _finish(self) -> Iterator[bytes]:
        """Yield the last line if it has no newline."""
        if self._is_too_long():
            self._tell(self.position, self._size, "too long")
        elif self._tail:
            self._is_last = True
            yield self._hand_out(self.rest())
            self._is_last = False
        self.position += self._size
        self._tail, self._size = [], 0
        if self._is_cut:
            self._tell(self.position, 0, "cut")

    def _hand_out(self, text: bytes) -> bytes:
        self.has_text = self.has_text or bool(text.strip(_BLANK))
        self.is_utf8 = _is_utf8(text)
        self._text, self._block, self._looked_at = text, None, (0, self.position)
        return text

    def _read(self, file: IO[bytes]) -> bytes:
        try:
            return file.read(_CHUNK) or b""
        except CutShortError:
            # A record begun here was not left by a writer stopped: its rest was there once.
            self._unfinished = "torn"
            self._is_cut = self.has_text = True
            return b""

    def _goes_on(self) -> bool:
        """Wait for the file to grow; False when told to stop."""
        if self._is_last_look:
            return False
        if self._stop is None:
            sleep(_POLL_S)
        elif self._stop.is_set():
            self._is_last_look = True
        else:
            self._stop.wait(_POLL_S)
        return True

    def _elsewhere(self, file: IO[bytes]) -> IO[bytes] | None:
        """Return the file to go on with when *file*, read to its end, is the log no longer; None if it is."""
        try:
            there, here = self.path.stat(), os.fstat(file.fileno())
            if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino):
                if there.st_size >= self.position + self._size:
                    return None
                self._tail, self._size = [], 0  # cut short: what was begun is gone
                return open_bytes(self.path)
            if not self._is_drained and not self._is_last_look:
                # A line may have come between our last read and the move: read once more.
                self._is_drained = True
                return None
            return open_bytes(next_file(self.path, here))
        except OSError:
            return None  # moved away, and nothing in its place yet


def _is_utf8(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _decode_strictly(line: bytes) -> Record:
    """Decode *line*; the decoder alone would not look into keys it does not know."""
    if not line.isascii():
        line.decode()
    return _decode(line)


class Part(NamedTuple):
    """A stretch of a line: a record, or None for what is lost."""

    start: int
    end: int
    record: Record | None


def parse_record(line: bytes) -> Record | None:
    """Return the record *line* is, with keys of the wrong type left out; None if it is none."""
    try:
        record = _decode_strictly(line)
    except _UNDECODABLE as error:
        return _salvaged(line, mend=True, is_deep=isinstance(error, RecursionError))
    record.block = line
    return record


def parse_records(line: bytes, *, is_ended: bool = True) -> list[Record]:
    """Return the records of *line*: one, several where newlines were lost, or none; see `split_line`."""
    try:
        record = _decode_strictly(line)
    except _UNDECODABLE:
        return [part.record for part in split_line(line, is_ended=is_ended) if part.record is not None]
    record.block = line
    return [record]


def split_line(line: bytes, *, is_ended: bool = True) -> Iterator[Part]:
    """Split a line into the records in it and what is lost; nothing if it is blank.

    From the front: records with nothing or one damaged byte between them, as a lost or a
    flipped newline leaves them. From the back: the end of the line from some head on, as a
    torn write leaves it; no two heads can both begin a record that ends with the line.
    A head in between proves nothing: a record's own payload may hold one.

    Args:
        line: The line, its newline left out.
        is_ended: Whether it had one. A record glued behind a torn one brings its newline with it;
            without one, what looks like a record at the end may be a piece of the torn one.
    """
    if not line.strip(_BLANK):
        return
    record = parse_record(line)
    if record is not None:
        yield Part(0, len(line), record)
        return
    position = 0
    for part in _front(line):
        yield part
        position = part.end
    if not line[position:].strip(_BLANK):
        return
    start, record = _back(line, position) if is_ended else (len(line), None)
    if start > position:
        yield Part(position, start, None)
    if record is not None:
        yield Part(start, len(line), record)


def _front(line: bytes) -> Iterator[Part]:
    """Yield the records the line begins with, and the single bytes between them."""
    # One character a byte, so that places in the text are places in the line.
    text = line.decode("latin-1")
    position = 0
    while _HEAD.match(line, position):
        try:
            _, end = _raw_decode(text, position)
        except (ValueError, RecursionError):
            return
        record = parse_record(line[position:end])
        if record is None:
            return
        yield Part(position, end, record)
        position = end
        if not _HEAD.match(line, end) and _HEAD.match(line, end + 1):
            if line[end : end + 1].strip(_BLANK):
                yield Part(end, end + 1, None)
            position = end + 1


def _back(line: bytes, position: int) -> tuple[int, Record | None]:
    """Return the record the line ends with and where it begins; the end of the line and None if none."""
    tried = 0
    if line.rstrip(_BLANK).endswith(b"}"):
        for start in _from_both_ends([match.start() for match in _HEAD.finditer(line, position)]):
            # Whoever writes a head writes plain JSON: mending here would only cost time.
            record = _salvaged(line[start:], mend=False)
            if record is not None:
                return start, record
            tried += len(line) - start
            if tried > _MAX_TRIED_BYTES:
                break
    return len(line), None


def _from_both_ends(places: list[int]) -> Iterator[int]:
    """Yield the last, the first, the second last, ...: a payload full of heads lies in between."""
    low, high = 0, len(places) - 1
    while low <= high:
        yield places[high]
        if low < high:
            yield places[low]
        low, high = low + 1, high - 1


def _salvaged(line: bytes, *, mend: bool, is_deep: bool = False) -> Record | None:
    try:
        keys = _decode_any(mended(line, is_deep=is_deep) if mend else line)
    except _UNDECODABLE:
        return None
    if type(keys) is not dict:
        return None
    step, seconds = whole_number(keys.get("step")), finite_number(keys.get("ts"))
    if step is None or seconds is None or not _has_names(keys):
        return None
    record = Record(keys["run_id"], step, keys["type"], seconds)
    for field in msgspec.structs.fields(Record)[4:]:
        if field.encode_name in keys:
            setattr(record, field.name, _forgiven(keys[field.encode_name], field))
    record.block = line
    return record


def _has_names(keys: dict[str, Any]) -> bool:
    return type(keys.get("run_id")) is str and type(keys.get("type")) is str


def _forgiven(value: Any, field: msgspec.structs.FieldInfo) -> Any:
    """Return *value* as *field* takes it, or what the field is without it; docs/format.md has the mercies."""
    try:
        if field.type is msgspec.Raw:
            return msgspec.Raw(msgspec.json.encode(value))
        return msgspec.convert(value, field.type)
    except msgspec.ValidationError:
        pass
    if field.type == str | None:
        return str(value) if type(value) in (int, float) else None
    if field.type == int | None:
        return whole_number(value)
    if field.type in (float | None, Number | None):
        return finite_number(value)
    return field.default


def _reason(lost: bytes) -> str:
    try:
        _decode_any(lost)
    except _UNDECODABLE:
        # A kill cuts at the end of a page, which may be a few bytes into the line.
        return "torn" if _OPENING.startswith(lost[: len(_OPENING)]) else "not JSON"
    return "not a record"
