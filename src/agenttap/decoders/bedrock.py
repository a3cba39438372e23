"""Amazon Bedrock's Converse and ConverseStream.

The model stands in the URL only. A stream is an event stream whose last event is ``metadata``;
a frame of type exception ends it too, with status 200 before it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from agent_step_log.responses.bedrock import ConverseStream, converse_fields
from agent_step_log.responses.reading import dicts, members, text
from agenttap.decoders._decoder import Decoder, arguments_of, place, texts
from agenttap.decoders._history import History
from agenttap.decoders._types import RequestFacts, ToolCall, ToolResult

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ConverseDecoder", "deltas", "message_list", "model_of", "request_facts", "said", "tool_results"]

_MODEL = re.compile(r"/model/(.+)/(?:converse|invoke)([a-z-]*)(?:[?#]|$)")
_EVENTS = frozenset(
    {"messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"}
)


def model_of(url: str) -> tuple[str | None, bool]:
    """Return the model *url* asks, and whether the answer is to be streamed."""
    found = _MODEL.search(url)
    return (unquote(found[1]), "stream" in found[2]) if found else (None, False)


def request_facts(url: str, body: dict[str, Any]) -> RequestFacts:
    """Return what a request says."""
    model, is_streamed = model_of(url)
    return RequestFacts(model=model, is_streamed=is_streamed, tool_results=tool_results(body))


def tool_results(body: dict[str, Any]) -> list[ToolResult]:
    """Return the results in the history of *body*."""
    history = History()
    for message in dicts(body.get("messages")):
        for block in dicts(message.get("content")):
            if call := members(block.get("toolUse")):
                history.call(call.get("toolUseId"), call.get("name"), call.get("input"))
            elif result := members(block.get("toolResult")):
                status = text(result.get("status"))
                failed = status == "error" if status is not None else None
                history.result(result.get("toolUseId"), None, result.get("content"), failed)
    return history.results


def message_list(body: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the request as a conversation."""
    pairs = (("system", "system"), ("tools", "toolConfig"))
    rows = [(role, body[name]) for role, name in pairs if body.get(name)]
    return rows + [
        (text(each.get("role")) or "", each.get("content")) for each in dicts(body.get("messages"))
    ]


def deltas(data: dict[str, Any]) -> Iterator[tuple[Any, Any, str]]:
    """Yield the strings of an event that continue a text; see the package."""
    data = members(data.get("contentBlockDelta")) or data
    delta, index = data.get("delta"), place(data.get("contentBlockIndex"))
    if type(delta) is not dict:
        return
    for name, container, key in (
        ("text", delta, "text"),
        ("toolUse", delta.get("toolUse"), "input"),
        ("reasoning", delta.get("reasoningContent"), "text"),
        ("signature", delta.get("reasoningContent"), "signature"),
    ):
        if type(container) is dict and type(container.get(key)) is str:
            yield (name, index), container, key


def said(output: Any) -> tuple[str, str, list[ToolCall]]:
    """Return text, thinking and tool calls of a list of content blocks."""
    blocks = dicts(output)
    thought = [members(members(block.get("reasoningContent")).get("reasoningText")) for block in blocks]
    used = [members(block.get("toolUse")) for block in blocks]
    calls = [
        ToolCall(text(call.get("toolUseId")), text(call.get("name")), arguments_of(call.get("input")))
        for call in used
        if call
    ]
    return texts(blocks), texts(thought), calls


class ConverseDecoder(Decoder):
    """Reads one response."""

    def __init__(self, status: int, headers: dict[str, str], request: RequestFacts) -> None:
        super().__init__(status, headers, request)
        self._stream = ConverseStream()
        self._whole: dict[str, Any] | None = None

    def _take(self, data: dict[str, Any]) -> bool:
        name = self._name
        if name is None and len(data) == 1:  # as Nova's native stream has it, and boto3
            kind = next(iter(data))
            if kind in _EVENTS:
                name, data = kind, members(data[kind])
        if name is None:
            self._whole = converse_fields(data)
            self._tier = members(data.get("serviceTier")).get("type")
            self.is_complete = True
            return True
        if name == "contentBlockDelta":
            self._stream.add_delta(data)
            return True
        if name not in _EVENTS:
            self.fail(data, name)
            return False
        self._stream.add({name: data})
        if name == "metadata":
            self._tier = members(data.get("serviceTier")).get("type")
            self.is_complete = True
        return name == "contentBlockStart" and bool(data.get("start"))

    def _fields(self) -> dict[str, Any]:
        return self._whole if self._whole is not None else self._stream.fields()

    def _said(self, output: Any) -> tuple[str, str, list[ToolCall]]:
        return said(output)
