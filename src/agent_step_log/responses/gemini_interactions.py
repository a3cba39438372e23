"""Google's Interactions API.

    input     usage.total_input_tokens, cached parts included, and total_tool_use_tokens
    output    usage.total_output_tokens, which leaves the thoughts out: they are added,
              unless total_tokens shows that they are in it
    stop      status, once it is final
    tools     steps of type function_call
    stream    interaction.created, step.{start,delta,stop}, interaction.completed

The steps an interaction answers with are its output; a step that is the
caller's own (user_input, function_result) is not.
"""

from __future__ import annotations

from typing import Any

from agent_step_log.responses.reading import (
    MAX_BLOCKS,
    Budget,
    Parts,
    Text,
    count,
    dicts,
    known,
    members,
    parse_arguments,
    text,
    token_fields,
    tree,
)

__all__ = ["InteractionStream", "interaction_fields", "is_interaction"]

_RUNNING = frozenset({"queued", "in_progress"})
_SENT = frozenset({"user_input", "function_result"})


def is_interaction(parts: Parts) -> bool:
    """Tell whether *parts* are an answer of this API."""
    if text(parts.get("object")) == "interaction":
        return True
    return "status" in parts and ("steps" in parts or "total_input_tokens" in members(parts.get("usage")))


def interaction_fields(parts: Parts) -> Parts:
    """Return the fields of one interaction."""
    steps = tree(parts.get("steps", parts.get("outputs")))  # outputs: as it was called at first
    said = [step for step in dicts(steps) if text(step.get("type")) not in _SENT]
    status = text(parts.get("status"))
    return {
        **known(
            provider="gcp.gen_ai",
            model=text(parts.get("model")) or text(parts.get("agent")),
            stop_reason=None if status in _RUNNING else status,
            request_id=text(parts.get("id")),
            tool_calls=[
                known(id=text(step.get("id")), name=text(step.get("name")))
                for step in said
                if step.get("type") == "function_call"
            ],
            output=said,
        ),
        **_tokens(tree(members(parts.get("usage")))),
    }


def _tokens(usage: Parts) -> Parts:
    prompt, of_tools = count(usage.get("total_input_tokens")), count(usage.get("total_tool_use_tokens"))
    output, thought = count(usage.get("total_output_tokens")), count(usage.get("total_thought_tokens"))
    whole = count(usage.get("total_tokens"))
    is_in_output = (
        None not in (prompt, output) and (prompt or 0) + (of_tools or 0) + (output or 0) == whole and thought
    )
    if thought is not None and not is_in_output:
        output = (output or 0) + thought
    return token_fields(
        usage,
        prompt=None if prompt is None else prompt + (of_tools or 0),
        output=output,
        cache_read=count(usage.get("total_cached_tokens")),
        reasoning=thought,
    )


class _Step:
    """One step: as it began, and the pieces since."""

    def __init__(self, start: Parts, budget: Budget) -> None:
        self._start, self._budget = budget.keep(start), budget
        self._texts: dict[str, Text] = {}
        self._contents: list[Any] = []

    def add(self, delta: Parts) -> None:
        kind = text(delta.get("type"))
        if kind == "text":
            self._text("text").add(delta.get("text"))
        elif kind == "thought_summary":
            self._text("summary").add(members(delta.get("content")).get("text"))
        elif kind == "arguments_delta":
            self._text("arguments").add(delta.get("arguments"))
        elif kind == "thought_signature":
            self._text("signature").add(delta.get("signature"))
        elif len(self._contents) < MAX_BLOCKS:
            self._contents.append(self._budget.keep(tree(delta)))

    def _text(self, name: str) -> Text:
        if name not in self._texts:
            self._texts[name] = Text(self._budget)
        return self._texts[name]

    def value(self) -> Parts:
        step = dict(self._start)
        said = {name: pieces.value() for name, pieces in self._texts.items()}
        more = list(self._contents)
        if "text" in said:
            more.insert(0, {"type": "text", "text": said["text"]})
        if more:
            step["content"] = [*dicts(step.get("content")), *more]
        if "summary" in said:
            step["summary"] = [*dicts(step.get("summary")), {"type": "text", "text": said["summary"]}]
        if said.get("arguments"):
            step["arguments"] = parse_arguments(said["arguments"])
        if "signature" in said:
            step["signature"] = said["signature"]
        return step


class InteractionStream:
    """The events of one streamed interaction, put together."""

    def __init__(self) -> None:
        self._budget = Budget()
        self._parts: Parts = {}
        self._steps: dict[int, _Step] = {}

    def add(self, parts: Parts) -> bool:
        """Take one event; False if it is none of this API."""
        kind = text(parts.get("event_type")) or ""
        index = count(parts.get("index")) or 0
        if kind == "step.delta":
            self._open(index, {})
            if index in self._steps:
                self._steps[index].add(members(parts.get("delta")))
        elif kind == "step.start":
            self._steps.pop(index, None)
            self._open(index, tree(members(parts.get("step"))))
        elif kind.startswith("interaction."):
            told = members(parts.get("interaction"))
            names = ("id", "status", "model", "agent", "usage", "steps", "service_tier")
            self._parts |= {name: tree(told[name]) for name in names if told.get(name) not in (None, [], {})}
            if status := text(parts.get("status")):
                self._parts["status"] = status
        return kind.startswith(("step.", "interaction."))

    def _open(self, index: int, start: Parts) -> None:
        if index not in self._steps and len(self._steps) < MAX_BLOCKS:
            self._steps[index] = _Step(start, self._budget)

    def fields(self) -> Parts:
        """Return what is known so far."""
        steps: list[Any] = [self._steps[index].value() for index in sorted(self._steps)]
        return interaction_fields({"steps": steps, **self._parts})
