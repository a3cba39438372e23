"""A response body cut into events, from bytes that may come in pieces of any size.

    SSE            one event a message, up to and with the empty line that ends it; any line ending
    lines          one JSON document a line (NDJSON)
    document       one JSON document: one event when it has ended
    array          Gemini's: one event an element of the outermost array, as each is complete
    event stream   application/vnd.amazon.eventstream: one event a frame, its checksums compared
    raw            anything else: handed on in pieces of `RAW_BYTES`, never held

Messages that do no more than continue a text may come joined (see `agenttap._runs`).

Which of them a body is its first bytes say; the content type decides only where
they leave it open, because it is wrong or missing often enough. The `raw` of all
events, joined, is the body; how it was cut into chunks changes no event.

`data` is None where an event holds no JSON: SSE's ``[DONE]``, comments, damage,
and an event that the end of the body cut. Bytes that are no UTF-8 inside of JSON
are read as U+FFFD. Of the frames of Bedrock's InvokeModel, ``{"bytes": base64}``,
`data` is the JSON inside.

Nothing here raises. What is held back until it is complete is bounded by
`MAX_EVENT_BYTES` for an event and `MAX_DOCUMENT_BYTES` for a document; past
that, the rest of the body is raw.
"""

from __future__ import annotations

import json
import re
import struct
from binascii import Error as Base64Error
from binascii import a2b_base64
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol
from zlib import crc32

import msgspec

from agenttap._events import Event
from agenttap._runs import Joiner, Run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agenttap._runs import Read

__all__ = ["MAX_DOCUMENT_BYTES", "MAX_EVENT_BYTES", "RAW_BYTES", "Splitter", "splitter"]

#: Size of the pieces in which a body of unknown kind is handed on.
RAW_BYTES = 64 * 1024
#: The longest event that is waited for; providers send a generated image in one.
MAX_EVENT_BYTES = 32 * 1024 * 1024
#: The largest JSON document that is waited for.
MAX_DOCUMENT_BYTES = 128 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"
_SNIFFED = 16  # bytes behind white space and a byte order mark that tell what a body is
_SPACE = b" \t\r\n"

_decode = msgspec.json.Decoder().decode


