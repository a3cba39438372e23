"""`agent-step-log tail`: the last records, and following what grows, appears, rotates."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from agent_stack._tail import Tail
from agent_step_log import StepLog

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent_stack.conftest import Cli

TAIL_80 = """\
22:13:22 aaaa0001       ✓ run ends  ok
22:13:30 bbbb0002       ▶ run starts  deployer
22:13:30 bbbb0002     1 ◆ claude-x  tool_use                    10 → 2    400 ms
22:13:31 bbbb0002     2 … deploy  to=prod  begins
22:13:40 ort-4711       ▶ run starts  researcher
22:13:40 ort-4711       ✗ run ends  error  AuthError: no key
"""


TailOf = Callable[..., Tail]


def take(records: Any, number: int) -> Any:
    """Return the next *number* records of a following tail; a hang fails by the test's own clock."""
    return [next(records) for _ in range(number)]


@pytest.fixture
def tail_of() -> Any:
    """Make tails that give up after two minutes, so that a miss fails and does not hang."""
    tails = []

    def make(source: str, run: str | None = None) -> Any:
        tail = Tail(str(source), run=run, on_damage=lambda damage: None)
        timer = threading.Timer(120, tail.stop)
        timer.daemon = True
        timer.start()
        tails.append((tail, timer))
        return tail

    yield make
    for tail, timer in tails:
        tail.stop()
        timer.cancel()


class TestLast:
    def test_of_a_directory_are_the_last_by_time(self, cli: Cli, logs: Path) -> None:
        assert cli("tail", logs, "-n", "6", columns=80).out == TAIL_80

    def test_of_a_file_are_in_its_order(self, cli: Cli, logs: Path) -> None:
        records = cli("tail", logs / "a.jsonl", "-n", "3", "--json").json_lines()
        assert [record["type"] for record in records] == ["llm_call", "agent_call", "run_end"]

    def test_of_one_run(self, cli: Cli, logs: Path) -> None:
        records = cli("tail", logs, "--run", "bbbb0002", "--json").json_lines()
        assert {record["run_id"][-8:] for record in records} == {"bbbb0002"}

    def test_none_at_all(self, cli: Cli, logs: Path) -> None:
        assert cli("tail", logs, "-n", "0").out == ""

    def test_an_error_stands_in_its_line(self, cli: Cli, logs: Path) -> None:
        assert (
            "✗ read_file  MissingFileError: No such file: 'x.py'  path=x.py"
            in cli("tail", logs / "a.jsonl", "-n", "99").out
        )

    def test_json_is_the_record_as_written(self, cli: Cli, logs: Path) -> None:
        lines = cli("tail", logs / "c.jsonl", "--json").out.splitlines()
        assert lines == (logs / "c.jsonl").read_text().splitlines()


