"""`ls` over many runs: filter, sort, group, cost."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

import pytest

from tests.agent_stack.fleet import write_fleet

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent_stack.conftest import Cli


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    write_fleet(tmp_path / "fleet", 30)
    return tmp_path / "fleet"


def listed(cli: Cli, fleet: Path, *arguments: str) -> list[Any]:
    result = cli("ls", fleet, *arguments, "--json")
    assert (result.code, result.err) == (0, "")
    return result.json_lines()


class TestFilter:
    def test_keeps_the_runs_it_holds_of(self, cli: Cli, fleet: Path) -> None:
        everything = listed(cli, fleet)
        text = 'version == "1.0.0" and tools contains "grep" and errors > 0'
        wanted = [
            run["run_id"]
            for run in everything
            if run["agent_version"] == "1.0.0" and "grep" in run["tools"] and run["error_count"]
        ]
        assert 0 < len(wanted) < len(everything)
        assert [run["run_id"] for run in listed(cli, fleet, "--filter", text)] == wanted

    def test_cost_may_be_asked_about_without_being_shown(self, cli: Cli, fleet: Path) -> None:
        runs = listed(cli, fleet, "--filter", "cost is missing or cost >= 0")
        assert len(runs) == 30
        assert "cost_usd" not in runs[0]

    def test_a_mistake_is_one_sentence_with_its_column(self, cli: Cli, fleet: Path) -> None:
        result = cli("ls", fleet, "--filter", "token > 5")
        assert (result.code, result.out) == (2, "")
        assert "There is no field 'token'; did you mean tokens" in result.err
        assert "at column 1" in result.err
        assert result.err.count("\n") == 1

    def test_none_is_said(self, cli: Cli, fleet: Path) -> None:
        result = cli("ls", fleet, "--filter", "steps > 1M")
        assert (result.code, result.out, result.err) == (0, "", f"No such run in {fleet}.\n")

    def test_since_and_until_part_the_runs(self, cli: Cli, fleet: Path) -> None:
        before = listed(cli, fleet, "--until", "2026-04-25")
        after = listed(cli, fleet, "--since", "2026-04-26")
        assert before
        assert after
        assert len(before) + len(after) == 30


class TestSort:
    def test_falling_has_the_most_first_and_last_keeps_them(self, cli: Cli, fleet: Path) -> None:
        most = sorted((run["duration_ms"] for run in listed(cli, fleet)), reverse=True)
        assert [run["duration_ms"] for run in listed(cli, fleet, "--sort=-duration", "-n", "4")] == most[:4]
        assert [run["duration_ms"] for run in listed(cli, fleet, "--sort", "duration", "-n", "4")] == most[
            3::-1
        ]

    def test_several_fields(self, cli: Cli, fleet: Path) -> None:
        keys = [
            (run["task_type"], -run["total_steps"]) for run in listed(cli, fleet, "--sort", "task,-steps")
        ]
        assert keys == sorted(keys)

    def test_an_unknown_field_is_named_with_those_there_are(self, cli: Cli, fleet: Path) -> None:
        result = cli("ls", fleet, "--sort", "colour")
        assert result.code == 2
        assert "'colour' is nothing to sort by; there are run, status" in result.err


class TestGroups:
    def test_add_up_to_the_runs(self, cli: Cli, fleet: Path) -> None:
        everything = listed(cli, fleet)
        groups = listed(cli, fleet, "--group", "version", "--sort", "group")
        assert [group["group"] for group in groups] == ["1.0.0", "1.1.0"]
        for group in groups:
            runs = [run for run in everything if run["agent_version"] == group["group"]]
            failed = sum(run["status"] in ("error", "interrupted") for run in runs)
            durations = sorted(run["duration_ms"] for run in runs)
            assert (group["runs"], group["failed"]) == (len(runs), failed)
            assert group["p50_ms"] == statistics.median_low(durations)
            assert group["tokens"] == sum(run["total_tokens"] or 0 for run in runs)
            assert "cost_usd" not in group

    @pytest.mark.parametrize("by", ["task", "version", "env", "status", "agent", "day"])
    @pytest.mark.parametrize("columns", [80, 120])
    def test_fit_the_screen(self, cli: Cli, fleet: Path, by: str, columns: int) -> None:
        lines = cli("ls", fleet, "--group", by, "--cost", columns=columns).out.splitlines()
        assert lines[0].split()[0] == by.upper()
        assert max(map(len, lines)) <= columns


class TestCost:
    def test_stands_in_its_own_column_and_keys(self, cli: Cli, fleet: Path) -> None:
        assert cli("ls", fleet, "--cost", columns=120).out.splitlines()[0].split()[-1] == "COST"
        assert "COST" not in cli("ls", fleet).out.splitlines()[0]
        assert {run["cost_exactness"] for run in listed(cli, fleet, "--cost")} <= {
            "exact",
            "partial",
            "unknown",
        }

    def test_unknown_is_a_question_and_never_0(self, cli: Cli, write_log: Any) -> None:
        call = {"type": "llm_call", "step": 1, "model": "nobody-knows", "input_tokens": 5, "output_tokens": 5}
        log = write_log("a.jsonl", {**call, "stop_reason": None, "duration_ms": 1})
        assert cli("ls", log, "--cost").out.split()[-1] == "?"
        assert cli("ls", log, "--cost", "--json").json()["cost_usd"] is None
