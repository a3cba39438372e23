"""``agent-step-log compact``: logs made into an archive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agent_stack._options import color_option, json_option, sources_argument

if TYPE_CHECKING:
    from agent_step_log import Damage

__all__ = ["command"]


@click.command(
    "compact",
    short_help="Write logs into an archive, in Parquet.",
    epilog="""\b
Examples:
  agent-step-log compact logs/2026-05 -o archive/2026-05
  agent-step-log stats archive/2026-05 --by model
""",
)
@sources_argument
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(),
    metavar="DIR",
    help="The archive: a directory that does not exist yet, or is empty.",
)
@json_option
@color_option
def command(sources: tuple[str, ...], output: str, as_json: bool, color: str) -> None:
    """Write the records of SOURCE into DIR, as Parquet: a fraction of the size, and faster to ask.

    sql, stats --by, slow, errors and truncated read it as they read logs. What was written is read back and
    compared. The logs stay as they are.
    """
    from agent_stack._json import json_line
    from agent_stack._render.notes import render_damage
    from agent_stack._render.reports import render_compact
    from agent_stack._screen import Screen
    from agent_stack._sources import sources_of
    from agent_step_log.query import compact

    damage: list[Damage] = []
    made = compact(sources_of(sources), output, on_damage=damage.append)
    screen = Screen(color)
    if as_json:
        from agent_stack._facts import damage_dict

        screen.write(
            json_line(
                {
                    "output": output,
                    "records": made.records,
                    "log_bytes": made.log_bytes,
                    "archive_bytes": made.archive_bytes,
                    "files": [str(path) for path in made.files],
                    "damage": [damage_dict(each) for each in damage],
                }
            )
        )
        return
    screen.print(render_compact(made, output))
    screen.print(render_damage(damage))
