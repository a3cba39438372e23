"""Figures, previews and tables: small renderers that know nothing of logs."""

from __future__ import annotations

from typing import Any

import pytest

from agent_stack._render.figures import clock, count, duration, moment, tokens
from agent_stack._render.lines import Line
from agent_stack._render.notes import short_ids
from agent_stack._render.preview import preview
from agent_stack._render.table import Column, render_table


class TestFigures:
    @pytest.mark.parametrize(
        ("ms", "text"),
        [
            (None, "?"),
            (0, "0.0 ms"),
            (0.26, "0.3 ms"),
            (812.4, "812 ms"),
            (999.6, "1.00 s"),
            (2310, "2.31 s"),
            (12_340, "12.3 s"),
            (59_960, "1m 00s"),
            (245_000, "4m 05s"),
            (7_620_000, "2h 07m"),
            (273_600_000, "3d 04h"),
            (-5, "-5 ms"),
            (float("inf"), "?"),
            (1e300, "1e+300 ms"),
        ],
    )
    def test_duration(self, ms: float | None, text: str) -> None:
        assert duration(ms) == text

    @pytest.mark.parametrize(
        ("number", "text"),
        [
            (0, "0"),
            (999, "999"),
            (1200, "1.2k"),
            (123_456, "123k"),
            (1_250_000, "1.2M"),
            (10**30, "…"),
            (-1500, "-1.5k"),
        ],
    )
    def test_count(self, number: int, text: str) -> None:
        assert count(number) == text

    def test_tokens_not_known_are_no_zero(self) -> None:
        assert tokens(None) == "?"
        assert tokens(0) == "0"

    @pytest.mark.parametrize(
        ("side", "text"), [("lower", "≥84"), ("upper", "≤84"), ("unknown", "~84"), (None, "84")]
    )
    def test_tokens_say_when_they_are_a_bound(self, side: str | None, text: str) -> None:
        assert tokens(84, side) == text

    def test_clock_leaves_the_date_out_on_the_same_day(self) -> None:
        assert clock(1_700_000_000.0, today=1_700_000_100.0) == "22:13:20"
        assert clock(1_700_000_000.0, today=1_701_000_000.0) == "Nov 14 22:13"
        assert clock(1_700_000_000.0, today=1_800_000_000.0) == "2023-11-14"

    @pytest.mark.parametrize("ts", [1e308, -1e308, float("nan")])
    def test_a_time_outside_of_the_calendar_is_a_question_mark(self, ts: float) -> None:
        assert moment(ts) == clock(ts) == "?"


class TestPreview:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ("two\n  words", "two words"),
            ({"path": "a.py", "n": 3}, "path=a.py n=3"),
            ({"q": "two words", "e": ""}, 'q="two words" e=""'),
            ({"text": "hello"}, "hello"),
            ([{"type": "text", "text": "hi"}, {"type": "tool_use", "input": {}}], "hi"),
            ([1, None, True, "x"], "[1, null, true, x]"),
            ({"a": {"b": {"c": {"d": 1}}}}, "a={b={c={…}}}"),
            (None, "null"),
            ({}, ""),
        ],
    )
    def test_says_it_in_a_few_words(self, value: Any, text: str) -> None:
        assert preview(value) == text

    def test_is_bounded_whatever_it_is_given(self) -> None:
        deep: object = "x"
        for _ in range(500):
            deep = [deep]
        assert len(preview("x " * 10**6)) <= 400
        assert preview(deep) == "[[[[…]]]]"
        assert len(preview({str(number): "y" * 1000 for number in range(1000)})) <= 400
        assert preview(10**5000) == "…"


class TestShortIds:
    def test_generated_ids_are_known_by_their_last_eight(self) -> None:
        assert short_ids(["run_0193e2a51c4b7d3f9a6be1d2aaaa0001"]) == {
            "run_0193e2a51c4b7d3f9a6be1d2aaaa0001": "aaaa0001"
        }

    def test_names_are_cut_at_a_separator(self) -> None:
        assert short_ids(["customer-support-4711"]) == {"customer-support-4711": "support-4711"}

    def test_short_ids_stay_whole(self) -> None:
        assert short_ids(["run-a", ""]) == {"run-a": "run-a", "": ""}

    def test_equal_ends_grow_until_they_differ(self) -> None:
        one, two = "run_" + "1" * 24 + "00000001", "run_" + "2" * 24 + "00000001"
        assert short_ids([one, two]) == {one: one[-16:], two: two[-16:]}

    def test_an_id_that_is_the_end_of_another(self) -> None:
        long = "x" * 30
        names = short_ids([long, long[:20]])
        assert len(set(names.values())) == 2


class TestTable:
    columns = (Column("NAME", least=4), Column("EXTRA", rank=1), Column("N", is_right=True))
    rows = ([("alpha", ""), ("some words", ""), ("1", "")], [("beta gamma", ""), ("x", ""), ("22", "")])

    def drawn(self, width: int) -> Any:
        return [str(line) for lines in render_table(self.columns, self.rows, width) for line in lines]

    def test_numbers_stand_at_the_right(self) -> None:
        assert self.drawn(40) == [
            "  NAME        EXTRA        N",
            "  alpha       some words   1",
            "  beta gamma  x           22",
        ]

    def test_gaps_then_columns_shrink(self) -> None:
        assert self.drawn(26)[2] == "  beta gamma x          22"
        assert self.drawn(22)[2] == "  beta … x          22"

    def test_the_column_of_highest_rank_goes_first(self) -> None:
        assert self.drawn(16) == ["  NAME        N", "  alpha       1", "  beta gamma 22"]

    def test_wide_characters_keep_the_columns_straight(self) -> None:
        rows = [[("日本", ""), ("x", ""), ("1", "")], [("ab", ""), ("y", ""), ("2", "")]]
        lines = [str(line) for lines in render_table(self.columns, rows, 40) for line in lines]
        assert lines[1:] == ["  日本  x      1", "  ab    y      2"]


class TestLine:
    def test_whatever_is_added_is_safe(self) -> None:
        assert str(Line("\x1b[31m").add("\x07", "bold")) == "␛[31m␇"

    def test_right_keeps_one_space_at_the_least(self) -> None:
        assert str(Line("abcdef").right(Line("xy"), 5)) == "abcdef xy"
        assert str(Line("ab").right(Line("xy"), 8)) == "ab    xy"
