"""``agent-step-log errors``: what went wrong, and where."""

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
    "errors",
    short_help="Group the errors by type and tool, the latest first.",
    epilog="""\b
Examples:
  agent-step-log errors
  agent-step-log errors --since today
  agent-step-log errors --where "tool = 'bash' AND run.status = 'error'"
  agent-step-log errors --json | jq '{error_type, name, errors}'
""",
)
@sources_argument
@time_options
@where_option
@json_option
@color_option
def command(
    sources: tuple[str, ...],
    since: float | None,
    until: float | None,
    where: str | None,
    as_json: bool,
    color: str,
) -> None:
    """Group the errors in SOURCE by their type and by what failed, the latest first.

    Below each: the last one's message, and the frames of its traceback, the one that raised first.
    """
    from agent_stack._queries.asking import asking
    from agent_stack._queries.failures import failure_groups
    from agent_stack._queries.selection import Selection
    from agent_stack._screen import Screen
    from agent_stack._sources import sources_of

    places = sources_of(sources)
    screen = Screen(color)
    with asking(places, where=where) as logs:
        groups = list(failure_groups(logs, Selection(since, until, where)))
        damage = logs.known_damage
    from agent_stack._render.notes import render_damage

    if as_json:
        from agent_stack._json import json_line

        for group in groups:
            screen.write(json_line(group.to_dict()))
        for line in render_damage(damage):
            remark(str(line))
        return
    from agent_stack._render.failures import render_failures

    if groups:
        screen.print(render_failures(groups, screen.width, now=time()))
    else:
        remark(f"No such error in {', '.join(places)}.")
    screen.print(render_damage(damage))
