"""The APIs the provider speaks, one file for each."""

from tests.provider.apis import (
    anthropic,
    bedrock,
    cohere,
    gemini,
    interactions,
    ollama,
    openai_chat,
    responses,
)

__all__ = ["APIS"]

APIS = (
    anthropic.API,
    openai_chat.API,
    responses.API,
    gemini.API,
    interactions.API,
    *bedrock.APIS,
    cohere.API,
    *ollama.APIS,
)
