"""litellm, in front of Anthropic's API and of OpenAI's."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tests.matrix.drivers._driver import Ask, Driver, Reply, Told, converse, is_installed, run_async
from tests.matrix.drivers.openai_chat import Pieces, begin, proceed, reply_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.matrix.drivers._driver import Form

__all__ = ["drivers"]


def _begin(api: str, ask: Ask) -> dict[str, Any]:
    provider = "anthropic" if api == "anthropic.messages" else "openai"
    base = ask.url if provider == "anthropic" else f"{ask.url}/v1"
    told = {**begin(ask), "model": f"{provider}/{ask.model}"}
    return {**told, "api_base": base, "api_key": "none", "max_tokens": 99, "num_retries": 0}


def _streamed(request: dict[str, Any]) -> dict[str, Any]:
    return {**request, "stream": True, "stream_options": {"include_usage": True}}


def _reply(response: Any) -> Reply:
    message = response.choices[0].message
    calls = [(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or []]
    return reply_of(message.content or "", calls, response.usage)


def _sync(api: str, form: Form, ask: Ask) -> Told:
    import litellm

    litellm.suppress_debug_info = True

    def send(request: dict[str, Any]) -> Reply:
        if form == "plain":
            return _reply(litellm.completion(**request))
        pieces = Pieces(ask)
        for chunk in litellm.completion(**_streamed(request)):
            pieces.add(chunk)
        return pieces.reply()

    return converse(_begin(api, ask), proceed, send)


@asynccontextmanager
async def _clients() -> AsyncIterator[None]:
    """litellm keeps its clients; they belong to this event loop, and go with it."""
    import litellm

    litellm.in_memory_llm_clients_cache.flush_cache()
    yield
    await litellm.close_litellm_async_clients()
    litellm.in_memory_llm_clients_cache.flush_cache()


def _async(api: str, form: Form, ask: Ask) -> Told:
    import litellm

    litellm.suppress_debug_info = True

    async def send(client: None, request: dict[str, Any]) -> Reply:
        if form == "plain":
            return _reply(await litellm.acompletion(**request))
        pieces = Pieces(ask)
        async for chunk in await litellm.acompletion(**_streamed(request)):
            pieces.add(chunk)
        return pieces.reply()

    return run_async(_begin(api, ask), proceed, _clients, send)


def drivers() -> list[Driver]:
    """Return those this environment has."""
    if not is_installed("litellm"):
        return []
    found: list[Driver] = []
    forms: tuple[Form, ...] = ("plain", "stream")
    for api in ("anthropic.messages", "openai.chat"):
        for form in forms:

            def add(mode: Any, over: str, run: Any, api: str = api, form: Form = form) -> None:
                found.append(Driver("litellm", "litellm", over, api, mode, form, run))

            add("sync", "httpx", lambda ask, api=api, form=form: _sync(api, form, ask))
            add("async", "aiohttp", lambda ask, api=api, form=form: _async(api, form, ask))
    return found
