"""The user's own keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent_stack._tui import run_replay
from agent_stack._tui._keymap import ACTIONS, KEYMAP_VARIABLE, load_keymap
from agent_stack.errors import CommandError
from tests.agent_stack.tui.conftest import Driven, drive

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def keymap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user's keymap is."""
    path = tmp_path / "keys.toml"
    monkeypatch.setenv(KEYMAP_VARIABLE, str(path))
    return path


class TestDefaults:
    def test_no_key_has_two_meanings(self) -> None:
        keys = [key for action in ACTIONS.values() for key in action.keys]
        assert len(keys) == len(set(keys))

    def test_the_file_in_the_home_directory_is_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.delenv(KEYMAP_VARIABLE, raising=False)
        assert load_keymap()["j"] == "down"
        path = tmp_path / ".config" / "agent-step-log" / "keymap.toml"
        path.parent.mkdir(parents=True)
        path.write_text('j = "up"')
        assert load_keymap()["j"] == "up"


class TestOwnKeys:
    def test_a_key_does_an_action_a_line_or_nothing(self, run: Path, keymap: Path) -> None:
        keymap.write_text('"ctrl+n" = "next-error"\n"z" = "goto 3; mark here"\n"q" = ""\n"!" = "last"\n')

        async def script(screen: Driven) -> None:
            await screen.press("ctrl+n")
            assert screen.label == "4"
            await screen.press("z")
            assert screen.label == "3"
            assert "here" in screen.app.navigator.marks.marks
            await screen.press("q", "exclamation_mark")
            assert screen.label == "10"
            await screen.press("question_mark")
            assert ":goto 3; mark here" in screen.text + "\n".join(
                str(line)
                for line in screen.app.screen.query_one("#sheet").lines  # type: ignore[attr-defined]
            )

        drive(run, script)


class TestErrors:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ('"hyper+q" = "down"', "there is no key 'hyper+q'; a key is one character"),
            ('foo = "down"', "there is no key 'foo'"),
            ('z = "next-eror"', "z = 'next-eror' is no action (the nearest is 'next-error') and no command"),
            ('z = "brake"', "and no command: there is no command 'brake'"),
            ('z = "break if tol == 1"', "z = 'break if tol == 1' is no action"),
            ("z = 3", "z is not a text"),
            ("z = ", "the keymap is no TOML"),
        ],
    )
    def test_one_sentence_names_file_key_and_what_would_do(
        self, run: Path, keymap: Path, text: str, words: str
    ) -> None:
        keymap.write_text(text)
        with pytest.raises(CommandError) as caught:
            run_replay(str(run))
        assert str(caught.value).startswith(str(keymap))
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)
        assert caught.value.exit_code == 2

    def test_a_file_that_was_named_must_be_there(self, run: Path, keymap: Path) -> None:
        with pytest.raises(CommandError, match="the keymap cannot be read: No such file"):
            run_replay(str(run))
        assert not keymap.exists()
