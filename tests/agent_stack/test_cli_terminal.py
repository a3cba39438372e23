"""On a terminal, in a pipe, and in an output that is not Unicode."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest

import agent_stack
from agent_stack._screen import _ASCII

if TYPE_CHECKING:
    from tests.agent_stack.conftest import Cli, WriteLog

COMMAND = [sys.executable, "-m", "agent_stack"]


def on_terminal(*arguments: object, columns: int = 80, environ: dict[str, str] | None = None) -> str:
    """Return what a command prints on a terminal of *columns* columns."""
    env = {**os.environ, "TERM": "xterm-256color", **(environ or {})}
    child = pexpect.spawn(
        COMMAND[0],
        [*COMMAND[1:], *map(str, arguments)],
        env=env,
        dimensions=(50, columns),
        encoding="utf-8",
        timeout=120,
    )
    out: str = child.read()
    # Its output ends a little before the process does, and `close` would hurry it with a signal.
    child.wait()
    child.close()
    assert child.exitstatus == 0, out
    return out.replace("\r\n", "\n")


def in_pipe(*arguments: object, **environ: str) -> subprocess.CompletedProcess[bytes]:
    env = {**os.environ, **environ}
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, env=env, timeout=120, check=False
    )


class TestTerminal:
    def test_has_colours_and_its_own_width(self, logs: Path) -> None:
        out = on_terminal("show", logs, "aaaa0001", columns=100)
        assert "\x1b[32m✓ ok\x1b[0m" in out
        assert "─" * 100 in out
        assert "─" * 101 not in out

    @pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
    def test_no_colour_when_it_is_not_wanted(self, logs: Path, environ: dict[str, str]) -> None:
        assert "\x1b" not in on_terminal("ls", logs, environ=environ)

    def test_an_empty_no_color_is_none(self, logs: Path) -> None:
        assert "\x1b[" in on_terminal("ls", logs, environ={"NO_COLOR": ""})

    def test_color_option_outranks_the_environment(self, logs: Path) -> None:
        assert "\x1b[" in on_terminal("ls", logs, "--color", "always", environ={"NO_COLOR": "1"})
        assert "\x1b" not in on_terminal("ls", logs, "--color", "never")

    @pytest.mark.parametrize("command", ["ls", "stats", "tail", "verify"])
    def test_every_view_has_colours(self, logs: Path, command: str) -> None:
        assert "\x1b[" in on_terminal(command, logs)


class TestPipe:
    def test_has_no_colours(self, logs: Path) -> None:
        done = in_pipe("show", logs, "aaaa0001")
        assert b"\x1b" not in done.stdout
        assert done.stdout.decode().startswith("✓ ok  researcher")

    def test_colours_on_demand(self, logs: Path) -> None:
        assert b"\x1b[32m" in in_pipe("ls", logs, "--color", "always").stdout

    def test_columns_sets_the_width(self, logs: Path) -> None:
        assert "─" * 70 + "\n" in in_pipe("show", logs, "aaaa0001", COLUMNS="70").stdout.decode()

    def test_a_reader_that_goes_away_is_no_error(self, write_log: WriteLog) -> None:
        steps = [{"type": "event", "step": n, "name": f"e{n}", "data": "x" * 200} for n in range(1, 3000)]
        log = write_log("a.jsonl", *steps)
        with subprocess.Popen(
            [*COMMAND, "show", str(log), "--all"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as child:
            assert child.stdout is not None
            assert child.stderr is not None
            child.stdout.readline()
            child.stdout.close()
            assert child.wait(timeout=120) == 141
            assert child.stderr.read() == b""

    def test_ascii_takes_the_place_of_what_the_output_cannot_show(self, logs: Path) -> None:
        done = in_pipe("show", logs, "aaaa0001", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
        assert (done.returncode, done.stderr) == (0, b"")
        text = done.stdout.decode("ascii")
        assert "+ ok  researcher" in text
        assert "7 `-* claude-x  ! max_tokens" in text
        assert ">=1.2k in" in text

    def test_every_sign_of_ours_has_a_form_in_ascii(self) -> None:
        package = Path(agent_stack.__file__).parent
        signs: dict[str, Path] = {}
        for path in sorted(package.rglob("*.py")):
            if "_tui" in path.parts or path.name in ("_safe.py", "_screen.py"):
                continue  # a whole screen has signs of its own; _safe names signs of others
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                # Docstrings are help at most, and not in the forms of a screen.
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 100:
                    signs |= {char: path for char in node.value if char > "\x9f"}
        without = {char: path.name for char, path in signs.items() if ord(char) not in _ASCII}
        assert len(signs) > 20
        assert without == {}

    def test_bars_and_brackets_are_told_apart_in_ascii(self) -> None:
        shown = "▁▂▃▄▅▆▇█ «x»".translate(_ASCII)
        assert shown == "_.-=+*%# <<x>>"

    def test_text_of_others_is_escaped_for_it(self, write_log: WriteLog) -> None:
        log = write_log("a.jsonl", {"type": "event", "step": 1, "name": "né", "data": "日\x1b"})
        text = in_pipe("show", log, PYTHONIOENCODING="latin-1").stdout.decode("ascii")
        assert "n\\xe9  \\u65e5\\x1b" in text


class TestCompletion:
    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_prints_a_script(self, cli: Cli, shell: str) -> None:
        result = cli("completion", shell)
        assert result.code == 0
        assert f"_AGENT_STEP_LOG_COMPLETE={shell}_complete" in result.out
        assert "agent-step-log" in result.out

    def test_another_shell_is_one_sentence(self, cli: Cli) -> None:
        assert cli("completion", "tcsh").err == (
            "agent-step-log: Invalid value for 'bash|zsh|fish': 'tcsh' is not one of 'bash', 'zsh', 'fish'. "
            "See agent-step-log completion --help.\n"
        )

    @pytest.mark.parametrize(
        ("typed", "offered"),
        [
            (["agent-step-log", "sh"], ["show"]),
            (["agent-step-log", "show", "--no"], ["--no-events"]),
            (["agent-step-log", "import", "c"], ["claude-code", "codex"]),
            (["agent-step-log", "show", "logs", "bb"], ["bbbb0002"]),
            (["agent-step-log", "show", "nope", "bb"], []),
        ],
    )
    def test_bash_completes(self, logs: Path, tmp_path: Path, typed: list[str], offered: list[str]) -> None:
        wrapper = tmp_path / "bin" / "agent-step-log"
        wrapper.parent.mkdir()
        wrapper.write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
        wrapper.chmod(0o755)
        words = " ".join(f"'{word}'" for word in typed)
        script = (
            "source <(agent-step-log completion bash)\n"
            f"COMP_WORDS=({words}); COMP_CWORD={len(typed) - 1}\n"
            "_agent_step_log_completion agent-step-log\n"
            'printf "%s\\n" "${COMPREPLY[@]}"\n'
        )
        env = {**os.environ, "PATH": f"{wrapper.parent}:{os.environ['PATH']}"}
        done = subprocess.run(
            ["bash", "--norc", "-c", script], capture_output=True, text=True, env=env, timeout=120, check=True
        )
        assert done.stdout.split() == offered
