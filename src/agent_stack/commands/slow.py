"""``agent-step-log slow``: what takes long."""

from __future__ import annotations

from time import time

import click

from agent_stack._options import (
    color_option,
    json_option,
    remark,
    sources_argument,
    time_options,
    where_option,
)

__all__ = ["command"]


@click.command(
    "slow",
    short_help="Show what takes long: P50, P95, P99 and the slowest steps.",
    epilog="""\b
Examples:
  agent-step-log slow
  agent-step-log slow --since 24h -n 30
  agent-step-log slow --where "type = 'tool_call' AND run.environment = 'production'"
  agent-step-log slow --json | jq '.latencies[] | {name, p95_ms}'
""",
)
@sources_argument
@click.option(
    "-n",
    "--most",
    type=click.IntRange(min=0),
    default=10,
    metavar="N",
    help="The N slowest steps; default 10.",
)
@time_options
@where_option
@json_option
@color_option
def command(
    sources: tuple[str, ...],
    most: int,
    since: float | None,
    until: float | None,
    where: str | None,
    as_json: bool,
    color: str,
) -> None:
    """Show how long each model and tool takes, and the slowest steps of SOURCE.

    P50, P95 and P99 are exact: durations that some call had. Agents are left out, as their
    time is that of the steps inside them.
    """
    from agent_stack._queries.asking import asking
    from agent_stack._queries.selection import Selection
    from agent_stack._queries.slow import slowness
    from agent_stack._screen import Screen
    from agent_stack._sources import sources_of

    places = sources_of(sources)
    screen = Screen(color)
    with asking(places, where=where) as logs:
        found = slowness(logs, Selection(since, until, where), most)
        damage = logs.known_damage
    if as_json:
        from agent_stack._facts import damage_dict
        from agent_stack._json import json_line

        screen.write(json_line({**found.to_dict(), "damage": [damage_dict(each) for each in damage]}))
        return
    from agent_stack._render.notes import render_damage
    from agent_stack._render.slow import render_slowness

    if found.latencies:
        screen.print(render_slowness(found, screen.width, now=time(), named=sources))
    else:
        remark(f"No such call of a model or a tool in {', '.join(places)}.")
    screen.print(render_damage(damage))
