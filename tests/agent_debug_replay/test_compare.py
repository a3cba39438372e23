"""Groups of runs against each other: published intervals, coverage by simulation, verdicts."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_debug_replay import FEWEST, RunSample, compare_groups
from agent_debug_replay._intervals import (
    mean_ratio,
    quantile,
    quantile_ratio,
    rate_difference,
    share,
    share_difference,
)


def sample(group: str, number: int, **more: object) -> RunSample:
    facts: dict[str, object] = {
        "status": "ok", "started_at": float(number), "duration_ms": 1000.0, "steps": 4,
    }  # fmt: skip
    return RunSample(run_id=f"{group}-{number}", group=group, **(facts | more))  # type: ignore[arg-type]


def figures(samples: list[RunSample], **more: str) -> dict[str, tuple[float | None, float | None, str]]:
    [contrast] = compare_groups(samples, **more)
    return {each.name: (each.base, each.value, each.verdict) for each in contrast.figures}


class TestIntervals:
    """Against figures in print: Newcombe 1998, Statistics in Medicine 17, tables of both papers."""

    @pytest.mark.parametrize(
        ("hits", "of", "low", "high"),
        [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
    )
    def test_of_a_share_is_wilsons(self, hits: int, of: int, low: float, high: float) -> None:
        found = share(hits, of)

        assert (round(found.low, 4), round(found.high, 4)) == (low, high)

    @pytest.mark.parametrize(
        ("one", "two", "low", "high"),
        [
            ((56, 70), (48, 80), 0.0524, 0.3339),
            ((9, 10), (3, 10), 0.1705, 0.8090),
            ((10, 10), (0, 10), 0.6075, 1.0000),
        ],
    )
    def test_of_a_difference_is_newcombes(
        self, one: tuple[int, int], two: tuple[int, int], low: float, high: float
    ) -> None:
        found = share_difference(*one, *two)

        assert (round(found.low, 4), round(found.high, 4)) == (low, high)

    def test_of_nothing_is_everything(self) -> None:
        assert share(0, 0)[1:] == (0.0, 1.0)

    @pytest.mark.parametrize("q", [0.5, 0.95])
    def test_of_quantiles_hold_the_truth_about_as_often_as_they_say(self, q: float) -> None:
        chance = random.Random(11)
        truth, hits, rounds = 1.5, 0, 60
        for _ in range(rounds):
            base = [chance.lognormvariate(0, 0.7) for _ in range(80)]
            runs = [truth * chance.lognormvariate(0, 0.7) for _ in range(80)]
            found = quantile_ratio(runs, base, q)
            assert found is not None
            hits += found.low <= truth <= found.high

        assert 0.87 <= hits / rounds <= 1.0

    def test_of_means_hold_the_truth_about_as_often_as_they_say(self) -> None:
        chance = random.Random(12)
        hits = 0
        for _ in range(300):
            base = [chance.expovariate(1) for _ in range(60)]
            runs = [1.2 * chance.expovariate(1) for _ in range(60)]
            found = mean_ratio(runs, base)
            assert found is not None
            hits += found.low <= 1.2 <= found.high

        assert 0.91 <= hits / 300 <= 0.98

    def test_of_rates_count_runs_and_not_calls(self) -> None:
        """One run with a thousand failures says no more than one run."""
        base = [(0, 10)] * 20
        one_bad_run = [(0, 10)] * 19 + [(1000, 1000)]
        all_worse = [(3, 10)] * 20

        bad, worse = rate_difference(one_bad_run, base), rate_difference(all_worse, base)

        assert bad is not None
        assert bad.low < 0 < bad.high
        assert worse is not None
        assert worse.low > 0

    @given(st.lists(st.floats(0, 1e9), min_size=1), st.sampled_from([0.5, 0.95]))
    def test_a_quantile_is_the_smallest_that_enough_values_do_not_exceed(
        self, values: list[float], q: float
    ) -> None:
        found = quantile(values, q)

        assert found in values
        assert sum(value <= found for value in values) >= q * len(values)
        assert sum(value < found for value in values) < q * len(values)


class TestVerdicts:
    def test_a_version_that_fails_more_and_takes_longer_is_worse(self) -> None:
        runs = [sample("1.0", n, duration_ms=900 + n % 7 * 30) for n in range(60)]
        runs += [
            sample("1.1", 100 + n, duration_ms=1900 + n % 5 * 30, status="error" if n % 2 else "ok")
            for n in range(60)
        ]

        found = figures(runs)

        assert found["runs that failed"] == (0.0, 0.5, "worse")
        assert found["run time, P50"][2] == "worse"
        assert found["steps a run"] == (4.0, 4.0, "no clear change")

    def test_a_faster_one_is_better(self) -> None:
        runs = [sample("a", n, duration_ms=2000 + n) for n in range(30)]
        runs += [sample("b", 50 + n, duration_ms=1000 + n) for n in range(30)]

        assert figures(runs)["run time, P95"][2] == "better"

    def test_nothing_is_claimed_of_a_few_runs(self) -> None:
        runs = [sample("a", n) for n in range(FEWEST - 1)]
        runs += [sample("b", 10 + n, status="error", duration_ms=9e9) for n in range(50)]

        assert {verdict for *_, verdict in figures(runs).values()} == {"too few runs", "not known"}
        [contrast] = compare_groups(runs)
        assert [figure.change for figure in contrast.figures] == [None] * len(contrast.figures)

    def test_what_no_run_told_is_not_known_and_never_zero(self) -> None:
        runs = [sample(group, n) for group in "ab" for n in range(20)]

        assert figures(runs)["tokens a run"] == (None, None, "not known")
        assert figures(runs)["cost a run"] == (None, None, "not known")

    def test_only_runs_that_told_count_for_a_figure(self) -> None:
        runs = [sample(group, n, usd=0.5 if n % 2 else None) for group in "ab" for n in range(20)]

        assert figures(runs)["cost a run"] == (0.5, 0.5, "no clear change")

    def test_runs_still_going_are_left_out(self) -> None:
        runs = [sample(group, n) for group in "ab" for n in range(9)]
        runs += [sample("b", 99, status="running"), sample("b", 98, status="unknown")]

        [contrast] = compare_groups(runs)

        assert (contrast.base_runs, contrast.runs) == (9, 9)

    def test_the_oldest_group_is_the_base_unless_one_is_named(self) -> None:
        runs = [sample("new", 50 + n) for n in range(9)] + [sample("old", n) for n in range(9)]

        assert [(each.base, each.group) for each in compare_groups(runs)] == [("old", "new")]
        assert [(each.base, each.group) for each in compare_groups(runs, base="new")] == [("new", "old")]

    def test_a_base_that_is_not_there_is_an_error(self) -> None:
        with pytest.raises(KeyError):
            compare_groups([sample("a", 1)], base="b")

    def test_of_no_runs_there_is_nothing_to_say(self) -> None:
        assert compare_groups([]) == []

    @settings(max_examples=8)
    @given(st.permutations(range(24)))
    def test_the_order_of_the_runs_does_not_matter(self, order: list[int]) -> None:
        runs = [sample("ab"[n % 2], n, duration_ms=float(n * n)) for n in range(24)]

        assert compare_groups([runs[n] for n in order]) == compare_groups(runs)
