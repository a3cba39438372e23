from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime
from enum import Enum, StrEnum
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from agent_step_log.responses import StreamFields, response_fields

DATA = Path(__file__).parents[1] / "data" / "responses"

TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
FIELDS = {*TOKENS, "provider", "model", "usage", "stop_reason", "request_id", "tool_calls", "output"}


def recorded(name: str) -> Any:
    """The body of one recorded response, or the list of its streamed events."""
    if (DATA / f"{name}.json").exists():
        return json.loads((DATA / f"{name}.json").read_text())
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text().splitlines()]


def streamed(events: list[Any]) -> dict[str, Any]:
    stream = StreamFields()
    for event in events:
        stream.add(event)
    return stream.fields()


def fields_of(name: str) -> dict[str, Any]:
    body = recorded(name)
    return streamed(body) if isinstance(body, list) else response_fields(body)


def call(
    provider: str | None,
    model: str | None,
    stop_reason: str | None,
    tokens: tuple[int | None, ...],
    tools: list[tuple[str | None, str]] | None = None,
) -> dict[str, Any]:
    """One row of the table: tokens are input, output, cache read, cache write, reasoning."""
    fields: dict[str, Any] = {"provider": provider, "model": model, "stop_reason": stop_reason}
    fields |= dict(zip(TOKENS, tokens, strict=True))
    if tools:
        fields["tool_calls"] = [{"id": id_, "name": name} if id_ else {"name": name} for id_, name in tools]
    return {name: value for name, value in fields.items() if value is not None}


N = None
HAIKU, SONNET = "claude-haiku-4-5-20251001", "claude-sonnet-4-5-20250929"

