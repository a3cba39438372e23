"""``agent-step-log truncated``: which runs met a length limit."""

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
    "truncated",
    short_help="List the runs whose answers a length limit cut off.",
    epilog="""\b
Examples:
  agent-step-log truncated
  agent-step-log truncated --since 7d
  agent-step-log truncated --where "run.environment = 'production'"
  agent-step-log truncated --json | jq '{run_id, hits, stop_reasons}'
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
    """List the runs of SOURCE in which a model call met a length limit, the latest first.

    "cut off": the answer reached the limit on its length. "window full": it reached the end of
    the context window. "too long": the prompt did not fit, and was refused.
    """
    from agent_stack._queries.asking import asking
    from agent_stack._queries.selection import Selection
    from agent_stack._queries.truncated import truncated_runs
    from agent_stack._screen import Screen
    from agent_stack._sources import sources_of

    places = sources_of(sources)
    screen = Screen(color)
    with asking(places, where=where) as logs:
        runs = list(truncated_runs(logs, Selection(since, until, where)))
        damage = logs.known_damage
    from agent_stack._render.notes import render_damage

    if as_json:
        from agent_stack._json import json_line

        for run in runs:
            screen.write(json_line(run.to_dict()))
        for line in render_damage(damage):
            remark(str(line))
        return
    from agent_stack._render.truncated import render_truncated

    if runs:
        screen.print(render_truncated(runs, screen.width, now=time(), named=sources))
    else:
        remark(f"No such run met a length limit in {', '.join(places)}.")
    screen.print(render_damage(damage))
