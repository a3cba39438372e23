from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agenttap import _framing
from agenttap._framing import RAW_BYTES, splitter
from tests.agenttap.decoders.recordings import frame, load

RECORDINGS = [each for each in load() if each.body]


def cut(
    body: bytes, api: str = "unknown", content_type: str = "", *, status: int = 200, size: int = 0
) -> list[tuple[bytes, Any, str | None]]:
    """Cut *body*, fed whole or in pieces of *size* bytes."""
    split = splitter(api, status, {"content-type": content_type} if content_type else {})
    pieces = [body[at : at + size] for at in range(0, len(body), size)] if size else [body]
    events = [event for piece in pieces for event in split.feed(piece)] + split.end()
    return [(event.raw, event.data, event.name) for event in events]


def data_of(body: bytes, api: str = "unknown", content_type: str = "") -> list[Any]:
    return [data for _, data, _ in cut(body, api, content_type)]


class TestSse:
    def test_message_is_one_event_with_its_empty_line(self) -> None:
        body = b'event: ping\ndata: {"a": 1}\n\ndata: {"b": 2}\n\n'

        assert cut(body) == [
            (b'event: ping\ndata: {"a": 1}\n\n', {"a": 1}, "ping"),
            (b'data: {"b": 2}\n\n', {"b": 2}, None),
        ]

    @pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
    def test_any_line_ending_will_do(self, end: bytes) -> None:
        body = end.join([b"event: x", b'data: {"a": 1}', b"", b'data: {"b": 2}', b"", b""])

        assert [(data, name) for _, data, name in cut(body)] == [({"a": 1}, "x"), ({"b": 2}, None)]

    def test_lines_of_data_are_one_document(self) -> None:
        assert data_of(b'data: {"a":\ndata: 1}\n\n') == [{"a": 1}]

    def test_comments_ids_and_end_marks_have_no_data(self) -> None:
        body = b": PROCESSING\n\nid: 7\nretry: 10\n\ndata: [DONE]\n\n"

        assert data_of(body) == [None, None, None]

    def test_byte_order_mark_is_passed_over(self) -> None:
        assert data_of(b'\xef\xbb\xbfdata: {"a": 1}\n\n') == [{"a": 1}]

    def test_space_behind_the_colon_is_not_needed(self) -> None:
        assert cut(b'event:x\ndata:{"a": 1}\n\n') == [(b'event:x\ndata:{"a": 1}\n\n', {"a": 1}, "x")]

    def test_padding_behind_the_json_is_no_harm(self) -> None:
        assert data_of(b'data: {"a": 1}      \n\n') == [{"a": 1}]

    def test_line_break_inside_of_the_json_is_the_end_of_the_field(self) -> None:
        assert data_of(b'data: {"a":\n1}\n\n') == [None]

    def test_last_message_without_its_empty_line_is_read_if_it_is_whole(self) -> None:
        assert data_of(b'data: {"a": 1}\n\ndata: {"b": 2}') == [{"a": 1}, {"b": 2}]
        assert data_of(b'data: {"a": 1}\n\ndata: {"b": ') == [{"a": 1}, None]

    def test_bytes_that_are_no_utf8_are_marked(self) -> None:
        assert data_of(b'data: {"a": "\xff!"}\n\n') == [{"a": "\ufffd!"}]

    @pytest.mark.parametrize(
        "content_type", ["", "application/json", "text/html", "text/event-stream; charset=utf-8"]
    )
    def test_wrong_content_type_changes_nothing(self, content_type: str) -> None:
        assert data_of(b'data: {"a": 1}\n\n', content_type=content_type) == [{"a": 1}]

    def test_event_without_end_is_handed_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_framing, "MAX_EVENT_BYTES", 100_000)
        split = splitter("openai.chat", 200, {})
        body = b"data: " + b"x" * 300_000

        events = [event for at in range(0, len(body), 5000) for event in split.feed(body[at : at + 5000])]

        assert len(events) == len(body) // RAW_BYTES
        assert b"".join(event.raw for event in events + split.end()) == body


