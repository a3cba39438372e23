"""One run of a benchmark or an evaluation being put together, whatever format it was written in.

A format's own file reads it and tells a `Trajectory` what happened, in order: what was said to the
agent, each answer of a model with the tools it asked for, each result. What a format does not tell
(times, tokens, durations) stays unknown. A record needs a time: where there is none it carries
that of the file, and the report says so.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from agent_step_log._records import Event, LlmCall, StepStart, ToolCall
from agent_step_log.importers._runs import Run, at_line, error_message
from agent_step_log.importers._transcripts import (
    as_amount,
    as_count,
    as_dict,
    as_list,
    as_name,
    as_text,
    elapsed_ms,
)

__all__ = ["Asked", "Tokens", "Trajectory", "asked_in", "tokens_of", "words_of"]

NO_TIMES = "the format tells no times: every record carries that of the file"


@dataclass(slots=True, frozen=True)
class Tokens:
    """What one call used, in the words of this project; see docs/format.md."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    verbatim: dict[str, Any] | None = None


@dataclass(slots=True, frozen=True)
class Asked:
    """A tool a model asked for; `tool_call_id` is None where the format has none."""

    name: str
    given: Any
    tool_call_id: str | None = None


@dataclass(slots=True)
class _Pending:
    asked: Asked
    place: int
    ts: float
    agent: str | None


@dataclass(slots=True)
class Trajectory:
    """One run.

    Attributes:
        run: Its records.
        fallback_ts: The time of the file, for what has none of its own.
        agent: Its name for the header, and `agent_version` its version.
        facts: What the header's `metadata` says.
        status, error: How it ended; a status of None leaves the end out.
    """

    run: Run
    fallback_ts: float
    agent: str
    agent_version: str | None = None
    task_type: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    status: str | None = "ok"
    error: str | None = None
    error_type: str | None = None
    _place: int = 0
    _last: float | None = None
    _pending: list[_Pending] = field(default_factory=list)
    _times: list[float] = field(default_factory=list)
    _untimed: int = 0  # the last place before anything had a time

    @property
    def first_ts(self) -> float:
        """When it began, as far as is known."""
        return min(self._times, default=self.fallback_ts)

    @property
    def last_ts(self) -> float:
        """When the last thing known happened."""
        return max(self._times, default=self.fallback_ts)

    @property
    def is_timed(self) -> bool:
        """Whether anything of it has a time of its own."""
        return bool(self._times)

    def _at(self, ts: float | None) -> float:
        """Note a time, and return that of a record: the last one known where it has none of its own."""
        self._place += 1
        if ts is not None:
            self._times.append(ts)
            self._last = ts
        elif self._last is None:
            self._untimed = self._place
        return self._last if self._last is not None else self.fallback_ts

    def starts(self, ts: float | None) -> None:
        """Note when it began."""
        if ts is not None:
            self._times.append(ts)
            self._last = ts

    def event(self, name: str, data: Any, ts: float | None = None, **more: Any) -> None:
        """Something happened that is no step."""
        at = self._at(ts)
        record = Event(self.run.run_id, 0, "event", at, name, data, attrs=at_line(self._place))
        for key, value in more.items():
            setattr(record, key, value)
        self.run.add(record, self._place)

    def said(self, role: Any, content: Any, ts: float | None = None) -> None:
        """Somebody other than the agent said something: the user, or else whoever set it up."""
        text = words_of(content)
        if text:
            name = "user_message" if role == "user" else "context_message"
            self.event(name, {"text": text} if name == "user_message" else {"role": role, "text": text}, ts)

    def answered(
        self,
        model: str | None,
        output: list[dict[str, Any]] | None,
        asked: list[Asked],
        tokens: Tokens | None = None,
        *,
        ts: float | None = None,
        duration_ms: float | None = None,
        agent: str | None = None,
        cost_usd: Any = None,
        **more: Any,
    ) -> None:
        """A model answered; its duration is at most the time since what was known last, if not told.

        Args:
            cost_usd: What the format says it cost; anything but an amount is left out.
            more: Other keys of the record.
        """
        before = self._last
        bounds = None
        if duration_ms is None and ts is not None and before is not None:
            duration_ms = elapsed_ms(before, ts)
            bounds = {"duration_ms": "upper"} if duration_ms is not None else None
        at = self._at(ts)
        used = tokens or Tokens()
        names = [{"id": each.tool_call_id, "name": each.name} for each in asked]
        record = LlmCall(
            self.run.run_id,
            0,
            "llm_call",
            at,
            model,
            used.input_tokens,
            used.output_tokens,
            more.pop("stop_reason", None),
            duration_ms,
            cache_read_tokens=used.cache_read_tokens,
            cache_write_tokens=used.cache_write_tokens,
            reasoning_tokens=used.reasoning_tokens,
            usage=used.verbatim,
            output=output or None,
            tool_calls=names or None,
            bounds=bounds,
            agent=agent,
            attrs=at_line(self._place, cost_usd=as_amount(cost_usd)),
        )
        for key, value in more.items():
            setattr(record, key, value)
        self.run.add(record, self._place)
        for each in asked:
            self._place += 1
            self._pending.append(_Pending(each, self._place, at, agent))

    def result(
        self,
        tool_call_id: str | None,
        output: Any,
        *,
        error: str | None = None,
        error_type: str | None = None,
        ts: float | None = None,
        duration_ms: float | None = None,
    ) -> None:
        """A tool came to something: the one of this id, or the first that waits where there is no id."""
        waiting = next((each for each in self._pending if each.asked.tool_call_id == tool_call_id), None)
        if waiting is None and not tool_call_id and self._pending:
            waiting = self._pending[0]
        if waiting is None:
            self.event("tool_result", {"tool_call_id": tool_call_id, "output": output, "error": error}, ts)
            return
        self._pending.remove(waiting)
        bounds = None
        if duration_ms is None and ts is not None:
            duration_ms = elapsed_ms(waiting.ts, ts)
            bounds = {"duration_ms": "upper"} if duration_ms is not None else None
        at = self._at(ts)
        asked = waiting.asked
        record = ToolCall(
            self.run.run_id,
            0,
            "tool_call",
            at,
            asked.name,
            asked.given,
            output,
            error,
            duration_ms,
            tool_call_id=asked.tool_call_id,
            inferred=True,
            error_type=(error_type or "tool_error") if error is not None else None,
            bounds=bounds,
            agent=waiting.agent,
            attrs=at_line(waiting.place),
        )
        self.run.add(record, waiting.place, self._place)

    def used(self, asked: Asked, output: Any, **how: Any) -> None:
        """A tool was used that no answer before asked for by this id; *how* as `result` takes it."""
        if not any(each.asked.tool_call_id == asked.tool_call_id for each in self._pending):
            self._place += 1
            self._pending.append(_Pending(asked, self._place, self._last or self.fallback_ts, None))
        self.result(asked.tool_call_id, output, **how)

    @property
    def is_waiting(self) -> bool:
        """Whether a tool was asked for that has no result yet."""
        return bool(self._pending)

    def ended(self, status: str | None, error: str | None = None, error_type: str | None = None) -> None:
        """Note how it ended."""
        self.status, self.error_type = status, error_type
        self.error = error_message(error, "the run failed") if status == "error" else None

    def finish(self) -> None:
        """Add the tools without a result: they were in flight."""
        for waiting in self._pending:
            asked = waiting.asked
            record = StepStart(
                self.run.run_id,
                0,
                "step_start",
                waiting.ts,
                "tool_call",
                tool=asked.name,
                input=asked.given,
                tool_call_id=asked.tool_call_id,
                attrs=at_line(waiting.place),
            )
            self.run.add(record, waiting.place)
        self._pending = []
        if not self.is_timed:
            self.run.note(NO_TIMES)
            return
        # What stands before the first time known did not happen when the file was written.
        for placed in self.run.placed:
            if placed.end <= self._untimed:
                placed.record.ts = self._times[0]


