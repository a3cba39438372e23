"""Error bodies: every provider has a shape of its own, and gateways answer in HTML.

{"error": {"type" | "status" | "code", "message"}}  Anthropic, OpenAI, Google (also in a list)
{"error": "..."}                                    Ollama, and many a gateway
{"message": ..., "type" | "code" | "__type"}        Bedrock (type in a header), Cohere, Mistral
{"detail": ...}                                     FastAPI: vLLM, Mistral's validation
anything else                                       its text, without markup
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from agent_step_log.responses.reading import members, text

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MAX_ERROR", "Failure", "body_error", "page_error"]

#: Characters kept of a message.
MAX_ERROR = 4096

_MARKUP = re.compile(r"<(style|script)\b.*?</\1\s*>|<[^>]*>", re.DOTALL | re.IGNORECASE)


class Failure(msgspec.Struct):
    """An error as its provider told it."""

    error: str
    error_type: str | None = None


def body_error(data: Any, headers: Mapping[str, str]) -> Failure | None:
    """Return the error *data* tells, the JSON of a body or an event; None if it is of no known shape."""
    if type(data) is list and data:
        data = data[0]
    if type(data) is not dict:
        return None
    inner = data.get("error")
    parts = members(inner) or data
    message = text(inner) or _message(parts)
    kind = _kind(parts) or _amazon_type(headers)
    if message is None:
        if kind is None or parts is data:
            return None
        message = kind
    return Failure(message[:MAX_ERROR], kind)


def _message(parts: dict[str, Any]) -> str | None:
    for name in ("message", "Message", "detail", "error_description"):
        value = parts.get(name)
        if found := text(value):
            return found
        if type(value) in (list, dict) and value:
            return msgspec.json.encode(value).decode()
    return None


def _kind(parts: dict[str, Any]) -> str | None:
    for name in ("type", "status", "code", "__type"):
        value = parts.get(name)
        if type(value) is int:
            return str(value)
        if type(value) is str and value and value != "error":
            return value.rpartition("#")[2][:256]
    return None


def _amazon_type(headers: Mapping[str, str]) -> str | None:
    return headers.get("x-amzn-errortype", "").partition(":")[0] or None


def page_error(page: bytes) -> Failure | None:
    """Return the error a body that is no JSON tells: its text, white space made one."""
    said = " ".join(_MARKUP.sub(" ", page.decode("utf-8", "replace")).split())
    return Failure(said[:MAX_ERROR]) if said else None
