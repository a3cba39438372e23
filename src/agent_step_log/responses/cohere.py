"""Cohere's Chat API, version 2.

input     usage.tokens.input_tokens, the whole prompt; cached_tokens are part of it.
          usage.billed_units, which leaves out what Cohere added, stays in `usage`
stop      finish_reason
model     not in the answer
tools     message.tool_calls
stream    message-start, content-{start,delta,end}, tool-plan-delta,
          tool-call-{start,delta,end}, citation-{start,end}, message-end
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
    text,
    token_fields,
    tree,
)

__all__ = ["CohereStream", "cohere_fields", "is_cohere"]

_EVENTS = frozenset(
    {"message-start", "message-end", "content-start", "content-delta", "content-end", "tool-plan-delta"}
    | {"tool-call-start", "tool-call-delta", "tool-call-end", "citation-start", "citation-end", "debug"}
)


def is_cohere(parts: Parts) -> bool:
    """Tell whether *parts* are an answer of this API."""
    usage = members(parts.get("usage"))
    return "finish_reason" in parts and "message" in parts and ("billed_units" in usage or "tokens" in usage)


def cohere_fields(parts: Parts) -> Parts:
    """Return the fields of one answer."""
    usage, message = tree(members(parts.get("usage"))), tree(members(parts.get("message")))
    return {
        **known(
            provider="cohere",
            stop_reason=text(parts.get("finish_reason")),
            request_id=text(parts.get("id")),
            tool_calls=[
                known(id=text(call.get("id")), name=text(members(call.get("function")).get("name")))
                for call in dicts(message.get("tool_calls"))
            ],
            output={name: part for name, part in message.items() if part not in (None, [], "")},
        ),
        **_tokens(usage),
    }


def _tokens(usage: Parts) -> Parts:
    tokens = members(usage.get("tokens"))
    return token_fields(
        usage,
        prompt=count(tokens.get("input_tokens")),
        output=count(tokens.get("output_tokens")),
        cache_read=count(usage.get("cached_tokens")),
    )


def _plain(value: Any) -> Parts:
    """Return the parts of *value*; those of plain JSON are not copied."""
    return value if type(value) is dict else members(value)


class _Block:
    """One block of the content: text, or thinking."""

    def __init__(self, budget: Budget) -> None:
        self._kind: str | None = None
        self._texts = {"text": Text(budget), "thinking": Text(budget)}

    def add(self, content: Parts) -> None:
        self._kind = self._kind or text(content.get("type"))
        for name, pieces in self._texts.items():
            if name in content:
                pieces.add(content[name])

    def value(self) -> Parts:
        said = {name: found for name, pieces in self._texts.items() if (found := pieces.value())}
        return {"type": self._kind or next(iter(said), "text")} | said


class _Call:
    def __init__(self, start: Parts, budget: Budget) -> None:
        self._start = budget.keep(start)
        self._arguments = Text(budget)

    def add(self, delta: Parts) -> None:
        self._arguments.add(members(members(delta).get("function")).get("arguments"))

    def value(self) -> Parts:
        named = members(self._start.get("function"))
        begun = named.get("arguments")
        arguments = (begun if type(begun) is str else "") + self._arguments.value()
        return {**self._start, "function": {**named, "arguments": arguments}}


class CohereStream:
    """The events of one streamed answer, put together."""

    def __init__(self) -> None:
        self._budget = Budget()
        self._parts: Parts = {}
        self._role: str | None = None
        self._plan = Text(self._budget)
        self._blocks: dict[int, _Block] = {}
        self._calls: dict[int, _Call] = {}
        self._citations: list[Any] = []

    def add(self, parts: Parts) -> bool:
        """Take one event; False if it is none of this API."""
        kind = text(parts.get("type"))
        if kind not in _EVENTS:
            return False
        delta = _plain(parts.get("delta"))
        message = _plain(delta.get("message"))
        index = count(parts.get("index")) or 0
        if kind in ("content-delta", "content-start"):
            if index not in self._blocks and len(self._blocks) < MAX_BLOCKS:
                self._blocks[index] = _Block(self._budget)
            if index in self._blocks:
                self._blocks[index].add(_plain(message.get("content")))
        elif kind == "tool-plan-delta":
            self._plan.add(message.get("tool_plan"))
        elif kind == "tool-call-start":
            if len(self._calls) < MAX_BLOCKS:
                self._calls[index] = _Call(tree(members(message.get("tool_calls"))), self._budget)
        elif kind == "tool-call-delta":
            if index in self._calls:
                self._calls[index].add(members(message.get("tool_calls")))
        elif kind == "citation-start":
            if len(self._citations) < MAX_BLOCKS:
                self._citations.append(self._budget.keep(tree(members(message.get("citations")))))
        elif kind == "message-start":
            self._parts["id"] = (text(parts.get("id")) or "")[:1024]
            self._role = text(message.get("role"))
        elif kind == "message-end":
            self._parts |= {name: tree(delta[name]) for name in ("finish_reason", "usage") if name in delta}
        return True

    def fields(self) -> Parts:
        """Return what is known so far."""
        message = known(
            role=self._role,
            content=[self._blocks[index].value() for index in sorted(self._blocks)],
            tool_plan=self._plan.value() or None,
            tool_calls=[self._calls[index].value() for index in sorted(self._calls)],
            citations=self._citations,
        )
        return cohere_fields({**self._parts, "message": message})