class TestFollow:
    def test_goes_on_with_what_a_file_gains(self, tail_of: TailOf, tmp_path: Path) -> None:
        log = StepLog(tmp_path / "a.jsonl")
        log.record_tool_call("before")
        tail = tail_of(log.path)
        assert [record.tool for record in tail.last(10)] == [None, "before"]
        records = tail.follow()
        log.record_tool_call("after")
        assert [record.tool for record in take(records, 1)] == ["after"]

    def test_picks_up_logs_that_appear_in_a_directory(self, tail_of: TailOf, tmp_path: Path) -> None:
        folder = tmp_path / "d"
        old = StepLog(f"{folder}/", "old")
        tail = tail_of(folder)
        assert len(tail.last(10)) == 1
        records = tail.follow()
        new = StepLog(f"{folder}/", "new")
        new.record_tool_call("one")
        assert [(record.run_id, record.type) for record in take(records, 2)] == [
            ("new", "run_start"),
            ("new", "tool_call"),
        ]
        old.record_tool_call("two")
        assert [(record.run_id, record.tool) for record in take(records, 1)] == [("old", "two")]

    def test_a_log_passed_over_at_first_is_followed_from_where_it_grows(
        self, tail_of: TailOf, tmp_path: Path
    ) -> None:
        log = StepLog(f"{tmp_path}/d/", "old")
        log.record_tool_call("before")
        tail = tail_of(tmp_path / "d")
        assert tail.last(0) == []
        records = tail.follow()
        log.record_tool_call("after")
        assert [record.tool for record in take(records, 1)] == ["after"]

    @pytest.mark.parametrize("source", ["d", "d/r.jsonl"])
    def test_survives_rotation_without_repeating_anything(
        self, tail_of: TailOf, tmp_path: Path, source: str
    ) -> None:
        log = StepLog(tmp_path / "d" / "r.jsonl", "r", rotate_bytes=2000)
        tail = tail_of(tmp_path / source)
        tail.last(10)
        records = tail.follow()
        seen = []
        for number in range(40):
            log.record_tool_call(f"t{number}", {"pad": "x" * 100})
            seen += [record.tool for record in take(records, 1)]
        assert list((tmp_path / "d").glob("r.0*.jsonl"))
        assert [tool for tool in seen if tool] == [f"t{number}" for number in range(40)]

    def test_only_the_run_asked_for(self, tail_of: TailOf, tmp_path: Path) -> None:
        (tmp_path / "d").mkdir()
        tail = tail_of(tmp_path / "d", run="two")
        records = tail.follow()
        StepLog(f"{tmp_path}/d/", "run-one").record_tool_call("x")
        StepLog(f"{tmp_path}/d/", "run-two").record_tool_call("y")
        assert [record.run_id for record in take(records, 2)] == ["run-two", "run-two"]


def heed_ctrl_c() -> None:
    """Undo what a shell does to whatever it runs in the background, these tests maybe among it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class TestProcess:
    @contextmanager
    def start(self, *arguments: Any) -> Any:
        with subprocess.Popen(
            [sys.executable, "-m", "agent_stack", "tail", "-f", "--json", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=heed_ctrl_c,
        ) as tail:
            try:
                yield tail
            finally:
                tail.kill()

    def test_each_record_is_handed_on_at_once_and_ctrl_c_ends_it_quietly(self, tmp_path: Path) -> None:
        log = StepLog(tmp_path / "a.jsonl")
        with self.start(str(log.path)) as tail:
            assert json.loads(tail.stdout.readline())["type"] == "run_start"
            log.record_tool_call("now")
            assert json.loads(tail.stdout.readline())["tool"] == "now"
            tail.send_signal(signal.SIGINT)
            out, err = tail.communicate(timeout=120)
        assert (tail.returncode, out, err) == (130, "", "")

    def test_waits_for_the_first_log_of_a_directory(self, tmp_path: Path) -> None:
        (tmp_path / "d").mkdir()
        with self.start(str(tmp_path / "d")) as tail:
            assert tail.stderr.readline() == f"No log in {tmp_path}/d yet; waiting for one.\n"
            StepLog(f"{tmp_path}/d/", "first")
            assert json.loads(tail.stdout.readline())["run_id"] == "first"
            tail.kill()

    def test_ends_quietly_when_its_reader_has_gone(self, tmp_path: Path) -> None:
        log = StepLog(tmp_path / "a.jsonl")
        with self.start(str(log.path)) as tail:
            tail.stdout.readline()
            tail.stdout.close()
            log.record_tool_call("one")
            assert tail.wait(timeout=120) == 141
            assert tail.stderr.read() == ""


class TestErrors:
    def test_a_compressed_log_cannot_be_followed(self, cli: Cli) -> None:
        assert cli("tail", "-f", "a.jsonl.gz").err == (
            "agent-step-log: a.jsonl.gz is compressed and will not grow; leave -f out.\n"
        )

    def test_an_empty_directory_is_one_sentence(self, cli: Cli, tmp_path: Path) -> None:
        (tmp_path / "d").mkdir()
        assert cli("tail", "d").err == (
            "agent-step-log: d: no log in this directory (looked for *.jsonl, *.jsonl.gz, *.jsonl.zst).\n"
        )
