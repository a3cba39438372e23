"""The demo from its first line to its last: record, kill, import, and look at all three."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from importlib.resources import as_file, files
from pathlib import Path
from time import time
from typing import TYPE_CHECKING

import agent_stack
from agent_stack._demo.agent import record_researcher
from agent_stack._facts import facts_of
from agent_stack._render.lines import Line
from agent_stack._render.notes import render_hint, short_ids
from agent_stack._render.run_list import render_run_list
from agent_stack._render.run_tree import TreeOptions, render_run
from agent_stack._render.totals import render_totals
from agent_stack._totals import totals_of
from agent_stack.errors import CommandError
from agent_step_log import list_runs, read_log, read_run, verify
from agent_step_log.importers import import_claude_code
from agenttap import tapes_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent_stack._screen import Screen

__all__ = ["tell"]

_PATIENCE_S = 20.0  # for the child to get to its tool; it takes a fraction of a second


def tell(screen: Screen, folder: Path) -> None:
    """Run the demo into *folder* and print it to *screen*."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    screen.print(_opening(folder))

    screen.print(
        _chapter(
            "1",
            "An agent at work",
            "Real tools, two errors it recovers from, a sub-agent, tools in parallel.",
        )
    )
    worked = record_researcher(folder)
    screen.print(_shown(folder, worked, screen.width))

    screen.print(
        _chapter(
            "2",
            "Killed in mid-tool",
            "Another agent, in a process of its own, gets SIGKILL while its tool runs.",
        )
    )
    killed = record_killed(folder)
    screen.print(_shown(folder, killed, screen.width))

    screen.print(
        _chapter(
            "3",
            "A session Claude Code left on disk",
            "Imported from a transcript that comes with this package.",
        )
    )
    imported = _import(folder)
    screen.print(_shown(folder, imported, screen.width))

    screen.print(_chapter("4", "All of them together", "Plain files, read back. No server was started."))
    screen.print(_together(folder, screen.width))
    screen.print(_closing(folder, [worked, killed, imported]))


def record_killed(folder: Path) -> str:
    """Start an agent, kill it while its tool runs, and return its run id.

    No sleep decides when: the log itself says that the tool has begun.
    """
    child = _start_child(folder)
    try:
        assert child.stdout is not None
        path = child.stdout.readline().strip()
        if not path:
            raise CommandError("The demo's second agent did not start.")
        run_id = _wait_for_tool(Path(path), "wait_for_build")
        child.kill()
        child.wait()
    finally:
        child.kill()
        child.communicate()
    return run_id


def _start_child(folder: Path) -> subprocess.Popen[str]:
    sources = str(Path(agent_stack.__file__).parent.parent)
    search_path = os.pathsep.join(filter(None, [sources, os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "agent_stack._demo.killed", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": search_path},
    )


def _wait_for_tool(log: Path, tool: str) -> str:
    """Follow *log* until the beginning of *tool* is on disk; return the run's id."""
    stop = threading.Event()
    timer = threading.Timer(_PATIENCE_S, stop.set)
    timer.start()
    try:
        for record in read_log(log, follow=True, stop=stop):
            if record.type == "step_start" and record.tool == tool:
                return record.run_id
    finally:
        timer.cancel()
    raise CommandError(f"The demo's second agent did not get to its tool in {_PATIENCE_S:.0f} s.")


def _import(folder: Path) -> str:
    with as_file(files("agent_stack._demo") / "transcript" / "geese.jsonl") as transcript:
        report = import_claude_code(transcript, folder / "imported" / "claude-code")
    return report.sessions[0].run_id


# -- what is printed ------------------------------------------------------------


def _opening(folder: Path) -> Iterator[Line]:
    yield Line()
    yield Line("agent-step-log", "title").add("  the flight recorder for AI agents", "bold")
    yield Line("Everything below happens on this machine, with no key and no network.", "dim")
    yield Line("The agents are real and so are their tools; a script stands in for the LLM.", "dim")
    yield Line("Logs go to ", "dim").add(f"{folder}", "bold")


def _chapter(number: str, title: str, what: str) -> Iterator[Line]:
    yield Line()
    yield Line(f" {number} ", "chapter").add(f" {title}", "title")
    yield Line(f"    {what}", "dim")
    yield Line()


def _shown(folder: Path, run_id: str, width: int) -> Iterator[Line]:
    run = read_run(folder, run_id)
    yield from render_run(run, facts_of(run.info), [], width, TreeOptions())


def _together(folder: Path, width: int) -> Iterator[Line]:
    infos = list_runs(folder)
    yield _typed(f"agent-step-log ls {folder}")
    yield from render_run_list([facts_of(info) for info in infos], width, now=time())
    yield Line()
    yield _typed(f"agent-step-log stats {folder}")
    yield from render_totals(totals_of(infos), width)


def _typed(command: str) -> Line:
    return Line("$ ", "dim").add(command, "command")


def _closing(folder: Path, run_ids: list[str]) -> Iterator[Line]:
    names = short_ids(run_ids)
    worked, killed, _ = (names[run_id] for run_id in run_ids)
    report = verify(folder)
    lost = sum(problem.is_error for problem in report.problems)
    yield Line()
    sign, style = ("✗", "error") if lost else ("✓", "ok")
    verdict = "" if lost else ": the kill took nothing already recorded"
    yield Line(f"{sign} ", style).add(
        f"{report.records} records, {lost} missing or damaged{verdict}.", "bold"
    )
    yield Line()
    yield Line("Try next", "head")
    yield render_hint("one step in full        ", f"agent-step-log show {folder} {worked} --step 6")
    yield render_hint("what failed             ", f"agent-step-log show {folder} {worked} --errors")
    if tapes_of(folder, run_ids[0]):
        yield render_hint("what the model was sent ", f"agent-step-log wire {folder} {worked} --diff 2 3")
    yield render_hint("where it was killed     ", f"agent-step-log show {folder} {killed}")
    yield render_hint("live, in a second window", f"agent-step-log tail -f {folder}")
    yield render_hint("for other programs      ", f"agent-step-log ls {folder} --json")
    yield render_hint("your own transcripts    ", "agent-step-log import claude-code")
    yield Line()
