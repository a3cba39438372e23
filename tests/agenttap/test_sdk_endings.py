"""How calls of real SDKs end, and what is written of each: left, cut, cancelled, refused, tried again."""

from __future__ import annotations

import asyncio
import gc
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anthropic
import boto3
import httpx2
import openai
import pytest
from botocore.config import Config
from botocore.exceptions import EventStreamError

from tests.agenttap.sdk_calls import tapped
from tests.provider import TEXT, Provider

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


# What other people's code warns of is theirs.
pytestmark = pytest.mark.filterwarnings("ignore")

FIRST = TEXT.split(" ")[0] + " "
QUESTION: Any = [{"role": "user", "content": "Hello."}]


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


def claude(provider: Provider, **more: Any) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=provider.url, api_key="none", **{"max_retries": 0, **more})


def ask(client: Any, marks: str, **more: Any) -> Any:
    return client.messages.create(model=f"claude-test-{marks}", max_tokens=99, messages=QUESTION, **more)


def stream(client: Any, marks: str) -> Any:
    return ask(client, marks, stream=True)


def async_claude(provider: Provider, over: str) -> anthropic.AsyncAnthropic:
    http = anthropic.DefaultAioHttpClient() if over == "aiohttp" else None
    return anthropic.AsyncAnthropic(base_url=provider.url, api_key="none", max_retries=0, http_client=http)


@contextmanager
def _anything() -> Iterator[None]:
    """A client may or may not complain of a body that ends too early."""
    try:
        yield
    except Exception:
        return


class TestLeft:
    def test_stream_that_is_broken_out_of_keeps_what_came(self, provider: Provider, tmp_path: Path) -> None:
        with tapped(tmp_path) as written, claude(provider) as client:
            with stream(client, "hang-after-4") as events:
                for event in events:
                    if event.type == "content_block_delta":
                        break

        assert written.exchange.state == "closed_early"
        assert written.exchange.facts().text == FIRST
        assert written.call["model"] == provider.calls[0].truth.model

    @pytest.mark.parametrize("over", ["httpx2", "aiohttp"])
    def test_stream_that_is_dropped_is_written_once_it_is_collected(
        self, provider: Provider, tmp_path: Path, over: str
    ) -> None:
        async def main() -> None:
            async with async_claude(provider, over) as client:
                events = await stream(client, "hang-after-4")
                async for event in events:
                    if event.type == "content_block_delta":
                        break
                del events, event
                gc.collect()

        with tapped(tmp_path) as written:
            asyncio.run(main())

        assert written.exchange.state == "closed_early"
        assert written.exchange.facts().text == FIRST


class TestCancelled:
    @pytest.mark.parametrize("over", ["httpx2", "aiohttp"])
    def test_task_cancelled_in_mid_stream(self, provider: Provider, tmp_path: Path, over: str) -> None:
        async def main() -> None:
            has_text = asyncio.Event()

            async def read() -> None:
                async for event in await stream(client, "hang-after-4"):
                    if event.type == "content_block_delta":
                        has_text.set()

            async with async_claude(provider, over) as client:
                task = asyncio.create_task(read())
                await has_text.wait()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

        with tapped(tmp_path) as written:
            asyncio.run(main())

        assert written.exchange.state == "cancelled"
        assert written.exchange.facts().text == FIRST
        assert written.call["error_type"] == "asyncio.exceptions.CancelledError"

    @pytest.mark.parametrize("over", ["httpx2", "aiohttp"])
    def test_task_cancelled_before_headers_has_no_status(
        self, provider: Provider, tmp_path: Path, over: str
    ) -> None:
        async def main() -> None:
            async with async_claude(provider, over) as client:
                task = asyncio.create_task(ask(client, "hang"))
                await asyncio.to_thread(provider.wait_for, 1)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

        with tapped(tmp_path) as written:
            asyncio.run(main())

        assert (written.exchange.state, written.exchange.status) == ("cancelled", None)
        assert len(written.of("llm_call")) == 1


