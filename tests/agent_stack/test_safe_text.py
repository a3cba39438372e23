"""No text gets past `_safe` that a terminal would act on, and every width is counted in cells."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_stack import _safe

ANY_TEXT = st.text(st.characters(codec=None, categories=None), max_size=60)


def acts(char: str) -> bool:
    """Whether a terminal would act on *char*, or show nothing for it."""
    return unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or (
        unicodedata.category(char) == "Cf" and char not in "\u200c\u200d"
    )


class TestLine:
    @pytest.mark.parametrize(
        ("hostile", "shown"),
        [
            ("\x1b]0;owned\x07", "␛]0;owned␇"),
            ("\x1b[2J\x1b[31mred", "␛[2J␛[31mred"),
            ("a\x00b\x7fc", "a␀b␡c"),
            ("\x9b31m", "\\x9b31m"),
            ("safe\u202egnp.exe", "safe\\u202egnp.exe"),
            ("a\u2066b\u2069", "a\\u2066b\\u2069"),
            ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
            ("one\ntwo\rthree\u2028four", "one␊two␍three\\u2028four"),
            ("tag\U000e0041", "tag\\U000e0041"),
            ("\ud800", "\\ud800"),
            ("soft\xadhyphen", "soft\\xadhyphen"),
            ("\u3164\u2800", "\\u3164\\u2800"),
        ],
    )
    def test_what_a_terminal_would_act_on_is_shown(self, hostile: str, shown: str) -> None:
        assert _safe.line(hostile) == shown

    @pytest.mark.parametrize(
        "text", ["plain", "naïve café", "日本語", "שלום", "ไทย", "Ελλάδα", "🚀 go", "Tiếng Việt", "हिन्दी"]
    )
    def test_text_people_write_is_left_as_it_is(self, text: str) -> None:
        assert _safe.line(text) == text

    def test_a_flood_of_combining_marks_is_cut_at_four(self) -> None:
        assert _safe.line("a" + "\u0301" * 500 + "b") == "a" + "\u0301" * 4 + "…b"

    def test_a_mark_with_no_letter_gets_a_circle(self) -> None:
        assert _safe.line("\u0301") == "\u25cc\u0301"

    def test_joiners_stay_between_letters_that_need_them_and_nowhere_else(self) -> None:
        assert _safe.line("क्\u200dष") == "क्\u200dष"
        assert _safe.line("pay\u200dpal") == "pay\\u200dpal"

    def test_joined_emoji_come_apart_so_that_their_width_is_certain(self) -> None:
        assert _safe.line("👩\u200d💻") == "👩💻"
        assert _safe.line("❤\ufe0f") == "❤"

    def test_hidden_data_in_variation_selectors_shows(self) -> None:
        assert _safe.line("a\ufe0f\ufe0e\ufe0f") == "a\\ufe0e\\ufe0f"

    @given(ANY_TEXT)
    def test_nothing_a_terminal_acts_on_is_left(self, text: str) -> None:
        assert not [char for char in _safe.line(text) if acts(char)]

    @given(ANY_TEXT)
    def test_what_is_safe_stays_as_it_is_in_one_line(self, text: str) -> None:
        once = _safe.line(text)
        assert not [char for char in _safe.line(once) if acts(char)]


class TestFit:
    def test_short_text_is_whole(self) -> None:
        assert _safe.fit("abc", 3) == "abc"

    def test_long_text_ends_in_an_ellipsis_within_the_width(self) -> None:
        assert _safe.fit("abcdef", 4) == "abc…"

    def test_a_wide_character_is_not_cut_in_half(self) -> None:
        assert _safe.fit("日本語", 4) == "日…"
        assert _safe.fit("日本語", 5) == "日本…"

    @given(ANY_TEXT, st.integers(0, 40))
    def test_never_wider_than_asked(self, text: str, cells: int) -> None:
        assert _safe.width(_safe.fit(text, cells)) <= max(cells, 0)

    def test_the_work_follows_the_width_and_not_the_text(self) -> None:
        class Watched(str):
            seen = 0

            def __iter__(self) -> Any:
                for char in str.__iter__(self):
                    Watched.seen += 1
                    yield char

        _safe.fit(Watched("\u0645" * 1_000_000), 10)
        assert Watched.seen < 50


class TestWidth:
    @pytest.mark.parametrize(
        ("text", "cells"),
        [("abc", 3), ("日本", 4), ("e\u0301", 1), ("🚀", 2), ("\uff46", 2), ("─├◆", 3), ("", 0)],
    )
    def test_is_in_cells(self, text: str, cells: int) -> None:
        assert _safe.width(text) == cells


class TestBlock:
    def test_keeps_lines_and_turns_tabs_into_spaces(self) -> None:
        assert _safe.block("a\r\n\tb\n\x1bc") == ["a", "    b", "␛c"]


class TestWrap:
    def test_breaks_at_spaces_and_cuts_the_last_line(self) -> None:
        assert _safe.wrap("one two three four five six", 9, 2) == ["one two", "three fo…"]

    def test_a_word_wider_than_the_screen_is_cut(self) -> None:
        assert _safe.wrap("x" * 50, 10, 3) == ["x" * 9 + "…"]
