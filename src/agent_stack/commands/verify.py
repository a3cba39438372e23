"""``agent-step-log verify``: is every record there, and are the bytes whole?"""

from __future__ import annotations

from dataclasses import asdict

import click

from agent_stack._options import color_option, json_option, sources_argument

__all__ = ["command"]


@click.command(
    "verify",
    short_help="Check logs for damage, gaps and duplicates.",
    epilog="""\b
Examples:
  agent-step-log verify
  agent-step-log verify run.jsonl && echo whole
""",
)
@sources_argument
@json_option
@color_option
def command(sources: tuple[str, ...], as_json: bool, color: str) -> int:
    """Check SOURCE: damaged bytes, missing and repeated numbers, impossible figures, unfinished work.

    Exits 0 when everything is whole and 1 when there are errors. What a killed process
    explains by itself, such as a step in flight, is a note and no error.
    """
    from agent_stack._json import json_line
    from agent_stack._screen import Screen
    from agent_stack._sources import sources_of
    from agent_step_log import VerifyReport, verify

    report = VerifyReport()
    for source in sources_of(sources):
        found = verify(source)
        report.records += found.records
        report.runs += found.runs
        report.problems += found.problems
    report.problems.sort(key=lambda problem: not problem.is_error)
    screen = Screen(color)
    if as_json:
        screen.write(json_line({"ok": report.ok, **asdict(report)}))
    else:
        from agent_stack._render.reports import render_verify

        screen.print(render_verify(report))
    return 0 if report.ok else 1
