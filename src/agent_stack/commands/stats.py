"""``agent-step-log stats``: what all the runs came to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from agent_stack._options import (
    color_option,
    json_option,
    remark,
    sources_argument,
    time_options,
    where_option,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent_stack._queries.selection import Selection
    from agent_stack._screen import Screen
    from agent_step_log import Damage

__all__ = ["command"]

_BY = ("model", "tool", "agent", "task", "env", "version", "day")


def _dimensions(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> list[str]:
    names = list(dict.fromkeys(name.strip() for each in given for name in each.split(",")))
    for name in names:
        if name not in _BY:
            raise click.BadParameter(f"{name!r} is none of {', '.join(_BY)}.")
    if {"model", "tool"} <= set(names):
        raise click.BadParameter("a call is of a model or of a tool, and never of both: ask for one of them.")
    return names


@click.command(
    "stats",
    short_help="Add up steps, tokens, errors and latencies.",
    epilog="""\b
Examples:
  agent-step-log stats
  agent-step-log stats --by task                     which kind of run is expensive
  agent-step-log stats --by tool                     P95 of every tool
  agent-step-log stats --by day,model --since 7d
  agent-step-log stats --where "run.status = 'error'"
  agent-step-log stats --json | jq '.tools | map_values(.p95_ms)'
""",
)
@sources_argument
@click.option(
    "--by",
    multiple=True,
    metavar="NAME",
    callback=_dimensions,
    help=f"A row for each {', '.join(_BY[:-1])} or {_BY[-1]}; several: --by day,model.",
)
@time_options
@where_option
@json_option
@color_option
def command(
    sources: tuple[str, ...],
    by: list[str],
    since: float | None,
    until: float | None,
    where: str | None,
    as_json: bool,
    color: str,
) -> None:
    """Add up all runs of SOURCE: status, steps, tokens, errors, stop reasons, latencies.

    A sum that misses what some call did not tell is marked ≥; what nobody told is ?.
    Quantiles are within 1 % of a true sample; with --by, --since, --until or --where, which
    need the extra query, they are exact.
    """
    from agent_stack._queries.selection import Selection
    from agent_stack._screen import Screen
    from agent_stack._sources import sources_of

    places = sources_of(sources)
    selection = Selection(since, until, where)
    screen = Screen(color)
    if by:
        _by(places, by, selection, screen, as_json=as_json)
    else:
        _all(places, selection, screen, as_json=as_json)


def _all(places: Sequence[str], selection: Selection, screen: Screen, *, as_json: bool) -> None:
    from agent_stack._sources import runs_of
    from agent_stack._totals import totals_of

    damage: list[Damage] = []
    if selection.is_everything:
        totals = totals_of(runs_of(places, damage.append))
    else:
        from agent_stack._queries.asking import asking
        from agent_stack._queries.sums import totals_from

        with asking(places, where=selection.where) as logs:
            totals = totals_from(logs, selection)
            damage += logs.known_damage
    if as_json:
        shape = totals.to_dict()
        if not selection.is_everything:
            del shape["event_count"]  # events are no steps, and nobody counted them
        _print_json(screen, shape, damage)
        return
    from agent_stack._render.doubts import render_doubts
    from agent_stack._render.lines import Line
    from agent_stack._render.notes import render_damage
    from agent_stack._render.totals import render_totals

    if totals.run_count:
        screen.print(render_totals(totals, screen.width))
        summary = totals.summary
        doubts = list(render_doubts(impossible=summary.impossible_count, backwards=summary.backwards_count))
        has_notes = summary.unknown_usage_count or summary.bounded_count
        screen.print([Line(), *doubts] if doubts and not has_notes else doubts)
    else:
        _nothing(places, selection)
    screen.print(render_damage(damage))


def _by(
    places: Sequence[str], by: Sequence[str], selection: Selection, screen: Screen, *, as_json: bool
) -> None:
    from agent_stack._queries.asking import asking
    from agent_stack._queries.groups import groups_by

    with asking(places, where=selection.where) as logs:
        groups, total = groups_by(logs, by, selection)
        damage = logs.known_damage
    if as_json:
        shape = {"by": by, "groups": [group.to_dict(by) for group in groups], "total": total.to_dict(())}
        _print_json(screen, shape, damage)
        return
    from agent_stack._render.groups import render_groups
    from agent_stack._render.notes import render_damage

    if groups:
        screen.print(render_groups(by, groups, total, screen.width))
    else:
        _nothing(places, selection)
    screen.print(render_damage(damage))


def _print_json(screen: Screen, shape: dict[str, Any], damage: Sequence[Damage]) -> None:
    from agent_stack._facts import damage_dict
    from agent_stack._json import json_line

    screen.write(json_line({**shape, "damage": [damage_dict(each) for each in damage]}))


def _nothing(places: Sequence[str], selection: Selection) -> None:
    remark(f"No {'run' if selection.is_everything else 'such run'} in {', '.join(places)}.")
