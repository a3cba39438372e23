"""Amazon Bedrock's InvokeModel: the model's own body inside of Amazon's envelope.

    Anthropic       as its own API
    Nova            as Converse
    OpenAI, Qwen,   as OpenAI's chat API
    Mistral, ...
    Llama, Titan,   a text, with counts of their own
    Cohere, ...

The model stands in the URL only. Counts the body leaves out stand in the headers
x-amzn-bedrock-{input,output}-token-count; of a stream in the last event, under
amazon-bedrock-invocationMetrics, which also says that it was the last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent_step_log.responses.reading import Budget, Text, count, dicts, known, members, text, token_fields
from agenttap._events import Event
from agenttap.decoders import anthropic, bedrock, cohere, openai_chat
from agenttap.decoders._decoder import Decoder
from agenttap.decoders._types import RequestFacts, ResponseFacts, ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

__all__ = ["InvokeDecoder", "deltas", "message_list", "request_facts"]

_METRICS = "amazon-bedrock-invocationMetrics"
_CONVERSE = frozenset({"messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop"}) | {
    "messageStop",
    "metadata",
}


def _native(body: dict[str, Any]) -> ModuleType:
    """Return the decoder of the API whose form a request has."""
    if "anthropic_version" in body or "anthropic_beta" in body:
        return anthropic
    if "inferenceConfig" in body or "toolConfig" in body or body.get("schemaVersion"):
        return bedrock
    blocks = [block for each in dicts(body.get("messages"))[:8] for block in dicts(each.get("content"))]
    return bedrock if blocks and all("type" not in block for block in blocks) else openai_chat


def request_facts(url: str, body: dict[str, Any]) -> RequestFacts:
    """Return what a request says."""
    model, is_streamed = bedrock.model_of(url)
    return RequestFacts(model=model, is_streamed=is_streamed, tool_results=_native(body).tool_results(body))


def message_list(body: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the request as a conversation."""
    if "inputText" in body:
        return [("user", body["inputText"])]
    rows: list[tuple[str, Any]] = _native(body).message_list(body)
    return rows


_PLAIN = ("generation", "outputText", "completion", "text")


def deltas(data: dict[str, Any]) -> Iterator[tuple[Any, Any, str]]:
    """Yield the strings of an event that continue a text; see the package."""
    if "type" in data:
        yield from anthropic.deltas(data)
        yield from cohere.deltas(data)
    elif "choices" in data:
        yield from openai_chat.deltas(data)
    elif "contentBlockDelta" in data:
        inner = data["contentBlockDelta"]
        if type(inner) is dict:
            yield from bedrock.deltas(inner)
    else:
        for key in _PLAIN:
            if type(data.get(key)) is str:
                yield (key,), data, key
        for index, part in enumerate(dicts(data.get("outputs"))):  # Mistral
            if type(part.get("text")) is str:
                yield ("outputs", index), part, "text"


class _PlainDecoder(Decoder):
    """Models that answer with a text: Llama, Titan, Mistral, Cohere's Command."""

    def __init__(self, status: int, headers: dict[str, str], request: RequestFacts) -> None:
        super().__init__(status, headers, request)
        self._text = Text(Budget())
        self._stop: str | None = None
        self._usage: dict[str, Any] = {}

    def _take(self, data: dict[str, Any]) -> bool:
        is_content = False
        parts = [data, *dicts(data.get("results")), *dicts(data.get("outputs"))]
        for part in (*parts, *dicts(data.get("generations"))):
            for key in _PLAIN:
                if text(part.get(key)):
                    self._text.add(part[key])
                    is_content = True
            for key in ("stop_reason", "completionReason", "finish_reason"):
                self._stop = text(part.get(key)) or self._stop
            for key, value in part.items():
                if "token" in key.lower() and "count" in key.lower() and type(value) is int:
                    self._usage[key] = value
        return is_content

    def _fields(self) -> dict[str, Any]:
        prompt = count(self._usage.get("prompt_token_count", self._usage.get("inputTextTokenCount")))
        output = count(
            self._usage.get(
                "generation_token_count",
                self._usage.get("totalOutputTextTokenCount", self._usage.get("tokenCount")),
            )
        )
        return known(stop_reason=self._stop, output=self._text.value() or None) | token_fields(
            self._usage, prompt=prompt, output=output
        )

    def _said(self, output: Any) -> tuple[str, str, list[ToolCall]]:
        return output or "", "", []


class InvokeDecoder:
    """Reads one response, with the decoder its first event asks for."""

    def __init__(self, status: int, headers: dict[str, str], request: RequestFacts) -> None:
        self._made_of = (status, headers, request)
        self._inner: Decoder | None = None
        self._metrics: dict[str, Any] = {}
        self._is_last = False

    @property
    def is_complete(self) -> bool:
        """The last event, or the whole document, was seen."""
        return self._is_last or (self._inner is not None and self._inner.is_complete)

    def add(self, event: Event) -> bool:
        """Take the next event; True if it carries content."""
        data = event.data
        if type(data) is dict:
            metrics = members(data.get(_METRICS))
            if metrics:
                self._metrics, self._is_last = metrics, True
        if self._inner is None:
            if data is None and self._made_of[0] < 400:
                return False
            self._inner = self._choose(data)(*self._made_of)
        if event.name is not None and event.name != "chunk" and data is not None:
            self._inner.fail(data, event.name)
            return False
        if event.name == "chunk":
            event = Event(event.raw, data)
        is_content = self._inner.add(event)
        if type(self._inner) is _PlainDecoder and event.name is None and not self._made_of[2].is_streamed:
            self._is_last = True
        return is_content

    @staticmethod
    def _choose(data: Any) -> type[Decoder]:
        parts = data if type(data) is dict else {}
        kind = text(parts.get("type")) or ""
        if kind in ("message", "message_start", "error") or kind.startswith("content_block"):
            return anthropic.MessagesDecoder
        if type(parts.get("choices")) is list:
            return openai_chat.ChatDecoder
        if "output" in parts or _CONVERSE & parts.keys():
            return bedrock.ConverseDecoder
        return _PlainDecoder

    def facts(self) -> ResponseFacts:
        """Return what is known so far."""
        facts = (self._inner or _PlainDecoder(*self._made_of)).facts()
        if facts.error is None or self._made_of[0] < 400:
            for name, value in self._counts().items():
                facts.fields.setdefault(name, value)
        return facts

    def _counts(self) -> dict[str, Any]:
        headers, metrics = self._made_of[1], self._metrics
        prompt, output = (
            count(metrics.get(f"{name}TokenCount", _header(headers, name))) for name in ("input", "output")
        )
        read = count(metrics.get("cacheReadInputTokenCount"))
        write = count(metrics.get("cacheWriteInputTokenCount"))
        return token_fields(
            metrics,
            prompt=None if prompt is None else prompt + (read or 0) + (write or 0),
            output=output,
            cache_read=read,
            cache_write=write,
        )


def _header(headers: dict[str, str], name: str) -> int | None:
    value = headers.get(f"x-amzn-bedrock-{name}-token-count", "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 16 else None
