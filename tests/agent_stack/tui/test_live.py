"""A run looked at while it is written: what is added is shown, the end is followed when it is asked for."""

from __future__ import annotations

from contextlib import suppress
from time import time
from typing import TYPE_CHECKING

import pytest

from agent_step_log import StepLog
from tests.agent_stack.tui.conftest import Driven, drive, lines_of, start, tool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def going_on(tmp_path: Path) -> Iterator[StepLog]:
    """A run of three steps whose writer, this process, goes on."""
    log = StepLog(tmp_path / "run.jsonl", "run-a", agent="worker", on_error="ignore")
    write(log, 3)
    yield log
    log.close()


def write(log: StepLog, count: int) -> None:
    for number in range(count):
        log.record_tool_call("bash", {"command": f"ls {number}"}, "done", 12.0)


def is_long(screen: Driven, count: int) -> Callable[[], bool]:
    return lambda: len(screen.app.replay) == count


class TestGoingOn:
    def test_new_steps_are_marked_and_the_cursor_stays(self, going_on: StepLog, tmp_path: Path) -> None:
        async def script(screen: Driven) -> None:
            assert "● live" in screen.lines[0]
            write(going_on, 2)
            await screen.until(is_long(screen, 5))
            await screen.settle()
            assert screen.label == "1"
            assert "2 new" in screen.lines[0]
            assert [line[0] for line in screen.list_lines[:5]] == ["▶", " ", " ", "+", "+"]

        drive(tmp_path / "run.jsonl", script)

    @pytest.mark.parametrize("key", ["full_stop", "G"])
    def test_the_end_is_followed_until_the_cursor_moves(
        self, going_on: StepLog, tmp_path: Path, key: str
    ) -> None:
        async def script(screen: Driven) -> None:
            await screen.press(key)
            assert screen.label == "3"
            assert "● following" in screen.lines[0]
            write(going_on, 40)
            await screen.until(is_long(screen, 43))
            await screen.settle()
            assert screen.label == "43"
            assert any(line.startswith("▶") and " 43 " in line for line in screen.list_lines)
            assert " new" not in screen.lines[0]
            await screen.press("k")
            assert "● live" in screen.lines[0]
            write(going_on, 1)
            await screen.until(is_long(screen, 44))
            await screen.settle()
            assert screen.label == "42"
            assert "1 new" in screen.lines[0]
            await screen.press("full_stop")
            assert screen.label == "44"
            assert " new" not in screen.lines[0]

        drive(tmp_path / "run.jsonl", script)

    def test_the_end_of_the_run_is_said(self, going_on: StepLog, tmp_path: Path) -> None:
        async def script(screen: Driven) -> None:
            await screen.press("G")
            write(going_on, 1)
            going_on.close()
            await screen.until(lambda: "has ended" in screen.app.message)
            await screen.settle()
            assert screen.app.message == "The run has ended: ok."
            assert screen.label == "4"
            assert "✓ ok" in screen.lines[0]
            assert "following" not in screen.lines[0]

        drive(tmp_path / "run.jsonl", script)

    def test_a_step_in_flight_is_shown_and_then_its_ending(self, going_on: StepLog, tmp_path: Path) -> None:
        async def script(screen: Driven) -> None:
            await screen.press("2")
            with going_on.tool_call("search", {"q": "heron"}) as call:
                await screen.until(is_long(screen, 4))
                await screen.press("G")
                assert "in flight" in screen.list_lines[3]
                call.output = "found it"
            await screen.until(lambda: "found it" in screen.pane_text)
            assert "in flight" not in screen.list_lines[3]

        drive(tmp_path / "run.jsonl", script)

    def test_a_filter_lets_through_what_is_added_and_what_changes(
        self, going_on: StepLog, tmp_path: Path
    ) -> None:
        async def script(screen: Driven) -> None:
            with suppress(RuntimeError), going_on.tool_call("search", {"q": "heron"}):
                await screen.until(is_long(screen, 4))
                await screen.press("f")
                await screen.type("error")
                assert len(screen.app.shown) == 0
                raise RuntimeError("no such bird")
            await screen.until(lambda: list(screen.app.shown.rows) == [3])
            going_on.record_tool_call("bash", {}, None, 1.0, error="gave up")
            write(going_on, 1)
            await screen.until(lambda: list(screen.app.shown.rows) == [3, 4])
            await screen.settle()
            assert "no such bird" in screen.list_lines[0]

        drive(tmp_path / "run.jsonl", script)

    def test_a_run_whose_log_is_still_empty_begins_on_the_screen(self, tmp_path: Path) -> None:
        with StepLog(tmp_path / "run.jsonl", "run-a", on_error="raise") as log:

            async def script(screen: Driven) -> None:
                assert "no steps yet" in screen.text
                write(log, 1)
                await screen.until(is_long(screen, 1))
                await screen.settle()
                assert screen.label == "1"
                assert "no steps yet" not in screen.text

            drive(tmp_path / "run.jsonl", script)


class TestFiles:
    """What becomes of the file while it is open."""

    @pytest.fixture
    def path(self, going_on: StepLog, tmp_path: Path) -> Path:
        return tmp_path / "run.jsonl"

    def test_a_rotated_log_is_read_on(self, path: Path) -> None:
        async def script(screen: Driven) -> None:
            path.rename(path.with_name("run.000001.jsonl"))
            path.write_text(lines_of(tool(4, ts=time()), tool(5, ts=time())))
            await screen.until(is_long(screen, 5))
            assert "rotated" in screen.app.message
            await screen.press("G", "7")
            assert '"step": 5' in screen.pane_text

        drive(path, script)

    def test_a_log_that_got_shorter_is_read_again(self, path: Path) -> None:
        async def script(screen: Driven) -> None:
            await screen.press("G")
            path.write_text(lines_of(start(), tool(1, "search")))
            await screen.until(is_long(screen, 1))
            await screen.settle()
            assert "got shorter" in screen.app.message
            assert screen.label == "1"
            assert "search" in screen.list_lines[0]

        drive(path, script)

    def test_a_log_that_is_deleted_stays_on_the_screen(self, path: Path) -> None:
        async def script(screen: Driven) -> None:
            path.unlink()
            await screen.until(lambda: "not there any more" in screen.app.message)
            await screen.press("j", "2")
            assert screen.label == "2"
            assert "done" in screen.pane_text

        drive(path, script)

    def test_another_log_in_its_place_is_read(self, path: Path) -> None:
        async def script(screen: Driven) -> None:
            other = path.with_name("other")
            other.write_text(
                lines_of(start(agent="another"), *(tool(n, "search") for n in range(1, 9)), run_id="run-b")
            )
            other.replace(path)
            await screen.until(is_long(screen, 8))
            await screen.settle()
            assert "Another log" in screen.app.message
            assert "another" in screen.lines[0]

        drive(path, script)