class TestDocuments:
    def test_document_is_one_event(self) -> None:
        body = b' {\n "a": [1, 2]\n}\n'

        assert cut(body) == [(body, {"a": [1, 2]}, None)]

    def test_error_in_the_place_of_a_stream_is_one_event(self) -> None:
        assert data_of(b'{"error": {"message": "no"}}', content_type="text/event-stream") == [
            {"error": {"message": "no"}}
        ]

    def test_documents_on_lines_of_their_own_are_events(self) -> None:
        assert cut(b'{"a": 1}\n{"b": 2}\r\n\n{"c": 3}') == [
            (b'{"a": 1}\n', {"a": 1}, None),
            (b'{"b": 2}\r\n', {"b": 2}, None),
            (b"\n", None, None),
            (b'{"c": 3}', {"c": 3}, None),
        ]

    def test_line_that_is_damaged_costs_no_other(self) -> None:
        body = b'{"a": \n{"b": 2}\n'

        assert data_of(body, content_type="application/x-ndjson") == [None, {"b": 2}]

    def test_document_that_was_cut_has_no_data(self) -> None:
        assert cut(b'{"a": [1, 2') == [(b'{"a": [1, 2', None, None)]

    @pytest.mark.parametrize("number", ["1e999", "9" * 5000, "1" + "0" * 400, "NaN"], ids=len)
    def test_odd_number_is_no_failure(self, number: str) -> None:
        assert len(cut(f'{{"a": {number}}}'.encode())) == 1

    @pytest.mark.parametrize(
        "body",
        [b"[" * 100_000, b'{"a":' * 100_000, b'data: {"a":' + b"[" * 100_000],
        ids=["lists", "objects", "event"],
    )
    def test_hostile_depth_is_no_failure(self, body: bytes) -> None:
        assert b"".join(raw for raw, _, _ in cut(body)) == body

    def test_document_without_end_is_handed_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_framing, "MAX_DOCUMENT_BYTES", 100_000)
        body = b'{"a": "' + b"x" * 300_000

        assert b"".join(raw for raw, _, _ in cut(body, size=7000)) == body
        assert len(cut(body, size=7000)) == len(body) // RAW_BYTES + 1


class TestArrays:
    BODY = b'[{"a": "]}[\\"{"}\n,\r\n{"b": [[1], {}]},\n{"c": 3}\n]\n'

    def test_element_is_one_event(self) -> None:
        assert cut(self.BODY, "gemini.generate_content") == [
            (b'[{"a": "]}[\\"{"}', {"a": ']}["{'}, None),
            (b'\n,\r\n{"b": [[1], {}]}', {"b": [[1], {}]}, None),
            (b',\n{"c": 3}', {"c": 3}, None),
            (b"\n]\n", None, None),
        ]

    def test_array_of_another_api_is_one_document(self) -> None:
        assert data_of(self.BODY) == [[{"a": ']}["{'}, {"b": [[1], {}]}, {"c": 3}]]

    def test_element_that_was_cut_has_no_data(self) -> None:
        assert data_of(self.BODY[:30], "gemini.generate_content") == [{"a": ']}["{'}, None]


