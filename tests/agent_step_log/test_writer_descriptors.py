"""Descriptors closed behind our back, files deleted and moved away.

The log goes on, and nobody else gets its lines.
"""

from __future__ import annotations

import os
import shutil
import threading
from typing import TYPE_CHECKING

import pytest

from agent_step_log import StepLog
from tests.support.children import run_child
from tests.support.logs import lines_of, steps_of

if TYPE_CHECKING:
    from pathlib import Path


def look_again(log: StepLog) -> None:
    """Let the time pass after which the writer looks at its path."""
    log._writer._look_at = log._writer.attend_at = log._attend_at = 0.0


class TestAClosedDescriptor:
    def test_the_log_is_opened_anew_and_no_record_is_lost(self, tmp_path: Path) -> None:
        path = tmp_path / "run.jsonl"
        log = StepLog(path)
        log.event("before")
        os.close(log._writer._real_fd)
        log.event("after")

        assert steps_of(path) == [1, 2]
        assert (log.health.written, log.health.dropped, log.health.reopened) == (3, 0, 1)
        log.close()

    def test_a_daemonisers_sweep_leaves_our_lines_out_of_the_files_opened_after_it(
        self, tmp_path: Path
    ) -> None:
        told = run_child(
            """
            place = sys.argv[1]
            log = StepLog(place + "/run.jsonl", run_id="r")
            log.event("before")
            os.closerange(3, 4096)
            others = [open(f"{place}/{number}", "w+b") for number in range(50)]
            with log.tool_call("t"):
                log.record_tool_call("t")
            log.event("after")
            print(json.dumps([sum(os.path.getsize(file.name) for file in others), log.health.written]))
            log.close()
            """,
            tmp_path,
        ).told

        assert told == [0, 6]
        assert sorted(steps_of(tmp_path / "run.jsonl")) == [1, 2, 2, 3, 4]

    def test_a_low_limit_of_descriptors_still_keeps_ours_apart_from_the_next_ones_opened(
        self, tmp_path: Path
    ) -> None:
        told = run_child(
            """
            import resource
            resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
            log = StepLog(sys.argv[1] + "/run.jsonl", run_id="r")
            os.closerange(3, 100)
            other = open(sys.argv[1] + "/other", "w+b")
            log.event("after")
            print(json.dumps([os.path.getsize(other.name), log.health.written]))
            log.close()
            """,
            tmp_path,
        ).told

        assert told == [0, 2]

    def test_a_number_given_to_another_file_is_noticed_and_left_to_it(self, tmp_path: Path) -> None:
        path, other = tmp_path / "run.jsonl", tmp_path / "other"
        log = StepLog(path, on_error="ignore")
        log.event("before")
        look_again(log)
        log.event("looked at")
        number = log._writer._real_fd
        theirs = os.open(other, os.O_RDWR | os.O_CREAT)
        os.dup2(theirs, number)
        log.event("astray")
        look_again(log)
        log.event("astray too")
        log.event("after")

        # What went astray before it was noticed is in no log: it is counted, and no more follows.
        assert steps_of(path) == [1, 2, 5]
        assert (log.health.written, log.health.dropped) == (4, 2)
        assert log.health.last_error == (
            "the log's descriptor was closed, and its number given to another file"
        )
        log.close()
        os.fstat(number)  # it is still theirs
        os.close(number)
        os.close(theirs)


