"""verify: what the numbering and the bytes of a log prove."""

from __future__ import annotations

import multiprocessing
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_step_log import StepLog, VerifyReport, verify
from agent_step_log._process import process_facts
from agent_step_log._verify import _Ranges
from agent_step_log.errors import LogFormatError, LogSourceError
from tests.agent_step_log.loglines import T0, begin, end, line, llm, start, tool

if TYPE_CHECKING:
    from pathlib import Path


def checked(tmp_path: Path, *lines: bytes) -> VerifyReport:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"".join(lines))
    return verify(path)


def texts(report: VerifyReport) -> list[str]:
    return [problem.text for problem in report.problems]


class TestVerify:
    def test_a_recorded_run_is_whole(self, tmp_path: Path) -> None:
        with StepLog(tmp_path / "log.jsonl") as log:
            log.record_llm_call("m", 1, 1)
            with log.agent("a"), log.tool_call("t"):
                log.event("e")

        report = verify(tmp_path / "log.jsonl")

        assert report.problems == []
        assert report.ok
        assert (report.records, report.runs) == (8, 1)

    def test_a_gap_in_a_closed_run_is_an_error(self, tmp_path: Path) -> None:
        report = checked(tmp_path, start(), llm(1), llm(4), llm(6), end())

        assert texts(report) == ["numbers 2 to 3 missing", "number 5 missing"]
        assert not report.ok
        assert report.problems[0].step == 2
        assert report.problems[0].run_id == "r"

    def test_a_gap_of_a_killed_writer_is_what_its_threads_had_in_hand(self, tmp_path: Path) -> None:
        report = checked(tmp_path, start(), llm(1), llm(3))

        assert texts(report) == [
            "number 2 missing (not acknowledged when the process was killed)",
            "the run was interrupted: its process is gone and wrote no run_end",
        ]
        assert report.ok

    def test_a_wide_gap_long_before_the_kill_is_lost_records(self, tmp_path: Path) -> None:
        report = checked(tmp_path, start(), llm(1), *map(llm, range(102, 1400)))

        assert texts(report)[0] == "numbers 2 to 101 missing"
        assert not report.ok

    def test_a_gap_of_a_killed_child_is_not_an_error_because_its_parent_was_closed(
        self, tmp_path: Path
    ) -> None:
        child = [start(writer="w"), llm(1, writer="w"), llm(3, writer="w")]

        report = checked(tmp_path, start(), *child, llm(1), end())

        assert texts(report) == [
            "number 2 of writer w missing (not acknowledged when the process was killed)"
        ]
        assert report.ok

    def test_a_gap_of_a_closed_child_is_one_though_its_parent_was_killed(self, tmp_path: Path) -> None:
        child = [start(writer="w"), llm(2, writer="w"), end(writer="w")]

        report = checked(tmp_path, start(), *child, llm(1))

        assert texts(report)[0] == "number 1 of writer w missing"
        assert not report.ok

    def test_a_number_used_twice_is_an_error(self, tmp_path: Path) -> None:
        report = checked(tmp_path, start(), llm(1), tool(1), end())

        assert texts(report) == ["number 1 is used twice"]

    def test_a_step_that_began_twice_is_an_error(self, tmp_path: Path) -> None:
        report = checked(tmp_path, start(), begin(1), begin(1), tool(1), end())

        assert texts(report) == ["number 1 is used twice"]

    def test_an_ending_of_a_type_of_a_later_version_is_an_ending(self, tmp_path: Path) -> None:
        report = checked(tmp_path, start(), begin(1, of="handoff"), line("handoff", 1), end())

        assert report.problems == []

    def test_damage_is_named_with_its_place(self, tmp_path: Path) -> None:
        at = len(start())

        report = checked(tmp_path, start(), b"junk\n", llm(1)[:30], b"\n{}\n", end(), llm(2)[:20])

        assert texts(report) == [
            f"4 bytes at offset {at} are not JSON",
            f"30 bytes at offset {at + 5} are the beginning of a record, torn off",
            f"2 bytes at offset {at + 36} are not a record",
            (
                f"20 bytes at offset {at + 39 + len(end())} "
                "are the beginning of a record its writer did not finish"
            ),
        ]
        assert [problem.is_error for problem in report.problems] == [True, True, True, False]

    def test_one_byte_is_not_two(self, tmp_path: Path) -> None:
        report = checked(tmp_path, start(), b"x\n", end())

        assert texts(report) == [f"1 byte at offset {len(start())} is not JSON"]

    def test_a_file_that_is_no_log_among_others_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "other.jsonl").write_bytes(b"[1]\n")
        (tmp_path / "newer.jsonl").write_bytes(start(format=3))

        report = checked(tmp_path, start(), end())
        everything = verify(tmp_path)

        assert report.ok
        assert [(p.text, p.path) for p in everything.problems if p.kind == "damage"][-2:] == [
            ("3 bytes at offset 0 are not a record", str(tmp_path / "other.jsonl")),
            ("the file is not a log", str(tmp_path / "other.jsonl")),
        ]
        assert "the file is of a later format" in texts(everything)

    def test_figures_that_cannot_be_are_named(self, tmp_path: Path) -> None:
        report = checked(tmp_path, start(), llm(1, duration_ms=-3, output_tokens=-7), end())

        assert texts(report) == ["duration_ms is -3", "output_tokens is -7"]

    def test_a_clock_that_went_back_is_named(self, tmp_path: Path) -> None:
        report = checked(tmp_path, start(), llm(1, ts=T0 + 60), llm(2, ts=T0), end())

        assert texts(report) == ["the clock went back 60 s"]

    def test_two_threads_passing_each_other_are_no_clock_problem(self, tmp_path: Path) -> None:
        assert checked(tmp_path, start(), llm(2, ts=T0 + 0.5), llm(1, ts=T0), end()).problems == []

    def test_work_in_flight_is_named(self, tmp_path: Path) -> None:
        calls = [begin(1), begin(2, of="llm_call", tool=None, model="m"), begin(3, of="handoff", tool=None)]

        report = checked(tmp_path, start(), *calls, end())

        assert texts(report) == [
            "tool_call t was in flight: it has a beginning and no end",
            "llm_call m was in flight: it has a beginning and no end",
            "handoff ? was in flight: it has a beginning and no end",
        ]
        assert report.ok

    def test_what_the_recorder_counted_as_lost_is_an_error(self, tmp_path: Path) -> None:
        report = checked(tmp_path, start(), llm(1), end(health={"dropped": 4}))

        assert texts(report) == ["the recorder itself counted 4 records as lost"]
        assert not report.ok

    def test_a_running_run_is_not_interrupted(self, tmp_path: Path) -> None:
        assert checked(tmp_path, start(process=process_facts()), llm(1)).problems == []

    def test_a_killed_run_is_interrupted(self, tmp_path: Path) -> None:
        child = multiprocessing.get_context("spawn").Process(
            target=record_and_exit, args=(tmp_path / "log.jsonl",)
        )
        child.start()
        child.join(60)

        assert [problem.kind for problem in verify(tmp_path / "log.jsonl").problems] == [
            "interrupted",
            "unfinished",
        ]

    def test_errors_come_first(self, tmp_path: Path) -> None:
        report = checked(tmp_path, start(), begin(1), llm(2), llm(2))

        assert [problem.is_error for problem in report.problems] == [True, False, False]

    @pytest.mark.parametrize(("text", "error"), [(b"x\n", LogFormatError), (None, LogSourceError)])
    def test_what_is_no_log_is_refused(
        self, text: bytes | None, error: type[Exception], tmp_path: Path
    ) -> None:
        path = tmp_path / "log.jsonl"
        if text is not None:
            path.write_bytes(text)

        with pytest.raises(error):
            verify(path)


class TestNumbers:
    @given(st.lists(st.integers(1, 60)))
    def test_ranges_are_a_set(self, numbers: list[int]) -> None:
        ranges, met = _Ranges(), set[int]()
        for number in numbers:
            assert ranges.add(number) == (number not in met)
            met.add(number)

        missing = [n for first, last in ranges.gaps() for n in range(first, last + 1)]
        assert missing == [n for n in range(1, max(met, default=0)) if n not in met]
        assert ranges.highest == max(met, default=0)

    def test_one_gap_early_on_costs_one_range_whatever_follows(self) -> None:
        ranges = _Ranges()
        for number in range(5, 50_000):
            ranges.add(number)

        assert ranges.firsts == [5]
        assert ranges.gaps() == [(1, 4)]


def record_and_exit(path: Path) -> None:
    log = StepLog(path, "r")
    log.record_llm_call("m", 1, 1)
    with log.tool_call("t"):
        os._exit(0)
