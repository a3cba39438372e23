"""``agent-step-log show``: one run as a tree, or one step of it in full."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agent_stack._options import color_option, complete_run, json_option, source_argument
from agent_stack.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent_stack._facts import RunFacts
    from agent_stack._screen import Screen
    from agent_step_log import Record, Run

__all__ = ["command"]


@click.command(
    "show",
    short_help="Show a run as a tree.",
    epilog="""\b
Examples:
  agent-step-log show                      the last run in ./logs
  agent-step-log show 3f9a1c2b             a run in ./logs, by the end of its id
  agent-step-log show run.jsonl --errors   what failed, and inside of what
  agent-step-log show run.jsonl --step 12  one step, with all of its input and output
""",
)
@source_argument
@click.argument("run", required=False, shell_complete=complete_run)
@click.option("--step", metavar="N", help="Only step N, in full; WRITER:N for a step of another writer.")
@click.option("--full", is_flag=True, help="Input and output of every step, uncut.")
@click.option("--errors", is_flag=True, help="Only steps that failed or never ended, and those around them.")
@click.option("--no-events", is_flag=True, help="Leave events out.")
@click.option("--all", "show_all", is_flag=True, help="Every step of a long run.")
@json_option
@color_option
def command(
    source: str | None,
    run: str | None,
    step: str | None,
    full: bool,
    errors: bool,
    no_events: bool,
    show_all: bool,
    as_json: bool,
    color: str,
) -> None:
    """Show a run: its header, then every step with its tokens, duration and errors.

    RUN is an id, or the beginning or end of one; default: the last run started. With one
    argument that is no path, it is a RUN of the default SOURCE.
    """
    from agent_stack._screen import Screen

    place, run_id = _place(source, run)
    screen = Screen(color)
    if step is not None:
        _show_step(place, run_id, step, screen, as_json=as_json)
        return
    from agent_stack._facts import facts_of
    from agent_stack._render.run_tree import TreeOptions, render_run
    from agent_step_log import read_run

    found = read_run(place, run_id)
    children = _children(place, found)
    if as_json:
        screen.write("".join(_run_json(found, facts_of(found.info), children)))
        return
    options = TreeOptions(show_all=show_all, full=full, only_errors=errors, with_events=not no_events)
    screen.print(render_run(found, facts_of(found.info), children, screen.width, options))


def _place(source: str | None, run: str | None) -> tuple[str, str | None]:
    """Tell SOURCE from RUN.

    Raises:
        CommandError: It can be neither.
    """
    from pathlib import Path

    from agent_stack._sources import default_source, is_path, source_of

    if source is not None and run is None and not is_path(source):
        default = default_source()
        if not Path(default).exists():
            raise CommandError(
                f"{source} is no file or directory, and there are no logs in {default} to have such a run."
            )
        return default, source
    return source_of(source), run


def _children(place: str, run: Run) -> list[RunFacts]:
    from agent_stack._facts import facts_of
    from agent_step_log import list_runs

    infos = list_runs(place)
    return [
        facts_of(info)
        for info in infos
        if info.header is not None and info.header.parent_run_id == run.run_id
    ]


# -- one step -------------------------------------------------------------------


def _show_step(place: str, run_id: str | None, step: str, screen: Screen, *, as_json: bool) -> None:
    writer, number = _step_name(step)
    records, status = _indexed(place, run_id, number) if writer is None else ([], None)
    if not records:
        records, status = _searched(place, run_id, writer, number)
    if as_json:
        screen.write(_step_json(records))
        return
    from agent_stack._render.step import render_step

    screen.print(render_step(records, status, screen.width))


def _step_name(step: str) -> tuple[str | None, int]:
    writer, colon, number = step.rpartition(":")
    if not number.isascii() or not number.isdigit() or (colon and not writer):
        raise CommandError(f"--step takes a number, or WRITER:NUMBER, and not {step!r}.")
    return writer or None, int(number)


def _indexed(place: str, run_id: str | None, number: int) -> tuple[list[Record], str | None]:
    """Find the step by bisecting the file; empty where the file is not that simple.

    A file whose first and last record are of one run is taken for that run's.
    """
    from agent_stack._sources import is_plain_file
    from agent_step_log import LogIndex

    if not is_plain_file(place):
        return [], None
    with LogIndex(place) as index:
        if index.run_id is None or index.run_id != _last_run_id(place):
            return [], None
        if run_id is not None and not (index.run_id.startswith(run_id) or index.run_id.endswith(run_id)):
            return [], None
        return index.step(number), None


def _last_run_id(place: str) -> str | None:
    """Return the run of a file's last whole line, looking at its end alone; None when that does not tell."""
    import json
    from pathlib import Path

    with Path(place).open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 256 * 1024))
        lines = file.read().splitlines()[1 if size > 256 * 1024 else 0 :]
    for line in reversed(lines[-2:]):
        try:
            run_id = json.loads(line)["run_id"]
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
        return run_id if isinstance(run_id, str) else None
    return None


def _searched(place: str, run_id: str | None, writer: str | None, number: int) -> tuple[list[Record], str]:
    """Find the step by reading the run.

    Raises:
        CommandError: There is none, or several it could be.
    """
    from agent_step_log import read_run

    run = read_run(place, run_id)
    found = [step for _, step in run.walk() if step.number == number and _is_of(step.writer, writer)]
    if writer is None and not found:
        found = [step for _, step in run.walk() if step.number == number]
    label = number if writer is None else f"{writer}:{number}"
    if not found:
        raise CommandError(f"Run {run.run_id} has no step {label}.")
    if len(found) > 1:
        names = ", ".join(f"{step.writer}:{number}" for step in found)
        raise CommandError(f"Run {run.run_id} has several steps {label}: {names}.")
    return [record for record in (found[0].start, found[0].end) if record is not None], run.info.status


def _is_of(writer: str | None, wanted: str | None) -> bool:
    return writer is None if wanted is None else writer is not None and writer.startswith(wanted)


# -- JSON -----------------------------------------------------------------------


def _step_json(records: list[Record]) -> str:
    from agent_stack._json import json_line, record_json

    start = next((record for record in records if record.type == "step_start"), None)
    end = next((record for record in records if record.type != "step_start"), None)
    known = records[0]
    head = json_line({"run_id": known.run_id, "step": known.step, "writer": known.writer})
    return f'{head[:-1]}, "start": {record_json(start)}, "end": {record_json(end)}}}'


def _run_json(run: Run, facts: RunFacts, children: list[RunFacts]) -> Iterator[str]:
    from agent_stack._facts import damage_dict
    from agent_stack._json import json_line, record_json

    yield f'{{"run": {json_line(facts.to_dict())}, "headers": ['
    yield ", ".join(record_json(header) for header in run.info.headers)
    yield f'], "end": {record_json(run.info.end)}, "steps": ['
    for place, (depth, step) in enumerate(run.walk()):
        head = json_line(
            {
                "step": step.number,
                "writer": step.writer,
                "type": step.type,
                "name": step.name,
                "status": step.status,
                "depth": depth,
                "started": step.started_at,
                "duration_ms": step.duration_ms,
            }
        )
        comma = ", " if place else ""
        yield f'{comma}{head[:-1]}, "start": {record_json(step.start)}, "end": {record_json(step.end)}}}'
    yield f'], "child_runs": {json_line([child.run_id for child in children])}'
    yield f', "damage": {json_line([damage_dict(damage) for damage in run.damage])}}}'
