"""Steps from the wire: exchanges become `llm_call` records, and the tools between them `tool_call` records.

One *logical call* is what the agent asked for once; its exchanges are *attempts*. A failed
attempt that its client may repeat (no response, 408, 409, 429, 5xx, a redirect) leaves the
step open, with an event ``llm.attempt`` inside it, until

    the same body is sent again, or botocore's invocation id comes back   the next attempt
    another model call begins in the same thread and task                 the client gave up
    `RETRY_S` seconds pass, or the tap is switched off                    the client gave up

A tool call is asked for by a response and answered by a later request. Both carry its id;
where an API has none (Gemini, Ollama) the pair is found by name and arguments, from the end
of the history, where the new ones stand. Each call is recorded once, when its answer is
first sent: histories that are resent, compacted, edited or forked add nothing. Its duration,
from the end of the response to the next request, is an upper bound. A call that the log has
from elsewhere is left to that; see `agent_step_log.StepLog.watch_tool_calls`.

A model call made inside the agent's own ``with log.llm_call(...)`` is that call: what the
wire knows is added to it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from threading import RLock, Timer
from typing import TYPE_CHECKING, Any

import msgspec

from agent_step_log import LlmStep

if TYPE_CHECKING:
    from agent_step_log import Failure, StepLog
    from agenttap._capture import Capture
    from agenttap._exchange import Exchange
    from agenttap.decoders import RequestFacts, ToolCall, ToolResult

__all__ = ["RETRY_S", "StepWriter"]

#: SDKs wait at most a minute before they try again.
RETRY_S = 75.0
#: Tool calls that wait for an answer, and answered ones remembered; a run's longest turn asks for tens.
MAX_TOOLS = 10_000

_RETRIED = frozenset({301, 302, 303, 307, 308, 408, 409, 425, 429, 529})

_sorted = msgspec.json.Encoder(order="sorted").encode


@dataclass(eq=False, slots=True)
class Call:
    """One logical call."""

    step: LlmStep
    is_own: bool  # the agent's own measured step, which the agent ends
    key: bytes  # of the request: equal for attempts of one call
    began: float
    place: tuple[int, int] | None
    attempt: int = 1
    exchanges: list[int] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)
    failure: Failure | None = None
    timer: Timer | None = None


@dataclass(eq=False, slots=True)
class Asked:
    """A tool call that a model has asked for."""

    call: ToolCall
    at: float
    parent: int | None
    agent: str | None


class StepWriter:
    """Writes the steps of one run; see the module. Safe from any thread."""

    def __init__(self, log: StepLog) -> None:
        self._log = log
        self._seen = log.watch_tool_calls()
        # Protects the three below; held for dictionary work only, never while recording. Reentrant: the
        # collector may end a response that nobody holds any more in the midst of it.
        self._lock = RLock()
        self._waiting: list[Call] = []
        self._asked: dict[object, Asked] = {}
        self._answered: deque[object] = deque(maxlen=MAX_TOOLS)

    # -- a request -------------------------------------------------------------

    def is_counted(self, capture: Capture) -> bool:
        """Whether the log's guard has been asked about this call: the agent measures it, or it is a retry."""
        if self._log.open_llm_call() is not None:
            return True
        if not self._waiting:
            return False
        key = capture.request_headers().get("amz-sdk-invocation-id", "").encode() or capture.request_sha256()
        with self._lock:
            return any(waiting.key == key for waiting in self._waiting)

    def begin(self, exchange: Exchange) -> None:
        """Record the tools *exchange* answers, and open its call."""
        facts = exchange.facts
        self._answer(facts.tool_results, exchange)
        call = self._retried(exchange)
        if call is None:
            call = self._open(exchange, facts)
        exchange.call = call
        call.exchanges.append(exchange.n)
        place: dict[str, Any] = {"tape": exchange.tape_name, "n": exchange.n}
        if len(call.exchanges) > 1:
            place["attempts"] = list(call.exchanges)
        call.step.update(exchange=place)

    def _open(self, exchange: Exchange, facts: RequestFacts) -> Call:
        place = exchange.place
        with self._lock:
            given_up = [waiting for waiting in self._waiting if waiting.place == place]
            for waiting in given_up:
                self._waiting.remove(waiting)
        for waiting in given_up:
            self._end(waiting)
        own = self._log.open_llm_call()
        # Made here, not by `log.llm_call`: the guard has been asked before the request was sent.
        step = own or LlmStep(
            self._log, facts.model, provider=facts.provider, input=None, parent=None, attrs=None
        )
        call = Call(step, own is not None, exchange.retry_key, exchange.began, place)
        # A client that counts its tries may have begun before there was a tap.
        call.attempt = exchange.retry_count + 1
        return call

    def _retried(self, exchange: Exchange) -> Call | None:
        place = exchange.place
        with self._lock:
            same = [waiting for waiting in self._waiting if waiting.key == exchange.retry_key]
            if not same:
                return None
            # Of equal calls made side by side, the one that was made here.
            call = next((waiting for waiting in same if waiting.place == place), same[0])
            self._waiting.remove(call)
        if call.timer is not None:
            call.timer.cancel()
            call.timer = None
        call.attempt += 1
        return call

    # -- a response ------------------------------------------------------------

    def end(self, exchange: Exchange) -> None:
        """Take what *exchange* came to: end its call, or wait for the next attempt."""
        call = exchange.call
        if call is None:
            return
        facts = exchange.response_facts
        call.fields = exchange.fields()
        call.failure = exchange.failure
        if exchange.status is not None and exchange.failure is None and facts is not None:
            self._ask(facts.calls, exchange, call)
        if call.failure is not None and _may_be_retried(exchange):
            self._log.event(
                "llm.attempt",
                {
                    "attempt": call.attempt,
                    "n": exchange.n,
                    "status": exchange.status,
                    "error": call.failure.error,
                    "duration_ms": round((exchange.ended - exchange.began) * 1000, 3),
                },
                parent=call.step.step,
                agent=call.step.agent,
            )
            call.fields["duration_ms"] = round((exchange.ended - call.began) * 1000, 3)
            self._wait(call)
            return
        call.fields["duration_ms"] = round((exchange.ended - call.began) * 1000, 3)
        self._end(call)

    def _wait(self, call: Call) -> None:
        timer = Timer(RETRY_S, self._give_up, [call])
        timer.daemon = True
        call.timer = timer
        with self._lock:
            self._waiting.append(call)
        try:
            timer.start()
        except RuntimeError:  # no more threads, or the interpreter is going: the tap's end will do
            call.timer = None

    def _give_up(self, call: Call) -> None:
        with self._lock:
            if call not in self._waiting:
                return
            self._waiting.remove(call)
        self._end(call)

    def _end(self, call: Call) -> None:
        if call.timer is not None:
            call.timer.cancel()
        step, fields = call.step, call.fields
        if call.attempt > 1:
            fields["attempt"] = call.attempt
        if call.is_own:
            # The agent's own step is the agent's to measure and to end; what it said of it stands.
            fields.pop("duration_ms", None)
            fields = {name: value for name, value in fields.items() if step.fields.get(name) is None}
        step.update(**fields)
        if not call.is_own:
            step.end(call.failure)

    def close(self) -> None:
        """End the calls that wait for another attempt."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for call in waiting:
            self._end(call)

    def forget(self) -> None:
        """In a forked child: what waits here is the parent's to end."""
        for call in self._waiting:
            call.step.forget()

    # -- tools -----------------------------------------------------------------

    def _ask(self, calls: list[ToolCall], exchange: Exchange, call: Call) -> None:
        step = call.step
        with self._lock:
            for number, asked in enumerate(calls):
                key: object = asked.id if asked.id is not None else (exchange.n, number)
                if key not in self._asked and (asked.id is None or key not in self._answered):
                    self._asked[key] = Asked(asked, exchange.ended, step.parent, step.agent)
            while len(self._asked) > MAX_TOOLS:
                self._asked.pop(next(iter(self._asked)))

    def _answer(self, results: list[ToolResult], exchange: Exchange) -> None:
        if not results or not self._asked:
            return
        with self._lock:
            found = [pair for pair in map(self._match, reversed(results)) if pair is not None]
        for asked, result in reversed(found):
            if not self._seen.take(asked.call.id, asked.call.name or "", asked.call.arguments):
                self._record(asked, result, exchange)

    def _match(self, result: ToolResult) -> tuple[Asked, ToolResult] | None:
        """Return the open call that *result* answers, and close it."""
        if result.id is not None:
            asked = self._asked.pop(result.id, None)
            if asked is not None:
                self._answered.append(result.id)
                return asked, result
            return None
        wanted = _form(result.arguments)
        # A copy: a response that ends meanwhile asks for more.
        for key, asked in reversed(self._asked.copy().items()):
            if asked.call.name == result.name and _form(asked.call.arguments) == wanted:
                self._asked.pop(key, None)
                return asked, result
        return None

    def _record(self, asked: Asked, result: ToolResult, exchange: Exchange) -> None:
        keep = exchange.keeps_content
        failed = result.is_error is True
        self._log.record_tool_call(
            asked.call.name or result.name or "unnamed",
            asked.call.arguments if keep else None,
            result.output if keep else None,
            round(max(0.0, exchange.began - asked.at) * 1000, 3),
            error=(_words(result.output) if keep else "failed") if failed else None,
            tool_call_id=asked.call.id,
            inferred=True,
            parent=asked.parent,
            agent=asked.agent,
            bounds={"duration_ms": "upper"},
        )


def _may_be_retried(exchange: Exchange) -> bool:
    status = exchange.status
    if status is None:
        return exchange.state == "failed"
    return status in _RETRIED or 500 <= status < 600


def _form(value: object) -> bytes:
    try:
        return _sorted(value)
    except (msgspec.EncodeError, TypeError, ValueError, RecursionError):
        return repr(type(value)).encode()


def _words(output: object) -> str:
    """Return what a failed tool said, as one text."""
    if type(output) is str:
        return output
    if type(output) is list:
        texts = [part.get("text") for part in output if type(part) is dict]
        if texts and all(type(text) is str for text in texts):
            return "\n".join(texts)  # type: ignore[arg-type]
    return _form(output).decode()