class TestCut:
    @pytest.mark.parametrize("mark", ["cut-after-4", "reset-after-4"])
    def test_stream_cut_by_the_server_keeps_what_came(
        self, provider: Provider, tmp_path: Path, mark: str
    ) -> None:
        with tapped(tmp_path) as written, claude(provider) as client:
            with pytest.raises(Exception, match=r"."), stream(client, mark) as events:
                for _ in events:
                    pass

        assert written.exchange.state == "cut"
        assert provider.calls[0].sent.startswith(written.exchange.body)
        assert written.call["error"]

    def test_stream_that_ends_in_order_without_its_last_event_is_cut(
        self, provider: Provider, tmp_path: Path
    ) -> None:
        with tapped(tmp_path) as written, claude(provider) as client:
            with stream(client, "no-end") as events:
                for _ in events:
                    pass

        assert written.exchange.state == "cut"
        assert written.exchange.facts().text == TEXT

    def test_refused_connection_is_a_failed_call(self, tmp_path: Path) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{taken.getsockname()[1]}"
            client = anthropic.Anthropic(base_url=url, api_key="none", max_retries=0)
            with tapped(tmp_path) as written, client, pytest.raises(anthropic.APIConnectionError):
                ask(client, "x")

        assert (written.exchange.state, written.exchange.status) == ("failed", None)
        assert written.call["error"]


class TestErrors:
    def test_error_in_a_stream_of_status_200_is_the_calls_error(
        self, provider: Provider, tmp_path: Path
    ) -> None:
        with tapped(tmp_path) as written, claude(provider) as client:
            with pytest.raises(anthropic.APIStatusError), stream(client, "error-midstream") as events:
                for _ in events:
                    pass

        assert written.exchange.status == 200
        assert written.call["error"] == "Refused with 529"
        assert written.call["error_type"] == "overloaded_error"

    @pytest.mark.parametrize("api", ["chat", "responses"])
    def test_error_in_a_stream_of_openai_is_the_calls_error(
        self, provider: Provider, tmp_path: Path, api: str
    ) -> None:
        model: Any = "gpt-test-error-midstream"
        with tapped(tmp_path) as written:
            with openai.OpenAI(base_url=f"{provider.url}/v1", api_key="none", max_retries=0) as client:
                events: Any
                if api == "chat":
                    events = client.chat.completions.create(model=model, messages=QUESTION, stream=True)
                    with pytest.raises(openai.APIError):
                        list(events)
                else:
                    list(client.responses.create(model=model, input="Hello.", stream=True))

        assert written.exchange.status == 200
        assert written.call["error"] == "Refused with 500"

    def test_exception_frame_of_bedrock_is_the_calls_error(self, provider: Provider, tmp_path: Path) -> None:
        with tapped(tmp_path) as written:
            client = bedrock(provider)
            events = client.converse_stream(
                modelId="test-error-midstream",
                messages=[{"role": "user", "content": [{"text": "Hello."}]}],
            )["stream"]
            with pytest.raises(EventStreamError):
                list(events)
            client.close()

        assert written.exchange.status == 200
        assert written.call["error_type"] == "throttlingException"

    def test_refusal_is_the_calls_error(self, provider: Provider, tmp_path: Path) -> None:
        with tapped(tmp_path) as written, claude(provider) as client:
            with pytest.raises(anthropic.RateLimitError):
                ask(client, "429-always")

        assert written.exchange.status == 429
        assert written.call["error_type"] == "rate_limit_error"


def bedrock(provider: Provider, attempts: int = 1) -> Any:
    return boto3.client(
        "bedrock-runtime",
        endpoint_url=provider.url,
        region_name="us-east-1",
        aws_access_key_id="none",
        aws_secret_access_key="none",
        config=Config(retries={"total_max_attempts": attempts, "mode": "standard"}),
    )


class TestTriedAgain:
    def test_is_one_call_of_two_attempts(self, provider: Provider, tmp_path: Path) -> None:
        with tapped(tmp_path) as written, claude(provider, max_retries=2) as client:
            ask(client, "529-once")

        assert [exchange.status for exchange in written.exchanges] == [529, 200]
        assert written.call["attempt"] == 2
        assert written.call["input_tokens"] == provider.calls[0].truth.input_tokens
        assert [event["data"]["status"] for event in written.of("event")] == [529]

    def test_is_one_call_where_botocore_tries_again(self, provider: Provider, tmp_path: Path) -> None:
        with tapped(tmp_path) as written:
            client = bedrock(provider, attempts=3)
            client.converse(
                modelId="test-503-once", messages=[{"role": "user", "content": [{"text": "Hello."}]}]
            )
            client.close()

        assert [exchange.status for exchange in written.exchanges] == [503, 200]
        assert written.call["attempt"] == 2

    def test_same_question_asked_twice_is_two_calls(self, provider: Provider, tmp_path: Path) -> None:
        with tapped(tmp_path) as written, claude(provider) as client:
            ask(client, "x")
            ask(client, "x")

        assert len(written.of("llm_call")) == 2


