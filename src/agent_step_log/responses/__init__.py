"""What a model's answer says about the call: from the response objects of the SDKs, or their dicts.

    provider, model, stop_reason, request_id      str
    input_tokens, output_tokens,                  int; input is the whole prompt, cached parts
    cache_read_tokens, cache_write_tokens,        included; output includes reasoning
    reasoning_tokens
    usage       dict   the provider's own usage object, as it sent it
    tool_calls  list   what the model asked the caller to run: [{"id": ..., "name": ...}, ...]
    output      what the assistant said, in the provider's own blocks

A field that is not known is not there, and is never 0. `provider` has
OpenTelemetry's names (``gen_ai.provider.name``). `request_id` is the id the
provider's logs know the request by where the SDK kept it (it stands in a header),
else the id of the response.

One file for each API; each is recognised by its shape, so no SDK is imported here
and dicts of any origin do as well. Nothing here raises, does input or output, or
runs code of the response's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from agent_step_log.responses.anthropic import MessageStream, is_message, message_fields
from agent_step_log.responses.bedrock import ConverseStream, converse_fields, is_converse
from agent_step_log.responses.cohere import CohereStream, cohere_fields, is_cohere
from agent_step_log.responses.gemini import ContentStream, content_fields, is_content
from agent_step_log.responses.gemini_interactions import (
    InteractionStream,
    interaction_fields,
    is_interaction,
)
from agent_step_log.responses.ollama import OllamaStream, is_ollama, ollama_fields
from agent_step_log.responses.openai_chat import ChatStream, completion_fields, is_completion
from agent_step_log.responses.openai_responses import ResponseStream, is_response, whole_response_fields
from agent_step_log.responses.reading import Parts, known, members, text

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["StreamFields", "response_fields"]

_APIS: tuple[tuple[Callable[[Parts], bool], Callable[[Parts], Parts]], ...] = (
    (is_completion, completion_fields),
    (is_response, whole_response_fields),
    (is_message, message_fields),
    (is_content, content_fields),
    (is_converse, converse_fields),
    (is_cohere, cohere_fields),
    (is_ollama, ollama_fields),
    (is_interaction, interaction_fields),
)


class _Stream(Protocol):
    def add(self, parts: Parts) -> bool: ...
    def fields(self) -> Parts: ...


_STREAMS: tuple[type[_Stream], ...] = (
    MessageStream,
    ChatStream,
    ResponseStream,
    ContentStream,
    ConverseStream,
    CohereStream,
    OllamaStream,
    InteractionStream,
)


def response_fields(response: object) -> dict[str, Any]:
    """Return what *response* says of the call, empty for what is no response.

    Args:
        response: One complete response: an object of the Anthropic, OpenAI (chat
            and responses) or google-genai SDK, or of one shaped like them; boto3's
            dict; or the body as JSON has it. An error body yields its request id.
    """
    try:
        return _response_fields(members(response))
    except Exception:  # noqa: BLE001  whatever it was, the agent must not notice
        return {}


def _response_fields(parts: Parts) -> Parts:
    for is_it, fields in _APIS:
        if is_it(parts):
            return fields(parts)
    if text(parts.get("type")) == "error":  # Anthropic's
        return known(request_id=text(parts.get("request_id")))
    return {}


class StreamFields:
    """The same fields, put together from the chunks of one streamed response.

    `add` takes each chunk as the SDK yields it (or as a dict) and `fields` may be
    asked for at any time: what a stream did not say before it was cut is not there.
    Text is kept up to 1 MiB in all; what comes after is counted and marked. One
    thread at a time.
    """

    def __init__(self) -> None:
        self._stream: _Stream | None = None
        self._beside: Parts = {}

    def add(self, chunk: object) -> None:
        """Take the next chunk. Never raises; what is no chunk is passed over."""
        try:
            self._add(_unwrap(members(chunk)))
        except Exception:  # noqa: BLE001  a chunk must not break the stream it came from
            return

    def _add(self, parts: Parts) -> None:
        if self._stream is not None:
            self._stream.add(parts)
            return
        for kind in _STREAMS:
            stream = kind()
            if stream.add(parts):
                self._stream = stream
                return
        self._beside.update(_response_fields(parts))

    def fields(self) -> dict[str, Any]:
        """Return what is known so far; the same names as `response_fields`."""
        try:
            return self._beside | (self._stream.fields() if self._stream is not None else {})
        except Exception:  # noqa: BLE001
            return dict(self._beside)


def _unwrap(parts: Parts) -> Parts:
    """Return the chunk inside what OpenAI's stream helper or Bedrock's InvokeModel wraps it in."""
    if "chunk" not in parts:
        return parts
    inner = members(parts["chunk"])
    body = inner.get("bytes")
    return members(msgspec.json.decode(body)) if type(body) is bytes else inner
