"""The command line as a tree of commands; what can go wrong becomes one sentence and an exit status.

    0     done
    1     verify found errors, scan found secrets
    2     something the caller can mend: one sentence on stderr
    130   Ctrl-C
    141   whoever read the output has gone (`... | head`)

A traceback is a bug of ours.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

import click

from agent_stack import _safe
from agent_stack._summaries import SUMMARIES
from agent_stack.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["COMPLETE_VARIABLE", "PROGRAM", "Commands", "cli", "run"]

PROGRAM = "agent-step-log"

#: Set by the scripts of `completion` when a shell asks for completions.
COMPLETE_VARIABLE = "_AGENT_STEP_LOG_COMPLETE"

#: The commands in the order help shows them, and the module of each in `commands`.
COMMANDS = {
    "demo": "demo",
    "ls": "ls",
    "show": "show",
    "tail": "tail",
    "stats": "stats",
    "cost": "cost",
    "slow": "slow",
    "errors": "errors",
    "truncated": "truncated",
    "find": "find",
    "sql": "sql",
    "replay": "replay",
    "diff": "diff",
    "compare": "compare",
    "trend": "trend",
    "failures": "failures",
    "wire": "wire",
    "scan": "scan",
    "redecode": "redecode",
    "import": "import_",
    "compact": "compact",
    "verify": "verify",
    "repair": "repair",
    "completion": "completion",
}


class Commands(click.Group):
    """The group; a command's module is imported when it is asked for."""

    names: Iterable[str] = tuple(COMMANDS)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's own signature
        return list(self.names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in self.names:
            return None
        command: click.Command = import_module(f"agent_stack.commands.{COMMANDS[cmd_name]}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, SUMMARIES.get(name) or self._summary(ctx, name)) for name in self.names]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def _summary(self, ctx: click.Context, name: str) -> str:
        command = self.get_command(ctx, name)
        return command.get_short_help_str() if command is not None else ""


def _print_version(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from agent_step_log import FORMAT_VERSION, __version__

    click.echo(f"agent-step-log {__version__} (log format {FORMAT_VERSION}, Python {sys.version.split()[0]})")
    ctx.exit()


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  agent-step-log demo                    record, kill and import something to look at
  agent-step-log ls                      the runs in ./logs
  agent-step-log show                    the last run as a tree
  agent-step-log show logs 3f9a1c2b      that run, by the end of its id
  agent-step-log tail -f                 every step as it happens
  agent-step-log wire                    what was sent to the model, and what came back
  agent-step-log import claude-code      what Claude Code left on this machine
""",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version.",
)
@click.pass_context
def cli(context: click.Context) -> None:
    """The flight recorder for AI agents: read what your agents did.

    Every reading command takes a SOURCE: a log (.jsonl, .jsonl.gz, .jsonl.zst), a directory
    of logs, or a quoted pattern. Without one it reads $AGENT_STEP_LOG_DIR, else ./logs.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def run(arguments: list[str] | None = None, group: click.Group | None = None, program: str = PROGRAM) -> int:
    """Run one command line and return its exit status. Never raises what a person can mend.

    Args:
        arguments: Default: those of the process.
        group: The commands. Default: all of them.
        program: What messages call the program.
    """
    try:
        result = _invoke(sys.argv[1:] if arguments is None else arguments, group or cli, program)
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
        return 141
    except KeyboardInterrupt:
        return 130
    except click.UsageError as error:
        return _fail(program, _usage(error, program))
    except click.ClickException as error:
        return _fail(program, error.format_message())
    except CommandError as error:
        return _fail(program, str(error), error.exit_code)
    except Exception as error:
        sentence = _sentence(error)
        if sentence is None:
            raise
        _flush_or_drop_output()
        return _fail(program, sentence)
    return result


def _flush_or_drop_output() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        _drop_output()


def _drop_output() -> None:
    """Send what stdout still holds nowhere: Python flushes it once more at exit, and would complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _invoke(arguments: list[str], group: click.Group, program: str) -> int:
    """Do what `click.Command.main` does, but leave every exception to `run`."""
    instruction = os.environ.get(COMPLETE_VARIABLE)
    if instruction:
        from click.shell_completion import shell_complete

        return shell_complete(group, {}, program, COMPLETE_VARIABLE, instruction)
    try:
        with group.make_context(program, list(arguments)) as context:
            result = group.invoke(context)
    except click.exceptions.Exit as ending:
        return ending.exit_code
    return result if isinstance(result, int) else 0


def _usage(error: click.UsageError, program: str) -> str:
    path = error.ctx.command_path if error.ctx is not None else program
    message = " ".join(error.format_message().split())
    return f"{message} See {path} --help."


def _sentence(error: Exception) -> str | None:
    """Return what to tell a person about *error*; None when it is a bug of ours."""
    from agent_step_log.errors import StepLogError

    if isinstance(error, StepLogError):
        return str(error)
    # A tape's errors can only come from where the tap has been imported.
    tap_errors = sys.modules.get("agenttap.errors")
    if tap_errors is not None and isinstance(error, tap_errors.TapError):
        return str(error)
    if isinstance(error, OSError):
        why = error.strerror or type(error).__name__
        return f"{os.fspath(error.filename)}: {why}." if error.filename is not None else f"{why}."
    return None


def _fail(program: str, sentence: str, exit_code: int = 2) -> int:
    print(f"{program}: {_safe.line(sentence)}", file=sys.stderr)  # noqa: T201
    return exit_code
