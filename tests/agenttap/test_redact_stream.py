from __future__ import annotations

import json
import random
from base64 import b64decode, b64encode
from binascii import crc32
from typing import Any

import pytest

from agenttap._events import Event
from agenttap._redact import Redactor
from agenttap._redact_stream import HELD_BYTES, StreamRedactor
from tests.agenttap.redact_samples import SECRETS, text_deltas

KEY = b"k" * 32
ANTHROPIC = SECRETS["anthropic"]


def token(kind: str, secret: str) -> str:
    return Redactor(key=KEY).token(kind, secret)


def stream(**settings: Any) -> StreamRedactor:
    return Redactor(key=KEY, **settings).stream("any", deltas=text_deltas)


def sse(data: object, *, end: str = "\n") -> Event:
    return Event(f"event: x{end}data: {json.dumps(data)}{end}{end}".encode(), data, "x")


def delta(text: str, index: int = 0) -> Event:
    return sse({"index": index, "delta": {"text": text}})


def pieces(text: str, size: int, index: int = 0) -> list[Event]:
    return [delta(text[at : at + size], index) for at in range(0, len(text), size)]


def run(redactor: StreamRedactor, events: list[Event], batch: int = 1) -> list[Event]:
    done = []
    for at in range(0, len(events), batch):
        done += redactor.feed(events[at : at + batch])
    return done + redactor.end()


def said(events: list[Event], index: int = 0) -> str:
    """The text the events carry, by what stands on the wire."""
    found = [
        json.loads(line[5:])
        for event in events
        for line in event.raw.splitlines()
        if line.startswith(b"data:")
    ]
    return "".join(data["delta"]["text"] for data in found if data["index"] == index)


class TestPieces:
    @pytest.mark.parametrize("kind", SECRETS)
    @pytest.mark.parametrize("size", [1, 2, 5, 17, 1000])
    @pytest.mark.parametrize("batch", [1, 7, 10_000])
    def test_secret_in_pieces_never_passes(self, kind: str, size: int, batch: int) -> None:
        events = pieces(f"hello, {SECRETS[kind]} and so on", size)

        done = run(stream(), events, batch)

        assert done == events
        assert said(done) == f"hello, {token(kind.split()[0], SECRETS[kind])} and so on"
        assert [event.data for event in done] == [json.loads(event.raw.split(b"data: ")[1]) for event in done]

    @pytest.mark.parametrize("end", ["", "\n", '"', " x"])
    def test_secret_at_the_end_of_the_stream_does_not_pass(self, end: str) -> None:
        assert said(run(stream(), pieces(ANTHROPIC + end, 3))) == token("anthropic", ANTHROPIC) + end

    @pytest.mark.parametrize(
        ("text", "secret"),
        [
            ('{"cmd": "x", "password": "correct horse battery", "z": 1}', "correct horse battery"),
            ('{"a": "{\\"client_secret\\": \\"hunter2\\"}"}', "hunter2"),
            ("Authorization: Bearer abc123def456 ", "abc123def456"),
            ("Proxy-Authorization : Basic dXNlcjpwYXNz\n", "dXNlcjpwYXNz"),
            ("aws_secret_access_key = " + "aB3/" * 10 + "\n", "aB3/" * 10),
            ("go to postgres://bob:s3cr3t@db:5432/x now", "s3cr3t"),
            ('{"api_key" : "v"}', '"v"'),
        ],
    )
    @pytest.mark.parametrize("size", [1, 3, 10])
    def test_secret_behind_a_label_in_pieces_never_passes(self, text: str, secret: str, size: int) -> None:
        events = pieces(text, size)
        redactor = stream()
        passed = []
        for event in events:
            passed += redactor.feed([event])
            assert secret not in said(passed)

        passed += redactor.end()
        before, behind = text.split(secret.strip('"'))
        assert said(passed).startswith(before)
        assert said(passed).endswith(behind)
        assert secret not in said(passed)

    def test_texts_that_run_side_by_side_are_joined_each_for_itself(self) -> None:
        first, second = pieces(f"a {ANTHROPIC} b", 4, 0), pieces(f"c {SECRETS['openai']} d", 4, 1)
        mixed = [event for pair in zip(first, second, strict=False) for event in pair] + first[len(second) :]

        done = run(stream(), mixed)

        assert said(done, 0) == f"a {token('anthropic', ANTHROPIC)} b"
        assert ANTHROPIC not in said(done, 1)
        assert SECRETS["openai"][:30] not in said(done, 1)

    def test_piece_that_resembles_a_secret_by_itself_stays(self) -> None:
        events = [delta("ta"), delta("sk-abcdefghij1234567890abcdef"), delta(" is a word")]
        raws = [event.raw for event in events]

        assert [event.raw for event in run(stream(), events, 3)] == raws

    def test_unicode_escapes_in_pieces_of_json_are_undone_before_looking(self) -> None:
        escaped = "".join(f"\\u{ord(each):04x}" for each in ANTHROPIC)
        events = pieces(f'{{"a": "{escaped}"}}', 5)

        assert said(run(stream(), events)) == f'{{"a": "{token("anthropic", ANTHROPIC)}"}}'

    def test_secret_the_callback_keeps_leaves_the_event_as_it_is(self) -> None:
        events = [*pieces(f"a {ANTHROPIC} b", 9), sse({"type": "done", "text": ANTHROPIC})]
        raws = [event.raw for event in events]

        done = run(stream(callback=lambda kind, secret: secret), events)

        assert [event.raw for event in done] == raws
        assert not any(event.is_redacted for event in done)

    def test_own_patterns_are_joined_too(self) -> None:
        events = pieces("badge EMP-123456 of mine" + " and so on" * 40, 2)

        done = run(stream(patterns={"staff": r"EMP-\d+"}), events)

        assert said(done) == f"badge {token('staff', 'EMP-123456')} of mine" + " and so on" * 40


