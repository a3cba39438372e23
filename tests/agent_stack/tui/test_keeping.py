"""Notes, marks and steps kept in files, by commands of the screen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.agent_stack.tui.conftest import Driven, drive

if TYPE_CHECKING:
    from pathlib import Path


async def command(screen: Driven, text: str) -> None:
    await screen.press("colon")
    await screen.type(text)


def test_a_note_is_marked_in_the_list_and_told_where_it_is(run: Path) -> None:
    async def script(screen: Driven) -> None:
        await command(screen, "goto 3; note this is where it's wrong")
        assert "✎" in screen.list_lines[2]
        await screen.press("g")
        assert "✎" not in screen.app.message
        await screen.press("j", "j")
        assert screen.app.message == "✎ this is where it's wrong"
        await command(screen, "note -")
        assert screen.app.message == "The note was taken away."
        assert "✎" not in screen.list_lines[2]

    drive(run, script)


def test_a_note_in_the_list_of_notes_leads_to_its_step(run: Path) -> None:
    async def script(screen: Driven) -> None:
        await command(screen, "goto 3; note one; goto 7; note two; start; notes")
        assert "✎ two" in screen.pane_text
        await screen.press("down", "down", "enter")
        assert screen.label == "7"

    drive(run, script)


def test_marks_and_notes_are_saved_and_loaded(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "kept.json"

    async def save(screen: Driven) -> None:
        await command(screen, f"goto 4; mark a; note broken; save {path}")
        assert screen.app.message == f"Saved 1 mark and 1 note to {path}."

    async def load(screen: Driven) -> None:
        await command(screen, f"load {path}")
        assert screen.app.message == "Took over 1 mark and 1 note of this run."
        assert "✎" in screen.list_lines[3]
        await screen.press("apostrophe", "a")
        assert screen.label == "4"

    drive(run, save)
    drive(run, load)


def test_an_export_has_what_the_filter_shows(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"

    async def script(screen: Driven) -> None:
        await screen.press("f")
        await screen.type("tool == 'bash'")
        await command(screen, f"export {path}")
        assert screen.app.message.startswith("Wrote 3 steps in 5 lines")
        await command(screen, f"export {path}")
        assert screen.app.message == f"{path} is there already; name a file that is not."

    drive(run, script)
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [0, 4, 7, 10, 0]


def test_what_somebody_else_noted_is_shown_and_never_obeyed(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    told = {"run-a": {"marks": {"\x1b]0;title\x07": "4"}, "notes": {"4": "\x1b[2Jgone\u202e\n"}}}
    path.write_text(json.dumps({"format": "agent-step-log notes 1", "runs": told}))

    async def script(screen: Driven) -> None:
        await command(screen, f"load {path}; goto 4")
        assert "gone" in screen.lines[-2]
        await command(screen, "notes")
        assert "gone" in screen.pane_text
        await command(screen, "marks")
        assert not {"\x1b", "\x07", "\u202e"} & set(screen.text + screen.pane_text)

    drive(run, script)
