"""OpenAI's Chat Completions API and its dialects: Azure, Groq, Mistral, OpenRouter, vLLM, DeepSeek, xAI, ...

A stream ends with ``data: [DONE]``. Dialects that leave it out have ended when every
choice has its finish_reason and the usage has come.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from agent_step_log.responses.openai_chat import ChatStream, completion_fields
from agent_step_log.responses.reading import dicts, members, text
from agenttap.decoders._decoder import Decoder, arguments_of, chat_calls, place, texts
from agenttap.decoders._history import History
from agenttap.decoders._in_words import results_in_words
from agenttap.decoders._types import RequestFacts, ToolCall, ToolResult

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ChatDecoder", "deltas", "message_list", "request_facts", "said", "tool_results"]

_TEXTS = ("content", "refusal", "reasoning_content", "reasoning")
_DEPLOYMENT = re.compile(r"/deployments/([^/?#]+)/")


def request_facts(url: str, body: dict[str, Any]) -> RequestFacts:
    """Return what a request says; the model of an Azure deployment is its name in the URL."""
    deployment = _DEPLOYMENT.search(url)
    is_streamed = body.get("stream")
    return RequestFacts(
        model=text(body.get("model")) or (deployment[1] if deployment else None),
        is_streamed=is_streamed if type(is_streamed) is bool else False,
        tool_results=tool_results(body),
    )


def tool_results(body: dict[str, Any]) -> list[ToolResult]:
    """Return the results in the history of *body*."""
    history = History()
    for message in dicts(body.get("messages")):
        role = message.get("role")
        if role == "assistant":
            for call in dicts(message.get("tool_calls")):
                named = members(call.get("function")) or members(call.get("custom"))
                given = named.get("arguments", named.get("input"))
                history.call(call.get("id"), named.get("name"), given)
            if named := members(message.get("function_call")):
                history.call(None, named.get("name"), named.get("arguments"))
        elif role in ("tool", "function"):
            name = message.get("name", message.get("tool_name"))
            history.result(message.get("tool_call_id"), name, message.get("content"))
    # Some frameworks tell the model of its tools in plain words.
    return history.results or list(results_in_words(dicts(body.get("messages"))))


def message_list(body: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the request as a conversation."""
    rows = [(name, body[name]) for name in ("tools", "functions") if body.get(name)]
    for message in dicts(body.get("messages")):
        role = text(message.get("role")) or ""
        rest = {name: part for name, part in message.items() if name != "role"}
        rows.append((role, rest["content"] if rest.keys() == {"content"} else rest))
    if "prompt" in body:
        rows.append(("user", body["prompt"]))
    return rows


def deltas(data: dict[str, Any]) -> Iterator[tuple[Any, Any, str]]:
    """Yield the strings of a chunk that continue a text; see the package."""
    for choice in dicts(data.get("choices")):
        index, delta = place(choice.get("index")), choice.get("delta")
        if type(delta) is not dict:
            if type(choice.get("text")) is str:
                yield ("text", index), choice, "text"
            continue
        for key in _TEXTS:
            if type(delta.get(key)) is str:
                yield (key, index), delta, key
        for block in dicts(delta.get("content")):  # Mistral, thinking
            if type(block.get("text")) is str:
                yield ("content", index), block, "text"
            for thought in dicts(block.get("thinking")):
                if type(thought.get("text")) is str:
                    yield ("thinking", index), thought, "text"
        calls = delta.get("tool_calls")
        for call in dicts(calls):
            for kind, key in (("function", "arguments"), ("custom", "input")):
                named = call.get(kind)
                if type(named) is dict and type(named.get(key)) is str:
                    yield ("call", index, place(call.get("index"))), named, key
        named = delta.get("function_call")
        if type(named) is dict and type(named.get("arguments")) is str:
            yield ("call", index, -1), named, "arguments"


def said(output: Any) -> tuple[str, str, list[ToolCall]]:
    """Return text, thinking and tool calls of a message, or of those of several choices."""
    spoken, thought, calls = [], [], []
    for message in output if type(output) is list else [output]:
        if type(message) is str:  # of the completions API as it was before chat
            spoken.append(message)
        if type(message) is not dict:
            continue
        content = message.get("content")
        spoken.append(content if type(content) is str else texts(content))
        thought.append(text(message.get("reasoning_content")) or text(message.get("reasoning")) or "")
        thought += [texts(block.get("thinking")) for block in dicts(content)]
        calls += chat_calls(message.get("tool_calls"))
        if named := members(message.get("function_call")):
            calls.append(ToolCall(None, text(named.get("name")), arguments_of(named.get("arguments"))))
    return "\n".join(filter(None, spoken)), "\n".join(filter(None, thought)), calls


class ChatDecoder(Decoder):
    """Reads one response."""

    def __init__(self, status: int, headers: dict[str, str], request: RequestFacts) -> None:
        super().__init__(status, headers, request)
        self._stream = ChatStream()
        self._whole: dict[str, Any] | None = None
        self._marks: dict[str, Any] = {}

    def _take(self, data: dict[str, Any]) -> bool:
        if self._stream.add_text(data):
            return any(data["choices"][0]["delta"].values())
        if "service_tier" in data:
            self._tier = data["service_tier"] or self._tier
        if data.get("error"):
            self.fail(data)
            # OpenRouter's last chunk is one, with an error beside its choices.
        choices = data.get("choices")
        if type(choices) is not list:
            return False
        if self._stream.add(data):
            return self._look(data, choices)
        self._whole = completion_fields(data)
        self._note_provider(data)
        self.is_complete = True
        return True

    def _look(self, data: dict[str, Any], choices: list[Any]) -> bool:
        if data.get("usage") and not self.is_complete:
            self._marks["usage"] = True
        elif not self._marks.get("seen"):
            self._marks["seen"] = True
            self._note_provider(data)
        is_content = False
        for choice in choices:
            if type(choice) is not dict:
                continue
            delta = choice.get("delta")
            if type(delta) is dict:
                is_content = is_content or any(
                    delta.get(key) for key in (*_TEXTS, "tool_calls", "function_call")
                )
            elif choice.get("text"):
                is_content = True
            if choice.get("finish_reason"):
                self._marks["finish"] = True
        if "finish" in self._marks and "usage" in self._marks:
            self.is_complete = True
        return is_content

    def _note_provider(self, data: dict[str, Any]) -> None:
        fingerprint = text(data.get("system_fingerprint")) or ""
        if "kv_transfer_params" in data or "prompt_token_ids" in data or fingerprint.startswith("vllm"):
            self._marks["provider"] = "vllm"

    def _take_raw(self, raw: bytes) -> None:
        if b"[DONE]" in raw:
            self.is_complete = True

    def _fields(self) -> dict[str, Any]:
        fields = self._whole if self._whole is not None else self._stream.fields()
        if "provider" in self._marks:
            return {"provider": self._marks["provider"], **fields}
        return fields

    def _said(self, output: Any) -> tuple[str, str, list[ToolCall]]:
        return said(output)
