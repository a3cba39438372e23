"""Cohere's Chat API, version 2. The last event is ``message-end``; a failure is told in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent_step_log.responses.cohere import CohereStream, cohere_fields
from agent_step_log.responses.reading import members, text
from agenttap.decoders._decoder import Decoder, chat_calls, place, texts
from agenttap.decoders.openai_chat import message_list, request_facts, tool_results

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agenttap.decoders._types import RequestFacts, ToolCall

__all__ = ["ChatDecoder", "deltas", "message_list", "request_facts", "tool_results"]


def deltas(data: dict[str, Any]) -> Iterator[tuple[Any, Any, str]]:
    """Yield the strings of an event that continue a text; see the package."""
    delta = data.get("delta")
    message = delta.get("message") if type(delta) is dict else None
    if type(message) is not dict:
        return
    index, content = place(data.get("index")), message.get("content")
    call = members(message.get("tool_calls")).get("function")
    for name, container, key in (
        ("text", content, "text"),
        ("thinking", content, "thinking"),
        ("plan", message, "tool_plan"),
        ("call", call, "arguments"),
    ):
        if type(container) is dict and type(container.get(key)) is str:
            yield (name, index), container, key


class ChatDecoder(Decoder):
    """Reads one response."""

    def __init__(self, status: int, headers: dict[str, str], request: RequestFacts) -> None:
        super().__init__(status, headers, request)
        self._stream = CohereStream()
        self._whole: dict[str, Any] | None = None

    def _take(self, data: dict[str, Any]) -> bool:
        kind = data.get("type")
        if type(kind) is not str:
            if "message" not in data or type(data["message"]) is str:
                self.fail(data)
                return False
            self._whole = cohere_fields(data)
            self.is_complete = True
            return True
        self._stream.add(data)
        if kind == "message-end":
            self.is_complete = True
            delta = members(data.get("delta"))
            if error := text(delta.get("error")):
                self.fail({"error": error}, text(delta.get("finish_reason")))
        return kind in ("content-delta", "tool-plan-delta", "tool-call-start", "tool-call-delta")

    def _fields(self) -> dict[str, Any]:
        return self._whole if self._whole is not None else self._stream.fields()

    def _said(self, output: Any) -> tuple[str, str, list[ToolCall]]:
        message = members(output)
        content = message.get("content")
        blocks = content if type(content) is list else []
        spoken = content if type(content) is str else texts(blocks)
        # What it plans to do with its tools is thought aloud.
        thought = (text(message.get("tool_plan")) or "") + texts(blocks, "thinking")
        return spoken, thought, chat_calls(message.get("tool_calls"))
