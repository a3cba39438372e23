"""What a decoder tells of a request and of a response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from agenttap._events import Event

__all__ = ["RequestFacts", "ResponseDecoder", "ResponseFacts", "ToolCall", "ToolResult"]


class ToolCall(msgspec.Struct):
    """One tool the model asks the caller to run.

    Attributes:
        id: None where the API has none (Gemini, Ollama).
        name: The tool's.
        arguments: Parsed; the text itself where it is no JSON, or not whole.
    """

    id: str | None
    name: str | None
    arguments: Any


class ToolResult(msgspec.Struct):
    """One answer to a tool call that stands in a request.

    Attributes:
        id: The call's; None where the API has none.
        name: The tool's, from the call in the same history where the answer does not tell it.
        arguments: The call's, parsed; None where the call is not in this history.
        output: In the provider's own form.
        is_error: None where the request does not say.
    """

    id: str | None
    name: str | None = None
    arguments: Any = None
    output: Any = None
    is_error: bool | None = None


class RequestFacts(msgspec.Struct):
    """What a request says.

    Attributes:
        model: The model asked for: from the body, or the URL where it stands there.
        provider: By the URL's path (Bedrock, Azure, Vertex AI) or a provider's own host name;
            OpenTelemetry's names. None for all other hosts.
        is_streamed: None where the request does not say.
        tool_results: Of the whole history, in its order.
    """

    model: str | None = None
    provider: str | None = None
    is_streamed: bool | None = None
    tool_results: list[ToolResult] = []


class ResponseFacts(msgspec.Struct):
    """What a response says, as far as it came.

    Attributes:
        fields: The keys of an ``llm_call`` record, as `agent_step_log.responses` gives them;
            what is not known is not there, and never 0.
        calls: The tools the caller is asked to run.
        text: What was said; several choices one after the other, a line each.
        thinking: What was thought aloud, as far as it is told.
        tier: Service tier, kind of traffic or speed, in the provider's words.
        error: The message of an error, in the body or in band; None when there was none.
        error_type: Its type, status or code, in the provider's words.
    """

    fields: dict[str, Any] = {}
    calls: list[ToolCall] = []
    text: str = ""
    thinking: str = ""
    tier: str | None = None
    error: str | None = None
    error_type: str | None = None


class ResponseDecoder(Protocol):
    """Reads the events of one response. One thread at a time; nothing here raises."""

    @property
    def is_complete(self) -> bool:
        """The protocol's last event, or the whole document, was seen."""

    def add(self, event: Event) -> bool:
        """Take the next event; True if it carries content (text, thinking, a tool call)."""

    def facts(self) -> ResponseFacts:
        """Return what is known so far."""
