"""``agent-step-log failures``: failing runs by where and how they failed."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING

import click

from agent_stack._options import color_option, json_option, remark, sources_argument, time_options

if TYPE_CHECKING:
    from agent_step_log import Damage

__all__ = ["command"]


@click.command(
    "failures",
    short_help="Group failing runs by where and how they failed.",
    epilog="""\b
Examples:
  agent-step-log failures
  agent-step-log failures --since 7d
  agent-step-log failures logs --json | jq '{runs, error_type, versions}'
""",
)
@sources_argument
@time_options
@json_option
@color_option
def command(
    sources: tuple[str, ...], since: float | None, until: float | None, as_json: bool, color: str
) -> None:
    """Group the failing runs of SOURCE by where and how they failed, the most frequent first.

    Same class of error in the same functions; else the same message, its numbers, ids and paths
    left out, after the same tool. Interrupted runs: in the middle of the same step.
    """
    from agent_debug_replay import cluster_failures, find_failures
    from agent_stack._run_groups import OVER
    from agent_stack._screen import Screen
    from agent_stack._sources import runs_of, sources_of

    damage: list[Damage] = []
    named = sources_of(sources)
    runs = [
        info
        for info in runs_of(named, damage.append)
        if (since is None or (info.fold.first_ts or 0.0) >= since)
        and (until is None or (info.fold.first_ts or 0.0) < until)
    ]
    over = sum(info.status in OVER for info in runs)
    clusters = cluster_failures(find_failures(runs))
    screen = Screen(color)
    from agent_stack._render.notes import render_damage

    if as_json:
        from agent_stack._json import json_line

        for cluster in clusters:
            names = ("status", "error_type", "frames", "in_flight", "last_tool", "message")
            told = {name: getattr(cluster, name) for name in names}
            told |= {"runs": cluster.size, "share": cluster.size / over if over else None}
            more = {name: getattr(cluster, name) for name in ("first_ts", "last_ts", "versions", "run_ids")}
            screen.write(json_line(told | more))
        for line in render_damage(damage):
            remark(str(line))
        return
    if clusters:
        from agent_stack._render.clusters import render_clusters

        places = {info.run_id: str(info.paths[0]) for info in runs}
        screen.print(render_clusters(clusters, over, places, screen.width, now=time()))
    else:
        remark(f"No run failed of {over:,} in {', '.join(named)}.")
    screen.print(render_damage(damage))
