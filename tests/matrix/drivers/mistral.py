"""Mistral's SDK."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.matrix.drivers._driver import Ask, Driver, Reply, Told, converse, is_installed, run_async
from tests.matrix.drivers.openai_chat import Pieces, begin, proceed, reply_of

if TYPE_CHECKING:
    from tests.matrix.drivers._driver import Form

__all__ = ["drivers"]


def _client(ask: Ask) -> Any:
    from mistralai.client import Mistral

    return Mistral(api_key="none", server_url=f"{ask.url}/mistral")


def _arguments(call: Any) -> str:
    told = call.function.arguments
    return told if isinstance(told, str) else json.dumps(told)


def _reply(response: Any) -> Reply:
    message = response.choices[0].message
    calls = [(call.id, call.function.name, _arguments(call)) for call in message.tool_calls or []]
    return reply_of(message.content or "", calls, response.usage)


def _sync(form: Form, ask: Ask) -> Told:
    def send(request: dict[str, Any]) -> Reply:
        if form == "plain":
            return _reply(client.chat.complete(**request))
        pieces = Pieces(ask)
        for event in client.chat.stream(**request):
            pieces.add(event.data)
        return pieces.reply()

    with _client(ask) as client:
        return converse(begin(ask), proceed, send)


def _async(form: Form, ask: Ask) -> Told:
    async def send(client: Any, request: dict[str, Any]) -> Reply:
        if form == "plain":
            return _reply(await client.chat.complete_async(**request))
        pieces = Pieces(ask)
        async for event in await client.chat.stream_async(**request):
            pieces.add(event.data)
        return pieces.reply()

    return run_async(begin(ask), proceed, lambda: _client(ask), send)


def drivers() -> list[Driver]:
    """Return those this environment has."""
    if not is_installed("mistralai"):
        return []
    found: list[Driver] = []
    forms: tuple[Form, ...] = ("plain", "stream")
    for form in forms:

        def add(mode: Any, run: Any, form: Form = form) -> None:
            found.append(Driver("mistralai", "mistralai", "httpx2", "openai.chat", mode, form, run))

        add("sync", lambda ask, form=form: _sync(form, ask))
        add("async", lambda ask, form=form: _async(form, ask))
    return found
