"""What every transcript importer shares: lines in, checked values out.

    transcript := line*                 UTF-8, one JSON object a line
    line       := object "\\n"           a last line without its newline may be half written

A transcript was written by another program, of any version, and holds text from
anywhere: no field is trusted to be there, to have its type, or to be of a sane
size. What is asked for by the functions below comes back checked, or as None.

A complete line that is no JSON object is counted under a reason and skipped. A
last line without its newline that does not parse is a live tail: the tool is
still writing it, so it is neither damage nor counted.

This module opens the file it is given and no other.
"""

from __future__ import annotations

import io
import json as json_stdlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import IO, TYPE_CHECKING, Any

from msgspec import DecodeError, json

from agent_step_log.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: A longer line is skipped, not held in memory: no tool writes such a one in earnest.
LINE_LIMIT_BYTES = 64 << 20
#: Reading stops here: a small .zst can unpack to any size.
FILE_LIMIT_BYTES = 1 << 30
#: No count in a transcript is larger in earnest; a larger one is not known.
COUNT_LIMIT = 10**12

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SURROGATES = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")


@dataclass(slots=True, frozen=True)
class Line:
    """One JSON object of a transcript and its place, counted from 1."""

    number: int
    value: dict[str, Any]


@dataclass(slots=True)
class Reading:
    """What reading one file found beside its records."""

    size_bytes: int = 0
    sha256: str = ""
    skipped: Counter[str] = field(default_factory=Counter)
    has_live_tail: bool = False
    notes: list[str] = field(default_factory=list)


def read_transcript(path: Path, reading: Reading, *, stop_at: int | None = None) -> Iterator[Line]:
    """Yield the JSON objects of *path* in order, and tell *reading* the rest.

    Args:
        path: A JSON Lines file, one compressed with zstd (``.zst``), or one JSON document
            (``.json``) whose ``loglines`` are the records.
        reading: Filled while the lines are taken; complete after the last one.
        stop_at: Read this many bytes at most: what the file held when it was first seen.

    Raises:
        MissingExtraError: *path* ends in ``.zst`` and zstandard is not installed.
        OSError: *path* cannot be read.
    """
    with path.open("rb") as file:
        stream = _decompressed(file) if path.suffix == ".zst" else file
        limit = FILE_LIMIT_BYTES if stop_at is None else stop_at
        if path.suffix == ".json":
            yield from _read_document(stream, reading, limit)
        else:
            yield from _read_lines(stream, reading, limit)


def parse_object(raw: bytes) -> tuple[dict[str, Any] | None, str]:
    """Return the JSON object of one line, or None and the reason it is none."""
    try:
        value = json.decode(raw)
    except (DecodeError, UnicodeDecodeError):
        return _parse_leniently(raw)
    except RecursionError:
        return None, "nested too deep"
    return (value, "") if isinstance(value, dict) else (None, "not an object")


def _parse_leniently(raw: bytes) -> tuple[dict[str, Any] | None, str]:
    """Read what a strict parser refuses but JavaScript writes: halves of emoji, stray bytes, NaN."""
    try:
        text = raw.decode("utf-8-sig", "replace")
        value = json_stdlib.loads(text, parse_constant=lambda _name: None, strict=False)
        return (_without_surrogates(value), "") if isinstance(value, dict) else (None, "not an object")
    except RecursionError:
        return None, "nested too deep"
    except ValueError:
        return None, "not JSON"


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.translate(_SURROGATES)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value


def _read_lines(stream: IO[bytes], reading: Reading, limit: int) -> Iterator[Line]:
    source = _LineSource(stream, reading, limit)
    for number, raw in enumerate(source, 1):
        if len(raw) > LINE_LIMIT_BYTES:
            reading.skipped["longer than 64 MB"] += 1
        elif raw.strip():
            yield from _parsed(raw, number, reading)
    reading.sha256 = source.digest.hexdigest()


def _parsed(raw: bytes, number: int, reading: Reading) -> Iterator[Line]:
    value, reason = parse_object(raw)
    if value is not None:
        yield Line(number, value)
    elif raw.endswith(b"\n"):
        reading.skipped[reason] += 1
    else:
        # The tool writes a record in several pieces and may be in the middle of one.
        reading.has_live_tail = True


