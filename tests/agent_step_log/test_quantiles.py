"""Latencies: quantiles in constant memory, within the error they promise."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_step_log._quantiles import Latencies

durations = st.lists(st.floats(0, 1e12) | st.integers(0, 10**12), min_size=1, max_size=60)


def latencies_of(values: list[float]) -> Latencies:
    latencies = Latencies()
    for value in values:
        latencies.add(value)
    return latencies


def nearest_rank(values: list[float], per_mille: int) -> float:
    """The exact quantile, in whole numbers: the smallest value that so many of the values do not exceed."""
    rank = max(1, -(-per_mille * len(values) // 1000))
    return sorted(values)[rank - 1]


class TestQuantile:
    @given(durations, st.integers(1, 1000))
    def test_is_within_0_8_percent_of_the_exact_one(self, values: list[float], per_mille: int) -> None:
        found = latencies_of(values).quantile(per_mille / 1000)

        assert found == pytest.approx(nearest_rank(values, per_mille), rel=0.008)

    @given(durations)
    def test_never_exceeds_the_largest_value(self, values: list[float]) -> None:
        found = latencies_of(values).quantile(1)

        assert found is not None
        assert found <= max(values)

    @given(durations, durations)
    def test_merging_is_adding_both(self, some: list[float], others: list[float]) -> None:
        merged, together = latencies_of(some), latencies_of(some + others)
        merged.merge(latencies_of(others))

        assert merged.count == together.count
        assert merged.max == together.max
        assert [merged.quantile(q) for q in (0.5, 0.95, 1)] == [together.quantile(q) for q in (0.5, 0.95, 1)]
        assert merged.total == pytest.approx(together.total)

    def test_a_hundred_values_have_their_seventh_at_seven_percent(self) -> None:
        # 0.07 * 100 is a hair above 7 in floats.
        found = latencies_of([2.0**n for n in range(100)]).quantile(0.07)

        assert found == pytest.approx(2.0**6, rel=0.008)

    def test_zero_is_zero(self) -> None:
        assert latencies_of([0, 0, 5]).quantile(0.5) == 0.0

    @pytest.mark.parametrize("value", [5e-324, 1e-300, 1.7e308, math.nextafter(math.inf, 0), 10**300])
    def test_the_ends_of_the_range_are_held(self, value: float) -> None:
        assert latencies_of([value]).quantile(0.5) == pytest.approx(float(value), rel=0.008)

    @pytest.mark.parametrize("value", [-1, -0.5, math.inf, -math.inf, math.nan, 10**400, -(10**400)])
    def test_what_is_no_duration_is_not_counted(self, value: float) -> None:
        assert latencies_of([value]).count == 0

    def test_nothing_added_is_nothing_known(self) -> None:
        assert Latencies().quantile(0.5) is None
        assert Latencies().stats() == {"mean_ms": None, "p50_ms": None, "p95_ms": None, "max_ms": None}

    def test_stats_are_rounded_to_microseconds(self) -> None:
        assert latencies_of([1.23456, 1.23456]).stats()["mean_ms"] == 1.235

    def test_memory_follows_the_spread_of_the_values_not_their_number(self) -> None:
        latencies = latencies_of([n % 1000 / 10 for n in range(100_000)])

        assert len(latencies._buckets) < 64 * 12