class TestFrames:
    def test_frame_is_one_event(self) -> None:
        body = frame({":event-type": "messageStart"}, b'{"role":"assistant"}')

        assert cut(body) == [(body, {"role": "assistant"}, "messageStart")]

    def test_exception_has_its_type_for_a_name(self) -> None:
        headers = {":message-type": "exception", ":exception-type": "throttlingException"}

        assert cut(frame(headers, b'{"message":"slow"}'))[0][1:] == (
            {"message": "slow"},
            "throttlingException",
        )

    def test_error_without_payload_has_its_message(self) -> None:
        headers = {":message-type": "error", ":error-code": "InternalError", ":error-message": "oh"}

        assert cut(frame(headers, b""))[0][1:] == ({"message": "oh"}, "InternalError")

    def test_json_inside_of_base64_is_the_data(self) -> None:
        body = frame({":event-type": "chunk"}, b'{"bytes":"eyJ0eXBlIjoicGluZyJ9","p":"abc"}')

        assert cut(body)[0][1:] == ({"type": "ping"}, "chunk")

    @pytest.mark.parametrize("place", [2, 9, 20, -6, -1])
    def test_damaged_frame_ends_what_can_be_cut(self, place: int) -> None:
        good = frame({":event-type": "x"}, b'{"a": 1}')
        bad = bytearray(good)
        bad[place] ^= 1

        assert [data for _, data, _ in cut(good + bytes(bad) + good)] == [{"a": 1}, None]


class TestOther:
    def test_page_is_handed_on_in_pieces(self) -> None:
        body = b"<html>" + b"x" * (2 * RAW_BYTES)

        assert [len(raw) for raw, _, _ in cut(body, content_type="text/event-stream")] == [
            RAW_BYTES,
            RAW_BYTES,
            6,
        ]

    def test_nothing_is_no_event(self) -> None:
        assert cut(b"") == []

    def test_white_space_without_end_is_not_held(self) -> None:
        assert len(cut(b" " * (3 * RAW_BYTES), size=100)) == 3


PIECES = [
    *(b"data: ", b"event: ", b"x", b"{}", b'{"a":1}', b"\n", b"\r", b"\r\n", b": c", b"[", b"]", b","),
    *(b'"', b"\\", b"\xef\xbb\xbf", b" ", frame({":event-type": "x"}, b"{}"), b"\xff", b"[DONE]"),
]
BODIES = st.one_of(
    st.binary(max_size=200),
    st.lists(
        st.sampled_from(PIECES),
        max_size=30,
    ).map(b"".join),
)
TYPES = ["", "text/event-stream", "application/json", "application/x-ndjson", "text/plain"]
APIS = ["openai.chat", "gemini.generate_content", "ollama.chat", "bedrock.converse"]


class TestChunks:
    @settings(max_examples=400, deadline=None)
    @given(
        body=BODIES,
        size=st.integers(1, 20),
        content_type=st.sampled_from(TYPES),
        api=st.sampled_from(APIS),
    )
    def test_chunks_change_no_event_and_no_byte_is_lost(
        self, body: bytes, size: int, content_type: str, api: str
    ) -> None:
        whole = cut(body, api, content_type)

        assert b"".join(raw for raw, _, _ in whole) == body
        assert cut(body, api, content_type, size=size) == whole

    @settings(max_examples=60, deadline=None)
    @given(data=st.data())
    def test_chunks_change_no_event_of_a_real_response(self, data: st.DataObject) -> None:
        each = data.draw(st.sampled_from(RECORDINGS))
        content_type = each.headers.get("content-type", "")
        size = data.draw(st.integers(1, 3000))
        api = each.api or "unknown"

        whole = cut(each.body, api, content_type)

        assert b"".join(raw for raw, _, _ in whole) == each.body
        assert cut(each.body, api, content_type, size=size) == whole

    @settings(max_examples=40, deadline=None)
    @given(
        st.lists(
            st.dictionaries(st.text(max_size=3), st.text(max_size=10) | st.integers(-5, 5), min_size=1),
            min_size=1,
            max_size=5,
        )
    )
    def test_what_is_framed_comes_out(self, values: list[dict[str, Any]]) -> None:
        texts = [json.dumps(value).encode() for value in values]

        assert data_of(b"".join(b"data: " + text + b"\n\n" for text in texts)) == values
        assert (
            data_of(b"".join(text + b"\n" for text in texts), content_type="application/x-ndjson") == values
        )
        assert data_of(b"[" + b",".join(texts) + b"]", "gemini.x")[: len(values)] == values
        assert data_of(b"".join(frame({":event-type": "x"}, text) for text in texts)) == values
