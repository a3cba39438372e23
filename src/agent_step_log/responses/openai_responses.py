"""OpenAI's Responses API.

    input     usage.input_tokens, cached parts included
    output    usage.output_tokens, reasoning included
    stop      why it is incomplete, else its status; nothing while it still runs
    tools     output items with a call_id that has no output yet: functions, custom
              tools, shell, computer; what the server ran itself has none
    stream    typed events; the last one repeats the whole response

Until that last event, what was said is put together from the items and their
deltas, by place: item ids change from event to event behind some gateways.
"""

from __future__ import annotations

from typing import Any

from agent_step_log.responses.openai_chat import is_openai_model
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

__all__ = ["ResponseStream", "is_response", "whole_response_fields"]

_RUNNING = frozenset({"queued", "in_progress"})
_TERMINAL = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})

# Event of a delta: the key of the item it continues, the type of the part of a
# list it belongs to (None: the key itself is the text), the key in that part,
# and which number of the event is the part's place.
_DELTAS: dict[str, tuple[str, str | None, str, str]] = {
    "response.output_text.delta": ("content", "output_text", "text", "content_index"),
    "response.refusal.delta": ("content", "refusal", "refusal", "content_index"),
    "response.reasoning_text.delta": ("content", "reasoning_text", "text", "content_index"),
    "response.reasoning_summary_text.delta": ("summary", "summary_text", "text", "summary_index"),
    "response.function_call_arguments.delta": ("arguments", None, "", ""),
    "response.custom_tool_call_input.delta": ("input", None, "", ""),
}


def is_response(parts: Parts) -> bool:
    """Tell whether *parts* are a response of this API."""
    return text(parts.get("object")) == "response"


def whole_response_fields(parts: Parts) -> Parts:
    """Return the fields of one response."""
    output = tree(parts.get("output"))
    usage = tree(members(parts.get("usage")))
    model, response_id = text(parts.get("model")), text(parts.get("id"))
    status = text(parts.get("status"))
    reason = text(members(parts.get("incomplete_details")).get("reason"))
    is_openai = (response_id or "").startswith("resp_") and is_openai_model(model or "")
    return {
        **known(
            provider="openai" if is_openai else None,
            model=model,
            stop_reason=reason or (status if status not in _RUNNING else None),
            request_id=text(parts.get("_request_id")) or response_id,
            tool_calls=_tool_calls(dicts(output)),
            output=output,
        ),
        **_tokens(usage),
    }


def _tool_calls(items: list[Parts]) -> list[Parts]:
    kinds = [(text(item.get("type")) or "", text(item.get("call_id")), item) for item in items]
    answered = {call_id for kind, call_id, _ in kinds if kind.endswith("_output")}
    return [
        known(id=call_id, name=text(item.get("name")) or kind)
        for kind, call_id, item in kinds
        if call_id and call_id not in answered
    ]


def _tokens(usage: Parts) -> Parts:
    read_details = members(usage.get("input_tokens_details"))
    return token_fields(
        usage,
        prompt=count(usage.get("input_tokens")),
        output=count(usage.get("output_tokens")),
        cache_read=count(read_details.get("cached_tokens")),
        cache_write=count(read_details.get("cache_write_tokens")),
        reasoning=count(members(usage.get("output_tokens_details")).get("reasoning_tokens")),
    )


class _Item:
    """One output item: as it was last told whole, and the pieces since."""

    def __init__(self, start: Parts, budget: Budget) -> None:
        self._start, self._budget = start, budget
        self._texts: dict[tuple[str, str | None, str, int], Text] = {}

    def add(self, kind: str, parts: Parts) -> None:
        key, part_type, part_key, place = _DELTAS[kind]
        at = (key, part_type, part_key, (count(parts.get(place)) or 0) if place else 0)
        if at not in self._texts:
            if len(self._texts) >= MAX_BLOCKS:
                return
            self._texts[at] = Text(self._budget)
        self._texts[at].add(parts.get("delta"))

    def finish(self, item: Parts) -> None:
        for pieces in self._texts.values():
            pieces.release()
        self._texts.clear()
        self._start = self._budget.keep(item)

    def value(self) -> Parts:
        item = dict(self._start)
        for key, part_type, part_key, place in sorted(self._texts, key=lambda at: at[3]):
            said = self._texts[key, part_type, part_key, place].value()
            if part_type is None:
                item[key] = said
            else:
                item[key] = [*(item.get(key) or []), {"type": part_type, part_key: said}]
        return item


class ResponseStream:
    """The events of one streamed response, put together."""

    def __init__(self) -> None:
        self._budget = Budget()
        self._parts: Parts = {}
        self._items: dict[int, _Item] = {}
        self._whole: Parts | None = None

    def add(self, parts: Parts) -> bool:
        """Take one event; False if it is none of this API."""
        kind = text(parts.get("type")) or ""
        if kind in _DELTAS:
            item = self._item(parts)
            if item is not None:
                item.add(kind, parts)
        elif kind in ("response.output_item.added", "response.output_item.done"):
            item = self._item(parts)
            if item is not None:
                item.finish(tree(members(parts.get("item"))))
        elif kind in _TERMINAL:
            self._whole = whole_response_fields(members(parts.get("response")))
        elif kind == "response.created":
            self._budget, self._items, self._whole = Budget(), {}, None
            self._parts = self._head(members(parts.get("response")))
        return kind.startswith("response.")

    def _head(self, response: Parts) -> Parts:
        return {name: found[:1024] for name in ("id", "model") if (found := text(response.get(name)))}

    def _item(self, parts: Parts) -> _Item | None:
        index = count(parts.get("output_index")) or 0
        if index not in self._items and len(self._items) < MAX_BLOCKS:
            self._items[index] = _Item({}, self._budget)
        return self._items.get(index)

    def fields(self) -> Parts:
        """Return what is known so far."""
        if self._whole is not None and "output" in self._whole:
            return dict(self._whole)
        items: list[Any] = [self._items[index].value() for index in sorted(self._items)]
        put_together = whole_response_fields({**self._parts, "output": items})
        # Some gateways end with a response whose output is empty.
        return put_together | (self._whole or {})
