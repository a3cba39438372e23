"""StepLog: plain records, the run around them, and what it does with whatever it is given."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

from agent_run_id import RunContext
from agent_step_log import StepLog, list_runs, read_log
from agent_step_log.testing import recording

if TYPE_CHECKING:
    from pathlib import Path


class TestPlainRecords:
    def test_steps_are_numbered_from_one_in_the_order_of_the_calls(self, tmp_path: Path) -> None:
        with recording(tmp_path) as run:
            numbers = [
                run.log.record_llm_call("m"),
                run.log.record_tool_call("t"),
                run.log.event("feedback"),
                run.log.record_llm_call("m"),
            ]

        assert numbers == [1, 2, 3, 4]
        assert [record.step for record in run.records()] == [0, 1, 2, 3, 4, 0]

    def test_every_key_given_is_in_the_record(self, tmp_path: Path) -> None:
        fields: dict[str, Any] = {
            "model": "m-answered",
            "input_tokens": 10,
            "output_tokens": 5,
            "stop_reason": "end_turn",
            "duration_ms": 1.5,
            "provider": "anthropic",
            "request_model": "m-asked",
            "cache_read_tokens": 4,
            "cache_write_tokens": 3,
            "reasoning_tokens": 2,
            "usage": {"raw": {"nested": 1}},
            "ttft_ms": 0.5,
            "request_id": "req_1",
            "attempt": 2,
            "tool_calls": [{"id": "t1", "name": "search"}],
            "exchange": 7,
            "input": [{"role": "user"}],
            "output": "text",
            "attrs": {"mine": True},
        }
        with recording(tmp_path) as run:
            run.log.record_llm_call(**fields)
            [record] = run.steps()

        assert {key: getattr(record, key) for key in fields} == fields

    def test_a_key_the_record_does_not_have_goes_into_attrs(self, tmp_path: Path) -> None:
        with recording(tmp_path) as run:
            run.log.record_llm_call("m", temperature=0.2, attrs={"mine": 1})  # type: ignore[call-arg]
            [record] = run.steps()

        assert record.attrs == {"mine": 1, "temperature": 0.2}

    def test_an_exception_given_as_error_keeps_its_type_and_frames(self, tmp_path: Path) -> None:
        nothing: dict[str, int] = {}
        with recording(tmp_path) as run:
            try:
                nothing["missing"]
            except KeyError as error:
                run.log.record_tool_call("t", error=error)
            [record] = run.steps()

        assert record.error == "'missing'"
        assert record.error_type == "KeyError"
        assert record.error_frames is not None
        assert record.error_frames[0]["code"] == 'nothing["missing"]'

    def test_a_message_given_as_error_is_the_error(self, tmp_path: Path) -> None:
        with recording(tmp_path) as run:
            run.log.record_tool_call("t", error="timed out")
            run.log.record_llm_call("m", error="overloaded")

        assert [(r.error, r.error_type) for r in run.steps()] == [("timed out", None), ("overloaded", None)]

    @pytest.mark.parametrize(
        ("tool", "text"),
        [(42, "42"), (len, "builtins.len"), (None, "null"), ([1], "[1]"), (object(), "<object>")],
    )
    def test_a_tool_name_that_is_no_text_becomes_text(self, tmp_path: Path, tool: Any, text: str) -> None:
        with recording(tmp_path) as run:
            run.log.record_tool_call(tool)
            with run.log.tool_call(tool):
                pass

        assert [record.tool for record in run.steps()] == [text, text]
        assert json.loads(run.steps()[0].line)["tool"] == text

    def test_a_negative_duration_is_kept_as_it_is(self, tmp_path: Path) -> None:
        with recording(tmp_path) as run:
            run.log.record_tool_call("t", duration_ms=-5)
            assert run.steps()[0].duration_ms == -5
            assert run.log.summarize().tools["t"]["p50_ms"] is None

    def test_one_record_is_one_write(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with recording(tmp_path) as run:
            sizes: list[int] = []
            write = run.log._write

            def counted(line: bytes) -> int:
                sizes.append(len(line))
                return write(line)

            monkeypatch.setattr(run.log, "_write", counted)
            run.log.record_llm_call("m", 1, 2, "end_turn", 3)
            run.log.record_tool_call("t", {"a": 1}, "x" * 100_000, 3)
            lengths = [len(record.line) + 1 for record in run.steps()]

        assert sizes == lengths


class TestTheFile:
    def test_only_its_owner_may_read_it(self, tmp_path: Path) -> None:
        with recording(tmp_path) as run:
            assert stat.S_IMODE(run.log.path.stat().st_mode) == 0o600

    def test_missing_directories_are_made(self, tmp_path: Path) -> None:
        with StepLog(tmp_path / "a" / "b" / "run.jsonl", "r") as log:
            log.record_llm_call("m")

        assert (tmp_path / "a" / "b" / "run.jsonl").exists()

    def test_a_directory_gives_the_run_a_file_of_its_own(self, tmp_path: Path) -> None:
        with StepLog(tmp_path, "run-1") as one, StepLog(f"{tmp_path}/new/", "run-2") as two:
            assert one.path == tmp_path / "run-1.jsonl"
            assert two.path == tmp_path / "new" / "run-2.jsonl"

    @pytest.mark.parametrize("run_id", ["../../etc/passwd", "a/b", "a\0b", "\n", "", "x" * 5000, "über", "."])
    def test_a_run_id_never_leaves_its_directory(self, tmp_path: Path, run_id: str) -> None:
        with StepLog(f"{tmp_path}/logs/", run_id) as log:
            log.record_llm_call("m")

        assert log.path.parent == tmp_path / "logs"
        [info] = list_runs(tmp_path / "logs")
        assert info.run_id == (run_id or log.run_id)

    def test_a_relative_path_stays_where_it_was_when_the_process_changes_directory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "other").mkdir()
        with StepLog("run.jsonl", "r") as log:
            monkeypatch.chdir(tmp_path / "other")
            log.path.unlink()
            log._writer._look_at_path()
            log.record_llm_call("m")

        assert [record.type for record in read_log(tmp_path / "run.jsonl")] == ["llm_call", "run_end"]

    def test_the_second_to_open_a_log_names_itself_on_every_record(self, tmp_path: Path) -> None:
        path = tmp_path / "run.jsonl"
        with StepLog(path, "r") as first, StepLog(path, "r") as second:
            first.record_llm_call("m")
            second.record_llm_call("m")
            second.record_tool_call("t")

        writers = {record.writer for record in read_log(path)}
        assert first.writer is None
        assert writers == {None, second.writer}
        assert second.writer is not None


class TestTheRun:
    def test_the_header_says_who_runs_what_and_where(self, tmp_path: Path) -> None:
        with recording(
            tmp_path,
            run_id="r",
            agent="researcher",
            agent_version="1.2",
            task_type="report",
            environment="staging",
            metadata={"user": 7},
            parent_run_id="outer",
            parent_step=3,
            forked_from={"run_id": "earlier", "step": 2},
        ) as run:
            [header] = run.records("run_start")

        assert header.step == 0
        assert header.format == 1
        assert (header.agent, header.agent_version, header.task_type) == ("researcher", "1.2", "report")
        assert (header.environment, header.metadata) == ("staging", {"user": 7})
        assert (header.parent_run_id, header.parent_step) == ("outer", 3)
        assert header.forked_from == {"run_id": "earlier", "step": 2}
        assert header.process is not None
        assert header.process["pid"] == os.getpid()
        assert header.recorder is not None
        assert header.recorder["name"] == "agent-step-log"

    def test_it_takes_the_current_run_when_none_is_named(self, tmp_path: Path) -> None:
        with RunContext.start("planner", team="red") as outer, recording(tmp_path) as run:
            assert run.log.run_id == outer.run_id
            [header] = run.records("run_start")

        assert header.agent == "planner"
        assert header.metadata == {"team": "red"}

    def test_a_run_started_inside_a_step_names_it_as_its_parent(self, tmp_path: Path) -> None:
        with RunContext.start() as outer, StepLog(tmp_path / "outer.jsonl") as log:
            with log.tool_call("delegate") as call, RunContext.start():
                with StepLog(tmp_path / "inner.jsonl") as inner:
                    pass
        header = next(iter(read_log(inner.path)))

        assert (header.parent_run_id, header.parent_step) == (outer.run_id, call.step)

    @pytest.mark.parametrize(
        ("error", "status"),
        [
            (None, "ok"),
            (ValueError("no"), "error"),
            (KeyboardInterrupt(), "cancelled"),
            (SystemExit(0), "ok"),
            (SystemExit(3), "error"),
        ],
    )
    def test_leaving_the_block_says_how_the_run_ended(
        self, tmp_path: Path, error: BaseException | None, status: str
    ) -> None:
        log = StepLog(tmp_path / "run.jsonl", "r")
        log.__exit__(type(error) if error else None, error, None)

        [end] = [record for record in read_log(log.path) if record.type == "run_end"]
        assert end.status == status
        assert (end.error_type is not None) == (status in ("error", "cancelled"))

    def test_the_end_carries_totals_and_health(self, tmp_path: Path) -> None:
        with recording(tmp_path) as run:
            run.log.record_llm_call("m", 10, 5, "end_turn")
            run.log.record_tool_call("t", error="no")
        [end] = run.records("run_end")

        assert end.totals is not None
        assert end.totals["total_steps"] == 2
        assert end.totals["error_count"] == 1
        assert end.totals["input_tokens"] == 10
        assert end.health == {"written": 3}

    def test_closing_twice_ends_it_once(self, tmp_path: Path) -> None:
        with recording(tmp_path) as run:
            run.log.close()
            run.log.close("error")

        assert len(run.records("run_end")) == 1

    def test_a_log_that_is_dropped_ends_its_run(self, tmp_path: Path) -> None:
        log = StepLog(tmp_path / "run.jsonl", "r")
        log.record_llm_call("m")
        path = log.path
        del log

        assert [record.type for record in read_log(path)] == ["run_start", "llm_call", "run_end"]


class TestSummarize:
    def test_it_counts_what_was_recorded(self, tmp_path: Path) -> None:
        with recording(tmp_path, run_id="r") as run:
            run.log.record_llm_call("a", 10, 5, "max_tokens", 100, cache_read_tokens=4)
            run.log.record_llm_call("b", None, None, None, 300)
            run.log.record_tool_call("t", duration_ms=50, error="no")
            run.log.event("score", 0.5)
            summary = run.log.summarize()

        assert (summary.run_id, summary.total_steps, summary.event_count) == ("r", 3, 1)
        assert (summary.llm_call_count, summary.tool_call_count) == (2, 1)
        assert (summary.total_tokens, summary.cache_read_tokens) == (15, 4)
        assert (summary.error_count, summary.truncated_count, summary.unknown_usage_count) == (1, 1, 1)
        assert summary.models["a"]["calls"] == 1
        assert summary.tools["t"]["errors"] == 1

    def test_a_later_call_reads_only_what_is_new(self, tmp_path: Path) -> None:
        with recording(tmp_path) as run:
            run.log.record_llm_call("m", 1, 1)
            run.log.summarize()
            read_to = run.log._folded_to
            run.log.record_llm_call("m", 1, 1)

            assert read_to > 0
            assert run.log.summarize().total_tokens == 4
            assert run.log._folded_to > read_to

    def test_other_runs_in_the_file_do_not_count(self, tmp_path: Path) -> None:
        path = tmp_path / "shared.jsonl"
        with StepLog(path, "one") as one, StepLog(path, "two") as two:
            one.record_llm_call("m", 1, 1)
            two.record_llm_call("m", 10, 10)

            assert one.summarize().total_tokens == 2
            assert two.summarize().total_tokens == 20

    def test_a_log_that_cannot_be_read_back_gives_an_empty_summary(self, tmp_path: Path) -> None:
        log = StepLog(tmp_path / "run.jsonl", "r")
        log.record_llm_call("m", 1, 1)
        log.path.unlink()

        assert log.summarize().total_steps == 0
        log.close()


class TestBus:
    def test_every_record_is_published_after_it_is_in_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "run.jsonl"
        seen: list[tuple[str, bool]] = []

        class Bus:
            def emit(self, topic: str, payload: Any, /) -> None:
                text = path.read_text()
                seen.append((topic, text.count("\n") == len(seen) + 1 and payload.run_id == "r"))

        with StepLog(path, "r", bus=Bus()) as log:
            log.record_llm_call("m")
            log.event("score", 1)
            with log.tool_call("t"):
                pass

        topics = ["run.start", "step.llm_call", "event.score", "start.tool_call", "step.tool_call", "run.end"]
        assert seen == [(topic, True) for topic in topics]

    def test_a_bus_that_raises_does_not_reach_the_agent(self, tmp_path: Path) -> None:
        class Broken:
            def emit(self, topic: str, payload: Any, /) -> None:
                raise RuntimeError

        with StepLog(tmp_path / "run.jsonl", "r", bus=Broken()) as log:
            assert log.record_llm_call("m") == 1