# Worked out by hand from each body: what its usage says, and the arithmetic where there is any.
GOLDEN: dict[str, dict[str, Any]] = {
    # 2 + 1590 written
    "anthropic-cache-write": call("anthropic", "claude-opus-4-8", "end_turn", (1592, 4, 0, 1590, 0)),
    "anthropic-cache-read": call("anthropic", "claude-opus-4-8", "end_turn", (1592, 4, 1590, 0, 0)),
    # 3 + 1111 read + 418 written
    "anthropic-cache-read-and-write": call("anthropic", SONNET, "end_turn", (1532, 33, 1111, 418, N)),
    "anthropic-parallel-tools": call(
        "anthropic",
        HAIKU,
        "tool_use",
        (423, 202, 0, 0, N),
        [
            ("toolu_0167cfEnoQaPviGdVXA95zcu", "retrieve_entity_info"),
            ("toolu_01EEe2V5HD1Ac4rKiUR4HD2T", "retrieve_entity_info"),
            ("toolu_01XFyAjstT3966qvRynZyVPo", "retrieve_entity_info"),
            ("toolu_013mnQZbgtK2oe3Mo3XKJsx3", "retrieve_entity_info"),
        ],
    ),
    "anthropic-thinking-tool": call(
        "anthropic",
        "claude-sonnet-4-20250514",
        "tool_use",
        (398, 155, 0, 0, N),
        [("toolu_01YGzqpRE16Vricda3Aqcejo", "get_user_country")],
    ),
    # the search for tools was run by the server: one call is left to answer
    "anthropic-server-tool": call(
        "anthropic",
        "claude-sonnet-4-6",
        "tool_use",
        (1594, 132, 0, 0, N),
        [("toolu_01P4f8oPjzXznuWr5VzTVe4N", "get_exchange_rate")],
    ),
    "anthropic-stream-parallel-tools": call(
        "anthropic",
        "claude-sonnet-4-6",
        "tool_use",
        (721, 113, 0, 0, N),
        [
            ("toolu_01Mo5Ee5Yb7vrzaxSNS5DVuP", "get_weather"),
            ("toolu_01GDAGw1KUdi1DCPPprMKGHR", "get_time"),
        ],
    ),
    # 9 + 5752 written, then read
    "anthropic-stream-cache-write": call("anthropic", HAIKU, "end_turn", (5761, 5, 0, 5752, N)),
    "anthropic-stream-cache-read": call("anthropic", HAIKU, "end_turn", (5761, 5, 5752, 0, N)),
    "anthropic-stream-redacted-thinking": call("anthropic", SONNET, "end_turn", (92, 189, 0, 0, N)),
    # message_start says 0, message_delta 61
    "anthropic-stream-late-input-tokens": call(
        "anthropic", "claude-opus-4-5-20251101", "end_turn", (61, 2, N, N, N)
    ),
    "anthropic-stream-no-arguments": call(
        "anthropic",
        SONNET,
        "tool_use",
        (565, 48, 0, 0, N),
        [("toolu_01QE1WLsSVp5hy5Q3GmGTmjP", "updateIssueList")],
    ),
    "anthropic-stream-refusal": call("anthropic", "claude-fable-5", "refusal", (18, 5, 0, 0, N)),
    # the first message_start is a try that was given up; its blocks are not part of the answer
    "anthropic-stream-started-twice": call(
        "anthropic",
        "claude-3-haiku-20240307",
        "tool_use",
        (17, 65, N, N, N),
        [("toolu_second", "test-tool")],
    ),
    # asked of claude-fable-5, answered by the other
    "anthropic-stream-fallback": call("anthropic", "claude-opus-4-8", "end_turn", (412, 264, 0, 0, N)),
    "bedrock-invoke-stream-tools": call(
        "aws.bedrock",
        "claude-3-5-sonnet-20240620",
        "tool_use",
        (392, 134, N, N, N),
        [
            ("toolu_bdrk_01KatiGijVFb9yuMPcnVk38e", "get_current_weather"),
            ("toolu_bdrk_01Tzb35EydKHWz4UZP3puTbF", "get_current_weather"),
        ],
    ),
    "openai-chat-cache-write": call("openai", "gpt-5.6-sol", "stop", (4020, 4, 0, 4012, 0)),
    "openai-chat-cache-read": call("openai", "gpt-5.6-sol", "stop", (4020, 4, 4012, 0, 0)),
    "openai-chat-parallel-tools": call(
        "openai",
        "gpt-4.1-nano-2025-04-14",
        "tool_calls",
        (67, 47, 0, N, 0),
        [("call_EgULHWKqGjuB36aUeiOSpALZ", "get_weather"), ("call_Xer9QGOTDMG2Bxn9AKGiVM14", "get_news")],
    ),
    "openai-chat-stream-parallel-tools": call(
        "openai",
        "gpt-4o-mini-2024-07-18",
        "tool_calls",
        (75, 51, 0, N, 0),
        [
            ("call_fHCjJqt9Pysde6vcJcvbXGBx", "get_current_weather"),
            ("call_3J9foSw3CUb48lrqIXoTky6U", "get_current_weather"),
        ],
    ),
    "openai-chat-stream-no-usage": call("openai", "gpt-4-0613", "stop", (N, N, N, N, N)),
    "azure-chat-content-filter": call("azure.ai.openai", "gpt-35-turbo", "content_filter", (15, 19, N, N, N)),
    "deepseek-chat-reasoning": call(
        "deepseek",
        "deepseek-v4-flash",
        "tool_calls",
        (563, 116, 512, N, 60),
        [("call_00_sXqYgMESDht75NCLLZtt9804", "load_capability")],
    ),
    "groq-chat-reasoning": call("groq", "openai/gpt-oss-120b", "stop", (336, 96, 256, N, 59)),
    "groq-chat-stream-tool": call(
        "groq", "llama-3.3-70b-versatile", "tool_calls", (210, 15, N, N, N), [("tk85n1k4m", "weather")]
    ),
    "huggingface-chat-tool": call(
        N,
        "deepseek-ai/DeepSeek-R1",
        "tool_calls",
        (19, 29, 0, N, N),
        [("call_7qxjvbuxpm6017n3jcq1uqwt", "final_result")],
    ),
    "mistral-chat-cache-read": call(N, "mistral-large-latest", "stop", (268, 5, 224, N, N)),
    "mistral-chat-stream-tool": call(
        N,
        "zai-glm-5-2",
        "tool_calls",
        (171, 14, 128, N, N),
        [("chatcmpl-tool-9f149c74c42f265b", "webSearchTool")],
    ),
    "ollama-chat-tool": call(
        N, "gpt-oss:20b", "tool_calls", (206, 194, N, N, N), [("call_o2vnpxrw", "final_result")]
    ),
    # its usage claims 11 tokens of reasoning among 10 of output
    "openrouter-chat-stream-length": call(
        "openrouter", "minimax/minimax-m2:free", "length", (43, 10, 0, N, N)
    ),
    "togetherai-chat-stream-tool": call(
        N,
        "meta-llama/Llama-3.3-70B-Instruct-Turbo",
        "tool_calls",
        (194, 19, 0, N, N),
        [("call_yu1mxtmex7x48nximi9c8jpo", "get_weather")],
    ),
    # 291 + 26 + 196 = 513 in all: reasoning stands beside the 26
    "xai-chat-stream-reasoning": call(
        "x_ai", "grok-3-mini", "tool_calls", (291, 222, 290, N, 196), [("call_55117580", "weather")]
    ),
    "openai-responses-reasoning": call("openai", "gpt-5.4-2026-03-05", "completed", (44, 288, 0, N, 9)),
    "openai-responses-cache-read": call("openai", "gpt-5-2025-08-07", "completed", (2087, 124, 2048, N, 0)),
    "openai-responses-tool": call(
        "openai",
        "gpt-4.1-2025-04-14",
        "completed",
        (57, 13, 0, N, 0),
        [("call_010000000000000000000000", "get_conversation_code")],
    ),
    "openai-responses-in-progress": call("openai", "gpt-4o-2024-08-06", N, (N, N, N, N, N)),
    "openai-responses-stream-tool": call(
        "openai",
        "gpt-5.5-2026-04-23",
        "completed",
        (67, 18, 0, N, 0),
        [("call_JCuVTkQxVB3cCmFWx52adJKZ", "get_weather")],
    ),
    "openai-responses-stream-text": call("openai", "gpt-5.5-2026-04-23", "completed", (106, 14, 0, N, 0)),
    "openai-responses-stream-failed": call("openai", "gpt-5-nano-2025-08-07", "failed", (N, N, N, N, N)),
    # 68 said + 821 thought
    "google-cache-read": call("gcp.gen_ai", "gemini-2.5-flash", "STOP", (17713, 889, 17379, N, 821)),
    # all it had went into two tokens of thought
    "google-max-tokens": call("gcp.gen_ai", "gemini-2.5-pro", "MAX_TOKENS", (15, 2, N, N, 2)),
    # 30 said + 190 thought; the API gives calls no id
    "google-parallel-tools": call(
        "gcp.gen_ai",
        "gemini-3-flash-preview",
        "STOP",
        (83, 220, N, N, 190),
        [(N, "generate_topic"), (N, "generate_topic"), (N, "generate_topic")],
    ),
    "google-stream-tool": call(
        "gcp.gen_ai", "gemini-3-pro-preview", "STOP", (29, 212, N, N, 202), [(N, "get_country")]
    ),
    # the first two chunks count 55, the last 257
    "google-stream-text": call("gcp.gen_ai", "gemini-3-pro-preview", "STOP", (257, 8, N, N, N)),
    "google-stream-one-chunk": call("gcp.gen_ai", "gemini-2.5-flash", "STOP", (6, 36, N, N, 35)),
    "google-stream-tool-arguments": call(
        "gcp.vertex_ai",
        "gemini-3.1-pro-preview",
        "STOP",
        (26, 155, N, N, 132),
        [(N, "getWeather"), (N, "getWeather")],
    ),
    "vertex-stream-thoughts": call("gcp.vertex_ai", "gemini-2.5-flash", "STOP", (8, 2581, N, N, 2193)),
    # 2 + 1322 written, then read
    "bedrock-cache-write": call("aws.bedrock", N, "end_turn", (1324, 5, 0, 1322, N)),
    "bedrock-cache-read": call("aws.bedrock", N, "end_turn", (1324, 5, 1322, 0, N)),
    "bedrock-thinking-tool": call(
        "aws.bedrock",
        N,
        "tool_use",
        (397, 130, 0, 0, N),
        [("tooluse_W9DaUFg4Tj2cRPpndqxWSg", "get_user_country")],
    ),
    "bedrock-stream-tool": call(
        "aws.bedrock", N, "tool_use", (353, 38, N, N, N), [("tooluse_p0X002uYQ9y_0fFkBsyYRg", "top_song")]
    ),
    "bedrock-stream-reasoning": call("aws.bedrock", N, "end_turn", (51, 94, N, N, N)),
    "bedrock-stream-max-tokens": call("aws.bedrock", N, "max_tokens", (8, 10, N, N, N)),
    # errors: an answer that never was has no fields but the id to ask about
    "anthropic-error": {},
    "openai-chat-error": {},
    "openai-responses-error": {},
    "openrouter-error": {},
    "google-error": {},
    "bedrock-error": {},
}

