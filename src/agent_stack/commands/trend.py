"""``agent-step-log trend``: runs, failures, latency, tokens and cost over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agent_stack._options import color_option, json_option, remark, sources_argument, time_options

if TYPE_CHECKING:
    from decimal import Decimal

    from agent_stack._run_trend import Trend
    from agent_stack._screen import Screen
    from agent_step_log import Damage
    from agentsnap import Amount

__all__ = ["command"]

_METRICS = ["runs", "failures", "latency", "tokens", "cost"]


@click.command(
    "trend",
    short_help="Show runs, failures, latency, tokens and cost over time.",
    epilog="""\b
Examples:
  agent-step-log trend
  agent-step-log trend --metric cost --since 30d
  agent-step-log trend --metric failures --by version
  agent-step-log trend --per hour --since today --json
""",
)
@sources_argument
@click.option(
    "--per", type=click.Choice(["hour", "day", "week"]), default="day", show_default=True, help="A bucket."
)
@click.option("--metric", type=click.Choice(_METRICS), help="Only this one, a bar a bucket. Default: all.")
@click.option(
    "--by", type=click.Choice(["version", "task", "env", "agent"]), help="A line for each, on one scale."
)
@time_options
@json_option
@color_option
def command(
    sources: tuple[str, ...],
    per: str,
    metric: str | None,
    by: str | None,
    since: float | None,
    until: float | None,
    as_json: bool,
    color: str,
) -> None:
    """Show how the runs of SOURCE went over time.

    A run counts where it began. · is a bucket without a run, ? a figure nobody told,
    and ≥ a lower bound. Failures are a share of the runs that are over.
    """
    from agent_stack._facts import facts_of
    from agent_stack._run_trend import trend_of
    from agent_stack._screen import Screen
    from agent_stack._sources import runs_of, sources_of

    damage: list[Damage] = []
    places = sources_of(sources)
    runs = [facts_of(info) for info in runs_of(places, damage.append)]
    runs = [
        run
        for run in runs
        if (since is None or (run.started or 0.0) >= since)
        and (until is None or (run.started or 0.0) < until)
    ]
    trend = trend_of(runs, per, by, _costs(places) if metric in (None, "cost") else {})
    screen = Screen(color)
    if as_json:
        _print_json(screen, trend, metric)
    elif not trend.series:
        remark(f"No {'such ' if since is not None or until is not None else ''}run in {', '.join(places)}.")
    else:
        from agent_stack._render.trend import render_bars, render_sparks

        if metric is not None and by is None:
            screen.print(render_bars(trend, metric, screen.width))
        else:
            screen.print(render_sparks(trend, [metric] if metric else None, screen.width))
    from agent_stack._render.notes import render_damage

    if as_json:
        for line in render_damage(damage):
            remark(str(line))
    else:
        screen.print(render_damage(damage))


def _costs(places: list[str]) -> dict[str, Amount[Decimal]]:
    from agent_stack._run_groups import costs_of
    from agent_step_log.errors import MissingExtraError

    try:
        return costs_of(places)
    except MissingExtraError as error:
        # The rest is worth seeing without prices.
        remark(f"No cost: {error}")
        return {}


def _print_json(screen: Screen, trend: Trend, metric: str | None) -> None:
    from agent_stack._json import json_line

    has_cost = metric in (None, "cost")
    for series in trend.series:
        for bucket in series.buckets:
            told = bucket.tally.to_dict(has_cost=has_cost) if bucket.tally is not None else {"runs": 0}
            group = {"group": series.key} if trend.by is not None else {}
            screen.write(json_line({"per": trend.per, "start": bucket.start, **group, **told}))
