"""Anthropic's Messages API: from Anthropic, from Bedrock's InvokeModel, from Vertex AI.

    input     usage.input_tokens leaves the cached parts out: read and written are added
    stop      stop_reason
    tools     content blocks of type tool_use; those of the server's own tools are not
              for the caller to answer
    stream    message_start, content_block_{start,delta,stop}, message_delta, message_stop

``message_delta`` carries usage so far, which replaces that of ``message_start``
key by key; ``output_tokens`` of ``message_start`` is a placeholder.
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

__all__ = ["MessageStream", "is_message", "message_fields"]

_EVENTS = frozenset(
    {"message_start", "message_delta", "message_stop", "content_block_start", "content_block_delta"}
    | {"content_block_stop", "ping"}
)

# type of a delta: where its piece stands, and which key of the block it continues
_DELTAS = {
    "text_delta": ("text", "text"),
    "input_json_delta": ("partial_json", "input"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("signature", "signature"),
}


def is_message(parts: Parts) -> bool:
    """Tell whether *parts* are a message this API answered, not one it is sent."""
    if "content" not in parts:
        return False
    return "stop_reason" in parts or (text(parts.get("type")) == "message" and "usage" in parts)


def message_fields(parts: Parts) -> Parts:
    """Return the fields of one message."""
    usage = tree(parts.get("usage"))
    content = tree(parts.get("content"))
    model, response_id = text(parts.get("model")), text(parts.get("id"))
    calls = []
    for block in dicts(content):
        if block.get("type") == "tool_use":
            calls.append(known(id=text(block.get("id")), name=text(block.get("name"))))
        elif block.get("type") == "fallback":  # another model took over and answered
            model = text(members(block.get("to")).get("model")) or model
    return {
        **known(
            provider=_provider(model or "", response_id or ""),
            model=model,
            stop_reason=text(parts.get("stop_reason")),
            request_id=text(parts.get("_request_id")) or response_id,
            tool_calls=calls,
            output=content,
        ),
        **_tokens(usage if type(usage) is dict else {}),
    }


def _provider(model: str, response_id: str) -> str | None:
    if response_id.startswith("msg_bdrk_"):
        return "aws.bedrock"
    if response_id.startswith("msg_vrtx_"):
        return "gcp.vertex_ai"
    return "anthropic" if model.startswith("claude") else None


def _tokens(usage: Parts) -> Parts:
    prompt, cache_read = count(usage.get("input_tokens")), count(usage.get("cache_read_input_tokens"))
    cache_write = count(usage.get("cache_creation_input_tokens"))
    if cache_write is None:  # told by lifetime only
        lifetimes = [count(part) for part in members(usage.get("cache_creation")).values()]
        cache_write = sum(part or 0 for part in lifetimes) if lifetimes else None
    return token_fields(
        usage,
        prompt=None if prompt is None else prompt + (cache_read or 0) + (cache_write or 0),
        output=count(usage.get("output_tokens")),
        cache_read=cache_read,
        cache_write=cache_write,
        reasoning=count(members(usage.get("output_tokens_details")).get("thinking_tokens")),
    )


class _Block:
    """One content block: as it began, and the pieces that continue it."""

    def __init__(self, start: Parts, budget: Budget) -> None:
        self._start, self._budget = start, budget
        self._texts: dict[str, Text] = {}
        self._citations: list[Any] = []

    def add(self, delta: Parts) -> None:
        kind = delta.get("type")
        if type(kind) is not str:
            return
        place = _DELTAS.get(kind)
        if place is not None:
            source, key = place
            pieces = self._texts.get(key)
            if pieces is None:
                pieces = self._texts[key] = Text(self._budget)
            pieces.add(delta.get(source))
        elif kind == "citations_delta" and len(self._citations) < MAX_BLOCKS:
            self._citations.append(self._budget.keep(tree(members(delta.get("citation")))))

    def value(self) -> Parts:
        block = dict(self._start)
        for key, pieces in self._texts.items():
            joined, begun = pieces.value(), block.get(key)
            if key != "input":
                block[key] = begun + joined if type(begun) is str else joined
            elif joined:
                block[key] = parse_arguments(joined)
        if self._citations:
            block["citations"] = self._citations
        return block


class MessageStream:
    """The events of one streamed message, put together."""

    def __init__(self) -> None:
        self._begin({})

    def _begin(self, message: Parts) -> None:
        self._budget = Budget()
        self._message = message
        self._blocks: dict[int, _Block] = {}
        # What a message starts with is all of it only where it also ends with it.
        self._is_counted = text(message.get("stop_reason")) is not None
        for index, block in enumerate(dicts(message.pop("content", None))):
            self._open(index, block)

    def _open(self, index: object, block: object) -> None:
        if type(index) is int and (index in self._blocks or len(self._blocks) < MAX_BLOCKS):
            self._blocks[index] = _Block(self._budget.keep(tree(members(block))), self._budget)

    def add(self, parts: Parts) -> bool:
        """Take one event; False if it is none of this API."""
        kind = text(parts.get("type"))
        if kind == "content_block_delta":
            self.add_delta(parts)
        elif kind == "content_block_start":
            self._open(count(parts.get("index")), parts.get("content_block"))
        elif kind == "message_start":
            # A gateway that retries sends a second one; the first try is void.
            self._begin(tree(members(parts.get("message"))))
        elif kind == "message_delta":
            self._end(tree(members(parts.get("delta"))), tree(members(parts.get("usage"))))
        return kind in _EVENTS

    def add_delta(self, parts: Parts) -> None:
        """Take a content_block_delta."""
        index, delta = parts.get("index"), parts.get("delta")
        block = self._blocks.get(index if type(index) is int else count(index) or 0)
        if block is not None:
            block.add(delta if type(delta) is dict else members(delta))

    def _end(self, delta: Parts, usage: Parts) -> None:
        self._message["stop_reason"] = text(delta.get("stop_reason")) or self._message.get("stop_reason")
        so_far = members(self._message.get("usage"))
        so_far.update((name, value) for name, value in usage.items() if value is not None)
        self._message["usage"] = so_far
        self._is_counted = self._is_counted or "output_tokens" in usage

    def fields(self) -> Parts:
        """Return what is known so far."""
        blocks = [self._blocks[index].value() for index in sorted(self._blocks)]
        fields = message_fields({**self._message, "content": blocks})
        if not self._is_counted:
            fields.pop("output_tokens", None)
            fields.pop("reasoning_tokens", None)
        return fields
