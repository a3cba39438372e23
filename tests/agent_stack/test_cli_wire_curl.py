"""`wire --curl`: the command really sends the request again, byte for byte, and has no secret in it."""

from __future__ import annotations

import http.server
import shutil
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.agent_stack.wire_tapes import ASK, HEADERS, request, write_tape

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.agent_stack.conftest import Cli

SECRETS = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "ANTHROPIC_API_KEY": "key-a",
    "ANTHROPIC_AUTH_TOKEN": "token-a",
    "GEMINI_API_KEY": "key-g",
    "no_proxy": "*",
}


class Server:
    """Notes what it is sent."""

    def __init__(self) -> None:
        self.received: list[tuple[str, dict[str, str], bytes]] = []
        noted = self.received

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                noted.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(200)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def curl_exists() -> bool:
    return shutil.which("curl") is not None


def run(command: str) -> None:
    assert curl_exists(), "curl is needed to try what --curl prints"
    # As `... --curl | sh` does: an argument could not be as long as a body.
    done = subprocess.run(["sh"], input=command.encode(), env=SECRETS, capture_output=True, timeout=240)
    assert (done.returncode, done.stdout) == (0, b"ok"), done.stderr.decode()


BODIES = {
    "json": request([ASK]),
    "quotes": request([{"role": "user", "content": "it's `date` $(id) $HOME \\ \\n \" '' % %s !! @file"}]),
    "newlines": b'{\n  "messages": [],\n\n  "model": "x"\n}\n\n',
    "at": b"@/etc/passwd",
    "dash": b"-n",
    "unicode": {"messages": [], "text": "日本語 \u202e \U0001f600 e\u0301"},
    "raw_unicode": '{"messages": [], "text": "日本語 é"}'.encode(),
    "escapes": '{"messages": [], "text": "\u202eabc\x9b31m"}'.encode(),
    "binary": bytes(range(256)) * 4,
    "crlf": b'{"messages": [],\r\n"a": 1}',
    "huge": request([{"role": "user", "content": "it's long " * 60_000}]),
    "huge_binary": bytes(range(256)) * 2000,
}


class TestBody:
    @pytest.mark.parametrize("kind", BODIES)
    def test_arrives_byte_for_byte(self, cli: Cli, tmp_path: Path, server: Server, kind: str) -> None:
        import json

        body = BODIES[kind]
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        write_tape(tmp_path / "logs", {"url": f"{server.url}/v1/messages?beta=true&a[]=1", "body": sent})

        shown = cli("wire", "1", "--curl")
        assert (shown.code, shown.err) == (0, "")
        run(shown.out)
        ((path, headers, received),) = server.received
        assert received == sent
        assert path == "/v1/messages?beta=true&a[]=1"
        assert headers["content-type"] == "application/json"
        assert headers["x-api-key"] == "key-a"
        assert headers["anthropic-version"] == "2026-10-21"

    def test_without_one_nothing_is_sent_for_it(self, cli: Cli, tmp_path: Path, server: Server) -> None:
        write_tape(tmp_path / "logs", {"url": f"{server.url}/x", "api": None, "headers": []})

        run(cli("wire", "1", "--curl").out)
        assert server.received[0][2] == b""


