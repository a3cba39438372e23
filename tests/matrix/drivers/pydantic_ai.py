"""pydantic-ai agents on Anthropic's API and on both of OpenAI's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tests.matrix.drivers._driver import Ask, Driver, Told, ToolUse, get_time, get_weather, is_installed

if TYPE_CHECKING:
    from tests.matrix.drivers._driver import Form, Mode

__all__ = ["drivers"]


def _agent(api: str, ask: Ask) -> Any:
    from pydantic_ai import Agent

    model: Any
    if api == "anthropic.messages":
        from pydantic_ai.models.anthropic import AnthropicModel
        from pydantic_ai.providers.anthropic import AnthropicProvider

        model = AnthropicModel(ask.model, provider=AnthropicProvider(base_url=ask.url, api_key="none"))
    else:
        from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
        from pydantic_ai.providers.openai import OpenAIProvider

        kind: Any = OpenAIChatModel if api == "openai.chat" else OpenAIResponsesModel
        model = kind(ask.model, provider=OpenAIProvider(base_url=f"{ask.url}/v1", api_key="none"))
    return Agent(model, tools=[get_weather, get_time] if ask.with_tools else [])


def _told(text: str, messages: list[Any]) -> Told:
    told = Told(text)
    for message in messages:
        if message.kind != "response":
            continue
        told.tokens.append((message.usage.input_tokens, message.usage.output_tokens))
        for part in message.parts:
            if part.part_kind == "tool-call":
                told.calls.append(ToolUse(part.tool_call_id, part.tool_name, part.args_as_dict()))
    return told


def _sync(api: str, form: Form, ask: Ask) -> Told:
    agent = _agent(api, ask)
    if form == "plain":
        result = agent.run_sync(ask.prompt)
        return _told(result.output, result.all_messages())
    streamed = agent.run_stream_sync(ask.prompt)
    text = ""
    for piece in streamed.stream_text(delta=True, debounce_by=None):
        ask.on_text(piece)
        text += piece
    return _told(text, streamed.all_messages())


def _async(api: str, form: Form, ask: Ask) -> Told:
    async def main() -> Told:
        agent = _agent(api, ask)
        if form == "plain":
            result = await agent.run(ask.prompt)
            return _told(result.output, result.all_messages())
        text = ""
        async with agent.run_stream(ask.prompt) as streamed:
            async for piece in streamed.stream_text(delta=True, debounce_by=None):
                ask.on_text(piece)
                text += piece
            return _told(text, streamed.all_messages())

    return asyncio.run(main())


def drivers() -> list[Driver]:
    """Return those this environment has."""
    package = next((name for name in ("pydantic-ai", "pydantic-ai-slim") if is_installed(name)), None)
    if package is None:
        return []
    found: list[Driver] = []
    forms: tuple[Form, ...] = ("plain", "stream")
    modes: tuple[tuple[Mode, Any], ...] = (("sync", _sync), ("async", _async))
    for api in ("anthropic.messages", "openai.chat", "openai.responses"):
        for form in forms:
            for mode, run in modes:

                def driver(ask: Ask, run: Any = run, api: str = api, form: Form = form) -> Told:
                    told: Told = run(api, form, ask)
                    return told

                found.append(
                    Driver("pydantic-ai", package, "httpx2", api, mode, form, driver, is_framework=True)
                )
    return found
