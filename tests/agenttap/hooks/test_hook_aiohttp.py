"""aiohttp, driven for real over loopback: what its hook tells, and that nothing else changes."""

from __future__ import annotations

import asyncio
import gc
import gzip
import hashlib
import io
import json
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from agenttap._hooks import _aiohttp
from agenttap.errors import HookError
from tests.agenttap.hooks.support_server import (
    PATIENCES_S,
    Asked,
    Peer,
    RawServer,
    chunked,
    free_port,
    plain,
    stalled,
)
from tests.agenttap.hooks.support_tap import KeepingTap

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

PIECES = [b"data: one\n\n", b"data: two\n\n", b"data: three\n\n"]
SSE = b"".join(PIECES)


@pytest.fixture
def server() -> Iterator[RawServer]:
    made = RawServer()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _hooked() -> Iterator[None]:
    undo = _aiohttp.patch(aiohttp)
    yield
    for step in undo:
        step()


@pytest.fixture
def tap() -> Iterator[KeepingTap]:
    with KeepingTap() as on:
        yield on


def run(use: Callable[[aiohttp.ClientSession], Awaitable[Any]], **settings: Any) -> Any:
    """Run *use* with a session."""

    async def main() -> Any:
        async with aiohttp.ClientSession(**settings) as session:
            return await use(session)

    return asyncio.run(main())


def post(url: str, **arguments: Any) -> bytes:
    async def use(session: aiohttp.ClientSession) -> bytes:
        async with session.post(url, **arguments) as response:
            return await response.read()

    return run(use)  # type: ignore[no-any-return]


class TestRequest:
    def test_head_and_json_body_are_what_was_sent(self, server: RawServer, tap: KeepingTap) -> None:
        post(server.on("/v1", plain(b"{}")), json={"model": "m"}, headers={"X-One": "1"})

        kept = tap.only
        assert (kept.capture.client, kept.capture.method, kept.capture.url) == (
            "aiohttp",
            "POST",
            server.url + "/v1",
        )
        assert kept.headers["x-one"] == "1"
        assert kept.headers["content-type"] == "application/json"
        assert kept.request_body == server.asked[0].body == json.dumps({"model": "m"}).encode()
        assert not kept.is_streamed

    @pytest.mark.parametrize(
        ("data", "is_streamed"),
        [
            (b"bytes", False),
            (bytearray(b"array"), False),
            ("text", False),
            ({"field": "value"}, False),
            (io.BytesIO(b"file" * 50_000), True),
        ],
        ids=["bytes", "bytearray", "str", "urlencoded", "file"],
    )
    def test_body_of_any_kind_is_what_arrived(
        self, server: RawServer, tap: KeepingTap, data: Any, is_streamed: bool
    ) -> None:
        post(server.on("/", plain(b"")), data=data)

        assert tap.only.request_body == server.asked[0].body != b""
        assert tap.only.is_streamed is is_streamed

    def test_body_of_an_async_generator_is_what_arrived(self, server: RawServer, tap: KeepingTap) -> None:
        async def produce() -> AsyncIterator[bytes]:
            for piece in PIECES:
                yield piece

        post(server.on("/", plain(b"")), data=produce())

        assert tap.only.request_body == server.asked[0].body == SSE
        assert tap.only.is_streamed

    def test_multipart_form_is_what_arrived(self, server: RawServer, tap: KeepingTap) -> None:
        form = aiohttp.FormData()
        form.add_field("one", "1")
        form.add_field("file", io.BytesIO(b"\x00\xff" * 9000), filename="a.bin")
        post(server.on("/", plain(b"")), data=form)

        assert tap.only.request_body == server.asked[0].body
        assert b"\x00\xff" * 9000 in server.asked[0].body

    def test_no_body_is_none(self, server: RawServer, tap: KeepingTap) -> None:
        url = server.on("/", plain(b"x"))

        async def use(session: aiohttp.ClientSession) -> None:
            async with session.get(url) as response:
                await response.read()

        run(use)
        assert tap.only.request_body is None
        assert not tap.only.is_streamed

    @pytest.mark.parametrize("data", [b"small", b"large" * 180_000, None], ids=["small", "large", "none"])
    def test_sent_is_told_after_the_last_byte_has_left(self, server: RawServer, data: bytes | None) -> None:
        arrived = []
        url = server.on("/", plain(b""))
        with KeepingTap(on_sent=lambda: arrived.append(server.came.acquire(timeout=120))):
            post(url, data=data)

        assert arrived == [True]

    def test_generator_that_raises_ends_with_an_error(self, server: RawServer, tap: KeepingTap) -> None:
        async def produce() -> AsyncIterator[bytes]:
            yield b"one"
            raise ValueError("mine")

        with pytest.raises(Exception, match=r".") as caught:
            post(server.on("/", plain(b"")), data=produce())

        assert isinstance(caught.value, (ValueError, aiohttp.ClientError))
        assert (tap.only.how, tap.only.status) == ("error", None)
        assert tap.only.request_body == b"one"


