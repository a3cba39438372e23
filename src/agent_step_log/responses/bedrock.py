"""Amazon Bedrock's Converse and ConverseStream, as boto3 returns them.

    input     usage.inputTokens leaves the cached parts out: read and written are added
    stop      stopReason
    model     not in the answer, but for a prompt router's choice
    tools     toolUse content blocks
    stream    {"messageStart": ...}, {"contentBlockDelta": ...}, ..., {"metadata": ...}

The dict boto3 returns for a streamed call, or for InvokeModel, holds a body that
can be read once: it is left to the caller, and only the request id is taken.
"""

from __future__ import annotations

from typing import Any

from agent_step_log._values import type_name
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

__all__ = ["ConverseStream", "converse_fields", "is_converse"]

_EVENTS = frozenset(
    {"messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"}
)


def is_converse(parts: Parts) -> bool:
    """Tell whether *parts* are an answer of Converse, or boto3's envelope of a body still to be read."""
    if "message" in members(parts.get("output")):
        return "stopReason" in parts or "usage" in parts
    body = type_name(type(parts.get("stream", parts.get("body"))))
    return "ResponseMetadata" in parts and body.startswith(("botocore.eventstream.", "botocore.response."))


def converse_fields(parts: Parts) -> Parts:
    """Return the fields of one answer."""
    content = tree(members(members(parts.get("output")).get("message")).get("content"))
    usage = tree(members(parts.get("usage")))
    router = members(members(parts.get("trace")).get("promptRouter"))
    calls = [members(block.get("toolUse")) for block in dicts(content)]
    return {
        **known(
            provider="aws.bedrock",
            model=text(router.get("invokedModelId")),
            stop_reason=text(parts.get("stopReason")),
            request_id=text(members(parts.get("ResponseMetadata")).get("RequestId")),
            tool_calls=[
                known(id=text(call.get("toolUseId")), name=text(call.get("name"))) for call in calls if call
            ],
            output=content,
        ),
        **_tokens(usage),
    }


def _tokens(usage: Parts) -> Parts:
    prompt = count(usage.get("inputTokens"))
    cache_read = count(usage.get("cacheReadInputTokens", usage.get("cacheReadInputTokenCount")))
    cache_write = count(usage.get("cacheWriteInputTokens", usage.get("cacheWriteInputTokenCount")))
    return token_fields(
        usage,
        prompt=None if prompt is None else prompt + (cache_read or 0) + (cache_write or 0),
        output=count(usage.get("outputTokens")),
        cache_read=cache_read,
        cache_write=cache_write,
    )


class _Block:
    """One streamed content block."""

    def __init__(self, start: Parts, budget: Budget) -> None:
        self._start = start
        self._texts = {name: Text(budget) for name in ("text", "input", "reasoning", "signature")}
        self._redacted: Any = None

    def add(self, delta: Parts) -> None:
        if len(delta) == 1 and type(delta.get("text")) is str:
            self._texts["text"].add(delta["text"])
            return
        self._texts["text"].add(delta.get("text"))
        self._texts["input"].add(members(delta.get("toolUse")).get("input"))
        reasoning = members(delta.get("reasoningContent"))
        self._texts["reasoning"].add(reasoning.get("text"))
        self._texts["signature"].add(reasoning.get("signature"))
        if "redactedContent" in reasoning:
            self._redacted = tree(reasoning["redactedContent"])

    def value(self) -> Parts:
        said = {name: pieces.value() for name, pieces in self._texts.items()}
        block = dict(self._start)
        if type(block.get("toolUse")) is dict:
            block["toolUse"] = {**block["toolUse"], "input": parse_arguments(said["input"] or "{}")}
        if said["reasoning"] or said["signature"]:
            thought = known(text=said["reasoning"], signature=said["signature"] or None)
            block["reasoningContent"] = {"reasoningText": thought}
        elif self._redacted is not None:
            block["reasoningContent"] = {"redactedContent": self._redacted}
        return block | ({"text": said["text"]} if said["text"] else {})


class ConverseStream:
    """The events of one streamed answer, put together."""

    def __init__(self) -> None:
        self._budget = Budget()
        self._parts: Parts = {}
        self._blocks: dict[int, _Block] = {}

    def add(self, parts: Parts) -> bool:
        """Take one event; False if it is none of this API."""
        kind = next(iter(parts), "")
        if kind not in _EVENTS or len(parts) != 1:
            return False
        event = members(parts[kind])
        if kind == "contentBlockDelta":
            self.add_delta(event)
        elif kind == "contentBlockStart":
            self._block(event, tree(members(event.get("start"))))
        elif kind == "messageStop":
            self._parts["stopReason"] = text(event.get("stopReason"))
        elif kind == "metadata":
            self._parts |= {name: tree(event[name]) for name in ("usage", "trace") if name in event}
        return True

    def add_delta(self, event: Parts) -> None:
        """Take the payload of a contentBlockDelta."""
        index, delta = event.get("contentBlockIndex"), event.get("delta")
        block = self._blocks.get(index) if type(index) is int else None
        if block is None:
            block = self._block(event, {})
        if block is not None:
            block.add(delta if type(delta) is dict else members(delta))

    def _block(self, event: Parts, start: Parts) -> _Block | None:
        index = count(event.get("contentBlockIndex")) or 0
        if index not in self._blocks and len(self._blocks) < MAX_BLOCKS:
            self._blocks[index] = _Block(self._budget.keep(start), self._budget)
        return self._blocks.get(index)

    def fields(self) -> Parts:
        """Return what is known so far."""
        content = [self._blocks[index].value() for index in sorted(self._blocks)]
        return converse_fields({**self._parts, "output": {"message": {"content": content}}})
