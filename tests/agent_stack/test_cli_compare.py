"""``compare``: groups of real logs against each other, and the exit status a pipeline looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent_step_log import StepLog

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent_stack.conftest import Cli


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve runs of 1.0, all well, and twelve of 1.1 whose tool fails; each takes two seconds."""
    folder = tmp_path / "fleet"
    # By the machine's clock one group may well be slower than the other: so it was now and then.
    now = [1_700_000_000.0]
    monkeypatch.setattr("agent_step_log._steplog.time", lambda: now[0])
    for version, fails in (("1.0", False), ("1.1", True)):
        for number in range(12):
            now[0] += 60
            log = StepLog(
                f"{folder}/",
                f"run-{version}-{number:02d}",
                agent="worker",
                agent_version=version,
                metadata={"prompt": f"p{number % 2}"},
            )
            log.record_llm_call(
                "claude-sonnet-4-5", 1000 + number, 100, "tool_use", 50.0, provider="anthropic"
            )
            for _ in range(3):
                log.record_tool_call("search", {}, None, 5.0, error="no answer" if fails else None)
            now[0] += 2
            log.close(status="error" if fails else "ok")
    StepLog(folder / "nobody.jsonl", "run-nobody").close()
    return folder


class TestTable:
    def test_says_what_is_worse_and_what_is_chance(self, cli: Cli, fleet: Path) -> None:
        out = cli("compare", fleet).out

        assert "version 1.0  12 runs   →   1.1  12 runs" in out
        rows = {line[2:24].strip(): line for line in out.splitlines() if line.startswith("  ")}
        assert "✗ worse" in rows["runs that failed"]
        assert "0.0 %" in rows["tool calls that failed"]
        assert "100.0 %" in rows["tool calls that failed"]
        assert "no clear change" in rows["tokens a run"]
        assert "no clear change" in rows["run time, P95"]
        assert "$0.0045" in rows["cost a run"]
        assert "1 run does not tell its version, and is in no group." in out

    def test_groups_by_the_metadata_of_a_run(self, cli: Cli, fleet: Path) -> None:
        assert (
            "metadata.prompt p0  12 runs   →   p1  12 runs"
            in cli("compare", fleet, "--by", "metadata.prompt").out
        )

    def test_compares_with_the_group_that_is_named(self, cli: Cli, fleet: Path) -> None:
        assert "version 1.1  12 runs   →   1.0" in cli("compare", fleet, "--base", "1.1").out

    @pytest.mark.parametrize("width", [60, 80, 120])
    def test_fits_the_screen(
        self, cli: Cli, fleet: Path, width: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", str(width))
        assert max(map(len, cli("compare", fleet).out.splitlines())) <= width + 20 * (width < 80)


class TestJson:
    def test_has_every_figure_with_its_interval(self, cli: Cli, fleet: Path) -> None:
        told = cli("compare", fleet, "--json").json()

        assert (told["by"], told["unnamed"]) == ("version", 1)
        [group] = told["groups"]
        failed = group["figures"][0]
        assert (group["base"], group["group"], group["is_worse"]) == ("1.0", "1.1", True)
        assert (failed["name"], failed["base"], failed["value"]) == ("runs that failed", 0.0, 1.0)
        assert 0 < failed["low"] < failed["estimate"] <= failed["high"]


class TestGate:
    def test_fails_when_something_is_clearly_worse(self, cli: Cli, fleet: Path) -> None:
        assert cli("compare", fleet, "--gate").code == 1

    def test_passes_when_nothing_is(self, cli: Cli, fleet: Path) -> None:
        assert cli("compare", fleet, "--gate", "--by", "metadata.prompt").code == 0
        assert cli("compare", fleet).code == 0


class TestBadInput:
    def test_an_unknown_grouping_is_named(self, cli: Cli, fleet: Path) -> None:
        done = cli("compare", fleet, "--by", "colour")

        assert done.code == 2
        assert "'colour' is not one of version, task, env, agent, day or metadata.KEY." in done.err

    def test_a_base_that_is_not_there_is_named_with_those_that_are(self, cli: Cli, fleet: Path) -> None:
        done = cli("compare", fleet, "--base", "0.9")

        assert done.code == 2
        assert "no run has the version '0.9'; there is: 1.0, 1.1." in done.err

    def test_one_group_alone_is_nothing_to_compare(self, cli: Cli, fleet: Path) -> None:
        done = cli("compare", fleet, "--by", "agent")

        assert done.code == 0
        assert done.out.splitlines() == [
            "There is nothing to compare: of 25 runs, all of agent 'worker'.",
            "  ? 1 run does not tell its agent, and is in no group.",
        ]
