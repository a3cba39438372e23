"""google-genai: generate_content and interactions. Its async client takes aiohttp where that is installed."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
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
    run_async,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.matrix.drivers._driver import Form

__all__ = ["drivers"]


def _client(ask: Ask) -> Any:
    from google import genai

    return genai.Client(api_key="none", http_options={"base_url": ask.url})


def _begin(ask: Ask) -> dict[str, Any]:
    from google.genai import types

    content = types.Content(role="user", parts=[types.Part(text=ask.prompt)])
    config: dict[str, Any] = {"automatic_function_calling": {"disable": True}}
    if ask.with_tools:
        declared = [
            {"name": name, "description": told, "parameters_json_schema": schema}
            for name, (told, schema) in SCHEMAS.items()
        ]
        config["tools"] = [{"function_declarations": declared}]
    return {"model": ask.model, "contents": [content], "config": config}


def _proceed(request: dict[str, Any], reply: Reply, results: list[tuple[ToolUse, str]]) -> dict[str, Any]:
    from google.genai import types

    parts = [
        types.Part.from_function_response(name=call.name, response={"result": result})
        for call, result in results
    ]
    answered = [types.Content(role="model", parts=reply.message), types.Content(role="user", parts=parts)]
    return {**request, "contents": [*request["contents"], *answered]}


class _Whole:
    """One response, or the pieces of a streamed one."""

    def __init__(self, ask: Ask) -> None:
        self._ask, self._text = ask, ""
        self._usage: Any = None
        self._parts: list[Any] = []

    def add(self, response: Any, *, is_streamed: bool = True) -> None:
        self._usage = response.usage_metadata
        for part in response.candidates[0].content.parts:
            self._parts.append(part)
            if part.text and not part.thought:
                self._text += part.text
                if is_streamed:
                    self._ask.on_text(part.text)

    def reply(self) -> Reply:
        calls = [
            ToolUse(None, part.function_call.name, part.function_call.args)
            for part in self._parts
            if part.function_call
        ]
        tokens = (self._usage.prompt_token_count, self._usage.candidates_token_count)
        return Reply(self._text, calls, self._parts, tokens)


def _sync(form: Form, ask: Ask) -> Told:
    def send(request: dict[str, Any]) -> Reply:
        whole = _Whole(ask)
        if form == "plain":
            whole.add(client.models.generate_content(**request), is_streamed=False)
        else:
            for response in client.models.generate_content_stream(**request):
                whole.add(response)
        return whole.reply()

    with _client(ask) as client:
        return converse(_begin(ask), _proceed, send)


@asynccontextmanager
async def _async_client(ask: Ask) -> AsyncIterator[Any]:
    client = _client(ask)
    async with client.aio as inner:
        yield inner
    client.close()


def _async(form: Form, ask: Ask) -> Told:
    async def send(client: Any, request: dict[str, Any]) -> Reply:
        whole = _Whole(ask)
        if form == "plain":
            whole.add(await client.models.generate_content(**request), is_streamed=False)
        else:
            async for response in await client.models.generate_content_stream(**request):
                whole.add(response)
        return whole.reply()

    return run_async(_begin(ask), _proceed, lambda: _async_client(ask), send)


def _begin_interaction(ask: Ask) -> dict[str, Any]:
    said = {"type": "user_input", "content": [{"type": "text", "text": ask.prompt}]}
    request: dict[str, Any] = {"model": ask.model, "input": [said]}
    if ask.with_tools:
        request["tools"] = [
            {"type": "function", "name": name, "description": told, "parameters": schema}
            for name, (told, schema) in SCHEMAS.items()
        ]
    return request


def _proceed_interaction(
    request: dict[str, Any], reply: Reply, results: list[tuple[ToolUse, str]]
) -> dict[str, Any]:
    asked = [
        {"type": "function_call", "id": call.id, "name": call.name, "arguments": call.arguments}
        for call, _ in results
    ]
    answered = [
        {"type": "function_result", "call_id": call.id, "name": call.name, "result": result}
        for call, result in results
    ]
    return {**request, "input": [*request["input"], *asked, *answered]}


def _interaction_reply(interaction: Any) -> Reply:
    steps = interaction.steps or []
    said = [part for step in steps if step.type == "model_output" for part in step.content]
    calls = [ToolUse(step.id, step.name, step.arguments) for step in steps if step.type == "function_call"]
    tokens = (interaction.usage.total_input_tokens, interaction.usage.total_output_tokens)
    return Reply("".join(part.text for part in said), calls, None, tokens)


class _Events:
    """The events of a streamed interaction, put together."""

    def __init__(self, ask: Ask) -> None:
        self._ask, self._text = ask, ""
        self._usage: Any = None
        self._calls: dict[int, tuple[str, str, list[str]]] = {}

    def add(self, event: Any) -> None:
        if event.event_type == "step.start" and event.step.type == "function_call":
            self._calls[event.index] = (event.step.id, event.step.name, [])
        elif event.event_type == "step.delta" and event.delta.type == "text":
            self._text += event.delta.text
            self._ask.on_text(event.delta.text)
        elif event.event_type == "step.delta" and event.delta.type == "arguments_delta":
            self._calls[event.index][2].append(event.delta.arguments)
        elif event.event_type == "interaction.completed":
            self._usage = event.interaction.usage

    def reply(self) -> Reply:
        calls = [ToolUse(id_, name, json.loads("".join(parts))) for id_, name, parts in self._calls.values()]
        tokens = (self._usage.total_input_tokens, self._usage.total_output_tokens)
        return Reply(self._text, calls, None, tokens)


def _interact(form: Form, ask: Ask) -> Told:
    def send(request: dict[str, Any]) -> Reply:
        if form == "plain":
            return _interaction_reply(client.interactions.create(**request))
        events = _Events(ask)
        for event in client.interactions.create(**request, stream=True):
            events.add(event)
        return events.reply()

    with _client(ask) as client:
        return converse(_begin_interaction(ask), _proceed_interaction, send)


def _interact_async(form: Form, ask: Ask) -> Told:
    async def send(client: Any, request: dict[str, Any]) -> Reply:
        if form == "plain":
            return _interaction_reply(await client.interactions.create(**request))
        events = _Events(ask)
        async for event in await client.interactions.create(**request, stream=True):
            events.add(event)
        return events.reply()

    return run_async(_begin_interaction(ask), _proceed_interaction, lambda: _async_client(ask), send)


def drivers() -> list[Driver]:
    """Return those this environment has."""
    if not is_installed("google-genai"):
        return []
    found: list[Driver] = []
    forms: tuple[Form, ...] = ("plain", "stream")
    over = "aiohttp" if is_installed("aiohttp") else "httpx2"
    for form in forms:

        def add(mode: Any, over: str, api: str, run: Any, form: Form = form) -> None:
            found.append(Driver("google-genai", "google-genai", over, f"gemini.{api}", mode, form, run))

        add("sync", "httpx2", "generate_content", lambda ask, form=form: _sync(form, ask))
        add("async", over, "generate_content", lambda ask, form=form: _async(form, ask))
        add("sync", "httpx2", "interactions", lambda ask, form=form: _interact(form, ask))
        add("async", "httpx2", "interactions", lambda ask, form=form: _interact_async(form, ask))
    return found
