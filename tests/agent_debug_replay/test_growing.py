"""A run looked at while a thread still reads it: what is there is right, and in the end all of it is."""

from __future__ import annotations

import itertools
import sys
import threading
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_debug_replay import Replay, _run_files
from agent_debug_replay._scan import decode_record
from agent_debug_replay._table import Table
from agent_step_log import StepLog
from tests.agent_debug_replay.replay_logs import begun, line, start, tool

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent_debug_replay import StepRow


class Log(str):
    """The text of a log, told by its length: whole it would fill the report of a failure."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self):,} characters>"


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """A log of nested, overlapping and late steps, long enough to be read in many parts."""
    count = draw(st.integers(80, 160))
    records: list[tuple[float, dict[str, Any]]] = []
    for step in range(1, count):
        at = float(step)
        parent = draw(st.one_of(st.none(), st.integers(1, step))) if step > 1 else None
        above: dict[str, Any] = {} if parent in (None, step) else {"parent": parent}
        writer = draw(st.sampled_from([None, None, None, "w2"]))
        whose: dict[str, Any] = {} if writer is None else {"writer": writer}
        if draw(st.booleans()):
            records.append((at, begun(step, at, **above, **whose)))
            at += draw(st.sampled_from([0.5, 0.5, 40.0]))
        late = draw(st.sampled_from([0.0, 0.0, 0.0, 9.0]))
        records.append((at + late, tool(step, at, **above, **whose)))
    records.sort(key=lambda each: each[0])
    return Log("".join(map(line, [start(), *(record for _, record in records)])))


class TestGrowing:
    @settings(max_examples=30, deadline=None)
    @given(text=logs())
    def test_every_part_is_right_and_the_last_is_all(self, text: Log) -> None:
        with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            patch.setattr("agent_debug_replay._scan._CHUNK", 1_000)
            patch.setattr("agent_debug_replay._replay._FIRST_ROWS", 5)
            patch.setattr("agent_debug_replay._replay._MORE_ROWS", 3)
            path = Path(folder) / "run.jsonl"
            path.write_text(text, encoding="utf-8")
            with Replay.open(path, wait=False) as replay:
                while not replay.is_complete:
                    before, revision = list(replay.rows), replay.revision
                    change = replay.refresh()
                    after = list(replay.rows)
                    assert len(after) == len(before) + change.added
                    assert change.is_moved == (replay.revision > revision)
                    if not change.is_moved:
                        told = [row for row in range(len(before)) if _told(before[row]) != _told(after[row])]
                        assert set(told) <= set(change.changed)
                    for row in after[:: max(len(after) // 7, 1)]:
                        assert replay.index_of(row.step, row.writer) == row.row
                        assert replay.payload(row.row).record.step == row.step
                with Replay.open(path) as whole:
                    assert list(replay.rows) == list(whole.rows)

    def test_rows_come_before_all_is_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("agent_debug_replay._replay._FIRST_ROWS", 10)
        monkeypatch.setattr("agent_debug_replay._replay._MORE_ROWS", 10)
        monkeypatch.setattr("agent_debug_replay._scan._CHUNK", 4_000)
        path = tmp_path / "run.jsonl"
        path.write_text("".join(map(line, [start(), *(tool(n, n) for n in range(1, 1_000))])))
        seen: list[int] = []
        looking: list[Replay] = []
        opened = threading.Event()

        def give_way(_seconds: float) -> None:
            # Else a thread that reads while the other has no turn is done before anything is taken over.
            opened.wait(120)
            while looking[0]._partly is not None and not looking[0]._is_closed:
                sleep(0)

        monkeypatch.setattr("agent_debug_replay._replay.sleep", give_way)
        with Replay.open(path, wait=False) as replay:
            looking.append(replay)
            opened.set()
            while not replay.is_complete:
                change = replay.refresh()
                assert not change.is_moved
                seen.append(len(replay))
        assert seen == sorted(seen)
        assert len(set(seen)) > 3

    def test_a_copy_may_be_asked_for_writers_while_more_of_them_are_met(self) -> None:
        table = Table()
        told = itertools.count(1)

        def add() -> None:
            number = next(told)
            told_by_another = line(tool(number, number, writer=f"w{number}")).encode()
            table.add([decode_record(told_by_another, Path("run.jsonl"))], 0, [0], [1])

        add()
        copied = table.copy()
        is_over = threading.Event()

        def go_on() -> None:
            for _ in range(3_000):
                add()
            is_over.set()

        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            while not is_over.is_set():
                assert "w1" in copied.writers
        finally:
            thread.join()
            sys.setswitchinterval(interval)


class TestTwoLookers:
    @pytest.mark.parametrize("rotate_bytes", [None, 30_000])
    def test_at_a_run_that_a_third_writes_see_all_of_it(
        self, tmp_path: Path, rotate_bytes: int | None
    ) -> None:
        path = tmp_path / "run.jsonl"
        seen: list[list[tuple[int, str, int, bool, bool]]] = []
        failures: list[BaseException] = []
        is_over = threading.Event()
        log = StepLog(path, "run-a", rotate_bytes=rotate_bytes, on_error="raise")
        log.record_tool_call("first")

        def write() -> None:
            for number in range(200):
                with log.tool_call("outer", {"n": number}), log.tool_call("inner", {"n": number}):
                    log.event("note", {"n": number})
            log.close()
            is_over.set()

        def look(*, wait: bool) -> None:
            with Replay.open(path, "run-a", wait=wait) as replay:
                while True:
                    is_last = is_over.is_set() and replay.is_complete
                    change = replay.refresh()
                    assert all(row < len(replay) for row in change.changed)
                    for row in replay.rows[-3:]:
                        assert replay.payload(row.row).record.step == row.step
                    if is_last and change.kind == "same":
                        break
                seen.append(
                    [(row.step, row.type, row.depth, row.is_in_flight, row.is_error) for row in replay.rows]
                )
                assert replay.status == "ok"

        def at_work(work: Callable[[], None]) -> threading.Thread:
            def do() -> None:
                try:
                    work()
                except BaseException as error:
                    failures.append(error)

            thread = threading.Thread(target=do)
            thread.start()
            return thread

        works = (write, partial(look, wait=True), partial(look, wait=False))
        for thread in [at_work(work) for work in works]:
            thread.join()

        assert failures == []
        assert seen[0] == seen[1]
        assert [step for step, *_ in sorted(seen[0])] == list(range(1, 602))
        assert not any(is_in_flight for *_, is_in_flight, _ in seen[0])


def _told(row: StepRow) -> StepRow:
    """A row but for what others say of it: whether one hangs below it, and whether another writer was met."""
    return row._replace(has_children=False, is_alone=False)


class TestRotatedFasterThanFound:
    def test_no_part_is_left_out(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "run.jsonl"
        log = StepLog(path, "run-a", rotate_bytes=2_000, on_error="raise")
        steps = [log.record_tool_call("first")]
        original = _run_files.run_named

        def found_late(source: Any, run: str | None) -> Any:
            found = original(source, run)
            # Whenever the run has been found its log is elsewhere already, and what took its place too.
            steps.extend(log.record_tool_call("more", {"text": "x" * 300}) for _ in range(40))
            return found

        monkeypatch.setattr(_run_files, "run_named", found_late)
        with Replay.open(path, "run-a") as replay:
            assert [row.step for row in replay.rows] == list(range(1, len(steps) + 1))
        log.close()
