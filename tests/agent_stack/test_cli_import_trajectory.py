"""`agent-step-log import trajectory`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.agent_stack.conftest import Cli

DATA = Path(__file__).parents[1] / "data" / "trajectories"


class TestImportTrajectory:
    def test_tells_the_format_and_writes_step_logs(self, cli: Cli) -> None:
        result = cli("import", "trajectory", DATA / "atif-hand-made.json")
        assert (result.code, result.err) == (0, "")
        assert "atif-hand-made.json" in result.out
        assert "logs in logs/imported/trajectory" in result.out
        shown = cli("show", "logs/imported/trajectory").out
        assert "terminus" in shown
        assert "command=ls" in shown

    def test_of_a_directory_writes_every_run(self, cli: Cli) -> None:
        shape = cli("import", "trajectory", DATA, "--json").json()
        assert shape["kind"] == "trajectory"
        assert len(shape["sessions"]) == 21

    def test_of_hundreds_lists_the_first_and_tells_how_many_there_are(self, cli: Cli, tmp_path: Path) -> None:
        dialogues = [{"task_id": n, "trial": 0, "reward": n % 2, "traj": []} for n in range(200)]
        (tmp_path / "many.json").write_text(json.dumps(dialogues), encoding="utf-8")
        lines = cli("import", "trajectory", "many.json", "--into", "logs").out.splitlines()
        assert len(lines) < 25
        assert lines[1].split()[0] == "many-0-0"
        assert "  … 188 more runs (--json)" in lines
        assert "  written 200   unchanged 0   skipped 0 files" in lines

    def test_the_reward_is_in_the_header_and_in_filters(self, cli: Cli) -> None:
        cli("import", "trajectory", DATA / "tau-bench-suitcases.json", "--into", "logs")
        assert "trial=1 reward=0.0" in cli("show", "logs", "suitcases-44-1", columns=120).out
        (kept,) = cli("ls", "logs", "--filter", "metadata.reward == 1", "--json").json_lines()
        assert kept["run_id"].endswith("44-0")

    def test_in_another_format_than_named_is_one_sentence(self, cli: Cli) -> None:
        result = cli("import", "trajectory", DATA / "atif-hand-made.json", "--format", "tau2")
        assert result.code == 2
        assert result.err.endswith("atif-hand-made.json: is not a tau2 trajectory.\n")

    def test_needs_a_path(self, cli: Cli) -> None:
        result = cli("import", "trajectory")
        assert (result.code, result.out) == (2, "")
        assert result.err == "agent-step-log: Name the trajectory or the directory to import.\n"

    def test_takes_a_format_of_trajectories_only(self, cli: Cli) -> None:
        result = cli("import", "codex", "x", "--format", "tau2")
        assert (result.code, result.err) == (2, "agent-step-log: --format is for trajectories.\n")

    def test_of_what_is_damaged_is_one_sentence(self, cli: Cli, tmp_path: Path) -> None:
        (tmp_path / "x.traj").write_text("{")
        result = cli("import", "trajectory", "x.traj")
        assert (result.code, result.err) == (2, "agent-step-log: x.traj: is no JSON document.\n")

    def test_two_runs_of_one_benchmark_compare(self, cli: Cli) -> None:
        cli("import", "trajectory", DATA / "tau-bench-excerpt.json", "--into", "logs")
        result = cli("diff", "logs:tau-bench-tau-bench-excerpt-0-0", "logs:tau-bench-tau-bench-excerpt-13-1")
        assert result.code == 1
        assert "first divergence" in result.out
