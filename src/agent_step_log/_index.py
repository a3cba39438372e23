"""Step N of a large log without reading what is before it.

Steps begin in order, so the line where step N begins is found by bisecting the file:
some twenty reads of a few kilobytes, no index to build or keep. What is found so is
given only if it is certainly all: a step's ending says by `start_ts` whether it has a
beginning elsewhere. A step that is not found whole so (several runs or writers in one
file, threads far out of order, damage in the way, a step still open) has the file
indexed in memory on the first such question: 16 bytes a step.
"""

from __future__ import annotations

import os
import re
from array import array
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Self

import msgspec

from agent_step_log._reader import MAX_LINE_BYTES, Lines, parse_record, parse_records, split_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent_step_log._reader import Damage
    from agent_step_log._record import Record

__all__ = ["LogIndex"]

_LARGEST = 10**18  # of the numbers looked for by bisection: nobody's step, and a limit for the pattern
_HEAD = re.compile(rb'\{"run_id":("[^"\\]*+(?:\\.[^"\\]*+)*+"),"step":(\d{1,18}),"type":"')
_PROBE = 4096  # bytes looked at in one step of the bisection
_NEAR = 256 * 1024  # bytes after a step's beginning in which its ending is looked for
_CHUNK = 1024 * 1024
_FEW = 3  # lines looked at where a guess has led
_CLOSE = 12  # numbers off at which a guess is good enough


class _Place(msgspec.Struct):
    run_id: str
    step: int
    writer: str | None = None


_decode_place = msgspec.json.Decoder(_Place).decode


