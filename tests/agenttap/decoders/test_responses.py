"""What no recording shows: errors of every shape, rare forms, and events that are none."""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenttap._events import Event
from agenttap._framing import splitter
from agenttap.decoders import (
    RequestFacts,
    ResponseDecoder,
    ResponseFacts,
    ToolCall,
    deltas,
    request_facts,
    response_decoder,
)
from tests.agenttap.decoders.recordings import TOKENS, Recording, frame, load
from tests.agenttap.decoders.test_requests import APIS, JUNK

TEXT_CHANNELS = {"text", "content", "response.output_text.delta"}
#: Streams of one answer: not several choices, or answers, one behind the other.
STREAMS = [
    each
    for each in load()
    if each.api is not None
    and each.status == 200
    and (each.body[:5] in (b"event", b"data:") or each.body[:1] == b"\0" or each.api.startswith("ollama"))
    and not re.search("duplicate|spliced|fallback|shell|encrypted|programmatic|choices", each.name)
]


def decoder_of(
    api: str, *, status: int = 200, headers: dict[str, str] | None = None, request: RequestFacts | None = None
) -> ResponseDecoder:
    return response_decoder(api, status=status, headers=headers or {}, request=request or RequestFacts())


def decoded(
    api: str,
    body: bytes,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    url: str = "https://x/",
) -> tuple[ResponseFacts, bool]:
    decoder = decoder_of(api, status=status, headers=headers, request=request_facts(api, url, {}))
    split = splitter(api, status, headers or {})
    for event in (*split.feed(body), *split.end()):
        decoder.add(event)
    return decoder.facts(), decoder.is_complete


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


class TestErrorBodies:
    @pytest.mark.parametrize(
        ("body", "error", "error_type"),
        [
            (
                b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
                "Overloaded",
                "overloaded_error",
            ),
            (
                b'{"error":{"message":"No","type":"invalid_request_error","code":"x"}}',
                "No",
                "invalid_request_error",
            ),
            (
                b'{"error":{"code":429,"message":"Slow","status":"RESOURCE_EXHAUSTED"}}',
                "Slow",
                "RESOURCE_EXHAUSTED",
            ),
            (
                b'[{"error":{"code":400,"message":"Bad","status":"INVALID_ARGUMENT"}}]',
                "Bad",
                "INVALID_ARGUMENT",
            ),
            (b'{"error":{"message":"Provider","code":502}}', "Provider", "502"),
            (b'{"error":"model not found"}', "model not found", None),
            (b'{"message":"Invalid token"}', "Invalid token", None),
            (b'{"object":"error","message":"No","type":"invalid_model"}', "No", "invalid_model"),
            (b'{"detail":[{"loc":["body"],"msg":"missing"}]}', '[{"loc":["body"],"msg":"missing"}]', None),
            (b'{"__type":"com.amazon#ThrottlingException","message":"Rate"}', "Rate", "ThrottlingException"),
            (
                b"<html><head><title>502</title></head><body><h1>Bad\n gateway</h1></body></html>",
                "502 Bad gateway",
                None,
            ),
            (b"upstream connect error", "upstream connect error", None),
            (b'{"something":"else"}', '{"something":"else"}', None),
            (b'{"error":{"message":"cut he', '{"error":{"message":"cut he', None),
        ],
    )
    @pytest.mark.parametrize("api", APIS)
    def test_error_of_any_shape_is_told(
        self, api: str, body: bytes, error: str, error_type: str | None
    ) -> None:
        facts, _ = decoded(api, body, status=500)

        assert (facts.error, facts.error_type) == (error, error_type)
        assert not any(field in facts.fields for field in TOKENS)

    def test_amazons_type_stands_in_a_header(self) -> None:
        headers = {"x-amzn-errortype": "ThrottlingException:http://x", "x-amzn-requestid": "r"}

        facts, _ = decoded("bedrock.converse", b'{"message":"Rate"}', status=429, headers=headers)

        assert (facts.error, facts.error_type) == ("Rate", "ThrottlingException")
        assert facts.fields["request_id"] == "r"

    def test_large_page_is_cut(self) -> None:
        facts, _ = decoded("openai.chat", b"x " * 1_000_000, status=500)

        assert len(facts.error or "") <= 4096

    def test_no_body_is_no_error(self) -> None:
        facts, is_complete = decoded("openai.chat", b"", status=500)

        assert facts.error is None
        assert not is_complete


