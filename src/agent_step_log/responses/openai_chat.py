"""OpenAI's Chat Completions API, and the many that speak it.

    input     usage.prompt_tokens, cached parts included
    output    usage.completion_tokens, reasoning included; where total_tokens shows
              that it stands beside them (xAI), it is added
    stop      finish_reason of the first choice
    tools     message.tool_calls of every choice
    stream    choices[].delta; usage in one of the last chunks, or in each, so far

Whose answer it is, the format does not say: `provider` is given where a mark of
one is found, and left out otherwise.
"""

from __future__ import annotations

import re
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

__all__ = ["ChatStream", "completion_fields", "is_completion", "is_openai_model"]

# OpenAI's own names; gpt-oss is run by everyone else.
is_openai_model = re.compile(r"(ft:)?(gpt-(?!oss)|chatgpt-|o\d|codex-|computer-use-)").match

_TEXTS = ("content", "refusal", "reasoning_content", "reasoning")


def is_completion(parts: Parts) -> bool:
    """Tell whether *parts* are a completion (or a chunk of one)."""
    return issubclass(type(parts.get("choices")), list)


def completion_fields(parts: Parts) -> Parts:
    """Return the fields of one completion."""
    choices = dicts(tree(parts.get("choices")))
    groq = tree(members(parts.get("x_groq")))
    usage = tree(members(parts.get("usage"))) or members(groq.get("usage"))
    messages = [_message(choice) for choice in choices]
    model, response_id = text(parts.get("model")), text(parts.get("id"))
    return {
        **known(
            provider=_provider(parts, usage, model or "", response_id or ""),
            model=model,
            stop_reason=text(choices[0].get("finish_reason")) if choices else None,
            request_id=text(parts.get("_request_id")) or text(groq.get("id")) or response_id,
            tool_calls=[call for message in messages for call in _tool_calls(message)],
            output=messages[0] if len(messages) == 1 else messages,
        ),
        **_tokens(usage),
    }


def _message(choice: Parts) -> Any:
    """Return what one choice says: its message without the keys that are null, or its text."""
    message = choice.get("message")
    if type(message) is dict:
        return {name: part for name, part in message.items() if part is not None}
    return choice.get("text")


def _tool_calls(message: Any) -> list[Parts]:
    if type(message) is not dict:
        return []
    calls = []
    for call in dicts(message.get("tool_calls")):
        named = members(call.get("function")) or members(call.get("custom"))
        calls.append(known(id=text(call.get("id")), name=text(named.get("name"))))
    name = text(members(message.get("function_call")).get("name"))  # as it was before tools
    return [*filter(None, calls), *([{"name": name}] if name else [])]


def _provider(parts: Parts, usage: Parts, model: str, response_id: str) -> str | None:
    if "x_groq" in parts or "queue_time" in usage:
        return "groq"
    if "cost_in_usd_ticks" in usage or "num_sources_used" in usage:
        return "x_ai"
    if response_id.startswith("gen-") and text(parts.get("provider")):
        return "openrouter"
    if "prompt_cache_hit_tokens" in usage and model.startswith("deepseek"):
        return "deepseek"
    if "prompt_filter_results" in parts:
        return "azure.ai.openai"
    return "openai" if response_id.startswith("chatcmpl-") and is_openai_model(model) else None


def _tokens(usage: Parts) -> Parts:
    read_details, details = (
        members(usage.get("prompt_tokens_details")),
        usage.get("completion_tokens_details"),
    )
    prompt, output = count(usage.get("prompt_tokens")), count(usage.get("completion_tokens"))
    reasoning = count(members(details).get("reasoning_tokens"))
    if reasoning and None not in (prompt, output):
        beside = (prompt or 0) + (output or 0) + reasoning
        if beside == usage.get("total_tokens"):
            output = (output or 0) + reasoning
    return token_fields(
        usage,
        prompt=prompt,
        output=output,
        cache_read=_first(
            read_details.get("cached_tokens"),
            usage.get("cached_tokens"),
            usage.get("prompt_cache_hit_tokens"),
            usage.get("cache_read_input_tokens"),
        ),
        cache_write=_first(
            read_details.get("cache_write_tokens"),
            read_details.get("cache_creation_tokens"),
            usage.get("cache_creation_input_tokens"),
        ),
        reasoning=reasoning,
    )


def _first(*values: object) -> int | None:
    """Return the first that is a count: dialects differ in where they put it."""
    return next((value for value in map(count, values) if value is not None), None)


class _Call:
    """One streamed tool call."""

    def __init__(self, budget: Budget) -> None:
        self.id: str | None = None
        self.name: str | None = None
        self.kind = "function"
        self.arguments = Text(budget)

    def add(self, delta: Parts) -> None:
        if type(delta.get("custom")) is dict:
            self.kind = "custom"
        named = members(delta.get(self.kind))
        self.id = self.id or _short(delta.get("id"))
        self.name = self.name or _short(named.get("name"))
        self.arguments.add(named.get("arguments" if self.kind == "function" else "input"))

    def is_another(self, delta: Parts) -> bool:
        """Tell whether *delta* begins a new call though its index is this one's."""
        return bool(self.id and _short(delta.get("id")) not in (None, self.id))

    def value(self) -> Parts:
        key = "arguments" if self.kind == "function" else "input"
        return known(id=self.id, type=self.kind) | {
            self.kind: known(name=self.name) | {key: self.arguments.value()}
        }


