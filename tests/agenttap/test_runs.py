"""Messages that come joined say what they say one by one, however they are cut and whatever is among them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agenttap._framing import splitter
from agenttap._redact import Redactor
from agenttap._runs import Run
from agenttap.decoders import RequestFacts, response_decoder
from tests.agenttap.decoders.recordings import Recording, frame, load
from tests.agenttap.redact_samples import SECRETS

if TYPE_CHECKING:
    import random

    from agenttap._events import Event

KEY = b"k" * 32
RECORDINGS = [each for each in load() if each.body and each.api is not None]


def chat(text: str, **keys: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return b"data: " + json.dumps({"id": "c1", "choices": [choice], **keys}).encode() + b"\n\n"


def words(count: int) -> list[str]:
    return [f"w{number} " for number in range(count)]


def cut(
    body: bytes, api: str = "openai.chat", *, size: int = 0, status: int = 200, headers: Any = None
) -> list[Event]:
    """Cut *body*, fed whole or in pieces of *size* bytes."""
    split = splitter(api, status, headers or {}, may_join=True)
    pieces = [body[at : at + size] for at in range(0, len(body), size)] if size else [body]
    return [event for piece in pieces for event in split.feed(piece)] + split.end()


def singles(events: list[Event]) -> list[tuple[bytes, Any, str | None]]:
    """The messages of *events*, one by one."""
    found: list[Event] = []
    for event in events:
        found += event.singles() if isinstance(event, Run) else [event]
    return [(event.raw, event.data, event.name) for event in found]


def one_by_one(body: bytes, api: str = "openai.chat", *, status: int = 200, headers: Any = None) -> Any:
    split = splitter(api, status, headers or {})
    return [(event.raw, event.data, event.name) for event in split.feed(body) + split.end()]


def runs(events: list[Event]) -> list[Run]:
    return [event for event in events if isinstance(event, Run)]


def decoded(events: list[Event], api: str = "openai.chat", request: RequestFacts | None = None) -> Any:
    decoder = response_decoder(api, status=200, headers={}, request=request or RequestFacts(is_streamed=True))
    for event in events:
        decoder.add(event)
    return decoder.facts(), decoder.is_complete


class TestRuns:
    def test_messages_that_continue_a_text_come_as_one(self) -> None:
        texts = words(100)

        (run,) = runs(cut(b"".join(map(chat, texts))))

        assert "".join(run.texts) == "".join(texts[-len(run.texts) :])
        assert len(run.texts) > 90
        assert run.raw == b"".join(run.raws)
        assert run.data["choices"][0]["delta"]["content"] == "".join(run.texts)

    @pytest.mark.parametrize(
        "keys", ["created", "obfuscation", "usage"], ids=lambda key: f"of_which_{key}_differs"
    )
    def test_marks_and_counts_may_differ_and_the_last_one_counts(self, keys: str) -> None:
        values = {"created": range(100), "obfuscation": words(100)}
        counts = [{"completion_tokens": number, "x": "y"} for number in range(100)]
        body = b"".join(
            chat(text, **{keys: value})
            for text, value in zip(words(100), values.get(keys, counts), strict=True)
        )

        (run,) = runs(cut(body))

        assert run.data[keys] == list(values.get(keys, counts))[-1]

    @pytest.mark.parametrize(
        ("name", "first", "second"),
        [
            ("id", "call_1", "call_2"),
            ("index", 0, 1),
        ],
    )
    def test_pieces_of_two_calls_are_not_joined(self, name: str, first: Any, second: Any) -> None:
        def call(value: Any, piece: str) -> bytes:
            part = {"index": 0, "id": "call", name: value, "function": {"arguments": piece}}
            choice = {"index": 0, "delta": {"tool_calls": [part]}}
            return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"

        pieces = ["a"] * 40
        body = b"".join(call(value, piece) for value in (first, second) for piece in pieces)

        facts, _ = decoded(cut(body))

        assert [each.arguments for each in facts.calls] == ["a" * 40] * 2

    def test_padding_with_spaces_may_differ(self) -> None:
        parts = [chat(text).replace(b"]}\n", b"]" + b" " * (len(text) % 3) + b"}\n") for text in words(120)]

        events = cut(b"".join(parts))

        assert len(runs(events)) == 1
        assert singles(events) == one_by_one(b"".join(parts))

    def test_long_messages_are_read_one_by_one(self) -> None:
        body = b"".join(chat(text + " " * 5000) for text in words(30))

        assert runs(cut(body)) == []

    def test_two_texts_that_alternate_are_kept_apart(self) -> None:
        def thought(text: str) -> bytes:
            return chat(text).replace(b'"content"', b'"reasoning"')

        body = b"".join(chat("say ") * 9 + thought("think ") * 9 for _ in range(9))

        facts, _ = decoded(cut(body))

        assert (facts.text, facts.thinking) == ("say " * 81, "think " * 81)

    @pytest.mark.parametrize(
        "odd",
        [
            b'data: {"id":"c1","choices":[{"index":0,"delta":{"content":"a\\"}}]}\n\n',
            chat("x").replace(b'"x"', b'"\\ud83d"'),
            chat("x").replace(b'"x"', b'"\xff"'),
            chat("x").replace(b'"x"', b'"\x01"'),
            chat("x").replace(b'"x"', b'"\\x"'),
            chat("x").replace(b'"x"', b'"","y":""'),
            b": keep-alive\n\n",
            b"\n",
            b"\n\n",
            b"event: x\n" + chat("x"),
            b"id: 7\n" + chat("x"),
            chat("x").replace(b"\n\n", b"\n\n\n"),
            chat("x")[:-2] + b"\r\n\r\n",
            b"data: [DONE]\n\n",
            b"data: [1]\n\n",
            chat("x") * 5 + chat(""),
            chat('é\u2028\n"\\😀'),
        ],
    )
    def test_what_is_odd_among_them_is_read_as_if_it_were_alone(self, odd: bytes) -> None:
        parts = [chat(text) for text in words(60)]
        body = b"".join([*parts[:30], odd, *parts[30:], odd])

        assert singles(cut(body)) == one_by_one(body)
        assert decoded(cut(body))[0] == decoded(splitter("openai.chat", 200, {}).feed(body))[0]

    def test_frames_with_the_same_headers_are_joined(self) -> None:
        headers = {":event-type": "contentBlockDelta", ":message-type": "event"}
        body = b"".join(
            frame(headers, json.dumps({"contentBlockIndex": 0, "delta": {"text": text}, "p": text}).encode())
            for text in words(60)
        )

        events = cut(body, "bedrock.converse")

        assert len(runs(events)) == 1
        assert singles(events) == one_by_one(body, "bedrock.converse")
        assert decoded(events, "bedrock.converse")[0].text == "".join(words(60))

    def test_damage_in_a_frame_ends_what_can_be_read(self) -> None:
        headers = {":event-type": "contentBlockDelta"}
        frames = [
            frame(headers, json.dumps({"contentBlockIndex": 0, "delta": {"text": text}}).encode())
            for text in words(60)
        ]
        frames[40] = frames[40][:-1] + b"\0"
        body = b"".join(frames)

        assert singles(cut(body, "bedrock.converse")) == one_by_one(body, "bedrock.converse")


class TestRecordings:
    @pytest.mark.parametrize("each", RECORDINGS, ids=lambda each: each.name)
    def test_say_the_same_joined_and_one_by_one(self, each: Recording) -> None:
        api = each.api or ""
        for size in (0, 997, 40):
            events = cut(each.body, api, size=size, status=each.status, headers=each.headers)

            assert singles(events) == one_by_one(each.body, api, status=each.status, headers=each.headers)

    @pytest.mark.parametrize("each", RECORDINGS, ids=lambda each: each.name)
    def test_decode_to_the_same_facts(self, each: Recording) -> None:
        facts = each.request_facts()
        if not each.request:
            facts.is_streamed = None
        decoder = response_decoder(each.api or "", status=each.status, headers=each.headers, request=facts)
        for event in cut(each.body, each.api or "", status=each.status, headers=each.headers):
            decoder.add(event)

        assert (decoder.facts(), decoder.is_complete) == each.decoded()

    @settings(max_examples=150, deadline=None)
    @given(
        st.sampled_from([each for each in RECORDINGS if 2_000 < len(each.body) < 40_000]),
        st.randoms(use_true_random=False),
    )
    def test_say_the_same_when_damaged(self, each: Recording, chance: random.Random) -> None:
        body = bytearray(each.body)
        for _ in range(chance.randint(1, 5)):
            at = chance.randrange(len(body))
            body[at : at + chance.choice((0, 1, 1, 7))] = chance.choice(
                (b"", b'"', b"\\", b"\n", b"\n\n", b"\xff", b"x", b"{", b"0")
            )
        at = chance.randrange(len(body))
        api = each.api or ""
        split = splitter(api, each.status, each.headers, may_join=True)

        events = split.feed(bytes(body[:at])) + split.feed(bytes(body[at:])) + split.end()

        assert singles(events) == one_by_one(bytes(body), api, status=each.status, headers=each.headers)


class TestRedaction:
    @pytest.mark.parametrize("kind", SECRETS)
    @pytest.mark.parametrize("size", [4, 30, 71, 0])
    def test_secret_split_over_joined_messages_is_taken_out(self, kind: str, size: int) -> None:
        secret = SECRETS[kind]
        said = f"{' '.join(words(60))} {secret} {' '.join(words(60))}"
        parts = [chat(said[at : at + 3]) for at in range(0, len(said), 3)]
        step = size or len(parts)
        redactor = Redactor(key=KEY)
        split, clean = splitter("openai.chat", 200, {}, may_join=True), redactor.stream("openai.chat")

        done: list[Event] = []
        for at in range(0, len(parts), step):
            done += clean.feed(split.feed(b"".join(parts[at : at + step])))
        done += clean.feed(split.end()) + clean.end()

        raw = b"".join(event.raw for event in done)
        facts, _ = decoded(done)
        wire = "".join(data["choices"][0]["delta"]["content"] for _, data, _ in one_by_one(raw))
        token = Redactor(key=KEY).text(f" {secret} ")
        assert facts.text == wire == said.replace(f" {secret} ", token)
        assert raw.count(b"\n\n") == len(parts)
        assert [event.size for event in done if event.is_redacted] != []

    def test_only_the_last_word_waits_for_what_follows(self) -> None:
        split = splitter("openai.chat", 200, {}, may_join=True)
        clean = Redactor(key=KEY).stream("openai.chat")
        parts = [chat(text) for text in (*words(60), "unfin", "ished")]

        done = clean.feed(split.feed(b"".join(parts)))

        assert b"".join(event.raw for event in done) == b"".join(parts[:60])
        assert b"".join(event.raw for event in clean.end()) == b"".join(parts[60:])

    def test_secret_beside_the_text_is_taken_out_of_its_own_message(self) -> None:
        secret = SECRETS["anthropic"]
        parts = [chat(text, obfuscation="x") for text in words(60)]
        parts[40] = chat("w40 ", obfuscation=secret)
        split = splitter("openai.chat", 200, {}, may_join=True)
        clean = Redactor(key=KEY).stream("openai.chat")

        done = clean.feed(split.feed(b"".join(parts)))
        done += clean.end()

        raw = b"".join(event.raw for event in done)
        assert secret.encode() not in raw
        assert [event.data["obfuscation"] for event in done if event.is_redacted] == [
            Redactor(key=KEY).token("anthropic", secret)
        ]
        assert decoded(done)[0].text == "".join(words(60))

    @settings(max_examples=30, deadline=None)
    @given(st.randoms(use_true_random=False))
    def test_same_bytes_go_out_joined_and_one_by_one(self, chance: random.Random) -> None:
        pieces = [chance.choice((*words(9), "sk-", "ant-", "a", "", *SECRETS.values())) for _ in range(80)]
        parts = [chat("".join(pieces[at : at + chance.randint(1, 2)])) for at in range(80)]
        out = []
        for may_join in (True, False):
            split = splitter("openai.chat", 200, {}, may_join=may_join)
            clean = Redactor(key=KEY).stream("openai.chat")
            done = [
                event for at in (0, 40) for event in clean.feed(split.feed(b"".join(parts[at : at + 40])))
            ]
            done += clean.feed(split.end()) + clean.end()
            out.append((b"".join(event.raw for event in done), decoded(done)[0]))

        assert out[0] == out[1]
