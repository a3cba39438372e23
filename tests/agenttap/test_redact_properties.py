"""A secret survives nowhere, all else survives byte for byte: whatever is around it, however it is cut."""

from __future__ import annotations

import json
import random
import re
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agenttap._events import Event
from agenttap._patterns import find
from agenttap._redact import Redactor
from tests.agenttap.redact_samples import KINDS, secret_of, text_deltas

KEY = b"k" * 32
TOKEN = re.compile(r"<redacted:[a-z_]+:[0-9a-f]{8}>")

#: What may stand beside a secret without being taken for a part of it.
_EDGE = st.sampled_from(
    ["", " ", "\n", "\t", "'", "(", ",", ";", "é", "中", "😀", "\u2028", "\\", '"', "|", "\x00", "\x1b[1m"]
)
_TEXT = st.text(max_size=30).filter(lambda text: not find(text))
secrets = st.builds(secret_of, st.sampled_from(sorted(KINDS)), st.integers(0, 9999).map(random.Random))


@st.composite
def around(draw: st.DrawFn) -> tuple[str, str, str]:
    """What is before a secret, the secret, and what is behind it."""
    before, behind = draw(_TEXT) + draw(_EDGE), draw(_EDGE) + draw(_TEXT)
    # A key that runs into a word is no key any more, or a longer one.
    before = before if not re.search(r"[A-Za-z0-9_+/=-]\Z", before) else before + " "
    behind = behind if not re.match(r"[A-Za-z0-9_+/=.-]", behind) else " " + behind
    return before, draw(secrets), behind


@st.composite
def documents(draw: st.DrawFn) -> tuple[Any, Any, str]:
    """A JSON value with a secret somewhere, the same with "T" in its place, and the secret."""
    before, secret, behind = draw(around())
    value: Any = before + secret + behind
    clean: Any = before + "T" + behind
    plain = st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _TEXT,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text('abc é\n"', max_size=4), inner, max_size=3)
        ),
        max_leaves=6,
    )
    for _ in range(draw(st.integers(0, 4))):
        others = draw(st.lists(plain, max_size=2))
        form = draw(st.sampled_from(["list", "object", "name", "json"]))
        if form == "list":
            value, clean = [*others, value], [*others, clean]
        elif form == "object" or not isinstance(value, str):
            value, clean = {"a": others, "é": value}, {"a": others, "é": clean}
        elif form == "name":
            value, clean = {value: others}, {clean: others}
        else:
            value, clean = json.dumps([others, value]), json.dumps([others, clean])
    return value, clean, secret


def encoded(value: Any, how: int) -> bytes:
    """Encode *value* in one of several ways that are all right."""
    text = json.dumps(value, ensure_ascii=how % 2 == 0, indent=2 if how == 2 else None)
    if how >= 3:
        # Every third character of a string as an escape, needed or not.
        rng = random.Random(how)
        text = re.sub(
            r"\\u[0-9a-f]{4}|\\.|[a-zA-Z0-9_./:@-]",
            lambda each: f"\\u{ord(each[0]):04x}" if len(each[0]) == 1 and rng.random() < 0.3 else each[0],
            json.dumps(value),
        )
    return text.encode("utf-8", "surrogatepass")


class TestEverywhere:
    @given(documents(), st.integers(0, 2))
    def test_secret_in_a_body_goes_and_all_else_stays_byte_for_byte(
        self, document: tuple[Any, Any, str], how: int
    ) -> None:
        value, clean, _ = document
        body = encoded(value, how)

        new, found = Redactor(key=KEY).body(body)

        assert found == 1
        assert TOKEN.sub("T", new.decode("utf-8", "surrogatepass")).encode(
            "utf-8", "surrogatepass"
        ) == encoded(clean, how)
        assert Redactor(key=KEY).body(new) == (new, 0)

    @given(documents(), st.integers(3, 1000))
    def test_secret_in_needless_escapes_goes_and_the_value_is_the_same(
        self, document: tuple[Any, Any, str], how: int
    ) -> None:
        value, clean, _ = document
        body = encoded([value], how)
        try:
            json.loads(body)
        except ValueError:
            body = encoded([value], 0)  # an escape hit a number or a literal

        new, found = Redactor(key=KEY).body(body)

        assert found == 1
        assert json.loads(TOKEN.sub("T", new.decode("utf-8", "surrogatepass"))) == [clean]

    @given(documents())
    def test_value_and_body_come_to_the_same(self, document: tuple[Any, Any, str]) -> None:
        value, clean, _ = document
        redactor = Redactor(key=KEY)

        new = redactor.value([value])

        assert json.loads(TOKEN.sub("T", json.dumps(new))) == json.loads(json.dumps([clean]))
        assert json.loads(redactor.body(json.dumps([value]).encode())[0]) == new

    @given(
        st.binary(max_size=300)
        | st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass"))
    )
    def test_any_bytes_go_through(self, body: bytes) -> None:
        new, found = Redactor(key=KEY).body(body)

        assert (new is body) == (found == 0)

    @given(around(), st.lists(st.integers(0, 4000), max_size=30), st.integers(1, 9), st.booleans())
    def test_secret_cut_anywhere_never_passes(
        self, parts: tuple[str, str, str], cuts: list[int], batch: int, is_ascii: bool
    ) -> None:
        before, secret, behind = parts
        text = before + secret + behind
        places = sorted({cut % (len(text) + 1) for cut in cuts} | {0, len(text)})
        events = []
        for start, end in pairwise(places):
            data = {"index": 0, "delta": {"text": text[start:end]}}
            raw = json.dumps(data, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass")
            events.append(Event(b"data: " + raw + b"\n\n", data))
        redactor = Redactor(key=KEY)
        stream = redactor.stream("any", deltas=text_deltas)

        passed = []
        for at in range(0, len(events), batch):
            passed += stream.feed(events[at : at + batch])
        passed += stream.end()

        assert passed == events
        said = "".join(json.loads(event.raw[6:])["delta"]["text"] for event in passed)
        assert TOKEN.sub("T", said, count=1) == before + "T" + behind
        assert redactor.found == 1

    @given(st.lists(_TEXT, max_size=20), st.integers(1, 5))
    def test_stream_without_a_secret_passes_untouched(self, texts: list[str], batch: int) -> None:
        if find("".join(texts)):
            return
        events = [
            Event(b"data: " + json.dumps(each).encode() + b"\n\n", {"index": 0, "delta": {"text": each}})
            for each in texts
        ]
        raws = [event.raw for event in events]
        stream = Redactor(key=KEY).stream("any", deltas=text_deltas)

        passed = []
        for at in range(0, len(events), batch):
            passed += stream.feed(events[at : at + batch])
        passed += stream.end()

        assert [id(event) for event in passed] == [id(event) for event in events]
        assert [event.raw for event in passed] == raws

    @given(around(), st.lists(st.integers(0, 4000), max_size=20))
    @settings(max_examples=50)
    def test_bytes_cut_anywhere_are_joined(self, parts: tuple[str, str, str], cuts: list[int]) -> None:
        text = "".join(parts).encode("utf-8", "surrogatepass")
        places = sorted({cut % (len(text) + 1) for cut in cuts} | {0, len(text)})
        stream = Redactor(key=KEY).stream("any", deltas=text_deltas)

        passed = []
        for start, end in pairwise(places):
            passed += stream.feed([Event(text[start:end])])
        passed += stream.end()

        said = b"".join(event.raw for event in passed).decode("utf-8", "surrogatepass")
        assert TOKEN.sub("T", said, count=1) == parts[0] + "T" + parts[2]
