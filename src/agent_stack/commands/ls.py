"""``agent-step-log ls``: which runs there are, and how each stands."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, TypeVar

import click

from agent_stack._options import color_option, json_option, remark, sources_argument, time_options

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from agent_debug_replay import Condition
    from agent_stack._facts import RunFacts
    from agent_stack._screen import Screen
    from agent_step_log import Damage
    from agentsnap import Amount

__all__ = ["command"]

_STATUSES = ["ok", "error", "cancelled", "running", "interrupted", "unknown"]
_GROUPS = ["task", "version", "env", "status", "agent", "day"]
_GROUP_FIELDS = ("group", "runs", "failed", "p50", "p95", "tokens", "cost", "started")

Item = TypeVar("Item")
SortKeys = list[tuple[str, bool]]


def _condition(_context: click.Context, _parameter: click.Parameter, text: str | None) -> Condition | None:
    if text is None:
        return None
    from agent_debug_replay import ExpressionError
    from agent_stack._run_fields import condition_of

    try:
        return condition_of(text)
    except ExpressionError as error:
        raise click.BadParameter(str(error)) from None


@click.command(
    "ls",
    short_help="List the runs, the newest last.",
    epilog="""\b
Examples:
  agent-step-log ls
  agent-step-log ls logs/2026-05 --status error --status interrupted
  agent-step-log ls --filter 'errors>2 and tools contains "bash"' --since 7d
  agent-step-log ls --sort=-cost -n 10
  agent-step-log ls --group version --cost
  agent-step-log ls --last 5 --json | jq .run_id
""",
)
@sources_argument
@click.option(
    "-n", "--last", type=click.IntRange(min=1), metavar="N", help="Only the last N; sorted, the N with most."
)
@click.option(
    "--status", multiple=True, type=click.Choice(_STATUSES), help="Only runs that stand so; may be repeated."
)
@click.option(
    "--filter",
    "condition",
    metavar="EXPR",
    callback=_condition,
    help="Only runs this holds of: duration > 5m and cost > 0.5 (docs/runs.md).",
)
@time_options
@click.option("--sort", metavar="FIELD[,-FIELD]", help="Sort by fields; with - the most first.")
@click.option("--group", type=click.Choice(_GROUPS), help="A line a group, and not a run.")
@click.option("--cost", "has_cost", is_flag=True, help="What each cost.")
@json_option
@color_option
def command(
    sources: tuple[str, ...],
    last: int | None,
    status: tuple[str, ...],
    condition: Condition | None,
    since: float | None,
    until: float | None,
    sort: str | None,
    group: str | None,
    has_cost: bool,
    as_json: bool,
    color: str,
) -> None:
    """List the runs of SOURCE, the newest last.

    Figures marked ≥, ≤ or ~ are bounds, ? is not known. A run that was killed is
    "interrupted", and what it was doing stands below it.
    """
    from agent_stack._facts import facts_of
    from agent_stack._screen import Screen
    from agent_stack._sources import runs_of, sources_of

    keys = _keys(sort, is_grouped=group is not None)
    has_cost = has_cost or "cost" in {name for name, _ in keys}
    damage: list[Damage] = []
    places = sources_of(sources)
    runs = [facts_of(info) for info in runs_of(places, damage.append)]
    is_asked = has_cost or (condition is not None and "cost" in condition.names)
    costs = _costs(places) if is_asked else {}
    shown = [
        run
        for run in runs
        if (not status or run.status in status)
        and (since is None or (run.started or 0.0) >= since)
        and (until is None or (run.started or 0.0) < until)
    ]
    if condition is not None or (keys and group is None):
        from agent_stack._run_fields import RunFields, sorted_by

        fields = RunFields(time(), costs)
        if condition is not None:
            shown = [run for run in shown if condition.holds(fields.reader(run))]
        if group is None:
            shown = sorted_by(shown, keys, fields.read)
    screen = Screen(color)
    if group is not None:
        _print_groups(screen, shown, group, keys, last, costs if has_cost else None, as_json=as_json)
    else:
        shown = _first(shown, keys, last)
        _print_runs(screen, shown, costs if has_cost else None, as_json=as_json)
    if not shown and not as_json:
        remark(f"No {'such ' if runs else ''}run in {', '.join(places)}.")
    _say_damage(screen, damage, as_json=as_json)


def _keys(sort: str | None, *, is_grouped: bool) -> SortKeys:
    if sort is None:
        return []
    from agent_stack._run_fields import RUN_FIELDS, sort_keys

    try:
        return sort_keys(sort, _GROUP_FIELDS if is_grouped else list(RUN_FIELDS))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--sort") from None


def _costs(places: list[str]) -> dict[str, Amount[Decimal]]:
    from agent_stack._run_groups import costs_of

    return costs_of(places)


def _first(items: list[Item], keys: SortKeys, last: int | None) -> list[Item]:
    """Return the *last* of them that have most of what they are sorted by; unsorted, the newest."""
    if last is None:
        return items
    return items[:last] if keys and keys[0][1] else items[-last:]


def _print_runs(
    screen: Screen, shown: list[RunFacts], costs: Mapping[str, Amount[Decimal]] | None, *, as_json: bool
) -> None:
    if as_json:
        from agent_stack._json import json_line

        for run in shown:
            screen.write(json_line({**run.to_dict(), **_cost_dict(run, costs)}))
    elif shown:
        from agent_stack._render.notes import render_hint, short_ids
        from agent_stack._render.run_list import render_run_list

        screen.print(render_run_list(shown, screen.width, now=time(), costs=costs))
        if screen.is_terminal and len(shown) > 1:
            names = short_ids([run.run_id for run in shown])
            two = " ".join(names[run.run_id] for run in shown[-2:])
            screen.print([render_hint("compare two", f"agent-step-log diff {two}")])


def _cost_dict(run: RunFacts, costs: Mapping[str, Amount[Decimal]] | None) -> dict[str, object]:
    if costs is None:
        return {}
    from agent_stack._run_groups import plain, run_cost

    cost = run_cost(run, costs)
    return {"cost_usd": plain(cost), "cost_exactness": cost.exactness}


def _print_groups(
    screen: Screen,
    runs: list[RunFacts],
    by: str,
    keys: SortKeys,
    last: int | None,
    costs: Mapping[str, Amount[Decimal]] | None,
    *,
    as_json: bool,
) -> None:
    from agent_stack._run_fields import sorted_by
    from agent_stack._run_groups import GROUPINGS, group_field, tallies

    groups = tallies(runs, GROUPINGS[by], costs or {})
    groups = _first(sorted_by(groups, keys, group_field), keys, last)
    if as_json:
        from agent_stack._json import json_line

        for tally in groups:
            screen.write(
                json_line({"by": by, "group": tally.key, **tally.to_dict(has_cost=costs is not None)})
            )
    elif groups:
        from agent_stack._render.run_groups import render_groups

        screen.print(render_groups(groups, by, screen.width, has_cost=costs is not None))


def _say_damage(screen: Screen, damage: list[Damage], *, as_json: bool) -> None:
    from agent_stack._render.notes import render_damage

    if not as_json:
        screen.print(render_damage(damage))
        return
    for line in render_damage(damage):
        remark(str(line))
