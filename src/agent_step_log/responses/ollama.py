"""Ollama's own chat and generate APIs.

input     prompt_eval_count
output    eval_count; thinking, if any, is part of it
usage     these two and the times beside them (``*_duration``, in nanoseconds)
stop      done_reason
tools     message.tool_calls, arguments as an object; few versions give an id
stream    each line a piece of the answer; the last has ``done`` and the counts
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

__all__ = ["OllamaStream", "is_ollama", "ollama_fields"]

_COUNTS = ("prompt_eval_count", "eval_count")
_TIMES = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")
_USAGE = (*_COUNTS, *_TIMES)


def is_ollama(parts: Parts) -> bool:
    """Tell whether *parts* are an answer of this API (or a piece of one)."""
    return type(parts.get("done")) is bool and ("message" in parts or "response" in parts)


def ollama_fields(parts: Parts) -> Parts:
    """Return the fields of one answer."""
    usage = known(**{name: count(parts.get(name)) for name in _USAGE})
    message = tree(members(parts.get("message")))
    said = {name: part for name, part in message.items() if part not in (None, [], "")}
    if not message:  # /api/generate
        said = known(content=text(parts.get("response")), thinking=text(parts.get("thinking")))
    return {
        **known(
            model=text(parts.get("model")),
            stop_reason=text(parts.get("done_reason")),
            tool_calls=[
                known(id=text(call.get("id")), name=text(members(call.get("function")).get("name")))
                for call in dicts(message.get("tool_calls"))
            ],
            output=said,
        ),
        **token_fields(
            usage, prompt=count(parts.get("prompt_eval_count")), output=count(parts.get("eval_count"))
        ),
    }


class OllamaStream:
    """The pieces of one streamed answer, put together."""

    def __init__(self) -> None:
        self._budget = Budget()
        self._parts: Parts = {}
        self._role: str | None = None
        self._texts = {name: Text(self._budget) for name in ("content", "thinking")}
        self._calls: list[Any] = []

    def add(self, parts: Parts) -> bool:
        """Take one piece; False if it is none of this API."""
        if not is_ollama(parts):
            return False
        message = members(parts.get("message"))
        self._role = self._role or text(message.get("role"))
        self._texts["content"].add(message.get("content", parts.get("response")))
        self._texts["thinking"].add(message.get("thinking", parts.get("thinking")))
        for call in dicts(message.get("tool_calls")):
            if len(self._calls) < MAX_BLOCKS:
                self._calls.append(self._budget.keep(tree(call)))
        if "model" not in self._parts:
            self._parts["model"] = (text(parts.get("model")) or "")[:1024]
        if parts.get("done") is True:
            self._parts |= {
                name: parts[name] for name in ("done_reason", *_USAGE) if type(parts.get(name)) in (int, str)
            }
        return True

    def fields(self) -> Parts:
        """Return what is known so far."""
        said = {name: pieces.value() or None for name, pieces in self._texts.items()}
        message = known(role=self._role, **said, tool_calls=self._calls)
        return ollama_fields({**self._parts, "message": message})
