"""One pass over the files of a log: the head of each record and where it stands, not what it holds.

Lines are decoded in blocks into few keys. A line that does not decode so is handed to
`agent_step_log.read_log`, which knows what can be saved of it and what to call the rest.
"""

from __future__ import annotations

import os
import tempfile
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from agent_step_log import FORMAT_VERSION, Damage, Record, read_log
from agent_step_log.errors import LogFormatError, LogTooNewError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent_debug_replay._table import Head

__all__ = ["Block", "LogFile", "decode_record", "is_compressed"]

_CHUNK = 256 * 1024
#: Longer lines are skipped without being held, as every reader of logs may.
_MAX_LINE_BYTES = 64 * 1024 * 1024
_BLANK = b" \t\r\n"


class _Head(msgspec.Struct, gc=False):
    """The keys of a record that a row is made of."""

    run_id: str
    step: int
    type: str
    ts: float
    of: str | None = None
    model: str | None = None
    tool: str | None = None
    agent: str | None = None
    name: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    duration_ms: float | None = None
    stop_reason: str | None = None
    error: str | None = None
    error_type: str | None = None
    attempt: int | None = None
    start_ts: float | None = None
    parent: int | None = None
    parent_writer: str | None = None
    writer: str | None = None
    format: int | None = None


_decode = msgspec.json.Decoder(_Head).decode
_decode_record = msgspec.json.Decoder(Record).decode
_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Block(NamedTuple):
    """Records that stand together, with where each begins and how long its line is."""

    heads: Sequence[Head]
    offsets: Sequence[int]
    lengths: Sequence[int]


def is_compressed(path: Path) -> bool:
    """Whether *path* is read through a decompressor."""
    return path.suffix in (".gz", ".zst")


class LogFile:
    """One file of a log, read from the front and, at any offset, again. Holds a descriptor; close it.

    A compressed file is written out to an unnamed temporary file as it is read, records
    only, so that one of its records can be had without all those before it.

    Args:
        path: The file.

    Attributes:
        position: Bytes read so far that were whole lines.
        size: Bytes of it when it was opened or looked at last.
        damage: What was no record.
        is_log: Whether a record was met.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_compressed = is_compressed(path)
        self.position = 0
        self.damage: list[Damage] = []
        self.is_log = self.has_text = False
        self._skipping = 0  # bytes of a line too long, so far
        if self.is_compressed:
            with tempfile.TemporaryFile() as spool:
                self.fd = os.dup(spool.fileno())
        else:
            self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size = path.stat().st_size if self.is_compressed else os.fstat(self.fd).st_size

    def close(self) -> None:
        """Close it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def bytes_at(self, offset: int, length: int) -> bytes:
        """Return what stands there; shorter when the file has shrunk since."""
        return os.pread(self.fd, length, offset)

    def blocks(self) -> Iterator[Block]:
        """Yield what the file has beyond `position`; a last line without its newline is read again next time.

        Raises:
            LogTooNewError: A later version wrote it.
        """
        yield from self._spooled() if self.is_compressed else self._plain()

    def _plain(self) -> Iterator[Block]:
        self._skipping = 0
        # What was said of the last line may not hold now that it has gone on.
        self.damage = [item for item in self.damage if item.offset < self.position]
        rest: list[bytes] = []
        held = 0
        at = self.position
        while chunk := os.pread(self.fd, _CHUNK, at):
            at += len(chunk)
            self.size = max(self.size, at)
            whole, newline, tail = chunk.rpartition(b"\n")
            if self._skipping or held + (chunk.find(b"\n") if newline else len(chunk)) > _MAX_LINE_BYTES:
                rest, held = self._skip(chunk, held)
                if self._skipping:
                    continue
                # The line too long has ended in this chunk: go on behind it.
                at = self.position
                continue
            if newline:
                text = b"".join((*rest, whole))
                yield from self._parsed(text, self.position)
                self.position += len(text) + 1
                rest, held = [], 0
            if tail:
                rest.append(tail)
                held += len(tail)
        if self._skipping:
            self.damage.append(Damage(str(self.path), self.position, self._skipping, "too long"))
        elif rest:
            yield from self._parsed(b"".join(rest), self.position, is_ended=False)

    def _skip(self, chunk: bytes, held: int) -> tuple[list[bytes], int]:
        """Pass over a line too long; it ends in *chunk*, or goes on."""
        self.has_text = True
        if not self._skipping:
            self._skipping = held
        end = chunk.find(b"\n")
        if end < 0:
            self._skipping += len(chunk)
            return [], 0
        length = self._skipping + end
        self.damage.append(Damage(str(self.path), self.position, length, "too long"))
        self.position += length + 1
        self._skipping = 0
        return [], 0

    def _spooled(self) -> Iterator[Block]:
        heads: list[Record] = []
        offsets: list[int] = []
        lengths: list[int] = []
        written = 0
        pieces: list[bytes] = []
        for record in read_log(self.path, on_damage=self.damage.append):
            self.is_log = self.has_text = True
            _check(record, self.path)
            line = record.line
            heads.append(record)
            offsets.append(written)
            lengths.append(len(line))
            pieces += (line, b"\n")
            written += len(line) + 1
            if len(heads) == 1000:
                _write_all(self.fd, b"".join(pieces))
                yield Block(heads, offsets, lengths)
                heads, offsets, lengths, pieces = [], [], [], []
        if heads:
            _write_all(self.fd, b"".join(pieces))
            yield Block(heads, offsets, lengths)
        self.position = written

    def _parsed(self, text: bytes, offset: int, *, is_ended: bool = True) -> Iterator[Block]:
        lines = text.split(b"\n")
        try:
            if not text.isascii():
                text.decode()
            heads = list(map(_decode, lines))
        except _UNDECODABLE:
            yield from self._one_by_one(lines, offset, is_ended=is_ended)
            return
        lengths = list(map(len, lines))
        offsets = list(accumulate([length + 1 for length in lengths[:-1]], initial=offset))
        self.is_log = self.has_text = True
        if [head.format for head in heads].count(None) < len(heads):
            for head in heads:
                _check(head, self.path)
        yield Block(heads, offsets, lengths)

    def _one_by_one(self, lines: list[bytes], offset: int, *, is_ended: bool) -> Iterator[Block]:
        """Yield the records of lines of which at least one is none, and note what was lost."""
        found: list[tuple[int, int, Head]] = []
        doubtful: list[tuple[int, bytes]] = []
        for line in lines:
            if line.strip(_BLANK):
                try:
                    line.decode()
                    found.append((offset, len(line), _decode(line)))
                except _UNDECODABLE:
                    doubtful.append((offset, line))
            offset += len(line) + 1
        if doubtful:
            self.has_text = True
            last_offset = doubtful[-1][0]
            is_last_open = not is_ended and last_offset + len(doubtful[-1][1]) + 1 == offset
            records, damage = second_look(doubtful, self.path, is_ended=not is_last_open)
            found += records
            self.damage += damage
        found.sort(key=lambda item: item[0])
        if found:
            self.is_log = True
            for _, _, head in found:
                _check(head, self.path)
            yield Block(
                [head for _, _, head in found], [at for at, _, _ in found], [size for _, size, _ in found]
            )


