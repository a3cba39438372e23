"""The alignment of two sequences: as much as a table of all pairs finds, and never out of order."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_debug_replay import _align
from agent_debug_replay._align import align
from agent_debug_replay._align_window import blocks_in

if TYPE_CHECKING:
    from collections.abc import Sequence

FEW = st.lists(st.integers(0, 2), max_size=25)
MANY = st.lists(st.integers(0, 12), max_size=25)


def longest_common(one: Sequence[int], other: Sequence[int]) -> int:
    """The length of a longest common subsequence, by the table of all pairs."""
    row = [0] * (len(other) + 1)
    for left in one:
        before = 0
        for place, right in enumerate(other, 1):
            before, row[place] = row[place], before + 1 if left == right else max(row[place], row[place - 1])
    return row[-1]


def check(one: Sequence[int], other: Sequence[int]) -> int:
    """Hold what every alignment has to be; return how much it brought together."""
    i = j = 0
    for at, beside, size in align(one, other):
        assert size > 0
        assert at >= i
        assert beside >= j
        assert (at, beside) != (i, j) or i == 0 == j  # two that touch are one
        assert one[at : at + size] == other[beside : beside + size]
        i, j = at + size, beside + size
    assert i <= len(one)
    assert j <= len(other)
    return sum(size for _, _, size in align(one, other))


class TestAlign:
    @given(FEW, FEW)
    def test_of_few_keys_brings_together_as_much_as_can_be(self, one: list[int], other: list[int]) -> None:
        assert check(one, other) == longest_common(one, other)

    @given(MANY, MANY)
    def test_of_many_keys_brings_together_as_much_as_can_be(self, one: list[int], other: list[int]) -> None:
        assert check(one, other) == longest_common(one, other)

    @given(FEW, FEW)
    def test_brings_together_as_much_both_ways_round(self, one: list[int], other: list[int]) -> None:
        assert check(one, other) == check(other, one)

    @given(FEW)
    def test_of_a_sequence_with_itself_is_one_stretch(self, one: list[int]) -> None:
        assert align(one, one) == ([(0, 0, len(one))] if one else [])

    @given(FEW, FEW, FEW, FEW)
    def test_finds_long_equal_stretches_whole(
        self, one: list[int], head: list[int], other: list[int], tail: list[int]
    ) -> None:
        stretch = list(range(100, 400))
        assert check(one + stretch + head, other + stretch + tail) >= len(stretch)


class TestBeyondTheSureSearch:
    @pytest.fixture(autouse=True)
    def _small_search(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_align, "_SURE", 2)
        monkeypatch.setattr(_align, "MOST_ITEMS", 4)
        monkeypatch.setattr(_align, "_KEPT", 3)

    @given(MANY, MANY)
    def test_what_is_brought_together_is_equal_and_in_order(self, one: list[int], other: list[int]) -> None:
        assert check(one, other) <= longest_common(one, other)

    @given(FEW, FEW)
    def test_of_few_keys_is_equal_and_in_order_too(self, one: list[int], other: list[int]) -> None:
        assert check(one, other) <= longest_common(one, other)

    def test_keys_that_occur_once_are_anchors(self) -> None:
        one = [7, 1, 2, 7, 3, 7, 4, 5, 7]
        other = [1, 7, 7, 2, 3, 7, 7, 4, 7, 5]
        assert check(one, other) >= 5


class TestLongSequences:
    def test_of_random_keys_bring_together_most_of_what_can_be(self) -> None:
        chance = Random(1)
        one, other = ([chance.randrange(4) for _ in range(3_000)] for _ in range(2))
        assert check(one, other) >= 0.97 * longest_common(one, other)

    def test_that_drift_apart_are_followed(self) -> None:
        chance = Random(2)
        one = [chance.randrange(4) for _ in range(6_000)]
        other = [key for key in one if chance.random() < 0.8]
        assert check(one, other) >= 0.97 * len(other)

    def test_with_few_differences_far_apart_lose_none(self) -> None:
        chance = Random(3)
        one = [chance.randrange(3) for _ in range(20_000)]
        other = one.copy()
        for place in range(19_000, 0, -1_000):
            del other[place : place + 5]
        assert check(one, other) == len(other)


class TestWork:
    """Counted, not timed: the steps either search takes for a pair of long sequences."""

    @pytest.fixture
    def steps(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        counted: list[int] = []
        search = _align._Search._rounds
        window = blocks_in

        def count_rounds(self: _align._Search, effort: int) -> list[list[int]] | None:
            found = search(self, effort)
            counted.append(effort * effort if found is None else sum(map(len, found)) // 2)
            return found

        def count_rows(one: Sequence[int], other: Sequence[int]) -> list[tuple[int, int, int]]:
            counted.append(len(one))
            return window(one, other)

        monkeypatch.setattr(_align._Search, "_rounds", count_rounds)
        monkeypatch.setattr(_align, "blocks_in", count_rows)
        return counted

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ([0] * 20_000, [0] * 15_000),
            ([0, 1] * 10_000, [1, 0] * 10_000),
            ([0] * 10_000 + [1] * 10_000, [1] * 10_000 + [0] * 10_000),
            (
                [place * 7919 % 13 for place in range(20_000)],
                [place * 104729 % 11 for place in range(20_000)],
            ),
            (list(range(20_000)), list(range(20_000))[::-1]),
        ],
        ids=["one key", "alternating", "halves swapped", "few keys", "reversed"],
    )
    def test_follows_the_length_however_alike_the_keys(
        self, steps: list[int], one: list[int], other: list[int]
    ) -> None:
        check(one, other)
        assert sum(steps) < 2 * 4 * (len(one) + len(other))
