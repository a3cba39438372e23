"""Every recorded exchange with a provider, decoded, against a table checked by hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from genai_prices import extract_usage
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.agenttap.decoders.recordings import DATA, TOKENS, load, summary

if TYPE_CHECKING:
    from collections.abc import Iterable

RECORDINGS = {each.name: each for each in load()}
DECODED = {name: each for name, each in RECORDINGS.items() if each.api is not None}
EXPECTED: dict[str, dict[str, Any]] = {
    row.pop("exchange"): row for row in map(json.loads, (DATA / "expected.jsonl").read_text().splitlines())
}


class TestTable:
    def test_has_a_row_for_every_exchange(self) -> None:
        assert EXPECTED.keys() == RECORDINGS.keys()

    @pytest.mark.parametrize("name", RECORDINGS)
    def test_row_is_what_the_exchange_says(self, name: str) -> None:
        assert summary(RECORDINGS[name]) == EXPECTED[name]

    def test_usage_is_kept_as_the_provider_sent_it(self) -> None:
        facts, _ = RECORDINGS["opencode/openrouter-gpt-5-5-drives-a-tool-loop.json/1"].decoded()

        assert facts.fields["usage"]["cost"] == 0.000885
        assert facts.fields["usage"]["cost_details"]["upstream_inference_prompt_cost"] == 0.000345


# The price library's extractor for each API, and a model it knows, for it looks one up.
EXTRACTORS = {
    "anthropic.messages": ("anthropic", "default", "claude-sonnet-4-5"),
    "openai.chat": ("openai", "chat", "gpt-4o"),
    "openai.responses": ("openai", "responses", "gpt-4o"),
    "gemini.generate_content": ("google", "default", "gemini-2.5-flash"),
    "bedrock.converse": ("aws", "default", "amazon.nova-micro-v1:0"),
    "bedrock.invoke_model": ("anthropic", "default", "claude-sonnet-4-5"),
}
# Where the library reads less than there is, and why.
DIFFERENT = {
    # xAI counts reasoning beside the completion, as its total shows: 26 said + 196 thought.
    "vercel-ai/xai-tool-call.chunks.txt/1": {"output_tokens": 26},
    # These put the cached tokens at the top of the usage, where OpenAI does not.
    "opencode/togetherai-streams-tool-call.json/1": {},
}
# Not compared: Cohere's usage, of which the library reads what is billed, and not the whole prompt;
# Ollama's, for which it has no extractor.
UNCOMPARED = {"cohere.chat", "ollama.chat", "unknown"}


def comparable() -> list[str]:
    return [
        name
        for name, each in DECODED.items()
        if each.api not in UNCOMPARED and "tokens" in EXPECTED[name] and EXPECTED[name]["tokens"]
    ]


class TestAgainstThePriceLibrary:
    def test_most_exchanges_are_compared(self) -> None:
        assert len(comparable()) > 120

    @pytest.mark.parametrize("name", comparable())
    def test_tokens_are_those_the_library_reads(self, name: str) -> None:
        each = DECODED[name]
        facts, _ = each.decoded()
        provider, flavour, model = EXTRACTORS[each.api or ""]
        key, of = ("usageMetadata", "modelVersion") if provider == "google" else ("usage", "model")

        theirs = extract_usage(
            {key: facts.fields["usage"], of: model}, provider_id=provider, api_flavor=flavour
        ).usage

        ours = {field: facts.fields.get(field) for field in TOKENS[:4]}
        read = {field: getattr(theirs, field) for field in TOKENS[:4]} | DIFFERENT.get(name, {})
        if "output_tokens" in DIFFERENT.get(name, {}):
            assert (theirs.output_tokens, ours.pop("output_tokens")) == (26, 222)
            read.pop("output_tokens")
        # The library tells a count of none as None here and 0 there.
        assert {field: value or 0 for field, value in ours.items()} == {
            field: value or 0 for field, value in read.items()
        }


def check_prefixes(name: str, places: Iterable[int]) -> None:
    """A response cut anywhere says what had come, and nothing that the whole does not say too."""
    each = DECODED[name]
    whole, _ = each.decoded()
    for at in places:
        facts, _ = each.decoded(each.body[:at])
        for field in TOKENS if name not in COUNTED_DOWN else ():
            assert facts.fields.get(field, 0) <= whole.fields.get(field, 0), (at, field)
        for field in ("model", "stop_reason"):
            assert facts.fields.get(field) in (None, whole.fields.get(field)), (at, field)
        assert len(facts.calls) <= len(whole.calls)
        assert whole.text.startswith(facts.text) or name in SEVERAL_CHOICES


# A stream that holds several answers, or is begun again, has less to say after that than before.
RESTARTED = ("duplicate-message", "spliced-message", "fallback", "openai-shell", "encrypted", "programmatic")
# Gemini's first chunk counted more than its last.
COUNTED_DOWN = {"pydantic-ai/test_google_model_iter_stream.yaml/3"}
# Their texts grow side by side.
SEVERAL_CHOICES = {"otel-contrib/test_chat_completion_multiple_choices_streaming.yaml/1"}
STREAMS = [
    name
    for name, each in DECODED.items()
    if each.status == 200 and len(each.body) > 100 and not any(part in name for part in RESTARTED)
]
SMALL = [name for name in STREAMS if len(DECODED[name].body) < 1600]


class TestCuts:
    def test_many_apis_have_a_small_response(self) -> None:
        assert {DECODED[name].api for name in SMALL} >= {
            "anthropic.messages",
            "openai.chat",
            "bedrock.converse",
        }

    @pytest.mark.parametrize("name", SMALL)
    def test_small_response_cut_at_every_byte_says_what_came(self, name: str) -> None:
        check_prefixes(name, range(len(DECODED[name].body)))

    @pytest.mark.parametrize("name", [name for name in STREAMS if name not in SMALL])
    def test_response_cut_anywhere_says_what_came(self, name: str) -> None:
        size = len(DECODED[name].body)
        check_prefixes(name, range(1, size, size // 9))

    @pytest.mark.parametrize(
        "name",
        [
            "opencode/claude-opus-4-7-drives-a-tool-loop.json/1",
            "opencode/gpt-5-5-drives-a-tool-loop.json/1",
            "opencode/drives-a-tool-loop-end-to-end.json/1",
            "opencode/drives-a-tool-loop.json/1",
            "vercel-ai/cohere-tool-call.chunks.txt/1",
        ],
    )
    def test_stream_cut_before_its_last_event_is_not_complete(self, name: str) -> None:
        each = DECODED[name]
        facts, is_complete = each.decoded(each.body[: len(each.body) * 2 // 3])

        assert not is_complete
        assert facts.calls or facts.text


class TestDamage:
    @settings(max_examples=150, deadline=None)
    @given(data=st.data())
    def test_damaged_response_is_decoded_without_a_word(self, data: st.DataObject) -> None:
        each = DECODED[data.draw(st.sampled_from(sorted(DECODED)))]
        body = bytearray(each.body)
        for _ in range(data.draw(st.integers(1, 8))):
            if body:
                place = data.draw(st.integers(0, len(body) - 1))
                body[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))

        facts, _ = each.decoded(bytes(body))

        assert all(type(facts.fields.get(field, 0)) is int for field in TOKENS)
        assert isinstance(facts.text, str)
