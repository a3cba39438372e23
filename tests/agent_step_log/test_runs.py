"""Runs as a reader sees them: listing, status, and steps as a tree."""

from __future__ import annotations

import multiprocessing
import os
from time import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_step_log import Run, StepLog, list_runs, read_run
from agent_step_log._process import boot_id, process_facts
from agent_step_log._runs import SILENT_S
from agent_step_log.errors import LogFormatError, LogSourceError, LogTooNewError
from tests.agent_step_log.loglines import T0, begin, end, line, llm, start, tool

if TYPE_CHECKING:
    from pathlib import Path


def write(tmp_path: Path, *lines: bytes) -> Path:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"".join(lines))
    return path


def drawn(run: Run) -> list[tuple[int, int, str]]:
    return [(depth, step.number, step.type) for depth, step in run.walk()]


class TestListRuns:
    def test_runs_come_in_the_order_they_started(self, tmp_path: Path) -> None:
        path = write(tmp_path, start("b", ts=T0 + 5), start("a", ts=T0), llm(1, run="b"), end("a"))

        assert [info.run_id for info in list_runs(path)] == ["a", "b"]

    def test_a_run_in_several_files_is_one(self, tmp_path: Path) -> None:
        (tmp_path / "a.jsonl").write_bytes(start() + begin(1))
        (tmp_path / "b.jsonl").write_bytes(tool(1) + end())

        [info] = list_runs(tmp_path)

        assert info.paths == [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
        assert info.in_flight == {}
        assert info.summary.tool_call_count == 1

    def test_the_header_is_the_first_one(self, tmp_path: Path) -> None:
        [info] = list_runs(write(tmp_path, start(agent="first"), start(writer="w", agent="second")))

        assert info.header is not None
        assert info.header.agent == "first"
        assert len(info.headers) == 2

    def test_a_later_format_alone_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(LogTooNewError):
            list_runs(write(tmp_path, start(format=2)))

    def test_what_is_no_log_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(LogFormatError):
            list_runs(write(tmp_path, b"hello\n"))


class TestStatus:
    @pytest.mark.parametrize("status", ["ok", "error", "cancelled"])
    def test_an_ended_run_has_the_status_it_ended_with(self, status: str, tmp_path: Path) -> None:
        [info] = list_runs(write(tmp_path, start(), end(status=status)))

        assert info.status == status

    def test_the_end_of_another_writer_does_not_end_the_run(self, tmp_path: Path) -> None:
        [info] = list_runs(write(tmp_path, start(), start(writer="w"), end(writer="w")))

        assert info.status == "interrupted"

    def test_a_run_without_a_header_is_unknown(self, tmp_path: Path) -> None:
        [info] = list_runs(write(tmp_path, llm(1)))

        assert info.status == "unknown"

    def test_a_run_whose_process_lives_is_running(self, tmp_path: Path) -> None:
        [info] = list_runs(write(tmp_path, start(process=process_facts())))

        assert info.status == "running"

    def test_a_pid_given_again_is_another_process(self, tmp_path: Path) -> None:
        [info] = list_runs(write(tmp_path, start(process={**process_facts(), "started": 0.01})))

        assert info.status == "interrupted"

    def test_a_restart_of_the_machine_ends_every_process(self, tmp_path: Path) -> None:
        assert boot_id() is not None
        [info] = list_runs(write(tmp_path, start(process={**process_facts(), "boot_id": "before"})))

        assert info.status == "interrupted"

    def test_a_process_on_another_machine_runs_until_its_log_is_silent(self, tmp_path: Path) -> None:
        elsewhere = {"pid": 1, "host": "elsewhere.invalid"}
        now = time()

        [info] = list_runs(write(tmp_path, start(ts=now, process=elsewhere)))
        [silent] = list_runs(write(tmp_path, start(ts=now - SILENT_S - 1, process=elsewhere)))

        assert (info.status, silent.status) == ("running", "interrupted")

    def test_a_killed_process_leaves_an_interrupted_run_with_its_step_in_flight(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        child = multiprocessing.get_context("spawn").Process(target=begin_and_exit, args=(path,))
        child.start()
        child.join(60)

        [info] = list_runs(path)

        assert info.status == "interrupted"
        assert [record.tool for record in info.in_flight.values()] == ["search"]

    @pytest.mark.parametrize("process", [None, {}, {"pid": "x"}, {"pid": -1, "host": 5}, {"pid": True}])
    def test_odd_process_facts_do_no_harm(self, process: object, tmp_path: Path) -> None:
        [info] = list_runs(write(tmp_path, start(process=process)))

        assert info.status in ("interrupted", "running")


class TestReadRun:
    def test_steps_hang_below_their_parents_in_order(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        with StepLog(path, "r") as log:
            with log.agent("planner"):
                log.record_llm_call("m", 1, 1)
                with log.tool_call("search"):
                    log.event("found")
            log.record_llm_call("m", 1, 1)

        assert drawn(read_run(path)) == [
            (0, 1, "agent_call"),
            (1, 2, "llm_call"),
            (1, 3, "tool_call"),
            (2, 4, "event"),
            (0, 5, "llm_call"),
        ]

    def test_a_step_knows_its_beginning_and_its_ending(self, tmp_path: Path) -> None:
        run = read_run(write(tmp_path, start(), begin(1), tool(1, ts=T0 + 9, error="no"), begin(2), end()))

        failed, unfinished = run.roots
        assert (failed.status, failed.duration_ms, failed.started_at) == ("error", 2.5, T0 + 1)
        assert failed.start is not None
        assert (unfinished.status, unfinished.duration_ms, unfinished.name) == ("unfinished", None, "t")

    def test_an_ending_whose_beginning_was_lost_still_says_when_it_began(self, tmp_path: Path) -> None:
        run = read_run(write(tmp_path, start(), tool(1, ts=T0 + 9, start_ts=T0 + 4), tool(2, ts=T0 + 9)))

        assert [step.started_at for step in run.roots] == [T0 + 4, T0 + 9 - 0.0025]

    def test_a_parent_of_another_writer_is_found(self, tmp_path: Path) -> None:
        lines = [
            start(),
            begin(1, of="agent_call"),
            llm(1, writer="w", parent=1, parent_writer=""),
            tool(2, writer="w", parent=1),
            llm(2, parent=1, parent_writer="w"),
            end(),
        ]

        assert drawn(read_run(write(tmp_path, *lines))) == [
            (0, 1, "agent_call"),
            (1, 1, "llm_call"),
            (2, 2, "tool_call"),
            (2, 2, "llm_call"),
        ]

    def test_a_step_whose_parent_is_missing_is_a_root(self, tmp_path: Path) -> None:
        assert drawn(read_run(write(tmp_path, llm(1, parent=7)))) == [(0, 1, "llm_call")]

    def test_parents_that_form_a_ring_lose_no_step(self, tmp_path: Path) -> None:
        ring = [llm(1, parent=2), llm(2, parent=3), llm(3, parent=1), llm(4, parent=4)]

        assert sorted(number for _, number, _ in drawn(read_run(write(tmp_path, *ring)))) == [1, 2, 3, 4]

    def test_ten_thousand_levels_are_walked(self, tmp_path: Path) -> None:
        path = write(tmp_path, *(llm(n, parent=n - 1, ts=T0) for n in range(1, 10_001)))

        assert max(depth for depth, _, _ in drawn(read_run(path))) == 9999

    def test_steps_below_a_ring_hang_below_it(self, tmp_path: Path) -> None:
        lines = [llm(1, parent=2), llm(2, parent=1), llm(3, parent=2), llm(4, parent=3)]

        assert [(depth, number) for depth, number, _ in drawn(read_run(write(tmp_path, *lines)))] == [
            (0, 1),
            (0, 2),
            (1, 3),
            (2, 4),
        ]

    @given(st.lists(st.integers(0, 12), max_size=12))
    def test_every_step_is_in_the_tree_once_whatever_its_parent(self, parents: list[int]) -> None:
        from pathlib import Path
        from tempfile import TemporaryDirectory

        with TemporaryDirectory() as folder:
            path = write(Path(folder), start(), *(llm(n, parent=p) for n, p in enumerate(parents, 1)))
            numbers = sorted(number for _, number, _ in drawn(read_run(path)))

        assert numbers == list(range(1, len(parents) + 1))

    def test_damage_of_its_files_comes_with_it(self, tmp_path: Path) -> None:
        assert [told.length for told in read_run(write(tmp_path, start(), b"oops\n", end())).damage] == [4]

    def test_a_type_of_a_later_version_is_a_step(self, tmp_path: Path) -> None:
        run = read_run(write(tmp_path, start(), line("handoff", 1, duration_ms=4)))

        assert [(step.type, step.name, step.status) for step in run.roots] == [("handoff", "?", "ok")]

    def test_the_other_files_of_a_directory_may_be_of_a_later_format(self, tmp_path: Path) -> None:
        (tmp_path / "newer.jsonl").write_bytes(start("n", format=2))

        write(tmp_path, start(), llm(1))

        assert read_run(tmp_path, "r").run_id == "r"


class TestWhichRun:
    LINES = (start("run-abc", ts=T0), start("run-abd", ts=T0 + 1), start("abc", ts=T0 + 2))

    @pytest.mark.parametrize(
        ("asked", "found"),
        [(None, "abc"), ("abc", "abc"), ("run-abc", "run-abc"), ("abd", "run-abd"), ("run-abd", "run-abd")],
    )
    def test_by_id_or_by_an_end_of_it(self, asked: str | None, found: str, tmp_path: Path) -> None:
        assert read_run(write(tmp_path, *self.LINES), asked).run_id == found

    def test_two_it_could_be_are_an_error(self, tmp_path: Path) -> None:
        path = write(tmp_path, *self.LINES)

        with pytest.raises(LogSourceError) as caught:
            read_run(path, "run-")

        assert str(caught.value) == f"{path}: 2 runs match 'run-': run-abc, run-abd; give more of the id."

    def test_none_it_could_be_is_an_error(self, tmp_path: Path) -> None:
        path = write(tmp_path, *self.LINES)

        with pytest.raises(LogSourceError) as caught:
            read_run(path, "zzz")

        assert str(caught.value) == f"{path}: no run 'zzz' in it; `agent-step-log ls` shows the runs."

    @pytest.mark.parametrize("asked", ["run-abx", "run-adc", "run_abc"])
    def test_the_nearest_are_named(self, asked: str, tmp_path: Path) -> None:
        with pytest.raises(LogSourceError, match=f"no run '{asked}' in it; the nearest: .*run-abc"):
            read_run(write(tmp_path, *self.LINES), asked)

    def test_an_empty_log_has_none(self, tmp_path: Path) -> None:
        path = write(tmp_path)

        with pytest.raises(LogSourceError) as caught:
            read_run(path)

        assert str(caught.value) == f"{path}: no run in it."


def begin_and_exit(path: Path) -> None:
    log = StepLog(path, "r")
    with log.tool_call("search", {"q": "x"}):
        os._exit(0)