class TestResponse:
    def test_body_is_the_bytes_that_were_sent(self, server: RawServer, tap: KeepingTap) -> None:
        body = bytes(range(256)) * 40_000
        got = post(server.on("/", plain(body, "X-Two: a", "X-Two: b")))

        kept = tap.only
        assert hashlib.sha256(got).digest() == hashlib.sha256(body).digest()
        assert hashlib.sha256(kept.body).digest() == hashlib.sha256(body).digest()
        assert (kept.status, kept.how, kept.capture.http_version) == (200, "eof", "HTTP/1.1")
        assert [v for n, v in kept.capture.response_headers if n == "X-Two"] == ["a", "b"]
        assert kept.times == sorted(kept.times)
        assert kept.told[:2] == ["begun", "sent"]
        assert kept.told[-1] == "ended"

    def test_each_piece_is_told_before_the_next_is_sent(self, server: RawServer, tap: KeepingTap) -> None:
        url = server.on("/", chunked(*PIECES, is_stepped=True))
        seen: list[list[bytes]] = []

        async def use(session: aiohttp.ClientSession) -> list[bytes]:
            got = []
            async with session.post(url) as response:
                server.go()
                async for piece in response.content.iter_any():
                    got.append(piece)
                    seen.append(tap.only.pieces)
                    server.go()
            return got

        got = run(use)
        assert b"".join(got) == SSE
        assert [b"".join(pieces) for pieces in seen[:3]] == [PIECES[0], PIECES[0] + PIECES[1], SSE]
        assert (tap.only.pieces, tap.only.how) == (PIECES, "eof")
        assert tap.only.times == sorted(tap.only.times)

    def test_gzip_is_handed_on_undone_and_says_so(self, server: RawServer, tap: KeepingTap) -> None:
        got = post(server.on("/", plain(gzip.compress(SSE), "Content-Encoding: gzip")))

        assert got == SSE == tap.only.body
        assert tap.only.capture.is_decoded

    def test_gzip_that_the_session_leaves_alone_is_kept_as_sent(
        self, server: RawServer, tap: KeepingTap
    ) -> None:
        sent = gzip.compress(SSE)
        url = server.on("/", plain(sent, "Content-Encoding: gzip"))

        async def use(session: aiohttp.ClientSession) -> bytes:
            async with session.get(url) as response:
                return await response.read()

        assert run(use, auto_decompress=False) == sent == tap.only.body
        assert not tap.only.capture.is_decoded

    def test_no_encoding_is_not_decoded(self, server: RawServer, tap: KeepingTap) -> None:
        post(server.on("/", plain(SSE)))

        assert not tap.only.capture.is_decoded

    @pytest.mark.parametrize("encoding", ["x-own", "gzip, br"])
    def test_encoding_that_aiohttp_does_not_know_is_kept_as_sent(
        self, server: RawServer, tap: KeepingTap, encoding: str
    ) -> None:
        assert post(server.on("/", plain(b"\x01\x02", f"Content-Encoding: {encoding}"))) == b"\x01\x02"
        assert tap.only.body == b"\x01\x02"
        assert not tap.only.capture.is_decoded

    @pytest.mark.parametrize("status", [204, 304])
    def test_status_without_a_body_is_whole(self, server: RawServer, tap: KeepingTap, status: int) -> None:
        def answer(peer: Peer, asked: Asked) -> None:
            peer.send_head(status)

        assert post(server.on("/", answer)) == b""
        assert (tap.only.status, tap.only.how, tap.only.body) == (status, "eof", b"")

    def test_head_is_whole(self, server: RawServer, tap: KeepingTap) -> None:
        url = server.on("/", plain(b"not sent"))

        async def use(session: aiohttp.ClientSession) -> None:
            async with session.head(url) as response:
                assert await response.read() == b""

        run(use)
        assert (tap.only.how, tap.only.body) == ("eof", b"")

    def test_body_up_to_the_close_is_whole(self, server: RawServer, tap: KeepingTap) -> None:
        def answer(peer: Peer, asked: Asked) -> None:
            peer.send_head(200, "Connection: close")
            peer.send(SSE)
            peer.cut()

        assert post(server.on("/", answer)) == SSE
        assert (tap.only.how, tap.only.body) == ("eof", SSE)

    def test_each_hop_of_a_redirect_is_an_exchange(self, server: RawServer, tap: KeepingTap) -> None:
        server.on("/last", plain(b"there"))
        assert post(server.on("/", plain(b"moved", "Location: /last", status=307)), data=b"q") == b"there"

        assert [(k.status, k.body, k.how, k.request_body) for k in tap.exchanges] == [
            (307, b"moved", "eof", b"q"),
            (200, b"there", "eof", b"q"),
        ]

    def test_second_request_on_a_connection_is_its_own(self, server: RawServer, tap: KeepingTap) -> None:
        url = server.on("/", plain(b"again"))

        async def use(session: aiohttp.ClientSession) -> None:
            for _ in range(3):
                async with session.get(url) as response:
                    assert await response.read() == b"again"

        run(use)
        assert [(k.body, k.how) for k in tap.exchanges] == [(b"again", "eof")] * 3
        assert _aiohttp._watched == {}


