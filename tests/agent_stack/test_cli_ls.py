"""`agent-step-log ls`."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent_stack.conftest import Cli, WriteLog

AT_80 = """\
  RUN          STARTED    STATUS        AGENT      STEPS    IN OUT ERR   TIME
  aaaa0001     2023-11-14 ✓ ok          researcher     6 ≥1.2k ≥84   1 2.20 s
  bbbb0002     2023-11-14 ▲ interrupted deployer       2    10   2   - 1.00 s
    ↳ in flight when it stopped: tool deploy (step 2)
  support-4711 2023-11-14 ✗ error       researcher     0     0   0   - 500 ms
    ↳ AuthError: no key
"""

AT_120 = """\
  RUN           STARTED     STATUS         AGENT       TASK     STEPS     IN  OUT  ERR    TIME
  aaaa0001      2023-11-14  ✓ ok           researcher  explore      6  ≥1.2k  ≥84    1  2.20 s
  bbbb0002      2023-11-14  ▲ interrupted  deployer                 2     10    2    -  1.00 s
    ↳ in flight when it stopped: tool deploy (step 2)
  support-4711  2023-11-14  ✗ error        researcher               0      0    0    -  500 ms
    ↳ AuthError: no key
"""


class TestTable:
    @pytest.mark.parametrize(("columns", "drawn"), [(80, AT_80), (120, AT_120)])
    def test_is_drawn_to_the_width(self, cli: Cli, logs: Path, columns: int, drawn: str) -> None:
        result = cli("ls", logs, columns=columns)
        assert result.out == drawn
        assert (result.code, result.err) == (0, "")

    def test_no_source_reads_logs_here(self, cli: Cli, logs: Path) -> None:
        assert cli("ls").out == cli("ls", logs).out

    def test_the_environment_names_the_default(
        self, cli: Cli, logs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        shutil.move(logs, tmp_path / "elsewhere")
        monkeypatch.setenv("AGENT_STEP_LOG_DIR", str(tmp_path / "elsewhere"))
        assert "aaaa0001" in cli("ls").out

    def test_last_takes_the_newest(self, cli: Cli, logs: Path) -> None:
        assert [run["status"] for run in cli("ls", logs, "--last", "2", "--json").json_lines()] == [
            "interrupted",
            "error",
        ]

    def test_status_may_be_repeated(self, cli: Cli, logs: Path) -> None:
        arguments = ("--status", "ok", "--status", "error", "--json")
        assert [run["status"] for run in cli("ls", logs, *arguments).json_lines()] == ["ok", "error"]

    def test_a_run_whose_records_have_one_time_took_nobody_knows_how_long(
        self, cli: Cli, write_log: WriteLog
    ) -> None:
        """As trajectories do that tell no times."""
        steps = [{"type": "tool_call", "step": n, "tool": "t", "ts": 1_700_000_000.0} for n in (1, 2)]
        log = write_log("a.jsonl", *steps)

        assert cli("ls", log).out.split()[-1] == "?"
        assert cli("ls", log, "--filter", "duration < 1s").out == ""

    def test_unknown_tokens_are_a_question_mark(self, cli: Cli, write_log: WriteLog) -> None:
        call = {"type": "llm_call", "step": 1, "model": "m", "input_tokens": None, "output_tokens": None}
        log = write_log("a.jsonl", {**call, "stop_reason": None, "duration_ms": 1})
        assert cli("ls", log).out.split()[-4:-1] == ["?", "?", "-"]
        assert cli("ls", log, "--json").json()["input_tokens"] is None

    def test_no_run_of_that_status_is_said(self, cli: Cli, logs: Path) -> None:
        result = cli("ls", logs, "--status", "running")
        assert (result.code, result.out, result.err) == (0, "", f"No such run in {logs}.\n")


class TestSources:
    def test_several_files_as_a_shell_expands_a_pattern(self, cli: Cli, logs: Path) -> None:
        files = sorted(logs.glob("*.jsonl"))
        assert cli("ls", *files).out == cli("ls", logs).out == cli("ls", f"{logs}/*.jsonl").out

    def test_a_rotated_log_named_with_its_parts_is_counted_once(self, cli: Cli, write_log: WriteLog) -> None:
        step = {"type": "event", "name": "x", "data": None}
        write_log("r.000001.jsonl", {"type": "run_start", "format": 1}, {**step, "step": 1})
        write_log("r.jsonl", {**step, "step": 2}, {"type": "run_end", "status": "ok"})
        for order in (["r.jsonl", "r.000001.jsonl"], ["r.000001.jsonl", "r.jsonl"]):
            [run] = cli("ls", *order, "--json").json_lines()
            assert run["event_count"] == 2

    def test_damage_is_one_line_at_the_end(self, cli: Cli, logs: Path) -> None:
        with (logs / "a.jsonl").open("a") as file:
            file.write("no record at all\n")
        assert cli("ls", logs).out.splitlines()[-1] == (
            "▲ 1 stretch of 1 file skipped: 16 bytes that are no record (not JSON). "
            "agent-step-log verify lists them."
        )

    def test_an_empty_file_has_no_runs_and_is_no_error(self, cli: Cli, tmp_path: Path) -> None:
        (tmp_path / "empty.jsonl").touch()
        result = cli("ls", "empty.jsonl")
        assert (result.code, result.out, result.err) == (0, "", "No run in empty.jsonl.\n")


class TestJson:
    def test_one_object_a_line_with_the_documented_keys(self, cli: Cli, logs: Path) -> None:
        runs = cli("ls", logs, "--json").json_lines()
        assert [run["run_id"][-4:] for run in runs] == ["0001", "0002", "4711"]
        run = runs[0]
        assert run["agent"] == "researcher"
        assert run["total_steps"] == 6
        assert run["unknown_usage_count"] == 1
        assert run["bounds"] == {
            "input_tokens": "lower",
            "output_tokens": "lower",
            "cache_read_tokens": "lower",
        }
        assert run["paths"] == [str(logs / "a.jsonl")]
        assert runs[1]["in_flight"] == [
            {"step": 2, "writer": None, "type": "tool_call", "name": "deploy", "started": 1_700_000_011.0}
        ]
        assert (runs[2]["error"], runs[2]["error_type"]) == ("no key", "app.AuthError")
