"""The OpenAI SDK's chat completions, 2.x and 3.x, and Groq's SDK, which is made like it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.matrix.drivers._driver import (
    SCHEMAS,
    Ask,
    Driver,
    Reply,
    Told,
    ToolUse,
    converse,
    is_installed,
    major,
    run_async,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.matrix.drivers._driver import Form

__all__ = ["Pieces", "begin", "drivers", "proceed", "reply_of"]


def begin(ask: Ask) -> dict[str, Any]:
    """Return the first request."""
    request: dict[str, Any] = {
        "model": ask.model,
        "messages": [{"role": "user", "content": ask.prompt}],
    }
    if ask.with_tools:
        request["tools"] = [
            {"type": "function", "function": {"name": name, "description": told, "parameters": schema}}
            for name, (told, schema) in SCHEMAS.items()
        ]
    return request


def proceed(request: dict[str, Any], reply: Reply, results: list[tuple[ToolUse, str]]) -> dict[str, Any]:
    """Return the next request."""
    answered = [{"role": "tool", "tool_call_id": call.id, "content": result} for call, result in results]
    return {**request, "messages": [*request["messages"], reply.message, *answered]}


def reply_of(text: str, calls: Iterable[tuple[str, str, str]], usage: Any) -> Reply:
    """Return the reply of *text* and *calls*, each its id, its name and its arguments as they were sent."""
    calls = list(calls)
    message: dict[str, Any] = {"role": "assistant", "content": text or None}
    if calls:
        message["tool_calls"] = [
            {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}
            for id_, name, arguments in calls
        ]
    told = [ToolUse(id_, name, json.loads(arguments)) for id_, name, arguments in calls]
    tokens = (usage.prompt_tokens, usage.completion_tokens) if usage is not None else (None, None)
    return Reply(text, told, message, tokens)


def _reply(completion: Any) -> Reply:
    message = completion.choices[0].message
    calls = [(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or []]
    return reply_of(message.content or "", calls, completion.usage)


class Pieces:
    """The chunks of a stream, put together."""

    def __init__(self, ask: Ask) -> None:
        self._ask, self._text, self._usage = ask, "", None
        self._calls: dict[int, list[str]] = {}

    def add(self, chunk: Any) -> None:
        """Take one chunk."""
        self._usage = getattr(chunk, "usage", None) or self._usage
        for choice in chunk.choices:
            if choice.delta.content:
                self._ask.on_text(choice.delta.content)
                self._text += choice.delta.content
            for call in choice.delta.tool_calls or []:
                parts = self._calls.setdefault(call.index, ["", "", ""])
                for place, part in enumerate((call.id, call.function.name, call.function.arguments)):
                    parts[place] += part or ""

    def reply(self) -> Reply:
        """Return all of them."""
        calls = [(id_, name, arguments) for id_, name, arguments in self._calls.values()]
        return reply_of(self._text, calls, self._usage)


def _streamed(sdk: str, request: dict[str, Any]) -> dict[str, Any]:
    # Groq counts a stream unasked, and knows no such option.
    options = {} if sdk == "groq" else {"stream_options": {"include_usage": True}}
    return {**request, "stream": True, **options}


def _client(sdk: str, mode: str, ask: Ask, **more: Any) -> Any:
    if sdk == "groq":
        import groq

        kind: Any = groq.Groq if mode == "sync" else groq.AsyncGroq
        return kind(base_url=f"{ask.url}/groq", api_key="none", **more)
    import openai

    kind = openai.OpenAI if mode == "sync" else openai.AsyncOpenAI
    return kind(base_url=f"{ask.url}/v1", api_key="none", **more)


def _sync(sdk: str, form: Form, ask: Ask) -> Told:
    def send(request: dict[str, Any]) -> Reply:
        if form == "plain":
            return _reply(client.chat.completions.create(**request))
        pieces = Pieces(ask)
        with client.chat.completions.create(**_streamed(sdk, request)) as stream:
            for chunk in stream:
                pieces.add(chunk)
        return pieces.reply()

    with _client(sdk, "sync", ask) as client:
        return converse(begin(ask), proceed, send)


def _async(sdk: str, form: Form, ask: Ask, *, is_aiohttp: bool) -> Told:
    async def send(client: Any, request: dict[str, Any]) -> Reply:
        if form == "plain":
            return _reply(await client.chat.completions.create(**request))
        pieces = Pieces(ask)
        async with await client.chat.completions.create(**_streamed(sdk, request)) as stream:
            async for chunk in stream:
                pieces.add(chunk)
        return pieces.reply()

    def open_client() -> Any:
        if not is_aiohttp:
            return _client(sdk, "async", ask)
        import openai

        return _client(sdk, "async", ask, http_client=openai.DefaultAioHttpClient())

    return run_async(begin(ask), proceed, open_client, send)


def drivers() -> list[Driver]:
    """Return those this environment has."""
    found: list[Driver] = []
    forms: tuple[Form, ...] = ("plain", "stream")
    for sdk in ("openai", "groq"):
        if not is_installed(sdk):
            continue
        over = "httpx2" if sdk == "openai" and major("openai") >= 3 else "httpx"
        name = f"openai {major('openai')}.x" if sdk == "openai" else sdk
        for form in forms:

            def add(
                mode: Any, over: str, run: Any, name: str = name, sdk: str = sdk, form: Form = form
            ) -> None:
                found.append(Driver(name, sdk, over, "openai.chat", mode, form, run))

            add("sync", over, lambda ask, sdk=sdk, form=form: _sync(sdk, form, ask))
            add("async", over, lambda ask, sdk=sdk, form=form: _async(sdk, form, ask, is_aiohttp=False))
            needs = "httpx-aiohttp" if over == "httpx" else "aiohttp"
            if sdk == "openai" and is_installed(needs):
                add("async", "aiohttp", lambda ask, form=form: _async("openai", form, ask, is_aiohttp=True))
    return found
