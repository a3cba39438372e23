"""A run looked at on two threads at once: the screen's, and one beside it that sums up or searches."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from agent_debug_replay import Replay, _looking
from agent_debug_replay._files_touched import FileLedger
from agent_debug_replay._looking import Looking
from tests.agent_debug_replay.replay_logs import line, llm, start, write
from tests.agent_stack.wire_tapes import whole_run, write_tape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from agent_step_log import Record

CALLS = 40


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A run whose model calls are all on one tape, and have a price."""
    tape = write_tape(tmp_path, *whole_run(), run_id="run-a")
    calls = [
        llm(
            step,
            step,
            model="claude-sonnet-4-5",
            provider="anthropic",
            exchange={"tape": tape.name, "n": 2 + step % 2},
        )
        for step in range(1, CALLS + 1)
    ]
    return write(tmp_path / "run.jsonl", start(), *calls)


@contextmanager
def switching_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def at_once(*works: Callable[[], None]) -> None:
    """Do all *works* at the same time, and raise what one of them raises."""
    failures: list[BaseException] = []
    begin = threading.Barrier(len(works))

    def do(work: Callable[[], None]) -> None:
        begin.wait(120)
        try:
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=do, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


class TestTwoThreads:
    def test_see_every_exchange_though_the_other_makes_room(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("agent_debug_replay._looking._KEPT_EXCHANGES", 1)
        with Replay.open(path) as replay, switching_often():
            known = {number: replay.exchange(number) for number in (0, 1)}
            assert all(known.values())
            monkeypatch.setattr(Looking, "_read", lambda self, path, number: known[number % 2])

            def look() -> None:
                for number in range(8_000):
                    assert replay.exchange(number % 2) is not None

            at_once(look, look)

    def test_forget_what_was_worked_out_once_and_not_what_the_other_has_found_since(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with Replay.open(path) as replay:
            last = len(replay) - 1
            expected = replay.totals(last).cost_usd
        is_forgetting, is_half_way, has_forgotten = (threading.Event() for _ in range(3))
        ledger, priced = FileLedger, Looking._priced
        prices: list[object] = []

        def forget(replay: Replay) -> object:
            is_forgetting.set()
            is_half_way.wait(0.2)  # in vain: who adds up waits until all has been forgotten
            return ledger(replay)

        def count(self: Looking, record: Record) -> object:
            prices.append(record)
            if len(prices) == CALLS // 2:
                is_half_way.set()
                has_forgotten.wait(120)
            return priced(self, record)

        def first() -> None:
            replay.files(0)
            has_forgotten.set()

        def second() -> None:
            is_forgetting.wait(120)
            found.append(replay.totals(last).cost_usd)

        monkeypatch.setattr(_looking, "FileLedger", forget)
        monkeypatch.setattr(Looking, "_priced", count)
        found: list[float | None] = []
        with Replay.open(path) as replay:
            at_once(first, second)

        assert expected
        assert found == [expected]


class TestATapeThatComesLater:
    def test_is_read_once_the_run_has_grown(self, tmp_path: Path) -> None:
        name = "run-a.0a1b2c3d.tape.zst"
        path = write(tmp_path / "run.jsonl", start(), llm(1, 1, exchange={"tape": name, "n": 2}))
        (tmp_path / name).write_bytes(b"")
        with Replay.open(path) as replay:
            assert replay.exchange(0) is None
            (tmp_path / name).unlink()
            write_tape(tmp_path, *whole_run(), run_id="run-a", name=name)
            with path.open("a") as file:
                file.write(line(llm(2, 2)))
            assert replay.refresh().added == 1
            exchange = replay.exchange(0)

        assert exchange is not None
        assert exchange.n == 2
