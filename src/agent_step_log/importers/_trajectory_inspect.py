"""Inspect AI's logs of evaluations, ``.json`` or ``.eval``: a run for each sample.

    {eval {task, model, created, …}, status, samples [sample, …]}
    .eval     a zip of header.json (the same without samples) and samples/*.json
    sample    {id, epoch, uuid, input, messages, events, scores, error, attachments, …}
    event     model {model, output {choices, usage, time}, timestamp, completed, error} or
              tool {function, arguments, result, error, timestamp, completed, working_time}, and others

A text that is ``attachment://…`` stands for one in `attachments`. What a model was given is repeated
in each model event (or kept in a pool); it is left out here. A log without events has its messages. Of
the tokens Inspect counts, `input_tokens` holds those read from a cache for some providers and not for
others: which, is told by `total_tokens`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent_step_log.importers._trajectory_build import (
    Asked,
    Tokens,
    Trajectory,
    asked_in,
    blocks_of,
    parsed,
    words_of,
)
from agent_step_log.importers._trajectory_files import each_member
from agent_step_log.importers._transcripts import (
    as_count,
    as_dict,
    as_list,
    as_milliseconds,
    as_name,
    as_seconds,
    as_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent_step_log.importers._trajectory_files import Document

NAME = "inspect"

_DEEPEST = 40
#: What of a message a model is sent; the rest is the harness's own.
_SENT = ("role", "content", "tool_calls", "tool_call_id")
#: Events that are bookkeeping and say nothing about what happened.
_QUIET = frozenset(
    {"sample_init", "state", "store", "step", "span_begin", "span_end", "sandbox", "logger", "subtask"}
)


def is_it(value: Any) -> bool:
    """Whether *value* is the log of an evaluation."""
    document = as_dict(value)
    header = as_dict(document.get("eval"))
    return "task" in header and "model" in header


def is_archive(document: Document) -> bool:
    """Whether a zip is one."""
    names = set(document.members())
    return bool(names & {"header.json", "_journal/start.json"})


def runs_of(document: Document) -> Iterator[Trajectory]:
    """Yield a run for each sample."""
    if document.archive is None:
        log, samples = as_dict(document.value), iter(as_list(as_dict(document.value).get("samples")))
    else:
        # An evaluation that was cut off has no header but what it started with.
        names = set(document.members())
        name = "header.json" if "header.json" in names else "_journal/start.json"
        log, samples = as_dict(document.member(name)), each_member(document, "samples/")
    for place, sample in enumerate(map(as_dict, samples)):
        yield _Sample(document, log, sample, place).build()


class _Sample:
    def __init__(self, document: Document, log: dict[str, Any], sample: dict[str, Any], place: int) -> None:
        self.header, self.log, self.sample = as_dict(log.get("eval")), log, sample
        self.attachments = as_dict(sample.get("attachments"))
        own = as_name(sample.get("uuid"))
        evaluation = (
            as_name(self.header.get("eval_id")) or as_name(self.header.get("run_id")) or document.stem
        )
        number, epoch = sample.get("id"), as_count(sample.get("epoch")) or 1
        names = (
            [own]
            if own
            else [evaluation, str(number if isinstance(number, int | str) else place), str(epoch)]
        )
        self.found = document.new(NAME, *names)
        self.pool = as_list(sample.get("message_pool"))
        self.seen: list[Any] = []  # what the model call before was sent

    def build(self) -> Trajectory:
        found, header, sample = self.found, self.header, self.sample
        found.task_type = as_name(header.get("task"))
        packages = as_dict(header.get("packages"))
        found.agent_version = as_name(packages.get("inspect_ai"))
        found.facts = {
            "eval_id": as_name(header.get("eval_id")),
            "sample_id": sample.get("id"),
            "epoch": sample.get("epoch"),
            "model": as_name(header.get("model")),
        }
        events = [as_dict(event) for event in as_list(sample.get("events"))]
        if events:
            found.starts(as_seconds(events[0].get("timestamp")))
            self._given()
            for event in events:
                self._take(event)
        else:
            self._take_messages()
        if not any(event.get("event") == "score" for event in events):
            for name, score in as_dict(sample.get("scores")).items():
                found.event("score", {"name": name, **self._score(score)})
        self._end()
        return found

    def _given(self) -> None:
        given = self._text(self.sample.get("input"))
        for message in given if isinstance(given, list) else [{"role": "user", "content": given}]:
            message = as_dict(message)
            if message.get("role") != "assistant":
                self.found.said(message.get("role"), message.get("content"))

    def _take(self, event: dict[str, Any], depth: int = 0) -> None:
        kind = as_name(event.get("event")) or "unknown"
        ts = as_seconds(event.get("timestamp"))
        if kind == "model":
            self._model(event)
        elif kind == "tool":
            for inner in as_list(event.get("events")) if depth < _DEEPEST else []:
                self._take(as_dict(inner), depth + 1)
            self._tool(event)
        elif kind in _QUIET:
            self.found.run.left_out[kind] += 1
        elif kind == "score":
            self.found.event("score", self._score(event.get("score")), ts)
        elif kind == "input":
            self.found.said("user", event.get("input"), ts)
        else:
            known = ("event", "timestamp", "span_id", "uuid", "working_start", "pending")
            data = {key: self._text(item) for key, item in event.items() if key not in known}
            self.found.event(f"inspect.{kind[:64]}", data, ts)

    def _model(self, event: dict[str, Any]) -> None:
        output = as_dict(event.get("output"))
        choice = as_dict(next(iter(as_list(output.get("choices"))), None))
        message = as_dict(self._text(choice.get("message")))
        asked_for = as_name(event.get("model"))
        model = as_name(output.get("model")) or asked_for
        provider, slash, plain = (asked_for or "").partition("/")
        error = as_text(event.get("error")) or as_text(output.get("error"))
        began, ended = as_seconds(event.get("timestamp")), as_seconds(event.get("completed"))
        lasted = output.get("time") if output.get("time") is not None else event.get("working_time")
        self.found.answered(
            model,
            blocks_of(message.get("content")),
            asked_in(message),
            _tokens(output.get("usage")),
            ts=ended if ended is not None else began,
            duration_ms=as_milliseconds(lasted, per_unit=1000.0),
            stop_reason=as_name(choice.get("stop_reason")),
            provider=provider if slash else None,
            request_model=plain if slash and plain != model else None,
            error=error,
            error_type="model_error" if error is not None else None,
            input=self._prompt(event),
        )

    def _prompt(self, event: dict[str, Any]) -> list[dict[str, Any]] | None:
        """Return what a call was sent; None where that is what went before, which the steps tell.

        An agent's call repeats the one before it with the answer and the results of tools added. That
        of a grader, of another agent or after a history was cut does not.
        """
        sent = as_list(event.get("input"))
        for reference in as_list(event.get("input_refs")):
            match reference:
                case [int(first), int(last)] if 0 <= first <= last:
                    sent = [*sent, *self.pool[first:last]]
        messages = [
            {key: message.get(key) for key in _SENT if message.get(key)} for message in map(as_dict, sent)
        ]
        before, self.seen = self.seen, messages
        added = messages[len(before) :]
        is_more = messages[: len(before)] == before
        if is_more and before and all(each.get("role") in ("assistant", "tool") for each in added):
            return None
        if not before and len(messages) == 1 and isinstance(self.sample.get("input"), str):
            return None
        return [self._text(message) for message in messages] or None

    def _tool(self, event: dict[str, Any]) -> None:
        asked = Asked(
            as_name(event.get("function")) or "unknown",
            self._text(parsed(event.get("arguments"))),
            as_name(event.get("id")),
        )
        error, kind = _error(event.get("error"))
        ended = as_seconds(event.get("completed"))
        self.found.used(
            asked,
            self._text(event.get("result")),
            error=error,
            error_type=kind,
            ts=ended if ended is not None else as_seconds(event.get("timestamp")),
            duration_ms=as_milliseconds(event.get("working_time"), per_unit=1000.0),
        )

    def _take_messages(self) -> None:
        model = as_name(self.header.get("model"))
        for message in map(as_dict, as_list(self._text(self.sample.get("messages")))):
            role, content = message.get("role"), message.get("content")
            if role == "assistant":
                self.found.answered(
                    as_name(message.get("model")) or model, blocks_of(content), asked_in(message)
                )
            elif role == "tool":
                error, kind = _error(message.get("error") or message.get("tool_error"))
                name, tool = as_name(message.get("tool_call_id")), as_name(message.get("function"))
                if tool is None:
                    self.found.result(name, content, error=error, error_type=kind)
                else:  # what asked for it may have been cut off, and with it what it was given
                    self.found.used(Asked(tool, None, name), content, error=error, error_type=kind)
            else:
                self.found.said(role, content)

    def _score(self, score: Any) -> dict[str, Any]:
        told = as_dict(self._text(score))
        return {key: told.get(key) for key in ("value", "answer", "explanation") if told.get(key) is not None}

    def _end(self) -> None:
        error = as_dict(self.sample.get("error"))
        if error:
            self.found.ended("error", words_of(error.get("message")), "sample_error")
        elif self.log.get("status") == "cancelled" and not self.sample.get("scores"):
            self.found.ended("cancelled")

    def _text(self, value: Any, depth: int = 0) -> Any:
        """Return *value* with the texts that attachments stand for."""
        if isinstance(value, str) and value.startswith("attachment://"):
            return self.attachments.get(value.removeprefix("attachment://"), value)
        if depth > _DEEPEST:
            return value
        if isinstance(value, list):
            return [self._text(item, depth + 1) for item in value]
        if isinstance(value, dict):
            return {key: self._text(item, depth + 1) for key, item in value.items()}
        return value


def _error(value: Any) -> tuple[str | None, str | None]:
    told = as_dict(value)
    if told:
        return as_text(told.get("message")) or "the tool failed", as_name(told.get("type"))
    return as_text(value), None


def _tokens(usage: Any) -> Tokens | None:
    told = as_dict(usage)
    if not told:
        return None
    into, out = as_count(told.get("input_tokens")), as_count(told.get("output_tokens"))
    read, write = (
        as_count(told.get("input_tokens_cache_read")),
        as_count(told.get("input_tokens_cache_write")),
    )
    total = as_count(told.get("total_tokens"))
    beside = (read or 0) + (write or 0)
    if into is not None and beside and total == into + (out or 0) + beside:
        into += beside
    return Tokens(into, out, read, write, as_count(told.get("reasoning_tokens")), told)
