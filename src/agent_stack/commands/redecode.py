"""``agent-step-log redecode``: the steps of a tape, by today's decoders."""

from __future__ import annotations

import os
from pathlib import Path

import click

from agent_stack._options import json_option, remark
from agent_stack.errors import CommandError

__all__ = ["command"]


@click.command(
    "redecode",
    short_help="Make a step log of a tape.",
    epilog="""\b
Examples:
  agent-step-log redecode run.1a2b3c4d.tape.zst -o run.jsonl
  agent-step-log redecode run.1a2b3c4d.tape.zst | jq .type
""",
)
@click.argument("tape", type=click.Path())
@click.option("-o", "--output", type=click.Path(), metavar="OUT", help="The new log. Default: stdout.")
@click.option("--replace", is_flag=True, help="Replace OUT if it exists.")
@json_option
def command(tape: str, output: str | None, replace: bool, as_json: bool) -> None:
    """Decode the exchanges of TAPE anew, and write the steps they are as a step log.

    For a tape of an API that was not known when it was recorded, or of a tap that had no log.
    TAPE itself is only read. With -o, --json prints what came of it.
    """
    from dataclasses import asdict

    from agent_stack._json import json_line
    from agent_stack._redecode import Redecoded, records_of
    from agent_stack._screen import Screen
    from agenttap import Tape

    if as_json and output is None:
        raise CommandError("--json needs -o: without it, the log itself is what is printed.")
    opened = Tape(tape)
    told = Redecoded()
    screen = Screen("never")
    if output is None:
        for record in records_of(opened, told):
            screen.write(json_line(record))
    else:
        _write(Path(output), (json_line(record) for record in records_of(opened, told)), replace=replace)
    for each in opened.damage:
        remark(f"{tape}, from byte {each.offset:,}: {each.reason}.")
    if as_json:
        screen.write(json_line({"output": output, **asdict(told)}))
    elif output is not None:
        from agent_stack._render.figures import many

        calls = f"{many(told.llm_calls, 'model call')} and {many(told.tool_calls, 'tool call')}"
        newly = f", {told.recognised:,} newly recognised" if told.recognised else ""
        click.echo(f"{many(told.exchanges, 'exchange')}{newly}: {calls}.")


def _write(path: Path, lines: object, *, replace: bool) -> None:
    """Write the log whole or not at all, for nobody else to read."""
    if path.exists() and not replace:
        raise CommandError(f"{path} exists: give another name, or --replace.")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            for line in lines:  # type: ignore[attr-defined]
                file.write(line + "\n")
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
