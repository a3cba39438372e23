"""Keys that move: each goes where its command goes, and the list follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.agent_stack.tui.conftest import Driven, drive

if TYPE_CHECKING:
    from pathlib import Path


class TestKeys:
    @pytest.mark.parametrize(
        ("keys", "label"),
        [
            ("j", "2"),
            ("j j k", "2"),
            ("G", "10"),
            ("G g", "1"),
            ("J", "8"),
            ("J K", "1"),
            ("e", "4"),
            ("G E", "4"),
            ("j s", "6"),
            ("j s s S", "6"),
            ("j j j j l", "6"),
            ("j j j j l h", "5"),
            ("G e left_square_bracket", "1"),
            ("G left_square_bracket right_square_bracket", "10"),
        ],
    )
    def test_a_key_goes_to_its_step(self, run: Path, keys: str, label: str) -> None:
        async def script(screen: Driven) -> None:
            await screen.press(*keys.split())
            assert screen.label == label
            assert [line.split()[1] for line in screen.list_lines if line.startswith("▶")] == [label]

        drive(run, script)

    def test_the_end_is_said(self, run: Path) -> None:
        async def script(screen: Driven) -> None:
            await screen.press("G", "j")
            assert screen.app.message == "This is the last step."
            await screen.press("g", "e", "e")
            assert "no later step that failed" in screen.app.message

        drive(run, script)

    def test_a_click_goes_to_the_row(self, run: Path) -> None:
        async def script(screen: Driven) -> None:
            await screen.pilot.click("#steps", offset=(10, 6))
            await screen.settle()
            assert screen.label == "7"

        drive(run, script)

    def test_a_mark_is_shown_and_found_again(self, run: Path) -> None:
        async def script(screen: Driven) -> None:
            await screen.press("j", "m", "a", "G", "apostrophe", "a")
            assert screen.label == "2"
            await screen.press("g")
            assert screen.list_lines[1].startswith("a  2") or screen.list_lines[1].startswith("a   2")
            await screen.press("apostrophe", "apostrophe")
            assert "'a" in screen.pane_text

        drive(run, script)


class TestList:
    def test_a_row_has_number_sign_name_words_tokens_and_time(self, run: Path) -> None:
        async def script(screen: Driven) -> None:
            lines = screen.list_lines
            assert "4 ✗ bash  CommandError: exit status 1" in lines[3]
            assert lines[1].endswith("900 ms")
            assert "200→7" in lines[1]
            assert "│ ◆ claude-sonnet-4-5" in lines[5]

        drive(run, script, size=(160, 50))

    def test_folding_hides_what_is_in_a_step_and_says_so(self, run: Path) -> None:
        async def script(screen: Driven) -> None:
            await screen.press("j", "j", "j", "j", "x")
            assert "▸ helper" in screen.list_lines[4]
            assert "8 · user_message" in screen.list_lines[5]
            await screen.press("x")
            assert "6 │ ◆" in screen.list_lines[5]

        drive(run, script)

    def test_a_step_in_a_fold_is_unfolded_when_gone_to(self, run: Path) -> None:
        async def script(screen: Driven) -> None:
            await screen.press("X")
            assert len(screen.app.shown) == 8
            await screen.press("colon")
            await screen.type("goto 7")
            assert screen.label == "7"
            assert len(screen.app.shown) == 10

        drive(run, script)

    @pytest.mark.parametrize("size", [(40, 12), (60, 20), (80, 24), (109, 30), (160, 50), (300, 80)])
    def test_no_line_is_wider_than_the_screen(self, run: Path, size: tuple[int, int]) -> None:
        async def script(screen: Driven) -> None:
            await screen.press("e", "2")
            assert all(len(line) <= size[0] for line in screen.lines)
            assert "bash" in screen.text

        drive(run, script, size=size)
