"""Two runs side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from agent_stack._tui._diff_screen import DiffScreen, PairList
from tests.agent_stack.tui.conftest import Driven, drive, llm, start, tool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def pair(log: Callable[..., Path]) -> tuple[Path, Path]:
    """Two runs that part at step 3, and of which the second goes on longer."""
    begin: list[dict[str, Any]] = [start(), llm(1, output="go"), tool(2, "search")]
    end = {"type": "run_end", "status": "ok"}
    one = log(*begin, tool(3, output="found it"), llm(4, output="done"), end, name="one.jsonl", run_id="one")
    two = log(
        *begin,
        tool(3, output="lost it"),
        tool(4, "retry"),
        llm(5, output="done", input_tokens=400),
        end,
        name="two.jsonl",
        run_id="two",
    )
    return one, two


class TestDiff:
    def test_opens_at_the_first_divergence_and_shows_its_fields(self, pair: tuple[Path, Path]) -> None:
        async def script(screen: Driven) -> None:
            await screen.press("D")
            await screen.type(str(pair[1]))
            await screen.until(lambda: isinstance(screen.app.screen, DiffScreen))
            await screen.pilot.pause()
            shown = screen.app.screen
            assert isinstance(shown, DiffScreen)
            assert shown.pairs.place == 2
            changes = "\n".join(str(line) for line in shown.changes.lines)
            assert "output drift" in changes
            assert "found it" in changes
            assert "lost it" in changes
            assert "1 output drift" in screen.text
            await screen.pilot.press("n")
            assert shown.pairs.place == 3
            await screen.pilot.press("n")
            assert "no further difference" in shown.message
            await screen.pilot.press("1")
            assert shown.pairs.place == 2
            await screen.pilot.press("f")
            assert shown.pairs.count == 2
            await screen.pilot.press("escape")
            assert not isinstance(screen.app.screen, DiffScreen)

        drive(pair[0], script)

    def test_rows_have_both_sides(self, pair: tuple[Path, Path]) -> None:
        async def script(screen: Driven) -> None:
            await screen.press("D")
            await screen.type(str(pair[1]))
            await screen.until(lambda: isinstance(screen.app.screen, DiffScreen))
            rows = screen.app.screen.query_one(PairList)
            line = rows.render_line(0).text
            assert line.count("claude-sonnet-4-5") == 2
            assert " = " in line

        drive(pair[0], script, size=(160, 40))

    def test_a_run_that_is_none_is_said(self, pair: tuple[Path, Path]) -> None:
        async def script(screen: Driven) -> None:
            await screen.press("D")
            await screen.type("onx")
            await screen.until(lambda: "there is no run" in screen.app.message)

        drive(pair[0], script)
