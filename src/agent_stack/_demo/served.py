"""The scripted model behind HTTP on this machine: what the demo's agent says to it crosses a wire.

So the demo has a tape to look at. It needs an HTTP client and the tape's library; where
either is not installed the agent calls the script itself, and there is no tape.
"""

from __future__ import annotations

import json
import warnings
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from agent_stack._demo.model import MODEL, ScriptedModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent_stack._demo.model import Message
    from agent_step_log import StepLog

__all__ = ["Ask", "Connect", "called", "tapped"]

#: ``ask(messages, tool names)`` returns the next message of the conversation.
Ask: TypeAlias = "Callable[[list[Message], list[str]], Message]"
#: Gives one model the way it is asked by.
Connect: TypeAlias = "Callable[[ScriptedModel], Ask]"


def called(model: ScriptedModel) -> Ask:
    """Ask *model* by calling it."""
    return lambda messages, _tools: model.answer(messages)


@contextmanager
def tapped(log: StepLog) -> Iterator[Connect]:
    """Ask models over HTTP while a tap of *log* is on, where that can be done; else by calling them."""
    if find_spec("httpx2") is None or find_spec("zstandard") is None:
        yield called
        return
    import httpx2

    from agenttap import Tap
    from agenttap.errors import TapWarning

    server = _Server(("127.0.0.1", 0), _Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        # That a child process is not seen through stands in the log; here it would only be in the way.
        warnings.simplefilter("ignore", TapWarning)
        with Tap(log=log), httpx2.Client(trust_env=False, timeout=30) as client:

            def connect(model: ScriptedModel) -> Ask:
                server.models.append(model)
                url = f"http://127.0.0.1:{server.server_port}/{len(server.models)}/v1/messages"

                def ask(messages: list[Message], tools: list[str]) -> Message:
                    described = [{"name": tool, "input_schema": {"type": "object"}} for tool in tools]
                    request = {"model": MODEL, "max_tokens": 1024, "tools": described, "messages": messages}
                    answer = client.post(url, json=request, headers={"x-api-key": "the demo needs none"})
                    return cast("Message", answer.raise_for_status().json())

                return ask

            yield connect
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.models: list[ScriptedModel] = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        model = self.server.models[int(self.path.split("/")[1]) - 1]
        body = json.dumps(model.answer(request["messages"])).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Say nothing: the demo's own words are on the screen."""
