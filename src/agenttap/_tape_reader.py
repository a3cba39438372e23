"""Reading tapes back: by number, in order, or by what is said on them. The format is in `_tape`.

A tape that is still being written, or whose writer was killed, is read up to its last
flushed line. Damage costs its frame and is reported in `Tape.damage`.
"""

from __future__ import annotations

from base64 import b64decode
from bisect import bisect_right
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from agenttap._tape import FORMAT_VERSION, SUFFIX
from agenttap.errors import TapeError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from agenttap._events import Event
    from agenttap.decoders import RequestFacts, ResponseFacts

__all__ = ["Frame", "Tape", "TapeDamage", "TapedExchange", "tapes_of"]

_MAGIC = b"\x28\xb5\x2f\xfd"
_PIECE = 256 * 1024
#: zstd's own limit for a window that is not asked for: 128 MiB.
_MAX_WINDOW = 1 << 27

_decode = msgspec.json.Decoder().decode


class Frame(NamedTuple):
    """One frame: where it is, and what its first line says."""

    offset: int
    length: int
    next: int
    is_finished: bool


class TapeDamage(NamedTuple):
    """Bytes of a tape that cannot be read."""

    offset: int
    reason: str


class TapedExchange:
    """One exchange as the tape has it.

    Attributes:
        n: Its number on the tape.
        ts: Unix seconds when it began.
        client, api, method, url: Who sent what where; `api` None: no model's traffic.
        headers, response_headers: Pairs; credentials are tokens.
        request_body, body: Bytes, content-encoding undone; empty where content is off.
        request_size, size: Bytes on the wire; None: did not happen.
        request_sha256, sha256: Of the bytes on the wire.
        status: HTTP status; None: no response.
        at: When each chunk of the body came: ``[milliseconds after the request, bytes]``.
        times: headers_ms, first_byte_ms, first_content_ms, end_ms.
        state: complete, closed_early, cancelled, cut, failed, or "unfinished": the tape ends before it.
        error, error_type: What went wrong, or None.
        redacted: Secrets taken out.
        request_dropped, dropped: Bytes of the bodies that were not kept.
        usage: The provider's usage object, where content is off.
        step: Number of its `llm_call` in the step log, or None.
        attribution: "process" where the run could not be told from the request's context.
    """

    def __init__(self, start: dict[str, Any]) -> None:
        self.n: int = start["n"]
        self.ts: float = start.get("ts", 0.0)
        self.client: str | None = start.get("client")
        self.api: str | None = start.get("api")
        self.method: str = start.get("method", "")
        self.url: str = start.get("url", "")
        self.headers: list[list[str]] = start.get("headers", [])
        self.attribution: str | None = start.get("attribution")
        self.request_body = b""
        self.request_size: int | None = None
        self.request_sha256: str | None = None
        self.body = b""
        self.status: int | None = None
        self.http_version: str | None = None
        self.response_headers: list[list[str]] = []
        self.size: int | None = None
        self.sha256: str | None = None
        self.at: list[list[float]] = []
        self.edits: list[list[int]] = []
        self.times: dict[str, float] = {}
        self.state = "unfinished"
        self.error: str | None = None
        self.error_type: str | None = None
        self.redacted = 0
        self.request_dropped = self.dropped = 0
        self.usage: dict[str, Any] | None = None
        self.step: int | None = None

    def take(self, line: dict[str, Any]) -> bool:
        """Take one more line of it; True for the last one."""
        kind = line["type"]
        self.redacted += line.get("redacted", 0)
        if kind == "request":
            self.request_body = _body_of(line)
            self.request_size, self.request_sha256 = line.get("size"), line.get("sha256")
            self.request_dropped = line.get("dropped", 0)
            return False
        self.body += _body_of(line)
        self.at += line.get("at", [])
        self.edits += line.get("edits", [])
        if kind != "end":
            return False
        self.status, self.http_version = line.get("status"), line.get("http_version")
        self.response_headers = line.get("headers", [])
        self.size, self.sha256 = line.get("size"), line.get("sha256")
        self.times, self.state = line.get("times", {}), line.get("state", "unfinished")
        self.error, self.error_type = line.get("error"), line.get("error_type")
        self.dropped, self.usage = line.get("dropped", 0), line.get("usage")
        self.step = line.get("step")
        return True

    def request_json(self) -> Any:
        """Return the request's body decoded, or None where it is no JSON."""
        try:
            return _decode(self.request_body)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return None

    def request_facts(self) -> RequestFacts:
        """Return what the request says, decoded anew."""
        from agenttap.decoders import request_facts

        return request_facts(self.api or "unknown", self.url, self.request_json())

    def facts(self) -> ResponseFacts:
        """Return what the response says, decoded anew."""
        from agenttap.decoders import response_decoder

        decoder = response_decoder(
            self.api or "unknown",
            status=self.status or 0,
            headers=self._header_dict(),
            request=self.request_facts(),
        )
        for _, event in self.events():
            decoder.add(event)
        return decoder.facts()

    def events(self) -> list[tuple[float | None, Event]]:
        """Return the events of the body, each with the milliseconds after which its last byte had come."""
        from agenttap._framing import splitter

        cut = splitter(self.api or "unknown", self.status or 200, self._header_dict())
        events = cut.feed(self.body) + cut.end()
        ends = [boundary for boundary, _ in self._boundaries()]
        times = [moment for _, moment in self._boundaries()]
        timed: list[tuple[float | None, Event]] = []
        passed = 0
        for event in events:
            passed += len(event.raw)
            place = bisect_right(ends, passed - 1)
            timed.append((times[min(place, len(times) - 1)] if times else None, event))
        return timed

    def chunks(self) -> list[tuple[float, bytes]]:
        """Return the body as it came: ``(milliseconds after the request, bytes)``."""
        found = []
        begin = 0
        for end, moment in self._boundaries():
            if begin < len(self.body):
                found.append((moment, self.body[begin:end]))
            begin = end
        return found

    def _boundaries(self) -> list[tuple[int, float]]:
        """Return where in the body as it is here each chunk ended, and when it came."""
        ends = accumulate(int(size) for _, size in self.at)
        moments = [moment for moment, _ in self.at]
        return [(_moved(end, self.edits), moment) for end, moment in zip(ends, moments, strict=True)]

    def _header_dict(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.response_headers}


