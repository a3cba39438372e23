"""What is asked of the provider, what it says, and what a perfect observer would have seen of it.

    Asked    one request, as its API's module read it
    Answer   what the model "says": text, thoughts, calls, usage; the same for every API
    Truth    the answer in the words of the API it went out through, in the units of the step log
    Piece    bytes of a body that are written together
    Reply    a whole response before any of it is written

Numbers are chosen so that no two of them are equal: one taken for another shows.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Answer", "Asked", "Call", "Piece", "Reply", "Truth", "Usage", "as_json", "sse"]


@dataclass(frozen=True)
class Call:
    """A tool the model asks its caller to run. *id* is None where the API gives none."""

    id: str | None
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Usage:
    """Tokens. The whole prompt is the sum of the first three; *reasoning* is part of *output*."""

    uncached: int
    cache_read: int
    cache_write: int
    output: int
    reasoning: int

    @property
    def input(self) -> int:
        """The whole prompt."""
        return self.uncached + self.cache_read + self.cache_write


@dataclass(frozen=True)
class Asked:
    """One request. *results* counts the tool results that follow the last thing a person said."""

    model: str
    is_streamed: bool
    tools: list[tuple[str, dict[str, Any]]]
    results: int
    prompt: str
    body: dict[str, Any]
    path: str


@dataclass(frozen=True)
class Answer:
    """See the module. *stop* is "end", "tools" or "length"."""

    id: str
    model: str
    text: str
    thinking: str
    calls: list[Call]
    usage: Usage
    stop: str

    @property
    def words(self) -> list[str]:
        """The text in the pieces it is streamed in."""
        return [word + " " for word in self.text.split(" ")[:-1]] + [self.text.split(" ")[-1]]


@dataclass
class Truth:
    """See the module. None: this API does not say it, so a record must not have it either."""

    api: str = ""
    model: str | None = None
    text: str = ""
    thinking: str = ""
    calls: list[Call] = field(default_factory=list)
    stop_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    usage: dict[str, Any] | None = None
    request_id: str | None = None
    tier: str | None = None
    error_type: str | None = None

    @property
    def tokens(self) -> dict[str, int]:
        """The normalised numbers that are known, by the names of the step log."""
        names = (
            "input_tokens",
            "output_tokens",
            "cache_read_tokens",
            "cache_write_tokens",
            "reasoning_tokens",
        )
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


@dataclass(frozen=True)
class Piece:
    """Bytes written together. *is_text*: an SDK shows its caller something new once these have come."""

    data: bytes
    is_text: bool = False


@dataclass
class Reply:
    """A response, before any of it is written."""

    content_type: str
    pieces: list[Piece]
    truth: Truth
    headers: list[tuple[str, str]] = field(default_factory=list)
    status: int = 200
    is_streamed: bool = False
    #: Written for ever instead of the end, by an endless stream.
    more: Piece | None = None
    #: Written instead of the rest, by a stream that fails.
    failure: Piece | None = None
    failure_type: str | None = None


def as_json(value: Any) -> bytes:
    """Return *value* the way providers write it: compact, with its characters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def sse(data: Any, event: str | None = None) -> bytes:
    """Return one server-sent event."""
    head = f"event: {event}\n".encode() if event else b""
    return head + b"data: " + (data if isinstance(data, bytes) else as_json(data)) + b"\n\n"
