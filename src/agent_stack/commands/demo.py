"""``agent-step-log demo``: three runs to look at, on any machine."""

from __future__ import annotations

from pathlib import Path

import click

from agent_stack._options import color_option

__all__ = ["command"]


@click.command(
    "demo",
    short_help="Record, kill and import a run, and look at them.",
    epilog="""\b
Examples:
  agent-step-log demo
  agent-step-log demo --into /tmp/demo
""",
)
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-logs"),
    show_default=True,
    metavar="DIR",
    help="Where the logs go.",
)
@color_option
def command(into: Path, color: str) -> None:
    """Show what this is: needs no key, no network, and a few seconds.

    An agent works with real tools and recovers from errors; another is killed while its tool
    runs; a real Claude Code session is imported. Then the three are read back.
    """
    from agent_stack._demo.story import tell
    from agent_stack._screen import Screen

    tell(Screen(color), into)
