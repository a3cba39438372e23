"""``agent-step-log compare``: is a new version slower, dearer or wrong more often, or is it chance?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agent_stack._options import color_option, json_option, sources_argument, time_options

if TYPE_CHECKING:
    from agent_step_log import Damage

__all__ = ["command"]

_BY = ("version", "task", "env", "agent", "day")


@click.command(
    "compare",
    short_help="Hold groups of runs against each other, chance included.",
    epilog="""\b
Examples:
  agent-step-log compare --by version
  agent-step-log compare --by version --base 1.4.0 --gate
  agent-step-log compare --by metadata.prompt --since 7d --json
""",
)
@sources_argument
@click.option(
    "--by",
    default="version",
    show_default=True,
    metavar="WHAT",
    help=f"What makes a group: {', '.join(_BY)}, or metadata.KEY.",
)
@click.option("--base", metavar="GROUP", help="The group to compare with. Default: the oldest.")
@click.option("--gate", is_flag=True, help="Exit with 1 when a figure is clearly worse.")
@time_options
@json_option
@color_option
def command(
    sources: tuple[str, ...],
    by: str,
    base: str | None,
    gate: bool,
    since: float | None,
    until: float | None,
    as_json: bool,
    color: str,
) -> int:
    """Compare groups of runs of SOURCE by failures, time, tokens, cost and steps.

    Each difference comes with its 95 % interval; what that leaves open is called no clear
    change, and below five runs on a side nothing is claimed. Runs still going are left out.
    """
    from agent_debug_replay import compare_groups
    from agent_stack._samples import samples_of
    from agent_stack._screen import Screen
    from agent_stack._sources import runs_of, sources_of

    if by not in _BY and not by.removeprefix("metadata.") != by:
        raise click.BadParameter(f"{by!r} is not one of {', '.join(_BY)} or metadata.KEY.", param_hint="--by")
    damage: list[Damage] = []
    places = sources_of(sources)
    samples, unnamed = samples_of(runs_of(places, damage.append), places, by, since, until)
    groups = {sample.group for sample in samples}
    if base is not None and base not in groups:
        known = ", ".join(sorted(groups)) or "none"
        raise click.BadParameter(f"no run has the {by} {base!r}; there is: {known}.", param_hint="--base")
    contrasts = compare_groups(samples, base=base)
    screen = Screen(color)
    if as_json:
        from agent_stack._json import json_line
        from agent_stack._render.contrasts import contrast_dict

        screen.write(
            json_line({"by": by, "unnamed": unnamed, "groups": [contrast_dict(c) for c in contrasts]})
        )
    else:
        from agent_stack._render.contrasts import render_contrasts
        from agent_stack._render.lines import Line
        from agent_stack._render.notes import render_damage

        if not contrasts:
            what = f"all of {by} {next(iter(groups))!r}" if groups else "none that tells"
            screen.print([Line(f"There is nothing to compare: of {len(samples) + unnamed} runs, {what}.")])
        screen.print(render_contrasts(contrasts, by, unnamed, screen.width))
        screen.print(render_damage(damage))
    return int(gate and any(contrast.is_worse for contrast in contrasts))
