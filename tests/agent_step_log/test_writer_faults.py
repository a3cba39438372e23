"""Disks that are full, broken or short: what is not in the file is counted, and nothing else is lost."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import pytest

from agent_step_log import Damage, Health, StepLog, read_log, verify
from agent_step_log.errors import RecordLossWarning, RecordLostError
from tests.support.children import run_child, run_on_small_disk
from tests.support.faults import BrokenDisk, FullDisk, ShortWriter
from tests.support.logs import damaged_lines, lines_of, steps_of

if TYPE_CHECKING:
    from pathlib import Path


def adds_up(health: Health, handed_in: int, in_file: int) -> bool:
    """Whether the account covers every record handed in, and the file holds what it says was written."""
    return health.written + health.pending + health.dropped == handed_in and health.written == in_file


class TestAFullDisk:
    # Records of 20 kB until the disk has been full for a while, then room again, then more.
    FILL = """
        place, kind = sys.argv[1:]
        path = os.path.join(place, "run.jsonl")
        if kind == "disk":
            with open(os.path.join(place, "filler"), "wb") as file:
                file.write(b"x" * 7_000_000)
        log = StepLog(path, run_id="r", on_error="ignore")
        handed_in, texts = 1, {}
        def record(size):
            global handed_in
            handed_in += 1
            texts[log.record_tool_call("t", None, "x" * size)] = size
        while log.health.dropped < 20:
            record(20_000)
        full = log.health
        def lines():
            data = open(path, "rb").read()
            return [json.loads(line) for line in data.split(b"\\n") if line.endswith(b"}")], data
        in_file = len(lines()[0])
        if kind == "disk":
            os.unlink(os.path.join(place, "filler"))
        else:
            import resource
            resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
        for _ in range(3):
            record(100)
        room = log.health
        log.close()
        records, data = lines()
        steps = [line["step"] for line in records if line["step"]]
        print(json.dumps({
            "full": [full.written, full.pending, full.dropped, full.last_error], "in_file_when_full": in_file,
            "room": [room.written, room.pending, room.dropped], "handed_in": handed_in,
            "steps": steps, "given": len(texts), "end": records[-1]["health"],
            "whole": all(len(line["output"]) == texts[line["step"]] for line in records if line["step"]),
            "torn": [len(line) for line in data.split(b"\\n") if line and not line.endswith(b"}")],
        }))
    """

    @pytest.mark.parametrize("kind", ["disk", "limit"])
    def test_only_what_is_counted_as_lost_is_lost(self, tmp_path: Path, kind: str) -> None:
        if kind == "disk":
            told = run_on_small_disk(self.FILL, tmp_path, 8_000_000).told
        else:
            limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, -1))\n"
            told = run_child(limit + self.FILL.replace("\n        ", "\n"), tmp_path, "limit").told

        written, _pending, dropped, error = told["full"]
        assert error.startswith(("ENOSPC", "EFBIG"))
        assert written == told["in_file_when_full"]
        assert told["room"][:2] == [told["handed_in"] - dropped, 0]
        assert told["room"][2] == dropped >= 20
        assert len(told["steps"]) == len(set(told["steps"])) == told["given"] - dropped
        assert told["whole"]
        assert len(told["torn"]) <= 1
        # The end was written last, and says what is missing.
        assert told["end"]["dropped"] == dropped
        assert told["end"]["written"] == told["handed_in"] - dropped

    def test_the_kernels_own_full_device_takes_nothing_and_everything_is_counted(self) -> None:
        log = StepLog("/dev/full", on_error="ignore")
        for _ in range(5):
            log.record_tool_call("t")

        assert (log.health.written, log.health.pending, log.health.dropped) == (0, 6, 0)
        assert log.health.last_error == "ENOSPC: No space left on device"

        log.close()

        assert (log.health.written, log.health.pending, log.health.dropped) == (0, 0, 7)

    def test_what_is_kept_for_another_try_stays_within_bounds(self) -> None:
        log = StepLog("/dev/full", on_error="ignore")
        for _ in range(100_000):
            log.record_tool_call("t", None, "x" * 100)

        assert (log.health.pending, log.health.dropped) == (1000, 99_001)

        for _ in range(30):
            log.record_tool_call("t", None, "x" * 1024 * 1024)

        assert sum(map(len, log._writer._retry)) <= 4 * 1024 * 1024
        assert log.health.pending + log.health.dropped == 100_031
        log.close()


class TestABrokenDisk:
    def test_records_that_failed_are_written_in_their_order_before_the_next(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "run.jsonl"
        disk = BrokenDisk(monkeypatch)
        log = StepLog(path, on_error="ignore")
        log.record_tool_call("before")
        disk.is_faulty = True
        log.record_tool_call("during")
        log.record_llm_call("during")
        with log.tool_call("during"):
            pass

        assert (log.health.written, log.health.pending, log.health.last_error) == (
            2,
            4,
            "EIO: Input/output error",
        )
        assert len(lines_of(path)) == 2

        disk.is_faulty = False
        log.record_tool_call("after")

        assert steps_of(path) == [1, 2, 3, 4, 4, 5]
        assert adds_up(log.health, 7, 7)
        log.close()
        assert verify(path).problems == []

    def test_what_is_dropped_is_what_is_not_in_the_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "run.jsonl"
        disk = BrokenDisk(monkeypatch)
        log = StepLog(path, on_error="ignore")
        disk.is_faulty = True
        for _ in range(1500):
            log.event("e")
        disk.is_faulty = False
        log.event("last")
        log.close()

        steps = sorted(steps_of(path))
        assert log.health.dropped == 500
        # The oldest went first.
        assert steps == list(range(501, 1502))
        assert lines_of(path)[-1]["health"] == {
            "written": 1002,
            "dropped": 500,
            "last_error": "EIO: Input/output error",
        }
        assert [problem.kind for problem in verify(path).problems] == ["gap", "lost"]

    def test_a_disk_that_fails_to_the_end_loses_what_it_counted(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "run.jsonl"
        disk = BrokenDisk(monkeypatch)
        log = StepLog(path, on_error="ignore")
        disk.is_faulty = True
        log.event("lost")
        log.close()

        assert adds_up(log.health, 3, 1)
        assert (log.health.dropped, log.health.pending) == (2, 0)
        assert [line["type"] for line in lines_of(path)] == ["run_start"]

    def test_records_after_the_log_was_closed_are_counted_as_dropped(self, tmp_path: Path) -> None:
        path = tmp_path / "run.jsonl"
        log = StepLog(path, on_error="ignore")
        log.close()
        log.record_tool_call("late")
        log.event("late")

        assert adds_up(log.health, 4, 2)
        assert (log.health.dropped, log.health.last_error) == (2, "the log is closed")


class TestShortWrites:
    def test_a_fragment_never_swallows_the_record_after_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "run.jsonl"
        disk = ShortWriter(monkeypatch)
        log = StepLog(path, on_error="ignore")
        disk.is_faulty = True
        log.record_tool_call("cut", None, "x" * 1000)
        disk.is_faulty = False
        log.record_tool_call("after")
        log.close()
        damage: list[Damage] = []

        assert sorted(record.step for record in read_log(path, on_damage=damage.append)) == [0, 0, 1, 2]
        assert [stretch.reason for stretch in damage] == ["torn"]
        assert len(damaged_lines(path)) == 1
        assert adds_up(log.health, 4, 4)

    def test_a_fragment_left_by_a_killed_writer_is_closed_off_by_the_next(self, tmp_path: Path) -> None:
        path = tmp_path / "run.jsonl"
        path.write_bytes(b'{"run_id":"r","step":1,"type":"tool_ca')
        StepLog(path, run_id="r").close()
        damage: list[Damage] = []

        assert [record.type for record in read_log(path, on_damage=damage.append)] == ["run_start", "run_end"]
        assert [(stretch.offset, stretch.length) for stretch in damage] == [(0, 38)]

    def test_threads_that_meet_a_fragment_have_their_record_in_the_file_when_their_call_returns(
        self, tmp_path: Path
    ) -> None:
        told = run_child(
            """
            path = sys.argv[1]
            late = 0
            for attempt in range(30):
                with open(path, "wb") as file:
                    file.write(b'{"run_id":"r"')
                log = StepLog(path, run_id="r")
                barrier = threading.Barrier(8)
                def work():
                    global late
                    barrier.wait()
                    step = log.record_tool_call("t", None, "x" * 50_000)
                    late += b'"step":%d,' % step not in open(path, "rb").read()
                threads = [threading.Thread(target=work) for _ in range(8)]
                for thread in threads: thread.start()
                for thread in threads: thread.join()
                log.close()
            print(late)
            """,
            tmp_path / "run.jsonl",
        ).told

        assert told == 0


class TestOnError:
    def test_raise_raises_and_says_where_and_why(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        disk = FullDisk(monkeypatch)
        log = StepLog(tmp_path / "run.jsonl", on_error="raise")
        disk.is_faulty = True
        with pytest.raises(RecordLostError) as raised:
            log.record_tool_call("t")
        with pytest.raises(RecordLostError):
            log.event("e")

        assert str(raised.value) == (
            f"{tmp_path}/run.jsonl: record not written: ENOSPC: No space left on device."
        )
        disk.is_faulty = False
        log.close()
        assert log.health.pending == 0

    def test_warn_warns_once_a_minute(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        disk = FullDisk(monkeypatch)
        log = StepLog(tmp_path / "run.jsonl")
        disk.is_faulty = True
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(100):
                log.record_tool_call("t")

        assert [warning.category for warning in caught] == [RecordLossWarning]
        assert [str(warning.message) for warning in caught] == [
            (
                f"{tmp_path}/run.jsonl: 1 records wait to be written and 0 are lost "
                "(ENOSPC: No space left on device). The agent goes on; see StepLog.health."
            )
        ]
        disk.is_faulty = False
        log.close()

    def test_ignore_says_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        disk = FullDisk(monkeypatch)
        log = StepLog(tmp_path / "run.jsonl", on_error="ignore")
        disk.is_faulty = True
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            log.record_tool_call("t")
        log.close()

        assert caught == []

    def test_warnings_turned_into_errors_do_not_reach_the_agent(self) -> None:
        ended = run_child(
            'log = StepLog("/dev/full"); log.record_tool_call("t"); log.close()', options=("-W", "error")
        )

        assert ended.code == 0
        assert ended.err.startswith("agent-step-log: /dev/full: 1 records wait to be written")

    def test_a_disk_that_does_not_confirm_is_counted_and_the_record_stays(self, tmp_path: Path) -> None:
        # A pipe cannot be synced: the kernel's own EINVAL.
        told = run_child(
            """
            import warnings
            warnings.simplefilter("ignore")
            os.mkfifo(sys.argv[1])
            log = StepLog(sys.argv[1], durability="disk")
            log.record_tool_call("t")
            print(json.dumps([log.health.written, log.health.sync_failures, log.health.last_error]))
            """,
            tmp_path / "pipe",
        ).told

        assert told == [2, 2, "EINVAL: Invalid argument"]
