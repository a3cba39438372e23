"""The screen in a real terminal: tmux runs the command as a person does, and what it shows is read back."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

import agent_stack
from tests.agent_stack.tui.conftest import lines_of, llm, start, tool

if TYPE_CHECKING:
    from collections.abc import Iterator

SRC = str(Path(agent_stack.__file__).parents[1])
PATIENCE_S = 120.0


class Terminal:
    """A terminal of 120 columns and 30 lines with a server of its own, running one command."""

    def __init__(self, *command: str) -> None:
        # Not in the test's own folder: the path of a socket has room for about a hundred bytes.
        self._folder = TemporaryDirectory(prefix="tmux-", dir="/tmp")
        self._socket = Path(self._folder.name) / "s"
        environment = {**os.environ, "PYTHONPATH": SRC, "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"}
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "30", *command, env=environment)

    def _tmux(self, *arguments: str, env: dict[str, str] | None = None) -> str:
        done = subprocess.run(
            ["tmux", "-u", "-S", str(self._socket), *arguments],
            capture_output=True,
            text=True,
            check=True,
            env=env,
            timeout=PATIENCE_S,
        )
        return done.stdout

    def press(self, *keys: str) -> None:
        self._tmux("send-keys", *keys)

    def until(self, *texts: str) -> str:
        """Return the screen once all *texts* are on it; a terminal tells nobody that it has been drawn.

        What is drawn together need not be there together: a look may come when half of it has arrived.
        """
        end = time.monotonic() + PATIENCE_S
        while True:
            shown = self._tmux("capture-pane", "-p")
            missing = [text for text in texts if text not in shown]
            if not missing:
                return shown
            assert time.monotonic() < end, f"no {missing} on the screen:\n{shown}"
            time.sleep(0.05)

    def close(self) -> None:
        subprocess.run(["tmux", "-S", str(self._socket), "kill-server"], check=False, capture_output=True)
        self._folder.cleanup()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    path = tmp_path / "run.jsonl"
    path.write_text(
        lines_of(
            start(),
            llm(1),
            tool(2, "search", output="a heron"),
            tool(3, error="\x1b]0;owned\x07exit status 1", output=None),
            llm(4, stop_reason="end_turn"),
        )
    )
    shell = f"{sys.executable} -m agent_stack replay {path}; echo left with $?; exec cat"
    terminal = Terminal("sh", "-c", shell)
    yield terminal
    terminal.close()


def test_keys_move_commands_run_and_leaving_gives_the_terminal_back(terminal: Terminal) -> None:
    terminal.until("row 1 of 4", "search")
    terminal.press("e")
    terminal.until("row 3 of 4", "␛]0;owned")
    terminal.press("g")
    terminal.until("row 1 of 4")
    # All at once, as from a clipboard: what follows the key that opens the prompt belongs in it.
    terminal.press(":until tool == 'search'", "Enter")
    terminal.until("row 2 of 4")
    terminal.press("2")
    terminal.until("a heron")
    terminal.press("q")
    assert "row 2 of 4" not in terminal.until("left with 0")


def test_a_run_another_process_writes_is_followed_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    writer = (
        "import sys; from agent_step_log import StepLog\n"
        "with StepLog(sys.argv[1], 'run-a', agent='writer') as log:\n"
        "    for line in sys.stdin:\n"
        "        log.record_tool_call('bash', {'command': line}, 'heron', 1.0); print(flush=True)\n"
    )
    environment = {**os.environ, "PYTHONPATH": SRC}
    with subprocess.Popen(
        [sys.executable, "-c", writer, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        commands, written = process.stdin, process.stdout
        assert commands is not None
        assert written is not None

        def write(command: str) -> None:
            commands.write(f"{command}\n")
            commands.flush()
            written.readline()

        write("first")
        terminal = Terminal(sys.executable, "-m", "agent_stack", "replay", str(path))
        try:
            terminal.until("row 1 of 1", "● live")
            write("second")
            terminal.until("row 1 of 2", "1 new")
            terminal.press(".")
            terminal.until("● following")
            write("third")
            terminal.until("row 3 of 3", "third")
            terminal.press("k")
            terminal.until("row 2 of 3")
            write("fourth")
            terminal.until("row 2 of 4", "● live")
            commands.close()
            terminal.until("The run has ended: ok.", "✓ ok")
        finally:
            terminal.close()
