"""A tape decoded anew: the steps its exchanges are by today's decoders, as records of a step log.

    records_of(tape)    run_start, the steps in the order they end, run_end

Times are the tape's. An exchange whose API was not known when it was recorded is looked at again.
What `agenttap` does while it records is done once more with what is on the tape: a failed attempt
and the same request sent again are one `llm_call`, and a tool call asked for in one response and
answered in a later request is one inferred `tool_call`. Writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from agent_step_log import FORMAT_VERSION, __version__
from agenttap.decoders import recognise

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agenttap import Tape, TapedExchange
    from agenttap.decoders import ToolCall, ToolResult

__all__ = ["Redecoded", "records_of"]

#: An attempt that comes later than this after a failed one is another call.
_RETRY_S = 75.0
_RETRIED = frozenset({301, 302, 303, 307, 308, 408, 409, 425, 429})

_sorted = msgspec.json.Encoder(order="sorted").encode


@dataclass
class Redecoded:
    """What became of a tape.

    Attributes:
        exchanges: How many there are on it.
        llm_calls, tool_calls: Steps they became.
        recognised: Exchanges whose API was not known when they were recorded, and is now.
        unknown: Those that nobody knows still.
    """

    exchanges: int = 0
    llm_calls: int = 0
    tool_calls: int = 0
    recognised: int = 0
    unknown: int = 0


@dataclass
class _Call:
    """One logical call."""

    step: int
    began: float
    first: TapedExchange
    exchanges: list[TapedExchange] = field(default_factory=list)

    @property
    def last(self) -> TapedExchange:
        return self.exchanges[-1]


def records_of(tape: Tape, told: Redecoded) -> Iterator[dict[str, Any]]:
    """Yield the records of *tape*'s run, and count in *told*. Bodies of exchanges still open are held."""
    exchanges = sorted(tape.exchanges(), key=lambda exchange: exchange.ts)
    began = exchanges[0].ts if exchanges else 0.0
    run_id, name = tape.run_id, tape.path.name
    yield {
        **_head(run_id, 0, "run_start", began),
        "format": FORMAT_VERSION,
        "metadata": {"redecoded_from": name},
        "recorder": {"name": "agent-step-log", "version": __version__},
    }
    steps = _Steps(run_id, name)
    last = began
    for moment, record in sorted(steps.records(_known(exchanges, told)), key=lambda pair: pair[:1]):
        last = max(last, moment)
        told.llm_calls += record["type"] == "llm_call"
        told.tool_calls += record["type"] == "tool_call"
        yield record
    yield {**_head(run_id, 0, "run_end", last), "status": "ok", "attrs": {"inferred": True}}


def _known(exchanges: Iterable[TapedExchange], told: Redecoded) -> Iterator[TapedExchange]:
    """Yield the exchanges that are calls of a model, each with its API."""
    for exchange in exchanges:
        told.exchanges += 1
        if exchange.api in (None, "unknown"):
            before = exchange.api
            exchange.api = recognise(exchange.method, exchange.url, exchange.request_body or None)
            told.recognised += exchange.api not in (before, "unknown")
        if exchange.api == "unknown":
            told.unknown += 1
        if exchange.api is not None:
            yield exchange


