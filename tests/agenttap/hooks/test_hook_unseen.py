"""What cannot be captured is named when it is used; nothing about it changes."""

from __future__ import annotations

import asyncio
import importlib
import subprocess
import sys
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import websockets
import websockets.asyncio.client
import websockets.sync.client

from agenttap._hooks import _unseen
from agenttap._hooks._unseen import WATCHED, watch
from agenttap.errors import HookError
from tests.agenttap.hooks.support_server import RawServer, free_port, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Told:
    """What was reported; watches one module at a time."""

    def __init__(self) -> None:
        self.all: list[tuple[str, str]] = []
        self._undo: list[Callable[[], None]] = []

    def watch(self, name: str, module: ModuleType | None = None) -> None:
        module = module or importlib.import_module(name)
        self._undo += watch(name, module, lambda kind, detail: self.all.append((kind, detail)))

    def undo(self) -> None:
        while self._undo:
            self._undo.pop()()


@pytest.fixture
def told() -> Iterator[Told]:
    made = Told()
    yield made
    made.undo()


@pytest.fixture
def refused() -> str:
    return f"127.0.0.1:{free_port()}"


class TestWebsockets:
    def test_asyncio_connection_is_named_without_its_query(self, told: Told, refused: str) -> None:
        told.watch("websockets.client")

        async def connect() -> None:
            async with websockets.asyncio.client.connect(f"ws://user:secret@{refused}/v1?key=secret"):
                raise AssertionError

        assert told.all == []
        with pytest.raises(OSError, match=r"."):
            asyncio.run(connect())
        # Whoever is refused has not begun the handshake.
        assert told.all == []

    def test_handshake_is_named_without_its_query(self, told: Told) -> None:
        told.watch("websockets.client")
        server = RawServer()
        url = server.on("/v1?key=secret", plain(b"no", status=403)).replace("http://", "ws://user:secret@")

        async def connect() -> None:
            async with websockets.asyncio.client.connect(url):
                raise AssertionError

        with pytest.raises(websockets.exceptions.InvalidStatus):
            asyncio.run(connect())
        with pytest.raises(websockets.exceptions.InvalidStatus):
            websockets.sync.client.connect(url)
        server.close()
        # Once, though it was used twice.
        assert told.all == [("websocket", "127.0.0.1/v1")]

    def test_aiohttp_handshake_is_named(self, told: Told, refused: str) -> None:
        told.watch("aiohttp")

        async def connect() -> None:
            async with aiohttp.ClientSession() as session:
                await session.ws_connect(f"ws://user:secret@{refused}/v1?key=secret")

        with pytest.raises(aiohttp.ClientConnectorError):
            asyncio.run(connect())
        assert told.all == [("websocket", f"{refused}/v1")]

    def test_aiohttp_request_is_not_named(self, told: Told) -> None:
        told.watch("aiohttp")
        server = RawServer()
        url = server.on("/", plain(b""))

        async def get() -> None:
            async with aiohttp.ClientSession() as session, session.get(url) as response:
                await response.read()

        asyncio.run(get())
        server.close()
        assert told.all == []


def _module(owner: str, method: str) -> Any:
    """Return a stand-in for a library: one class, whose method returns its arguments."""

    def call(self: object, *args: Any, **kwargs: Any) -> Any:
        return None if method == "__init__" else (args, kwargs)

    module = ModuleType("stand_in")
    setattr(module, owner, type(owner, (), {method: call}))
    return module


_RESPONSE = SimpleNamespace(request=SimpleNamespace(url="wss://h.example:8443/live?token=secret"))


