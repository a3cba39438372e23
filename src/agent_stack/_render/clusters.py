"""Failing runs by how they failed: a block a cluster."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from agent_stack._render.figures import clock, many
from agent_stack._render.lines import Line
from agent_stack._render.notes import short_ids
from agent_stack._render.preview import preview
from agent_stack._render.run_groups import share_text
from agent_stack._render.words import short_class

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from agent_debug_replay import FailureCluster

__all__ = ["render_clusters"]

_MOST = 30  # clusters shown; --json has all of them
_VERSIONS = 6
_KINDS = {"llm_call": "model call", "tool_call": "tool", "agent_call": "agent"}


def render_clusters(
    clusters: Sequence[FailureCluster], over: int, places: Mapping[str, str], width: int, *, now: float
) -> Iterator[Line]:
    """Yield a sum, then of each cluster how often, how, when, in which versions, and how to look at one.

    Args:
        over: How many runs are over, failed or not.
        places: The log each run is in, by its id.
        now: Unix seconds: a time of the same day shows alone.
    """
    failed = sum(cluster.size for cluster in clusters)
    ways = many(len(clusters), "way")
    yield Line(f"{failed:,} of {many(over, 'run')} failed, in {ways}", "title")
    names = short_ids(list(places))
    for cluster in clusters[:_MOST]:
        yield Line()
        yield _head(cluster, over, width)
        if cluster.message and cluster.error_type:
            yield Line("    ").add(preview(cluster.message), "", width - 4)
        if cluster.frames:
            frames = " ← ".join(f"{file} {function}" for file, function in reversed(cluster.frames))
            yield Line("    ").add(frames, "dim", width - 4)
        yield Line("    ").add(_when(cluster, now), "dim", width - 4)
        run = cluster.run_ids[-1]
        command = f"agent-step-log show {shlex.quote(places[run])} {shlex.quote(names[run])}"
        yield Line("    ").add(command, "command")
    if len(clusters) > _MOST:
        yield Line()
        yield Line("  ").add(f"… {len(clusters) - _MOST:,} more ways (--json)", "note")


def _head(cluster: FailureCluster, over: int, width: int) -> Line:
    sign, style = ("✗ ", "error") if cluster.status == "error" else ("▲ ", "warn")
    share = share_text(cluster.size / over if over else None)
    size = Line(many(cluster.size, "run"), "bold").add(f"  {share}", "dim")
    line = Line(sign, style).add(_how(cluster), "bold", width - size.width - 4)
    return line.right(size, width)


def _how(cluster: FailureCluster) -> str:
    after = f", last tool {cluster.last_tool}" if cluster.last_tool else ""
    if cluster.in_flight is not None:
        kind, name = cluster.in_flight
        return f"{cluster.status} in {_KINDS.get(kind, kind)} {name}"
    if cluster.frames:
        file, function = cluster.frames[-1]
        return f"{short_class(cluster.error_type) or 'error'} in {function} ({file})"
    if cluster.error_type:
        return short_class(cluster.error_type) + after
    if cluster.message:
        return preview(cluster.message)
    return f"{cluster.status}, nothing said why{after}"


def _when(cluster: FailureCluster, now: float) -> str:
    first, last = clock(cluster.first_ts, today=now), clock(cluster.last_ts, today=now)
    when = first if first == last else f"{first} … {last}"
    versions = ", ".join(cluster.versions[:_VERSIONS])
    more = ", …" if len(cluster.versions) > _VERSIONS else ""
    return f"{when}  version {versions}{more}" if versions else when