REQUEST_IDS = {
    "anthropic-cache-read": "msg_011CdZ7HELdJntMqdQ6ERgau",
    "anthropic-error": "req_011Ca7jT9AHpgXgdv8igm4z9",
    "anthropic-stream-cache-read": "msg_01W9dNB2vnT7HoPQmDfKyniu",
    "anthropic-stream-started-twice": "msg_second",
    "openai-chat-cache-read": "chatcmpl-E1mBQt42vYTsKNd5wnyJlT0db7v9S",
    "groq-chat-stream-tool": "req_01kh52nj5yfcat8hrmvrk2j2hj",
    "openai-responses-cache-read": "resp_68c42d3fd6a08196bce23d6be960ff8a0e8bc41441c948f6",
    "openai-responses-stream-failed": "resp_05500b38c2cd9bfc00691c7c9d222481a3b595421266dab424",
    "google-stream-text": "REVVabaiCdq4qtsPnZu96Qo",
}


def usage_as_sent(name: str) -> Any:
    """The provider's last word on usage, found in the body without the code under test."""
    body = recorded(name)
    for event in reversed(body if isinstance(body, list) else [body]):
        for place in (event, event.get("response"), event.get("metadata"), event.get("x_groq")):
            found = (place or {}).get("usage") or (place or {}).get("usageMetadata")
            if found:
                return found
    return None


def message_start_usage(name: str) -> Any:
    """What the last message_start of an Anthropic stream says of usage; message_delta goes on from there."""
    body = recorded(name)
    events = body if isinstance(body, list) else []
    starts = [event["message"]["usage"] for event in events if event.get("type") == "message_start"]
    return starts[-1] if starts else {}


class TestRecordedResponses:
    def test_every_recording_has_its_row(self) -> None:
        assert {path.stem for path in DATA.glob("*.json*")} == set(GOLDEN)

    @pytest.mark.parametrize("name", GOLDEN)
    def test_fields_are_as_worked_out_by_hand(self, name: str) -> None:
        fields = fields_of(name)

        rest = ("usage", "output", "request_id")
        assert {key: value for key, value in fields.items() if key not in rest} == GOLDEN[name]

    @pytest.mark.parametrize("name", REQUEST_IDS)
    def test_request_id_is_the_one_the_body_has(self, name: str) -> None:
        assert fields_of(name)["request_id"] == REQUEST_IDS[name]

    @pytest.mark.parametrize("name", [name for name in GOLDEN if "input_tokens" in GOLDEN[name]])
    def test_usage_is_what_the_provider_sent(self, name: str) -> None:
        usage, sent = fields_of(name)["usage"], usage_as_sent(name)

        begun = message_start_usage(name)
        assert usage == begun | sent

    @pytest.mark.parametrize("name", GOLDEN)
    def test_fields_are_plain_json(self, name: str) -> None:
        fields = fields_of(name)

        assert json.loads(json.dumps(fields)) == fields
        assert msgspec.json.decode(msgspec.json.encode(fields)) == fields

    @pytest.mark.parametrize("name", GOLDEN)
    def test_the_response_is_left_as_it_was(self, name: str) -> None:
        body = recorded(name)

        fields = streamed(body) if isinstance(body, list) else response_fields(body)
        for part in (fields.get("output"), fields.get("usage")):
            if isinstance(part, dict):
                part.clear()

        assert body == recorded(name)


