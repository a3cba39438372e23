"""OpenAI's Responses API.

The last event repeats the whole response: response.completed, .incomplete, .failed, .cancelled;
an ``error`` event may stand in its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent_step_log.responses.openai_responses import ResponseStream, is_response, whole_response_fields
from agent_step_log.responses.reading import dicts, members, text
from agenttap.decoders._decoder import Decoder, arguments_of, place, texts
from agenttap.decoders._history import History
from agenttap.decoders._types import RequestFacts, ToolCall, ToolResult

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ResponsesDecoder", "deltas", "message_list", "request_facts"]

_LAST = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})


def request_facts(url: str, body: dict[str, Any]) -> RequestFacts:  # noqa: ARG001
    """Return what a request says."""
    is_streamed = body.get("stream")
    return RequestFacts(
        model=text(body.get("model")),
        is_streamed=is_streamed if type(is_streamed) is bool else False,
        tool_results=tool_results(body),
    )


def tool_results(body: dict[str, Any]) -> list[ToolResult]:
    """Return the results in the history of *body*."""
    history = History()
    for item in dicts(body.get("input")):
        kind, call_id = text(item.get("type")) or "", text(item.get("call_id"))
        if call_id is None:
            continue
        if kind.endswith("_output"):
            if "output" in item:  # a search for tools answers with tools: it was run by the server
                history.result(call_id, None, item["output"])
        elif "_call" in kind:
            history.call(call_id, text(item.get("name")) or kind, _given(item))
    return history.results


def _given(item: dict[str, Any]) -> Any:
    """Return what a call gives its tool: arguments, a custom tool's text, a shell's action."""
    for key in ("arguments", "input", "action", "operation"):
        if key in item:
            # A custom tool takes any text.
            return {"input": item[key]} if key == "input" else arguments_of(item[key])
    return {}


def message_list(body: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the request as a conversation."""
    rows = [
        (role, body[name])
        for role, name in (("system", "instructions"), ("tools", "tools"))
        if body.get(name)
    ]
    if type(body.get("input")) is str:
        rows.append(("user", body["input"]))
    for item in dicts(body.get("input")):
        kind = text(item.get("type")) or ""
        role = text(item.get("role"))
        if role is not None:
            rows.append((role, item.get("content")))
        else:
            rows.append(("tool" if kind.endswith("_output") else "assistant", item))
    return rows


def deltas(data: dict[str, Any]) -> Iterator[tuple[Any, Any, str]]:
    """Yield the strings of an event that continue a text; see the package."""
    kind = data.get("type")
    if type(kind) is str and kind.endswith(".delta") and type(data.get("delta")) is str:
        # Item ids change from event to event behind some gateways; places do not.
        part = place(data.get("content_index", data.get("summary_index")))
        yield (kind, place(data.get("output_index")), part), data, "delta"


def said(output: Any) -> tuple[str, str, list[ToolCall]]:
    """Return text, thinking and tool calls of the output items."""
    spoken, thought, calls = [], [], []
    items = dicts(output)
    answered = {item.get("call_id") for item in items if str(item.get("type")).endswith("_output")}
    for item in items:
        kind, call_id = text(item.get("type")) or "", text(item.get("call_id"))
        if kind == "message":
            spoken.append(texts(item.get("content")))
        elif kind == "reasoning":
            thought += [texts(item.get(key)) for key in ("summary", "content")]
        elif call_id is not None and call_id not in answered:
            calls.append(ToolCall(call_id, text(item.get("name")) or kind, _given(item)))
    return "".join(spoken), "".join(thought), calls


class ResponsesDecoder(Decoder):
    """Reads one response."""

    def __init__(self, status: int, headers: dict[str, str], request: RequestFacts) -> None:
        super().__init__(status, headers, request)
        self._stream = ResponseStream()
        self._whole: dict[str, Any] | None = None

    def _take(self, data: dict[str, Any]) -> bool:
        kind = data.get("type")
        if type(kind) is not str:
            if not is_response(data):
                return False
            self._whole = whole_response_fields(data)
            self._look(data)
            self.is_complete = True
            return True
        if kind.endswith(".delta"):
            self._stream.add(data)
            return bool(data.get("delta"))
        if kind == "error":
            self.fail(data if "error" in data else {"error": data | {"type": data.get("code")}})
            return False
        self._stream.add(data)
        if kind in _LAST:
            self._look(members(data.get("response")))
            self.is_complete = True
        return kind == "response.output_item.added" and "call" in str(members(data.get("item")).get("type"))

    def _look(self, response: dict[str, Any]) -> None:
        self._tier = response.get("service_tier")
        error = response.get("error")
        if type(error) is dict and error:
            self.fail({"error": error})

    def _fields(self) -> dict[str, Any]:
        return self._whole if self._whole is not None else self._stream.fields()

    def _said(self, output: Any) -> tuple[str, str, list[ToolCall]]:
        return said(output)
