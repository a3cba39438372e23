"""``agent-step-log ls``: which runs there are, and how each stands."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING

import click

from agent_stack._options import color_option, json_option, remark, sources_argument

if TYPE_CHECKING:
    from agent_step_log import Damage

__all__ = ["command"]

_STATUSES = ["ok", "error", "cancelled", "running", "interrupted", "unknown"]


@click.command(
    "ls",
    short_help="List the runs, the newest last.",
    epilog="""\b
Examples:
  agent-step-log ls
  agent-step-log ls logs/2026-05 --status error --status interrupted
  agent-step-log ls --last 5 --json | jq .run_id
""",
)
@sources_argument
@click.option("-n", "--last", type=click.IntRange(min=1), metavar="N", help="Only the last N.")
@click.option(
    "--status", multiple=True, type=click.Choice(_STATUSES), help="Only runs that stand so; may be repeated."
)
@json_option
@color_option
def command(
    sources: tuple[str, ...], last: int | None, status: tuple[str, ...], as_json: bool, color: str
) -> None:
    """List the runs of SOURCE, the newest last.

    Figures marked ≥, ≤ or ~ are bounds, ? is not known. A run that was killed is
    "interrupted", and what it was doing stands below it.
    """
    from agent_stack._facts import facts_of
    from agent_stack._screen import Screen
    from agent_stack._sources import runs_of, sources_of

    damage: list[Damage] = []
    places = sources_of(sources)
    runs = [facts_of(info) for info in runs_of(places, damage.append)]
    shown = [run for run in runs if not status or run.status in status]
    shown = shown[-last:] if last else shown
    screen = Screen(color)
    if as_json:
        from agent_stack._json import json_line

        for run in shown:
            screen.write(json_line(run.to_dict()))
        _remark_damage(damage)
        return
    if not shown:
        remark(f"No {'such ' if runs else ''}run in {', '.join(places)}.")
    else:
        from agent_stack._render.run_list import render_run_list

        screen.print(render_run_list(shown, screen.width, now=time()))
    from agent_stack._render.notes import render_damage

    screen.print(render_damage(damage))


def _remark_damage(damage: list[Damage]) -> None:
    from agent_stack._render.notes import render_damage

    for line in render_damage(damage):
        remark(str(line))
