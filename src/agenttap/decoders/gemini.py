"""Google's generateContent and streamGenerateContent: Gemini API, Vertex AI, and Gemini CLI's Code Assist.

The model asked for stands in the URL. A stream is SSE or one array in pieces; it has no
last event, but the last chunk tells a finishReason. Code Assist wraps request and response.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from agent_step_log.responses.gemini import ContentStream, content_fields
from agent_step_log.responses.reading import dicts, members, text
from agenttap.decoders._decoder import Decoder, place
from agenttap.decoders._history import History
from agenttap.decoders._types import RequestFacts, ToolCall, ToolResult

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ContentDecoder", "deltas", "message_list", "request_facts"]

_MODEL = re.compile(r"/(?:models|endpoints|tunedModels)/([^/:?#]+)")


def request_facts(url: str, body: dict[str, Any]) -> RequestFacts:
    """Return what a request says."""
    found = _MODEL.search(url)
    return RequestFacts(
        model=found[1] if found else text(body.get("model")),
        is_streamed=":stream" in url,
        tool_results=tool_results(_unwrapped(body)),
    )


def _unwrapped(body: dict[str, Any]) -> dict[str, Any]:
    return members(body.get("request")) or body


def _part(part: dict[str, Any], name: str, snake: str) -> dict[str, Any]:
    return members(part.get(name)) or members(part.get(snake))


def tool_results(body: dict[str, Any]) -> list[ToolResult]:
    """Return the results in the history of *body*."""
    history = History()
    contents = body.get("contents")
    for content in dicts([contents] if type(contents) is dict else contents):
        for part in dicts(content.get("parts")):
            if call := _part(part, "functionCall", "function_call"):
                history.call(call.get("id"), call.get("name"), call.get("args"))
            elif result := _part(part, "functionResponse", "function_response"):
                output = result.get("response")
                # google-genai's own way to say that a function failed.
                failed = type(output) is dict and output.keys() == {"error"}
                history.result(result.get("id"), result.get("name"), output, failed or None)
    return history.results


def message_list(body: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the request as a conversation."""
    body = _unwrapped(body)
    rows = []
    for role, names in (("system", ("systemInstruction", "system_instruction")), ("tools", ("tools",))):
        rows += [(role, body[name]) for name in names if body.get(name)]
    for content in dicts(body.get("contents")):
        parts = content.get("parts")
        is_tool = any(_part(part, "functionResponse", "function_response") for part in dicts(parts))
        role = "tool" if is_tool else "assistant" if content.get("role") == "model" else "user"
        rows.append((role, parts))
    return rows


def deltas(data: dict[str, Any]) -> Iterator[tuple[Any, Any, str]]:
    """Yield the strings of a chunk that continue a text; see the package."""
    data = members(data.get("response")) or data
    for candidate in dicts(data.get("candidates")):
        content, index = candidate.get("content"), place(candidate.get("index"))
        for part in dicts(content.get("parts")) if type(content) is dict else []:
            if type(part.get("text")) is str:
                yield ("thought" if part.get("thought") else "text", index), part, "text"
            call = part.get("functionCall")
            for piece in dicts(call.get("partialArgs")) if type(call) is dict else []:
                if type(piece.get("stringValue")) is str:
                    yield ("args", index, text(piece.get("jsonPath"))), piece, "stringValue"


def said(output: Any) -> tuple[str, str, list[ToolCall]]:
    """Return text, thinking and tool calls of the parts of a content, or of several contents."""
    spoken, thought, calls = [], [], []
    contents = dicts(output)
    if contents and all("parts" in content for content in contents):
        for content in contents:
            more = said(content["parts"])
            spoken.append(more[0])
            thought.append(more[1])
            calls += more[2]
        return "\n".join(filter(None, spoken)), "\n".join(filter(None, thought)), calls
    for part in contents:
        found = part.get("text")
        if type(found) is str:
            (thought if part.get("thought") else spoken).append(found)
        if call := _part(part, "functionCall", "function_call"):
            arguments = call.get("args")
            if not arguments and dicts(call.get("partialArgs")):
                arguments = _joined(dicts(call.get("partialArgs")))
            calls.append(ToolCall(text(call.get("id")), text(call.get("name")), arguments or {}))
    return "".join(spoken), "".join(thought), calls


_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\['([^']*)'\]")
_VALUES = ("stringValue", "numberValue", "boolValue", "nullValue")


def _joined(pieces: list[dict[str, Any]]) -> dict[str, Any]:
    """Put together arguments that are streamed one value a piece, each with its path: ``$.a[0].b``."""
    root: dict[str, Any] = {}
    for piece in pieces[:4096]:
        steps = [
            int(found[2]) if found[2] else found[1] or found[3]
            for found in _STEP.finditer(text(piece.get("jsonPath")) or "")
        ]
        name = next((name for name in _VALUES if name in piece), None)
        if not steps or len(steps) > 64 or name is None:
            continue
        value = None if name == "nullValue" else piece[name]
        _put(root, steps, value)
    return root


def _put(at: Any, steps: list[Any], value: Any) -> None:
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        if type(step) is int:
            if type(at) is not list or step > len(at):
                return
            if step == len(at):
                at.append(None)
            held = at[step]
        else:
            if type(at) is not dict:
                return
            held = at.get(step)
        if following is None:
            at[step] = held + value if type(held) is str and type(value) is str else value
            return
        if type(held) not in (dict, list):
            held = at[step] = [] if type(following) is int else {}
        at = held


class ContentDecoder(Decoder):
    """Reads one response."""

    def __init__(self, status: int, headers: dict[str, str], request: RequestFacts) -> None:
        super().__init__(status, headers, request)
        self._stream = ContentStream()
        self._whole: dict[str, Any] | None = None

    def _take(self, data: dict[str, Any]) -> bool:
        if "response" in data:
            data = members(data["response"]) or data
        if data.get("error"):
            self.fail(data)
            return False
        usage = data.get("usageMetadata")
        if type(usage) is dict:
            self._tier = usage.get("trafficType") or usage.get("serviceTier") or self._tier
        if self._request.is_streamed is False:
            self._whole = content_fields(data)
            self.is_complete = True
            return True
        if self._stream.add_text(data):
            return True
        if not self._stream.add(data):
            return False
        is_content = False
        for candidate in dicts(data.get("candidates")):
            content = candidate.get("content")
            parts = content.get("parts") if type(content) is dict else None
            is_content = is_content or bool(parts)
            if candidate.get("finishReason"):
                self.is_complete = True
        if members(data.get("promptFeedback")).get("blockReason"):
            self.is_complete = True
        return is_content

    def _fields(self) -> dict[str, Any]:
        return self._whole if self._whole is not None else self._stream.fields()

    def _said(self, output: Any) -> tuple[str, str, list[ToolCall]]:
        return said(output)
