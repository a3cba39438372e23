"""The recorder of one run: takes captures as they come; writes the tape, and the steps if there is a log."""

from __future__ import annotations

import os
from itertools import count
from threading import RLock
from typing import TYPE_CHECKING, Any

import msgspec

from agent_step_log import StepAhead
from agenttap._capture import text_of
from agenttap._exchange import Exchange, place
from agenttap._tape import SUFFIX, TapeWriter, body_fields
from agenttap.decoders import request_facts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent_run_id import RunContext
    from agent_step_log import StepLog
    from agenttap._capture import Capture
    from agenttap._redact import Redactor

__all__ = ["RunRecorder"]

#: Headers and URLs whose redacted form is remembered.
_MAX_KNOWN = 256


class RunRecorder:
    """See the module. Its methods are called from any thread and never raise.

    Args:
        run_id: The run's id.
        file_stem: The same, fit for a file's name.
        directory: Where the tape goes.
        log: Where the steps go; None: nowhere.
        redactor: Takes secrets out of what is written.
        keeps_content: False: bodies and outputs are left out.
        max_body_bytes: Bytes of one response's body that are kept; the rest is counted and hashed.
        on_error: Told what went wrong. Must not raise.
        guard: Asked before a request to a model is sent, and given to a *log* that has none.
    """

    def __init__(
        self,
        run_id: str,
        file_stem: str,
        directory: Path,
        log: StepLog | None,
        redactor: Redactor,
        *,
        keeps_content: bool,
        max_body_bytes: int,
        recorder: dict[str, Any],
        on_error: Callable[[BaseException], None],
        guard: Callable[[StepAhead], object] | None = None,
    ) -> None:
        self.run_id, self.log = run_id, log
        if log is not None and guard is not None and log.guard is None:
            log.set_guard(guard)
        #: Who is asked before a request to a model is sent.
        self.guard = guard if log is None else log.guard
        self._redactor, self._keeps_content, self._max_body_bytes = redactor, keeps_content, max_body_bytes
        self._on_error = on_error
        self._numbers = count(1)
        self._known_headers: dict[tuple[str | bytes, str | bytes], list[tuple[str, str]]] = {}
        self._known_urls: dict[str, str] = {}
        writer = os.urandom(4).hex()
        header = {"run_id": run_id, "writer": writer, "recorder": recorder}
        self.tape = TapeWriter(directory / f"{file_stem}.{writer}{SUFFIX}", header, on_error)
        self._steps = None
        if log is not None:
            from agenttap._steps import StepWriter

            self._steps = StepWriter(log)
        #: Captures that have not ended, for `close`.
        self.open: set[Capture] = set()
        self._lock = RLock()  # protects `is_closed` against a capture that begins while the run ends
        self.is_closed = False

    def ask(self, capture: Capture, api: str, run: RunContext | None) -> None:
        """Ask the guard whether *capture*, a call of a model, may be sent; returns when it may.

        Raises:
            CallRefusedError: It may not.
        """
        if self.guard is None:
            return
        try:
            if self._steps is not None and self._steps.is_counted(capture):
                return
            model = request_facts(api, capture.url, _decoded(capture.body)).model
            if self.log is not None:
                self.log.ask_guard("llm_call", model)
                return
            root = self.run_id if run is None else str(run.root_run_id)
            agent = None if run is None else run.agent
            self.guard(StepAhead("llm_call", model, self.run_id, root, agent))
        except Exception as error:  # noqa: BLE001  the guard's failure; the request goes its way
            self._on_error(error)

    def begin(self, capture: Capture) -> bool:
        """Take *capture* on; False where the run has ended. The request waits for this one."""
        with self._lock:
            if self.is_closed:
                return False
            self.open.add(capture)
        capture.n = next(self._numbers)
        if self._steps is not None:
            capture.place = place()
        return True

    def begun(self, capture: Capture) -> None:
        """Put the beginning of an exchange on the tape."""
        try:
            self._begun(capture)
        except Exception as error:  # noqa: BLE001  the agent is waiting for its answer
            self._on_error(error)

    def _begun(self, capture: Capture) -> None:
        line: dict[str, Any] = {
            "type": "start",
            "n": capture.n,
            "ts": capture.ts,
            "client": capture.client,
            "api": capture.api,
            "method": capture.method,
            "url": self._clean_url(capture.url),
            "headers": self._clean_headers(capture.headers),
        }
        if not capture.is_attributed:
            line["attribution"] = "process"
        self.tape.write(line)

    # A client sends the same ones with every request.

    def _clean_url(self, url: str) -> str:
        known = self._known_urls
        kept = known.get(url)
        if kept is None:
            if len(known) >= _MAX_KNOWN:
                known.clear()
            kept = known[url] = self._redactor.url(url)
        return kept

    def _clean_headers(self, headers: list[tuple[str | bytes, str | bytes]]) -> list[tuple[str, str]]:
        known = self._known_headers
        kept: list[tuple[str, str]] = []
        for header in headers:
            found = known.get(header)
            if found is None:
                if len(known) >= _MAX_KNOWN:
                    known.clear()
                name, value = header
                found = known[header] = self._redactor.headers([(text_of(name), text_of(value))])
            kept += found
        return kept

    def sent(self, capture: Capture) -> None:
        """Take down the request."""
        try:
            self._sent(capture)
        except Exception as error:  # noqa: BLE001  the agent is waiting for its answer
            self._on_error(error)

    def _sent(self, capture: Capture) -> None:
        exchange = capture.state = Exchange(
            capture,
            tape_name=self.tape.path.name,
            keeps_content=self._keeps_content,
            max_bytes=self._max_body_bytes,
        )
        size = capture.request_size
        kept = exchange.take_request(capture, self._redactor)
        line: dict[str, Any] = {
            "type": "request",
            "n": exchange.n,
            "size": size,
            "sha256": exchange.body_sha256,
        }
        if exchange.redacted:
            line["redacted"] = exchange.redacted
        if self._keeps_content:
            taken = len(capture.body or b"")
            kept = kept[: self._max_body_bytes]
            if dropped := size - min(taken, self._max_body_bytes):
                line["dropped"] = dropped
            line.update(body_fields(kept))
        self.tape.write(line)
        # The tape holds it from here on; a long answer need not hold it twice.
        capture.body = b""
        exchange.redacted = 0
        if self._steps is not None and exchange.api is not None:
            self._steps.begin(exchange)

    def part(self, capture: Capture) -> None:
        """Take down what a long stream has brought so far."""
        try:
            exchange = capture.state
            if not isinstance(exchange, Exchange):  # it has ended: nobody waits for more
                capture.chunks = []
                return
            self._write_body({"type": "part", "n": exchange.n}, capture, exchange, is_last=False)
        except Exception as error:  # noqa: BLE001
            capture.chunks = []
            self._on_error(error)

    def ended(self, capture: Capture) -> None:
        """Take down the rest, and what it came to."""
        with self._lock:
            self.open.discard(capture)
        try:
            self._ended(capture)
        except Exception as error:  # noqa: BLE001
            self._on_error(error)
        # An agent may keep its responses, and a response keeps its capture.
        capture.state = capture.body = None
        capture.headers, capture.chunks = [], []

    def _ended(self, capture: Capture) -> None:
        exchange: Exchange = capture.state
        try:
            keys = exchange.take_chunks(capture, self._redactor, is_last=True)
        except Exception as error:  # noqa: BLE001  the step and the rest of the tape are still to be ended
            self._on_error(error)
            exchange.give_up()
            keys = {}
        exchange.finish(capture, self._redactor)
        if self._steps is not None:
            self._steps.end(exchange)
        line: dict[str, Any] = {"type": "end", "n": exchange.n, "status": exchange.status}
        if exchange.status is not None:
            version = capture.http_version
            line["http_version"] = text_of(version) if version else None
            line["headers"] = self._redactor.headers(capture.response_headers)
            line.update(exchange.summary())
        line["times"] = _times(capture, exchange)
        line["state"] = exchange.state
        if exchange.failure is not None:
            line["error"], line["error_type"] = exchange.failure.error, exchange.failure.error_type
        if exchange.redacted:
            line["redacted"] = exchange.redacted
        if exchange.call is not None:
            line["step"] = exchange.call.step.step
        if not self._keeps_content and exchange.response_facts is not None:
            line["usage"] = exchange.response_facts.fields.get("usage")
        self._put_body(line, keys)
        self.tape.write(line)

    def _write_body(
        self, line: dict[str, Any], capture: Capture, exchange: Exchange, *, is_last: bool
    ) -> None:
        self._put_body(line, exchange.take_chunks(capture, self._redactor, is_last=is_last))
        self.tape.write(line)

    def _put_body(self, line: dict[str, Any], keys: dict[str, Any]) -> None:
        raw = keys.pop("raw", b"")
        line.update(keys)
        if self._keeps_content:
            line.update(body_fields(raw))

    def failed(self, error: BaseException) -> None:
        """Something went wrong in a capture."""
        self._on_error(error)

    def close(self) -> None:
        """End what is open, as closed by the tap, and close the tape."""
        with self._lock:
            self.is_closed = True
            still_open = list(self.open)
        for capture in still_open:
            capture.end("closed")
        if self._steps is not None:
            self._steps.close()
        self.tape.close()

    def abandon(self) -> None:
        """Forget everything: this process is a fork, and all of it is its parent's."""
        self._lock = RLock()
        self.is_closed = True
        for capture in self.open:
            if isinstance(capture.state, Exchange) and capture.state.call is not None:
                capture.state.call.step.forget()
        self.open.clear()
        if self._steps is not None:
            self._steps.forget()
            self._steps = None
        self.tape.abandon()


def _times(capture: Capture, exchange: Exchange) -> dict[str, float]:
    moments = {
        "headers_ms": capture.t_headers,
        "first_byte_ms": capture.t_first_byte,
        "first_content_ms": exchange.first_content,
        "end_ms": capture.t_end,
    }
    return {
        name: round((moment - capture.t_request) * 1000, 3)
        for name, moment in moments.items()
        if moment is not None
    }


def _decoded(body: bytes | bytearray | None) -> Any:
    try:
        return msgspec.json.decode(body or b"")
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
