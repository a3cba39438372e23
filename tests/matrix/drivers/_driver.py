"""What a driver is: a real SDK holding one small conversation with the provider, tools and all.

The conversation is the same everywhere: a question, with tools where `Ask.with_tools` says so; what the
model asks for is run; its results go back; the last text ends it. So a file tells of its SDK how a
conversation begins, how it goes on, and how one request is sent, and the loop is here.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = [
    "SCHEMAS",
    "TOOLS",
    "Ask",
    "Driver",
    "Form",
    "Mode",
    "Reply",
    "Told",
    "ToolUse",
    "converse",
    "get_time",
    "get_weather",
    "is_installed",
    "major",
    "run_async",
]

Mode = Literal["sync", "async"]
Form = Literal["plain", "stream"]


def get_weather(city: str) -> str:
    """Tell the weather.

    Args:
        city: Where.
    """
    return f"21 °C in {city}"


def get_time(city: str) -> str:
    """Tell the time.

    Args:
        city: Where.
    """
    return f"12:34 in {city}"


TOOLS: dict[str, Callable[..., str]] = {"get_weather": get_weather, "get_time": get_time}

_CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}

#: name -> what it does and the JSON Schema of its arguments.
SCHEMAS: dict[str, tuple[str, dict[str, Any]]] = {
    "get_weather": ("Tell the weather.", _CITY),
    "get_time": ("Tell the time.", _CITY),
}


@dataclass(frozen=True)
class Ask:
    """What to ask, and whom.

    Attributes:
        url: The provider's, without a path.
        on_text: Called with each piece of text as the SDK hands it on, where it streams.
        on_bytes: The same with bytes, where the client knows no text.
    """

    url: str
    model: str
    prompt: str
    with_tools: bool
    on_text: Callable[[str], None]
    on_bytes: Callable[[bytes], None]


@dataclass(frozen=True)
class ToolUse:
    """What the model asks for, as the SDK says it."""

    id: str | None
    name: str
    arguments: dict[str, Any]


@dataclass
class Reply:
    """One answer, as the SDK says it. *message* is what goes back into the conversation."""

    text: str
    calls: list[ToolUse]
    message: Any = None
    tokens: tuple[int | None, int | None] = (None, None)


@dataclass
class Told:
    """A whole conversation, as the SDK told it."""

    text: str = ""
    calls: list[ToolUse] = field(default_factory=list)
    tokens: list[tuple[int | None, int | None]] = field(default_factory=list)


@dataclass(frozen=True)
class Driver:
    """One way to use one SDK.

    Attributes:
        sdk: Its name on the page.
        package: The distribution it comes in.
        over: The distribution that does the HTTP.
        waits_on: What a streamed call shows as it comes: "text", "bytes", or "nothing" until all has come.
    """

    sdk: str
    package: str
    over: str
    api: str
    mode: Mode
    form: Form
    run: Callable[[Ask], Told]
    waits_on: Literal["text", "bytes", "nothing"] = "text"
    is_framework: bool = False

    def __str__(self) -> str:
        return f"{self.sdk}-{self.over}-{self.api}-{self.mode}-{self.form}".replace(" ", "-")


def _told(told: Told, reply: Reply) -> None:
    told.text = reply.text
    told.calls += reply.calls
    told.tokens.append(reply.tokens)


def _results(reply: Reply) -> list[tuple[ToolUse, str]]:
    return [(call, TOOLS[call.name](**call.arguments)) for call in reply.calls]


def converse(
    request: Any,
    proceed: Callable[[Any, Reply, list[tuple[ToolUse, str]]], Any],
    send: Callable[[Any], Reply],
) -> Told:
    """Send *request*, and what *proceed* makes of it and the results, until no tool is asked for."""
    told = Told()
    _told(told, reply := send(request))
    while reply.calls:
        request = proceed(request, reply, _results(reply))
        _told(told, reply := send(request))
    return told


async def _converse_async(
    request: Any,
    proceed: Callable[[Any, Reply, list[tuple[ToolUse, str]]], Any],
    send: Callable[[Any], Awaitable[Reply]],
) -> Told:
    told = Told()
    _told(told, reply := await send(request))
    while reply.calls:
        request = proceed(request, reply, _results(reply))
        _told(told, reply := await send(request))
    return told


def run_async(
    request: Any,
    proceed: Callable[[Any, Reply, list[tuple[ToolUse, str]]], Any],
    open_client: Callable[[], Any],
    send: Callable[[Any, Any], Awaitable[Reply]],
) -> Told:
    """The same in an event loop of its own, with the client `async with open_client()` gives."""

    async def main() -> Told:
        async with open_client() as client:
            return await _converse_async(request, proceed, lambda request: send(client, request))

    return asyncio.run(main())


def is_installed(*packages: str) -> bool:
    """Tell whether all of *packages* are in this environment."""
    try:
        return bool([version(package) for package in packages])
    except PackageNotFoundError:
        return False


def major(package: str) -> int:
    """The first number of the version of *package*."""
    return int(version(package).split(".")[0])