class TestSecrets:
    def test_a_key_in_the_url_becomes_a_variable(self, cli: Cli, tmp_path: Path, server: Server) -> None:
        url = f"{server.url}/v1/models/g:generateContent?key=<redacted:credential:0a1b2c3d>&alt=sse"
        write_tape(
            tmp_path / "logs", {"url": url, "api": "gemini.generate_content", "headers": [], "body": {"a": 1}}
        )

        out = cli("wire", "1", "--curl").out
        assert "redacted" not in out
        run(out)
        path, headers, _ = server.received[0]
        assert path == "/v1/models/g:generateContent?key=key-g&alt=sse"
        assert "content-type" not in headers

    def test_what_a_tape_without_redaction_holds_stays_out(
        self, cli: Cli, tmp_path: Path, server: Server
    ) -> None:
        key = "sk-ant-api03-" + "Ab3dEf6hIj9kLm2nOp5q" * 4
        headers = [*HEADERS[:1], ["authorization", f"Bearer {key}"], ["cookie", f"s={key}"], ["x-own", key]]
        body = request([{"role": "user", "content": f"my key is {key}"}])
        write_tape(
            tmp_path / "logs",
            {"url": f"{server.url}/v1/messages?key={key}", "headers": headers, "body": body},
        )

        shown = cli("wire", "1", "--curl")
        assert key not in shown.out
        assert shown.err.startswith("The body is not what was sent: ")
        run(shown.out)
        _, received, _ = server.received[0]
        assert received["authorization"] == "Bearer token-a"
        assert "cookie" not in received

    @pytest.mark.parametrize(
        ("url", "api", "header", "words"),
        [
            (
                "https://api.openai.com/v1/responses",
                "openai.responses",
                "authorization",
                "Bearer $OPENAI_API_KEY",
            ),
            ("https://a.openai.azure.com/x", "openai.chat", "api-key", "api-key: $AZURE_OPENAI_API_KEY"),
            ("https://api.groq.com/x", "openai.chat", "authorization", "Bearer $GROQ_API_KEY"),
            ("https://api.x.ai/x", "openai.chat", "authorization", "Bearer $XAI_API_KEY"),
            ("https://ex.air/x", "openai.chat", "authorization", "Bearer $OPENAI_API_KEY"),
            ("https://gateway.example/x", "cohere.chat", "authorization", "Bearer $CO_API_KEY"),
            (
                "https://x/model/m/converse",
                "bedrock.converse",
                "authorization",
                "Bearer $AWS_BEARER_TOKEN_BEDROCK",
            ),
        ],
    )
    def test_the_variable_is_the_one_the_provider_is_known_for(
        self, cli: Cli, tmp_path: Path, url: str, api: str, header: str, words: str
    ) -> None:
        headers = [[header, "<redacted:header:00000000>"]]
        write_tape(tmp_path / "logs", {"url": url, "api": api, "headers": headers, "body": {"a": 1}})
        assert words in cli("wire", "1", "--curl").out

    def test_a_signed_request_is_signed_anew(self, cli: Cli, tmp_path: Path) -> None:
        headers = [["authorization", "<redacted:header:00000000>"], ["x-amz-date", "20261127T000000Z"]]
        url = "https://bedrock-runtime.eu-west-1.amazonaws.com/model/m/converse"
        write_tape(tmp_path / "logs", {"url": url, "api": "bedrock.converse", "headers": headers, "body": {}})

        out = cli("wire", "1", "--curl").out
        assert "--aws-sigv4 aws:amz:eu-west-1:bedrock" in out
        assert '--user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"' in out
        assert "authorization" not in out

    def test_a_url_cannot_run_anything(self, cli: Cli, tmp_path: Path, server: Server) -> None:
        marker = tmp_path / "ran"
        url = f"{server.url}/a';touch${{IFS}}{marker};'`touch {marker}`$(touch {marker})\n-o x"
        headers = [["x-a", f"';touch {marker};'"], ["x-b\nc: d", "e"], ["x-c", f"$(touch {marker})"]]
        write_tape(tmp_path / "logs", {"url": url, "headers": headers, "body": {"a": 1}})

        run(cli("wire", "1", "--curl").out)
        assert not marker.exists()
        assert server.received[0][1]["x-a"] == f"';touch {marker};'"

    def test_a_request_without_its_content_cannot_be_sent(self, cli: Cli, tmp_path: Path) -> None:
        write_tape(tmp_path / "logs", {"body": {"a": 1}}, content=False)
        result = cli("wire", "1", "--curl")
        assert result.code == 2
        sentence = "The request of exchange 1 is not on the tape: it was recorded without content."
        assert result.err == f"agent-step-log: {sentence}\n"
