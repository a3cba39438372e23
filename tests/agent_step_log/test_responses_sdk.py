"""The response objects of the real SDKs, which got recorded bodies from a server on this machine."""

from __future__ import annotations

import json
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest
from google import genai
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

import agent_step_log
from agent_step_log.responses import StreamFields, response_fields

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path(__file__).parents[1] / "data" / "responses"
ASKED: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
TOLD: dict[str, Any] = {"model": "m", "input": "hi"}
GOOGLE: dict[str, Any] = {"model": "m", "contents": "hi"}


def body(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DATA / f"{name}.json").read_text())
    return found


def events(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text().splitlines()]


class Provider(ThreadingHTTPServer):
    """Answers every request with the recording it was given, framed as that API does."""

    daemon_threads = True
    answer: bytes
    content_type: str

    def answer_with(self, name: str) -> None:
        if (DATA / f"{name}.json").exists():
            self.answer, self.content_type = json.dumps(body(name)).encode(), "application/json"
            return
        is_named = not name.startswith(("google", "vertex")) and "chat" not in name
        head = "event: {0}\n" if is_named else ""
        frames = [head.format(event.get("type")) + f"data: {json.dumps(event)}\n\n" for event in events(name)]
        if "chat" in name:
            frames.append("data: [DONE]\n\n")
        self.answer, self.content_type = "".join(frames).encode(), "text/event-stream"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Provider

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("content-type", self.server.content_type)
        self.send_header("content-length", str(len(self.server.answer)))
        self.send_header("request-id", "req_anthropic")
        self.send_header("x-request-id", "req_openai")
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def claude(provider: Provider) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=provider.url, api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture
def gpt(provider: Provider) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{provider.url}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture
def gemini(provider: Provider) -> Iterator[genai.Client]:
    client = genai.Client(api_key="none", http_options={"base_url": provider.url})
    yield client
    client.close()


def streamed(chunks: Any) -> dict[str, Any]:
    stream = StreamFields()
    for chunk in chunks:
        stream.add(chunk)
    return stream.fields()


def as_google_genai_keeps_it(fields: dict[str, Any]) -> dict[str, Any]:
    """The SDK takes this one key out of the usage it hands on."""
    return fields | {"usage": {key: part for key, part in fields["usage"].items() if key != "serviceTier"}}


class TestAnthropic:
    @pytest.mark.parametrize(
        "name",
        [
            "anthropic-cache-read-and-write",
            "anthropic-parallel-tools",
            "anthropic-thinking-tool",
            "anthropic-server-tool",
        ],
    )
    def test_a_message_says_what_its_body_says(
        self, provider: Provider, claude: anthropic.Anthropic, name: str
    ) -> None:
        provider.answer_with(name)

        message = claude.messages.create(**ASKED, max_tokens=9)
        beta = claude.beta.messages.create(**ASKED, max_tokens=9)

        expected = response_fields(body(name)) | {"request_id": "req_anthropic"}
        assert response_fields(message) == expected
        assert response_fields(beta) == expected
        assert response_fields(message.to_dict()) == expected | {"request_id": body(name)["id"]}

    @pytest.mark.parametrize("name", [path.stem for path in DATA.glob("anthropic-stream-*.jsonl")])
    def test_a_stream_says_what_its_events_say(
        self, provider: Provider, claude: anthropic.Anthropic, name: str
    ) -> None:
        provider.answer_with(name)

        with claude.beta.messages.create(**ASKED, max_tokens=9, stream=True) as chunks:
            assert streamed(chunks) == streamed(events(name))

    @pytest.mark.parametrize(
        "name",
        [
            "anthropic-stream-parallel-tools",
            "anthropic-stream-cache-read",
            "anthropic-stream-redacted-thinking",
            "anthropic-stream-no-arguments",
            "anthropic-stream-refusal",
        ],
    )
    def test_the_sdk_puts_the_stream_together_alike(
        self, provider: Provider, claude: anthropic.Anthropic, name: str
    ) -> None:
        provider.answer_with(name)

        with claude.messages.stream(**ASKED, max_tokens=9) as helper:
            fields = streamed(helper)
            message = helper.get_final_message()

        theirs = response_fields(message) | {"request_id": fields["request_id"]}
        assert fields == theirs


