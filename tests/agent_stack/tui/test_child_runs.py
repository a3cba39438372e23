"""Into the runs that steps started, and back to where one left."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from tests.agent_stack.tui.conftest import Driven, drive, lines_of, llm, start, tool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def main(log: Callable[..., Path]) -> Path:
    """A run whose second step started two runs; the first of them, packed, started one at its first."""
    end = {"type": "run_end", "status": "ok"}
    main = log(start(agent="boss"), llm(1), tool(2, "task"), tool(3), tool(4), end, name="main.jsonl")
    child = {"parent_run_id": "run-a", "parent_step": 2}
    one = lines_of(
        start(agent="scout", **child), tool(1, "grep"), tool(2, "read", error="broken"), run_id="one"
    )
    (main.parent / "one.jsonl.gz").write_bytes(gzip.compress(one.encode()))
    late = {"ts": 1_800_000_000.0}
    log(start(agent="smith", **child, **late), tool(1, "write", **late), name="two.jsonl", run_id="two")
    below = {"parent_run_id": "one", "parent_step": 1}
    log(start(agent="mole", **below), tool(1, "dig"), name="three.jsonl", run_id="three")
    return main


def run_id(screen: Driven) -> str:
    return screen.app.replay.run_id


class TestGoingIn:
    def test_and_back_to_the_place_one_left(self, main: Path) -> None:
        async def script(screen: Driven) -> None:
            await screen.press("j", "l")
            assert (run_id(screen), screen.label) == ("one", "1")
            assert "▶  1 ● grep" in screen.list_lines[0]
            assert screen.app.message.startswith("Run 1 of 2 that step 2 started: `up` leads back")
            await screen.press("j", "h")
            assert (run_id(screen), screen.label) == ("run-a", "2")
            assert screen.app.message == "Back in run run-a."
            assert screen.list_lines[1].startswith("▶  2 ● task")
            await screen.press("j")
            assert screen.label == "3"

        drive(main, script)

    def test_the_way_is_at_the_top(self, main: Path) -> None:
        async def script(screen: Driven) -> None:
            assert screen.lines[0].startswith(" boss  ✓ ok")
            await screen.press("j", "l", "l")
            assert run_id(screen) == "three"
            assert screen.lines[0].startswith(" boss 2 → scout 1 → mole")
            await screen.press("h", "h")
            assert screen.lines[0].startswith(" boss  ✓ ok")

        drive(main, script)

    def test_a_number_chooses_and_where_lists(self, main: Path) -> None:
        async def script(screen: Driven) -> None:
            await screen.press("j", "colon")
            await screen.type("where")
            assert "↳ in 1  scout  one" in screen.pane_text
            assert "↳ in 2  smith  two" in screen.pane_text
            await screen.press("escape", "colon")
            await screen.type("in 2")
            assert (run_id(screen), screen.label) == ("two", "1")
            await screen.press("h", "colon")
            await screen.type("in 3")
            assert screen.app.message == "Step 2 started 2 runs; `where` lists them."
            assert run_id(screen) == "run-a"

        drive(main, script)

    def test_enter_on_one_of_those_listed_goes_there(self, main: Path) -> None:
        async def script(screen: Driven) -> None:
            await screen.press("j", "colon")
            await screen.type("where")
            await screen.press("G", "enter")
            assert (run_id(screen), screen.label) == ("two", "1")

        drive(main, script)

    def test_steps_that_started_runs_are_marked(self, main: Path) -> None:
        async def script(screen: Driven) -> None:
            await screen.until(lambda: "task ↳" in screen.list_lines[1])
            assert "↳" not in screen.list_lines[0] + screen.list_lines[2]
            await screen.press("j", "l")
            await screen.until(lambda: "grep ↳" in screen.list_lines[0])
            await screen.press("h")
            assert "task ↳" in screen.list_lines[1]

        drive(main, script)

    def test_a_step_without_one_says_so(self, main: Path) -> None:
        async def script(screen: Driven) -> None:
            await screen.press("l")
            assert screen.app.message == "There is no step below this one."
            await screen.press("h")
            assert screen.app.message == "There is no step above this one."

        drive(main, script)

    def test_finish_goes_on_behind_the_step(self, main: Path) -> None:
        async def script(screen: Driven) -> None:
            await screen.press("j", "colon")
            await screen.type("in; fin")
            assert (run_id(screen), screen.label) == ("run-a", "3")

        drive(main, script)

    def test_the_pane_shows_the_step_of_the_run_gone_into(self, main: Path) -> None:
        async def script(screen: Driven) -> None:
            await screen.press("j", "l", "j")
            assert "echo 2" in screen.pane_text
            await screen.press("2")
            assert "broken" in screen.pane_text
            await screen.press("v", "h", "h")
            assert run_id(screen) == "run-a"

        drive(main, script)


class TestWhatStays:
    def test_filter_folds_and_marks_are_of_each_run(self, main: Path) -> None:
        async def script(screen: Driven) -> None:
            await screen.press("f")
            await screen.type("tool == 'task'")
            assert len(screen.app.shown) == 1
            await screen.press("m", "a", "l")
            assert len(screen.app.shown) == 2
            assert not screen.app.steps.marks
            assert "filter" not in screen.lines[0]
            await screen.press("j", "m", "b", "h")
            assert len(screen.app.shown) == 1
            assert list(screen.app.steps.marks.values()) == ["a"]
            assert "1 shown" in screen.lines[0]

        drive(main, script)

    def test_stops_hold_in_both(self, main: Path) -> None:
        async def script(screen: Driven) -> None:
            await screen.press("colon")
            await screen.type("catch error")
            await screen.press("j", "l", "c")
            assert (run_id(screen), screen.label) == ("one", "2")
            assert "■ catch 1" in screen.app.message

        drive(main, script)

    def test_the_last_place_is_gone_to_when_left_while_sums_are_made(self, main: Path) -> None:
        async def script(screen: Driven) -> None:
            for _ in range(3):
                await screen.press("j", "l", "h", "k")
            assert (run_id(screen), screen.label) == ("run-a", "1")
            assert len(screen.app.views) == 1

        drive(main, script)
