"""One exchange as the recorder knows it: the request understood, the response taken apart as it comes.

    chunks -> content-encoding undone -> events -> secrets out -> decoder (what it says)
                                                             \\-> the tape (what it was)

All of it happens when a stream has ended, or every so often in a long one; never
between a chunk and its reader. Nothing here writes.
"""

from __future__ import annotations

from asyncio import current_task
from bisect import bisect_left
from hashlib import sha256
from itertools import accumulate
from threading import get_ident
from typing import TYPE_CHECKING, Any

import msgspec

from agent_step_log import Failure
from agenttap._capture import text_of
from agenttap._encoding import decompressor
from agenttap._framing import splitter
from agenttap.decoders import RequestFacts, request_facts, response_decoder

if TYPE_CHECKING:
    from agenttap._capture import Capture
    from agenttap._events import Event
    from agenttap._redact import Redactor
    from agenttap._steps import Call
    from agenttap.decoders import ResponseFacts

__all__ = ["Exchange", "first_value", "place"]

#: Bytes of a body that are read at a time.
SLICE_BYTES = 32 * 1024

_decode = msgspec.json.Decoder().decode


class Exchange:
    """See the module. Used by one thread at a time.

    Attributes:
        n: Its number on the tape, from 1.
        api: As of its capture.
        place: The thread and the task that made the request; see `place`.
        facts: What the request says.
        response_facts: What the response came to; None before its end, and where there was none.
        state: complete, closed_early, cancelled, cut or failed; see `_tape`.
        failure: What the call ended with, if not well.
    """

    def __init__(
        self,
        capture: Capture,
        *,
        tape_name: str,
        keeps_content: bool,
        max_bytes: int,
    ) -> None:
        self.n, self.api = capture.n, capture.api
        self.place = capture.place
        self.tape_name = tape_name
        self.keeps_content = keeps_content
        self.began = capture.t_request
        self.ended = self.began
        self.status: int | None = None
        self.facts = RequestFacts()
        self.response_facts: ResponseFacts | None = None
        self.state = "failed"
        self.failure: Failure | None = None
        self.call: Call | None = None
        self.body_sha256 = ""
        self.retry_key = b""
        self.retry_count = 0
        self.first_content: float | None = None
        self.redacted = 0
        self.size = 0
        self._hash = sha256()
        self._headers: dict[str, str] = {}
        self._pipeline: _Pipeline | None = None
        self._left = max_bytes
        self._dropped = 0

    # -- the request -----------------------------------------------------------

    def take_request(self, capture: Capture, redactor: Redactor) -> bytes:
        """Read the request; return its body as the tape may have it."""
        body = bytes(capture.body or b"")
        sent = capture.request_headers()
        digest = capture.request_sha256()
        self.body_sha256 = digest.hex()
        self.retry_key = sent.get("amz-sdk-invocation-id", "").encode() or digest
        count = sent.get("x-stainless-retry-count", "")
        self.retry_count = int(count) if count.isdigit() and len(count) < 4 else 0
        kept, found = redactor.body(body)
        self.redacted += found
        if self.api is not None:
            try:
                decoded: Any = _decode(kept)
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                decoded = None
            self.facts = request_facts(self.api, capture.url, decoded)
        return kept

    # -- the response ----------------------------------------------------------

    def take_head(self, capture: Capture, redactor: Redactor) -> None:
        """Read status and headers, once they are there."""
        if self._pipeline is not None or capture.status is None:
            return
        self.status = capture.status
        capture.response_headers = [
            (text_of(name), text_of(value)) for name, value in capture.response_headers
        ]
        self._headers = {name.lower(): value for name, value in capture.response_headers}
        self._pipeline = _Pipeline(self, capture, self._headers, redactor)

    def take_chunks(self, capture: Capture, redactor: Redactor, *, is_last: bool) -> dict[str, Any]:
        """Read what has arrived; return the keys `body`, `at` and `edits` of the tape's line."""
        chunks, capture.chunks = capture.chunks, []
        self.take_head(capture, redactor)
        raw = b"".join([data for _, data in chunks])
        self._hash.update(raw)
        self.size += len(raw)
        if self._pipeline is None:
            return {}
        body, at, edits = self._pipeline.take(chunks, raw, is_last=is_last)
        if len(body) > self._left:
            self._dropped += len(body) - self._left
            body = body[: self._left]
        self._left -= len(body)
        keys: dict[str, Any] = {"raw": body}
        if at:
            keys["at"] = at
        if edits:
            keys["edits"] = edits
        return keys

    def give_up(self) -> None:
        """Decode no more of the response: something in it was too much for us."""
        if self._pipeline is not None:
            self._pipeline.decoder = None

    def finish(self, capture: Capture, redactor: Redactor) -> None:
        """Say what it came to; all chunks have been taken."""
        self.ended = capture.t_end if capture.t_end is not None else self.began
        pipeline = self._pipeline
        if pipeline is not None and pipeline.decoder is not None:
            self.response_facts = pipeline.decoder.facts()
        self.state = self._state(capture)
        self.failure = self._failure(capture, redactor)

    def _state(self, capture: Capture) -> str:
        if self._pipeline is None:
            return "cancelled" if capture.how == "cancelled" else "failed"
        decoder = self._pipeline.decoder
        if decoder is not None and decoder.is_complete:
            return "complete"
        if capture.how == "eof":
            # A stream whose protocol has a last word was cut where that is missing.
            is_cut = decoder is not None and self._pipeline.is_stream and self.status == 200
            return "cut" if is_cut else "complete"
        return {"closed": "closed_early", "cancelled": "cancelled"}.get(capture.how or "", "cut")

    def _failure(self, capture: Capture, redactor: Redactor) -> Failure | None:
        facts = self.response_facts
        if facts is not None and facts.error is not None:
            return Failure(facts.error, facts.error_type)
        if self.status is not None and self.status >= 300:
            return Failure(f"HTTP {self.status}")
        if self.state in ("complete", "closed_early"):
            return None
        error = capture.error
        if error is None:
            return Failure("the stream ended before its last event" if self.state == "cut" else "no response")
        # Without frames: those above the connection are not on the traceback yet, and the others are no news.
        cls = type(error)
        kind = cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
        return Failure(redactor.text(str(error)) or kind, kind)

    def fields(self) -> dict[str, Any]:
        """Return the keys of the `llm_call` record."""
        facts = self.response_facts
        fields: dict[str, Any] = {} if facts is None else dict(facts.fields)
        if self.facts.provider is not None:
            fields["provider"] = self.facts.provider
        if facts is not None and facts.tier is not None:
            fields["service_tier"] = facts.tier
        if request_id := first_value(self._headers, *_REQUEST_IDS):
            fields["request_id"] = request_id
        if self.first_content is not None and self._pipeline is not None and self._pipeline.is_stream:
            fields["ttft_ms"] = round((self.first_content - self.began) * 1000, 3)
        if self.state == "closed_early":
            fields["stream"] = "closed"
        if not self.keeps_content:
            fields.pop("output", None)
        return fields

    def summary(self) -> dict[str, Any]:
        """Return what the tape's last line says of the response as a whole."""
        keys: dict[str, Any] = {"size": self.size, "sha256": self._hash.hexdigest()}
        if self._dropped:
            keys["dropped"] = self._dropped
        return keys