class TestOutput:
    def test_blocks_are_kept_as_the_provider_wrote_them(self) -> None:
        for name in ("anthropic-thinking-tool", "anthropic-server-tool", "anthropic-parallel-tools"):
            assert fields_of(name)["output"] == recorded(name)["content"]
        for name in ("openai-responses-reasoning", "openai-responses-tool"):
            assert fields_of(name)["output"] == recorded(name)["output"]
        thinking = recorded("bedrock-thinking-tool")["output"]["message"]["content"]
        assert fields_of("bedrock-thinking-tool")["output"] == thinking
        parts = recorded("google-parallel-tools")["candidates"][0]["content"]["parts"]
        assert fields_of("google-parallel-tools")["output"] == parts

    def test_a_chat_message_is_kept_without_its_nulls(self) -> None:
        output = fields_of("openai-chat-parallel-tools")["output"]

        assert output.keys() == {"role", "tool_calls", "annotations"}
        assert output["tool_calls"][1]["function"]["arguments"] == '{"location": "San Francisco"}'

    def test_several_choices_are_a_list(self) -> None:
        body = recorded("openai-chat-cache-read")
        body["choices"].append({"index": 1, "message": {"role": "assistant", "content": "Sure"}})

        assert [message["content"] for message in response_fields(body)["output"]] == ["OK", "Sure"]

    def test_streamed_blocks_are_put_together(self) -> None:
        text, weather, time = fields_of("anthropic-stream-parallel-tools")["output"]

        said = "I'll check both the current weather and time in New York simultaneously right away!"
        assert text == {"type": "text", "text": said}
        assert (weather["type"], weather["input"]) == ("tool_use", {"location": "New York, NY"})
        assert (time["name"], time["input"]) == ("get_time", {"timezone": "America/New_York"})

    def test_a_tool_without_arguments_keeps_its_empty_input(self) -> None:
        assert fields_of("anthropic-stream-no-arguments")["output"][1]["input"] == {}

    def test_streamed_thinking_is_kept_with_its_signature(self) -> None:
        thinking, tool = fields_of("anthropic-stream-started-twice")["output"]

        assert thinking == {
            "type": "thinking",
            "thinking": "Let me call the tool.",
            "signature": "sig-second",
        }
        assert tool["input"] == {"value": "Sparkle Day"}

    def test_streamed_chat_tool_calls_are_put_together(self) -> None:
        assert fields_of("mistral-chat-stream-tool")["output"]["tool_calls"] == [
            {
                "id": "chatcmpl-tool-9f149c74c42f265b",
                "type": "function",
                "function": {"name": "webSearchTool", "arguments": '{"query": "current Berlin weather"}'},
            }
        ]

    def test_streamed_bedrock_reasoning_is_put_together(self) -> None:
        thought, said = fields_of("bedrock-stream-reasoning")["output"]

        reasoning = thought["reasoningContent"]["reasoningText"]
        assert reasoning["text"].startswith('Let me count the r\'s in "strawberry":\n\ns-t-r-a-w-b-e-r-r-y')
        assert reasoning["signature"].startswith("Ep0CCkgICxABGAIqQOWPB6")
        assert said == {"text": 'There are **3** r\'s in "strawberry":\n\n1. st**r**awbe**r****r**y'}

    def test_streamed_google_text_is_one_part(self) -> None:
        assert fields_of("google-stream-text")["output"] == [
            {"text": "The capital of Mexico is Mexico City."}
        ]

    def test_arguments_google_streams_stay_with_their_call(self) -> None:
        first, second = fields_of("google-stream-tool-arguments")["output"]

        paths = [
            (piece["jsonPath"], piece["stringValue"])
            for part in (first, second)
            for piece in part["functionCall"]["partialArgs"]
        ]
        assert paths == [
            ("$.location", "Boston"),
            ("$.location", ""),
            ("$.location", "San Francisco"),
            ("$.location", ""),
        ]
        assert "willContinue" not in first["functionCall"]