def _moved(place: int, edits: list[list[int]]) -> int:
    """Return where *place* of the body as it came is in the body as it is kept."""
    shift = 0
    for offset, old, new in edits:
        if place <= offset:
            break
        # Inside what was changed: at its end, so that no token is torn.
        if place < offset + old:
            return offset + shift + new
        shift += new - old
    return place + shift


def _body_of(line: dict[str, Any]) -> bytes:
    body = line.get("body", "")
    return b64decode(body) if line.get("encoding") == "base64" else body.encode()


class Tape:
    """One tape, opened for reading. Reads what is asked for; not safe from several threads at once.

    Args:
        path: The file.

    Attributes:
        path: The file.
        run_id, writer: Whose it is.
        damage: What could not be read so far.

    Raises:
        TapeError: It is no tape, or of a later format.
        OSError: It cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.damage: list[TapeDamage] = []
        with self.path.open("rb") as file:
            first = next(self._lines(file, 0, None), None)
        if first is None or first.get("type") != "tape":
            raise TapeError(self.path, "is no tape, or nothing has been written to it yet")
        if first.get("format", 0) > FORMAT_VERSION:
            raise TapeError(
                self.path,
                f"is in tape format {first['format']}; this version reads up to {FORMAT_VERSION}. "
                "Upgrade with: pip install -U agent-step-log",
            )
        self.run_id: str = first.get("run_id", "")
        self.writer: str = first.get("writer", "")

    def exchanges(self) -> Iterator[TapedExchange]:
        """Yield every exchange, in the order they ended; those that did not, last."""
        yield from self._exchanges(0, None)

    def exchange(self, n: int) -> TapedExchange:
        """Return exchange number *n*; reads from the frame it began in.

        Raises:
            TapeError: There is none of that number.
        """
        frames = self.frames()
        at = bisect_right([frame.next for frame in frames], n) - 1
        for found in self._exchanges(frames[max(at, 0)].offset, n):
            return found
        raise TapeError(self.path, f"has no exchange {n}")

    def find(self, text: str) -> Iterator[tuple[TapedExchange, str]]:
        """Yield each exchange whose request, response, URL or error holds *text*, and which of them does.

        Case does not matter. JSON is searched as it stands, and with its escapes undone.
        """
        needle = text.casefold()
        for exchange in self.exchanges():
            places = {
                "url": exchange.url,
                "request": _readable(exchange.request_body),
                "response": _readable(exchange.body),
                "error": exchange.error or "",
            }
            for place, content in places.items():
                if needle in content.casefold():
                    yield exchange, place

    def frames(self) -> list[Frame]:
        """Return the frames; found by walking the headers of their blocks, not by expanding them."""
        frames = []
        with self.path.open("rb") as file:
            offset = 0
            while True:
                length, is_finished = _frame_length(file, offset)
                if not length:
                    break
                first = next(self._lines(file, offset, length), None)
                if first is not None:
                    frames.append(Frame(offset, length, int(first.get("next", 1)), is_finished))
                if not is_finished:
                    break
                offset += length
        return frames or [Frame(0, 0, 1, False)]

    def _exchanges(self, offset: int, wanted: int | None) -> Iterator[TapedExchange]:
        open_ones: dict[int, TapedExchange] = {}
        with self.path.open("rb") as file:
            for line in self._lines(file, offset, None):
                n = line.get("n")
                if type(n) is not int or (wanted is not None and n != wanted):
                    continue
                if line.get("type") == "start":
                    open_ones[n] = TapedExchange(line)
                elif n in open_ones and open_ones[n].take(line):
                    yield open_ones.pop(n)
                    if wanted is not None:
                        return
        yield from (open_ones[n] for n in sorted(open_ones))

    def _lines(self, file: Any, offset: int, length: int | None) -> Iterator[dict[str, Any]]:
        """Yield the lines from *offset* on; of one frame, where its *length* is given."""
        from zstandard import ZstdDecompressor, ZstdError

        decompressor = ZstdDecompressor(max_window_size=_MAX_WINDOW)
        left = length
        position, frame_at = offset, offset
        stream = decompressor.decompressobj()
        pieces: list[bytes] = []
        waiting = b""
        while True:
            file.seek(position)
            if not waiting:
                waiting = file.read(_PIECE if left is None else min(_PIECE, left))
                if not waiting:
                    return
                position += len(waiting)
                left = None if left is None else left - len(waiting)
            try:
                text = stream.decompress(waiting)
            except ZstdError as error:
                self.damage.append(TapeDamage(frame_at, str(error)))
                position = _next_frame(file, frame_at + 1)
                if length is not None or position < 0:
                    return
                frame_at, waiting, pieces = position, b"", []
                stream = decompressor.decompressobj()
                continue
            waiting = stream.unused_data if stream.eof else b""
            if stream.eof:
                frame_at = position - len(waiting)
                stream = decompressor.decompressobj()
            *whole, rest = text.split(b"\n")
            if whole:
                whole[0] = b"".join([*pieces, whole[0]])
                pieces = []
            if rest:
                pieces.append(rest)
            for line in whole:
                try:
                    decoded = _decode(line)
                except (msgspec.DecodeError, RecursionError, UnicodeError):
                    self.damage.append(TapeDamage(frame_at, "a line that is no JSON"))
                    continue
                if type(decoded) is dict:
                    yield decoded


def _frame_length(file: Any, offset: int) -> tuple[int, bool]:
    """Return the bytes of the frame at *offset*, and whether it is finished (RFC 8878, section 3.1.1)."""
    file.seek(offset)
    head = file.read(18)
    if head[:4] != _MAGIC or len(head) < 6:
        return 0, False
    descriptor = head[4]
    is_single, has_checksum = descriptor >> 5 & 1, descriptor >> 2 & 1
    content_size = (1 if is_single else 0, 2, 4, 8)[descriptor >> 6]
    at = offset + 5 + (0 if is_single else 1) + (0, 1, 2, 4)[descriptor & 3] + content_size
    while True:
        file.seek(at)
        block = file.read(3)
        if len(block) < 3:
            return at - offset, False
        header = int.from_bytes(block, "little")
        is_run = (header >> 1 & 3) == 1
        at += 3 + (1 if is_run else header >> 3)
        if header & 1:
            return at - offset + 4 * has_checksum, True


def _next_frame(file: Any, offset: int) -> int:
    """Return where the next frame begins, looking for its magic number; -1 where none does."""
    file.seek(offset)
    before = b""
    while piece := file.read(_PIECE):
        found = (before + piece).find(_MAGIC)
        if found >= 0:
            return int(file.tell() - len(piece) - len(before) + found)
        before = piece[-3:]
    return -1


def _readable(body: bytes) -> str:
    """Return *body* as text, and once more with JSON's escapes undone where it has any."""
    text = body.decode(errors="replace")
    if "\\" not in text:
        return text
    plain = text.replace("\\n", "\n").replace('\\"', '"').replace("\\\\", "\\")
    if "\\u" in text:
        import re

        plain = re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), plain)
    return f"{text}\n{plain}"


def tapes_of(source: str | os.PathLike[str], run_id: str | None = None) -> list[Path]:
    """Return the tapes at *source* (a tape, a log or a directory), oldest first; of one run, if named."""
    from agent_run_id import RunId

    path = Path(source)
    if path.name.endswith(SUFFIX):
        return [path] if path.exists() else []
    directory = path if path.is_dir() else path.parent
    stem = "" if run_id is None else f"{RunId(run_id).safe_name}."
    found = [
        item
        for item in directory.glob(f"*{SUFFIX}")
        if item.name.startswith(stem) and (not stem or item.name.count(".", len(stem)) == SUFFIX.count("."))
    ]
    return sorted(found, key=lambda item: (item.stat().st_mtime_ns, item.name))