_REQUEST_IDS = ("request-id", "x-request-id", "x-amzn-requestid", "apim-request-id", "x-goog-request-id")


class _Pipeline:
    """What the bytes of one response go through, as they come."""

    def __init__(
        self, exchange: Exchange, capture: Capture, headers: dict[str, str], redactor: Redactor
    ) -> None:
        self._exchange = exchange
        encoding = None if capture.is_decoded else headers.get("content-encoding")
        self._expand = decompressor(encoding) if encoding else None
        # What cannot be expanded cannot be read: it is kept as it came.
        is_readable = self._expand is not None or not encoding or encoding.strip().lower() == "identity"
        api = exchange.api if is_readable else None
        self._split = (
            splitter(api or "unknown", capture.status or 0, headers, may_join=True) if is_readable else None
        )
        self._clean = redactor.stream(api or "unknown") if is_readable else None
        self.decoder = (
            response_decoder(api, status=capture.status or 0, headers=headers, request=exchange.facts)
            if api is not None and is_readable
            else None
        )
        self._began = capture.t_request
        self._times: list[float] = []  # of the chunks whose first content is still looked for
        self._ends: list[int] = []
        self._arrived = 0
        self._edits: list[list[int]] = []
        self._passed = 0  # bytes of events that have come out of redaction
        kind = headers.get("content-type", "")
        self.is_stream = exchange.facts.is_streamed is True or "event-stream" in kind or "eventstream" in kind

    def take(
        self, chunks: list[tuple[float, bytes]], raw: bytes, *, is_last: bool
    ) -> tuple[bytes, list[tuple[float, int]], list[list[int]]]:
        """Take *chunks*, which joined are *raw*; return body, `at` and `edits` for the tape."""
        began = self._began
        sizes = [len(data) for _, data in chunks]
        body, expand = raw, self._expand
        if expand is not None:
            pieces = [expand.feed(data) for _, data in chunks]
            if is_last:
                # What the end lets out came with the last chunk.
                rest = expand.end()
                pieces[-1:] = [pieces[-1] + rest] if pieces else []
                body = b"".join(pieces) if pieces else rest
            else:
                body = b"".join(pieces)
            sizes = [len(piece) for piece in pieces]
        at = [(round((now - began) * 1000, 2), size) for (now, _), size in zip(chunks, sizes, strict=True)]
        if self._split is None or self._clean is None:
            return body, at, []
        if self._exchange.first_content is None:
            self._times += [now for now, _ in chunks]
            self._ends += accumulate(sizes, initial=self._arrived)
            del self._ends[-len(sizes) - 1]
            self._arrived += sum(sizes)
        self._edits = []
        raws: list[bytes] = []
        # In slices: events that die young cost the garbage collector nothing.
        for begin in range(0, len(body), SLICE_BYTES):
            self._read(self._clean.feed(self._split.feed(body[begin : begin + SLICE_BYTES])), raws)
        if is_last:
            self._read(self._clean.feed(self._split.end()), raws)
            self._read(self._clean.end(), raws)
        if self._exchange.first_content is not None:
            self._times, self._ends = [], []
        return b"".join(raws), at, self._edits

    def _read(self, events: list[Event], raws: list[bytes]) -> None:
        exchange, decoder, passed = self._exchange, self.decoder, self._passed
        for event in events:
            raws.append(event.raw)
            passed += event.size
            if event.is_redacted:
                exchange.redacted += 1
                if len(event.raw) != event.size:
                    self._edits.append([passed - event.size, event.size, len(event.raw)])
            if decoder is not None and decoder.add(event) and exchange.first_content is None and self._times:
                place = bisect_left(self._ends, passed)
                exchange.first_content = self._times[min(place, len(self._times) - 1)]
        self._passed = passed


def place() -> tuple[int, int]:
    """Return which thread and which task this is."""
    try:
        task = current_task()
    except RuntimeError:
        task = None
    return get_ident(), 0 if task is None else id(task)


def first_value(headers: dict[str, str], *names: str) -> str | None:
    """Return the first of the headers *names* that is there."""
    return next((headers[name] for name in names if headers.get(name)), None)
