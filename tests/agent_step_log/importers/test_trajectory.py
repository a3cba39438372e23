"""Trajectories of benchmarks and evaluations: figures checked by hand against the files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agent_step_log import Run, list_runs, read_run, verify
from agent_step_log.importers import TRAJECTORY_FORMATS, import_trajectory

if TYPE_CHECKING:
    from agent_step_log.importers import ImportReport

DATA = Path(__file__).parents[2] / "data" / "trajectories"
#: Each file, the format it is told to be in, and its runs.
FILES = {
    "humanevalfix-python-0.traj": ("swe-agent", 1),
    "pydicom__pydicom-1458.traj": ("swe-agent", 1),
    "function_calling_simple.traj": ("swe-agent", 1),
    "local.traj.json": ("mini-swe-agent", 1),
    "github_issue.traj.json": ("mini-swe-agent", 1),
    "mini-excerpt.traj.json": ("mini-swe-agent", 1),
    "tau-bench-excerpt.json": ("tau-bench", 2),
    "tau-bench-suitcases.json": ("tau-bench", 2),
    "tau2-excerpt.json": ("tau2", 1),
    "tau2-booking-excerpt.json": ("tau2", 1),
    "log_message_deduplication.eval": ("inspect", 1),
    "log_streaming.eval": ("inspect", 4),
    "retry-2-then-success.eval": ("inspect", 1),
    "log_tool_call_error.json": ("inspect", 1),
    "2024-11-05T13-31-45-05-00_input-task_8zXjbRzCWrL9GXiXo2vus9.json": ("inspect", 1),
    "atif-hand-made.json": ("atif", 1),
}


class Imported:
    """One file imported: its report, and its runs read back."""

    def __init__(self, name: str, into: Path) -> None:
        self.report: ImportReport = import_trajectory(DATA / name, into)
        self.runs: list[Run] = [read_run(into, info.run_id) for info in list_runs(into)]

    @property
    def run(self) -> Run:
        [run] = self.runs
        return run

    def steps(self, kind: str) -> list[Any]:
        return [step for run in self.runs for _, step in run.walk() if step.type == kind]


@pytest.fixture
def imported(tmp_path: Path) -> Any:
    return lambda name: Imported(name, tmp_path / "logs")


class TestEveryFile:
    @pytest.mark.parametrize("name", FILES)
    def test_is_told_apart_by_what_it_holds(self, imported: Any, name: str) -> None:
        kind, runs = FILES[name]
        done = imported(name)
        assert len(done.runs) == runs
        for run in done.runs:
            header = run.info.header
            assert header.metadata["source"]["format"] == kind
            assert header.metadata["source"]["file"] == name

    @pytest.mark.parametrize("name", FILES)
    def test_becomes_a_log_without_a_flaw(self, imported: Any, tmp_path: Path, name: str) -> None:
        imported(name)
        problems = [each.kind for each in verify(tmp_path / "logs").problems]
        assert problems == []

    @pytest.mark.parametrize("name", FILES)
    def test_imported_again_is_unchanged(self, imported: Any, name: str) -> None:
        imported(name)
        again = imported(name).report
        assert (again.written, again.unchanged) == (0, FILES[name][1])

    @pytest.mark.parametrize("name", FILES)
    def test_can_be_named_in_its_format_and_in_no_other(self, tmp_path: Path, name: str) -> None:
        kind = FILES[name][0]
        assert import_trajectory(DATA / name, tmp_path / "logs", format_name=kind).sessions
        from agent_step_log.errors import ImportSourceError

        for other in set(TRAJECTORY_FORMATS) - {kind}:
            with pytest.raises(ImportSourceError, match=f"is not a {other} trajectory"):
                import_trajectory(DATA / name, tmp_path / "other", format_name=other)

    def test_of_a_directory_is_imported_and_what_is_none_is_reported(self, tmp_path: Path) -> None:
        report = import_trajectory(DATA, tmp_path / "logs")
        assert len(report.sessions) == sum(runs for _, runs in FILES.values())
        assert {skipped.path.name for skipped in report.skipped_files} == {
            "ORIGIN.md",
            *(path.name for path in DATA.glob("LICENSE.*")),
        }

    def test_that_tells_no_times_carries_that_of_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "local.traj.json"
        path.write_bytes((DATA / path.name).read_bytes())
        os.utime(path, (1_700_000_000, 1_700_000_000))
        report = import_trajectory(path, tmp_path / "logs")
        run = read_run(tmp_path / "logs")
        assert {step.record.ts for _, step in run.walk()} == {1_700_000_000.0}
        assert all(step.duration_ms is None for _, step in run.walk())
        assert "no times" in report.sessions[0].notes[0]


class TestSweAgent:
    def test_steps_are_an_answer_and_an_action_each(self, imported: Any) -> None:
        done = imported("humanevalfix-python-0.traj")
        tools = done.steps("tool_call")
        assert [step.name for step in tools] == ["bash", "open", "edit", "bash", "submit"]
        assert tools[0].record.input == {"command": "ls -a\n"}
        assert len(done.steps("llm_call")) == 5
        assert done.run.info.status == "ok"

    def test_tokens_nobody_counted_are_unknown(self, imported: Any) -> None:
        done = imported("humanevalfix-python-0.traj")
        assert {step.record.input_tokens for step in done.steps("llm_call")} == {None}
        assert done.run.info.header.metadata["reported"] == {"exit_status": "submitted"}
        assert "input_tokens" not in done.report.totals

    def test_a_history_alone_has_its_tool_calls_by_name(self, imported: Any) -> None:
        done = imported("function_calling_simple.traj")
        tools = done.steps("tool_call")
        assert tools[0].record.tool_call_id == "call_PbWErNIge3YTrli3fiVvmIid"
        assert tools[0].name == "find_file"
        assert tools[1].record.input == {"path": "tests/missing_colon.py"}

    def test_an_exit_other_than_submitting_is_an_error(self, tmp_path: Path) -> None:
        value = {"history": [], "trajectory": [], "info": {"exit_status": "exit_cost"}}
        (tmp_path / "a.traj").write_text(json.dumps(value))
        import_trajectory(tmp_path / "a.traj", tmp_path / "logs")
        info = read_run(tmp_path / "logs").info
        assert (info.status, info.end and info.end.error_type) == ("error", "exit_cost")


class TestMiniSweAgent:
    def test_usage_times_and_exit_codes_are_those_of_the_file(self, imported: Any) -> None:
        done = imported("mini-excerpt.traj.json")
        totals = done.report.totals
        assert (totals["input_tokens"], totals["output_tokens"]) == (75_364, 1_588)
        assert (totals["cache_read_tokens"], totals["reasoning_tokens"]) == (73_280, 1_295)
        assert (totals["llm_call_count"], totals["tool_call_count"], totals["error_count"]) == (5, 5, 1)
        [failed] = [step for step in done.steps("tool_call") if step.status == "error"]
        assert failed.record.error.startswith("exit code ")
        first = done.steps("llm_call")[0].record
        assert (first.model, first.input_tokens, first.stop_reason) == (
            "deepseek-reasoner",
            3399,
            "tool_calls",
        )
        assert first.ts == pytest.approx(1776073885.8325613)
        assert first.output[0]["type"] == "thinking"

    def test_what_stands_before_the_first_time_does_not_carry_that_of_the_file(self, imported: Any) -> None:
        done = imported("mini-excerpt.traj.json")
        assert min(step.record.ts for _, step in done.run.walk()) == pytest.approx(1776073885.8325613)
        assert done.run.info.summary.duration_ms < 24 * 3_600_000

    def test_the_last_command_has_the_submission_for_its_result(self, imported: Any) -> None:
        done = imported("mini-excerpt.traj.json")
        assert done.steps("tool_call")[-1].record.output.startswith("diff --git")
        assert done.run.info.status == "ok"

    def test_of_the_bare_form_the_command_is_the_fenced_block(self, imported: Any) -> None:
        tools = imported("local.traj.json").steps("tool_call")
        assert [step.record.input["command"] for step in tools] == [
            "echo 'hello world'",
            "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT",
        ]
        assert "hello world" in tools[0].record.output
        assert tools[0].status == "ok"

    def test_of_the_bare_form_a_return_code_is_an_error(self, imported: Any) -> None:
        done = imported("github_issue.traj.json")
        assert len(done.steps("llm_call")) == 10
        assert {step.record.error for step in done.steps("tool_call") if step.status == "error"} == {
            "exit code 1"
        }


class TestTauBench:
    def test_dialogues_are_runs_with_their_reward(self, imported: Any) -> None:
        done = imported("tau-bench-excerpt.json")
        counts = [
            (run.info.summary.llm_call_count, run.info.summary.tool_call_count, run.info.summary.error_count)
            for run in done.runs
        ]
        assert sorted(counts) == [(13, 5, 1), (15, 8, 1)]
        scores = [step.record.data for step in done.steps("event") if step.name == "score"]
        assert sorted(score["value"] for score in scores) == [0.0, 1.0]
        ids = {run.info.run_id for run in done.runs}
        assert ids == {"tau-bench-tau-bench-excerpt-0-0", "tau-bench-tau-bench-excerpt-13-1"}

    def test_neither_model_nor_tokens_are_told(self, imported: Any) -> None:
        records = [step.record for step in imported("tau-bench-excerpt.json").steps("llm_call")]
        assert {(record.model, record.input_tokens, record.duration_ms) for record in records} == {
            (None, None, None)
        }


class TestTau2:
    def test_the_simulated_user_is_a_model_with_tools_of_its_own(self, imported: Any) -> None:
        done = imported("tau2-excerpt.json")
        calls = done.steps("llm_call")
        assert [step.record.agent for step in calls].count("user") == 7
        assert len(calls) == 11  # the greeting is the harness's, and no call
        assert sum(step.record.input_tokens for step in calls if step.record.agent is None) == 26_010
        assert done.report.totals["input_tokens"] == 44_913
        assert done.report.totals["output_tokens"] == 580
        assert [step.record.agent for step in done.steps("tool_call")] == ["user", "user"]

    def test_times_are_told_and_durations_are_bounds(self, imported: Any) -> None:
        done = imported("tau2-excerpt.json")
        assert done.run.info.header.ts == pytest.approx(1754796110.270527)
        assert done.run.info.summary.duration_ms == 90_052
        assert {step.record.bounds["duration_ms"] for step in done.steps("llm_call")} == {"upper"}
        assert done.run.info.status == "ok"

    def test_ids_left_empty_are_answered_in_order(self, tmp_path: Path) -> None:
        calls = [{"id": "", "name": name, "arguments": {}, "requestor": "assistant"} for name in "ab"]
        messages = [
            {"role": "assistant", "tool_calls": calls, "usage": {"prompt_tokens": 1, "completion_tokens": 1}},
            {"role": "tool", "id": "", "content": "of a"},
            {"role": "tool", "id": "", "content": "of b", "error": True},
        ]
        value = {"id": "s", "termination_reason": "max_steps", "messages": messages}
        (tmp_path / "s.json").write_text(json.dumps(value))
        import_trajectory(tmp_path / "s.json", tmp_path / "logs")
        run = read_run(tmp_path / "logs")
        tools = [step.record for _, step in run.walk() if step.type == "tool_call"]
        assert [(each.tool, each.output, each.error) for each in tools] == [
            ("a", "of a", None),
            ("b", "of b", "of b"),
        ]
        assert (run.info.status, run.info.end and run.info.end.error_type) == ("error", "max_steps")


class TestInspect:
    def test_model_and_tool_events_are_steps(self, imported: Any) -> None:
        done = imported("log_message_deduplication.eval")
        assert (len(done.steps("llm_call")), len(done.steps("tool_call"))) == (6, 5)
        assert done.run.run_id == "inspect-5XJAqKPKGtzrXUZ3UhthJM"
        assert done.run.info.header.ts == pytest.approx(1759745743.620839)
        assert done.steps("tool_call")[0].status == "ok"
        assert done.run.info.header.task_type is not None

    def test_samples_and_epochs_are_runs(self, imported: Any) -> None:
        done = imported("log_streaming.eval")
        assert sorted(
            (run.info.header.metadata["sample_id"], run.info.header.metadata["epoch"]) for run in done.runs
        ) == [(1, 1), (1, 2), (2, 1), (2, 2)]

    def test_of_an_older_log_usage_is_that_of_the_provider(self, imported: Any) -> None:
        done = imported("2024-11-05T13-31-45-05-00_input-task_8zXjbRzCWrL9GXiXo2vus9.json")
        used = [(step.record.input_tokens, step.record.output_tokens) for step in done.steps("llm_call")]
        assert used == [(53, 46), (221, 143)]
        assert {step.record.provider for step in done.steps("llm_call")} == {"openai"}
        assert [step.name for step in done.steps("event")].count("score") == 1

    def test_packed_with_zstd_is_read(self, imported: Any) -> None:
        done = imported("retry-2-then-success.eval")
        assert len(done.steps("llm_call")) == 3
        assert [step.status for step in done.steps("llm_call")].count("error") == 2

    def test_without_events_the_messages_are_taken(self, imported: Any) -> None:
        tools = [step.record for step in imported("log_tool_call_error.json").steps("tool_call")]
        assert [record.error for record in tools].count("...") == 10
        assert [(record.tool, record.input, record.error_type) for record in tools[:2]] == [
            ("bash", None, "parsing"),
            ("bash", None, "timeout"),
        ]

    def test_tokens_read_from_a_cache_are_counted_once(self, tmp_path: Path) -> None:
        def event(total: int) -> dict[str, Any]:
            usage = {
                "input_tokens": 10,
                "output_tokens": 5,
                "input_tokens_cache_read": 90,
                "total_tokens": total,
            }
            return {"event": "model", "model": "p/m", "output": {"usage": usage}}

        sample = {"id": 1, "epoch": 1, "input": "attachment://x", "attachments": {"x": "hello"}}
        value = {
            "eval": {"task": "t", "model": "p/m"},
            "samples": [{**sample, "events": [event(105), event(15)]}],
        }
        (tmp_path / "e.json").write_text(json.dumps(value))
        import_trajectory(tmp_path / "e.json", tmp_path / "logs")
        run = read_run(tmp_path / "logs")
        calls = [step.record for _, step in run.walk() if step.type == "llm_call"]
        assert [call.input_tokens for call in calls] == [100, 10]
        assert run.roots[0].record.data == {"text": "hello"}


class TestAtif:
    def test_steps_calls_and_results_are_brought_together(self, imported: Any) -> None:
        done = imported("atif-hand-made.json")
        header = done.run.info.header
        assert (header.agent, header.agent_version, header.run_id) == ("terminus", "2.0", "atif-atif-1")
        tools = done.steps("tool_call")
        assert [(step.record.input["command"], step.record.output) for step in tools] == [
            ("ls", "test_a.py"),
            ("pwd", "/app"),
        ]
        first, last = (step.record for step in done.steps("llm_call"))
        assert (first.model, first.input_tokens, first.output_tokens) == ("m-1", 100, 20)
        assert (first.cache_read_tokens, first.reasoning_tokens) == (60, 5)
        assert "prompt_token_ids" not in first.usage
        assert [record.attrs.get("cost_usd") for record in (first, last)] == [0.01, None]
        assert (last.model, last.ts - first.ts) == ("m-2", 6.0)
        assert [step.name for step in done.steps("event")] == ["user_message", "context_message"]

    def test_a_copied_context_is_left_out(self, tmp_path: Path) -> None:
        value = json.loads((DATA / "atif-hand-made.json").read_text())
        value["steps"][1]["is_copied_context"] = True
        (tmp_path / "t.json").write_text(json.dumps(value))
        report = import_trajectory(tmp_path / "t.json", tmp_path / "logs")
        assert report.totals["llm_call_count"] == 1
        assert report.sessions[0].left_out == {"copied context": 1}
