"""A run played at the pace it had; seconds are counted, and not waited for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from agent_stack._tui._playing import LONGEST_S, SHORTEST_S
from tests.agent_stack.tui.conftest import T0, Driven, drive, start, tool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Clock:
    """Counts what is waited for; *most*: how often it comes to an end."""

    def __init__(self, screen: Driven, most: int | None = None) -> None:
        self.waited: list[float] = []
        self.most = most
        self.is_waiting = False
        screen.app.pause = self.pause

    async def pause(self, seconds: float) -> None:
        if self.most is not None and len(self.waited) >= self.most:
            self.is_waiting = True
            await asyncio.Event().wait()
        self.waited.append(seconds)


@pytest.fixture
def paced(log: Callable[..., Path]) -> Path:
    """Five steps that began 0, 0, 1, 1.5 and 900 seconds after the run."""
    begun = [0.0, 0.0, 1.0, 1.5, 900.0]
    return log(
        start(), *(tool(step, ts=T0 + at, duration_ms=0.0) for step, at in enumerate(begun, 1)),
        {"type": "run_end", "status": "ok"},
    )  # fmt: skip


class TestPace:
    def test_is_that_of_the_run_and_long_gaps_are_cut(self, paced: Path) -> None:
        async def script(screen: Driven) -> None:
            clock = Clock(screen)
            await screen.press("space")
            assert clock.waited == [SHORTEST_S, 1.0, 0.5, LONGEST_S]
            assert screen.label == "5"
            assert screen.app.message == "This is the last step."

        drive(paced, script)

    def test_is_so_many_times_as_fast(self, paced: Path) -> None:
        async def script(screen: Driven) -> None:
            clock = Clock(screen)
            await screen.press("colon")
            await screen.type("play 4x")
            assert clock.waited == [SHORTEST_S, 0.25, 0.125, LONGEST_S]

        drive(paced, script)


class TestEnd:
    def test_stops_at_a_breakpoint(self, run: Path) -> None:
        async def script(screen: Driven) -> None:
            Clock(screen)
            await screen.press("colon")
            await screen.type("break if error; play")
            assert screen.label == "4"
            assert "■ break 1" in screen.app.message

        drive(run, script)

    @pytest.mark.parametrize("key", ["space", "escape"])
    def test_a_key_ends_it_where_it_is(self, paced: Path, key: str) -> None:
        async def script(screen: Driven) -> None:
            clock = Clock(screen, most=2)
            await screen.pilot.press("space")
            await screen.until(lambda: clock.is_waiting)
            assert screen.app.message == "playing; space or esc stops"
            await screen.press(key)
            assert screen.app.message == "stopped"
            assert screen.label == "3"
            assert screen.list_lines[2].startswith("▶")

        drive(paced, script)

    def test_a_key_that_moves_ends_it_and_moves(self, paced: Path) -> None:
        async def script(screen: Driven) -> None:
            clock = Clock(screen, most=1)
            await screen.pilot.press("space")
            await screen.until(lambda: clock.is_waiting)
            await screen.press("G")
            assert screen.label == "5"
            assert screen.app.message == ""

        drive(paced, script)

    def test_looking_goes_on_beside_it(self, paced: Path) -> None:
        async def script(screen: Driven) -> None:
            clock = Clock(screen, most=1)
            await screen.pilot.press("space")
            await screen.until(lambda: clock.is_waiting)
            await screen.pilot.press("2")
            await screen.until(lambda: "said 2" in screen.pane_text)
            assert screen.label == "2"
            assert screen.app.message == "playing; space or esc stops"
            await screen.press("escape")
            assert screen.app.message == "stopped"

        drive(paced, script)


def test_only_what_a_filter_shows_is_played(run: Path) -> None:
    async def script(screen: Driven) -> None:
        clock = Clock(screen)
        await screen.press("f")
        await screen.type("type == 'llm_call'")
        await screen.press("space")
        assert len(clock.waited) == 2
        assert screen.label == "9"
        assert screen.app.message == "This is the last step shown."

    drive(run, script)
