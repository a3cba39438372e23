"""Which API a request speaks: by the end of its path and, where that is a common word, by its body.

Hosts are not looked at: proxies and gateways have any. Of each API only what generates is
recognised; counting tokens, embeddings, batches, lists of models are not.
"""

from __future__ import annotations

import re
from functools import lru_cache

from agenttap.decoders._providers import path_of

__all__ = ["recognise"]

_ENDS = 8 * 1024  # bytes of each end of a body that are looked at

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


_MESSAGES = ((b'"messages"',), (b'"model"', b'"anthropic_version"'))
# Many a web application has /api/chat, and few of them say which model.
_MODEL = ((b'"model"',),)
# Of an API, what its body must hold beside its path: one key of each tuple.
_APIS: dict[str, tuple[str, tuple[tuple[bytes, ...], ...]]] = {
    "openai_chat": ("openai.chat", ((b'"messages"', b'"prompt"'),)),
    "messages": ("anthropic.messages", _MESSAGES),
    "responses": ("openai.responses", ((b'"input"', b'"model"', b'"prompt"'),)),
    "gemini": ("gemini.generate_content", ()),
    "interactions": ("gemini.interactions", ((b'"input"',), (b'"model"', b'"agent"'))),
    "converse": ("bedrock.converse", ()),
    "invoke": ("bedrock.invoke_model", ()),
    "cohere": ("cohere.chat", ((b'"messages"',),)),
    "ollama_chat": ("ollama.chat", _MODEL),
    "ollama_generate": ("ollama.generate", _MODEL),
}
_PUBLISHERS = {"anthropic": "anthropic.messages", "mistralai": "openai.chat"}


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
    # Every request waits for this: what needs no body is known from an earlier one.
    if method != "POST" and method.upper() != "POST":
        return None
    api, wanted, path = _place(url)
    if wanted is None:
        return _unknown(path, body)
    if body is None:
        return None if wanted is _MESSAGES and not path.rstrip("/").endswith("/v1/messages") else api
    for keys in wanted:
        for key in keys:
            if body.find(key, 0, _ENDS) >= 0:
                break
        else:
            if not _has(body, keys):
                return _unknown(path, body) if wanted is _MODEL else None
    if wanted is _MESSAGES and b'"jsonrpc"' in body[:256]:  # MCP posts there too
        return None
    return api


@lru_cache(256)
def _place(url: str) -> tuple[str | None, tuple[tuple[bytes, ...], ...] | None, str]:
    """Return the API that *url* may be of, what its body must hold, and the path; a client asks for few.

    None for what it must hold: the body alone decides. No API otherwise: no model's, whatever it holds.
    """
    path = path_of(url)
    found = _PATH.search(path)
    if found is None:
        return None, None, path
    kind = found.lastgroup or ""
    if kind in ("vertex", "publisher"):
        return _PUBLISHERS.get(found["publisher"], "unknown"), (), path
    if kind == "messages" and ("/threads/" in path or "/conversations/" in path):
        return None, (), path
    if kind == "invoke" and ("embed" in path or "rerank" in path or "image" in path):
        return None, (), path
    return *_APIS[kind], path


def _has(body: bytes, keys: tuple[bytes, ...]) -> bool:
    """Whether one of *keys* stands near an end of *body*."""
    return any(body.find(key, 0, _ENDS) >= 0 or body.find(key, -_ENDS) >= 0 for key in keys)


def _unknown(path: str, body: bytes | None) -> str | None:
    if not body or body[:64].lstrip()[:1] != b"{" or _OTHER.search(path):
        return None
    if _has(body, (b'"messages"',)) and _has(body, (b'"role"',)) and not _has(body, (b'"jsonrpc"',)):
        return "unknown"
    is_asked = _has(body, (b'"model"',)) and _has(body, (b'"prompt"', b'"contents"', b'"chat_history"'))
    return "unknown" if is_asked else None
