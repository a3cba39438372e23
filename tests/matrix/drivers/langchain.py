"""langchain's `create_agent`, which runs on langgraph, on Anthropic's API and on OpenAI's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tests.matrix.drivers._driver import Ask, Driver, Told, ToolUse, get_time, get_weather, is_installed

if TYPE_CHECKING:
    from tests.matrix.drivers._driver import Form, Mode

__all__ = ["drivers"]


def _agent(api: str, ask: Ask) -> Any:
    from langchain.agents import create_agent

    model: Any
    if api == "anthropic.messages":
        from langchain_anthropic import ChatAnthropic

        model = ChatAnthropic(model=ask.model, base_url=ask.url, api_key="none", max_tokens=99)
    else:
        from langchain_openai import ChatOpenAI

        model = ChatOpenAI(model=ask.model, base_url=f"{ask.url}/v1", api_key="none", stream_usage=True)
    return create_agent(model, tools=[get_weather, get_time] if ask.with_tools else [])


def _asked(ask: Ask) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": ask.prompt}]}


def _text(message: Any) -> str:
    text = message.text
    return str(text if isinstance(text, str) else text())


def _told(messages: list[Any]) -> Told:
    told = Told(_text(messages[-1]))
    for message in messages:
        if message.type != "ai":
            continue
        usage = message.usage_metadata or {}
        told.tokens.append((usage.get("input_tokens"), usage.get("output_tokens")))
        told.calls += [ToolUse(call["id"], call["name"], call["args"]) for call in message.tool_calls]
    return told


class _Streamed:
    """What comes of a streamed run: pieces of messages, and the state after each step."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self.messages: list[Any] = []

    def add(self, kind: str, data: Any) -> None:
        if kind == "values":
            self.messages = data["messages"]
        elif data[0].type == "AIMessageChunk" and (text := _text(data[0])):
            self._ask.on_text(text)


def _sync(api: str, form: Form, ask: Ask) -> Told:
    agent = _agent(api, ask)
    if form == "plain":
        return _told(agent.invoke(_asked(ask))["messages"])
    streamed = _Streamed(ask)
    for kind, data in agent.stream(_asked(ask), stream_mode=["messages", "values"]):
        streamed.add(kind, data)
    return _told(streamed.messages)


def _async(api: str, form: Form, ask: Ask) -> Told:
    async def main() -> Told:
        agent = _agent(api, ask)
        if form == "plain":
            return _told((await agent.ainvoke(_asked(ask)))["messages"])
        streamed = _Streamed(ask)
        async for kind, data in agent.astream(_asked(ask), stream_mode=["messages", "values"]):
            streamed.add(kind, data)
        return _told(streamed.messages)

    return asyncio.run(main())


def drivers() -> list[Driver]:
    """Return those this environment has."""
    if not is_installed("langchain", "langchain-anthropic", "langchain-openai"):
        return []
    found: list[Driver] = []
    forms: tuple[Form, ...] = ("plain", "stream")
    modes: tuple[tuple[Mode, Any], ...] = (("sync", _sync), ("async", _async))
    for api in ("anthropic.messages", "openai.chat"):
        for form in forms:
            for mode, run in modes:

                def driver(ask: Ask, run: Any = run, api: str = api, form: Form = form) -> Told:
                    told: Told = run(api, form, ask)
                    return told

                name, over = "langchain, langgraph", "httpx2"
                found.append(Driver(name, "langchain", over, api, mode, form, driver, is_framework=True))
    return found
