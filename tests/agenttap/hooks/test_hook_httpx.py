"""The hook of httpx: the body of an asynchronous answer, read in the place of the library's own generator."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import httpcore
import httpcore2
import httpx
import httpx2
import pytest

from agenttap._hooks._httpx import Tees
from tests.agenttap.hooks.support_tap import KeepingTap

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import ModuleType

    from tests.agenttap.hooks.support_tap import Kept

LIBRARIES = {"httpx": (httpx, httpcore), "httpx2": (httpx2, httpcore2)}


class Core:
    """What the library reads a body from: *pieces*, then *error* if there is one.

    Attributes:
        depths: How many frames each piece was asked through.
        is_closed: It has been closed.
    """

    def __init__(self, *pieces: bytes, error: Exception | None = None) -> None:
        self.pieces, self.error = pieces, error
        self.depths: list[int] = []
        self.is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            depth, frame = 0, sys._getframe()
            while frame.f_back is not None:
                depth, frame = depth + 1, frame.f_back
            self.depths.append(depth)
            yield piece
        if self.error is not None:
            raise self.error

    async def aclose(self) -> None:
        self.is_closed = True


@pytest.fixture(params=LIBRARIES)
def libraries(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    return LIBRARIES[request.param]


def own_body(library: ModuleType, core: Core) -> Any:
    return sys.modules[f"{library.__name__}._transports.default"].AsyncResponseStream(core)


def teed(library: Any, body: Any) -> tuple[Any, Kept]:
    """Return the body of an answer whose body is *body*, as the hook hands it on."""
    tap = KeepingTap()
    capture = tap.begin(library.__name__, "POST", "http://h/v1", [], b"{}", is_streamed=False)
    assert capture is not None
    response = Tees(library).async_answered(library.Response(200, stream=body), capture)
    return response.stream, tap.exchanges[0]


async def read(body: Any) -> list[bytes]:
    try:
        return [piece async for piece in body]
    finally:
        await body.aclose()


class TestAsynchronousBody:
    def test_pieces_pass_as_they_are(self, libraries: tuple[Any, Any]) -> None:
        core = Core(b"a", b"", b"bc")
        body, kept = teed(libraries[0], own_body(libraries[0], core))

        assert asyncio.run(read(body)) == [b"a", b"", b"bc"]
        assert (kept.body, kept.how, core.is_closed) == (b"abc", "eof", True)

    def test_a_piece_takes_no_more_frames_than_without_a_tap(self, libraries: tuple[Any, Any]) -> None:
        bare, tapped = Core(b"a", b"b"), Core(b"a", b"b")
        asyncio.run(read(own_body(libraries[0], bare)))
        body, _ = teed(libraries[0], own_body(libraries[0], tapped))
        asyncio.run(read(body))

        assert tapped.depths == bare.depths

    def test_error_of_the_connection_is_the_library_s_word_for_it(self, libraries: tuple[Any, Any]) -> None:
        library, core_library = libraries
        body, kept = teed(library, own_body(library, Core(b"a", error=core_library.ReadError("cut"))))

        with pytest.raises(library.ReadError, match="cut"):
            asyncio.run(read(body))
        assert (kept.body, kept.how, type(kept.error)) == (b"a", "error", library.ReadError)

    def test_caller_that_stops_early_closes_it(self, libraries: tuple[Any, Any]) -> None:
        core = Core(b"a", b"b")
        body, kept = teed(libraries[0], own_body(libraries[0], core))

        async def stop_early() -> None:
            pieces = aiter(body)
            assert await anext(pieces) == b"a"
            await pieces.aclose()
            await body.aclose()

        asyncio.run(stop_early())
        assert (kept.body, kept.how, core.is_closed) == (b"a", "closed", True)

    def test_body_of_another_kind_is_read_as_it_wants(self, libraries: tuple[Any, Any]) -> None:
        library = libraries[0]

        class Shouting(type(own_body(library, Core()))):  # type: ignore[misc]
            async def __aiter__(self) -> AsyncIterator[bytes]:
                async for piece in self._httpcore_stream:
                    yield piece.upper()

        body, kept = teed(library, Shouting(Core(b"a")))

        assert asyncio.run(read(body)) == [b"A"]
        assert kept.body == b"A"

    def test_reading_that_somebody_has_replaced_stays_replaced(
        self, libraries: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        library = libraries[0]
        own = own_body(library, Core(b"a"))
        body, _ = teed(library, own)

        async def other(_: Any) -> AsyncIterator[bytes]:
            yield b"other"

        monkeypatch.setattr(type(own), "__aiter__", other)
        assert asyncio.run(read(body)) == [b"other"]
        assert asyncio.run(read(teed(library, own)[0])) == [b"other"]