class TestErrorsInBand:
    @pytest.mark.parametrize(
        ("api", "body", "error", "error_type"),
        [
            (
                "anthropic.messages",
                sse({"type": "error", "error": {"type": "overloaded_error", "message": "Full"}}),
                "Full",
                "overloaded_error",
            ),
            (
                "openai.chat",
                sse({"error": {"message": "Slow", "type": "server_error"}}),
                "Slow",
                "server_error",
            ),
            (
                "openai.responses",
                sse({"type": "error", "code": "server_error", "message": "Oh", "param": None}),
                "Oh",
                "server_error",
            ),
            (
                "openai.responses",
                sse(
                    {
                        "type": "response.failed",
                        "response": {
                            "object": "response",
                            "status": "failed",
                            "error": {"code": "rate_limit_exceeded", "message": "Oh"},
                        },
                    }
                ),
                "Oh",
                "rate_limit_exceeded",
            ),
            (
                "gemini.generate_content",
                sse({"error": {"code": 503, "message": "Full", "status": "UNAVAILABLE"}}),
                "Full",
                "UNAVAILABLE",
            ),
            (
                "gemini.interactions",
                sse({"event_type": "error", "error": {"code": "internal", "message": "Oh"}}),
                "Oh",
                "internal",
            ),
            (
                "bedrock.converse",
                frame(
                    {":message-type": "exception", ":exception-type": "throttlingException"},
                    b'{"message":"Rate"}',
                ),
                "Rate",
                "throttlingException",
            ),
            (
                "bedrock.invoke_model",
                frame(
                    {":message-type": "exception", ":exception-type": "modelStreamErrorException"},
                    b'{"message":"Oh"}',
                ),
                "Oh",
                "modelStreamErrorException",
            ),
            (
                "cohere.chat",
                sse({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "Oh"}}),
                "Oh",
                "ERROR",
            ),
            ("ollama.chat", b'{"error":"out of memory"}\n', "out of memory", None),
        ],
    )
    def test_error_behind_a_status_of_200_is_told(
        self, api: str, body: bytes, error: str, error_type: str | None
    ) -> None:
        facts, is_complete = decoded(api, body)

        assert (facts.error, facts.error_type) == (error, error_type)
        assert is_complete


