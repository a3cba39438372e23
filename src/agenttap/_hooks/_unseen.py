"""What leaves the process past the hooks: named when it is used, so that nobody takes silence for proof.

Websockets, gRPC, clients with a network stack of their own, and programs that are
likely agents themselves. Only that they are used is told, and where to: a host and
a path, or a program's name. Nothing is kept of what they send.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from functools import wraps
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from agenttap._hooks._wrapping import is_ours, replace, unbound
from agenttap.errors import HookError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    Report = Callable[[str, str], None]
    Undo = Callable[[], None]

__all__ = ["WATCHED", "watch"]

#: Programs that talk to a model on their own.
AGENTS = frozenset(
    [
        *("aider", "amp", "claude", "claude-code", "codex", "copilot", "crush", "cursor-agent", "droid"),
        *("gemini", "gemini-cli", "goose", "kimi", "llm", "ollama", "opencode", "pi", "qwen"),
    ]
)

#: Programs that run others: the one that counts stands further on.
LAUNCHERS = frozenset(
    [
        *("bash", "bunx", "env", "nice", "nohup", "npx", "sh", "stdbuf", "sudo", "timeout", "uv", "uvx"),
        *("xargs", "zsh"),
    ]
)

_INTERPRETER = re.compile(r"(?:bun|bunx|deno|node|npx|python|pythonw|tsx|uv|uvx)[\d.]*")

#: Words of a command line that are no program: options, settings, numbers, what uv is to do.
_BESIDE = re.compile(r"-.*|\w+=.*|[\d.]+[smh]?|run|tool|exec|x")

#: Words of a command line that are looked at.
_WORDS = 16


class Call(NamedTuple):
    """A method whose call is worth naming."""

    owner: str
    method: str
    #: Given the call's arguments, `self` left out: kind and detail; None: it is harmless.
    name: Callable[[tuple[Any, ...], dict[str, Any]], tuple[str, str] | None]


def watch(name: str, module: ModuleType, report: Report) -> list[Undo]:
    """Have *report* told, once each, of what *module* sends past the hooks.

    Args:
        name: One of `WATCHED`.
        module: What has been imported under that name.
        report: Called with a kind ("websocket", "gRPC", ...) and a detail without secrets, in the
            thread that uses it.

    Returns:
        What undoes it.

    Raises:
        HookError: Nothing of *module* is where it used to be.
    """
    if name == "litellm":
        if os.environ.get("LITELLM_RUST", "0").lower() not in ("", "0", "false", "no", "off"):
            report("litellm's Rust transport", "LITELLM_RUST")
        return []
    told: set[tuple[str, str]] = set()
    undo = []
    is_known = False
    for call in WATCHED[name]:
        owner = getattr(module, call.owner, None)
        original = vars(owner).get(call.method) if isinstance(owner, type) else None
        if original is None:
            continue
        is_known = True
        if not is_ours(original):
            # A class made in C or Rust may refuse; it is then named by nobody.
            with suppress(TypeError, AttributeError):
                undo.append(replace(owner, call.method, _naming(unbound(original), call, report, told)))
    if not is_known:
        raise HookError(name, f"it has no {WATCHED[name][0].owner}.{WATCHED[name][0].method}")
    return undo


def _naming(original: Any, call: Call, report: Report, told: set[tuple[str, str]]) -> Any:
    @wraps(original)
    def naming(self: Any, *args: Any, **kwargs: Any) -> Any:
        with suppress(Exception):
            named = call.name(args, kwargs)
            if named is not None and named not in told:
                told.add(named)
                report(*named)
        return original(self, *args, **kwargs)

    return naming


# What to name.


def _place(value: Any) -> str:
    """Return host and path of *value*, a URL of any make; no user, no query."""
    host = getattr(value, "host", None)
    if isinstance(host, str):
        return host + str(getattr(value, "path", ""))
    parts = urlsplit(value.decode("latin-1") if isinstance(value, bytes) else str(value))
    if parts.hostname is None:
        return parts.path
    port = f":{parts.port}" if parts.port else ""
    return parts.hostname + port + parts.path


def _url(kind: str, place: int, name: str) -> Callable[[tuple[Any, ...], dict[str, Any]], tuple[str, str]]:
    """Name *kind* and the URL that is argument *place*, or the one called *name*."""

    def named(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, str]:
        return kind, _place(args[place] if len(args) > place else kwargs[name])

    return named


def _grpc(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, str]:
    """Name a gRPC target: ``host:443``, ``dns:///host:443``, ``unix:/path``."""
    target = args[0] if args else kwargs["target"]
    text = target.decode("latin-1") if isinstance(target, bytes) else str(target)
    return "gRPC", text.rpartition("/")[2].rpartition("@")[2]


