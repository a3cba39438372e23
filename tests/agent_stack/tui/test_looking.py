"""What is shown of a step, and of the run: panes, results of commands, growth, help, copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.agent_stack.tui.conftest import Driven, drive, llm, start, tool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class TestPanes:
    @pytest.mark.parametrize(
        ("label", "tab", "words"),
        [
            (3, "1", "q: heron"),
            (3, "2", '"a"'),
            (4, "2", "✗ CommandError: exit status 1"),
            (1, "1", "find the heron"),
            (2, "2", "I will look"),
            (2, "3", "Step 2 is on no tape"),
            (2, "4", "Step 2 is on no tape"),
            (2, "5", "find the heron"),
            (9, "6", "900 tokens"),
            (9, "2", "stopped: max_tokens"),
            (3, "7", '"tool": "search"'),
        ],
    )
    def test_a_tab_shows_its_part_of_the_step(self, run: Path, label: int, tab: str, words: str) -> None:
        async def script(screen: Driven) -> None:
            await screen.press("colon")
            await screen.type(f"goto {label}")
            await screen.press(tab)
            assert words in screen.pane_text

        drive(run, script)

    def test_a_call_without_input_shows_what_was_added_to_its_context(self, run: Path) -> None:
        async def script(screen: Driven) -> None:
            await screen.press("G", "k")
            assert screen.label == "9"
            assert "and the egret" in screen.pane_text
            assert "find the heron" not in screen.pane_text

        drive(run, script)

    def test_the_pane_follows_the_cursor(self, run: Path) -> None:
        async def script(screen: Driven) -> None:
            await screen.press("2", "j", "j", "j")
            assert "exit status 1" in screen.pane_text
            await screen.press("k")
            assert "exit status 1" not in screen.pane_text

        drive(run, script)

    def test_tab_goes_to_the_pane_and_keys_scroll_it(self, log: Callable[..., Path]) -> None:
        path = log(start(), tool(1, output="\n".join(f"line {number}" for number in range(500))))

        async def script(screen: Driven) -> None:
            await screen.press("2", "tab", "pagedown", "j")
            assert screen.app.pane.scroll_offset.y > 5
            assert screen.label == "1"
            await screen.press("escape")
            assert screen.app.focused is screen.app.steps

        drive(path, script)

    def test_a_small_terminal_shows_list_or_pane(self, run: Path) -> None:
        async def script(screen: Driven) -> None:
            assert not screen.app.pane.region
            await screen.press("e", "2", "enter")
            assert "exit status 1" in "\n".join(screen.lines[1:-2])
            assert not screen.app.steps.region

        drive(run, script, size=(50, 14))


class TestFilter:
    def test_only_matching_steps_are_shown_with_their_count(self, run: Path) -> None:
        async def script(screen: Driven) -> None:
            await screen.press("f")
            await screen.type('tool == "bash"')
            assert [line.split()[-5:] for line in screen.list_lines if "bash" in line]
            assert len(screen.app.shown) == 3
            assert "3 steps of 10" in screen.app.message
            assert "3 shown" in screen.lines[0]
            await screen.press("j")
            assert screen.label == "7"
            await screen.press("escape")
            assert len(screen.app.shown) == 10
            assert screen.label == "7"

        drive(run, script)

    def test_a_condition_that_is_none_stays_to_be_mended(self, run: Path) -> None:
        async def script(screen: Driven) -> None:
            await screen.press("f")
            await screen.type("tool == = 1")
            assert "column" in screen.app.message
            assert screen.app.prompt.has_focus
            assert len(screen.app.shown) == 10

        drive(run, script)

    def test_nothing_matches_is_said(self, run: Path) -> None:
        async def script(screen: Driven) -> None:
            await screen.press("f")
            await screen.type("duration > 1h")
            assert "no step matches" in screen.app.message
            await screen.press("j", "G", "x")
            await screen.press("escape")
            assert len(screen.app.shown) == 10

        drive(run, script)


class TestFind:
    def test_slash_n_and_shift_n_go_through_the_hits(self, run: Path) -> None:
        async def script(screen: Driven) -> None:
            await screen.press("slash")
            await screen.type("HERON")
            seen = [screen.label]
            for key in ("n", "n", "N"):
                await screen.press(key)
                seen.append(screen.label)
            assert seen == ["3", "10", "10", "3"]
            await screen.press("G", "n")
            assert "no later step that holds 'HERON'" in screen.app.message

        drive(run, script)

    def test_a_search_of_the_grammar_is_the_same(self, run: Path) -> None:
        async def script(screen: Driven) -> None:
            await screen.press("colon")
            await screen.type("/egret")
            assert screen.label == "8"
            await screen.press("colon")
            await screen.type("?heron")
            assert screen.label == "3"

        drive(run, script)


class TestCommands:
    def test_stops_are_set_listed_and_hit(self, run: Path) -> None:
        async def script(screen: Driven) -> None:
            await screen.press("colon")
            await screen.type("break at tool:bash")
            await screen.press("c")
            assert screen.label == "4"
            assert "break 1" in screen.app.message
            await screen.press("b")
            assert "break at tool:bash" in screen.app.message + screen.pane_text

        drive(run, script)

    def test_a_table_of_hits_leads_to_its_steps(self, run: Path) -> None:
        async def script(screen: Driven) -> None:
            await screen.press("colon")
            await screen.type("log input.command if tool")
            assert "4 hits" in screen.text
            await screen.press("j", "j", "enter")
            assert screen.label == "7"
            await screen.press("j", "enter")
            assert screen.label == "10"
            await screen.press("escape")
            assert "hits" not in screen.text

        drive(run, script)

    def test_a_value_is_printed(self, run: Path) -> None:
        async def script(screen: Driven) -> None:
            await screen.press("colon")
            await screen.type("goto 3; p input.q")
            assert screen.label == "3"
            assert screen.app.message == 'input.q = "heron"'

        drive(run, script)

    def test_a_line_that_is_none_stays_to_be_mended(self, run: Path) -> None:
        async def script(screen: Driven) -> None:
            await screen.press("colon")
            await screen.type("brake at tool")
            assert "There is no command 'brake'" in screen.app.message
            assert screen.app.prompt.value == "brake at tool"
            await screen.press("escape")
            assert screen.app.steps.has_focus

        drive(run, script)

    def test_lines_typed_before_come_back(self, run: Path) -> None:
        async def script(screen: Driven) -> None:
            for text in ("goto 3", "goto 4"):
                await screen.press("colon")
                await screen.type(text)
            await screen.press("colon", "up", "up")
            assert screen.app.prompt.value == "goto 3"

        drive(run, script)

    def test_every_look_of_the_grammar_shows_something(self, run: Path) -> None:
        async def script(screen: Driven) -> None:
            for line in (
                "list",
                "where",
                "ctx",
                "ctx -d",
                "wire",
                "files",
                "state",
                "marks",
                "info",
                "help break",
            ):
                await screen.press("colon")
                await screen.type(line)
                assert (screen.app.message + screen.pane_text).strip(), line
                await screen.press("escape", "escape")

        drive(run, script)

    def test_quit_ends_it(self, run: Path) -> None:
        async def script(screen: Driven) -> None:
            await screen.pilot.press("q")
            assert screen.app._exit

        drive(run, script)


class TestViews:
    def test_growth_draws_calls_and_enter_goes_there(self, run: Path) -> None:
        async def script(screen: Driven) -> None:
            await screen.press("v")
            await screen.until(lambda: len(screen.app.growth.sizes) == 3)
            bars = [screen.app.growth.render_line(y).text for y in range(3)]
            assert "900" in bars[2]
            assert bars[2].count("▒") > 0
            await screen.press("j", "enter")
            assert screen.label == "6"
            assert screen.app.steps.has_focus

        drive(run, script)

    def test_a_cut_history_is_marked(self, log: Callable[..., Path]) -> None:
        path = log(start(), llm(1, input_tokens=90_000), llm(2, input_tokens=9_000))

        async def script(screen: Driven) -> None:
            await screen.press("v")
            assert "✂" in screen.app.growth.render_line(1).text
            assert "✂" not in screen.app.growth.render_line(0).text

        drive(path, script)

    def test_difference_to_the_step_before_of_the_same_kind(self, run: Path) -> None:
        async def script(screen: Driven) -> None:
            await screen.press("G", "d")
            assert "step 7 → 10" in screen.pane_text
            assert "input.command" in screen.pane_text
            await screen.press("escape", "g", "d")
            assert screen.app.message == "There is no earlier step of the same type and name."

        drive(run, script)

    def test_help_lists_every_key_and_command(self, run: Path) -> None:
        from agent_debug_replay import TOPICS
        from agent_stack._tui._keymap import ACTIONS

        async def script(screen: Driven) -> None:
            await screen.press("question_mark")
            sheet = screen.app.screen.query_one("#sheet")
            text = "\n".join(str(line) for line in sheet.lines)  # type: ignore[attr-defined]
            assert all(action.meaning.split(":")[0] in text for action in ACTIONS.values())
            assert all(topic.names[0] in text for topic in TOPICS)
            await screen.press("escape")
            assert screen.app.screen is screen.app.screen_stack[0]

        drive(run, script)

    def test_the_sums_so_far_are_at_the_margin(self, run: Path) -> None:
        async def script(screen: Driven) -> None:
            await screen.press("G")
            await screen.until(lambda: "1.7k in, 21 out" in screen.lines[-2])

        drive(run, script)


class TestCopying:
    @pytest.mark.parametrize(
        ("key", "copied"), [("v", "echo 4"), ("p", "input"), ("l", "4"), ("c", "goto 4; p input")]
    )
    def test_y_copies(self, run: Path, key: str, copied: str) -> None:
        async def script(screen: Driven) -> None:
            await screen.press("e", "y", key)
            assert copied in screen.app.clipboard

        drive(run, script)
