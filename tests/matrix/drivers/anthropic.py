"""The Anthropic SDK, over its own client and over aiohttp."""

from __future__ import annotations

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
    from tests.matrix.drivers._driver import Form

__all__ = ["drivers"]


def begin(ask: Ask) -> dict[str, Any]:
    """Return the first request."""
    request: dict[str, Any] = {
        "model": ask.model,
        "max_tokens": 99,
        "messages": [{"role": "user", "content": ask.prompt}],
    }
    if ask.with_tools:
        request["tools"] = [
            {"name": name, "description": told, "input_schema": schema}
            for name, (told, schema) in SCHEMAS.items()
        ]
    return request


def proceed(request: dict[str, Any], reply: Reply, results: list[tuple[ToolUse, str]]) -> dict[str, Any]:
    """Return the next request."""
    blocks = [{"type": "tool_result", "tool_use_id": call.id, "content": result} for call, result in results]
    answered = [{"role": "assistant", "content": reply.message}, {"role": "user", "content": blocks}]
    return {**request, "messages": request["messages"] + answered}


def _reply(message: Any) -> Reply:
    text = "".join(block.text for block in message.content if block.type == "text")
    calls = [
        ToolUse(block.id, block.name, block.input) for block in message.content if block.type == "tool_use"
    ]
    tokens = (message.usage.input_tokens, message.usage.output_tokens)
    return Reply(text, calls, message.content, tokens)


def _sync(form: Form, ask: Ask) -> Told:
    import anthropic

    def send(request: dict[str, Any]) -> Reply:
        if form == "plain":
            return _reply(client.messages.create(**request))
        with client.messages.stream(**request) as stream:
            for text in stream.text_stream:
                ask.on_text(text)
            return _reply(stream.get_final_message())

    with anthropic.Anthropic(base_url=ask.url, api_key="none") as client:
        return converse(begin(ask), proceed, send)


def _async(form: Form, ask: Ask, *, is_aiohttp: bool) -> Told:
    import anthropic

    async def send(client: anthropic.AsyncAnthropic, request: dict[str, Any]) -> Reply:
        if form == "plain":
            return _reply(await client.messages.create(**request))
        async with client.messages.stream(**request) as stream:
            async for text in stream.text_stream:
                ask.on_text(text)
            return _reply(await stream.get_final_message())

    def open_client() -> anthropic.AsyncAnthropic:
        http = anthropic.DefaultAioHttpClient() if is_aiohttp else None
        return anthropic.AsyncAnthropic(base_url=ask.url, api_key="none", http_client=http)

    return run_async(begin(ask), proceed, open_client, send)


def drivers() -> list[Driver]:
    """Return those this environment has."""
    if not is_installed("anthropic"):
        return []
    found: list[Driver] = []
    forms: tuple[Form, ...] = ("plain", "stream")
    for form in forms:

        def add(mode: Any, over: str, run: Any, form: Form = form) -> None:
            found.append(Driver("anthropic", "anthropic", over, "anthropic.messages", mode, form, run))

        add("sync", "httpx2", lambda ask, form=form: _sync(form, ask))
        add("async", "httpx2", lambda ask, form=form: _async(form, ask, is_aiohttp=False))
        if is_installed("httpx-aiohttp") or is_installed("aiohttp"):
            add("async", "aiohttp", lambda ask, form=form: _async(form, ask, is_aiohttp=True))
    return found
