"""Ollama's SDK."""

from __future__ import annotations

from contextlib import asynccontextmanager
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
from tests.matrix.drivers.openai_chat import begin

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.matrix.drivers._driver import Form

__all__ = ["drivers"]


def _proceed(request: dict[str, Any], reply: Reply, results: list[tuple[ToolUse, str]]) -> dict[str, Any]:
    answered = [{"role": "tool", "tool_name": call.name, "content": result} for call, result in results]
    return {**request, "messages": [*request["messages"], reply.message, *answered]}


class _Whole:
    """One response, or the lines of a streamed one."""

    def __init__(self, ask: Ask, form: Form) -> None:
        self._ask, self._form, self._text = ask, form, ""
        self._calls: list[ToolUse] = []
        self._tokens: tuple[int | None, int | None] = (None, None)

    def add(self, response: Any) -> None:
        if response.message.content:
            self._text += response.message.content
            if self._form == "stream":
                self._ask.on_text(response.message.content)
        for call in response.message.tool_calls or []:
            self._calls.append(ToolUse(None, call.function.name, dict(call.function.arguments)))
        if response.done:
            self._tokens = (response.prompt_eval_count, response.eval_count)

    def reply(self) -> Reply:
        message: dict[str, Any] = {"role": "assistant", "content": self._text}
        if self._calls:
            message["tool_calls"] = [
                {"function": {"name": call.name, "arguments": call.arguments}} for call in self._calls
            ]
        return Reply(self._text, self._calls, message, self._tokens)


def _sync(form: Form, ask: Ask) -> Told:
    import ollama

    client = ollama.Client(host=ask.url)

    def send(request: dict[str, Any]) -> Reply:
        whole = _Whole(ask, form)
        if form == "plain":
            whole.add(client.chat(**request))
        else:
            for line in client.chat(**request, stream=True):
                whole.add(line)
        return whole.reply()

    return converse(begin(ask), _proceed, send)


@asynccontextmanager
async def _client(ask: Ask) -> AsyncIterator[Any]:
    import ollama

    yield ollama.AsyncClient(host=ask.url)


def _async(form: Form, ask: Ask) -> Told:
    async def send(client: Any, request: dict[str, Any]) -> Reply:
        whole = _Whole(ask, form)
        if form == "plain":
            whole.add(await client.chat(**request))
        else:
            async for line in await client.chat(**request, stream=True):
                whole.add(line)
        return whole.reply()

    return run_async(begin(ask), _proceed, lambda: _client(ask), send)


def drivers() -> list[Driver]:
    """Return those this environment has."""
    if not is_installed("ollama"):
        return []
    found: list[Driver] = []
    forms: tuple[Form, ...] = ("plain", "stream")
    for form in forms:

        def add(mode: Any, run: Any, form: Form = form) -> None:
            found.append(Driver("ollama", "ollama", "httpx", "ollama.chat", mode, form, run))

        add("sync", lambda ask, form=form: _sync(form, ask))
        add("async", lambda ask, form=form: _async(form, ask))
    return found
