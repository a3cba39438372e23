from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenttap.decoders import recognise

CHAT = b'{"model": "m", "messages": [{"role": "user", "content": "Hi"}]}'


def body(**keys: Any) -> bytes:
    return json.dumps(keys).encode()


class TestRecognised:
    @pytest.mark.parametrize(
        ("url", "request_body", "api"),
        [
            ("https://api.anthropic.com/v1/messages?beta=true", CHAT, "anthropic.messages"),
            ("http://127.0.0.1:1/gateway/messages", CHAT, "anthropic.messages"),
            (
                "https://x/v1/projects/p/locations/l/publishers/anthropic/models/claude:streamRawPredict",
                body(anthropic_version="vertex-2023-10-16", messages=[]),
                "anthropic.messages",
            ),
            ("https://api.openai.com/v1/chat/completions", CHAT, "openai.chat"),
            ("https://x/openai/deployments/d/chat/completions?api-version=1", CHAT, "openai.chat"),
            ("https://api.mistral.ai/v1/chat/completions#stream", CHAT, "openai.chat"),
            ("http://localhost:8000/v1/completions", body(model="m", prompt="Hi"), "openai.chat"),
            ("https://api.openai.com/v1/responses", body(model="m", input="Hi"), "openai.responses"),
            ("https://x/backend-api/codex/responses", body(model="m", input=[]), "openai.responses"),
            ("https://x/v1beta/models/g:generateContent", body(contents=[]), "gemini.generate_content"),
            ("https://x/v1/models/g:streamGenerateContent?alt=sse", b"", "gemini.generate_content"),
            ("https://x/v1internal:streamGenerateContent", body(request={}), "gemini.generate_content"),
            ("https://x/v1beta/interactions", body(model="g", input="Hi"), "gemini.interactions"),
            ("https://x/model/us.amazon.nova%3A0/converse", body(messages=[]), "bedrock.converse"),
            ("https://x/model/arn%3Aaws%3Ax%2Fm/converse-stream", body(messages=[]), "bedrock.converse"),
            ("https://x/model/m/invoke-with-response-stream", body(prompt="x"), "bedrock.invoke_model"),
            ("https://api.cohere.com/v2/chat", CHAT, "cohere.chat"),
            ("http://localhost:11434/api/chat", CHAT, "ollama.chat"),
            ("http://localhost:11434/api/generate", body(model="m", prompt="Hi"), "ollama.generate"),
            ("https://x/of/our/own", CHAT, "unknown"),
            ("https://api.cohere.com/v1/chat", body(message="x", model="m", chat_history=[]), "unknown"),
        ],
    )
    def test_request_is_told_by_path_and_body(self, url: str, request_body: bytes, api: str) -> None:
        assert recognise("POST", url, request_body) == api

    @pytest.mark.parametrize(
        ("url", "api"),
        [
            ("https://x/v1/messages", "anthropic.messages"),
            ("https://x/chat/completions", "openai.chat"),
            ("https://x/v1/responses", "openai.responses"),
            ("https://x/of/our/own", None),
        ],
    )
    def test_path_decides_while_the_body_is_streamed(self, url: str, api: str | None) -> None:
        assert recognise("POST", url, None) == api

    def test_keys_behind_a_long_prompt_are_found(self) -> None:
        request = body(system="x" * 100_000, messages=[], model="m")

        assert recognise("POST", "https://x/v1/messages", request) == "anthropic.messages"


class TestOtherTraffic:
    @pytest.mark.parametrize(
        ("method", "url", "request_body"),
        [
            ("GET", "https://api.openai.com/v1/responses/resp_1", b""),
            ("GET", "https://api.openai.com/v1/models", b""),
            ("POST", "https://api.anthropic.com/v1/messages/count_tokens", CHAT),
            ("POST", "https://api.anthropic.com/v1/messages/batches", CHAT),
            ("POST", "https://api.openai.com/v1/embeddings", body(model="m", input="x")),
            ("POST", "https://x/v1beta/models/g:countTokens", body(contents=[])),
            ("POST", "https://x/v1beta/models/g:embedContent", body(content={}, model="g")),
            ("POST", "https://x/model/amazon.titan-embed-text-v2:0/invoke", body(inputText="x")),
            ("POST", "https://api.openai.com/v1/threads/t/messages", body(role="user", content="x")),
            ("POST", "https://x/messages?session_id=1", b'{"jsonrpc":"2.0","method":"x","params":{}}'),
            ("POST", "https://x/api/messages", body(text="to a friend")),
            ("POST", "https://x/api/generate", body(report="pdf")),
            ("POST", "https://x/api/chat", body(text="Hi")),
            ("POST", "https://x/api/public/ingestion", CHAT),
            ("POST", "https://x/v1/traces", CHAT),
            ("POST", "https://x/upload", b"\x89PNG" + bytes(10_000)),
            ("POST", "https://x/", b""),
            ("POST", "https://x/form", b"model=m&messages=1&prompt=2"),
        ],
    )
    def test_what_does_not_generate_is_left_alone(self, method: str, url: str, request_body: bytes) -> None:
        assert recognise(method, url, request_body) is None

    @given(st.text(max_size=30), st.binary(max_size=60) | st.none())
    def test_no_url_is_a_failure(self, url: str, request_body: bytes | None) -> None:
        assert isinstance(recognise("POST", url, request_body), str | None)
