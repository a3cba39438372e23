"""What nobody should send, and who else may be patching: the agent gets what it would have got."""

from __future__ import annotations

import hashlib
import http.server
import inspect
import json
import threading
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import vcr
from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from agent_step_log import StepLog, read_log
from agenttap import Tap, Tape
from agenttap._capture import MAX_STREAMED_REQUEST
from tests.provider import Provider

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agenttap import TapedExchange

MEGABYTE = 1 << 20


class _Handler(http.server.BaseHTTPRequestHandler):
    """Takes whatever is sent; answers as many bytes as the path says."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        received = hashlib.sha256()
        if self.headers.get("transfer-encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                received.update(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
        else:
            received.update(self.rfile.read(int(self.headers["content-length"])))
        megabytes = int(self.path.split("/")[1])
        self.send_response(200)
        self.send_header("content-length", str(megabytes * MEGABYTE))
        self.send_header("x-request-id", received.hexdigest())
        self.end_headers()
        for _ in range(megabytes):
            self.wfile.write(b"\xff\0" * (MEGABYTE // 2))

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Say nothing."""


@pytest.fixture
def sink() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


def only(directory: Path) -> TapedExchange:
    (path,) = directory.glob("*.tape.zst")
    (exchange,) = Tape(path).exchanges()
    return exchange


