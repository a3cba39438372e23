"""The drivers of all SDKs this environment has; one file for each SDK, frameworks in their own."""

from __future__ import annotations

from tests.matrix.drivers import (
    anthropic,
    boto3,
    cohere,
    google_genai,
    http_clients,
    langchain,
    litellm,
    mistral,
    ollama,
    openai_agents,
    openai_chat,
    openai_responses,
    pydantic_ai,
    smolagents,
)
from tests.matrix.drivers._driver import Ask, Driver, Told, ToolUse

__all__ = ["DRIVERS", "Ask", "Driver", "Told", "ToolUse"]

#: In the order of the page.
DRIVERS: list[Driver] = [
    driver
    for module in (
        anthropic,
        openai_chat,
        openai_responses,
        google_genai,
        mistral,
        boto3,
        litellm,
        cohere,
        ollama,
        http_clients,
        pydantic_ai,
        openai_agents,
        langchain,
        smolagents,
    )
    for driver in module.drivers()
]
