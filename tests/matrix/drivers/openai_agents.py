"""Agents of OpenAI's agents SDK, on both of OpenAI's APIs. Its streams have no sync form."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from tests.matrix.drivers._driver import Ask, Driver, Told, ToolUse, get_time, get_weather, is_installed

if TYPE_CHECKING:
    from tests.matrix.drivers._driver import Form, Mode

__all__ = ["drivers"]


def _agent(api: str, ask: Ask) -> tuple[Any, Any]:
    from agents import (
        Agent,
        OpenAIChatCompletionsModel,
        OpenAIResponsesModel,
        function_tool,
        set_tracing_disabled,
    )
    from openai import AsyncOpenAI

    set_tracing_disabled(True)
    client = AsyncOpenAI(base_url=f"{ask.url}/v1", api_key="none")
    kind: Any = OpenAIChatCompletionsModel if api == "openai.chat" else OpenAIResponsesModel
    tools = [function_tool(tool) for tool in (get_weather, get_time)] if ask.with_tools else []
    return Agent(name="wire", model=kind(ask.model, openai_client=client), tools=list(tools)), client


def _told(result: Any) -> Told:
    told = Told(result.final_output)
    for response in result.raw_responses:
        told.tokens.append((response.usage.input_tokens, response.usage.output_tokens))
        for item in response.output:
            if item.type == "function_call":
                told.calls.append(ToolUse(item.call_id, item.name, json.loads(item.arguments)))
    return told


def _sync(api: str, form: Form, ask: Ask) -> Told:
    from agents import Runner

    agent, _ = _agent(api, ask)
    # It looks for a loop that is current, and makes none where there was one before.
    asyncio.set_event_loop(loop := asyncio.new_event_loop())
    try:
        return _told(Runner.run_sync(agent, ask.prompt))
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def _async(api: str, form: Form, ask: Ask) -> Told:
    from agents import Runner

    async def main() -> Told:
        agent, client = _agent(api, ask)
        async with client:
            if form == "plain":
                return _told(await Runner.run(agent, ask.prompt))
            result = Runner.run_streamed(agent, ask.prompt)
            async for event in result.stream_events():
                if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                    ask.on_text(event.data.delta)
            return _told(result)

    return asyncio.run(main())


def drivers() -> list[Driver]:
    """Return those this environment has."""
    if not is_installed("openai-agents"):
        return []
    found: list[Driver] = []
    kinds: tuple[tuple[Mode, Form, Any], ...] = (
        ("sync", "plain", _sync),
        ("async", "plain", _async),
        ("async", "stream", _async),
    )
    for api in ("openai.chat", "openai.responses"):
        for mode, form, run in kinds:

            def driver(ask: Ask, run: Any = run, api: str = api, form: Form = form) -> Told:
                told: Told = run(api, form, ask)
                return told

            package = "openai-agents"
            found.append(Driver(package, package, "httpx2", api, mode, form, driver, is_framework=True))
    return found
