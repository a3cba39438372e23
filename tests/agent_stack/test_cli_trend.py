"""`agent-step-log trend`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_stack._render.trend import bar, spark
from tests.agent_stack.conftest import GONE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent_stack.conftest import Cli, WriteLog

DAY = 86_400.0


@pytest.fixture
def week(write_log: WriteLog, tmp_path: Path) -> Path:
    """Runs on 2023-11-14 (two, one failed), 11-15 and 11-20; the model of the last has no price."""
    for number, (at, status, version, model) in enumerate(
        [
            (0.0, "ok", "1.0", "claude-sonnet-4-5"),
            (60.0, "error", "1.0", "claude-sonnet-4-5"),
            (DAY, "ok", "1.1", "claude-sonnet-4-5"),
            (6 * DAY, "ok", "1.1", "nobody-knows"),
        ]
    ):
        write_log(
            f"week/{number}.jsonl",
            {"type": "run_start", "at": at, "format": 1, "agent_version": version, "process": GONE},
            {
                "type": "llm_call",
                "step": 1,
                "at": at + 2,
                "model": model,
                "provider": "anthropic",
                "input_tokens": 1000,
                "output_tokens": 100,
                "stop_reason": "end",
                "duration_ms": 2000.0,
            },
            {"type": "run_end", "at": at + 10.0 * (number + 1), "status": status},
            run_id=f"run-{number}",
        )
    return tmp_path / "week"


def told(cli: Cli, *arguments: Any) -> list[Any]:
    result = cli("trend", *arguments, "--json")
    assert (result.code, result.err) == (0, "")
    return result.json_lines()


class TestRunsNobodyTimed:
    def test_are_in_no_duration(self, cli: Cli, week: Path, write_log: WriteLog) -> None:
        before = told(cli, week)
        for number in range(5):
            write_log(
                f"week/untimed-{number}.jsonl",
                {"type": "run_start", "at": DAY, "format": 1, "process": GONE},
                {"type": "tool_call", "step": 1, "at": DAY, "tool": "t"},
                {"type": "run_end", "at": DAY, "status": "ok"},
                run_id=f"untimed-{number}",
            )
        after = told(cli, week)
        assert [day.get("p50_ms") for day in after] == [day.get("p50_ms") for day in before]
        assert sum(day["runs"] for day in after) == sum(day["runs"] for day in before) + 5


class TestBuckets:
    def test_are_every_day_and_those_without_a_run_have_no_figures(self, cli: Cli, week: Path) -> None:
        buckets = told(cli, week)
        assert [(each["start"], each["runs"]) for each in buckets] == [
            *[("2023-11-14", 2), ("2023-11-15", 1)],
            *[(f"2023-11-{day}", 0) for day in range(16, 20)],
            ("2023-11-20", 1),
        ]
        assert (buckets[0]["failed_share"], buckets[0]["p95_ms"], buckets[0]["tokens"]) == (0.5, 20_000, 2200)
        assert set(buckets[3]) == {"per", "start", "runs"}

    def test_may_be_weeks_or_hours(self, cli: Cli, week: Path) -> None:
        assert [each["start"] for each in told(cli, week, "--per", "week")] == ["2023-11-13", "2023-11-20"]
        assert len(told(cli, week, "--per", "hour")) == 6 * 24 + 1

    def test_cost_nobody_can_tell_is_unknown(self, cli: Cli, week: Path) -> None:
        buckets = told(cli, week)
        assert buckets[0]["cost_usd"] == pytest.approx(0.009)
        assert (buckets[-1]["cost_usd"], buckets[-1]["not_exact"]) == (None, {"cost_usd": "unknown"})

    def test_split_into_series_of_the_same_buckets(self, cli: Cli, week: Path) -> None:
        buckets = told(cli, week, "--by", "version")
        assert {each["group"] for each in buckets} == {"1.0", "1.1"}
        assert len(buckets) == 14

    def test_a_forged_time_does_not_fill_the_memory(self, cli: Cli, week: Path, write_log: WriteLog) -> None:
        write_log("week/forged.jsonl", {"type": "run_start", "at": -1.6e9, "format": 1}, run_id="forged")
        write_log("week/worse.jsonl", {"type": "run_start", "at": 1e18, "format": 1}, run_id="worse")
        assert "run" in cli("trend", week, "--per", "hour").out
        assert "1 run left out" in cli("trend", week).out


class TestScreen:
    def test_has_a_line_a_metric_with_gaps(self, cli: Cli, week: Path) -> None:
        lines = cli("trend", week, columns=80).out.splitlines()
        assert lines[0] == "by day  2023-11-14 to 2023-11-20, 7 days, 4 without a run (·)"
        rows = {line[2:13].strip(): line[13:].split() for line in lines[3:]}
        assert rows["runs"] == ["█▅····▅", "1", "4"]
        assert rows["failed"] == ["█▁····▁", "0.0", "%", "25.0", "%"]
        assert rows["cost"] == ["█▅····?", "?", "≥", "$0.0135"]

    def test_has_a_bar_a_day(self, cli: Cli, week: Path) -> None:
        lines = cli("trend", week, "--metric", "cost", columns=80).out.splitlines()
        assert lines[2].split()[2].strip("█") == ""
        assert "  · 4 days without a run" in lines
        assert lines[-2].split() == ["Nov", "20", "?", "?"]
        assert lines[-1].split() == ["all", "≥", "$0.0135"]

    @pytest.mark.parametrize("columns", [60, 80, 120])
    @pytest.mark.parametrize("metric", ["runs", "failures", "latency", "tokens", "cost"])
    @pytest.mark.parametrize("by", [(), ("--by", "version")])
    def test_fits(self, cli: Cli, week: Path, columns: int, metric: str, by: tuple[str, ...]) -> None:
        out = cli("trend", week, "--metric", metric, *by, "--per", "hour", columns=columns).out
        assert max(map(len, out.splitlines())) <= columns

    def test_no_run_is_said(self, cli: Cli, week: Path) -> None:
        result = cli("trend", week, "--since", "2024-01-01")
        assert (result.code, result.out, result.err) == (0, "", f"No such run in {week}.\n")


class TestDrawing:
    @given(st.floats(0, 1e9), st.floats(0, 1e9), st.integers(1, 200))
    def test_a_bar_fits_and_what_is_more_than_nothing_shows(
        self, one: float, other: float, cells: int
    ) -> None:
        value, top = sorted((one, other))
        drawn = bar(value, top, cells)
        assert len(drawn) <= cells
        assert bool(drawn) == (value > 0)

    @given(st.lists(st.floats(0, 1e9) | st.sampled_from("·?"), min_size=1))
    def test_a_sparkline_tells_0_from_little_and_gaps_from_0(self, marks: list[Any]) -> None:
        top = max((each for each in marks if not isinstance(each, str)), default=0.0)
        drawn = "".join(text for text, _ in spark(marks, top))
        assert len(drawn) == len(marks)
        for mark, char in zip(marks, drawn, strict=True):
            assert char == mark if isinstance(mark, str) else (char == "▁") == (mark == 0)
