"""Cohere's SDK, version 2 of its API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.matrix.drivers._driver import (
    Ask,
    Driver,
    Reply,
    Told,
    ToolUse,
    converse,
    is_installed,
    run_async,
)
from tests.matrix.drivers.openai_chat import begin, proceed

if TYPE_CHECKING:
    from tests.matrix.drivers._driver import Form

__all__ = ["drivers"]


class _Whole:
    """One response, or the events of a streamed one."""

    def __init__(self, ask: Ask) -> None:
        self._ask, self._text = ask, ""
        self._usage: Any = None
        self._calls: list[list[str]] = []

    def take(self, response: Any) -> None:
        message = response.message
        self._text = "".join(part.text for part in message.content or [] if part.type == "text")
        for call in message.tool_calls or []:
            self._calls.append([call.id, call.function.name, call.function.arguments])
        self._usage = response.usage

    def add(self, event: Any) -> None:
        if event.type == "content-delta":
            text = event.delta.message.content.text
            if text:
                self._ask.on_text(text)
                self._text += text
        elif event.type == "tool-call-start":
            call = event.delta.message.tool_calls
            self._calls.append([call.id, call.function.name, call.function.arguments or ""])
        elif event.type == "tool-call-delta":
            self._calls[-1][2] += event.delta.message.tool_calls.function.arguments
        elif event.type == "message-end":
            self._usage = event.delta.usage

    def reply(self) -> Reply:
        message: dict[str, Any] = {"role": "assistant"}
        if self._calls:
            message["tool_calls"] = [
                {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}
                for id_, name, arguments in self._calls
            ]
        else:
            message["content"] = self._text
        calls = [ToolUse(id_, name, json.loads(arguments)) for id_, name, arguments in self._calls]
        tokens = (int(self._usage.tokens.input_tokens), int(self._usage.tokens.output_tokens))
        return Reply(self._text, calls, message, tokens)


def _sync(form: Form, ask: Ask) -> Told:
    import cohere

    client = cohere.ClientV2(base_url=ask.url, api_key="none")

    def send(request: dict[str, Any]) -> Reply:
        whole = _Whole(ask)
        if form == "plain":
            whole.take(client.chat(**request))
        else:
            for event in client.chat_stream(**request):
                whole.add(event)
        return whole.reply()

    return converse(begin(ask), proceed, send)


def _async(form: Form, ask: Ask) -> Told:
    import cohere

    async def send(client: Any, request: dict[str, Any]) -> Reply:
        whole = _Whole(ask)
        if form == "plain":
            whole.take(await client.chat(**request))
        else:
            async for event in client.chat_stream(**request):
                whole.add(event)
        return whole.reply()

    return run_async(
        begin(ask), proceed, lambda: cohere.AsyncClientV2(base_url=ask.url, api_key="none"), send
    )


def drivers() -> list[Driver]:
    """Return those this environment has."""
    if not is_installed("cohere"):
        return []
    found: list[Driver] = []
    forms: tuple[Form, ...] = ("plain", "stream")
    for form in forms:

        def add(mode: Any, over: str, run: Any, form: Form = form) -> None:
            found.append(Driver("cohere", "cohere", over, "cohere.chat", mode, form, run))

        add("sync", "httpx", lambda ask, form=form: _sync(form, ask))
        # It takes the transport over aiohttp wherever that is installed.
        over = "aiohttp" if is_installed("httpx-aiohttp") else "httpx"
        add("async", over, lambda ask, form=form: _async(form, ask))
    return found
