"""`agent-step-log --help`: it lists every command, and imports none."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from agent_stack._cli import COMMANDS
from agent_stack._summaries import SUMMARIES


class TestHelp:
    def test_has_words_for_every_command(self) -> None:
        assert list(SUMMARIES) == list(COMMANDS)

    @pytest.mark.parametrize("name", SUMMARIES)
    def test_says_of_a_command_what_the_command_says(self, name: str) -> None:
        command = import_module(f"agent_stack.commands.{COMMANDS[name]}").command
        assert SUMMARIES[name] == command.short_help

    def test_imports_no_command_it_has_words_for(self) -> None:
        code = (
            "import sys\n"
            "from agent_stack.__main__ import main\n"
            "main(['--help'])\n"
            "print(*sys.modules, file=sys.stderr)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
        )
        known = {f"agent_stack.commands.{COMMANDS[name]}" for name in SUMMARIES}
        assert not known & set(done.stderr.split())
        for name in COMMANDS:
            assert f"\n  {name} " in done.stdout