class TestEnds:
    def test_break_ends_closed_with_what_came(self, server: RawServer, tap: KeepingTap) -> None:
        url = server.on("/", chunked(*PIECES, is_stepped=True))

        async def use(session: aiohttp.ClientSession) -> None:
            async with session.post(url) as response:
                server.go()
                async for _ in response.content.iter_any():
                    break

        run(use)
        assert (tap.only.how, tap.only.body, tap.only.error) == ("closed", PIECES[0], None)
        assert _aiohttp._watched == {}

    @pytest.mark.parametrize("method", ["close", "release"])
    def test_close_and_release_end_closed(self, server: RawServer, tap: KeepingTap, method: str) -> None:
        url = server.on("/", chunked(*PIECES, is_stepped=True))

        async def use(session: aiohttp.ClientSession) -> None:
            response = await session.post(url)
            getattr(response, method)()
            assert tap.only.how == "closed"

        run(use)

    def test_exception_of_the_agent_ends_closed(self, server: RawServer, tap: KeepingTap) -> None:
        url = server.on("/", chunked(*PIECES, is_stepped=True))

        async def use(session: aiohttp.ClientSession) -> None:
            async with session.post(url):
                raise ValueError("mine")

        with pytest.raises(ValueError, match="mine"):
            run(use)
        assert tap.only.how == "closed"

    @pytest.mark.filterwarnings("ignore::ResourceWarning")
    def test_response_dropped_with_its_session_ends_closed(self, server: RawServer, tap: KeepingTap) -> None:
        url = server.on("/", chunked(*PIECES, is_stepped=True))

        async def use(session: aiohttp.ClientSession) -> None:
            response = await session.post(url)
            server.go()
            assert await response.content.readany() == PIECES[0]

        run(use)
        gc.collect()
        assert (tap.only.how, tap.only.body) == ("closed", PIECES[0])
        assert _aiohttp._watched == {}

    def test_task_cancelled_in_the_stream_ends_cancelled(self, server: RawServer, tap: KeepingTap) -> None:
        url = server.on("/", chunked(*PIECES, is_stepped=True))

        async def use(session: aiohttp.ClientSession) -> None:
            first = asyncio.Event()

            async def read() -> None:
                async with session.post(url) as response:
                    server.go()
                    async for _ in response.content.iter_any():
                        first.set()

            task = asyncio.create_task(read())
            await first.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        run(use)
        assert (tap.only.how, tap.only.body, tap.only.status) == ("cancelled", PIECES[0], 200)

    def test_task_cancelled_between_reads_ends_cancelled(self, server: RawServer, tap: KeepingTap) -> None:
        url = server.on("/", chunked(*PIECES, is_stepped=True))

        async def use(session: aiohttp.ClientSession) -> None:
            begun = asyncio.Event()

            async def read() -> None:
                async with session.post(url):
                    begun.set()
                    await asyncio.Event().wait()

            task = asyncio.create_task(read())
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        run(use)
        assert tap.only.how == "cancelled"

    def test_task_cancelled_before_the_headers_ends_cancelled(
        self, server: RawServer, tap: KeepingTap
    ) -> None:
        url = server.on("/", lambda peer, asked: peer.wait())

        async def use(session: aiohttp.ClientSession) -> None:
            task = asyncio.create_task(session.post(url, data=b"q").__aenter__())
            assert await asyncio.to_thread(server.came.acquire, timeout=120)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        run(use)
        server.go()
        assert (tap.only.how, tap.only.status, tap.only.request_body) == ("cancelled", None, b"q")

    def test_cancelled_read_of_a_stream_that_goes_on_is_no_end(
        self, server: RawServer, tap: KeepingTap
    ) -> None:
        url = server.on("/", chunked(*PIECES, is_stepped=True))

        async def use(session: aiohttp.ClientSession) -> bytes:
            async with session.post(url) as response:
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(response.content.readany(), 0.01)
                for _ in PIECES:
                    server.go()
                return await response.read()

        assert run(use) == SSE
        assert (tap.only.how, tap.only.body) == ("eof", SSE)

    def test_cut_in_the_stream_ends_with_the_error(self, server: RawServer, tap: KeepingTap) -> None:
        def answer(peer: Peer, asked: Asked) -> None:
            peer.send_head(200, "Transfer-Encoding: chunked")
            peer.send_chunk(PIECES[0])
            peer.cut()

        with pytest.raises(aiohttp.ClientPayloadError) as caught:
            post(server.on("/", answer))
        assert (tap.only.how, tap.only.body) == ("error", PIECES[0])
        assert tap.only.error is caught.value

    def test_body_shorter_than_its_length_ends_with_the_error(
        self, server: RawServer, tap: KeepingTap
    ) -> None:
        def answer(peer: Peer, asked: Asked) -> None:
            peer.send_head(200, "Content-Length: 100")
            peer.send(PIECES[0])
            peer.cut()

        with pytest.raises(aiohttp.ClientPayloadError):
            post(server.on("/", answer))
        assert (tap.only.how, tap.only.body) == ("error", PIECES[0])

    def test_truncated_gzip_keeps_what_was_undone(self, server: RawServer, tap: KeepingTap) -> None:
        sent = gzip.compress(bytes(range(256)) * 4000)[:-300]

        def answer(peer: Peer, asked: Asked) -> None:
            peer.send_head(200, "Content-Length: 999999", "Content-Encoding: gzip")
            peer.send(sent)
            peer.cut()

        with pytest.raises(aiohttp.ClientPayloadError):
            post(server.on("/", answer))
        assert tap.only.how == "error"
        assert tap.only.body == (bytes(range(256)) * 4000)[: len(tap.only.body)] != b""

    def test_reset_before_the_headers_ends_with_the_error(self, server: RawServer, tap: KeepingTap) -> None:
        with pytest.raises(aiohttp.ClientError) as caught:
            post(server.on("/", lambda peer, asked: peer.reset()), data=b"q")
        assert (tap.only.how, tap.only.status) == ("error", None)
        assert tap.only.error is caught.value

    def test_refused_connection_ends_with_the_error_once(self, tap: KeepingTap) -> None:
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            post(f"http://127.0.0.1:{free_port()}/v1", data=b"q")
        assert (tap.only.how, tap.only.status, tap.only.request_body) == ("error", None, b"q")
        assert tap.only.error is caught.value

    def test_timeout_of_a_read_ends_with_the_error(self, server: RawServer, tap: KeepingTap) -> None:
        url = server.on("/", stalled())
        for patience_s in PATIENCES_S:
            with pytest.raises(asyncio.TimeoutError):
                post(url, timeout=aiohttp.ClientTimeout(sock_read=patience_s))
            if tap.exchanges[-1].status is not None:
                break
        assert (tap.exchanges[-1].how, tap.exchanges[-1].status) == ("error", 200)
        assert isinstance(tap.exchanges[-1].error, asyncio.TimeoutError)

    @pytest.mark.parametrize("is_answered", [True, False])
    def test_timeout_of_the_whole_request_ends_with_the_error(
        self, server: RawServer, tap: KeepingTap, is_answered: bool
    ) -> None:
        silent = lambda peer, asked: peer.wait()  # noqa: E731
        url = server.on("/", chunked(*PIECES, is_stepped=True) if is_answered else silent)
        with pytest.raises(asyncio.TimeoutError):
            post(url, timeout=aiohttp.ClientTimeout(total=0.2))
        server.go()
        assert tap.only.how == "error"
        assert isinstance(tap.only.error, asyncio.TimeoutError)

    def test_malformed_answer_ends_with_the_error(self, server: RawServer, tap: KeepingTap) -> None:
        with pytest.raises(aiohttp.ClientError):
            post(server.on("/", lambda peer, asked: peer.send(b"nonsense\r\n\r\n")))
        assert (tap.only.how, tap.only.status) == ("error", None)


