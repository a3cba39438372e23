"""Writing an event again whose data has changed, in the framing it came in.

SSE            its lines stay, but for ``data:``, which becomes one line
JSON, NDJSON   what stands around the value (white space, commas, brackets of an array) stays
event stream   prelude and headers stay; the lengths and both checksums are made anew. Where the payload is
               ``{"bytes": base64}``, the data is what is in it.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import crc32
from typing import Any

import msgspec

__all__ = ["data_of", "is_frame", "raw_with"]

_PRELUDE = 12
_DATA_LINE = re.compile(rb"data(?::[^\r\n]*)?(\r\n|\r|\n|\Z)")
_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n|\Z)")


def is_frame(raw: bytes) -> bool:
    """Whether *raw* is one message of ``application/vnd.amazon.eventstream``."""
    return (
        len(raw) >= _PRELUDE + 4
        and int.from_bytes(raw[:4], "big") == len(raw)
        and int.from_bytes(raw[8:12], "big") == crc32(raw[:8])
    )


def data_of(raw: bytes) -> Any:
    """Return the JSON in *raw*, no frame of an event stream; None if it has none."""
    text = raw.strip(b" \t\r\n,\xef\xbb\xbf")
    lines = [line[5:] for line in text.splitlines() if line.startswith(b"data:")]
    # One element of an array that comes in pieces has its brackets in the first and the last piece.
    for each in (b"\n".join(lines) if lines else text, text.lstrip(b"[, \r\n"), text.rstrip(b"], \r\n")):
        try:
            return msgspec.json.decode(each)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
    return None


def raw_with(raw: bytes, old: Any, new: Any) -> bytes:
    """Return *raw*, whose JSON is *old*, with the JSON of *new* in its place."""
    if is_frame(raw):
        return _frame_with(raw, new)
    # Line breaks stay escaped, as in the event that came.
    text = msgspec.json.encode(new)
    begin, end = _json_span(raw, old)
    if begin < end:
        return raw[:begin] + text + raw[end:]
    return _sse_with(raw, text)


def _json_span(raw: bytes, old: Any) -> tuple[int, int]:
    """Where in *raw* the JSON of *old* is, if there is nothing but separators around it."""
    brackets = (b"{", b"}") if isinstance(old, dict) else (b"[", b"]")
    begin, end = raw.find(brackets[0]), raw.rfind(brackets[1]) + 1
    if begin < 0 or raw[:begin].strip(b" \t\r\n,[\xef\xbb\xbf") or raw[end:].strip(b" \t\r\n,]"):
        return 0, 0
    return begin, end


def _sse_with(raw: bytes, text: bytes) -> bytes:
    lines: list[bytes] = []
    written = False
    for line in _LINE.findall(raw):
        bare = line.removeprefix(b"\xef\xbb\xbf")
        data = _DATA_LINE.fullmatch(bare)
        if data is None:
            lines.append(line)
        elif not written:
            written = True
            lines.append(line[: len(line) - len(bare)] + b"data: " + text + data[1])
    return b"".join(lines) if written else text + b"\n"


def _frame_with(raw: bytes, new: Any) -> bytes:
    headers_length = int.from_bytes(raw[4:8], "big")
    headers = raw[_PRELUDE : _PRELUDE + headers_length]
    payload = raw[_PRELUDE + headers_length : -4]
    try:
        outer = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        outer = None
    if (
        isinstance(outer, dict)
        and isinstance(outer.get("bytes"), str)
        and not _has_bytes(new, outer["bytes"])
    ):
        outer["bytes"] = b64encode(msgspec.json.encode(new)).decode()
        new = outer
    payload = msgspec.json.encode(new)
    prelude = (_PRELUDE + len(headers) + len(payload) + 4).to_bytes(4, "big") + raw[4:8]
    message = prelude + crc32(prelude).to_bytes(4, "big") + headers + payload
    return message + crc32(message).to_bytes(4, "big")


def _has_bytes(data: Any, encoded: str) -> bool:
    """Whether *data* is the payload itself, not what is packed into it."""
    if not isinstance(data, dict) or data.get("bytes") != encoded:
        return False
    try:
        b64decode(encoded, validate=True)
    except ValueError:
        return False
    return True
