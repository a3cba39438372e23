"""``agent-step-log tail``: the last records, and every new one as it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agent_stack._options import color_option, json_option, remark, source_argument
from agent_stack.errors import CommandError

if TYPE_CHECKING:
    from agent_step_log import Damage, Record

__all__ = ["command"]


@click.command(
    "tail",
    short_help="Print the last records, and follow.",
    epilog="""\b
Examples:
  agent-step-log tail -f                     all runs in ./logs, those yet to start too
  agent-step-log tail -f -n 0 run.jsonl      only what is new
  agent-step-log tail -n 100 --json run.jsonl | jq 'select(.error)'
""",
)
@source_argument
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written, until Ctrl-C.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    metavar="N",
    help="The last N records first.",
)
@click.option("--run", metavar="RUN", help="Only this run: an id, or the beginning or end of one.")
@json_option
@color_option
def command(source: str | None, follow: bool, lines: int, run: str | None, as_json: bool, color: str) -> None:
    """Print the last records of SOURCE, one line each; with -f, every new one as it is written.

    A directory is followed as a whole: logs that appear later are picked up. A log that is
    rotated or replaced is followed on.
    """
    from agent_stack._screen import Screen
    from agent_stack._sources import source_of
    from agent_stack._tail import Tail

    place = source_of(source)
    if follow and place.endswith((".gz", ".zst")):
        raise CommandError(f"{place} is compressed and will not grow; leave -f out.")
    screen = Screen(color)
    damage: list[Damage] = []
    tail = Tail(place, run=run, on_damage=damage.append)
    try:
        if follow and tail.is_waiting:
            remark(f"No log in {place} yet; waiting for one.")
        else:
            for record in tail.last(lines):
                _print(record, screen, as_json=as_json)
        if follow:
            screen.flush()
            for record in tail.follow():
                _print(record, screen, as_json=as_json)
                screen.flush()
    except KeyboardInterrupt:
        raise click.exceptions.Exit(130) from None
    finally:
        tail.stop()
    _remark(damage, place)


def _print(record: Record, screen: object, *, as_json: bool) -> None:
    from agent_stack._json import record_json
    from agent_stack._render.record_line import render_record
    from agent_stack._screen import Screen

    assert isinstance(screen, Screen)
    if as_json:
        screen.write(record_json(record))
    else:
        screen.print([render_record(record, screen.width)])


def _remark(damage: list[Damage], place: str) -> None:
    from agent_stack._render.notes import render_damage

    for line in render_damage(damage, hint=f"agent-step-log verify {place}"):
        remark(str(line))