class _Steps:
    """Steps of one tape."""

    def __init__(self, run_id: str, tape: str) -> None:
        self._run_id, self._tape = run_id, tape
        self._number = 0
        self._asked: dict[object, tuple[ToolCall, float]] = {}

    def records(self, exchanges: Iterable[TapedExchange]) -> Iterator[tuple[float, dict[str, Any]]]:
        """Yield ``(when it ended, record)``; *exchanges* come in the order they began."""
        waiting: list[_Call] = []
        open_ones: list[_Call] = []
        for exchange in exchanges:
            # What has ended by now can have asked for what this one answers.
            for call in [call for call in open_ones if _end(call.last) <= exchange.ts]:
                open_ones.remove(call)
                if _may_be_retried(call.last):
                    waiting.append(call)
                else:
                    yield self._llm_call(call)
            for result in exchange.request_facts().tool_results:
                if (record := self._answered(result, exchange)) is not None:
                    yield record
            attempted = next((each for each in waiting if _is_retry(each, exchange)), None)
            if attempted is not None:
                waiting.remove(attempted)
            else:
                self._number += 1
                attempted = _Call(self._number, exchange.ts, exchange)
            attempted.exchanges.append(exchange)
            open_ones.append(attempted)
        for call in sorted([*waiting, *open_ones], key=lambda each: _end(each.last)):
            yield self._llm_call(call)

    def _llm_call(self, call: _Call) -> tuple[float, dict[str, Any]]:
        exchange = call.last
        request, facts = exchange.request_facts(), exchange.facts()
        ended = _end(exchange)
        fields = {name: value for name, value in facts.fields.items() if value is not None}
        place: dict[str, Any] = {"tape": self._tape, "n": exchange.n}
        if len(call.exchanges) > 1:
            place["attempts"] = [each.n for each in call.exchanges]
        record: dict[str, Any] = {
            **_head(self._run_id, call.step, "llm_call", ended),
            "model": fields.pop("model", request.model),
            "input_tokens": fields.pop("input_tokens", None),
            "output_tokens": fields.pop("output_tokens", None),
            "stop_reason": fields.pop("stop_reason", None),
            "duration_ms": round((ended - call.began) * 1000, 3) if exchange.times else None,
            "start_ts": call.began,
        }
        if request.model is not None and request.model != record["model"]:
            record["request_model"] = request.model
        if "provider" not in fields and request.provider is not None:
            record["provider"] = request.provider
        record.update(fields)
        if facts.tier is not None:
            record["service_tier"] = facts.tier
        if request.is_streamed and "first_content_ms" in exchange.times:
            since = round((exchange.ts - call.began) * 1000, 3)
            record["ttft_ms"] = since + exchange.times["first_content_ms"]
        if len(call.exchanges) > 1:
            record["attempt"] = len(call.exchanges)
        error, kind = facts.error or exchange.error, facts.error_type or exchange.error_type
        if exchange.state == "unfinished" and error is None:
            error = "the tape ends before the response"
        if error is not None:
            record.update(error=error, error_type=kind)
        record["exchange"] = place
        for number, asked in enumerate(facts.calls):
            key: object = asked.id if asked.id is not None else (exchange.n, number)
            self._asked.setdefault(key, (asked, ended))
        return ended, record

    def _answered(self, result: ToolResult, exchange: TapedExchange) -> tuple[float, dict[str, Any]] | None:
        found = self._match(result)
        if found is None:
            return None
        call, asked_at = found
        self._number += 1
        failed = result.is_error is True
        words = result.output if isinstance(result.output, str) else _form(result.output).decode()
        return exchange.ts, {
            **_head(self._run_id, self._number, "tool_call", exchange.ts),
            "tool": call.name,
            "input": call.arguments,
            "output": result.output,
            "error": words if failed else None,
            "duration_ms": round(max(0.0, exchange.ts - asked_at) * 1000, 3),
            "start_ts": min(asked_at, exchange.ts),
            "tool_call_id": call.id,
            "inferred": True,
            "bounds": {"duration_ms": "upper"},
        }

    def _match(self, result: ToolResult) -> tuple[ToolCall, float] | None:
        if result.id is not None:
            # Kept as answered: a history that is sent again answers it no second time.
            found = self._asked.get(result.id)
            if found is not None:
                self._asked[result.id] = _ANSWERED
            return None if found is _ANSWERED else found
        wanted = _form(result.arguments)
        for key, (call, _) in self._asked.items():
            if call.id is None and call.name == result.name and _form(call.arguments) == wanted:
                return self._asked.pop(key)
        return None


_ANSWERED: Any = ()


def _head(run_id: str, step: int, kind: str, ts: float) -> dict[str, Any]:
    return {"run_id": run_id, "step": step, "type": kind, "ts": ts}


def _end(exchange: TapedExchange) -> float:
    return exchange.ts + exchange.times.get("end_ms", 0.0) / 1000


def _may_be_retried(exchange: TapedExchange) -> bool:
    if exchange.status is None:
        return exchange.state == "failed"
    return exchange.status in _RETRIED or exchange.status >= 500


def _is_retry(call: _Call, exchange: TapedExchange) -> bool:
    if exchange.ts - _end(call.last) > _RETRY_S:
        return False
    one, other = _invocation(call.first), _invocation(exchange)
    if one or other:
        return one == other
    return call.first.request_sha256 == exchange.request_sha256 is not None


def _invocation(exchange: TapedExchange) -> str:
    names = {name.lower(): value for name, value in exchange.headers}
    return names.get("amz-sdk-invocation-id", "")


def _form(value: Any) -> bytes:
    try:
        return _sorted(value)
    except (msgspec.EncodeError, TypeError, ValueError, RecursionError):
        return repr(type(value)).encode()