class TestLeftAlone:
    def test_nothing_is_watched_without_a_tap(self, server: RawServer) -> None:
        assert post(server.on("/", chunked(*PIECES)), json={}) == SSE
        assert _aiohttp._watched == {}

    def test_exchange_that_nobody_wants_is_asked_about_once(self, server: RawServer, tap: KeepingTap) -> None:
        asked = []
        tap.begin = lambda *args, **kwargs: asked.append(args)  # type: ignore[method-assign]
        assert post(server.on("/", chunked(*PIECES))) == SSE
        assert len(asked) == 1

    def test_websocket_is_left_alone(self, server: RawServer, tap: KeepingTap) -> None:
        url = server.on("/", plain(b"no", status=403))

        async def use(session: aiohttp.ClientSession) -> None:
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await session.ws_connect(url)

        run(use)
        assert tap.exchanges == []

    def test_failing_tap_does_not_reach_the_agent(self, server: RawServer, tap: KeepingTap) -> None:
        def fail(*args: object, **kwargs: object) -> None:
            raise RuntimeError("ours")

        url = server.on("/", chunked(*PIECES))
        tap.begin = fail  # type: ignore[method-assign]
        assert post(url, data=b"q") == SSE

    def test_readers_class_is_its_own_again_after_the_body(self, server: RawServer, tap: KeepingTap) -> None:
        url = server.on("/", chunked(*PIECES, is_stepped=True))

        async def use(session: aiohttp.ClientSession) -> None:
            async with session.post(url) as response:
                assert type(response.content) is not aiohttp.StreamReader
                assert repr(response.content).startswith("<StreamReader")
                for _ in PIECES:
                    server.go()
                await response.read()
                assert type(response.content) is aiohttp.StreamReader

        run(use)

    def test_derived_session_request_and_response_are_seen(self, server: RawServer, tap: KeepingTap) -> None:
        class Request(aiohttp.ClientRequest):
            async def send(self, conn: Any) -> Any:
                return await super().send(conn)

        class Response(aiohttp.ClientResponse):
            async def start(self, connection: Any) -> Any:
                return await super().start(connection)

        url = server.on("/", chunked(*PIECES))

        async def use(session: aiohttp.ClientSession) -> bytes:
            async with session.post(url, data=b"q") as response:
                return await response.read()

        assert run(use, request_class=Request, response_class=Response) == SSE
        assert (tap.only.body, tap.only.how, tap.only.request_body) == (SSE, "eof", b"q")

    def test_many_streams_at_once_are_kept_apart(self, server: RawServer, tap: KeepingTap) -> None:
        urls = [server.on(f"/{n}", chunked(*[b"%d;" % n] * 20)) for n in range(20)]

        async def use(session: aiohttp.ClientSession) -> list[bytes]:
            async def read(url: str) -> bytes:
                async with session.post(url, data=url.encode()) as response:
                    return b"".join([piece async for piece in response.content.iter_any()])

            return await asyncio.gather(*map(read, urls))

        got = run(use)
        told = {kept.request_body: kept.body for kept in tap.exchanges}
        assert told == {url.encode(): body for url, body in zip(urls, got, strict=True)}