def second_look(
    lines: Sequence[tuple[int, bytes]], path: Path, *, is_ended: bool = True
) -> tuple[list[tuple[int, int, Head]], list[Damage]]:
    """Return what the reader of logs can save of *lines*, and the damage, by their offsets in *path*.

    Args:
        lines: Each with its offset.
        path: Named in the damage.
        is_ended: Whether the last one has its newline.
    """
    text = b"\n".join(line for _, line in lines) + (b"\n" if is_ended else b"")
    begins: list[int] = []
    at = 0
    for _, line in lines:
        begins.append(at)
        at += len(line) + 1
    found: list[tuple[int, int, Head]] = []
    damage: list[Damage] = []

    def place(position: int) -> int:
        from bisect import bisect_right

        index = bisect_right(begins, position) - 1
        return lines[index][0] + position - begins[index]

    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory) / "lines.jsonl"
        copy.write_bytes(text)
        at = 0
        reading = read_log(copy, on_damage=damage.append)
        try:
            for record in reading:
                line = record.line
                at = max(text.find(line, at), 0)
                found.append((place(at), len(line), record))
                at += len(line)
        except LogTooNewError as error:
            raise LogTooNewError(path, found=error.found, supported=error.supported) from None
        except LogFormatError:
            pass  # nothing could be saved, and all of it was told as damage
    return found, [Damage(str(path), place(item.offset), item.length, item.reason) for item in damage]


def decode_record(line: bytes, path: Path) -> Record:
    """Return the record *line* is, with keys of the wrong type left out.

    Raises:
        LogFormatError: It is none: the file has changed since it was read.
    """
    try:
        if not line.isascii():
            line.decode()
        record = _decode_record(line)
    except _UNDECODABLE:
        found, _ = second_look([(0, line)], path)
        if len(found) != 1 or not isinstance(found[0][2], Record):
            raise LogFormatError(path, "has changed since it was read; open it again") from None
        return found[0][2]
    record.block = line
    return record


def _check(record: Head, path: Path) -> None:
    version: int | None = getattr(record, "format", None)
    if version is not None and version > FORMAT_VERSION and record.type == "run_start":
        raise LogTooNewError(path, found=version, supported=FORMAT_VERSION)


def _write_all(fd: int, data: bytes) -> None:
    try:
        while data:
            data = data[os.write(fd, data) :]
    except OSError as error:  # it does not say where
        why = f"{error.strerror}, for an uncompressed copy of the log; TMPDIR names another place"
        raise OSError(error.errno, why, tempfile.gettempdir()) from None