def _short(value: object) -> str | None:
    """An id or a name, which is no place for a megabyte."""
    found = text(value)
    return found[:1024] if found else None


class _Choice:
    """One streamed choice."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._role: str | None = None
        self._texts = {name: Text(budget) for name in (*_TEXTS, "thinking")}
        self._calls: list[_Call] = []
        self._at: dict[int, _Call] = {}
        self.finish_reason: str | None = None

    def add(self, choice: Parts) -> None:
        self.finish_reason = text(choice.get("finish_reason")) or self.finish_reason
        delta = choice.get("delta")
        if type(delta) is not dict:
            self._texts["content"].add(choice.get("text"))
            return
        self._role = self._role or _short(delta.get("role"))
        for name, said in delta.items():
            if said and name in _TEXTS:
                self._texts[name].add(said)
        if type(delta.get("content")) is list:
            self._add_content_blocks(delta["content"])
        for call in dicts(delta.get("tool_calls")):
            self._add_call(call)
        if type(delta.get("function_call")) is dict:
            self._add_call({"index": -1, "function": delta["function_call"]})

    def add_text(self, delta: Parts) -> bool:
        for name, said in delta.items():
            if said is not None and (type(said) is not str or name not in _PLAIN):
                return False
        for name, said in delta.items():
            if said and name != "role":
                self._texts[name].add(said)
        return True

    def _add_content_blocks(self, blocks: object) -> None:
        """Mistral's way of thinking aloud: content is a list while it does."""
        for block in dicts(blocks):
            self._texts["content"].add(block.get("text"))
            for thought in dicts(block.get("thinking")):
                self._texts["thinking"].add(thought.get("text"))

    def _add_call(self, delta: Parts) -> None:
        index = delta.get("index")
        if type(index) is not int:
            index = len(self._calls) if text(delta.get("id")) else len(self._calls) - 1
        call = self._at.get(index)
        if call is None or call.is_another(delta):
            if len(self._calls) >= MAX_BLOCKS:
                return
            call = self._at[index] = _Call(self._budget)
            self._calls.append(call)
        call.add(delta)

    def value(self) -> Parts:
        message: Parts = {"role": self._role} if self._role else {}
        for name in _TEXTS:
            if said := self._texts[name].value():
                message[name] = said
        if thought := self._texts["thinking"].value():
            thinking = {"type": "thinking", "thinking": [{"type": "text", "text": thought}]}
            answer = [{"type": "text", "text": message["content"]}] if "content" in message else []
            message["content"] = [thinking, *answer]
        if -1 in self._at:
            message["function_call"] = self._at[-1].value()["function"]
        if calls := [call.value() for call in self._calls if call is not self._at.get(-1)]:
            message["tool_calls"] = calls
        return {"message": message, "finish_reason": self.finish_reason}


_PLAIN = frozenset({*_TEXTS, "role"})


class ChatStream:
    """The chunks of one streamed completion, put together."""

    def __init__(self) -> None:
        self._budget = Budget()
        self._parts: Parts = {}
        self._choices: dict[int, _Choice] = {}

    def add(self, parts: Parts) -> bool:
        """Take one chunk; False if it is none of this API."""
        if not is_completion(parts):
            return False
        choices = dicts(tree(parts["choices"]))
        if any("message" in choice for choice in choices):
            return False
        for name in ("id", "model", "provider"):
            if name not in self._parts and text(parts.get(name)):
                self._parts[name] = _short(parts[name])
        if parts.get("usage") is not None:
            self._parts["usage"] = parts["usage"]
        if groq := members(parts.get("x_groq")):
            self._parts["x_groq"] = self._parts.get("x_groq", {}) | tree(groq)
        if "prompt_filter_results" in parts:
            self._parts["prompt_filter_results"] = True
        for choice in choices:
            self._add_choice(choice)
        return True

    def add_text(self, parts: Parts) -> bool:
        """Take *parts* if they do no more than continue the texts of one choice: nearly all chunks do.

        False: they were not taken, `add` has to. *parts* are plain JSON.
        """
        choices = parts.get("choices")
        if type(choices) is not list or len(choices) != 1 or parts.get("usage") or "error" in parts:
            return False
        choice = choices[0]
        if type(choice) is not dict or choice.get("finish_reason") is not None or "x_groq" in parts:
            return False
        index, delta = choice.get("index"), choice.get("delta")
        begun = self._choices.get(index) if type(index) is int else None
        if begun is None or type(delta) is not dict:
            return False
        return begun.add_text(delta)

    def _add_choice(self, choice: Parts) -> None:
        index = count(choice.get("index")) or 0
        if index not in self._choices:
            if len(self._choices) >= MAX_BLOCKS:
                return
            self._choices[index] = _Choice(self._budget)
        self._choices[index].add(choice)

    def fields(self) -> Parts:
        """Return what is known so far."""
        choices = [self._choices[index].value() for index in sorted(self._choices)]
        return completion_fields({**self._parts, "choices": choices})