class TestPatch:
    def attributes(self) -> list[Any]:
        from aiohttp.client_proto import ResponseHandler

        return [
            vars(aiohttp.BaseConnector)["connect"],
            vars(aiohttp.ClientRequest)["send"],
            vars(aiohttp.ClientRequest)["write_bytes"],
            vars(aiohttp.ClientResponse)["start"],
            vars(ResponseHandler)["set_response_params"],
        ]

    def test_undo_puts_everything_back(self) -> None:
        outer = self.attributes()
        originals = [attribute.__wrapped__ for attribute in outer]
        # The fixture has hooked already: a second time wraps nothing.
        assert _aiohttp.patch(aiohttp) == []
        assert self.attributes() == outer
        assert not any(hasattr(original, "__wrapped__") for original in originals)

    def test_wrapper_of_somebody_else_stays_and_ours_passes_through(
        self, server: RawServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hooked = vars(aiohttp.ClientRequest)["send"]
        calls = []

        async def send(req: Any, conn: Any) -> Any:
            calls.append(req.method)
            return await hooked(req, conn)

        with monkeypatch.context() as patched:
            patched.setattr(aiohttp.ClientRequest, "send", send)
            url = server.on("/", chunked(*PIECES))
            with KeepingTap() as tap:
                assert post(url) == SSE
            assert tap.only.body == SSE
            assert post(url) == SSE
            assert calls == ["POST", "POST"]
            assert vars(aiohttp.ClientRequest)["send"] is send

    def test_unknown_inside_is_refused_and_nothing_hooked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from types import SimpleNamespace

        strange: Any = SimpleNamespace(
            **{name: getattr(aiohttp, name) for name in ("ClientRequest", "ClientResponse", "StreamReader")},
            ClientConnectionError=aiohttp.ClientConnectionError,
            BaseConnector=type("BaseConnector", (), {}),
        )
        with pytest.raises(HookError, match=r"aiohttp: it has no BaseConnector\.connect"):
            _aiohttp.patch(strange)
        with pytest.raises(HookError, match="aiohttp: it is not as expected"):
            _aiohttp.patch(SimpleNamespace())  # type: ignore[arg-type]