def _httpx_ws(_args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, str]:
    """Name an httpx-ws session by the response that opened it."""
    response = kwargs.get("response")
    return "websocket", "httpx-ws" if response is None else _place(response.request.url)


def _pyreqwest(_args: tuple[Any, ...], _kwargs: dict[str, Any]) -> tuple[str, str]:
    return "pyreqwest", "a Rust client"


def _program(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, str] | None:
    """Name what a call of `subprocess.Popen` starts, if it is likely to ask a model."""
    given = args[0] if args else kwargs.get("args")
    given = given[:_WORDS] if isinstance(given, (list, tuple)) else [given]
    words = [os.fsdecode(word) for word in given]
    if kwargs.get("shell") or _name_of(words[0]) in LAUNCHERS:
        words = [part for word in words for part in word.split()][:_WORDS]
        # sh -c "NAME=value timeout 5 claude -p ...": the first that is none of these.
        named = [_name_of(word) for word in words if not _BESIDE.fullmatch(word)]
        names = [name for name in named if name not in LAUNCHERS][:1] + named[:1]
    else:
        names = [_name_of(words[0])]
    for name in names:
        if name in AGENTS:
            return "agent process", name
    for name in names:
        if _INTERPRETER.fullmatch(name):
            return "child process", name
    return None


def _name_of(word: str) -> str:
    return PurePath(word).name.removesuffix(".exe").removesuffix(".cmd")


_VERBS = ("get", "post", "put", "patch", "delete", "head", "options")

#: Module -> what to watch in it. `watch` wants the module itself.
WATCHED: dict[str, tuple[Call, ...]] = {
    # What asyncio's and the threads' connections have in common; `legacy` is a world of its own.
    "websockets.client": (Call("ClientProtocol", "__init__", _url("websocket", 0, "uri")),),
    "websockets.legacy.client": (Call("Connect", "__init__", _url("websocket", 0, "uri")),),
    "websocket": (Call("WebSocket", "connect", _url("websocket", 0, "url")),),
    "aiohttp": (Call("ClientSession", "_ws_connect", _url("websocket", 0, "url")),),
    "httpx_ws": (
        Call("WebSocketSession", "__init__", _httpx_ws),
        Call("AsyncWebSocketSession", "__init__", _httpx_ws),
    ),
    "grpc._channel": (Call("Channel", "__init__", _grpc),),
    "grpc.aio._channel": (Call("Channel", "__init__", _grpc),),
    "curl_cffi.requests.session": (
        Call("Session", "request", _url("curl_cffi", 1, "url")),
        Call("AsyncSession", "request", _url("curl_cffi", 1, "url")),
    ),
    "primp": tuple(
        Call(owner, verb, _url("primp", 1 if verb == "request" else 0, "url"))
        for owner in ("Client", "AsyncClient")
        for verb in ("request", *_VERBS)
    ),
    "pyreqwest.client": tuple(
        Call(owner, "build", _pyreqwest) for owner in ("ClientBuilder", "SyncClientBuilder")
    ),
    "litellm": (),
    "subprocess": (Call("Popen", "__init__", _program),),
}
