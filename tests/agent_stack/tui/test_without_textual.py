"""The base install: the debugger is there as a prompt, and says which extra brings the whole screen."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pexpect
import pytest

import agent_stack
from agent_stack._tui import run_replay
from agent_step_log.errors import MissingExtraError

SRC = str(Path(agent_stack.__file__).parents[1])
WITHOUT = (
    "import sys; sys.modules['textual'] = None\n"
    "from agent_stack.__main__ import main; sys.exit(main(sys.argv[1:]))"
)
PATIENCE_S = 120


def test_replay_on_a_terminal_names_the_extra_and_is_the_prompt(run: Path) -> None:
    child = pexpect.spawn(
        sys.executable,
        ["-c", WITHOUT, "replay", str(run)],
        env={**os.environ, "PYTHONPATH": SRC, "TERM": "dumb"},
        dimensions=(40, 120),
        encoding="utf-8",
        timeout=PATIENCE_S,
    )
    child.expect_exact("The whole screen comes with: pip install 'agent-step-log[tui]'. This is the prompt.")
    child.expect_exact("find the heron")
    child.sendline("q")
    rest: str = child.read()
    child.wait()
    child.close()

    assert child.exitstatus == 0, rest
    assert "Traceback" not in rest


def test_the_screen_itself_names_it_too(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "textual", None)

    with pytest.raises(MissingExtraError) as caught:
        run_replay(str(run))

    assert str(caught.value) == (
        "The debugger on the whole screen needs 'textual': pip install 'agent-step-log[tui]'. "
        "`--repl` is the same at a prompt."
    )
