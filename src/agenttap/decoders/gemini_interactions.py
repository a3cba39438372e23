"""Google's Interactions API.

The last event is ``interaction.completed``; ``error`` may stand in its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent_step_log.responses.gemini_interactions import (
    InteractionStream,
    interaction_fields,
    is_interaction,
)
from agent_step_log.responses.reading import dicts, members, text
from agenttap.decoders._decoder import Decoder, arguments_of, place, texts
from agenttap.decoders._history import History
from agenttap.decoders._types import RequestFacts, ToolCall, ToolResult

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["InteractionDecoder", "deltas", "message_list", "request_facts"]


def request_facts(url: str, body: dict[str, Any]) -> RequestFacts:  # noqa: ARG001
    """Return what a request says; an agent stands in the model's place."""
    is_streamed = body.get("stream")
    return RequestFacts(
        model=text(body.get("model")) or text(body.get("agent")),
        is_streamed=is_streamed if type(is_streamed) is bool else False,
        tool_results=tool_results(body),
    )


def _steps(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the steps of the input, also those that stand in turns."""
    found: list[dict[str, Any]] = []
    given = body.get("input")
    for step in dicts([given] if type(given) is dict else given):
        inner = step.get("content")
        found += dicts(inner) if "role" in step and type(inner) is list else [step]
    return found


def tool_results(body: dict[str, Any]) -> list[ToolResult]:
    """Return the results in the history of *body*."""
    history = History()
    for step in _steps(body):
        if step.get("type") == "function_call":
            history.call(step.get("id"), step.get("name"), step.get("arguments"))
        elif step.get("type") == "function_result":
            history.result(step.get("call_id"), step.get("name"), step.get("result"), step.get("is_error"))
    return history.results


_ROLES = {"function_result": "tool", "user_input": "user", "text": "user"}


def message_list(body: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the request as a conversation."""
    pairs = (("system", "system_instruction"), ("tools", "tools"))
    rows = [(role, body[name]) for role, name in pairs if body.get(name)]
    given = body.get("input")
    if type(given) is str:
        rows.append(("user", given))
    for step in dicts([given] if type(given) is dict else given):
        role = text(step.get("role")) or _ROLES.get(text(step.get("type")) or "", "assistant")
        rows.append(("assistant" if role == "model" else role, step))
    return rows


def deltas(data: dict[str, Any]) -> Iterator[tuple[Any, Any, str]]:
    """Yield the strings of an event that continue a text; see the package."""
    delta = data.get("delta")
    if data.get("event_type") != "step.delta" or type(delta) is not dict:
        return
    kind, index = text(delta.get("type")), place(data.get("index"))
    key = "arguments" if kind == "arguments_delta" else "text"
    container: Any = delta.get("content") if kind == "thought_summary" else delta
    if type(container) is dict and type(container.get(key)) is str:
        yield (kind, index), container, key


def said(output: Any) -> tuple[str, str, list[ToolCall]]:
    """Return text, thinking and tool calls of the steps of an answer."""
    spoken, thought, calls = [], [], []
    for step in dicts(output):
        kind = step.get("type")
        if kind == "model_output":
            spoken.append(texts(step.get("content")))
        elif kind == "text":
            spoken.append(text(step.get("text")) or "")
        elif kind == "thought":
            thought.append(texts(step.get("summary")))
        elif kind == "function_call":
            arguments = arguments_of(step.get("arguments"))
            calls.append(ToolCall(text(step.get("id")), text(step.get("name")), arguments))
    return "".join(spoken), "".join(thought), calls


class InteractionDecoder(Decoder):
    """Reads one response."""

    def __init__(self, status: int, headers: dict[str, str], request: RequestFacts) -> None:
        super().__init__(status, headers, request)
        self._stream = InteractionStream()
        self._whole: dict[str, Any] | None = None

    def _take(self, data: dict[str, Any]) -> bool:
        kind = data.get("event_type")
        if type(kind) is not str:
            if data.get("error"):
                self.fail(data)
            elif is_interaction(data):
                self._whole = interaction_fields(data)
                self._look(data)
                self.is_complete = True
            return self._whole is not None
        if kind == "error":
            self.fail(data)
            return False
        self._stream.add(data)
        if kind.startswith("interaction."):
            told = members(data.get("interaction"))
            self._look(told)
            self.is_complete = kind == "interaction.completed"
        return kind == "step.delta"

    def _look(self, told: dict[str, Any]) -> None:
        self._tier = told.get("service_tier") or self._tier
        errors = dicts(told.get("errors"))
        if told.get("status") == "failed":
            self.fail({"error": errors[0]} if errors else {}, "failed")
            self.is_complete = False  # decided by the event

    def _fields(self) -> dict[str, Any]:
        return self._whole if self._whole is not None else self._stream.fields()

    def _said(self, output: Any) -> tuple[str, str, list[ToolCall]]:
        return said(output)
