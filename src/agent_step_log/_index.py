"""Step N of a large log without reading what is before it.

Steps begin in order, so the line where step N begins is found by bisecting the file:
some twenty reads of a few kilobytes, no index to build or keep. A log this does not
hold for (several runs, several writers, damage in the way) is indexed in memory on
the first question that needs it: 16 bytes a record.
"""

from __future__ import annotations

import os
import re
from array import array
from bisect import bisect_left
from pathlib import Path
from typing import TYPE_CHECKING, Self

import msgspec

from agent_step_log._reader import MAX_LINE_BYTES, _whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent_step_log._record import Record

__all__ = ["LogIndex"]

_HEAD = re.compile(rb'\{"run_id":("(?:[^"\\]|\\.)*"),"step":(\d+),"type":"([^"\\]*)"')
_PROBE = 4096  # bytes looked at in one step of the bisection
_NEAR = 256 * 1024  # bytes after a step's beginning in which its ending is looked for
_CHUNK = 4 * 1024 * 1024


class _Place(msgspec.Struct):
    run_id: str
    step: int
    writer: str | None = None


_decode_place = msgspec.json.Decoder(_Place).decode


class LogIndex:
    """Random access to the steps of one plain log file, which may be growing.

    Thread-safe once made. Holds one descriptor: close it, or use ``with``.

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
        first = _HEAD.match(os.pread(self._fd, _PROBE, 0))
        found = msgspec.json.decode(first[1], type=str) if first else None
        self.run_id = run_id if run_id is not None else found
        self._head = msgspec.json.encode(self.run_id)
        self._steps: array[int] | None = None
        self._offsets: array[int] | None = None
        self._indexed_to = 0

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
        start = self._bisect(number)
        if start is not None:
            found = self._near(start, number)
            if found and (found[0].type != "step_start" or len(found) > 1):
                return found
        self._index()
        return self._indexed(number)

    # -- without an index ------------------------------------------------------

    def _bisect(self, number: int) -> int | None:
        """Return the offset of the line step *number* begins with; None where order does not lead there."""
        low, high = 0, os.fstat(self._fd).st_size
        while high - low > _PROBE:
            middle = (low + high) // 2
            probe = self._probe(middle)
            if probe is None or probe[0] >= high:
                high = middle
                continue
            at, highest = probe
            if highest < 0:
                return None
            # Endings carry lower numbers than their surroundings; the highest near here is the present one.
            if highest < number:
                low = at
            else:
                high = middle
        return max(0, low - _PROBE)

    def _probe(self, position: int) -> tuple[int, int] | None:
        """Return ``(offset of a line start, highest step near it)``: -1 of another run, None at the end."""
        size = _PROBE
        while True:
            text = os.pread(self._fd, size, position)
            newline = text.find(b"\n")
            highest = 0
            if newline >= 0:
                for match in _HEAD.finditer(text, newline + 1):
                    if text[match.start() - 1 : match.start()] != b"\n":
                        continue  # a head inside a payload
                    if match[1] != self._head:
                        return position, -1
                    highest = max(highest, int(match[2]))
            if highest:
                return position + newline + 1, highest
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
            ended = bool(found) and found[-1].type != "step_start"
            if ended or len(text) < size or size >= _NEAR:
                return found
            size *= 4

    def _lines_with(self, text: bytes, start: int, marker: bytes) -> Iterator[Record]:
        position = text.find(marker)
        while position >= 0:
            begin = text.rfind(b"\n", 0, position) + 1
            end = text.find(b"\n", position)
            line = text[begin:end] if end >= 0 else self._line_at(start + begin)
            record = _whole(line) if begin or not start else None
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

    def _index(self) -> None:
        """Index what the file has gained since the last time."""
        steps, offsets = self._steps or array("Q"), self._offsets or array("Q")
        for offset, line in self._lines_from(self._indexed_to):
            self._indexed_to = offset + len(line) + 1
            if self._head not in line[: len(self._head) + 64]:
                continue
            try:
                place = _decode_place(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue
            if place.step > 0 and place.run_id == self.run_id and place.writer == self.writer:
                steps.append(place.step)
                offsets.append(offset)
        order = sorted(range(len(steps)), key=steps.__getitem__)
        self._steps = array("Q", [steps[i] for i in order])
        self._offsets = array("Q", [offsets[i] for i in order])

    def _lines_from(self, position: int) -> Iterator[tuple[int, bytes]]:
        rest = b""
        while chunk := os.pread(self._fd, _CHUNK, position + len(rest)):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield position, line
                position += len(line) + 1

    def _indexed(self, number: int) -> list[Record]:
        assert self._steps is not None and self._offsets is not None  # noqa: PT018  made together by _index
        records = []
        at = bisect_left(self._steps, number)
        while at < len(self._steps) and self._steps[at] == number:
            record = _whole(self._line_at(self._offsets[at]))
            if record is not None:
                records.append(record)
            at += 1
        return records
