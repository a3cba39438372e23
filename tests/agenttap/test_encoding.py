from __future__ import annotations

import gzip
import sys
import zlib
from typing import TYPE_CHECKING, Any

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from agenttap import _encoding
from agenttap._encoding import decompressor

if TYPE_CHECKING:
    from collections.abc import Callable

BODY = b"".join(b'data: {"delta": "%d"}\n\n' % number for number in range(3000))


def raw_deflate(data: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-15)
    return engine.compress(data) + engine.flush()


def brotli_of(data: bytes) -> bytes:
    return bytes(brotli.compress(data, quality=1))


def zstd_of(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


PACKED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "zlib": ("deflate", zlib.compress),
    "deflate": ("deflate", raw_deflate),
    "br": ("br", brotli_of),
    "zstd": ("zstd", zstd_of),
    "stacked": ("gzip, br", lambda data: brotli_of(gzip.compress(data))),
}


def undone(encoding: str | None, data: bytes, size: int = 0) -> bytes:
    """Undo *encoding*, fed whole or in pieces of *size* bytes."""
    engine = decompressor(encoding)
    assert engine is not None
    pieces = [data[at : at + size] for at in range(0, len(data), size)] if size else [data]
    return b"".join(engine.feed(piece) for piece in pieces) + engine.end()


class TestWhole:
    @pytest.mark.parametrize("kind", PACKED)
    @pytest.mark.parametrize("size", [0, 1, 100])
    def test_body_comes_out(self, kind: str, size: int) -> None:
        encoding, pack = PACKED[kind]

        assert undone(encoding, pack(BODY), size) == BODY

    @pytest.mark.parametrize("encoding", [None, "", "identity", " Identity "])
    def test_no_encoding_is_undone_by_doing_nothing(self, encoding: str | None) -> None:
        assert undone(encoding, b"abc") == b"abc"

    @pytest.mark.parametrize("encoding", ["compress", "aws-chunked", "gzip, what", ",".join(["gzip"] * 9)])
    def test_unknown_encoding_is_left_alone(self, encoding: str) -> None:
        assert decompressor(encoding) is None

    def test_encoding_without_a_library_is_left_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("brotli", "brotlicffi"):
            monkeypatch.setitem(sys.modules, name, None)

        assert decompressor("br") is None

    @pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("zstd", zstd_of)])
    def test_members_follow_each_other(self, encoding: str, pack: Callable[[bytes], bytes]) -> None:
        assert undone(encoding, pack(b"a") + pack(b"b")) == b"ab"
        assert undone(encoding, pack(b"a") + pack(b"b"), 1) == b"ab"

    def test_event_that_was_flushed_is_read_at_once(self) -> None:
        packer: Any = zlib.compressobj(wbits=31)
        engine = decompressor("gzip")
        assert engine is not None

        for event in (b"data: 1\n\n", b"data: 2\n\n"):
            assert engine.feed(packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH)) == event


class TestDamaged:
    @pytest.mark.parametrize("kind", PACKED)
    def test_cut_body_gives_its_beginning(self, kind: str) -> None:
        encoding, pack = PACKED[kind]
        packed = pack(BODY)

        read = undone(encoding, packed[: len(packed) * 3 // 4], 50)

        assert BODY.startswith(read)
        # brotli and zstd pack this much as one block, which is whole or is nothing.
        assert read or kind in ("br", "zstd", "stacked")

    @pytest.mark.parametrize("kind", ["gzip", "zlib", "deflate"])
    def test_damaged_body_gives_what_stands_before(self, kind: str) -> None:
        encoding, pack = PACKED[kind]
        packed = bytearray(pack(BODY))
        packed[len(packed) // 2 :] = b"\xff" * (len(packed) // 2)

        read = undone(encoding, bytes(packed))

        assert len(read) > len(BODY) // 3
        assert BODY.startswith(read[: len(BODY) // 3])

    @settings(max_examples=200, deadline=None)
    @given(
        kind=st.sampled_from(sorted(PACKED)),
        place=st.integers(0, 400),
        junk=st.binary(min_size=1, max_size=4),
        size=st.integers(1, 300),
    )
    def test_damage_is_never_raised(self, kind: str, place: int, junk: bytes, size: int) -> None:
        encoding, pack = PACKED[kind]
        packed = bytearray(pack(BODY[:2000]))
        packed[place : place + len(junk)] = junk

        assert len(undone(encoding, bytes(packed), size)) < 10_000_000

    def test_what_is_no_packed_body_gives_nothing(self) -> None:
        engine = decompressor("gzip")
        assert engine is not None

        assert engine.feed(b"data: not gzip at all\n\n") == b""
        assert engine.is_damaged


class TestBombs:
    @pytest.mark.parametrize("kind", ["gzip", "zlib", "deflate", "br", "zstd"])
    def test_bomb_is_not_unpacked(self, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_encoding, "MAX_FEED_BYTES", 1 << 20)
        encoding, pack = PACKED[kind]
        packed = pack(bytes(80 << 20))
        engine = decompressor(encoding)
        assert engine is not None

        read = engine.feed(packed)

        assert len(read) <= max(1 << 20, _encoding.MAX_RATIO * len(packed)) + (34 << 20)
        if kind in ("br", "zstd"):
            assert len(read) < 80 << 20
        assert engine.is_damaged or len(read) == 80 << 20