class TestTokens:
    def test_none_on_the_wire_is_none(self) -> None:
        body = sse(
            {"id": "1", "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}
        )

        facts, is_complete = decoded("openai.chat", body + b"data: [DONE]\n\n")

        assert not any(field in facts.fields for field in (*TOKENS, "usage"))
        assert (facts.text, is_complete) == ("Hi", True)

    def test_none_that_was_counted_is_0(self) -> None:
        body = json.dumps(
            {"choices": [{"message": {"content": ""}}], "usage": {"prompt_tokens": 0, "completion_tokens": 0}}
        ).encode()

        facts, _ = decoded("openai.chat", body)

        assert facts.fields["input_tokens"] == facts.fields["output_tokens"] == 0

    def test_counts_of_invoke_model_may_stand_in_headers(self) -> None:
        headers = {"x-amzn-bedrock-input-token-count": "7", "x-amzn-bedrock-output-token-count": "3"}

        facts, _ = decoded(
            "bedrock.invoke_model", b'{"outputs":[{"text":"Hi","stop_reason":"stop"}]}', headers=headers
        )

        assert (facts.fields["input_tokens"], facts.fields["output_tokens"], facts.text) == (7, 3, "Hi")
        assert facts.fields["stop_reason"] == "stop"


class TestInvokeModel:
    @pytest.mark.parametrize(
        ("body", "tokens", "stop"),
        [
            (
                {
                    "generation": "Hi",
                    "prompt_token_count": 5,
                    "generation_token_count": 2,
                    "stop_reason": "stop",
                },
                (5, 2),
                "stop",
            ),
            (
                {
                    "inputTextTokenCount": 5,
                    "results": [{"tokenCount": 2, "outputText": "Hi", "completionReason": "FINISH"}],
                },
                (5, 2),
                "FINISH",
            ),
            (
                {
                    "output": {"message": {"content": [{"text": "Hi"}]}},
                    "stopReason": "end_turn",
                    "usage": {"inputTokens": 5, "outputTokens": 2},
                },
                (5, 2),
                "end_turn",
            ),
            (
                {
                    "choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}],
                    "usage": {"prompt_tokens": 5, "completion_tokens": 2},
                },
                (5, 2),
                "stop",
            ),
        ],
    )
    def test_body_of_each_family_is_read(
        self, body: dict[str, Any], tokens: tuple[int, int], stop: str
    ) -> None:
        facts, is_complete = decoded(
            "bedrock.invoke_model", json.dumps(body).encode(), url="https://x/model/m/invoke"
        )

        assert (facts.fields["input_tokens"], facts.fields["output_tokens"]) == tokens
        assert (facts.text, facts.fields["stop_reason"], is_complete) == ("Hi", stop, True)
        assert facts.fields["provider"] == "aws.bedrock"

    def test_last_event_of_a_stream_counts(self) -> None:
        events = [
            {"generation": "H", "prompt_token_count": 5, "generation_token_count": 1, "stop_reason": None},
            {
                "generation": "i",
                "generation_token_count": 2,
                "stop_reason": "stop",
                "amazon-bedrock-invocationMetrics": {"inputTokenCount": 5, "outputTokenCount": 2},
            },
        ]
        body = b"".join(frame({":event-type": "chunk"}, json.dumps(event).encode()) for event in events)

        facts, is_complete = decoded(
            "bedrock.invoke_model", body, url="https://x/model/m/invoke-with-response-stream"
        )

        assert (facts.text, is_complete) == ("Hi", True)
        assert (facts.fields["input_tokens"], facts.fields["output_tokens"]) == (5, 2)


class TestInteractions:
    USAGE: ClassVar = {
        "total_input_tokens": 10,
        "total_cached_tokens": 4,
        "total_output_tokens": 5,
        "total_thought_tokens": 3,
        "total_tokens": 18,
    }
    EVENTS: tuple[dict[str, Any], ...] = (
        {
            "event_type": "interaction.created",
            "interaction": {"id": "i1", "status": "in_progress", "model": "g"},
        },
        {"event_type": "step.start", "index": 0, "step": {"type": "thought"}},
        {
            "event_type": "step.delta",
            "index": 0,
            "delta": {"type": "thought_summary", "content": {"type": "text", "text": "Hm"}},
        },
        {"event_type": "step.start", "index": 1, "step": {"type": "model_output"}},
        {"event_type": "step.delta", "index": 1, "delta": {"type": "text", "text": "Hel"}},
        {"event_type": "step.delta", "index": 1, "delta": {"type": "text", "text": "lo"}},
        {
            "event_type": "step.start",
            "index": 2,
            "step": {"type": "function_call", "id": "c", "name": "n", "arguments": {}},
        },
        {"event_type": "step.delta", "index": 2, "delta": {"type": "arguments_delta", "arguments": '{"a"'}},
        {"event_type": "step.delta", "index": 2, "delta": {"type": "arguments_delta", "arguments": ": 1}"}},
        {
            "event_type": "interaction.completed",
            "interaction": {"id": "i1", "status": "requires_action", "model": "g", "usage": USAGE},
        },
    )

    def test_stream(self) -> None:
        facts, is_complete = decoded("gemini.interactions", sse(*self.EVENTS))

        assert (facts.text, facts.thinking, is_complete) == ("Hello", "Hm", True)
        assert facts.calls == [ToolCall("c", "n", {"a": 1})]
        assert [facts.fields.get(field) for field in TOKENS] == [10, 8, 4, None, 3]
        assert (facts.fields["model"], facts.fields["stop_reason"]) == ("g", "requires_action")
        assert facts.fields["usage"] == self.USAGE

    def test_stream_that_was_cut(self) -> None:
        facts, is_complete = decoded("gemini.interactions", sse(*self.EVENTS[:-1]))

        assert (facts.text, is_complete) == ("Hello", False)
        assert "input_tokens" not in facts.fields
        assert "stop_reason" not in facts.fields

    def test_document(self) -> None:
        steps = [
            {"type": "user_input", "content": [{"type": "text", "text": "never said"}]},
            {"type": "model_output", "content": [{"type": "text", "text": "Hello"}]},
        ]
        document = {"id": "i1", "object": "interaction", "status": "completed", "model": "g", "steps": steps}

        facts, is_complete = decoded(
            "gemini.interactions", json.dumps(document | {"usage": self.USAGE}).encode()
        )

        assert (facts.text, facts.fields["output_tokens"], is_complete) == ("Hello", 8, True)


class TestOllama:
    def test_generate(self) -> None:
        lines = [
            {"model": "m", "response": "Hel", "done": False},
            {"model": "m", "response": "lo", "thinking": "Hm", "done": False},
            {
                "model": "m",
                "response": "",
                "done": True,
                "done_reason": "stop",
                "eval_count": 2,
                "prompt_eval_count": 9,
            },
        ]

        facts, is_complete = decoded(
            "ollama.generate", b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        )

        assert (facts.text, facts.thinking, is_complete) == ("Hello", "Hm", True)
        assert (facts.fields["input_tokens"], facts.fields["output_tokens"]) == (9, 2)

    def test_prompt_that_was_cached_whole_is_not_counted_as_0(self) -> None:
        line = {"model": "m", "message": {"content": "Hi"}, "done": True, "eval_count": 2}

        facts, _ = decoded("ollama.chat", json.dumps(line).encode())

        assert "input_tokens" not in facts.fields
        assert facts.fields["output_tokens"] == 2

    def test_tool_call(self) -> None:
        message = {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"function": {"name": "n", "arguments": {"a": 1}}}],
        }

        facts, _ = decoded(
            "ollama.chat", json.dumps({"model": "m", "message": message, "done": False}).encode()
        )

        assert facts.calls == [ToolCall(None, "n", {"a": 1})]


