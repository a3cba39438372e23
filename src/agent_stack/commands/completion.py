"""``agent-step-log completion``: the script that makes a shell complete our commands."""

from __future__ import annotations

import click

from agent_stack.errors import CommandError

__all__ = ["command"]


@click.command(
    "completion",
    short_help="Print the completion script of a shell.",
    epilog="""\b
Install:
  bash   agent-step-log completion bash >> ~/.bash_completion
  zsh    agent-step-log completion zsh > "${fpath[1]}/_agent-step-log"
  fish   agent-step-log completion fish > ~/.config/fish/completions/agent-step-log.fish
""",
)
@click.argument("shell", metavar="bash|zsh|fish", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print a script that completes commands, options, paths and run ids in your shell."""
    from click.shell_completion import get_completion_class

    from agent_stack._cli import COMPLETE_VARIABLE, PROGRAM, cli

    completer = get_completion_class(shell)
    if completer is None:
        raise CommandError(f"This version of click has no completion for {shell}.")
    # Not `source`, which for bash starts one to ask its version.
    script = completer(cli, {}, PROGRAM, COMPLETE_VARIABLE)
    click.echo(script.source_template % script.source_vars())
