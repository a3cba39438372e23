"""When a request is written down: while its caller waits, and never before a chunk that is there."""

from __future__ import annotations

import asyncio
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx2
import pytest
import urllib3

from agenttap._hooks import _aiohttp, _httpx, _urllib3, _waiting
from tests.agenttap.hooks.support_server import Asked, Peer, RawServer, chunked, free_port, plain
from tests.agenttap.hooks.support_tap import KeepingTap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agenttap._capture import Capture

PIECES = [b"data: one\n\n", b"data: two\n\n"]


def read_httpx2(urls: list[str], on_piece: Callable[[], None]) -> None:
    with httpx2.Client(trust_env=False) as client:
        for url in urls:
            with client.stream("POST", url, content=b"{}") as response:
                for _ in response.iter_raw():
                    on_piece()


def read_httpx2_async(urls: list[str], on_piece: Callable[[], None]) -> None:
    async def main() -> None:
        async with httpx2.AsyncClient(trust_env=False) as client:
            for url in urls:
                async with client.stream("POST", url, content=b"{}") as response:
                    async for _ in response.aiter_raw():
                        on_piece()

    asyncio.run(main())


def read_aiohttp(urls: list[str], on_piece: Callable[[], None]) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            for url in urls:
                async with session.post(url, data=b"{}") as response:
                    async for _ in response.content.iter_any():
                        on_piece()

    asyncio.run(main())


def read_urllib3(urls: list[str], on_piece: Callable[[], None]) -> None:
    with urllib3.PoolManager(retries=False) as pools:
        for url in urls:
            response = pools.request("POST", url, body=b"{}", preload_content=False)
            for _ in response.stream(None):
                on_piece()
            response.release_conn()


READERS = {
    "httpx2": read_httpx2,
    "httpx2-async": read_httpx2_async,
    "aiohttp": read_aiohttp,
    "urllib3": read_urllib3,
}


@pytest.fixture(params=READERS)
def read(request: pytest.FixtureRequest) -> Any:
    return READERS[request.param]


@pytest.fixture
def server() -> Iterator[RawServer]:
    made = RawServer()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _hooked() -> Iterator[None]:
    undo = [*_httpx.patch(httpx2), *_aiohttp.patch(aiohttp), *_urllib3.patch(urllib3)]
    yield
    for step in undo:
        step()


class TestWhenTheRequestIsTaken:
    def test_while_the_provider_thinks(self, server: RawServer, read: Any) -> None:
        def answer(peer: Peer, asked: Asked) -> None:
            peer.wait()
            plain(b"{}")(peer, asked)

        url = server.on("/", answer)
        # It goes on thinking until the request has been taken.
        with KeepingTap(on_sent=server.go) as tap:
            read([url, url], lambda: None)

        assert [kept.told for kept in tap.exchanges] == [["begun", "sent", "ended"]] * 2

    @pytest.mark.parametrize("read", [read_httpx2, read_urllib3])
    def test_that_it_began_is_noted_where_the_head_comes_at_once_and_no_body(
        self, server: RawServer, read: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_waiting, "PATIENCE_S", 30.0)

        def answer(peer: Peer, asked: Asked) -> None:
            peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
            peer.wait()
            peer.send(b"{}")

        url = server.on("/", answer)
        # It goes on thinking until it has been noted.
        with KeepingTap(on_begun=server.go) as tap:
            read([url, url], lambda: None)

        assert [kept.told for kept in tap.exchanges] == [["begun", "sent", "ended"]] * 2

    @pytest.mark.parametrize(
        ("read", "owner", "name"),
        [
            (read_httpx2, "httpcore2._sync.http11.HTTP11Connection", "_receive_response_headers"),
            (read_urllib3, "http.client.HTTPResponse", "__init__"),
        ],
    )
    def test_when_the_client_has_made_ready_for_the_answer(
        self, server: RawServer, read: Any, owner: str, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What a client does while the server is at work would else be done when the answer is there."""
        order: list[str] = []

        def noting(original: Any, what: str) -> Any:
            def noted(*args: Any, **kwargs: Any) -> Any:
                order.append(what)
                return original(*args, **kwargs)

            return noted

        client = resolve_name(owner)
        monkeypatch.setattr(client, name, noting(getattr(client, name), "made ready"))
        monkeypatch.setattr(_waiting, "_is_readable", noting(_waiting._is_readable, "waited"))
        url = server.on("/", plain(b"{}"))
        with KeepingTap():
            read([url, url], lambda: None)

        assert order[-2:] == ["made ready", "waited"]

    @pytest.mark.parametrize("read", [read_httpx2, read_httpx2_async, read_urllib3])
    def test_before_the_second_chunk_is_waited_for(
        self, server: RawServer, read: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_waiting, "PATIENCE_S", 30.0)
        first = server.on("/first", plain(b"{}"))

        def answer(peer: Peer, asked: Asked) -> None:
            peer.send_head(200, "Transfer-Encoding: chunked")
            peer.send_chunk(PIECES[0])
            peer.wait()
            peer.send_chunk(PIECES[1])
            peer.send(b"0\r\n\r\n")

        url = server.on("/", answer)

        def on_sent() -> None:
            if len(tap.exchanges) == 2:
                server.go()

        # The second chunk does not come before the request has been taken.
        with KeepingTap(on_sent=on_sent) as tap:
            read([first, url], lambda: None)

        assert tap.exchanges[-1].told == ["begun", "sent", "ended"]
        assert tap.exchanges[-1].pieces == PIECES

    def test_after_the_first_chunk_where_that_is_faster(
        self, server: RawServer, read: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_waiting, "PATIENCE_S", 30.0)
        first = server.on("/first", plain(b"{}"))
        url = server.on("/", chunked(*PIECES, is_stepped=True))
        told: list[list[str]] = []

        def on_piece() -> None:
            told.append(list(tap.exchanges[-1].told))
            server.go()

        with KeepingTap() as tap:
            read([first, url], on_piece)

        assert "sent" not in told[1]
        # It may bring the end with it.
        assert told[2][:2] == ["begun", "sent"]
        assert tap.exchanges[-1].told == ["begun", "sent", "ended"]
        assert tap.exchanges[-1].pieces == PIECES

    def test_at_the_end_of_an_answer_in_one_piece(
        self, server: RawServer, read: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_waiting, "PATIENCE_S", 30.0)
        url = server.on("/", plain(b"{}"))

        with KeepingTap() as tap:
            read([url, url], lambda: None)

        assert [kept.told for kept in tap.exchanges] == [["begun", "sent", "ended"]] * 2
        assert [kept.request_body for kept in tap.exchanges] == [b"{}"] * 2


class TestARequestThatIsRefused:
    def test_is_noted_too(self, read: Any) -> None:
        with KeepingTap() as tap, pytest.raises(Exception, match=r"."):
            read([f"http://127.0.0.1:{free_port()}/"], lambda: None)

        assert tap.only.told == ["begun", "sent", "ended"]


class TestTwoAtOnce:
    def test_an_end_that_comes_while_the_request_is_taken_is_told_after_it(self) -> None:
        told = []

        class Slow(KeepingTap):
            def sent(self, capture: Capture) -> None:
                capture.end("closed")  # as a finaliser does
                told.append("sent")

            def ended(self, capture: Capture) -> None:
                told.append(f"ended {capture.how}")

        capture = Slow().begin("httpx2", "POST", "http://x/", [], b"{}", is_streamed=False)
        assert capture is not None
        capture.request_sent()
        capture.end("eof")

        assert told == ["sent", "ended closed"]
