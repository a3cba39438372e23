"""Following a log that grows, moves and is cut short, without a sleep in the test."""

from __future__ import annotations

import multiprocessing
import os
import threading
from queue import Queue
from typing import TYPE_CHECKING, Self

from agent_step_log import Record, StepLog, _reader, read_log
from tests.agent_step_log.loglines import end, llm, start, tool

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

PATIENCE_S = 120  # reached only when a test fails


class Follower:
    """Follows a log on a thread of its own; `next` waits for the next record, `stop` ends it."""

    def __init__(self, path: Path) -> None:
        self._records: Queue[Record] = Queue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, args=(path,))

    def _follow(self, path: Path) -> None:
        for record in read_log(path, follow=True, stop=self._stop):
            self._records.put(record)

    def next(self) -> Record:
        return self._records.get(timeout=PATIENCE_S)

    def stop(self) -> list[int]:
        """End it; return the steps that had not been asked for."""
        self._stop.set()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        rest = []
        while not self._records.empty():
            rest.append(self._records.get().step)
        return rest

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


class TestFollow:
    def test_what_the_file_gains_is_given_as_it_comes(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        append(path, start())
        with Follower(path) as follower:
            assert follower.next().type == "run_start"
            for step in range(1, 6):
                append(path, llm(step))
                assert follower.next().step == step

    def test_a_line_is_given_when_its_newline_has_come(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        append(path, start() + llm(1)[:20])
        with Follower(path) as follower:
            assert follower.next().type == "run_start"
            append(path, llm(1)[20:-1])
            append(path, b"\n")
            assert follower.next().step == 1

    def test_what_was_written_before_the_stop_is_still_given(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        append(path, start())
        for _ in range(5):
            with Follower(path) as follower:
                follower.next()
                append(path, llm(1))
                assert follower.stop()[-1] == 1

    def test_a_stop_leaves_an_unfinished_line_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        append(path, start() + llm(1)[:-1])
        with Follower(path) as follower:
            follower.next()

            assert follower.stop() == []

    def test_a_stop_that_came_first_still_reads_what_is_there(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        append(path, start() + llm(1))
        stop = threading.Event()
        stop.set()

        assert [record.step for record in read_log(path, follow=True, stop=stop)] == [0, 1]

    def test_a_recorder_in_another_process_is_followed(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        append(path, b"")
        recorder = multiprocessing.get_context("spawn").Process(target=record_five, args=(path,))
        with Follower(path) as follower:
            recorder.start()
            types = [follower.next().type for _ in range(7)]
            recorder.join(PATIENCE_S)

        assert types == ["run_start", *["tool_call"] * 5, "run_end"]

    def test_a_line_too_long_is_passed_over_once_it_has_ended(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_reader, "MAX_LINE_BYTES", 1000)
        monkeypatch.setattr(_reader, "_CHUNK", 100)
        path = tmp_path / "log.jsonl"
        append(path, start() + b"x" * 3000)
        with Follower(path) as follower:
            follower.next()
            append(path, b"y" * 3000)
            append(path, b"z\n" + llm(1))

            assert follower.next().step == 1


class TestMovedFiles:
    def test_a_rotated_log_is_followed_into_the_new_file(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        append(path, start() + llm(1))
        with Follower(path) as follower:
            assert [follower.next().step for _ in range(2)] == [0, 1]
            append(path, llm(2))
            path.rename(tmp_path / "log.000001.jsonl")
            append(path, llm(3))

            assert [follower.next().step for _ in range(2)] == [2, 3]

    def test_no_file_of_a_log_rotated_twice_is_missed(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        append(path, start())
        with Follower(path) as follower:
            follower.next()
            path.rename(tmp_path / "log.000001.jsonl")
            append(tmp_path / "log.000002.jsonl", llm(1))
            append(path, llm(2))

            assert [follower.next().step for _ in range(2)] == [1, 2]

    def test_the_recorder_rotating_under_a_follower_loses_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        log = StepLog(path, "r", rotate_bytes=2000)
        with Follower(path) as follower, log:
            follower.next()
            for _ in range(200):
                log.record_tool_call("t", None, "x" * 100)
            steps = [follower.next().step for _ in range(200)]

        assert steps == list(range(1, 201))
        assert len(list(tmp_path.glob("log.0*.jsonl"))) > 5

    def test_a_replaced_file_is_read_from_its_beginning(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        append(path, start() + llm(1))
        with Follower(path) as follower:
            assert [follower.next().step for _ in range(2)] == [0, 1]
            other = tmp_path / "other"
            append(other, start("s") + tool(7, run="s") + end("s") + llm(9))
            os.replace(other, path)

            assert [follower.next().step for _ in range(4)] == [0, 7, 0, 9]

    def test_a_file_cut_short_is_read_from_its_beginning(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        append(path, start() + llm(1) + llm(2)[:10])
        with Follower(path) as follower:
            assert [follower.next().step for _ in range(2)] == [0, 1]
            path.write_bytes(llm(5))

            assert follower.next().step == 5

    def test_a_file_moved_away_is_waited_for(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        append(path, start())
        with Follower(path) as follower:
            follower.next()
            path.rename(tmp_path / "elsewhere")
            append(tmp_path / "elsewhere", llm(1))
            assert follower.next().step == 1
            append(path, llm(2))
            assert follower.next().step == 2


def record_five(path: Path) -> None:
    with StepLog(path, "r") as log:
        for _ in range(5):
            log.record_tool_call("t")
