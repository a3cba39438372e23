"""The provider itself: what it keeps is what passed, and its misbehaviour is the one it was asked for."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import zlib
from threading import Thread
from typing import TYPE_CHECKING, Any

import brotli
import httpx2
import pytest
import zstandard
from botocore.eventstream import EventStreamBuffer

from tests.provider import TEXT, Provider
from tests.provider._certificate import tls_contexts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOOL = {"name": "look", "input_schema": {"type": "object", "properties": {"at": {"type": "integer"}}}}

STREAMS: dict[str, dict[str, Any]] = {
    "/v1/messages": {"messages": [], "stream": True},
    "/v1/chat/completions": {"messages": [], "stream": True},
    "/v1/responses": {"input": "hi", "stream": True},
    "/v1/models/test-x:streamGenerateContent?alt=sse": {"contents": []},
    "/v1/models/test-x:streamGenerateContent": {"contents": []},
    "/v1/interactions": {"input": "hi", "stream": True},
    "/model/test-x/converse-stream": {"messages": []},
    "/model/test-x/invoke-with-response-stream": {"messages": []},
    "/v2/chat": {"messages": [], "stream": True},
    "/api/chat": {"messages": []},
    "/api/generate": {"prompt": "hi"},
}


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


def post(provider: Provider, path: str, body: dict[str, Any], **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", provider.port)
    try:
        connection.request(
            "POST", path, json.dumps(body), {name.replace("_", "-"): headers[name] for name in headers}
        )
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def ask(provider: Provider, marks: str, *, stream: bool = True, **more: Any) -> tuple[int, bytes]:
    body = {"model": f"test-{marks}", "messages": [{"role": "user", "content": "hi"}], "stream": stream}
    return post(provider, "/v1/messages", {**body, **more})


def texts(body: bytes) -> str:
    data = [json.loads(line[6:]) for line in body.decode().split("\n") if line.startswith("data: ")]
    return "".join(event.get("delta", {}).get("text", "") for event in data)


class TestWhatItKeeps:
    @pytest.mark.parametrize("path", STREAMS)
    def test_every_write_of_every_stream_is_what_came(self, provider: Provider, path: str) -> None:
        status, body = post(provider, path, {"model": "test-x", **STREAMS[path]})

        (served,) = provider.wait_done()
        assert status == 200
        assert (served.ended, served.sent) == ("whole", body)
        assert len(served.writes) > 5
        assert served.truth.text == TEXT
        assert [at for at, _ in served.writes] == sorted(at for at, _ in served.writes)

    def test_request_is_kept_as_it_was_sent(self, provider: Provider) -> None:
        body = b'{"model":  "test-x",\n "messages": []}'
        connection = http.client.HTTPConnection("127.0.0.1", provider.port)
        connection.request("POST", "/v1/messages?beta=true", iter([body[:9], body[9:]]), {"X-Thing": "Yes"})
        connection.getresponse().read()
        connection.close()

        (served,) = provider.served
        assert (served.path, served.body, served.header["x-thing"]) == ("/v1/messages?beta=true", body, "Yes")

    def test_numbers_differ_from_call_to_call_and_from_each_other(self, provider: Provider) -> None:
        for _ in range(3):
            ask(provider, "x")

        numbers = [count for served in provider.calls for count in served.truth.tokens.values()]
        assert len(numbers) == len(set(numbers)) == 15


class TestTools:
    def test_first_tool_is_asked_for_and_its_result_answered_with_text(self, provider: Provider) -> None:
        _, body = ask(provider, "x", stream=False, tools=[TOOL])
        message = json.loads(body)
        (use,) = message["content"]
        result = [{"type": "tool_result", "tool_use_id": use["id"], "content": "seen"}]
        history = [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": message["content"]},
            {"role": "user", "content": result},
        ]
        _, last = ask(provider, "x", stream=False, tools=[TOOL], messages=history)

        assert (use["name"], use["input"], message["stop_reason"]) == ("look", {"at": 7}, "tool_use")
        assert json.loads(last)["content"] == [{"type": "text", "text": TEXT}]

    def test_two_calls_come_where_they_are_asked_for_in_parallel(self, provider: Provider) -> None:
        history = [{"role": "user", "content": "Both in parallel."}]

        ask(provider, "x", tools=[TOOL], messages=history)

        assert [call.arguments for call in provider.served[0].truth.calls] == [{"at": 7}, {"at": 8}]


class TestEncodings:
    @pytest.mark.parametrize(
        ("mark", "undo"),
        [
            ("gzip", gzip.decompress),
            ("deflate", zlib.decompress),
            ("raw-deflate", lambda body: zlib.decompress(body, -15)),
            ("br", brotli.decompress),
            ("zstd", lambda body: zstandard.ZstdDecompressor().decompressobj().decompress(body)),
        ],
    )
    def test_body_is_packed_and_flushed_piece_by_piece(
        self, provider: Provider, mark: str, undo: Any
    ) -> None:
        _, body = ask(provider, mark)

        (served,) = provider.served
        assert dict(served.response_headers)["content-encoding"] == mark.removeprefix("raw-")
        assert texts(undo(body)) == TEXT
        assert len(served.writes) > 5

    def test_truncated_body_ends_as_if_it_were_whole(self, provider: Provider) -> None:
        _, body = ask(provider, "truncated-gzip")

        with pytest.raises(EOFError):
            gzip.decompress(body)


class TestFraming:
    @pytest.mark.parametrize(("mark", "sizes"), [("drip", {1}), ("split-7", {7})])
    def test_writes_are_of_that_size(self, provider: Provider, mark: str, sizes: set[int]) -> None:
        _, body = ask(provider, mark)

        assert {len(data) for _, data in provider.served[0].writes[:-1]} == sizes
        assert texts(body) == TEXT

    @pytest.mark.parametrize("mark", ["content-length", "to-the-end", "chunked", "one-write", "comments"])
    def test_body_is_whole(self, provider: Provider, mark: str) -> None:
        assert texts(ask(provider, mark)[1]) == TEXT

    @pytest.mark.parametrize(("mark", "end"), [("crlf", b"\r\n\r\n"), ("cr", b"\r\r")])
    def test_lines_end_that_way(self, provider: Provider, mark: str, end: bytes) -> None:
        _, body = ask(provider, mark)

        assert body.endswith(end)
        assert b"\n\n" not in body

    def test_event_stream_frames_carry_right_checksums(self, provider: Provider) -> None:
        _, body = post(provider, "/model/test-x/converse-stream", {"messages": []})

        frames = EventStreamBuffer()
        frames.add_data(body)
        kinds = [frame.headers[":event-type"] for frame in frames]
        assert (kinds[0], kinds[-2:]) == ("messageStart", ["messageStop", "metadata"])

    @pytest.mark.parametrize("path", ["/v1/models/test-x:streamGenerateContent"])
    def test_array_in_pieces_is_one_document(self, provider: Provider, path: str) -> None:
        _, body = post(provider, path, {"contents": []})

        said = [item["candidates"][0]["content"]["parts"][0]["text"] for item in json.loads(body)]
        assert "".join(said) == TEXT

    @pytest.mark.parametrize("http2", [False, True])
    def test_both_versions_of_http_carry_the_same_bytes(self, provider: Provider, http2: bool) -> None:
        with httpx2.Client(http1=not http2, http2=http2) as client:
            body = {"model": "test-x_big-300", "messages": [], "stream": True}
            response = client.post(f"{provider.url}/v1/messages", json=body)

        (served,) = provider.wait_done()
        assert served.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
        assert (served.ended, served.sent) == ("whole", response.content)
        assert len(response.content) > 300_000

    @pytest.mark.parametrize("http2", [False, True])
    def test_tls_carries_the_version_the_client_chooses(self, tmp_path: Path, http2: bool) -> None:
        server, trusting = tls_contexts(tmp_path)
        with Provider(tls=server) as provider:
            with httpx2.Client(verify=trusting, http2=http2) as client:
                response = client.post(
                    f"{provider.url}/v1/messages", json={"model": "test-x", "messages": []}
                )
            (served,) = provider.wait_done()

        assert served.http_version == response.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
        assert served.sent == response.content


class TestMisbehaviour:
    @pytest.mark.parametrize("mark", ["cut-after-3", "reset-after-3", "long-content-length"])
    def test_connection_goes_in_the_middle(self, provider: Provider, mark: str) -> None:
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            ask(provider, mark)

        assert provider.wait_done()[0].ended == "cut"

    def test_refusal_comes_as_often_as_asked(self, provider: Provider) -> None:
        statuses = [ask(provider, "529-twice")[0] for _ in range(3)]

        assert statuses == [529, 529, 200]
        assert [served.truth.error_type for served in provider.served] == ["overloaded_error"] * 2 + [None]
        assert len(provider.calls) == 1

    def test_error_comes_after_some_text_in_a_stream_of_status_200(self, provider: Provider) -> None:
        status, body = ask(provider, "error-midstream")

        assert (status, texts(body)) == (200, TEXT.split(" ")[0] + " ")
        assert body.count(b"event: error\n") == 1

    def test_hanging_answer_ends_when_the_client_goes(self, provider: Provider) -> None:
        with socket.create_connection(("127.0.0.1", provider.port)) as client:
            body = json.dumps({"model": "test-hang-after-2", "messages": [], "stream": True}).encode()
            head = b"POST /v1/messages HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(body)
            client.sendall(head + body)
            got = b""
            while b'{"type":"ping"}' not in got:
                got += client.recv(65536)

        (served,) = provider.wait_done()
        assert (served.ended, len(served.writes)) == ("left", 2)

    def test_redirect_leads_to_the_answer(self, provider: Provider) -> None:
        with httpx2.Client(follow_redirects=True) as client:
            body = {"model": "test-redirect", "messages": []}
            response = client.post(f"{provider.url}/v1/messages", json=body)

        assert [served.status for served in provider.served] == [307, 200]
        assert response.json()["content"][0]["text"] == TEXT

    def test_not_json_and_empty_are_what_they_say(self, provider: Provider) -> None:
        assert ask(provider, "not-json")[1].startswith(b"<html>")
        assert ask(provider, "empty") == (200, b"")


class TestLockstep:
    def test_next_chunk_is_not_written_before_the_last_was_seen(self, provider: Provider) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", provider.port)
        body = {"model": "test-lockstep-all", "messages": [], "stream": True}
        connection.request("POST", "/v1/messages", json.dumps(body))
        response = connection.getresponse()
        seen = []
        while data := response.read1(65536):
            seen.append(data)
            assert len(provider.served[0].writes) == len(seen)
            provider.gate.seen(data)
        connection.close()

        assert provider.wait_done()[0].ended == "whole"

    def test_seen_from_another_thread_wakes_it(self, provider: Provider) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", provider.port)
        body = {"model": "test-lockstep", "messages": [], "stream": True}
        connection.request("POST", "/v1/messages", json.dumps(body))
        response = connection.getresponse()
        first = response.read1(65536)
        thread = Thread(target=provider.gate.seen, args=(TEXT,))
        thread.start()
        rest = response.read()
        thread.join()
        connection.close()

        assert texts(first + rest) == TEXT
        assert provider.wait_done()[0].ended == "whole"