class TestStreams:
    def test_a_stream_of_one_chunk_says_what_the_response_says(self) -> None:
        (chunk,) = recorded("google-stream-one-chunk")

        assert streamed([chunk]) == response_fields(chunk)

    @pytest.mark.parametrize("name", ["openai-responses-stream-tool", "openai-responses-stream-text"])
    def test_a_responses_stream_says_what_its_last_event_says(self, name: str) -> None:
        events = recorded(name)

        assert streamed(events) == response_fields(events[-1]["response"])

    @pytest.mark.parametrize("name", ["openai-responses-stream-tool", "openai-responses-stream-text"])
    def test_a_responses_stream_cut_before_its_last_event_says_what_came(self, name: str) -> None:
        events = recorded(name)
        whole = streamed(events)

        cut = streamed(events[:-1])

        unknown = {"stop_reason", "usage", *TOKENS}
        assert cut == {key: value for key, value in whole.items() if key not in unknown}

    def test_a_responses_stream_cut_inside_an_item_says_what_came(self) -> None:
        events = recorded("openai-responses-stream-text")
        deltas = [event for event in events if event["type"] == "response.output_text.delta"]
        place = events.index(deltas[3])

        (message,) = streamed(events[: place + 1])["output"]

        said = "".join(event["delta"] for event in deltas[:4])
        assert message["content"] == [{"type": "output_text", "text": said}]

    def test_a_gateway_that_ends_with_an_empty_output_does_not_empty_it(self) -> None:
        events = recorded("openai-responses-stream-tool")
        whole = streamed(events)
        events[-1]["response"]["output"] = []

        assert streamed(events) == whole

    def test_output_tokens_of_message_start_are_no_count(self) -> None:
        fields = streamed(recorded("anthropic-stream-cache-read")[:4])

        assert fields["input_tokens"] == 5761
        assert fields["cache_read_tokens"] == 5752
        assert "output_tokens" not in fields
        assert "stop_reason" not in fields

    def test_a_message_that_starts_whole_is_whole(self) -> None:
        message = recorded("anthropic-parallel-tools")

        fields = streamed([{"type": "message_start", "message": message}, {"type": "message_stop"}])

        assert fields == response_fields(message)

    def test_fields_may_be_asked_for_at_any_time(self) -> None:
        stream = StreamFields()
        said = []
        for event in recorded("anthropic-stream-parallel-tools"):
            stream.add(event)
            output = stream.fields().get("output", [{}])
            said.append(output[0].get("text", ""))

        assert said == sorted(said, key=len)
        assert stream.fields() == fields_of("anthropic-stream-parallel-tools")

    def test_a_tool_input_that_was_cut_is_kept_as_text(self) -> None:
        events = recorded("bedrock-invoke-stream-tools")[:15]

        assert streamed(events)["output"][1]["input"] == '{"locatio'

    def test_frames_of_invoke_model_are_opened(self) -> None:
        events = recorded("bedrock-invoke-stream-tools")
        frames = [{"chunk": {"bytes": json.dumps(event).encode()}} for event in events]

        assert streamed(frames) == streamed(events)

    def test_usage_so_far_in_every_chunk_is_not_added_up(self) -> None:
        chunk = {"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": []}

        fields = streamed(
            [chunk | {"usage": {"prompt_tokens": 7, "completion_tokens": so_far}} for so_far in (1, 2, 3)]
        )

        assert (fields["input_tokens"], fields["output_tokens"]) == (7, 3)

    def test_thoughts_streamed_as_content_blocks_are_kept_apart(self) -> None:
        thought = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}]
        deltas: list[Any] = ["", thought, thought, "Yes", "."]

        fields = streamed([{"choices": [{"index": 0, "delta": {"content": said}}]} for said in deltas])

        assert fields["output"]["content"] == [
            {"type": "thinking", "thinking": [{"type": "text", "text": "HmHm"}]},
            {"type": "text", "text": "Yes."},
        ]

    def test_calls_that_share_an_index_are_told_apart_by_id(self) -> None:
        calls = [{"index": 0, "id": id_, "function": {"name": "f", "arguments": "{}"}} for id_ in ("a", "b")]

        fields = streamed([{"choices": [{"delta": {"tool_calls": [call]}}]} for call in calls])

        assert fields["tool_calls"] == [{"id": "a", "name": "f"}, {"id": "b", "name": "f"}]

    def test_what_boto3_returns_beside_the_stream_is_taken_too(self) -> None:
        envelope = recorded("bedrock-cache-read") | {"ResponseMetadata": {"RequestId": "r-1"}}

        assert streamed([envelope, *recorded("bedrock-stream-tool")])["request_id"] == "r-1"

    def test_text_past_a_megabyte_is_counted(self) -> None:
        events = recorded("anthropic-stream-late-input-tokens")
        start = next(event for event in events if event["type"] == "content_block_start")
        delta = {
            "type": "content_block_delta",
            "index": start["index"],
            "delta": {"type": "text_delta", "text": "x" * 1000},
        }
        end = [event for event in events if event["type"] in ("message_delta", "message_stop")]
        begin = [event for event in events if event["type"] == "message_start"]

        fields = streamed([*begin, start, *[delta] * 3000, *end])

        said = fields["output"][0]["text"]
        kept, _, mark = said.partition("…")
        assert 1_040_000 < len(kept) <= 1024 * 1024
        assert mark == f"[cut: {3_000_000 - len(kept)} characters]"
        assert fields["output_tokens"] == 2

    def test_a_block_past_a_megabyte_is_named_not_kept(self) -> None:
        block = {"type": "web_search_tool_result", "tool_use_id": "t", "content": "x" * 2_000_000}
        events = [{"type": "content_block_start", "index": index, "content_block": block} for index in (0, 1)]

        fields = streamed([{"type": "message_start", "message": {}}, *events])

        assert [list(kept) for kept in fields["output"]] == [["type", "cut"]] * 2

    @pytest.mark.parametrize("kind", ["index", "item", "candidate", "block"])
    def test_a_flood_of_places_is_bounded(self, kind: str) -> None:
        stream = StreamFields()
        for index in range(10_000):
            stream.add(
                {
                    "index": {"choices": [{"index": index, "delta": {"content": "x"}}]},
                    "item": {"type": "response.output_text.delta", "output_index": index, "delta": "x"},
                    "candidate": {"candidates": [{"index": index, "content": {"parts": [{"text": "x"}]}}]},
                    "block": {"contentBlockDelta": {"contentBlockIndex": index, "delta": {"text": "x"}}},
                }[kind]
            )

        assert len(stream.fields()["output"]) == 4096


class TestTokenMeaning:
    def test_what_server_tools_put_into_the_prompt_is_input(self) -> None:
        body = recorded("google-cache-read")
        body["usageMetadata"]["toolUsePromptTokenCount"] = 100

        assert response_fields(body)["input_tokens"] == 17813

    def test_cache_writes_told_by_lifetime_are_added_up(self) -> None:
        body = recorded("anthropic-cache-write")
        del body["usage"]["cache_creation_input_tokens"]

        assert response_fields(body)["cache_write_tokens"] == 1590

    def test_a_litellm_usage_is_read_the_openai_way(self) -> None:
        usage = {
            "prompt_tokens": 1592,
            "completion_tokens": 4,
            "total_tokens": 1596,
            "cache_creation_input_tokens": 1500,
            "cache_read_input_tokens": 90,
        }

        fields = response_fields({"object": "chat.completion", "choices": [], "usage": usage})

        assert [fields[name] for name in TOKENS[:4]] == [1592, 4, 90, 1500]

    @pytest.mark.parametrize("junk", [-1, 1.5, float("nan"), float("inf"), "12", True, None, 1 << 70, [3]])
    def test_what_is_no_count_is_not_known(self, junk: object) -> None:
        body = recorded("anthropic-cache-write")
        body["usage"]["output_tokens"] = junk

        fields = response_fields(body)

        assert "output_tokens" not in fields
        assert fields["input_tokens"] == 1592

    def test_a_whole_float_is_a_count(self) -> None:
        body = recorded("anthropic-cache-write")
        body["usage"]["output_tokens"] = 4.0

        assert type(response_fields(body)["output_tokens"]) is int

    def test_no_usage_is_unknown_and_never_zero(self) -> None:
        body = recorded("anthropic-cache-write")
        del body["usage"]

        assert not set(response_fields(body)) & {*TOKENS, "usage"}