def decode_json(document: bytes) -> Any:
    """Return what *document* holds; None if it is no JSON."""
    try:
        return _decode(document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    # Still worth reading: NaN, half a surrogate, a byte that is no UTF-8.
    if document.lstrip(_SPACE)[:1] not in (b"{", b"["):
        return None
    try:
        return json.loads(document.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


class Splitter(Protocol):
    """Cuts one body. One thread at a time."""

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes and return the events that are complete by now."""

    def end(self) -> list[Event]:
        """Return what is left: no more bytes will come."""


def splitter(api: str, status: int, headers: dict[str, str], *, may_join: bool = False) -> Splitter:
    """Return what cuts the body of one response.

    Args:
        api: As `agenttap.decoders.recognise` names it; Gemini's arrays are cut into their elements.
        status: The HTTP status; any body may come with any.
        headers: The response's, names in lower case; of them only the content type is read.
        may_join: Messages that do no more than continue a text come joined, as one `agenttap._runs.Run`.
    """
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    cuts_arrays = api.startswith("gemini.") and status < 400
    return _Sniffing(content_type, cuts_arrays=cuts_arrays, joined=api if may_join else None)


class _Sniffing:
    """Holds the first bytes until they tell what the body is, then hands over."""

    def __init__(self, content_type: str, *, cuts_arrays: bool, joined: str | None) -> None:
        self._content_type = content_type
        self._cuts_arrays = cuts_arrays
        self._joined = joined
        self._held = b""
        self._chosen: Splitter | None = None

    def feed(self, data: bytes) -> list[Event]:
        if self._chosen is not None:
            return self._chosen.feed(data)
        self._held += data
        head = _skip_white(self._held)
        if len(head) < _SNIFFED and len(self._held) < RAW_BYTES:
            return []
        return self._choose(head).feed(self._take())

    def end(self) -> list[Event]:
        if self._chosen is not None:
            return self._chosen.end()
        if not self._held:
            return []
        chosen = self._choose(_skip_white(self._held))
        return [*chosen.feed(self._take()), *chosen.end()]

    def _take(self) -> bytes:
        held, self._held = self._held, b""
        return held

    def _choose(self, head: bytes) -> Splitter:
        self._chosen = self._splitter(head[:_SNIFFED])
        return self._chosen

    def _splitter(self, head: bytes) -> Splitter:
        if head[:1] == b"{":
            return _Documents(self._joined, may_be_lines=True, is_lines="ndjson" in self._content_type)
        if head[:1] == b"[":
            return _Array() if self._cuts_arrays else _Documents(None)
        if _is_prelude(self._held):
            return _Frames(self._joined)
        if _is_sse(head) or (self._content_type == "text/event-stream" and head[:1] != b"<"):
            return _Sse(self._joined)
        return _Raw()


def _skip_white(data: bytes) -> bytes:
    return data.removeprefix(_BOM).lstrip(_SPACE)


_is_sse = re.compile(rb"(?:data|event|id|retry)?:").match


class _Raw:
    """Pieces of one size, so that chunks do not show."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> list[Event]:
        self._held += data
        if len(self._held) < RAW_BYTES:
            return []
        whole = len(self._held) // RAW_BYTES * RAW_BYTES
        events = [Event(bytes(self._held[at : at + RAW_BYTES])) for at in range(0, whole, RAW_BYTES)]
        del self._held[:whole]
        return events

    def end(self) -> list[Event]:
        held, self._held = bytes(self._held), bytearray()
        return [Event(held)] if held else []


class _Held:
    """Bytes that wait for the rest of their event, and the way out when it grows without end."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._raw: _Raw | None = None

    def _give_up(self, rest: bytes | bytearray) -> list[Event]:
        """Hand on *rest*, and all that follows, as it is."""
        self._held = bytearray()
        self._raw = _Raw()
        return self._raw.feed(bytes(rest))

    def feed(self, data: bytes) -> list[Event]:
        if self._raw is not None:
            return self._raw.feed(data)
        return self._feed(data)

    def end(self) -> list[Event]:
        if self._raw is not None:
            return self._raw.end()
        return self._end()

    def _feed(self, data: bytes) -> list[Event]:
        raise NotImplementedError

    def _end(self) -> list[Event]:
        raise NotImplementedError


# ── SSE ─────────────────────────────────────────────────────────────────────

# Atomic, or the two halves of one CRLF would pass for an empty line.
_MESSAGE_END = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_LINE = re.compile(rb"([^\r\n]*)(?>\r\n|\n|\r|\Z)")


class _Sse(_Held):
    def __init__(self, joined: str | None) -> None:
        super().__init__()
        self._is_first = True
        self._joiners = {end: Joiner(joined, end, self._reader(end)) for end in (b"\n\n", b"\r\n\r\n")}

    def _feed(self, data: bytes) -> list[Event]:
        if self._held:
            # An end may have begun up to three bytes before.
            seen = max(len(self._held) - 3, 0)
            self._held += data
            if _MESSAGE_END.search(self._held, seen) is None:
                return self._give_up(self._held) if len(self._held) > MAX_EVENT_BYTES else []
            data = bytes(self._held)
        returns = data.count(b"\r")
        if not returns or returns == data.count(b"\r\n") == data.count(b"\n"):
            events, rest = self._joiners[b"\r\n\r\n" if returns else b"\n\n"].take(data)
        else:
            parts, rest = self._cut(data)
            events = [self._message(part) for part in parts]
        self._held = bytearray(rest)
        return events

    def _cut(self, data: bytes) -> tuple[list[bytes], bytes]:
        parts, begin = [], 0
        for found in _MESSAGE_END.finditer(data):
            end = found.end()
            if end == len(data) and data[-1] == 13:  # the LF of a CRLF may be still to come
                break
            parts.append(data[begin:end])
            begin = end
        return parts, data[begin:]

    def _reader(self, end: bytes) -> Read:
        """Return what reads messages that have one kind of line ending: nearly all there are."""
        line_end = end[: len(end) // 2]
        data_line = line_end + b"data: "

        def read(messages: list[bytes]) -> list[Event]:
            events: list[Event] = []
            append, decode = events.append, _decode
            if not messages[0].startswith(_BOM):
                self._is_first = False
            # What stands before the JSON is mostly what stood there the last time.
            head, name = b"data: ", None
            for raw in messages:
                if not raw.startswith(head):
                    head, name = b"data: ", None
                    at = raw.find(line_end) if raw.startswith(b"event: ") else -1
                    if at > 0 and raw.startswith(data_line, at):
                        head, name = raw[: at + len(data_line)], _name(raw[7:at])
                data = raw[len(head) : -len(end)] if raw.startswith(head) else b""
                if data and b"\n" not in data:
                    try:
                        append(Event(raw, decode(data), name))
                        continue
                    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                        pass
                append(self._message(raw))
            return events

        return read

    def _message(self, raw: bytes) -> Event:
        """Read any message, as the standard says."""
        body = raw.removeprefix(_BOM) if self._is_first else raw
        self._is_first = False
        name, data = None, []
        for found in _LINE.finditer(body):
            field, _, value = found[1].partition(b":")
            value = value.removeprefix(b" ")
            if field == b"data":
                data.append(value)
            elif field == b"event":
                name = _name(value)
        return Event(raw, decode_json(b"\n".join(data)) if data else None, name)

    def _end(self) -> list[Event]:
        parts, rest = self._cut(bytes(self._held))
        self._held = bytearray()
        return [self._message(part) for part in (*parts, rest) if part]


def _name(value: bytes) -> str | None:
    return value.decode("utf-8", "replace") or None


# ── JSON, whole and by lines ────────────────────────────────────────────────


class _Documents(_Held):
    """One document, or one a line: an object that ends with its line and is not the last are lines."""

    def __init__(self, joined: str | None, *, may_be_lines: bool = False, is_lines: bool = False) -> None:
        super().__init__()
        self._joiner = Joiner(joined, b"\n", lambda lines: list(map(_line, lines)))
        self._may_be_lines = may_be_lines
        self._is_lines = is_lines
        self._behind = 0  # where the first line ends, if it is a document

    def _feed(self, data: bytes) -> list[Event]:
        seen = len(self._held)
        self._held += data
        if self._may_be_lines and not self._is_lines:
            self._look_for_lines(seen)
        if self._is_lines:
            return self._lines(seen)
        return self._give_up(self._held) if len(self._held) > MAX_DOCUMENT_BYTES else []

    def _look_for_lines(self, seen: int) -> None:
        held = self._held
        if not self._behind:
            end = held.find(b"\n", max(seen, held.find(b"{", 0, RAW_BYTES)))
            if end < 0:
                return
            if type(decode_json(_skip_white(bytes(held[:end])))) is not dict:
                self._may_be_lines = False
                return
            self._behind = seen = end + 1
        self._is_lines = bool(held[seen:].strip(_SPACE))

    def _lines(self, seen: int) -> list[Event]:
        end = self._held.rfind(b"\n", 0 if self._behind else seen) + 1
        self._behind = 0
        if not end:
            return self._give_up(self._held) if len(self._held) > MAX_EVENT_BYTES else []
        whole = bytes(self._held[:end])
        del self._held[:end]
        return self._joiner.take(whole)[0]

    def _end(self) -> list[Event]:
        held, self._held = bytes(self._held), bytearray()
        return [_line(held)] if held else []


def _line(raw: bytes) -> Event:
    return Event(raw, decode_json(raw.removeprefix(_BOM)))


class _Array(_Held):
    """The elements of one array; what stands between two goes with the second."""

    def __init__(self) -> None:
        super().__init__()
        self._at = 0  # how far `_held` has been looked through
        self._depth = 0
        self._is_text = False
        self._is_first = True

    def _feed(self, data: bytes) -> list[Event]:
        self._held += data
        events = []
        begin = 0
        for end in self._ends():
            events.append(self._element(bytes(self._held[begin:end])))
            begin = end
        del self._held[:begin]
        self._at -= begin
        if len(self._held) > MAX_EVENT_BYTES:
            events += self._give_up(self._held)
        return events

    def _ends(self) -> Iterator[int]:
        held, at = self._held, self._at
        while (found := (_IN_TEXT if self._is_text else _OUT_OF_TEXT).search(held, at)) is not None:
            at, token = found.end(), held[found.start()]
            if token == _BACKSLASH:
                if at == len(held):  # what it escapes is still to come
                    at -= 1
                    break
                at += 1
            elif token == _QUOTE:
                self._is_text = not self._is_text
            elif token in b"{[":
                self._depth += 1
            else:
                self._depth -= 1
                if self._depth == 1:
                    yield at
        else:
            at = len(held)
        self._at = at

    def _element(self, raw: bytes) -> Event:
        # Behind the array's own bracket, or the comma after the element before.
        inner = raw.removeprefix(_BOM).lstrip(_SPACE)
        inner = inner.removeprefix(b"[" if self._is_first else b",")
        self._is_first = False
        return Event(raw, decode_json(inner))

    def _end(self) -> list[Event]:
        held, self._held = bytes(self._held), bytearray()
        return [Event(held)] if held else []


_BACKSLASH, _QUOTE = b'\\"'
_IN_TEXT = re.compile(rb'["\\]')
_OUT_OF_TEXT = re.compile(rb'["{}\[\]]')


# ── Amazon's event stream ───────────────────────────────────────────────────

_unpack_prelude = struct.Struct(">III").unpack_from
_unpack_sum = struct.Struct(">I").unpack_from
_UINT16 = struct.Struct(">H")
# type of a header's value: its size in bytes; text and bytes (6, 7) tell theirs
_FIXED = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}


def _is_prelude(data: bytes) -> bool:
    if len(data) < 12:
        return False
    total, _, checksum = _unpack_prelude(data)
    return bool(total >= 16 and crc32(data[:8]) == checksum)


class _Frames(_Held):
    def __init__(self, joined: str | None) -> None:
        super().__init__()
        self._wanted = 12  # bytes without which nothing can be done
        self._headers: dict[bytes, dict[str, str]] = {}  # those seen: nearly all frames share a few
        self._joined = joined
        self._joiner = Joiner(joined, b"\n", lambda lines: [Event(line, decode_json(line)) for line in lines])

    def _feed(self, data: bytes) -> list[Event]:
        self._held += data
        if len(self._held) < self._wanted:
            return []
        held, at = bytes(self._held), 0
        frames: list[bytes] = []
        blocks: list[bytes] = []
        is_damaged = False
        self._wanted = 12
        while len(held) - at >= 12:
            total, headers, checksum = _unpack_prelude(held, at)
            # A damaged length leads nowhere: no later frame can be found.
            if crc32(held[at : at + 8]) != checksum or not 16 + headers <= total <= MAX_EVENT_BYTES:
                is_damaged = True
                break
            if len(held) - at < total:
                self._wanted = total
                break
            frame = held[at : at + total]
            if crc32(frame[:-4]) != _unpack_sum(frame, total - 4)[0]:
                is_damaged = True
                break
            frames.append(frame)
            blocks.append(frame[12 : 12 + headers])
            at += total
        events = self._events(frames, blocks)
        if is_damaged:
            return [*events, *self._give_up(held[at:])]
        del self._held[:at]
        return events

    def _events(self, frames: list[bytes], blocks: list[bytes]) -> list[Event]:
        """Read *frames*; those with the same headers are read together."""
        events: list[Event] = []
        begin = 0
        for _, group in groupby(blocks):
            end = begin + len(list(group))
            read = self._read if self._joined is None or end - begin < _ALIKE else self._read_alike
            events += read(frames[begin:end])
            begin = end
        return events

    def _read(self, frames: list[bytes]) -> list[Event]:
        return [self._event(frame) for frame in frames]

    def _read_alike(self, frames: list[bytes]) -> list[Event]:
        """Read frames with the same headers as if what is in them were lines."""
        begin = 12 + _unpack_prelude(frames[0])[1]
        lines = [frame[begin:-4] for frame in frames]
        if lines[0].startswith(b'{"bytes":'):
            lines = [_out_of_envelope(line) for line in lines]
        text = b"\n".join([*lines, b""])
        if text.count(b"\n") != len(frames):
            return self._read(frames)
        events: list[Event] = []
        name, at = None, 0
        for line in self._joiner.take(text)[0]:
            if type(line) is Run:
                count = len(line.raws)
                events.append(line.of(frames[at : at + count], self._read))
                at += count
            elif name is None or type(line.data) is not dict or "bytes" in line.data:
                events.append(self._event(frames[at]))
                name = events[-1].name
                at += 1
            else:
                events.append(Event(frames[at], line.data, name))
                at += 1
        return events

    def _event(self, raw: bytes) -> Event:
        _, headers_bytes, _ = _unpack_prelude(raw)
        headers = self._named(raw[12 : 12 + headers_bytes])
        data = decode_json(raw[12 + headers_bytes : -4])
        name = headers.get(":event-type") or headers.get(":exception-type") or headers.get(":error-code")
        if data is None and ":error-message" in headers:
            data = {"message": headers[":error-message"]}
        if type(data) is dict and type(data.get("bytes")) is str:
            inner = _from_base64(data["bytes"])
            data = data if inner is None else inner
        return Event(raw, data, name)

    def _named(self, block: bytes) -> dict[str, str]:
        headers = self._headers.get(block)
        if headers is None:
            headers = _frame_headers(block)
            if len(self._headers) < 64:
                self._headers[block] = headers
        return headers

    def _end(self) -> list[Event]:
        held, self._held = bytes(self._held), bytearray()
        return [Event(held)] if held else []


# As InvokeModel puts each event of the model's own stream.
_ENVELOPE = re.compile(rb'\{"bytes":"([A-Za-z0-9+/]*+={0,2}+)"(?:,"p":"[A-Za-z0-9]*+")?+\}')
#: Frames with the same headers that are worth being read together.
_ALIKE = 8


def _out_of_envelope(payload: bytes) -> bytes:
    envelope = _ENVELOPE.fullmatch(payload)
    try:
        return payload if envelope is None else a2b_base64(envelope[1])
    except Base64Error:
        return payload


def _from_base64(text: str) -> Any:
    try:
        return decode_json(a2b_base64(text))
    except (Base64Error, ValueError):
        return None


def _frame_headers(block: bytes) -> dict[str, str]:
    """Return the headers of one frame that are text; as far as they can be read."""
    headers, at = {}, 0
    try:
        while at < len(block):
            size = block[at]
            name = block[at + 1 : at + 1 + size].decode("utf-8", "replace")
            kind = block[at + 1 + size]
            at += size + 2
            if kind in _FIXED:
                at += _FIXED[kind]
                continue
            if kind not in (6, 7):
                break
            size = _UINT16.unpack_from(block, at)[0]
            if kind == 7:
                headers[name] = block[at + 2 : at + 2 + size].decode("utf-8", "replace")
            at += 2 + size
    except (IndexError, struct.error):
        pass
    return headers
