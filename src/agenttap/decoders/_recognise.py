"""Which API a request speaks: by the end of its path and, where that is a common word, by its body.

Hosts are not looked at: proxies and gateways have any. Of each API only what generates is
recognised; counting tokens, embeddings, batches, lists of models are not.
"""

from __future__ import annotations

import re
from functools import lru_cache

from agenttap.decoders._providers import path_of

__all__ = ["recognise"]

_HEAD = 8 * 1024  # bytes of each end of a body that are looked at

_PATH = re.compile(
    r"""
      (?P<openai_chat> /(?:chat/|fim/)?completions $ )
    | (?P<messages> /messages/?$ )
    | (?P<responses> /responses/?$ )
    | (?P<gemini> :(?:generateContent|streamGenerateContent) $ )
    | (?P<vertex> /publishers/(?P<publisher>[^/]+)/.*:(?:rawPredict|streamRawPredict) $ )
    | (?P<interactions> /interactions/?$ )
    | (?P<converse> /model/.+/converse(?:-stream)? $ )
    | (?P<invoke> /model/.+/invoke(?:-with-response-stream)? $ )
    | (?P<cohere> /v2/chat $ )
    | (?P<ollama_chat> /api/chat $ )
    | (?P<ollama_generate> /api/generate $ )
    """,
    re.VERBOSE,
)
# Paths whose bodies look like a model's and are none that generates.
_OTHER = re.compile(
    r"embed|token|batch|rerank|moderat|/models$|/files|/threads|ingest|otlp|/traces|/spans|/events|/logs"
    r"|/images|/audio|fine_tun|/feedback|/runs|/assistants|/conversations|telemetry|analytics|graphql|/mcp",
    re.IGNORECASE,
)


def recognise(method: str, url: str, body: bytes | None) -> str | None:
    """Return the API a request speaks.

    Args:
        method: Only POST generates.
        url: Absolute, or the path alone.
        body: None: not known yet, the caller streams it. The path then decides alone.

    Returns:
        The API's name; "unknown" for a body shaped like a model's at a path that is
        not known; None for what is no model's traffic.
    """
    if method != "POST" and method.upper() != "POST":
        return None
    path, kind, publisher = _place(url)
    return _unknown(path, body) if kind is None else _by_path(kind, path, publisher, body)


@lru_cache(256)
def _place(url: str) -> tuple[str, str | None, str | None]:
    """Return the path, what it looks like, and the publisher in it; a client asks for the same few."""
    path = path_of(url)
    found = _PATH.search(path)
    return (path, None, None) if found is None else (path, found.lastgroup or "", found["publisher"])


def _by_path(kind: str, path: str, publisher: str | None, body: bytes | None) -> str | None:
    if kind in ("vertex", "publisher"):
        api = {"anthropic": "anthropic.messages", "mistralai": "openai.chat"}
        return api.get(publisher or "", "unknown")
    if kind == "messages":
        return _messages(path, body)
    has = _Looking(body)
    if kind == "openai_chat":
        return "openai.chat" if has.any(b'"messages"', b'"prompt"') else None
    if kind == "responses":
        return "openai.responses" if has.any(b'"input"', b'"model"', b'"prompt"') else None
    if kind == "gemini":
        return "gemini.generate_content"
    if kind == "interactions":
        return "gemini.interactions" if has.any(b'"input"') and has.any(b'"model"', b'"agent"') else None
    if kind == "converse":
        return "bedrock.converse"
    if kind == "invoke":
        is_other = "embed" in path or "rerank" in path or "image" in path
        return None if is_other else "bedrock.invoke_model"
    if kind == "cohere":
        return "cohere.chat" if has.any(b'"messages"') else None
    # Many a web application has /api/chat, and few of them say which model.
    if not has.any(b'"model"'):
        return _unknown(path, body)
    return "ollama.chat" if kind == "ollama_chat" else "ollama.generate"


def _messages(path: str, body: bytes | None) -> str | None:
    if "/threads/" in path or "/conversations/" in path:
        return None
    if body is None:
        return "anthropic.messages" if path.rstrip("/").endswith("/v1/messages") else None
    has = _Looking(body)
    if b'"jsonrpc"' in body[:256]:  # MCP posts there too
        return None
    return (
        "anthropic.messages"
        if has.any(b'"messages"') and has.any(b'"model"', b'"anthropic_version"')
        else None
    )


class _Looking:
    """Looks for keys at both ends of a body; one that is not known has them all."""

    def __init__(self, body: bytes | None) -> None:
        if body is None or len(body) <= 2 * _HEAD:
            self._ends = body
        else:
            self._ends = bytes(body[:_HEAD]) + b"\0" + bytes(body[-_HEAD:])

    def any(self, *keys: bytes) -> bool:
        ends = self._ends
        return ends is None or any(key in ends for key in keys)


def _unknown(path: str, body: bytes | None) -> str | None:
    if not body or body[:64].lstrip()[:1] != b"{" or _OTHER.search(path):
        return None
    has = _Looking(body)
    if has.any(b'"messages"') and has.any(b'"role"') and not has.any(b'"jsonrpc"'):
        return "unknown"
    return (
        "unknown" if has.any(b'"model"') and has.any(b'"prompt"', b'"contents"', b'"chat_history"') else None
    )