class TestOthers:
    @pytest.mark.parametrize(
        ("name", "owner", "method", "args", "kwargs", "expected"),
        [
            (
                "grpc._channel",
                "Channel",
                "__init__",
                ("h.ex:443", (), None),
                {},
                ("gRPC", "h.ex:443"),
            ),
            (
                "grpc.aio._channel",
                "Channel",
                "__init__",
                ("dns:///h.ex:443",),
                {},
                ("gRPC", "h.ex:443"),
            ),
            (
                "grpc._channel",
                "Channel",
                "__init__",
                (b"ipv4:10.0.0.1:50",),
                {},
                ("gRPC", "ipv4:10.0.0.1:50"),
            ),
            (
                "curl_cffi.requests.session",
                "AsyncSession",
                "request",
                ("POST", "https://u:secret@h.example/v1?k=secret"),
                {},
                ("curl_cffi", "h.example/v1"),
            ),
            ("primp", "Client", "post", (), {"url": "https://h.example/v1"}, ("primp", "h.example/v1")),
            ("primp", "AsyncClient", "request", ("GET", "https://h.example/"), {}, ("primp", "h.example/")),
            ("pyreqwest.client", "ClientBuilder", "build", (), {}, ("pyreqwest", "a Rust client")),
            (
                "websocket",
                "WebSocket",
                "connect",
                ("wss://h.ex/a?k=secret",),
                {},
                ("websocket", "h.ex/a"),
            ),
            (
                "websockets.legacy.client",
                "Connect",
                "__init__",
                ("wss://h.ex/a?k=secret",),
                {},
                ("websocket", "h.ex/a"),
            ),
            (
                "httpx_ws",
                "AsyncWebSocketSession",
                "__init__",
                (object(),),
                {"response": _RESPONSE},
                ("websocket", "h.example:8443/live"),
            ),
        ],
    )
    def test_use_is_named_and_passed_on(
        self,
        told: Told,
        name: str,
        owner: str,
        method: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        expected: tuple[str, str],
    ) -> None:
        module = _module(owner, method)
        told.watch(name, module)
        made = getattr(module, owner)
        assert told.all == []
        if method == "__init__":
            made(*args, **kwargs)
        else:
            assert getattr(made(), method)(*args, **kwargs) == (args, kwargs)

        assert told.all == [expected]
        assert "secret" not in str(told.all)

    def test_arguments_of_another_shape_are_passed_on_and_not_named(self, told: Told) -> None:
        module = _module("Session", "request")
        told.watch("curl_cffi.requests.session", module)

        assert module.Session().request(1) == ((1,), {})
        assert told.all == []

    @pytest.mark.parametrize(("value", "expected"), [("1", 1), ("0", 0), ("false", 0), (None, 0)])
    def test_rust_transport_of_litellm_is_named_where_it_is_asked_for(
        self, told: Told, monkeypatch: pytest.MonkeyPatch, value: str | None, expected: int
    ) -> None:
        monkeypatch.delenv("LITELLM_RUST", raising=False)
        if value is not None:
            monkeypatch.setenv("LITELLM_RUST", value)
        told.watch("litellm", ModuleType("litellm"))

        assert told.all == [("litellm's Rust transport", "LITELLM_RUST")] * expected

    @pytest.mark.parametrize("name", sorted(set(WATCHED) - {"litellm"}))
    def test_library_that_has_changed_is_said_to_be_unknown(self, name: str) -> None:
        with pytest.raises(HookError, match=f"{name}: it has no "):
            watch(name, ModuleType(name), print)


class TestPrograms:
    @pytest.mark.parametrize(
        ("command", "settings", "expected"),
        [
            (["claude", "-p", "secret"], {}, ("agent process", "claude")),
            (["/opt/bin/codex", "exec"], {}, ("agent process", "codex")),
            ("claude -p secret", {"shell": True}, ("agent process", "claude")),
            ("KEY=secret timeout 5s claude -p x", {"shell": True}, ("agent process", "claude")),
            (["sh", "-c", "exec gemini -p x"], {}, ("agent process", "gemini")),
            (["sh", "-c", "gemini -p x"], {}, ("agent process", "gemini")),
            (["env", "KEY=secret", "opencode"], {}, ("agent process", "opencode")),
            (["npx", "-y", "@openai/codex"], {}, ("agent process", "codex")),
            (["npx", "something"], {}, ("child process", "npx")),
            (["uv", "run", "agent.py"], {}, ("child process", "uv")),
            (["node", "agent.js"], {}, ("child process", "node")),
            (["python3.12", "agent.py"], {}, ("child process", "python3.12")),
            (["aider.exe"], {}, ("agent process", "aider")),
            (["git", "log", "claude"], {}, None),
            (["ls"], {}, None),
            ("ls claude", {"shell": True}, None),
            ([], {}, None),
            (b"goose", {}, ("agent process", "goose")),
        ],
    )
    def test_program_is_named_by_its_name_alone(
        self, command: Any, settings: dict[str, Any], expected: tuple[str, str] | None
    ) -> None:
        try:
            named = _unseen._program((command,), settings)
        except IndexError:  # an empty command line: Popen says what is wrong with it
            named = None
        assert named == expected

    def test_real_child_is_named_and_runs(self, told: Told) -> None:
        told.watch("subprocess")
        done = subprocess.run([sys.executable, "-c", "print('secret')"], capture_output=True, check=True)
        again = subprocess.run([sys.executable, "-c", "print('secret')"], capture_output=True, check=True)

        assert done.stdout == again.stdout == b"secret\n"
        [(kind, detail)] = told.all
        assert kind == "child process"
        assert detail.startswith("python")

    def test_child_of_asyncio_is_named(self, told: Told) -> None:
        told.watch("subprocess")

        async def main() -> int:
            process = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
            return await process.wait()

        assert asyncio.run(main()) == 0
        assert [kind for kind, _ in told.all] == ["child process"]


class TestUndo:
    def test_undo_puts_everything_back(self) -> None:
        before = vars(subprocess.Popen)["__init__"]
        told = Told()
        told.watch("subprocess")
        told.watch("subprocess")
        assert vars(subprocess.Popen)["__init__"].__wrapped__ is before
        told.undo()

        assert vars(subprocess.Popen)["__init__"] is before

    def test_failing_report_does_not_reach_the_agent(self) -> None:
        def fail(kind: str, detail: str) -> None:
            raise RuntimeError("ours")

        undo = watch("subprocess", subprocess, fail)
        try:
            assert subprocess.run([sys.executable, "-c", ""], check=True).returncode == 0
        finally:
            for step in undo:
                step()
