"""`agent-step-log import trajectory`."""

from __future__ import annotations

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