class TestOpenAIChat:
    @pytest.mark.parametrize(
        "name",
        [
            "openai-chat-cache-write",
            "openai-chat-parallel-tools",
            "azure-chat-content-filter",
            "deepseek-chat-reasoning",
            "groq-chat-reasoning",
            "huggingface-chat-tool",
            "mistral-chat-cache-read",
            "ollama-chat-tool",
        ],
    )
    def test_a_completion_says_what_its_body_says(
        self, provider: Provider, gpt: openai.OpenAI, name: str
    ) -> None:
        provider.answer_with(name)

        completion = gpt.chat.completions.create(**ASKED)

        assert response_fields(completion) == response_fields(body(name)) | {"request_id": "req_openai"}
        assert response_fields(completion.to_dict()) == response_fields(body(name))

    @pytest.mark.parametrize("name", [path.stem for path in DATA.glob("*-chat-stream-*.jsonl")])
    def test_a_stream_says_what_its_chunks_say(
        self, provider: Provider, gpt: openai.OpenAI, name: str
    ) -> None:
        provider.answer_with(name)
        sent = [event for event in events(name) if "error" not in event]  # at which the SDK raises

        chunks = []
        try:
            with gpt.chat.completions.create(**ASKED, stream=True) as stream:
                chunks.extend(stream)
        except openai.APIError:
            assert len(sent) < len(events(name))

        assert len(chunks) == len(sent)
        assert streamed(chunks) == streamed(sent)

    @pytest.mark.parametrize(
        "name",
        ["openai-chat-stream-parallel-tools", "openai-chat-stream-no-usage", "groq-chat-stream-tool"],
    )
    def test_the_sdk_puts_the_stream_together_alike(self, name: str) -> None:
        state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
        for event in events(name):
            state.handle_chunk(ChatCompletionChunk.construct(**event))
        theirs: ChatCompletion = state.get_final_completion()

        ours, expected = streamed(events(name)), response_fields(theirs)

        for call in expected["output"].get("tool_calls", []):
            call.pop("index", None)
        assert ours == expected

    def test_the_events_of_the_stream_helper_are_opened(self, provider: Provider, gpt: openai.OpenAI) -> None:
        name = "openai-chat-stream-no-usage"
        provider.answer_with(name)

        with gpt.chat.completions.stream(**ASKED) as helper:
            assert streamed(helper) == streamed(events(name))


class TestOpenAIResponses:
    @pytest.mark.parametrize("name", [path.stem for path in DATA.glob("openai-responses-*.json")])
    def test_a_response_says_what_its_body_says(
        self, provider: Provider, gpt: openai.OpenAI, name: str
    ) -> None:
        if "error" in body(name) and body(name)["error"]:
            return
        provider.answer_with(name)

        response = gpt.responses.create(**TOLD)

        assert response_fields(response) == response_fields(body(name)) | {"request_id": "req_openai"}

    @pytest.mark.parametrize("name", ["openai-responses-stream-tool", "openai-responses-stream-text"])
    def test_a_stream_says_what_its_events_say(
        self, provider: Provider, gpt: openai.OpenAI, name: str
    ) -> None:
        provider.answer_with(name)

        with gpt.responses.create(**TOLD, stream=True) as stream:
            chunks = list(stream)

        assert streamed(chunks) == streamed(events(name))
        assert streamed(chunks[:-1]) == streamed(events(name)[:-1])


class TestGoogle:
    @pytest.mark.parametrize("name", ["google-cache-read", "google-max-tokens", "google-parallel-tools"])
    def test_a_response_says_what_its_body_says(
        self, provider: Provider, gemini: genai.Client, name: str
    ) -> None:
        provider.answer_with(name)

        response = gemini.models.generate_content(**GOOGLE)

        assert response_fields(response) == as_google_genai_keeps_it(response_fields(body(name)))

    @pytest.mark.parametrize(
        "name",
        ["google-stream-tool", "google-stream-text", "google-stream-one-chunk", "vertex-stream-thoughts"],
    )
    def test_a_stream_says_what_its_chunks_say(
        self, provider: Provider, gemini: genai.Client, name: str
    ) -> None:
        provider.answer_with(name)

        chunks = list(gemini.models.generate_content_stream(**GOOGLE))

        assert streamed(chunks) == as_google_genai_keeps_it(streamed(events(name)))


def test_no_sdk_is_imported_to_read_a_dict() -> None:
    code = (
        "import sys, json; from agent_step_log.responses import response_fields;"
        f"response_fields(json.load(open({str(DATA / 'anthropic-cache-read.json')!r})));"
        "heavy = {'anthropic', 'openai', 'google', 'pydantic', 'botocore', 'httpx', 'httpx2', 'asyncio'};"
        "print(sorted({name.split('.')[0] for name in sys.modules} & heavy))"
    )
    source = str(Path(agent_step_log.__file__).parents[1])

    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": source},
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )

    assert done.stdout.strip() == "[]"
