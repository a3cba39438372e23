"""What providers' requests and responses say, one module for each API.

    recognise          which API a request speaks
    request_facts      the model asked, and the tool results in the history
    response_decoder   reads a response event by event; asked at any time, it tells what has come
    deltas             the strings of an event that continue a text of the events before
    message_list       a request as a conversation, to compare two

The APIs are anthropic.messages, openai.chat, openai.responses, gemini.generate_content,
gemini.interactions, bedrock.converse, bedrock.invoke_model, cohere.chat, ollama.chat and
ollama.generate; "unknown" is read by its shape. What stands where, docs/wire-decoders.md says.

Nothing here raises, whatever the body holds, or does input or output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agenttap.decoders import (
    anthropic,
    bedrock,
    bedrock_invoke,
    cohere,
    gemini,
    gemini_interactions,
    ollama,
    openai_chat,
    openai_responses,
    unknown,
)
from agenttap.decoders._providers import provider_of
from agenttap.decoders._recognise import recognise
from agenttap.decoders._types import RequestFacts, ResponseDecoder, ResponseFacts, ToolCall, ToolResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType

__all__ = [
    "RequestFacts",
    "ResponseDecoder",
    "ResponseFacts",
    "ToolCall",
    "ToolResult",
    "deltas",
    "message_list",
    "recognise",
    "request_facts",
    "response_decoder",
]

_APIS: dict[str, tuple[ModuleType, Callable[[int, dict[str, str], RequestFacts], ResponseDecoder]]] = {
    "anthropic.messages": (anthropic, anthropic.MessagesDecoder),
    "openai.chat": (openai_chat, openai_chat.ChatDecoder),
    "openai.responses": (openai_responses, openai_responses.ResponsesDecoder),
    "gemini.generate_content": (gemini, gemini.ContentDecoder),
    "gemini.interactions": (gemini_interactions, gemini_interactions.InteractionDecoder),
    "bedrock.converse": (bedrock, bedrock.ConverseDecoder),
    "bedrock.invoke_model": (bedrock_invoke, bedrock_invoke.InvokeDecoder),
    "cohere.chat": (cohere, cohere.ChatDecoder),
    "ollama.chat": (ollama, ollama.OllamaDecoder),
    "ollama.generate": (ollama, ollama.OllamaDecoder),
}
_UNKNOWN = (unknown, unknown.UnknownDecoder)
_DELTAS: dict[str, Callable[[dict[str, Any]], Iterable[tuple[Any, Any, Any]]]] = {
    api: module.deltas for api, (module, _) in _APIS.items()
}


def request_facts(api: str, url: str, body: Any) -> RequestFacts:
    """Return what a request says.

    Args:
        api: As `recognise` names it.
        url: As it was requested.
        body: Its JSON; what is no object says nothing, and leaves what the URL says.
    """
    module, _ = _APIS.get(api, _UNKNOWN)
    try:
        facts: RequestFacts = module.request_facts(url, body if type(body) is dict else {})
        facts.provider = provider_of(url)
    except Exception:  # noqa: BLE001  the agent must not notice
        return RequestFacts()
    return facts


def response_decoder(
    api: str, *, status: int, headers: dict[str, str], request: RequestFacts
) -> ResponseDecoder:
    """Return what reads one response.

    Args:
        api: As `recognise` names it.
        status: The HTTP status; from 400 on, the body is an error of any shape.
        headers: The response's, names in lower case.
        request: What the request said.
    """
    _, make = _APIS.get(api, _UNKNOWN)
    return make(status, headers, request)


def deltas(api: str, data: Any) -> Iterable[tuple[Any, Any, Any]]:
    """Return the strings of an event that continue a text begun in the events before.

    Each is ``(channel, container, key)``: ``container[key]`` is the string, and may be
    replaced in place; the strings of one channel, in order, are one text.
    """
    find = _DELTAS.get(api)
    return find(data) if find is not None and type(data) is dict else ()


def message_list(api: str, body: Any) -> list[tuple[str, Any]]:
    """Return a request as a conversation: ``(role, content)``, the tools and the system prompt first.

    The roles are system, tools, user, assistant and tool, and what else a provider calls its own.
    """
    module, _ = _APIS.get(api, _UNKNOWN)
    try:
        return list(module.message_list(body)) if type(body) is dict else []
    except Exception:  # noqa: BLE001
        return []