class TestPassing:
    def test_clean_events_pass_as_the_same_objects_with_the_same_bytes(self) -> None:
        events = [*pieces("The task-list is done. " * 40, 3), sse({"type": "ping"}), Event(b": comment\n\n")]
        raws = [event.raw for event in events]

        done = run(stream(), list(events), 5)

        assert [id(event) for event in done] == [id(event) for event in events]
        assert [event.raw for event in done] == raws
        assert not any(event.is_redacted for event in done)

    def test_only_what_was_changed_is_marked(self) -> None:
        events = [
            delta("hello "),
            delta(ANTHROPIC[:20]),
            delta(ANTHROPIC[20:]),
            delta(" bye "),
            sse({"type": "ping"}),
        ]

        assert [event.is_redacted for event in run(stream(), events)] == [False, True, True, False, False]

    def test_event_passes_once_the_next_word_begins(self) -> None:
        redactor = stream()

        assert redactor.feed([delta("Hello")]) == []
        assert len(redactor.feed([delta(" wor")])) == 1
        assert len(redactor.feed([delta("ld. ")])) == 2

    def test_events_stay_in_order_behind_one_that_waits(self) -> None:
        redactor = stream()
        waiting, ping = delta("sk-ant-"), sse({"type": "ping"})

        assert redactor.feed([waiting, ping]) == []
        assert redactor.end() == [waiting, ping]

    def test_bytes_held_are_bounded_and_a_secret_that_goes_on_is_still_taken_out(self) -> None:
        redactor = stream()
        begun = delta("key: " + ANTHROPIC[:30])
        pings = [sse({"type": "ping", "pad": "x" * 1000}) for _ in range(HELD_BYTES // 1000)]

        passed = redactor.feed([begun])
        assert passed == []
        passed = redactor.feed(pings)
        assert passed == [begun, *pings]
        rest = redactor.feed([delta(ANTHROPIC[30:] + " end")]) + redactor.end()
        assert ANTHROPIC[30:60] not in said(rest)
        assert said(rest).endswith(" end")

    def test_endless_word_is_not_held(self) -> None:
        redactor, held, most = stream(), 0, 0
        for _ in range(2000):
            held += 1 - len(redactor.feed([delta("QUJD" * 16)]))
            most = max(most, held)

        assert most <= 512 // 64 + 1

    def test_many_channels_are_not_kept(self) -> None:
        redactor = stream()
        for index in range(5000):
            redactor.feed([delta("word ", index)])

        assert len(redactor._channels) <= 1024

    def test_deltas_that_fail_do_not_stop_the_stream(self) -> None:
        def broken(api: str, data: object) -> list[Any]:
            raise ValueError

        events = [delta(f"a {ANTHROPIC} b"), delta("c")]

        done = run(Redactor(key=KEY).stream("any", deltas=broken), events)

        assert said(done) == f"a {token('anthropic', ANTHROPIC)} bc"


class TestFraming:
    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    def test_lines_of_an_sse_event_stay_but_for_its_data(self, end: str) -> None:
        data = {"type": "done", "text": ANTHROPIC}
        lines = [
            "id: 7",
            ": c",
            'data: {"type":  "done",',
            f'data: "text": "{ANTHROPIC}"}}',
            "retry: 5",
            "",
            "",
        ]
        event = Event(end.join(lines).encode(), data, None)

        (done,) = run(stream(), [event])

        assert ANTHROPIC.encode() not in done.raw
        assert done.raw.startswith(f"id: 7{end}: c{end}data: ".encode())
        assert done.raw.endswith(f"{end}retry: 5{end}{end}".encode())
        assert done.data == {"type": "done", "text": token("anthropic", ANTHROPIC)}

    def test_event_in_one_piece_keeps_all_other_bytes(self) -> None:
        raw = b'event: done\ndata: {"n": 1.0, "t" :"%s"}\n\n'
        event = Event(raw % ANTHROPIC.encode(), {"n": 1.0, "t": ANTHROPIC}, "done")

        (done,) = run(stream(), [event])

        assert done.raw == raw % token("anthropic", ANTHROPIC).encode()
        assert done.is_redacted

    @pytest.mark.parametrize(
        ("before", "after"), [(b"", b"\n"), (b"[", b""), (b",\r\n", b"\n]"), (b" ", b"\n")]
    )
    def test_line_of_json_keeps_what_is_around_it(self, before: bytes, after: bytes) -> None:
        data = {"index": 0, "delta": {"text": f"say {ANTHROPIC} "}}
        event = Event(before + json.dumps(data).encode() + after, data)

        (done,) = run(stream(), [event])

        text = f"say {token('anthropic', ANTHROPIC)} "
        assert done.raw.startswith(before + b"{")
        assert done.raw.endswith(b"}" + after)
        assert json.loads(done.raw[len(before) : len(done.raw) - len(after)])["delta"]["text"] == text

    def test_document_in_one_event_keeps_all_other_bytes(self) -> None:
        raw = b'{\n  "password": "pw",\n  "n": 1.50, "t": ["%s"]\n}\n'
        event = Event(raw % ANTHROPIC.encode(), json.loads(raw % ANTHROPIC.encode()))

        (done,) = run(stream(), [event])

        expected = raw.replace(b'"pw"', f'"{token("credential", "pw")}"'.encode())
        assert done.raw == expected % token("anthropic", ANTHROPIC).encode()
        assert done.data == json.loads(done.raw)

    def test_bytes_that_are_no_json_are_joined_over_events(self) -> None:
        text = f"<html>{ANTHROPIC}</html>".encode()
        events = [Event(text[at : at + 10]) for at in range(0, len(text), 10)]

        done = run(stream(), events)

        assert (
            b"".join(event.raw for event in done) == f"<html>{token('anthropic', ANTHROPIC)}</html>".encode()
        )

    def test_binary_bytes_pass_unchanged(self) -> None:
        raws = [random.Random(n).randbytes(5000) for n in range(20)]

        assert [event.raw for event in run(stream(), [Event(raw) for raw in raws])] == raws

    @pytest.mark.parametrize("is_packed", [False, True])
    def test_event_stream_message_is_made_anew_with_its_checksums(self, is_packed: bool) -> None:
        events = []
        for part in (ANTHROPIC[:50], ANTHROPIC[50:] + " x"):
            data = {"index": 0, "delta": {"text": part}}
            payload: Any = (
                {"bytes": b64encode(json.dumps(data).encode()).decode(), "p": "abc"} if is_packed else data
            )
            events.append(Event(frame(json.dumps(payload).encode()), data, "chunk"))

        done = run(stream(), events)

        texts = []
        for event in done:
            payload = json.loads(unframed(event.raw))
            if is_packed:
                assert payload["p"] == "abc"
                payload = json.loads(b64decode(payload["bytes"]))
            texts.append(payload["delta"]["text"])
            assert event.is_redacted
        assert texts == [token("anthropic", ANTHROPIC), " x"]

    def test_secret_packed_into_an_event_stream_message_by_itself_is_found(self) -> None:
        data = {"type": "error", "message": f"bad key {ANTHROPIC}"}
        payload = json.dumps({"bytes": b64encode(json.dumps(data).encode()).decode()}).encode()

        (done,) = run(stream(), [Event(frame(payload), data, "chunk")])

        inner = json.loads(b64decode(json.loads(unframed(done.raw))["bytes"]))
        assert inner == {"type": "error", "message": f"bad key {token('anthropic', ANTHROPIC)}"}


def frame(payload: bytes) -> bytes:
    headers = b"\x0b:event-type\x07\x00\x05chunk"
    prelude = (16 + len(headers) + len(payload)).to_bytes(4, "big") + len(headers).to_bytes(4, "big")
    message = prelude + crc32(prelude).to_bytes(4, "big") + headers + payload
    return message + crc32(message).to_bytes(4, "big")


def unframed(raw: bytes) -> bytes:
    assert int.from_bytes(raw[:4], "big") == len(raw)
    assert int.from_bytes(raw[8:12], "big") == crc32(raw[:8])
    assert int.from_bytes(raw[-4:], "big") == crc32(raw[:-4])
    return raw[12 + int.from_bytes(raw[4:8], "big") : -4]
