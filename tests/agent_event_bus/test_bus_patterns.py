from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_event_bus._patterns import matches, parse_pattern
from agent_event_bus.errors import EventBusError, InvalidPatternError


def naive(pieces: list[str], segments: list[str]) -> bool:
    """The definition, word for word; exponential, so for short ones only."""
    if not pieces:
        return not segments
    if pieces[0] == "**":
        return any(naive(pieces[1:], segments[n:]) for n in range(len(segments) + 1))
    return bool(segments) and pieces[0] in ("*", segments[0]) and naive(pieces[1:], segments[1:])


def means(pattern: str, topic: str) -> bool:
    return matches(parse_pattern(pattern), topic.split("."))


class TestMatches:
    @pytest.mark.parametrize(
        ("pattern", "topic"),
        [
            ("step", "step"),
            ("step.*", "step.llm_call"),
            ("*", "step"),
            ("*.*", "step.llm_call"),
            ("**", "step"),
            ("**", "a.b.c.d"),
            ("step.**", "step"),
            ("step.**", "step.a.b"),
            ("**.error", "error"),
            ("**.error", "a.b.error"),
            ("a.**.z", "a.z"),
            ("a.**.z", "a.b.c.z"),
            ("**.b.**", "a.b.c"),
            ("**.a.*.c", "a.a.b.c"),
            ("**.**", "a"),
        ],
    )
    def test_pattern_means_topic(self, pattern: str, topic: str) -> None:
        assert means(pattern, topic)

    @pytest.mark.parametrize(
        ("pattern", "topic"),
        [
            ("step", "steps"),
            ("step", "step.llm_call"),
            ("step.*", "step"),
            ("step.*", "step.a.b"),
            ("*", "a.b"),
            ("Step", "step"),
            ("**.error", "a.b.errors"),
            ("a.**.z", "a.b"),
            ("**.*.**.x", "x"),
            ("[a]", "a"),
            ("ste?", "step"),
        ],
    )
    def test_pattern_does_not_mean_topic(self, pattern: str, topic: str) -> None:
        assert not means(pattern, topic)

    @given(
        st.lists(st.sampled_from(["a", "b", "*", "**"]), min_size=1, max_size=7),
        st.lists(st.sampled_from(["a", "b", "c", ""]), min_size=1, max_size=7),
    )
    @settings(deadline=None, max_examples=500)
    def test_agrees_with_the_definition(self, pieces: list[str], segments: list[str]) -> None:
        assert matches(pieces, segments) == naive(pieces, segments)

    def test_hostile_pattern_takes_bounded_time(self) -> None:
        compared = 0

        class Counting(str):
            __slots__ = ()

            def __eq__(self, other: object) -> bool:
                nonlocal compared
                compared += 1
                return str.__eq__(self, other)

            __hash__ = str.__hash__

        pieces = [Counting(piece) for piece in ["**", "a"] * 50 + ["b"]]

        assert not matches(pieces, ["a"] * 200)
        assert compared < 10 * len(pieces) * 200


class TestParsePattern:
    @pytest.mark.parametrize("pattern", ["", ".", "a.", ".a", "a..b"])
    def test_empty_segment_is_refused(self, pattern: str) -> None:
        with pytest.raises(InvalidPatternError, match="has an empty segment") as caught:
            parse_pattern(pattern)
        assert caught.value.pattern == pattern
        assert isinstance(caught.value, EventBusError | ValueError)

    @pytest.mark.parametrize("pattern", ["step*", "a.*b", "***", "a.**b"])
    def test_wildcard_inside_a_segment_is_refused(self, pattern: str) -> None:
        with pytest.raises(InvalidPatternError, match="stands for whole segments"):
            parse_pattern(pattern)

    @pytest.mark.parametrize("pattern", [None, 7, b"a"])
    def test_what_is_no_string_is_refused(self, pattern: object) -> None:
        with pytest.raises(InvalidPatternError, match="is not a string"):
            parse_pattern(pattern)  # type: ignore[arg-type]