# -- what several formats share ---------------------------------------------------


def words_of(content: Any) -> str | None:
    """Return the text of a message: a string, or the texts of its parts."""
    if isinstance(content, list):
        parts = [as_text(part.get("text")) if isinstance(part, dict) else as_text(part) for part in content]
        return "\n".join(part for part in parts if part) or None
    return as_text(content)


def blocks_of(content: Any, thinking: Any = None) -> list[dict[str, Any]]:
    """Return an answer as blocks: what was thought, then what was said."""
    blocks: list[dict[str, Any]] = []
    if text := as_text(thinking):
        blocks.append({"type": "thinking", "thinking": text})
    for part in as_list(content) if isinstance(content, list) else [content]:
        if isinstance(part, dict) and part.get("type") == "reasoning":
            if text := as_text(part.get("reasoning")) or as_text(part.get("summary")):
                blocks.append({"type": "thinking", "thinking": text})
        elif text := as_text(as_dict(part).get("text")) if isinstance(part, dict) else as_text(part):
            blocks.append({"type": "text", "text": text})
    return blocks


def asked_in(message: dict[str, Any]) -> list[Asked]:
    """Return the tools a message asks for, in the shape of OpenAI's chat API or a flat one."""
    found = []
    for call in as_list(message.get("tool_calls")):
        call = as_dict(call)
        function = call.get("function")
        inner = as_dict(function)
        name = as_name(inner.get("name")) or as_name(function) or as_name(call.get("name")) or "unknown"
        given = inner["arguments"] if "arguments" in inner else call.get("arguments")
        found.append(Asked(name, parsed(given), as_name(call.get("id"))))
    return found


def parsed(given: Any) -> Any:
    """Return arguments as values where they are a string of JSON."""
    if isinstance(given, str) and given[:1] in "{[":
        try:
            return json.loads(given)
        except (ValueError, RecursionError):
            return given
    return given


def tokens_of(usage: Any) -> Tokens | None:
    """Return the usage object of OpenAI's chat API, normalised; None for none."""
    told = as_dict(usage)
    if not told:
        return None
    prompt, answer = (
        as_dict(told.get("prompt_tokens_details")),
        as_dict(told.get("completion_tokens_details")),
    )
    return Tokens(
        as_count(told.get("prompt_tokens")),
        as_count(told.get("completion_tokens")),
        as_count(prompt.get("cached_tokens")),
        None,
        as_count(answer.get("reasoning_tokens")),
        told,
    )