class _LineSource:
    """Lines with their newline; in place of one too long, its beginning, too long as well."""

    def __init__(self, stream: IO[bytes], reading: Reading, limit: int) -> None:
        self.stream, self.reading, self.left = stream, reading, limit
        self.digest = sha256()

    def __iter__(self) -> Iterator[bytes]:
        while raw := self._take(LINE_LIMIT_BYTES + 1):
            yield raw
            if len(raw) > LINE_LIMIT_BYTES:
                self._skip_rest_of(raw)
        if self.left <= 0 and self.reading.size_bytes >= FILE_LIMIT_BYTES:
            self.reading.notes.append("only the first gigabyte was read")

    def _skip_rest_of(self, raw: bytes) -> None:
        while raw and not raw.endswith(b"\n"):
            raw = self._take(1 << 20)

    def _take(self, size: int) -> bytes:
        raw = _readline(self.stream, self.reading, min(size, self.left))
        self.left -= len(raw)
        self.reading.size_bytes += len(raw)
        self.digest.update(raw)
        return raw


def _readline(stream: IO[bytes], reading: Reading, size: int) -> bytes:
    try:
        return stream.readline(size)
    except Exception as error:
        # zstandard's own error type, which cannot be named where it is not installed.
        if type(error).__name__ != "ZstdError":
            raise
        reading.notes.append("the compressed data is damaged; what came before it was read")
        return b""


def _read_document(stream: IO[bytes], reading: Reading, limit: int) -> Iterator[Line]:
    raw = stream.read(min(limit, LINE_LIMIT_BYTES + 1))
    reading.size_bytes, reading.sha256 = len(raw), sha256(raw).hexdigest()
    if len(raw) > LINE_LIMIT_BYTES:
        reading.skipped["longer than 64 MB"] += 1
        return
    value, reason = parse_object(raw)
    if value is None:
        reading.skipped[reason] += 1
        return
    for number, item in enumerate(as_list(value.get("loglines")), 1):
        if isinstance(item, dict):
            yield Line(number, item)
        else:
            reading.skipped["not an object"] += 1


def _decompressed(file: IO[bytes]) -> IO[bytes]:
    try:
        import zstandard
    except ModuleNotFoundError:
        message = "Reading .zst needs 'zstandard': pip install 'agent-step-log[tap]'"
        raise MissingExtraError(message) from None
    return io.BufferedReader(
        _Unpacked(zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True))
    )


class _Unpacked(io.RawIOBase):
    """The unpacked bytes of a reader, as they come: a damaged frame does not take the one before with it."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def readable(self) -> bool:
        """Tell the buffer above that this can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill *buffer* as far as one read of the file goes."""
        count: int = self._reader.readinto1(buffer)
        return count


# Checked values -----------------------------------------------------------------------


def as_text(value: Any) -> str | None:
    """Return *value* if it is a string that is not empty."""
    return value if isinstance(value, str) and value else None


def as_name(value: Any) -> str | None:
    """Return *value* if it can serve as a name or an id: a short string."""
    return value if isinstance(value, str) and 0 < len(value) <= 512 else None


def as_count(value: Any) -> int | None:
    """Return *value* if it can be a number of tokens, bytes or calls."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= COUNT_LIMIT else None


def as_amount(value: Any) -> float | int | None:
    """Return *value* if it can be a sum of money; 0 is what tools write that did not count."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if 0 < value <= COUNT_LIMIT else None


def as_dict(value: Any) -> dict[str, Any]:
    """Return *value*, or an empty object in place of what is none."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """Return *value*, or an empty list in place of what is none."""
    return value if isinstance(value, list) else []


def as_milliseconds(value: Any, *, per_unit: float = 1.0) -> float | int | None:
    """Return a duration of *value* units in milliseconds, None if it cannot be one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not 0 <= value <= COUNT_LIMIT:
        return None
    return value if per_unit == 1.0 else round(value * per_unit, 3)


def as_seconds(value: Any) -> float | None:
    """Return the Unix seconds of an ISO 8601 time; one without a zone is UTC."""
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        moment = datetime.fromisoformat(value)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = (aware - _EPOCH).total_seconds()
    except (ValueError, OverflowError):
        return None
    return seconds if seconds >= 0 else None


def elapsed_ms(start: float | None, end: float | None) -> float | None:
    """Return the milliseconds from *start* to *end*, None if either is unknown or the order is wrong."""
    if start is None or end is None or end < start:
        return None
    return round((end - start) * 1000, 3)


def clipped(text: str, limit: int) -> str:
    """Return *text* cut to *limit* characters, the cut shown."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def headline(text: str | None) -> str | None:
    """Return the first line of *text* that says something, short enough for a list."""
    lines = (line.strip() for line in clipped(text or "", 4000).splitlines())
    first = next((line for line in lines if line), None)
    return clipped(first, 100) if first else None
