"""What a record call asks of the system, counted, and what it keeps in memory: nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from agent_step_log import StepLog, _steplog, _writer
from tests.support.children import run_child
from tests.support.faults import Disk

if TYPE_CHECKING:
    from pathlib import Path


class FixedClock:
    """Tells the time it is set to, to the recorder and its writer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_800_000_000.0
        monkeypatch.setattr(_steplog, "time", lambda: self.now)
        monkeypatch.setattr(_writer, "time", lambda: self.now)


class TestSystemCalls:
    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> FixedClock:
        return FixedClock(monkeypatch)

    @pytest.fixture
    def disk(self, monkeypatch: pytest.MonkeyPatch) -> Disk:
        return Disk(monkeypatch)

    def test_a_record_is_one_write_and_nothing_else(
        self, tmp_path: Path, disk: Disk, clock: FixedClock
    ) -> None:
        log = StepLog(tmp_path / "run.jsonl")
        disk.calls.clear()
        for size in (10, 1000, 100_000, 2_000_000):
            log.record_tool_call("t", None, "x" * size)
            log.record_llm_call("m", 1, 2)
            log.event("e")

        assert disk.calls == {"write": 12}
        log.close()

    def test_a_measured_step_is_two(self, tmp_path: Path, disk: Disk, clock: FixedClock) -> None:
        log = StepLog(tmp_path / "run.jsonl")
        disk.calls.clear()
        for _ in range(10):
            with log.tool_call("t"):
                pass

        assert disk.calls == {"write": 20}
        log.close()

    def test_the_path_is_looked_at_once_a_second_at_most(
        self, tmp_path: Path, disk: Disk, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looks: list[float] = []
        look = _writer.LogWriter._look_at_path

        def counted(writer: _writer.LogWriter) -> None:
            looks.append(clock.now)
            look(writer)

        monkeypatch.setattr(_writer.LogWriter, "_look_at_path", counted)
        log = StepLog(tmp_path / "run.jsonl")
        disk.calls.clear()
        for _ in range(1000):
            clock.now += 0.01
            log.event("e")

        assert 8 <= len(looks) <= 10
        assert disk.calls == {"write": 1000, "fstat": len(looks)}
        log.close()

    def test_durability_disk_adds_one_sync_for_each_record(
        self, tmp_path: Path, disk: Disk, clock: FixedClock
    ) -> None:
        log = StepLog(tmp_path / "run.jsonl", durability="disk")
        disk.calls.clear()
        for _ in range(5):
            log.event("e")

        assert disk.calls == {"write": 5, "fdatasync": 5}
        log.close()


class TestMemory:
    def test_three_hundred_thousand_records_leave_nothing_behind(self, tmp_path: Path) -> None:
        told = run_child(
            """
            import gc, tracemalloc
            log = StepLog(sys.argv[1], run_id="r")
            def work(number):
                for _ in range(number):
                    log.record_llm_call("m", 10, 5, "end_turn", 1.5)
                    log.record_tool_call("t", {"a": 1}, "x" * 50)
            def resident():
                with open("/proc/self/statm") as file:
                    return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            with log.agent("a"), log.tool_call("t"):
                pass
            work(5000)
            gc.collect()
            before = resident()
            work(150_000)
            gc.collect()
            grown = resident() - before
            # Exact, but slow: fewer records.
            tracemalloc.start()
            work(500)
            start = tracemalloc.get_traced_memory()[0]
            work(10_000)
            gc.collect()
            print(json.dumps([grown, tracemalloc.get_traced_memory()[0] - start]))
            log.close()
            """,
            tmp_path / "run.jsonl",
        ).told

        resident, traced = told
        # 5 MB for a million records; two pages more or less, which may be huge ones, are the allocator's.
        assert resident <= 1_500_000 + 2 * 2**21
        assert traced <= 20_000


class TestStalledDisk:
    def test_one_slow_write_is_no_stall_and_two_in_a_row_give_up_the_gil_for_a_while(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with StepLog(tmp_path / "run.jsonl") as log:
            writer = log._writer
            held: list[bytes] = []

            def noted(fd: int, line: bytes, _size: int) -> int:
                held.append(line)
                return os.write(fd, line)

            monkeypatch.setattr(writer, "_held_write", noted)
            # Beginning and end of each held write; the last two begin within the pause and after it.
            moments = iter([10.0, 10.03, 11.0, 11.001, 12.0, 12.03, 13.0, 13.03, 14.0, 16.0, 16.001])
            monkeypatch.setattr(_writer, "monotonic", lambda: next(moments))
            lines = [b'{"line":%d}\n' % number for number in range(6)]
            for line in lines:
                writer._write_held(line)
            monkeypatch.undo()

        assert held == [*lines[:4], lines[5]]
