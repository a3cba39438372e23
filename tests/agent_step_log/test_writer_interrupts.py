"""Signals, finalisers and the garbage collector in the middle of a record call."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from agent_step_log import StepLog, read_log, verify
from agent_step_log._interrupts import is_from_signal
from tests.support.children import run_child
from tests.support.faults import BrokenDisk
from tests.support.logs import steps_of

if TYPE_CHECKING:
    from pathlib import Path


class TestASignalHandlerThatRecords:
    @pytest.mark.parametrize(
        "options",
        ["{}", "{'durability': 'disk'}", "{'rotate_bytes': 3000}"],
        ids=["process", "disk", "rotating"],
    )
    def test_it_neither_hangs_nor_loses_nor_repeats_a_record(self, tmp_path: Path, options: str) -> None:
        path = tmp_path / "run.jsonl"
        told = run_child(
            f"""
            log = StepLog(sys.argv[1], run_id="r", **{options})
            handled = depth = 0
            def record(*_):
                global handled, depth
                if depth < 3:  # it may interrupt itself, but a slow disk must not pile it up
                    handled, depth = handled + 1, depth + 1
                    log.record_tool_call("handler", None, "x" * 200)
                    depth -= 1
            signal.signal(signal.SIGALRM, record)
            signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
            called = 0
            while handled < 300:
                called += 2
                with log.llm_call("main"):
                    log.record_tool_call("main", None, "x" * 2000)
            signal.setitimer(signal.ITIMER_REAL, 0)
            log.close()
            print(json.dumps([handled + called + called // 2 + 2, log.health.written, log.health.pending]))
            """,
            path,
        ).told

        handed_in, written, pending = told
        assert (written, pending) == (handed_in, 0)
        assert sum(1 for _ in read_log(path)) == handed_in
        assert verify(path).problems == []

    def test_one_that_records_beside_threads_never_hangs(self, tmp_path: Path) -> None:
        told = run_child(
            """
            log = StepLog(sys.argv[1], run_id="r", durability="disk")
            done = threading.Event()
            def work():
                while not done.is_set():
                    log.event("thread")
            threads = [threading.Thread(target=work) for _ in range(3)]
            for thread in threads: thread.start()
            handled = depth = 0
            def record(*_):
                global handled, depth
                if depth < 3:
                    handled, depth = handled + 1, depth + 1
                    log.event("handler")
                    depth -= 1
            signal.signal(signal.SIGALRM, record)
            signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
            while handled < 100:
                log.event("main")
            signal.setitimer(signal.ITIMER_REAL, 0)
            done.set()
            for thread in threads: thread.join()
            log.close()
            print(json.dumps(log.health.written))
            """,
            tmp_path / "run.jsonl",
        ).told

        assert sum(1 for _ in read_log(tmp_path / "run.jsonl")) == told


class TestASignalHandlerThatRaises:
    @pytest.mark.parametrize("error", ["KeyboardInterrupt", "TimeoutError", "ValueError", "Custom"])
    def test_its_exception_reaches_the_agent_and_no_record_is_written_twice(
        self, tmp_path: Path, error: str
    ) -> None:
        path = tmp_path / "run.jsonl"
        told = run_child(
            f"""
            class Custom(Exception): pass
            log = StepLog(sys.argv[1], run_id="r")
            raised = caught = 0
            armed = False
            def interrupt(*_):
                global raised, armed
                if armed:
                    armed = False
                    raised += 1
                    raise {error}
            signal.signal(signal.SIGALRM, interrupt)
            signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
            acknowledged = []
            while raised < 400:
                try:
                    armed = True
                    step = log.record_tool_call("t", {{"a": [1, 2]}}, "x" * 20_000)
                    armed = False
                    acknowledged.append(step)
                except {error}:
                    caught += 1
            signal.setitimer(signal.ITIMER_REAL, 0)
            steps = [json.loads(line)["step"] for line in open(sys.argv[1], "rb")]
            log.event("after")
            log.close()
            health = log.health
            print(json.dumps([
                raised - caught, len(set(acknowledged) - set(steps)), len(steps) - len(set(steps)),
                health.pending, health.dropped, health.written - len(steps) - 2 <= raised,
            ]))
            """,
            path,
        ).told

        # Not one exception was swallowed, no acknowledged record is missing, none is there twice.
        assert told == [0, 0, 0, 0, 0, True]

    def test_one_that_hits_a_failing_disk_leaves_nothing_locked(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class InterruptedDisk(BrokenDisk):
            def fail(self, fd: int, data: bytes) -> int:
                if self.calls["write"] % 2:
                    raise KeyboardInterrupt
                return super().fail(fd, data)

        path = tmp_path / "run.jsonl"
        disk = InterruptedDisk(monkeypatch)
        log = StepLog(path, on_error="ignore")
        disk.is_faulty = True
        interrupted = 0
        for _ in range(50):
            try:
                log.event("e")
            except KeyboardInterrupt:
                interrupted += 1
        disk.is_faulty = False
        log.event("after")

        assert interrupted > 10
        assert log.health.pending == 0
        assert 51 in steps_of(path)
        assert len(steps_of(path)) == len(set(steps_of(path)))
        log.close()

    def test_an_error_of_the_disk_is_not_taken_for_one(self) -> None:
        with pytest.raises(OSError, match="Bad file descriptor") as raised:
            os.write(-1, b"")

        assert not is_from_signal(raised.value)

    def test_handlers_of_every_shape_are_known(self) -> None:
        from functools import partial

        class Handler:
            def method(self, *_: object) -> None:
                raise TimeoutError

            def __call__(self, *_: object) -> None:
                raise TimeoutError

        former = signal.getsignal(signal.SIGUSR1)
        try:
            for handler in (Handler().method, Handler(), partial(Handler().method)):
                signal.signal(signal.SIGUSR1, handler)
                with pytest.raises(TimeoutError) as raised:
                    signal.raise_signal(signal.SIGUSR1)
                assert is_from_signal(raised.value)
        finally:
            signal.signal(signal.SIGUSR1, former)


class TestFinalisers:
    def test_one_the_collector_runs_inside_a_record_call_may_record(self, tmp_path: Path) -> None:
        told = run_child(
            """
            import gc
            log = StepLog(sys.argv[1], run_id="r")
            finalised = 0
            class Late:
                def __init__(self):
                    self.cycle = self
                def __del__(self):
                    global finalised
                    finalised += 1
                    with log.tool_call("late"):
                        log.event("late")
            gc.set_threshold(5, 2, 2)
            for _ in range(2000):
                Late()
                log.record_tool_call("t", {"a": [{"b": 1}]}, ["x"])
                with log.llm_call("m"):
                    pass
            gc.set_threshold(700, 10, 10)
            gc.collect()
            log.close()
            print(json.dumps([finalised, log.health.written]))
            """,
            tmp_path / "run.jsonl",
        ).told

        assert told == [2000, 2 + 3 * 2000 + 3 * 2000]
        assert verify(tmp_path / "run.jsonl").problems == []

    def test_an_exception_in_one_is_shown_and_goes_no_further(self, tmp_path: Path) -> None:
        ended = run_child(
            """
            log = StepLog(sys.argv[1], on_error="raise")
            os.dup2(os.open("/dev/full", os.O_WRONLY), log._writer._real_fd)
            log = None
            print("goes on")
            """,
            tmp_path / "run.jsonl",
        )

        assert (ended.code, ended.out) == (0, "goes on\n")
        assert "RecordLostError" in ended.err
