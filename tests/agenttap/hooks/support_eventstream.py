"""Messages of an AWS event stream, made by hand."""

from __future__ import annotations

import struct
from zlib import crc32

__all__ = ["message"]


def message(event_type: str, payload: bytes) -> bytes:
    """Return one event with a JSON *payload*."""
    headers = b"".join(
        bytes([len(name)]) + name + b"\x07" + struct.pack(">H", len(value)) + value
        for name, value in (
            (b":event-type", event_type.encode()),
            (b":content-type", b"application/json"),
            (b":message-type", b"event"),
        )
    )
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    head = prelude + struct.pack(">I", crc32(prelude)) + headers + payload
    return head + struct.pack(">I", crc32(head))