class TestStopReasons:
    @pytest.mark.parametrize(
        "reason", ["max_tokens", "refusal", "pause_turn", "model_context_window_exceeded"]
    )
    def test_anthropic_has_the_word_for_it(self, reason: str) -> None:
        body = recorded("anthropic-cache-write") | {"stop_reason": reason}

        assert response_fields(body)["stop_reason"] == reason

    def test_an_openai_response_cut_short_tells_why(self) -> None:
        body = recorded("openai-responses-reasoning")
        body |= {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}

        assert response_fields(body)["stop_reason"] == "max_output_tokens"

    def test_a_refusal_of_openai_stands_in_the_output(self) -> None:
        body = recorded("openai-chat-cache-read")
        body["choices"][0]["message"] |= {"content": None, "refusal": "I can't help with that."}

        fields = response_fields(body)

        assert fields["stop_reason"] == "stop"
        assert fields["output"]["refusal"] == "I can't help with that."

    def test_a_prompt_google_blocked_tells_why(self) -> None:
        body = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "modelVersion": "gemini-2.5-flash"}

        assert response_fields(body)["stop_reason"] == "PROHIBITED_CONTENT"
        assert streamed([body]) == response_fields(body)


class TestToolCalls:
    def test_what_openai_ran_itself_is_not_asked_of_the_caller(self) -> None:
        body = recorded("openai-responses-tool")
        body["output"] += [
            {"type": "web_search_call", "id": "ws_1", "status": "completed"},
            {"type": "shell_call", "call_id": "call_hosted"},
            {"type": "shell_call_output", "call_id": "call_hosted"},
            {"type": "shell_call", "call_id": "call_local"},
            {"type": "custom_tool_call", "call_id": "call_custom", "name": "grep", "input": "x"},
        ]

        assert response_fields(body)["tool_calls"][1:] == [
            {"id": "call_local", "name": "shell_call"},
            {"id": "call_custom", "name": "grep"},
        ]

    def test_custom_tools_and_old_functions_of_chat_are_calls(self) -> None:
        body = recorded("openai-chat-cache-read")
        body["choices"][0]["message"] |= {
            "tool_calls": [{"id": "c1", "type": "custom", "custom": {"name": "grep", "input": "x"}}],
            "function_call": {"name": "old", "arguments": "{}"},
        }

        assert response_fields(body)["tool_calls"] == [{"id": "c1", "name": "grep"}, {"name": "old"}]


class TestShapes:
    def test_bedrocks_invoke_model_body_is_read_like_anthropics(self) -> None:
        body = recorded("anthropic-cache-read") | {"id": "msg_bdrk_01"}

        assert response_fields(body)["provider"] == "aws.bedrock"
        assert response_fields(body)["input_tokens"] == 1592

    def test_bedrocks_request_id_is_taken_from_its_metadata(self) -> None:
        body = recorded("bedrock-cache-read")
        body["ResponseMetadata"] = {"RequestId": "2f1b", "HTTPStatusCode": 200}

        assert response_fields(body)["request_id"] == "2f1b"

    def test_the_names_of_google_genai_dicts_are_taken(self) -> None:
        body = {
            "candidates": [
                {"content": {"parts": [{"function_call": {"name": "f"}}]}, "finish_reason": "STOP"}
            ],
            "model_version": "gemini-2.5-flash",
            "response_id": "r",
            "usage_metadata": {
                "prompt_token_count": 10,
                "candidates_token_count": 3,
                "thoughts_token_count": 4,
                "cached_content_token_count": 5,
            },
        }

        fields = response_fields(body)

        assert [fields[name] for name in TOKENS if name in fields] == [10, 7, 5, 4]
        assert (fields["model"], fields["stop_reason"]) == ("gemini-2.5-flash", "STOP")
        assert fields["tool_calls"] == [{"name": "f"}]
        assert streamed([body]) == fields

    def test_objects_shaped_like_a_response_do(self) -> None:
        def shaped(value: Any) -> Any:
            if isinstance(value, dict):
                return SimpleNamespace(**{key: shaped(part) for key, part in value.items()})
            return [shaped(part) for part in value] if isinstance(value, list) else value

        for name in ("openai-chat-parallel-tools", "anthropic-thinking-tool", "bedrock-thinking-tool"):
            assert response_fields(shaped(recorded(name))) == fields_of(name)

    def test_what_a_message_holds_beside_json_becomes_json(self) -> None:
        class Stop(StrEnum):
            END = "end_turn"

        body = recorded("anthropic-cache-write") | {
            "stop_reason": Stop.END,
            "content": ({"type": "blob", "data": b"\x00", "at": datetime(2026, 1, 2, tzinfo=UTC)},),
        }

        fields = response_fields(body)

        assert type(fields["stop_reason"]) is str
        assert fields["output"] == [
            {"type": "blob", "data": b64encode(b"\x00").decode(), "at": "2026-01-02T00:00:00Z"}
        ]

    @pytest.mark.parametrize(
        "other",
        [
            None,
            "text",
            7,
            b"{}",
            [],
            {},
            object(),
            ValueError("x"),
            json,
            dict,
            {"role": "assistant", "content": [{"type": "text", "text": "a message to send"}]},
            {"type": "message", "role": "assistant", "content": []},
            {"object": "list", "data": []},
            {"id": "conv_1", "object": "conversation", "created_at": 1},
            {"type": "ai", "content": "x", "usage_metadata": {"input_tokens": 1, "output_tokens": 2}},
            {"role": "assistant", "content": [], "stopReason": "stop", "usage": {"input": 3, "output": 4}},
            {"ResponseMetadata": {"RequestId": "1"}, "Items": []},
        ],
        ids=lambda other: type(other).__name__,
    )
    def test_what_is_no_response_says_nothing(self, other: object) -> None:
        assert response_fields(other) == {}
        assert streamed([other, other]) == {}


