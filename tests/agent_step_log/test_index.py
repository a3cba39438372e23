"""LogIndex: step N gives what a linear scan gives, however the lines are mixed."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_step_log import LogIndex, Record, StepLog, _index, read_log
from tests.agent_step_log.loglines import T0, begin, end, line, llm, start, tool

_folder = TemporaryDirectory()
FOLDER = Path(_folder.name)


def scan(path: Path, run_id: str, writer: str | None, number: int) -> list[bytes]:
    return [
        record.line
        for record in read_log(path)
        if (record.run_id, record.writer, record.step) == (run_id, writer, number)
    ]


def lines_of(records: list[Record]) -> list[bytes]:
    return [record.line for record in records]


@st.composite
def tapes(draw: st.DrawFn, run: str, writer: str | None) -> list[bytes]:
    """The lines of one writer: steps plain or measured, open side by side, nested, of any size."""
    sizes = st.sampled_from([0, 0, 0, 100, 700])
    lines: list[bytes] = [start(run, writer)]
    open_steps: list[int] = []
    for number in range(1, draw(st.integers(1, 30))):
        if draw(st.booleans()):
            lines.append(begin(number, run=run, writer=writer, input="i" * draw(sizes)))
            open_steps.append(number)
        else:
            lines.append(llm(number, run=run, writer=writer, output="o" * draw(sizes)))
        while open_steps and draw(st.integers(0, 2)) == 0:
            step = open_steps.pop(draw(st.integers(0, len(open_steps) - 1)))
            lines.append(tool(step, run=run, writer=writer, output="o" * draw(sizes), start_ts=T0))
    for step in open_steps[draw(st.integers(0, len(open_steps))) :]:
        lines.append(tool(step, run=run, writer=writer, start_ts=T0))
    return lines


@st.composite
def logs(draw: st.DrawFn) -> bytes:
    """Several such tapes mixed, a few neighbours swapped, a little junk in between."""
    mixed: list[bytes] = []
    whose = [("r", None), ("r", "w"), ('ü"', None)]
    waiting = [draw(tapes(*who)) for who in draw(st.lists(st.sampled_from(whose), min_size=1, unique=True))]
    while waiting:
        tape = waiting[draw(st.integers(0, len(waiting) - 1))]
        count = draw(st.integers(1, 8))
        mixed += tape[:count]
        del tape[:count]
        waiting = [tape for tape in waiting if tape]
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(mixed) - 1))
        mixed[at : at + 2] = reversed(mixed[at : at + 2])
    if draw(st.booleans()):
        junk = llm(3)[:60] + draw(st.sampled_from([b"", b"\n", b"\0"]))
        mixed.insert(draw(st.integers(0, len(mixed))), junk)
    return b"".join(mixed)


class TestStep:
    @settings(max_examples=60)
    @given(logs(), st.lists(st.integers(1, 30), min_size=1, max_size=4))
    def test_equals_a_linear_scan(self, text: bytes, numbers: list[int]) -> None:
        path = FOLDER / "log.jsonl"
        path.write_bytes(text)
        with pytest.MonkeyPatch.context() as patch:
            # As large as these logs are to the real ones.
            patch.setattr(_index, "_PROBE", 256)
            patch.setattr(_index, "_NEAR", 4096)
            for run_id, writer in {(record.run_id, record.writer) for record in read_log(path)}:
                for number in numbers:
                    # A fresh one each: an index made for one question would answer the next.
                    with LogIndex(path, run_id=run_id, writer=writer) as index:
                        assert lines_of(index.step(number)) == scan(path, run_id, writer, number)

    @settings(max_examples=40)
    @given(logs())
    def test_equals_a_linear_scan_with_an_index_made_before(self, text: bytes) -> None:
        path = FOLDER / "log.jsonl"
        path.write_bytes(text)
        records = list(read_log(path))
        for run_id, writer in {(record.run_id, record.writer) for record in records}:
            with LogIndex(path, run_id=run_id, writer=writer) as index:
                index.step(10**9)
                for number in range(1, 31):
                    wanted = (run_id, writer, number)
                    of_step = [r.line for r in records if (r.run_id, r.writer, r.step) == wanted]
                    assert lines_of(index.step(number)) == of_step

    def test_tools_begun_together_and_ended_in_order_have_their_beginnings(self, tmp_path: Path) -> None:
        # The endings alone look like plain records in their order.
        path = tmp_path / "log.jsonl"
        numbers = range(1, 301)
        text = b"".join(begin(n) for n in numbers)
        text += b"".join(tool(n, output="x" * 2000, start_ts=T0) for n in numbers)
        path.write_bytes(text)

        for number in (1, 150, 299, 300):
            with LogIndex(path) as index:
                assert [record.type for record in index.step(number)] == ["step_start", "tool_call"]

    def test_a_plain_record_in_a_large_log_is_found_without_an_index(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(start() + b"".join(llm(n) for n in range(1, 20_001)))
        with LogIndex(path) as index:
            for number in (1, 2, 777, 10_000, 19_999, 20_000):
                assert [record.step for record in index.step(number)] == [number]

            assert index._places is None

    def test_recorded_by_threads_it_is_the_scan(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        with StepLog(path, "r") as log, ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: record_some(log, n), range(40)))

        with LogIndex(path) as index:
            for number in range(1, 40 * 4 + 1):
                assert lines_of(index.step(number)) == scan(path, "r", None, number)

    def test_a_growing_log_is_answered_from_what_it_has_gained(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(start() + begin(1))
        with LogIndex(path) as index:
            assert [record.type for record in index.step(1)] == ["step_start"]
            with path.open("ab") as file:
                file.write(llm(2) + tool(1, start_ts=T0)[:-1])

            assert [record.type for record in index.step(1)] == ["step_start", "tool_call"]
            with path.open("ab") as file:
                file.write(b"\n" + llm(3))

            assert [record.type for record in index.step(1)] == ["step_start", "tool_call"]
            assert [record.step for record in index.step(3)] == [3]

    def test_a_log_that_was_empty_when_opened_is_answered_later(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(b"")
        with LogIndex(path) as index:
            assert index.step(1) == []
            path.write_bytes(start("x") + llm(1, run="x"))

            assert [record.run_id for record in index.step(1)] == ["x"]

    def test_the_run_is_that_of_the_first_record_whatever_its_form(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        first = b'{"step": 1, "type": "x", "ts": 1, "run_id": "caf\\u00e9"}\n'
        path.write_bytes(b"junk\n" + first + llm(2, run="café"))

        with LogIndex(path) as index:
            assert index.run_id == "café"
            assert [record.type for number in (1, 2) for record in index.step(number)] == ["x", "llm_call"]

    def test_a_record_glued_behind_a_torn_one_is_found(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(start() + llm(1)[:40] + llm(2) + llm(3)[:-1] + llm(4) + end())
        with LogIndex(path) as index:
            for number in (2, 3, 4):
                assert [record.step for record in index.step(number)] == [number]

    def test_a_step_there_is_not_is_none(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(start() + llm(1))
        with LogIndex(path) as index:
            assert index.step(2) == index.step(0) == index.step(-1) == index.step(2**70) == []

    @pytest.mark.parametrize("zeros", [17, 18, 19, 30, 4000, 5000])
    def test_numbers_no_array_holds_do_no_harm(self, zeros: int, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        huge = b'{"run_id":"r","step":1%s,"type":"x","ts":1}\n' % (b"0" * zeros)
        path.write_bytes(start() + huge + llm(1) + line("x", -4))
        with LogIndex(path) as index:
            assert len(index.step(10**zeros)) == (zeros < 4300)
            assert [record.step for record in index.step(1)] == [1]

    def test_sparse_numbers_take_memory_by_their_count(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(b"".join(llm(2**n) for n in range(60)))
        with LogIndex(path) as index:
            index.step(3)
            assert index._places is not None
            assert len(index._places._first) < 10_000
            for n in range(60):
                assert [record.step for record in index.step(2**n)] == [2**n]

    def test_a_log_that_begins_with_a_high_number_is_dense(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(b"".join(llm(n) for n in range(5_000_000, 5_002_000)))
        with LogIndex(path) as index:
            index.step(1)
            assert index._places is not None
            assert not index._places._more
            assert [record.step for record in index.step(5_001_999)] == [5_001_999]

    def test_a_line_too_long_is_not_held(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("agent_step_log._reader.MAX_LINE_BYTES", 1000)
        monkeypatch.setattr(_index, "_CHUNK", 500)
        monkeypatch.setattr(_index, "MAX_LINE_BYTES", 1000)
        path = tmp_path / "log.jsonl"
        path.write_bytes(start() + begin(1) + b"x" * 100_000 + b"\n" + tool(1, start_ts=T0))
        with LogIndex(path) as index:
            assert [record.type for record in index.step(1)] == ["step_start", "tool_call"]

    def test_threads_that_ask_at_once_get_the_same_answers(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(start() + b"".join(begin(n) for n in range(1, 2000)))
        gate = threading.Barrier(8)
        with LogIndex(path) as index, ThreadPoolExecutor(8) as pool:

            def ask(number: int) -> int:
                gate.wait()
                return len(index.step(number))

            assert list(pool.map(ask, range(1, 9))) == [1] * 8

    def test_a_missing_file_raises(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            LogIndex(tmp_path / "no.jsonl")

    def test_closing_twice_does_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(start())
        with LogIndex(path) as index:
            assert descriptors_of(path) == 1
            index.close()

        assert descriptors_of(path) == 0


def descriptors_of(path: Path) -> int:
    """Return how many descriptors this process has of *path*; those of other files come and go."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the one of this very listing
            found += os.readlink(f"/proc/self/fd/{name}") == str(path)
    return found


def record_some(log: StepLog, number: int) -> None:
    with log.agent(f"a{number}"):
        log.record_llm_call("m", 1, 1)
        with log.tool_call("t", "x" * (number * 50)):
            log.event("e")
