"""Moving the file aside by size: every record in one file, in an order, and none lost between two."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from agent_step_log import StepLog, list_runs, read_log, verify
from agent_step_log import _writer as writer_module
from tests.support.children import run_child

if TYPE_CHECKING:
    from pathlib import Path


class TestRotation:
    def test_every_record_is_in_one_of_the_files_and_reads_back_in_order(self, tmp_path: Path) -> None:
        path = tmp_path / "run.jsonl"
        with StepLog(path, rotate_bytes=2000) as log:
            for _ in range(50):
                log.record_tool_call("t", None, "x" * 300)

        names = sorted(file.name for file in tmp_path.iterdir())
        assert names[:2] == ["run.000001.jsonl", "run.000002.jsonl"]
        assert len(names) > 5
        assert [record.step for record in read_log(path)] == [0, *range(1, 51), 0]
        assert verify(path).problems == []
        assert log.health.written == 52

    def test_the_totals_count_every_file(self, tmp_path: Path) -> None:
        log = StepLog(tmp_path / "run.jsonl", rotate_bytes=2000)
        for _ in range(30):
            log.record_llm_call("m", 10, 1)

        assert log.summarize().llm_call_count == 30
        for _ in range(30):
            log.record_llm_call("m", 10, 1)
        assert log.summarize().input_tokens == 600
        log.close()
        assert list_runs(log.path)[0].end.totals["llm_call_count"] == 60  # type: ignore[union-attr,index]

    def test_a_number_freed_by_a_removed_file_is_not_given_again(self, tmp_path: Path) -> None:
        log = StepLog(tmp_path / "run.jsonl", rotate_bytes=2000)
        for _ in range(20):
            log.record_tool_call("t", None, "x" * 300)
        last = sorted(tmp_path.glob("run.0*"))[-1].name
        for file in sorted(tmp_path.glob("run.0*"))[:-1]:
            file.unlink()
        for _ in range(20):
            log.record_tool_call("t", None, "x" * 300)
        log.close()

        assert min(file.name for file in tmp_path.glob("run.0*")) == last

    def test_two_processes_that_rotate_one_file_lose_nothing_and_repeat_nothing(self, tmp_path: Path) -> None:
        told = run_child(
            """
            path = sys.argv[1] + "/run.jsonl"
            children = []
            for _ in range(3):
                pid = os.fork()
                if pid == 0:
                    log = StepLog(path, run_id="r", rotate_bytes=20_000)
                    for _ in range(500):
                        log.record_tool_call("t", None, "x" * 200)
                    log.close()
                    os._exit(log.health.dropped)
                children.append(pid)
            print(json.dumps([os.waitpid(pid, 0)[1] for pid in children]))
            """,
            tmp_path,
        ).told

        assert told == [0, 0, 0]
        records = [(record.writer, record.step) for record in read_log(tmp_path / "run.jsonl") if record.step]
        assert len(records) == len(set(records)) == 1500
        assert verify(tmp_path / "run.jsonl").ok

    def test_threads_that_rotate_one_file_lose_nothing(self, tmp_path: Path) -> None:
        told = run_child(
            """
            log = StepLog(sys.argv[1] + "/run.jsonl", run_id="r", rotate_bytes=20_000)
            def work():
                for _ in range(500):
                    log.record_tool_call("t", None, "x" * 200)
            threads = [threading.Thread(target=work) for _ in range(4)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            log.close()
            print(json.dumps([log.health.written, log.health.dropped, log.health.pending]))
            """,
            tmp_path,
        ).told

        assert told == [2002, 0, 0]
        assert sum(1 for _ in read_log(tmp_path / "run.jsonl")) == 2002
        assert verify(tmp_path / "run.jsonl").problems == []


class TestARotationCutShort:
    def killed_after_the_move(self, path: Path) -> None:
        """Leave what a writer leaves that is killed when it has moved the file aside."""
        log = StepLog(path, run_id="r")
        log.event("e")
        writer_module._move_aside(path)
        os.close(log._writer._real_fd)
        log._writer._real_fd = -1
        log._writer.closed = True

    def test_a_log_without_its_newest_file_is_read(self, tmp_path: Path) -> None:
        path = tmp_path / "run.jsonl"
        self.killed_after_the_move(path)

        assert not path.exists()
        assert [record.type for record in read_log(path)] == ["run_start", "event"]

    def test_the_next_writer_is_not_taken_for_the_first(self, tmp_path: Path) -> None:
        path = tmp_path / "run.jsonl"
        self.killed_after_the_move(path)
        with StepLog(path, run_id="r") as log:
            log.event("e")

        assert log.writer is not None
        assert verify(path).ok

    def test_a_name_already_reserved_is_passed_over(self, tmp_path: Path) -> None:
        path = tmp_path / "run.jsonl"
        (tmp_path / "run.000001.jsonl").touch()
        with StepLog(path, rotate_bytes=100) as log:
            log.event("e")

        assert (tmp_path / "run.000001.jsonl").read_bytes() == b""
        assert sum(1 for _ in read_log(path)) == 3

    @pytest.mark.parametrize("error", [PermissionError, FileNotFoundError])
    def test_a_file_that_cannot_be_moved_stays_and_is_written_on(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[OSError]
    ) -> None:
        def refuse(path: Path) -> None:
            raise error(13, "no")

        monkeypatch.setattr(writer_module, "_move_aside", refuse)
        with StepLog(tmp_path / "run.jsonl", rotate_bytes=100) as log:
            for _ in range(5):
                log.event("e")

        assert sum(1 for _ in read_log(log.path)) == 7
        assert log.health.last_error == "EACCES: no"
