"""What the decoders of all APIs share: errors, headers, and that nothing they meet gets out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent_step_log.responses.reading import dicts, members, parse_arguments, text
from agenttap.decoders._errors import Failure, body_error, page_error
from agenttap.decoders._providers import provider_by_headers
from agenttap.decoders._types import RequestFacts, ResponseFacts, ToolCall

if TYPE_CHECKING:
    from agenttap._events import Event

__all__ = ["Decoder", "arguments_of", "chat_calls", "place", "texts"]

_REQUEST_IDS = ("request-id", "x-request-id", "x-amzn-requestid", "apim-request-id", "x-goog-request-id")
_MAX_PAGE = 16 * 1024  # bytes of an error page that are read


class Decoder:
    """One response. A subclass reads the JSON of one API: `_take`, `_fields` and `_said`."""

    def __init__(self, status: int, headers: dict[str, str], request: RequestFacts) -> None:
        self.is_complete = False
        self._headers, self._request = headers, request
        self._is_refused = status >= 400
        self._page = bytearray()
        self._failure: Failure | None = None
        self._tier: Any = None
        self._name: str | None = None  # of the event at hand

    def add(self, event: Event) -> bool:
        """Take the next event; True if it carries content."""
        data = event.data
        self._name = event.name
        try:
            if type(data) is dict and not self._is_refused:
                return self._take(data)
            if self._is_refused:
                self._refuse(event)
                return False
            if type(data) is list:
                for item in dicts(data):
                    self._take(item)
                return True
            if data is None:
                self._take_raw(event.raw)
        except Exception:  # noqa: BLE001  whatever a provider sent, the agent must not notice
            return False
        return False

    def facts(self) -> ResponseFacts:
        """Return what is known so far."""
        facts = ResponseFacts()
        failure = self._failure
        if failure is None and self._is_refused:
            failure = page_error(bytes(self._page))
        if failure is not None:
            facts.error, facts.error_type = failure.error, failure.error_type
        try:
            self._fill(facts)
        except Exception:  # noqa: BLE001
            return facts
        return facts

    def _fill(self, facts: ResponseFacts) -> None:
        fields = facts.fields
        if not self._is_refused:
            fields.update(self._fields())
            facts.text, facts.thinking, facts.calls = self._said(fields.get("output"))
            facts.tier = text(self._tier)
        provider = self._request.provider or provider_by_headers(self._headers) or fields.get("provider")
        request_id = next(filter(None, map(self._headers.get, _REQUEST_IDS)), None)
        for name, value in (("provider", provider), ("request_id", request_id)):
            if value:
                fields[name] = value

    def _refuse(self, event: Event) -> None:
        if self._failure is None:
            self._failure = body_error(event.data, self._headers)
            self.is_complete = self._failure is not None
        if len(self._page) < _MAX_PAGE:
            self._page += event.raw[:_MAX_PAGE]

    def fail(self, data: Any, kind: str | None = None) -> None:
        """The stream says that it failed: its last word, whatever comes behind."""
        self._failure = body_error(data, self._headers) or Failure(kind or "error")
        self._failure.error_type = self._failure.error_type or kind
        self.is_complete = True

    def _take_raw(self, raw: bytes) -> None:
        """Take an event without JSON."""

    def _take(self, data: dict[str, Any]) -> bool:
        raise NotImplementedError

    def _fields(self) -> dict[str, Any]:
        raise NotImplementedError

    def _said(self, output: Any) -> tuple[str, str, list[ToolCall]]:
        raise NotImplementedError


def place(value: Any) -> int | None:
    """Return *value* if it is the place of something, and may name a channel."""
    return value if type(value) is int else None


def texts(parts: Any, key: str = "text") -> str:
    """Return the texts under *key* of a list of blocks, joined."""
    return "".join([found for part in dicts(parts) if type(found := part.get(key)) is str])


def arguments_of(value: Any) -> Any:
    """Return a tool call's arguments, parsed if they are text."""
    if type(value) is not str:
        return {} if value is None else value
    return parse_arguments(value) if value.strip() else {}


def chat_calls(calls: Any) -> list[ToolCall]:
    """Return the calls of a message in the form of OpenAI's chat API, which many have taken over."""
    found = []
    for call in dicts(calls):
        named = members(call.get("function")) or members(call.get("custom"))
        given = named.get("arguments", named.get("input"))
        # A custom tool takes any text: what looks like JSON in it is not ours to read.
        arguments = given if "custom" in call else arguments_of(given)
        found.append(ToolCall(text(call.get("id")), text(named.get("name")), arguments))
    return found
