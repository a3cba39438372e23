"""Anthropic's Messages API, also as Vertex AI and Bedrock's InvokeModel serve it.

The last event is ``message_stop``; an ``error`` event ends the stream too, with status 200 before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent_step_log.responses.anthropic import MessageStream, message_fields
from agent_step_log.responses.reading import dicts, members, text
from agenttap.decoders._decoder import Decoder, arguments_of, place, texts
from agenttap.decoders._history import History
from agenttap.decoders._in_words import results_in_words
from agenttap.decoders._types import RequestFacts, ResponseFacts, ToolCall, ToolResult

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MessagesDecoder", "deltas", "message_list", "request_facts", "said", "tool_results"]

# type of a delta: the key of its text, and its channel
_TEXTS = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "input_json_delta": "partial_json",
    "signature_delta": "signature",
}


def request_facts(url: str, body: dict[str, Any]) -> RequestFacts:
    """Return what a request says."""
    model = text(body.get("model"))
    if model is None and "/models/" in url:  # Vertex AI
        model = url.partition("/models/")[2].partition(":")[0] or None
    is_streamed = body.get("stream")
    return RequestFacts(
        model=model,
        is_streamed=is_streamed if type(is_streamed) is bool else False,
        tool_results=tool_results(body),
    )


def tool_results(body: dict[str, Any]) -> list[ToolResult]:
    """Return the results in the history of *body*."""
    history = History()
    for message in dicts(body.get("messages")):
        for block in dicts(message.get("content")):
            kind = block.get("type")
            if kind == "tool_use":
                history.call(block.get("id"), block.get("name"), block.get("input"))
            elif kind == "tool_result":
                history.result(block.get("tool_use_id"), None, block.get("content"), block.get("is_error"))
    # Some frameworks tell the model of its tools in plain words.
    return history.results or list(results_in_words(dicts(body.get("messages"))))


def message_list(body: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the request as a conversation."""
    rows = [(name, body[name]) for name in ("system", "tools") if body.get(name)]
    return rows + [
        (text(each.get("role")) or "", each.get("content")) for each in dicts(body.get("messages"))
    ]


def deltas(data: dict[str, Any]) -> Iterator[tuple[Any, Any, str]]:
    """Yield the strings of an event that continue a text; see the package."""
    kind = data.get("type")
    if kind == "content_block_delta":
        delta = data.get("delta")
        if type(delta) is dict:
            key = _TEXTS.get(delta.get("type", ""))
            if key is not None and type(delta.get(key)) is str:
                yield (key, place(data.get("index"))), delta, key
    elif kind == "content_block_start":
        block = data.get("content_block")
        if type(block) is dict:
            for key in ("text", "thinking"):
                if type(block.get(key)) is str:
                    yield (key, place(data.get("index"))), block, key


def said(output: Any) -> tuple[str, str, list[ToolCall]]:
    """Return text, thinking and tool calls of a list of content blocks."""
    blocks = dicts(output)
    calls = [
        ToolCall(text(block.get("id")), text(block.get("name")), arguments_of(block.get("input")))
        for block in blocks
        if block.get("type") == "tool_use"
    ]
    spoken = [block for block in blocks if block.get("type") == "text"]
    thought = [block for block in blocks if block.get("type") == "thinking"]
    return texts(spoken), texts(thought, "thinking"), calls


class MessagesDecoder(Decoder):
    """Reads one response."""

    def __init__(self, status: int, headers: dict[str, str], request: RequestFacts) -> None:
        super().__init__(status, headers, request)
        self._stream = MessageStream()
        self._whole: dict[str, Any] | None = None

    def _take(self, data: dict[str, Any]) -> bool:
        kind = data.get("type")
        if kind == "content_block_delta":
            self._stream.add_delta(data)
            return True
        if kind == "error":
            self.fail(data)
            return False
        if kind == "message" or (kind is None and "content" in data):
            self._whole = message_fields(data)
            self.is_complete = True
            return True
        self._stream.add(data)
        if kind == "message_stop":
            self.is_complete = True
        elif kind == "message_start":
            self.is_complete = False
        return kind == "content_block_start" and _has_content(data.get("content_block"))

    def _fields(self) -> dict[str, Any]:
        return self._whole if self._whole is not None else self._stream.fields()

    def _said(self, output: Any) -> tuple[str, str, list[ToolCall]]:
        return said(output)

    def _fill(self, facts: ResponseFacts) -> None:
        super()._fill(facts)
        usage = members(facts.fields.get("usage"))
        speed = text(usage.get("speed"))
        facts.tier = speed if speed not in (None, "standard") else text(usage.get("service_tier"))


def _has_content(block: object) -> bool:
    """A tool call begins with content, a text with none."""
    return type(block) is dict and block.get("type") not in ("text", "thinking")