class LogIndex:
    """Random access to the steps of one plain log file, which may be growing.

    Thread-safe. Holds one descriptor: close it, or use ``with``.

    Args:
        path: The file; not a compressed one.
        run_id: The run asked about. Default: that of the file's first record.
        writer: The writer asked about. Default: the one that created the file.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, run_id: str | None = None, writer: str | None = None
    ) -> None:
        self.path = Path(path)
        self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        self.writer = writer
        self.run_id = run_id if run_id is not None else self._first_run_id()
        self._places: _Places | None = None
        self._lines = Lines(self.path, _ignore)
        self._read_to = 0
        # Held while the file is indexed: two threads would index the same lines twice.
        self._indexing = Lock()

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def step(self, number: int) -> list[Record]:
        """Return the records of step *number* in file order: its beginning and ending, or the one it has."""
        if self.run_id is None:
            self.run_id = self._first_run_id()
        if number < 1:
            return []
        if self._places is None and number < _LARGEST:
            for start in self._ways_to(number):
                found = self._near(start, number)
                if _is_all(found):
                    return found
        return self._indexed(number)

    # -- without an index ------------------------------------------------------

    def _ways_to(self, number: int) -> Iterator[int]:
        """Yield offsets a little before where step *number* begins: a quick guess, then a sure one."""
        head = msgspec.json.encode(self.run_id)
        for guess in (True, False):
            start = self._search(number, head, guess=guess)
            if start is None:
                return
            yield start

    def _search(self, number: int, head: bytes, *, guess: bool) -> int | None:
        """Return an offset a little before step *number*; None where order does not lead there.

        Guessing goes where the number should stand if all lines were of one length, looks at
        a few lines there, and stops when it is close. Otherwise the file is halved each time
        and each look takes in all it has read.
        """
        low, high = 0, os.fstat(self._fd).st_size
        low_step, high_step = 0, self._last_step(high, head) if guess else 0
        while high - low > _PROBE:
            middle = (low + high) // 2
            if guess and low_step < number < high_step:
                share = (number - low_step) / (high_step - low_step)
                middle = min(max(int(low + (high - low) * share) - _PROBE // 2, low + 1), high - _PROBE // 2)
            probe = self._probe(middle, head, _FEW if guess else None)
            if probe is None or probe[0] >= high:
                high = middle
                continue
            at, highest = probe
            if highest < 0:
                return None
            if guess and abs(number - highest) < _CLOSE:
                return max(0, at - _PROBE if highest < number else at - 4 * _PROBE)
            # Endings carry lower numbers than their surroundings; the highest near here is the present one.
            if highest < number:
                low, low_step = at, highest
            else:
                high, high_step = middle, highest
        return max(0, low - _PROBE)

    def _last_step(self, size: int, head: bytes) -> int:
        """Return a step near the end of the file; 0 when there is none to be seen."""
        probe = self._probe(max(0, size - 2 * _PROBE), head, None)
        return probe[1] if probe is not None else 0

    def _probe(self, position: int, head: bytes, enough: int | None) -> tuple[int, int] | None:
        """Return ``(offset of a line start, highest step near it)``: -1 of another run, None at the end.

        At most *enough* lines are looked at, all that were read for None.
        """
        size = _PROBE
        while True:
            text = os.pread(self._fd, size, position)
            first = begin = text.find(b"\n") + 1
            highest = seen = 0
            while begin and seen != enough:
                match = _HEAD.match(text, begin)
                if match is not None:
                    if match[1] != head:
                        return position, -1
                    highest = max(highest, int(match[2]))
                    seen += 1
                begin = text.find(b"\n", begin) + 1
            if highest:
                return position + first, highest
            if len(text) < size or size > MAX_LINE_BYTES:
                return None
            size *= 4

    def _near(self, start: int, number: int) -> list[Record]:
        """Return the records of *number* among the lines that begin within reach of *start*."""
        found: list[Record] = []
        marker = b',"step":%d,' % number
        size = 4 * _PROBE
        while True:
            text = os.pread(self._fd, size, start)
            found = [
                record for record in self._lines_with(text, start, marker) if self._is_wanted(record, number)
            ]
            if _is_all(found) or len(text) < size or size >= _NEAR:
                return found
            size *= 4

    def _lines_with(self, text: bytes, start: int, marker: bytes) -> Iterator[Record]:
        position = text.find(marker)
        while position >= 0:
            begin = text.rfind(b"\n", 0, position) + 1
            end = text.find(b"\n", position)
            line = text[begin:end] if end >= 0 else self._line_at(start + begin)
            record = parse_record(line) if begin or not start else None
            if record is not None:
                yield record
            if end < 0:
                return
            position = text.find(marker, end)

    def _is_wanted(self, record: Record, number: int) -> bool:
        return record.step == number and record.run_id == self.run_id and record.writer == self.writer

    def _line_at(self, offset: int) -> bytes:
        size = 2 * _PROBE
        while True:
            text = os.pread(self._fd, size, offset)
            end = text.find(b"\n")
            if end >= 0 or len(text) < size or size > MAX_LINE_BYTES:
                return text if end < 0 else text[:end]
            size *= 4

    # -- with one ---------------------------------------------------------------

    def _indexed(self, number: int) -> list[Record]:
        with self._indexing:
            if self._places is None:
                self._places = _Places()
            self._index(self._places)
            offsets = self._places.of(number)
            rest = self._lines.rest()  # a last line without its newline may be whole
        lines = [*map(self._line_at, offsets), rest]
        # The record is the first of its line where several share one.
        records = [*(parse_records(line)[:1] for line in lines[:-1]), parse_records(rest, is_ended=False)]
        return [record for found in records for record in found if self._is_wanted(record, number)]

    def _index(self, places: _Places) -> None:
        """Index what the file has gained since the last time."""
        while chunk := os.pread(self._fd, _CHUNK, self._read_to):
            self._read_to += len(chunk)
            for _ in self._lines.take(chunk):
                offset = self._lines.position
                for line in self._lines.block:
                    for place, start in _places_in(line):
                        if place.run_id == self.run_id and place.writer == self.writer:
                            places.add(place.step, offset + start)
                    offset += len(line) + 1

    def _first_run_id(self) -> str | None:
        lines, position = Lines(self.path, _ignore), 0
        while chunk := os.pread(self._fd, _CHUNK, position):
            position += len(chunk)
            for _ in lines.take(chunk):
                for line in lines.block:
                    for record in parse_records(line):
                        return record.run_id
        for record in parse_records(lines.rest(), is_ended=False):
            return record.run_id
        return None


class _Places:
    """Offsets by step number: two for each number as long as numbers are dense, lists for the others."""

    def __init__(self) -> None:
        self._count = 0
        self._base = 0
        self._first = array("Q")  # offset + 1, of number base, base + 1, ...; 0 where there is none
        self._second = array("Q")
        self._more: dict[int, list[int]] = {}

    def add(self, number: int, offset: int) -> None:
        if number <= 0:
            return
        if not self._count:
            # A file that others were rotated out of begins with a high number.
            self._base = max(0, number - 1024)
        self._count += 1
        at = number - self._base
        if not 0 <= at < 4 * self._count + 4096:
            self._more.setdefault(number, []).append(offset)
            return
        if at >= len(self._first):
            missing = bytes(8 * (at + 1024 - len(self._first)))
            self._first.frombytes(missing)
            self._second.frombytes(missing)
        if not self._first[at]:
            self._first[at] = offset + 1
        elif not self._second[at]:
            self._second[at] = offset + 1
        else:
            self._more.setdefault(number, []).append(offset)

    def of(self, number: int) -> list[int]:
        """Return the offsets of *number*, in the order of the file."""
        at = number - self._base
        near = [self._first[at], self._second[at]] if 0 <= at < len(self._first) else []
        return sorted([offset - 1 for offset in near if offset] + self._more.get(number, []))


def _is_all(found: list[Record]) -> bool:
    """Whether these records of one step are certainly all it has."""
    if not found or found[-1].type == "step_start":
        return False
    return found[0].type == "step_start" or found[0].start_ts is None


def _places_in(line: bytes) -> Iterator[tuple[_Place, int]]:
    """Yield each record of *line* with where in it it begins."""
    try:
        yield _decode_place(line), 0
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        for part in split_line(line):
            if part.record is not None:
                yield _Place(part.record.run_id, part.record.step, part.record.writer), part.start


def _ignore(damage: Damage) -> None:
    """Tell nobody."""
