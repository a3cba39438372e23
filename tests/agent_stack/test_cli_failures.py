"""`agent-step-log failures`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.agent_stack.conftest import GONE
from tests.agent_stack.fleet import write_fleet

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent_stack.conftest import Cli, WriteLog


class TestFailures:
    def test_are_the_failing_runs_of_ls_each_once(self, cli: Cli, tmp_path: Path) -> None:
        write_fleet(tmp_path / "fleet", 60)
        failed = {
            run["run_id"]
            for run in cli("ls", "fleet", "--json").json_lines()
            if run["status"] in ("error", "interrupted")
        }
        clusters = cli("failures", "fleet", "--json").json_lines()
        held = [run_id for cluster in clusters for run_id in cluster["run_ids"]]
        assert len(held) == len(failed) > 3
        assert set(held) == failed
        assert sum(cluster["share"] for cluster in clusters) == pytest.approx(len(failed) / 60)
        assert [cluster["runs"] for cluster in clusters] == sorted(
            (cluster["runs"] for cluster in clusters), reverse=True
        )

    @pytest.mark.parametrize("columns", [80, 120])
    def test_are_shown_with_how_to_look_at_one(self, cli: Cli, logs: Path, columns: int) -> None:
        out = cli("failures", logs, columns=columns).out
        assert out.startswith("2 of 3 runs failed, in 2 ways\n")
        assert "▲ interrupted in tool deploy" in out
        assert f"    agent-step-log show {logs}/b.jsonl bbbb0002\n" in out
        shown = cli("show", logs / "b.jsonl", "bbbb0002")
        assert shown.code == 0

    def test_text_of_a_log_cannot_act_on_the_terminal(self, cli: Cli, write_log: WriteLog) -> None:
        write_log(
            "a.jsonl",
            {"type": "run_start", "format": 1, "agent_version": "\x1b[2J", "process": GONE},
            {
                "type": "run_end",
                "at": 1.0,
                "status": "error",
                "error": "\x1b]0;x\x07",
                "error_type": "a.\x9bE",
            },
        )
        out = cli("failures", "a.jsonl").out
        assert not {"\x1b", "\x07", "\x9b"} & set(out)

    def test_none_is_said(self, cli: Cli, logs: Path) -> None:
        result = cli("failures", logs, "--since", "2024-01-01")
        assert (result.code, result.out, result.err) == (0, "", f"No run failed of 0 in {logs}.\n")