class TestFirstContent:
    @pytest.mark.parametrize(
        ("api", "empty", "full"),
        [
            (
                "anthropic.messages",
                [
                    {"type": "message_start", "message": {"usage": {}}},
                    {"type": "ping"},
                    {
                        "type": "content_block_start",
                        "index": 0,
                        "content_block": {"type": "text", "text": ""},
                    },
                ],
                {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "H"}},
            ),
            (
                "openai.chat",
                [{"choices": []}, {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}],
                {"choices": [{"index": 0, "delta": {"content": "H"}}]},
            ),
            (
                "openai.responses",
                [{"type": "response.created", "response": {}}, {"type": "response.in_progress"}],
                {"type": "response.output_text.delta", "output_index": 0, "delta": "H"},
            ),
            (
                "gemini.generate_content",
                [{"usageMetadata": {"promptTokenCount": 1}}],
                {"candidates": [{"content": {"parts": [{"text": "H"}]}}]},
            ),
            ("cohere.chat", [{"type": "message-start", "id": "1"}], {"type": "tool-plan-delta", "delta": {}}),
            (
                "ollama.chat",
                [{"message": {"content": ""}, "done": False}],
                {"message": {"content": "H"}, "done": False},
            ),
        ],
    )
    def test_content_begins_where_something_is_said(
        self, api: str, empty: list[dict[str, Any]], full: dict[str, Any]
    ) -> None:
        decoder = decoder_of(api)

        assert [decoder.add(Event(b"", data)) for data in empty] == [False] * len(empty)
        assert decoder.add(Event(b"", full))


class TestDeltas:
    @given(api=st.sampled_from(APIS), data=JUNK)
    def test_each_is_a_string_that_can_be_replaced_in_place(self, api: str, data: Any) -> None:
        for channel, container, key in deltas(api, data):
            assert {channel: 1}
            assert isinstance(container[key], str)

    @pytest.mark.parametrize("each", STREAMS, ids=lambda each: each.name)
    def test_channels_of_a_recorded_stream_hold_its_text(self, each: Recording) -> None:
        facts, _ = each.decoded()
        said: dict[Any, str] = {}
        split = splitter(each.api or "", each.status, each.headers)
        for event in (*split.feed(each.body), *split.end()):
            for channel, container, key in deltas(each.api or "", event.data):
                said[channel] = said.get(channel, "") + container[key]

        spoken = [text for channel, text in said.items() if channel[0] in TEXT_CHANNELS]
        assert "".join(spoken) == facts.text

    def test_replacing_one_changes_what_is_decoded(self) -> None:
        data = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "secret"}}

        ((channel, container, key),) = list(deltas("anthropic.messages", data))
        container[key] = "***"

        assert channel == ("text", 0)
        assert data["delta"] == {"type": "text_delta", "text": "***"}


class TestBadInput:
    @given(
        st.sampled_from(APIS),
        st.lists(JUNK, max_size=4),
        st.sampled_from([None, "chunk", "messageStart", "x"]),
    )
    def test_wrong_types_anywhere_are_no_failure(self, api: str, values: list[Any], name: str | None) -> None:
        decoder = decoder_of(api)

        for value in values:
            decoder.add(Event(b"{}", value, name))
        facts = decoder.facts()

        assert isinstance(facts.text, str)
        assert all(type(facts.fields.get(field, 0)) is int for field in TOKENS)

    @pytest.mark.parametrize("api", APIS)
    def test_depth_and_numbers_without_measure_are_no_failure(self, api: str) -> None:
        deep: Any = "x"
        for _ in range(900):
            deep = {"message": deep, "content": [deep], "usage": deep, "choices": [1]} if _ < 6 else [deep]
        decoder = decoder_of(api)

        for value in (
            deep,
            {"choices": deep, "usage": {"prompt_tokens": 10**400, "completion_tokens": 1e308}},
        ):
            decoder.add(Event(b"{}", value))

        assert "input_tokens" not in decoder.facts().fields

    def test_stream_without_end_is_bounded(self) -> None:
        decoder = decoder_of("anthropic.messages")
        decoder.add(
            Event(
                b"",
                {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            )
        )
        delta = {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": "x" * 10_000},
        }

        for _ in range(1000):
            decoder.add(Event(b"", delta))

        assert len(decoder.facts().text) < 1_100_000