class TestSizes:
    def test_an_upload_of_100_mb_is_hashed_whole_and_kept_in_part(self, sink: str, tmp_path: Path) -> None:
        piece = bytes(range(256)) * 4096

        def pieces() -> Iterator[bytes]:
            for _ in range(100):
                yield piece

        with Tap(tmp_path, capture="all") as tap:
            answer = httpx2.post(f"{sink}/0", content=pieces())
        exchange = only(tmp_path)

        assert tap.errors == 0
        assert exchange.request_size == 100 * MEGABYTE
        assert exchange.request_sha256 == answer.headers["x-request-id"]
        assert exchange.request_body == (piece * 8)[:MAX_STREAMED_REQUEST]
        assert exchange.request_dropped == 100 * MEGABYTE - MAX_STREAMED_REQUEST

    def test_a_binary_answer_of_100_mb_is_counted_whole_and_kept_as_far_as_it_may(
        self, sink: str, tmp_path: Path
    ) -> None:
        digest = hashlib.sha256()
        with (
            Tap(tmp_path, capture="all", max_body_bytes=MEGABYTE) as tap,
            httpx2.stream("POST", f"{sink}/100", content=b"\0\1") as answer,
        ):
            for chunk in answer.iter_raw():
                digest.update(chunk)
        exchange = only(tmp_path)

        assert tap.errors == 0
        assert (exchange.size, exchange.sha256) == (100 * MEGABYTE, digest.hexdigest())
        assert exchange.body == b"\xff\0" * (MEGABYTE // 2)
        assert exchange.dropped == 99 * MEGABYTE
        assert (exchange.request_body, exchange.state) == (b"\0\1", "complete")


class TestBodies:
    @pytest.mark.parametrize(
        "sent",
        [
            b'{"messages": ' + b"[" * 100_000,
            b'{"messages": [{"role": "user", "content": "\xff\xfe"}], "model": "m"}',
            b'{"messages": 7, "model": ["m"], "stream": {}, "tools": null}',
            b'{"messages": [null, 1, {"role": 9, "content": {"a": []}}, [[]]], "model": 1e999}',
            b"{}",
            b"",
            b"\0" * 100,
        ],
        ids=["deep", "not utf-8", "wrong types", "wrong places", "empty object", "empty", "binary"],
    )
    def test_a_request_of_any_shape_is_sent_and_taken_down(
        self, sink: str, tmp_path: Path, sent: bytes
    ) -> None:
        with Tap(tmp_path, capture="all") as tap:
            answer = httpx2.post(f"{sink}/0/v1/messages", content=sent)

        assert tap.errors == 0
        assert answer.headers["x-request-id"] == hashlib.sha256(sent).hexdigest()
        assert only(tmp_path).request_body == sent

    def test_a_body_shorter_than_its_length_is_cut(self, provider: Provider, tmp_path: Path) -> None:
        asked = {"model": "claude-test-long-content-length", "max_tokens": 9, "messages": []}
        with StepLog(tmp_path / "run.jsonl", "run") as log, Tap(log=log) as tap:
            with pytest.raises(httpx2.RemoteProtocolError):
                httpx2.post(f"{provider.url}/v1/messages", json=asked)
        (call,) = [record for record in read_log(tmp_path / "run.jsonl") if record.type == "llm_call"]

        assert tap.errors == 0
        assert only(tmp_path).body == provider.served[0].sent
        # All of the document had come: what the client complains of is the promise, not the answer.
        assert call.input_tokens == provider.calls[0].truth.input_tokens

    def test_an_endless_stream_is_left_when_the_agent_leaves_it(
        self, provider: Provider, tmp_path: Path
    ) -> None:
        asked = {"model": "claude-test-endless", "max_tokens": 9, "messages": [], "stream": True}
        with (
            Tap(tmp_path) as tap,
            httpx2.stream("POST", f"{provider.url}/v1/messages", json=asked) as answer,
        ):
            seen = b""
            for chunk in answer.iter_raw():
                seen += chunk
                if len(seen) > 1_500_000:
                    break
        exchange = only(tmp_path)

        assert tap.errors == 0
        assert exchange.state == "closed_early"
        assert exchange.body.startswith(seen)


class TestOtherPatchers:
    """Whoever patches first: both see each call once, and taking one out leaves the other."""

    def ask(self, provider: Provider) -> Any:
        asked = {"model": "claude-test", "max_tokens": 9, "messages": []}
        return httpx2.post(f"{provider.url}/v1/messages", json=asked).json()

    @pytest.mark.parametrize("order", ["before", "after"])
    def test_opentelemetry(self, provider: Provider, tmp_path: Path, order: str) -> None:
        spans = InMemorySpanExporter()
        tracing = TracerProvider()
        tracing.add_span_processor(SimpleSpanProcessor(spans))
        instrumentor, tap = HTTPX2ClientInstrumentor(), Tap(tmp_path)
        before = httpx2.HTTPTransport.handle_request
        try:
            if order == "before":
                instrumentor.instrument(tracer_provider=tracing)
                tap.start()
            else:
                tap.start()
                instrumentor.instrument(tracer_provider=tracing)
            answer = self.ask(provider)
            tap.close()
            self.ask(provider)
        finally:
            tap.close()
            instrumentor.uninstrument()

        assert answer["type"] == "message"
        assert len(spans.get_finished_spans()) == 2
        assert only(tmp_path).state == "complete"
        # Where the other one stood outside when the tap was closed, a wrapper that passes on stays below.
        assert inspect.unwrap(httpx2.HTTPTransport.handle_request) is inspect.unwrap(before)

    def test_opentelemetry_between_two_taps_does_not_make_calls_double(
        self, provider: Provider, tmp_path: Path
    ) -> None:
        instrumentor = HTTPX2ClientInstrumentor()
        with Tap(tmp_path / "first"):
            instrumentor.instrument(tracer_provider=TracerProvider())
        try:
            with Tap(tmp_path / "second"):
                self.ask(provider)
        finally:
            instrumentor.uninstrument()

        assert only(tmp_path / "second").state == "complete"

    def test_a_cassette_around_the_tap(self, provider: Provider, tmp_path: Path) -> None:
        with self.cassette(tmp_path), Tap(tmp_path / "tapes"):
            answer = self.ask(provider)

        assert answer == json.loads(provider.served[0].sent)
        assert only(tmp_path / "tapes").body == provider.served[0].sent

    def test_a_cassette_inside_the_tap_goes_past_it_and_no_longer_than_it_is_used(
        self, provider: Provider, tmp_path: Path
    ) -> None:
        """vcrpy calls the method it found when it was imported, whoever has patched it since."""
        with Tap(tmp_path / "tapes"):
            with self.cassette(tmp_path):
                answer = self.ask(provider)
            self.ask(provider)

        assert answer == json.loads(provider.served[0].sent)
        assert only(tmp_path / "tapes").body == provider.served[1].sent

    def cassette(self, tmp_path: Path) -> Any:
        return vcr.VCR(record_mode="all").use_cassette(str(tmp_path / "cassette.yaml"))
