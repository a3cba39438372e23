"""``agent-step-log stats``: what all the runs came to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agent_stack._options import color_option, json_option, remark, sources_argument

if TYPE_CHECKING:
    from agent_step_log import Damage

__all__ = ["command"]


@click.command(
    "stats",
    short_help="Add up steps, tokens, errors and latencies.",
    epilog="""\b
Examples:
  agent-step-log stats
  agent-step-log stats 'logs/2026-05-*.jsonl'
  agent-step-log stats --json | jq '.tools | map_values(.p95_ms)'
""",
)
@sources_argument
@json_option
@color_option
def command(sources: tuple[str, ...], as_json: bool, color: str) -> None:
    """Add up all runs of SOURCE: status, steps, tokens, errors, stop reasons, latencies.

    A sum that misses what some call did not tell is marked ≥; what nobody told is ?.
    Quantiles are within 1 % of a true sample.
    """
    from agent_stack._facts import damage_dict
    from agent_stack._json import json_line
    from agent_stack._screen import Screen
    from agent_stack._sources import runs_of, sources_of
    from agent_stack._totals import totals_of

    damage: list[Damage] = []
    places = sources_of(sources)
    totals = totals_of(runs_of(places, damage.append))
    screen = Screen(color)
    if as_json:
        screen.write(json_line({**totals.to_dict(), "damage": [damage_dict(each) for each in damage]}))
        return
    from agent_stack._render.notes import render_damage
    from agent_stack._render.totals import render_totals

    if totals.run_count:
        screen.print(render_totals(totals, screen.width))
    else:
        remark(f"No run in {', '.join(places)}.")
    screen.print(render_damage(damage))