class TestADeletedFile:
    def test_it_is_made_again_and_what_went_with_it_is_counted(self, tmp_path: Path) -> None:
        path = tmp_path / "run.jsonl"
        log = StepLog(path, on_error="ignore")
        log.event("before")
        look_again(log)
        log.event("looked at")
        path.unlink()
        for _ in range(3):
            log.event("into nothing")
        look_again(log)
        log.event("into nothing, but noticed")
        log.event("after")

        assert steps_of(path) == [7]
        assert (log.health.dropped, log.health.reopened) == (4, 1)
        assert log.health.last_error == "the log was deleted while it was written to"
        log.close()
        assert lines_of(path)[-1]["health"]["dropped"] == 4

    def test_a_deleted_directory_is_made_again(self, tmp_path: Path) -> None:
        path = tmp_path / "logs" / "run.jsonl"
        log = StepLog(path, on_error="ignore")
        look_again(log)
        log.event("looked at")
        shutil.rmtree(path.parent)
        look_again(log)
        log.event("noticed")
        log.event("after")
        log.close()

        assert steps_of(path) == [3]
        assert log.health.dropped == 1

    def test_records_wait_while_it_cannot_be_made_again(self, tmp_path: Path) -> None:
        path = tmp_path / "logs" / "run.jsonl"
        log = StepLog(path, on_error="ignore")
        look_again(log)
        log.event("looked at")
        shutil.rmtree(path.parent)
        path.parent.write_text("a file where the directory was")
        look_again(log)
        log.event("noticed")
        for _ in range(5):
            log.event("waits")

        assert (log.health.dropped, log.health.pending) == (1, 5)
        path.parent.unlink()
        log.event("after")
        log.close()
        assert sorted(steps_of(path)) == [3, 4, 5, 6, 7, 8]
        assert log.health.written == 2 + 6 + 1


class TestAMovedFile:
    def test_the_next_records_go_where_the_path_points_and_none_is_lost(self, tmp_path: Path) -> None:
        path, moved = tmp_path / "run.jsonl", tmp_path / "run.jsonl.1"
        log = StepLog(path)
        log.event("before")
        path.rename(moved)
        log.event("still the old file")
        look_again(log)
        log.event("noticed")
        log.event("after")

        assert (steps_of(moved), steps_of(path)) == ([1, 2, 3], [4])
        assert (log.health.written, log.health.dropped, log.health.reopened) == (5, 0, 1)
        log.close()

    def test_a_link_that_leads_to_no_file_yet_is_followed(self, tmp_path: Path) -> None:
        path = tmp_path / "latest.jsonl"
        path.symlink_to(tmp_path / "run.jsonl")
        log = StepLog(path)
        log.event("e")
        log.close()

        assert steps_of(tmp_path / "run.jsonl", writer=log.writer) == [1]
        assert path.is_symlink()


class TestClosing:
    def test_the_number_of_a_closed_log_rests_while_other_threads_may_be_about_to_write_to_it(
        self, tmp_path: Path
    ) -> None:
        ended = threading.Event()
        thread = threading.Thread(target=ended.wait)
        thread.start()
        try:
            log = StepLog(tmp_path / "run.jsonl")
            number = log._writer._real_fd
            log.close()

            with pytest.raises(OSError, match="Bad file descriptor"):
                os.write(number, b"late")
            assert os.dup(0) != number
        finally:
            ended.set()
            thread.join()

    def test_a_thousand_logs_opened_and_closed_beside_a_thread_leave_no_descriptors(
        self, tmp_path: Path
    ) -> None:
        told = run_child(
            """
            threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
            for number in range(1000):
                StepLog(f"{sys.argv[1]}/{number % 7}.jsonl").close()
            print(len(os.listdir("/proc/self/fd")))
            """,
            tmp_path,
        ).told

        assert told < 20

    def test_closing_beside_threads_that_record_loses_nothing_uncounted(self, tmp_path: Path) -> None:
        told = run_child(
            """
            bad = []
            for attempt in range(20):
                path = f"{sys.argv[1]}/{attempt}.jsonl"
                log = StepLog(path, on_error="ignore")
                going = threading.Event()
                def work():
                    for number in range(300):
                        log.record_tool_call("t", None, "x" * 500)
                        if number == 5:
                            going.set()
                threads = [threading.Thread(target=work) for _ in range(4)]
                for thread in threads: thread.start()
                going.wait()
                log.close()
                for thread in threads: thread.join()
                health, lines = log.health, open(path, "rb").read().count(b"\\n")
                if health.written != lines or health.pending or health.written + health.dropped != 1202:
                    bad.append([health.written, health.pending, health.dropped, lines])
            print(json.dumps(bad))
            """,
            tmp_path,
        ).told

        assert told == []
