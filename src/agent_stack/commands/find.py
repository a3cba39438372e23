"""``agent-step-log find``: where a text was said."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from time import time
from typing import TYPE_CHECKING

import click

from agent_stack._options import color_option, json_option, remark, sources_argument, time_options
from agent_stack.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from agent_stack._queries.texts import Hit, Text, Window
    from agent_stack._screen import Screen
    from agent_step_log import Damage

__all__ = ["command"]


@click.command(
    "find",
    short_help="Find a text in inputs, outputs, errors, prompts and answers.",
    epilog="""\b
Examples:
  agent-step-log find "disk full"
  agent-step-log find -i timeout logs --since 7d
  agent-step-log find --regex 'ticket-\\d{4}' --json | jq -r .run_id | sort -u
""",
)
@click.argument("text", metavar="TEXT")
@sources_argument
@click.option("-i", "--ignore-case", is_flag=True, help="Upper and lower case are the same.")
@click.option("--regex", is_flag=True, help="TEXT is an expression of Python's re.")
@time_options
@json_option
@color_option
def command(
    text: str,
    sources: tuple[str, ...],
    ignore_case: bool,
    regex: bool,
    since: float | None,
    until: float | None,
    as_json: bool,
    color: str,
) -> None:
    """Find TEXT in the steps, events and errors of SOURCE, and on the tapes beside it.

    One line for each field that holds it: step, name, field, and the words around. A prompt
    that was sent again with every request is shown where it was first sent.
    """
    from agent_stack._queries.texts import Text
    from agent_stack._screen import Screen
    from agent_stack._sources import sources_of

    try:
        wanted = Text(text, is_regex=regex, any_case=ignore_case)
    except ValueError as error:
        raise CommandError(f"{error}.") from None
    damage: list[Damage] = []
    places = sources_of(sources)
    hits = _hits(places, wanted, (since, until), damage)
    screen = Screen(color)
    if as_json:
        from agent_stack._json import json_line

        for hit in hits:
            screen.write(json_line(asdict(hit)))
    elif not _show(hits, screen):
        remark(f"{text!r} is nowhere in {', '.join(places)}.")
    from agent_stack._render.notes import render_damage

    for line in render_damage(damage):
        remark(str(line))


def _hits(places: Sequence[str], wanted: Text, window: Window, damage: list[Damage]) -> Iterator[Hit]:
    from agent_stack._queries.texts import find_in_logs, find_in_tapes
    from agent_stack._tapes import is_tape, tape_paths

    answered: set[tuple[str, int | None]] = set()
    for source in places:
        if not is_tape(source):
            for hit in find_in_logs(source, wanted, window, damage.append):
                if hit.type == "llm_call":
                    answered.add((hit.run_id, hit.step))
                yield hit
        paths: list[Path] = []
        with suppress(CommandError):  # a log that was moved aside as a whole is no path, and has no tape
            paths = tape_paths(source)
        for hit in find_in_tapes(paths, wanted, window, _remark_tape):
            # The answer of that call stands in the log too, and has been shown.
            if not (hit.where.startswith("response") and (hit.run_id, hit.step) in answered):
                yield hit


def _remark_tape(tape: str, offset: int, reason: str) -> None:
    remark(f"{tape}, from byte {offset:,}: {reason}.")


def _show(hits: Iterator[Hit], screen: Screen) -> int:
    """Print *hits* as they come; return how many."""
    from agent_stack._render.hits import render_hit, render_hits_end, render_hits_head

    now = time()
    runs: set[str] = set()
    count = 0
    above: str | None = None
    for hit in hits:
        count += 1
        if hit.run_id != above:
            screen.print([render_hits_head(hit, now=now)])
            above = hit.run_id
            runs.add(hit.run_id)
        screen.print([render_hit(hit, screen.width)])
    if count:
        screen.print([render_hits_end(count, len(runs))])
    return count
