"""Starting up: what is imported for what, and an install without the extra."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path


def python(code: str, *arguments: Any) -> Any:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120, check=False
    )


IMPORTED = """
import sys
from agent_stack.__main__ import main
code = main(sys.argv[1:])
print(*sorted(sys.modules), file=sys.stderr)
sys.exit(code)
"""


class TestImports:
    def imported(self, *arguments: Any) -> Any:
        done = python(IMPORTED, *arguments)
        assert done.returncode == 0, done.stderr
        return {name.partition(".")[0] for name in done.stderr.split()}

    def test_help_reads_no_logs_and_draws_nothing(self) -> None:
        assert not {"agent_step_log", "msgspec", "rich", "asyncio", "subprocess"} & self.imported("--help")

    @pytest.mark.parametrize(
        "command", ["demo", "ls", "show", "tail", "stats", "import", "verify", "repair", "completion"]
    )
    def test_help_of_a_command_neither(self, command: str) -> None:
        assert not {"agent_step_log", "rich"} & self.imported(command, "--help")

    def test_rich_is_for_colours_alone(self, logs: Path) -> None:
        assert "rich" not in self.imported("ls", str(logs))
        assert "rich" in self.imported("ls", str(logs), "--color", "always")


class TestBaseInstall:
    @pytest.mark.parametrize("missing", ["click", "rich"])
    def test_says_which_extra_brings_the_command_line(self, missing: str, logs: Path) -> None:
        code = f"import sys; sys.modules[{missing!r}] = None\n{IMPORTED}"
        done = python(code, "ls", str(logs), "--color", "always")
        assert done.returncode == 2
        sentence = "The command line needs click and rich: pip install 'agent-step-log[cli]'"
        assert done.stderr.splitlines()[0] == sentence

    def test_another_missing_module_is_a_bug_of_ours(self, logs: Path) -> None:
        done = python(f"import sys; sys.modules['msgspec'] = None\n{IMPORTED}", "ls", str(logs))
        assert "ModuleNotFoundError" in done.stderr
