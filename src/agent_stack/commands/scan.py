"""``agent-step-log scan``: are there secrets in what has been written already?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agent_stack._options import color_option, json_option, remark, sources_argument

if TYPE_CHECKING:
    from agenttap import Unread

__all__ = ["command"]


@click.command(
    "scan",
    short_help="Look for secrets in logs and tapes.",
    epilog="""\b
Examples:
  agent-step-log scan
  agent-step-log scan logs run.jsonl && echo clean
  agent-step-log scan logs --deep --json
""",
)
@sources_argument
@click.option("--deep", is_flag=True, help="With more patterns, some of them guesses; several times slower.")
@json_option
@color_option
def command(sources: tuple[str, ...], deep: bool, as_json: bool, color: str) -> int:
    """Look for secrets in the logs and tapes at SOURCE; what is found is named, never shown.

    Exits 1 when there are any, 0 when there are none, 2 when something could not be read.
    """
    from agent_stack._json import json_line
    from agent_stack._screen import Screen
    from agent_stack._sources import sources_of
    from agenttap import Scan

    screen = Screen(color)
    files = lines = found = 0
    unread: list[Unread] = []
    findings = []
    for source in sources_of(sources):
        scan = Scan(source, deep=deep)
        for finding in scan:
            found += 1
            if as_json:
                findings.append(finding._asdict())
            else:
                from agent_stack._render.wire_scan import render_finding

                screen.print(render_finding(finding))
        files, lines, unread = files + scan.files, lines + scan.lines, unread + scan.unread
    if as_json:
        shape = {"files": files, "lines": lines, "findings": findings}
        screen.write(json_line({**shape, "unread": [each._asdict() for each in unread]}))
    else:
        from agent_stack._render.wire_scan import render_scan_end

        screen.print(render_scan_end(files, lines, found))
    for each in unread:
        place = f", from line {each.line:,}" if each.line else ""
        remark(f"{each.path}{place}: {each.reason}.")
    if found:
        return 1
    # What is no JSON was searched all the same.
    return 2 if any(not each.reason.endswith("searched as text") for each in unread) else 0
