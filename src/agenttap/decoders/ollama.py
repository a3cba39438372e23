"""Ollama's own APIs, /api/chat and /api/generate: a JSON document a line, the last with ``done``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent_step_log.responses.ollama import OllamaStream, is_ollama
from agent_step_log.responses.reading import dicts, members, text
from agenttap.decoders import openai_chat
from agenttap.decoders._decoder import Decoder, chat_calls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agenttap.decoders._types import RequestFacts, ToolCall

__all__ = ["OllamaDecoder", "deltas", "message_list", "request_facts"]


def request_facts(url: str, body: dict[str, Any]) -> RequestFacts:
    """Return what a request says; it is streamed unless it says otherwise."""
    facts = openai_chat.request_facts(url, body)
    facts.is_streamed = body.get("stream") is not False
    return facts


def message_list(body: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the request as a conversation."""
    system = [("system", body["system"])] if body.get("system") else []
    return system + openai_chat.message_list(body)


def deltas(data: dict[str, Any]) -> Iterator[tuple[Any, Any, str]]:
    """Yield the strings of a line that continue a text; see the package."""
    message = data.get("message")
    for container in (message, data):
        if type(container) is dict:
            for key in ("content", "thinking", "response"):
                if type(container.get(key)) is str:
                    yield ("content" if key == "response" else key,), container, key


class OllamaDecoder(Decoder):
    """Reads one response."""

    def __init__(self, status: int, headers: dict[str, str], request: RequestFacts) -> None:
        super().__init__(status, headers, request)
        self._stream = OllamaStream()

    def _take(self, data: dict[str, Any]) -> bool:
        if data.get("error"):
            self.fail(data)
            return False
        if not is_ollama(data):
            return False
        self._stream.add(data)
        if data.get("done") is True:
            self.is_complete = True
        message = data.get("message")
        if type(message) is not dict:
            return bool(data.get("response") or data.get("thinking"))
        return bool(message.get("content") or message.get("thinking") or message.get("tool_calls"))

    def _fields(self) -> dict[str, Any]:
        return self._stream.fields()

    def _said(self, output: Any) -> tuple[str, str, list[ToolCall]]:
        message = members(output)
        calls = dicts(message.get("tool_calls"))
        return text(message.get("content")) or "", text(message.get("thinking")) or "", chat_calls(calls)
