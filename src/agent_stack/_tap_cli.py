"""``agenttap``: the commands of the front door that read tapes, under the tap's own name."""

from __future__ import annotations

import click

from agent_stack import _cli

__all__ = ["cli", "run"]

PROGRAM = "agenttap"


class _TapCommands(_cli.Commands):
    names = ("wire", "scan", "redecode")


@click.group(
    cls=_TapCommands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  agenttap wire                          the exchanges of the last run in ./logs
  agenttap wire --diff 3 4               what changed between two requests
  agenttap scan logs                     are there secrets in what was written?
""",
)
@click.pass_context
def cli(context: click.Context) -> None:
    """What crossed the wire: read the tapes that agenttap has written."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def run(arguments: list[str] | None = None) -> int:
    """Run one command line and return its exit status; see `_cli.run`."""
    return _cli.run(arguments, cli, PROGRAM)
