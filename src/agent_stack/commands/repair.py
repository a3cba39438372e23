"""``agent-step-log repair``: a clean copy of a damaged log."""

from __future__ import annotations

import click

from agent_stack._options import color_option, json_option

__all__ = ["command"]


@click.command(
    "repair",
    short_help="Write a clean copy of a damaged log.",
    epilog="""\b
Examples:
  agent-step-log repair run.jsonl --dry-run
  agent-step-log repair run.jsonl -o clean.jsonl
""",
)
@click.argument("log", type=click.Path())
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    metavar="OUT",
    help="The copy. Default: LOG.repaired, which `ls` of its directory passes over.",
)
@click.option("--dry-run", is_flag=True, help="Only tell what would be dropped.")
@click.option("--replace", is_flag=True, help="Replace OUT if it exists.")
@json_option
@color_option
def command(log: str, output: str | None, dry_run: bool, replace: bool, as_json: bool, color: str) -> None:
    """Copy every whole record of LOG, byte for byte, and say what was dropped: where, how much, why.

    LOG itself is never changed. To use the copy in its place, move it there yourself.
    """
    from agent_stack._facts import damage_dict
    from agent_stack._json import json_line
    from agent_stack._screen import Screen
    from agent_step_log import repair

    report = repair(log, None if dry_run else output or f"{log}.repaired", replace=replace)
    screen = Screen(color)
    if as_json:
        dropped = [damage_dict(damage) for damage in report.dropped]
        copy = None if report.output is None else str(report.output)
        screen.write(
            json_line(
                {
                    "output": copy,
                    "kept": report.kept,
                    "dropped_bytes": report.dropped_bytes,
                    "dropped": dropped,
                }
            )
        )
        return
    from agent_stack._render.reports import render_repair

    screen.print(render_repair(report, log, dry_run=dry_run))
