"""docs/cli.md and the help texts: every command and option is there, and every example runs."""

from __future__ import annotations

import re
import shlex
import shutil
from importlib.resources import files
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest

from agent_stack._cli import COMMANDS, PROGRAM
from agent_stack._cli import cli as group
from tests.agent_stack.wire_tapes import whole_run, write_tape

if TYPE_CHECKING:
    from tests.agent_stack.conftest import Cli

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(rf"^\$ {PROGRAM} (.*)$", PAGE, flags=re.MULTILINE)


def command_named(name: str) -> Any:
    command = group.get_command(click.Context(group), name)
    assert command is not None
    return command


def section(name: str) -> Any:
    """The part of the page about one command."""
    found = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert found, f"docs/cli.md has no section on {name}"
    return found[1]


@pytest.mark.parametrize("name", COMMANDS)
class TestPage:
    def test_has_every_command_and_option(self, name: str) -> None:
        shared = PAGE.partition("## demo")[0]
        for parameter in command_named(name).params:
            if isinstance(parameter, click.Option):
                for option in (*parameter.opts, *parameter.secondary_opts):
                    about = shared if option in ("--json", "--color") else section(name)
                    assert f"`{option}" in about, f"{name} {option}"

    def test_shows_it_at_work(self, name: str) -> None:
        assert f"$ {PROGRAM} {name}" in section(name)

    def test_names_no_option_that_is_not_there(self, name: str) -> None:
        known = {option for parameter in command_named(name).params for option in parameter.opts}
        rows = re.findall(r"^\| (`-.*?) \|", section(name), flags=re.MULTILINE)
        named = {option for row in rows for option in re.findall(r"`(--?[a-z-]+)", row)}
        assert named <= known


class TestPicture:
    svg = (Path(__file__).parents[2] / "docs" / "images" / "demo.svg").read_text(encoding="utf-8")

    def test_asks_nothing_of_the_network(self) -> None:
        assert set(re.findall(r"https?://[^\"' )]+", self.svg)) == {"http://www.w3.org/2000/svg"}
        assert "@font-face" not in self.svg

    def test_holds_no_path_of_a_machine(self) -> None:
        assert not re.search(r"(?<![\w.])/(home|root|work|tmp|usr|Users)/", self.svg)

    def test_shows_what_the_demo_shows(self) -> None:
        for words in ("researcher", "surveyor", "FileNotFoundError", "died"):
            assert words in self.svg


class TestJsonShapes:
    def test_every_key_of_a_run_is_described(self, cli: Cli, logs: Path) -> None:
        for key in cli("ls", logs, "--json").json_lines()[0]:
            assert f"`{key}`" in section("ls"), key

    def test_every_key_of_the_other_shapes_is_described(self, cli: Cli, logs: Path) -> None:
        for name in ("show", "verify"):
            for key in cli(name, logs, "--json").json():
                assert f"`{key}`" in section(name), key
        described = section("stats") + section("ls")
        for key in cli("stats", logs, "--json").json():
            assert f"`{key}`" in described, key


class TestExamples:
    @pytest.fixture
    def prepared(self, cli: Cli, logs: Path, tmp_path: Path) -> Any:
        """A directory with everything the examples name."""
        for exchanges in (whole_run(), whole_run()[1:3]):
            write_tape(logs, *exchanges, writer=f"0a1b2c3{len(exchanges)}")
        write_tape(tmp_path, *whole_run(), name="run.tape.zst")
        shutil.copytree(logs, tmp_path / "demo-logs")
        (
            tmp_path / "demo-logs" / "c.jsonl"
        ).unlink()  # the last run is then one with steps, as after the demo
        shutil.copy(
            str(files("agent_stack._demo") / "transcript" / "geese.jsonl"), tmp_path / "session.jsonl"
        )
        whole = (logs / "a.jsonl").read_bytes()
        (tmp_path / "damaged.jsonl").write_bytes(whole + b"garbage\n")

    @pytest.mark.parametrize("example", [each for each in EXAMPLES if not each.startswith("demo")])
    def test_of_the_page_run(self, cli: Cli, prepared: None, example: str) -> None:
        result = cli(*shlex.split(example))
        assert (result.code, result.err) == (0, "")
        assert result.out

    @pytest.mark.parametrize("name", COMMANDS)
    def test_of_the_help_texts_are_well_formed(self, name: str) -> None:
        epilog = command_named(name).epilog or ""
        examples = re.findall(rf"{PROGRAM} (.*)$", epilog, flags=re.MULTILINE)
        assert examples
        for example in examples:
            # Up to where the shell takes over: signs in quotes are the command's own.
            words = shlex.shlex(re.split(r"\s{2,}", example)[0], posix=True, punctuation_chars="|&>")
            words.whitespace_split = True
            arguments = list(takewhile(lambda word: not set(word) <= set("|&>"), words))
            around = click.Context(group, **group.context_settings)
            command_named(arguments[0]).make_context(arguments[0], arguments[1:], parent=around).close()

    def test_help_names_every_command(self, cli: Cli) -> None:
        out = cli("--help").out
        for name in COMMANDS:
            assert re.search(rf"^  {name} +\S", out, flags=re.MULTILINE)

    @pytest.mark.parametrize("name", COMMANDS)
    def test_help_of_every_command_fits_a_screen_and_has_examples(self, cli: Cli, name: str) -> None:
        for short in ("-h", "--help"):
            result = cli(name, short, columns=80)
            assert (result.code, result.err) == (0, "")
            lines = result.out.splitlines()
            assert max(map(len, lines)) <= 100
            assert any(line.strip() in ("Examples:", "Install:") for line in lines)
