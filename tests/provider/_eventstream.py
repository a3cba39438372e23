"""Frames of ``application/vnd.amazon.eventstream``.

frame    := length:u32 headers_length:u32 crc32(those 8 bytes):u32 headers payload crc32(all before):u32
header   := name_length:u8 name 7:u8 value_length:u16 value        a string, the only kind used here
"""

from __future__ import annotations

import struct
import zlib

__all__ = ["frame"]


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    """Return one frame."""
    packed = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack("!II", 16 + len(packed) + len(payload), len(packed))
    message = prelude + struct.pack("!I", zlib.crc32(prelude)) + packed + payload
    return message + struct.pack("!I", zlib.crc32(message))