class TestEncodings:
    @pytest.mark.parametrize("mark", ["gzip", "deflate", "br"])
    @pytest.mark.parametrize("is_streamed", [False, True])
    def test_packed_answer_is_read_and_its_bytes_are_the_providers(
        self, provider: Provider, tmp_path: Path, mark: str, is_streamed: bool
    ) -> None:
        with tapped(tmp_path) as written, claude(provider) as client:
            if is_streamed:
                with stream(client, mark) as events:
                    for _ in events:
                        pass
            else:
                ask(client, mark)

        (served,) = provider.calls
        assert (written.exchange.state, written.exchange.sha256) == ("complete", served.sha256)
        assert written.exchange.facts().text == TEXT
        assert written.call["input_tokens"] == served.truth.input_tokens

    def test_answer_the_client_cannot_unpack_is_read_all_the_same(
        self, provider: Provider, tmp_path: Path
    ) -> None:
        body = {"model": "test-zstd", "messages": [], "stream": True}
        with tapped(tmp_path) as written, httpx2.Client() as client:
            with client.stream("POST", f"{provider.url}/v1/messages", json=body) as response:
                packed = b"".join(response.iter_raw())

        assert packed == provider.calls[0].sent
        assert (written.exchange.state, written.exchange.sha256) == ("complete", provider.calls[0].sha256)
        assert written.exchange.facts().text == TEXT

    # Not zstd: before Python 3.14 aiohttp unpacks it only with a package of its own.
    @pytest.mark.parametrize("mark", ["gzip", "br"])
    def test_packed_stream_is_read_where_the_client_has_unpacked_it(
        self, provider: Provider, tmp_path: Path, mark: str
    ) -> None:
        async def main() -> None:
            async with async_claude(provider, "aiohttp") as client:
                with _anything():
                    async for _ in await stream(client, mark):
                        pass

        with tapped(tmp_path) as written:
            asyncio.run(main())

        assert written.exchange.facts().text == TEXT
        assert written.call["input_tokens"] == provider.calls[0].truth.input_tokens

    def test_truncated_packed_stream_yields_its_beginning(self, provider: Provider, tmp_path: Path) -> None:
        with tapped(tmp_path) as written, claude(provider) as client:
            with _anything(), stream(client, "truncated-gzip") as events:
                for _ in events:
                    pass

        assert written.exchange.state == "cut"
        assert written.exchange.facts().text
        assert TEXT.startswith(written.exchange.facts().text)


class TestOddBodies:
    @pytest.mark.parametrize("mark", ["not-json", "empty", "deep-json", "invalid-utf8"])
    def test_body_that_is_no_answer_is_kept_as_it_came(
        self, provider: Provider, tmp_path: Path, mark: str
    ) -> None:
        with tapped(tmp_path) as written, claude(provider) as client, _anything():
            ask(client, mark)

        (served,) = provider.calls
        assert written.exchange.body == served.sent
        assert written.exchange.sha256 == served.sha256
        assert len(written.of("llm_call")) == 1

    @pytest.mark.parametrize(
        "mark", ["wrong-content-type", "no-content-type", "crlf", "cr", "comments", "drip"]
    )
    def test_odd_stream_is_read_all_the_same(self, provider: Provider, tmp_path: Path, mark: str) -> None:
        with tapped(tmp_path) as written, claude(provider) as client, _anything():
            with stream(client, mark) as events:
                for _ in events:
                    pass

        (served,) = provider.calls
        assert (written.exchange.state, written.exchange.body) == ("complete", served.sent)
        assert written.exchange.facts().text == TEXT
        assert written.call["stop_reason"] == "end_turn"
