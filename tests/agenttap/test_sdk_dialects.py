"""Those who speak OpenAI's chat API their own way, called with OpenAI's SDK; and thoughts, in every API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai
import pytest

from tests.agenttap.sdk_calls import tapped
from tests.provider import Provider

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


pytestmark = pytest.mark.filterwarnings("ignore")

TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
QUESTION: Any = [{"role": "user", "content": "Hello."}]


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


def client_of(dialect: str, url: str) -> openai.OpenAI:
    if dialect == "azure":
        return openai.AzureOpenAI(azure_endpoint=url, api_version="2024-10-21", api_key="none", max_retries=0)
    return openai.OpenAI(base_url=f"{url}/{dialect}/v1", api_key="none", max_retries=0)


@pytest.mark.parametrize("dialect", ["azure", "groq", "mistral", "openrouter", "vllm", "deepseek", "xai"])
@pytest.mark.parametrize("is_streamed", [False, True], ids=["plain", "stream"])
class TestDialects:
    def test_call_says_what_the_provider_said(
        self, provider: Provider, tmp_path: Path, dialect: str, is_streamed: bool
    ) -> None:
        how: dict[str, Any] = (
            {"stream": True, "stream_options": {"include_usage": True}} if is_streamed else {}
        )
        with tapped(tmp_path) as written, client_of(dialect, provider.url) as client:
            answer: Any = client.chat.completions.create(model="gpt-test-think", messages=QUESTION, **how)
            if is_streamed:
                list(answer)

        (served,) = provider.calls
        truth, call = served.truth, written.call
        assert written.exchange.api == "openai.chat"
        assert {name: call[name] for name in TOKENS if call.get(name) is not None} == truth.tokens
        assert (call["model"], call["stop_reason"]) == (truth.model, truth.stop_reason)
        assert call["usage"] == truth.usage
        assert (written.exchange.facts().text, written.exchange.facts().thinking) == (
            truth.text,
            truth.thinking,
        )

    def test_call_that_ran_out_of_tokens_says_so(
        self, provider: Provider, tmp_path: Path, dialect: str, is_streamed: bool
    ) -> None:
        with tapped(tmp_path) as written, client_of(dialect, provider.url) as client:
            model, messages = "gpt-test-max-tokens", QUESTION
            answer: Any = client.chat.completions.create(model=model, messages=messages, stream=is_streamed)
            if is_streamed:
                list(answer)

        assert written.call["stop_reason"] == "length"


class TestNoUsage:
    def test_stream_nobody_counted_has_no_tokens(self, provider: Provider, tmp_path: Path) -> None:
        with tapped(tmp_path) as written, client_of("openai", provider.url) as client:
            list(client.chat.completions.create(model="gpt-test-x", messages=QUESTION, stream=True))

        assert [name for name in TOKENS if written.call.get(name) is not None] == []
        assert "usage" not in written.call
