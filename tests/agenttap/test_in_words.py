"""Tool calls that a history tells in words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenttap.decoders._in_words import results_in_words
from agenttap.decoders._types import ToolResult


def asked(*calls: tuple[str, str, Any]) -> dict[str, Any]:
    written = [
        {"id": id_, "type": "function", "function": {"name": n, "arguments": a}} for id_, n, a in calls
    ]
    return {
        "role": "assistant",
        "content": [{"type": "text", "text": f"I think.\nCalling tools:\n{written}"}],
    }


def told(text: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": text}]}


class TestResultsInWords:
    def test_one_call_has_the_whole_observation(self) -> None:
        history = [told("Hi"), asked(("c1", "look", {"at": "sky"})), told("Observation:\nblue\nand wide")]

        (result,) = results_in_words(history)

        assert result == ToolResult("c1", "look", {"at": "sky"}, "blue\nand wide", None)

    def test_several_calls_have_a_line_each(self) -> None:
        history = [asked(("c1", "look", {}), ("c2", "hear", {})), told("Observation:\nblue\nbirds")]

        assert [result.output for result in results_in_words(history)] == ["blue", "birds"]

    def test_several_calls_have_the_whole_where_lines_cannot_be_told_apart(self) -> None:
        history = [asked(("c1", "look", {}), ("c2", "hear", {})), told("Observation:\nblue\nbirds\nbees")]

        assert [result.output for result in results_in_words(history)] == ["blue\nbirds\nbees"] * 2

    def test_failed_call_is_an_error(self) -> None:
        history = [asked(("c1", "look", "{}")), told("Call id: c1\nError:\nIt is dark.")]

        (result,) = results_in_words(history)

        assert (result.arguments, result.output, result.is_error) == ({}, "It is dark.", True)

    @pytest.mark.parametrize(
        "messages",
        [
            [told("Observation:\nof nothing")],
            [asked(("c1", "look", {})), told("What now?")],
            [asked(("c1", "look", {}))],
            [
                {"role": "assistant", "content": "Calling tools:\n[1, {'function': 2}]"},
                told("Observation:\nx"),
            ],
            [{"role": "assistant", "content": "Calling tools:\n" + "[" * 100_000}, told("Observation:\nx")],
            [{"role": "assistant", "content": "Calling tools:\n__import__('os')"}, told("Observation:\nx")],
            [{"role": "assistant"}, {"content": None}],
        ],
    )
    def test_words_that_only_look_like_it_are_none(self, messages: list[dict[str, Any]]) -> None:
        assert list(results_in_words(messages)) == []

    @given(st.text(), st.text())
    def test_no_text_raises(self, first: str, second: str) -> None:
        history = [
            {"role": "assistant", "content": f"Calling tools:\n[{first}"},
            told(f"Observation:\n{second}"),
        ]

        list(results_in_words(history))