class TestHostileResponses:
    def test_no_code_of_the_response_runs(self) -> None:
        ran: list[str] = []

        class Meta(type):
            def __hash__(cls) -> int:
                ran.append("hash")
                return 0

            def __eq__(cls, other: object) -> bool:
                ran.append("eq")
                return True

        class Hostile(metaclass=Meta):
            def __init__(self) -> None:
                object.__setattr__(self, "content", self)
                object.__setattr__(self, "stop_reason", "end_turn")
                object.__setattr__(self, "model", "claude-hostile")

            def __getattribute__(self, name: str) -> Any:
                ran.append(name)
                raise RuntimeError(name)

            @property
            def usage(self) -> Any:
                ran.append("usage")
                raise SystemExit

            def __iter__(self) -> Any:
                ran.append("iter")
                while True:
                    yield self

            def __len__(self) -> int:
                ran.append("len")
                return -1

        class Key:
            def __hash__(self) -> int:
                return hash("type")

            def __eq__(self, other: object) -> bool:
                ran.append("key")
                return True

        class Mapping(dict[Any, Any]):
            def items(self) -> Any:
                ran.append("items")
                raise RuntimeError

            def get(self, *_: object) -> Any:
                ran.append("get")
                raise RuntimeError

        hostile = Hostile()
        mapping = Mapping(type="message", usage=Mapping(input_tokens=3), content=[hostile])
        keyed = {Key(): 1}
        ran.clear()

        for _ in range(2):
            assert response_fields(hostile)["stop_reason"] == "end_turn"
            assert response_fields(mapping)["input_tokens"] == 3
            assert response_fields(keyed) == {}
            streamed([hostile, mapping, keyed])
        assert ran == []

    def test_a_property_called_dict_is_not_asked(self) -> None:
        class Sly:
            @property
            def __dict__(self) -> Any:  # type: ignore[override]
                raise SystemExit

        assert response_fields(Sly()) == {}

    def test_a_model_gives_what_it_stores_and_not_what_it_computes(self) -> None:
        class Usage(BaseModel):
            input_tokens: int
            output_tokens: int = 9

        class Reply(BaseModel):
            model_config = ConfigDict(extra="allow")
            content: list[Any]
            stop_reason: str
            usage: Usage

            @property
            def model(self) -> str:
                raise SystemExit

        reply = Reply.model_validate(
            {"content": [], "stop_reason": "end_turn", "usage": Usage(input_tokens=3), "id": "msg_1"}
        )

        assert response_fields(reply) == {
            "stop_reason": "end_turn",
            "request_id": "msg_1",
            "input_tokens": 3,
            "usage": {"input_tokens": 3},
        }

    def test_a_cycle_ends(self) -> None:
        body = recorded("anthropic-parallel-tools")
        block: dict[str, Any] = {"type": "text"}
        block["self"] = block["again"] = [block, block]
        body["content"].append(block)

        fields = response_fields(body)

        assert len(fields["tool_calls"]) == 4
        assert fields["input_tokens"] == 423

    def test_one_odd_value_does_not_cost_the_rest(self) -> None:
        class Odd(Enum):
            ONE = object()

        fields = response_fields(recorded("anthropic-cache-write") | {"content": [Odd.ONE]})

        assert fields["input_tokens"] == 1592
        assert fields["output"] == ["<object>"]

    def test_a_deep_body_ends(self) -> None:
        deep: list[Any] = []
        for _ in range(100_000):
            deep = [deep]

        assert response_fields(recorded("anthropic-cache-write") | {"content": deep})["input_tokens"] == 1592

    def test_a_body_that_can_be_read_once_is_not_read(self) -> None:
        reads = []

        class Once:
            def read(self) -> bytes:
                reads.append("read")
                return b"{}"

            def __iter__(self) -> Any:
                reads.append("iter")
                yield {}

        Once.__module__ = "botocore.response"
        once = Once()

        assert response_fields({"ResponseMetadata": {"RequestId": "2f1b"}, "body": once}) == {
            "provider": "aws.bedrock",
            "request_id": "2f1b",
        }
        assert reads == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def paths(value: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    items: Any = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return [prefix, *[path for key, part in items for path in paths(part, (*prefix, key))]]


BODIES = {name: recorded(name) for name in sorted(GOLDEN)}
PLACES = {name: [place for place in paths(body) if place] for name, body in BODIES.items()}
NAMES = sorted({place[-1] for places in PLACES.values() for place in places if isinstance(place[-1], str)})


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A recorded body, or its events, with a few places replaced by other JSON."""
    name = draw(st.sampled_from(sorted(BODIES)))
    body = json.loads(json.dumps(BODIES[name]))
    for place in draw(st.lists(st.sampled_from(PLACES[name]), min_size=1, max_size=4)):
        parent = body
        try:
            for step in place[:-1]:
                parent = parent[step]
            parent[place[-1]] = draw(JSON | st.integers(-5, 5) | st.sampled_from(NAMES))
        except (LookupError, TypeError):
            continue  # an earlier mutation took the place away
    return body


def check(fields: dict[str, Any]) -> None:
    assert fields.keys() <= FIELDS
    for name in TOKENS:
        assert name not in fields or (type(fields[name]) is int and fields[name] >= 0)
    for name in ("provider", "model", "stop_reason", "request_id"):
        assert name not in fields or (type(fields[name]) is str and fields[name])
    for part, whole in (("reasoning_tokens", "output_tokens"), ("cache_read_tokens", "input_tokens")):
        assert fields.get(part, 0) <= fields.get(whole, 1 << 60)
    for asked in fields.get("tool_calls", []):
        assert asked.keys() <= {"id", "name"}
    assert type(fields.get("usage", {})) is dict
    msgspec.json.encode({name: value for name, value in fields.items() if name not in ("output", "usage")})


class TestAnything:
    @given(mutated())
    def test_mutated_bodies_never_raise_and_never_make_a_number_up(self, body: Any) -> None:
        check(response_fields(body))
        stream = StreamFields()
        for event in body if isinstance(body, list) else [body]:
            check(response_fields(event))
            stream.add(event)
        check(stream.fields())

    @given(st.lists(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=6), max_size=4))
    def test_arbitrary_json_under_known_names_never_raises(self, events: list[Any]) -> None:
        for event in events:
            check(response_fields(event))
        check(streamed(events))

    @given(JSON)
    def test_arbitrary_json_never_raises(self, value: Any) -> None:
        check(response_fields(value))
        check(streamed([value]))


class TestOtherApis:
    COHERE: ClassVar[dict[str, Any]] = {
        "id": "c1",
        "finish_reason": "TOOL_CALL",
        "message": {
            "role": "assistant",
            "tool_plan": "Look.",
            "tool_calls": [{"id": "t", "type": "function", "function": {"name": "n", "arguments": "{}"}}],
        },
        "usage": {
            "billed_units": {"input_tokens": 7, "output_tokens": 2},
            "tokens": {"input_tokens": 90, "output_tokens": 4},
            "cached_tokens": 64,
        },
    }

    def test_cohere_counts_the_whole_prompt_and_not_what_is_billed(self) -> None:
        fields = response_fields(self.COHERE)

        assert fields.pop("usage") == self.COHERE["usage"]
        assert fields.pop("output") == self.COHERE["message"]
        assert fields == {
            "provider": "cohere",
            "stop_reason": "TOOL_CALL",
            "request_id": "c1",
            "tool_calls": [{"id": "t", "name": "n"}],
            "input_tokens": 90,
            "output_tokens": 4,
            "cache_read_tokens": 64,
        }

    def test_cohere_stream_says_what_the_whole_says(self) -> None:
        call = {"id": "t", "type": "function", "function": {"name": "n", "arguments": ""}}
        events: list[Any] = [
            {"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant"}}},
            {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "Lo"}}},
            {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "ok."}}},
            {"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": call}}},
            {
                "type": "tool-call-delta",
                "index": 0,
                "delta": {"message": {"tool_calls": {"function": {"arguments": "{}"}}}},
            },
            {"type": "tool-call-end", "index": 0},
            {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL", "usage": self.COHERE["usage"]}},
        ]

        assert streamed(events) == response_fields(self.COHERE)

    def test_ollama_stream_says_what_the_whole_says(self) -> None:
        counts = {"prompt_eval_count": 9, "eval_count": 3, "total_duration": 5000}
        whole = {
            "model": "m",
            "message": {"role": "assistant", "content": "Hello", "thinking": "Hm"},
            "done": True,
            "done_reason": "stop",
            **counts,
        }
        pieces: list[Any] = [
            {"model": "m", "message": {"role": "assistant", "content": "", "thinking": "Hm"}, "done": False},
            {"model": "m", "message": {"role": "assistant", "content": "Hel"}, "done": False},
            {"model": "m", "message": {"role": "assistant", "content": "lo"}, "done": False},
            {**whole, "message": {"role": "assistant", "content": ""}},
        ]

        assert streamed(pieces) == response_fields(whole)
        assert response_fields(whole)["usage"] == counts
        assert response_fields(whole)["input_tokens"] == 9

    def test_interaction_adds_the_thoughts_that_stand_beside_the_output(self) -> None:
        usage: dict[str, Any] = {
            "total_input_tokens": 10,
            "total_output_tokens": 5,
            "total_thought_tokens": 3,
        }
        steps = [{"type": "model_output", "content": [{"type": "text", "text": "Hi"}]}]
        interaction: dict[str, Any] = {
            "id": "i",
            "object": "interaction",
            "status": "completed",
            "model": "g",
            "steps": steps,
        }

        beside = response_fields({**interaction, "usage": {**usage, "total_tokens": 18}})
        inside = response_fields({**interaction, "usage": {**usage, "total_tokens": 15}})

        assert (beside["output_tokens"], beside["reasoning_tokens"]) == (8, 3)
        assert (inside["output_tokens"], inside["reasoning_tokens"]) == (5, 3)
        assert (beside["model"], beside["stop_reason"], beside["output"]) == ("g", "completed", steps)
