"""No test talks to anything but this machine, and no SDK gets a real key or setting from outside."""

from __future__ import annotations

import ipaddress
import os
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["ENVIRONMENT", "NotLoopbackError", "guard", "guarded"]

#: What keeps SDKs from asking around before, beside and after a call.
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_EC2_METADATA_DISABLED": "true",
    "ANTHROPIC_API_KEY": "none",
    "CO_API_KEY": "none",
    "GEMINI_API_KEY": "none",
    "GROQ_API_KEY": "none",
    "MISTRAL_API_KEY": "none",
    "OPENAI_API_KEY": "none",
    "OPENAI_AGENTS_DISABLE_TRACING": "1",
    "LANGSMITH_TRACING": "false",
    "LITELLM_LOCAL_MODEL_COST_MAP": "true",
    "DISABLE_AUTOUPDATER": "1",
    "NO_PROXY": "127.0.0.1",
}


class NotLoopbackError(AssertionError):
    """Something wanted to talk to another machine."""


def _check(host: object) -> None:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return
    try:
        if ipaddress.ip_address(str(name)).is_loopback:
            return
    except ValueError:
        pass
    raise NotLoopbackError(f"{name} is not this machine")


def guard() -> Callable[[], None]:
    """Refuse every connection and look-up that leaves this machine; call what it returns to undo that."""
    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def checked(original: Any) -> Any:
        def call(self: socket.socket, address: Any) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6):
                _check(address[0])
            return original(self, address)

        return call

    def look_up(host: Any, *args: Any, **more: Any) -> Any:
        _check(host)
        return getaddrinfo(host, *args, **more)

    changed: Any = socket.socket
    changed.connect, changed.connect_ex = checked(connect), checked(connect_ex)
    socket.getaddrinfo = look_up

    def undo() -> None:
        changed.connect, changed.connect_ex = connect, connect_ex
        socket.getaddrinfo = getaddrinfo

    return undo


def guarded() -> Iterator[None]:
    """Guard while it is iterated over, with `ENVIRONMENT` set; for a fixture."""
    before = {name: os.environ.get(name) for name in ENVIRONMENT}
    os.environ.update(ENVIRONMENT)
    undo = guard()
    try:
        yield
    finally:
        undo()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
