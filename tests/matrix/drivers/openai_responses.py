"""The OpenAI SDK's responses, 2.x and 3.x."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.matrix.drivers._driver import (
    SCHEMAS,
    Ask,
    Driver,
    Reply,
    Told,
    ToolUse,
    converse,
    is_installed,
    major,
    run_async,
)

if TYPE_CHECKING:
    from tests.matrix.drivers._driver import Form

__all__ = ["drivers"]


def _begin(ask: Ask) -> dict[str, Any]:
    request: dict[str, Any] = {"model": ask.model, "input": [{"role": "user", "content": ask.prompt}]}
    if ask.with_tools:
        request["tools"] = [
            {"type": "function", "name": name, "description": told, "parameters": schema, "strict": False}
            for name, (told, schema) in SCHEMAS.items()
        ]
    return request


def _proceed(request: dict[str, Any], reply: Reply, results: list[tuple[ToolUse, str]]) -> dict[str, Any]:
    answered = [
        {"type": "function_call_output", "call_id": call.id, "output": result} for call, result in results
    ]
    return {**request, "input": [*request["input"], *reply.message, *answered]}


def _reply(response: Any) -> Reply:
    calls = [
        ToolUse(item.call_id, item.name, json.loads(item.arguments))
        for item in response.output
        if item.type == "function_call"
    ]
    output = [item.model_dump(exclude_none=True) for item in response.output]
    tokens = (response.usage.input_tokens, response.usage.output_tokens)
    return Reply(response.output_text, calls, output, tokens)


class _Last:
    """The events of a stream, down to the response the last one repeats."""

    def __init__(self, ask: Ask) -> None:
        self._ask, self.response = ask, None

    def add(self, event: Any) -> None:
        if event.type == "response.output_text.delta":
            self._ask.on_text(event.delta)
        elif event.type == "response.completed":
            self.response = event.response


def _sync(form: Form, ask: Ask) -> Told:
    import openai

    def send(request: dict[str, Any]) -> Reply:
        if form == "plain":
            return _reply(client.responses.create(**request))
        last = _Last(ask)
        with client.responses.create(**request, stream=True) as stream:
            for event in stream:
                last.add(event)
        return _reply(last.response)

    with openai.OpenAI(base_url=f"{ask.url}/v1", api_key="none") as client:
        return converse(_begin(ask), _proceed, send)


def _async(form: Form, ask: Ask, *, is_aiohttp: bool) -> Told:
    import openai

    async def send(client: Any, request: dict[str, Any]) -> Reply:
        if form == "plain":
            return _reply(await client.responses.create(**request))
        last = _Last(ask)
        async with await client.responses.create(**request, stream=True) as stream:
            async for event in stream:
                last.add(event)
        return _reply(last.response)

    def open_client() -> openai.AsyncOpenAI:
        http = openai.DefaultAioHttpClient() if is_aiohttp else None
        return openai.AsyncOpenAI(base_url=f"{ask.url}/v1", api_key="none", http_client=http)

    return run_async(_begin(ask), _proceed, open_client, send)


def drivers() -> list[Driver]:
    """Return those this environment has."""
    if not is_installed("openai"):
        return []
    found: list[Driver] = []
    number = major("openai")
    over = "httpx2" if number >= 3 else "httpx"
    forms: tuple[Form, ...] = ("plain", "stream")
    for form in forms:

        def add(mode: Any, over: str, run: Any, form: Form = form) -> None:
            name = f"openai {number}.x"
            found.append(Driver(name, "openai", over, "openai.responses", mode, form, run))

        add("sync", over, lambda ask, form=form: _sync(form, ask))
        add("async", over, lambda ask, form=form: _async(form, ask, is_aiohttp=False))
        if is_installed("httpx-aiohttp" if over == "httpx" else "aiohttp"):
            add("async", "aiohttp", lambda ask, form=form: _async(form, ask, is_aiohttp=True))
    return found
