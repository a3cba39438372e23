"""``agent-step-log replay``: step through a run, forwards and backwards, and stop where it goes wrong."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from agent_stack._options import color_option, complete_run, json_option, remark, source_argument
from agent_stack.errors import CommandError

if TYPE_CHECKING:
    from agent_debug_replay import Replay

__all__ = ["command"]


@click.command(
    "replay",
    short_help="Step through a run in a debugger.",
    epilog="""\b
Examples:
  agent-step-log replay                          the last run in ./logs, on the whole screen
  agent-step-log replay 3f9a1c2b --repl          that run, at a prompt
  agent-step-log replay run.jsonl -x 'catch error; c; p error; ctx -d'
  agent-step-log replay run.jsonl -x 'catch budget cost 0.5; c' || echo too dear
  agent-step-log replay run.jsonl -x 'log tool, ms if error' --json
""",
)
@source_argument
@click.argument("run", required=False, shell_complete=complete_run)
@click.option(
    "-x",
    "--execute",
    "lines",
    multiple=True,
    metavar="COMMANDS",
    help="Do these commands, separated by ';', and leave; may be repeated.",
)
@click.option("--repl", is_flag=True, help="A prompt instead of the whole screen.")
@json_option
@color_option
def command(
    source: str | None, run: str | None, lines: tuple[str, ...], repl: bool, as_json: bool, color: str
) -> int:
    """Step through a run: on the whole screen, at a prompt (--repl), or by commands (-x).

    RUN is an id, or the beginning or end of one; default: the last run started. `help` lists
    the commands, `help fields` what conditions know.

    Exit status of -x: 0 no stop was hit, 1 a breakpoint, watch or catch point was, 2 it could not be done.
    """
    from agent_debug_replay import CommandLineError, Descent, ExpressionError, Replay
    from agent_stack._replay_session import Session
    from agent_stack._screen import Screen

    place, run_id = _place(source, run)
    is_watched = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
    is_screen = not lines and not repl and not as_json and is_watched
    if is_screen and (shown := _on_screen(place, run_id)) is not None:
        return shown
    with Replay.open(place, run_id) as replay, Descent(replay) as descent:
        session = Session(descent, Screen(color), as_json=as_json)
        if not lines:
            return session.repl(sys.stdin)
        _remark_damage(replay, place)
        try:
            return session.batch(lines)
        except (CommandLineError, ExpressionError) as error:
            for text in error.pointer.split("\n"):
                remark(text)
            raise click.exceptions.Exit(2) from None


def _on_screen(place: str, run_id: str | None) -> int | None:
    """Open the debugger on the whole screen and return its exit status; None without textual."""
    from importlib.util import find_spec

    if find_spec("textual") is None:
        remark("The whole screen comes with: pip install 'agent-step-log[tui]'. This is the prompt.")
        return None
    from agent_stack._tui import run_replay

    return run_replay(place, run_id)


def _place(source: str | None, run: str | None) -> tuple[str, str | None]:
    """Tell SOURCE from RUN: one argument that is no path is a run of the default source.

    Raises:
        CommandError: It can be neither.
    """
    from pathlib import Path

    from agent_stack._sources import default_source, is_path, source_of

    if source is None or run is not None or is_path(source):
        return source_of(source), run
    default = default_source()
    if not Path(default).exists():
        raise CommandError(
            f"{source} is no file or directory, and there are no logs in {default} to have such a run."
        )
    return default, source


def _remark_damage(replay: Replay, place: str) -> None:
    from agent_stack._render.notes import render_damage

    for line in render_damage(replay.damage, hint=f"agent-step-log verify {place}"):
        remark(str(line))
