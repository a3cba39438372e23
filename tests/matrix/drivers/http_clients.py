"""HTTP clients with no SDK on them, speaking OpenAI's chat API by hand."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tests.matrix.drivers._driver import Ask, Driver, Reply, Told, converse, is_installed, run_async
from tests.matrix.drivers.openai_chat import Pieces, begin, proceed, reply_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractAsyncContextManager

    from tests.matrix.drivers._driver import Form, Mode

__all__ = ["drivers"]

_PATH = "/v1/chat/completions"


def _namespace(data: Any) -> Any:
    """Return *data* with its keys as attributes, as the SDKs have them; a key that is not there is None."""

    class Parts(SimpleNamespace):
        def __getattr__(self, name: str) -> None:
            return None

    return json.loads(json.dumps(data), object_hook=lambda parts: Parts(**parts))


def _plain(body: bytes) -> Reply:
    response = _namespace(json.loads(body))
    message = response.choices[0].message
    calls = [(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or []]
    return reply_of(message.content or "", calls, response.usage)


def _joined(ask: Ask, body: bytes) -> Reply:
    pieces = Pieces(ask)
    for line in body.decode().splitlines():
        if line.startswith("data: ") and line != "data: [DONE]":
            pieces.add(_namespace(json.loads(line[6:])))
    return pieces.reply()


def _reply(form: Form, ask: Ask, body: bytes) -> Reply:
    return _plain(body) if form == "plain" else _joined(ask, body)


def _body(form: Form, request: dict[str, Any]) -> dict[str, Any]:
    return (
        request if form == "plain" else {**request, "stream": True, "stream_options": {"include_usage": True}}
    )


def _requests(form: Form, url: str, told: Any) -> Iterator[bytes]:
    import requests

    with requests.Session() as session, session.post(url, json=told, stream=form == "stream") as response:
        if form == "plain":
            yield response.content
        else:
            yield from response.iter_content(None)


def _urllib3(form: Form, url: str, told: Any) -> Iterator[bytes]:
    import urllib3

    headers = {"content-type": "application/json"}
    with urllib3.PoolManager() as pool:
        body = json.dumps(told)
        response = pool.request("POST", url, body=body, headers=headers, preload_content=form == "plain")
        if form == "plain":
            yield response.data
        else:
            yield from response.stream(65536)
        response.release_conn()


def _httpx(module: Any, form: Form, url: str, told: Any, *, http2: bool) -> Iterator[bytes]:
    with module.Client(http1=not http2, http2=http2) as client:
        if form == "plain":
            yield client.post(url, json=told).content
        else:
            with client.stream("POST", url, json=told) as response:
                yield from response.iter_raw()


async def _httpx_async(module: Any, form: Form, url: str, told: Any, *, http2: bool) -> AsyncIterator[bytes]:
    async with module.AsyncClient(http1=not http2, http2=http2) as client:
        if form == "plain":
            yield (await client.post(url, json=told)).content
        else:
            async with client.stream("POST", url, json=told) as response:
                async for data in response.aiter_raw():
                    yield data


async def _aiohttp(form: Form, url: str, told: Any) -> AsyncIterator[bytes]:
    import aiohttp

    async with aiohttp.ClientSession() as session, session.post(url, json=told) as response:
        if form == "plain":
            yield await response.read()
        else:
            async for data in response.content.iter_any():
                yield data


def _sync(form: Form, ask: Ask, fetch: Callable[[Form, str, Any], Iterator[bytes]]) -> Told:
    def send(request: dict[str, Any]) -> Reply:
        body = bytearray()
        for data in fetch(form, ask.url + _PATH, _body(form, request)):
            body += data
            ask.on_bytes(data)
        return _reply(form, ask, bytes(body))

    return converse(begin(ask), proceed, send)


@asynccontextmanager
async def _no_client() -> AsyncIterator[None]:
    yield


def _async(form: Form, ask: Ask, fetch: Callable[[Form, str, Any], AsyncIterator[bytes]]) -> Told:
    async def send(client: None, request: dict[str, Any]) -> Reply:
        body = bytearray()
        async for data in fetch(form, ask.url + _PATH, _body(form, request)):
            body += data
            ask.on_bytes(data)
        return _reply(form, ask, bytes(body))

    def open_client() -> AbstractAsyncContextManager[None]:
        return _no_client()

    return run_async(begin(ask), proceed, open_client, send)


def drivers() -> list[Driver]:
    """Return those this environment has."""
    found: list[Driver] = []
    forms: tuple[Form, ...] = ("plain", "stream")
    for form in forms:

        def add(
            name: str, over: str, mode: Mode, fetch: Any, form: Form = form, package: str | None = None
        ) -> None:
            run = _sync if mode == "sync" else _async
            found.append(
                Driver(
                    name,
                    package or name,
                    over,
                    "openai.chat",
                    mode,
                    form,
                    lambda ask: run(form, ask, fetch),
                    waits_on="bytes",
                )
            )

        if is_installed("requests"):
            add("requests", "urllib3", "sync", _requests)
        if is_installed("urllib3"):
            add("urllib3", "urllib3", "sync", _urllib3)
        if is_installed("aiohttp"):
            add("aiohttp", "aiohttp", "async", _aiohttp)
        for name in ("httpx", "httpx2"):
            if not is_installed(name):
                continue
            for http2 in (False, True) if is_installed("h2") else (False,):

                def fetch(
                    form: Form, url: str, told: Any, name: str = name, http2: bool = http2
                ) -> Iterator[bytes]:
                    return _httpx(__import__(name), form, url, told, http2=http2)

                def fetch_async(
                    form: Form, url: str, told: Any, name: str = name, http2: bool = http2
                ) -> AsyncIterator[bytes]:
                    return _httpx_async(__import__(name), form, url, told, http2=http2)

                row = f"{name}, HTTP/2" if http2 else name
                add(row, name, "sync", fetch, package=name)
                add(row, name, "async", fetch_async, package=name)
    return found
