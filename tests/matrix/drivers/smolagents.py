"""smolagents' tool-calling agent on OpenAI's chat API. No async form; it ends with a tool of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.matrix.drivers._driver import (
    Ask,
    Driver,
    Told,
    ToolUse,
    get_time,
    get_weather,
    is_installed,
    major,
)

if TYPE_CHECKING:
    from tests.matrix.drivers._driver import Form

__all__ = ["drivers"]


def _sync(form: Form, ask: Ask) -> Told:
    from smolagents import OpenAIServerModel, ToolCallingAgent, tool
    from smolagents.monitoring import LogLevel

    model = OpenAIServerModel(ask.model, api_base=f"{ask.url}/v1", api_key="none")
    tools = [tool(get_weather), tool(get_time)] if ask.with_tools else []
    agent: Any = ToolCallingAgent(
        tools=tools, model=model, stream_outputs=form == "stream", verbosity_level=LogLevel.OFF
    )
    told = Told()
    if form == "plain":
        told.text = agent.run(ask.prompt)
    else:
        for event in agent.run(ask.prompt, stream=True):
            if type(event).__name__ == "FinalAnswerStep":
                told.text = event.output
    for step in agent.memory.steps:
        for call in getattr(step, "tool_calls", None) or []:
            told.calls.append(ToolUse(call.id, call.name, call.arguments))
        if (usage := getattr(step, "token_usage", None)) is not None:
            told.tokens.append((usage.input_tokens, usage.output_tokens))
    return told


def drivers() -> list[Driver]:
    """Return those this environment has."""
    if not is_installed("smolagents", "openai"):
        return []
    over = "httpx2" if major("openai") >= 3 else "httpx"
    found: list[Driver] = []
    forms: tuple[Form, ...] = ("plain", "stream")
    for form in forms:

        def driver(ask: Ask, form: Form = form) -> Told:
            return _sync(form, ask)

        found.append(
            Driver(
                "smolagents",
                "smolagents",
                over,
                "openai.chat",
                "sync",
                form,
                driver,
                waits_on="nothing",
                is_framework=True,
            )
        )
    return found
