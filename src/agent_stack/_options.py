"""Arguments and options that several commands share."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

import click

from agent_stack import _safe

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.shell_completion import CompletionItem

__all__ = [
    "SOURCE_HELP",
    "color_option",
    "complete_run",
    "json_option",
    "remark",
    "source_argument",
    "sources_argument",
    "time_options",
    "where_option",
]

Command = TypeVar("Command", bound="Callable[..., Any]")

SOURCE_HELP = "SOURCE is a log, a directory of logs, or a pattern; default: $AGENT_STEP_LOG_DIR, else ./logs."


def color_option(command: Command) -> Command:
    """Add ``--color``."""
    return click.option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        help="Colours. auto: on a terminal, unless NO_COLOR is set.",
    )(command)


def json_option(command: Command) -> Command:
    """Add ``--json``."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print JSON for other programs (docs/cli.md)."
    )(command)


def source_argument(command: Command) -> Command:
    """Add one optional SOURCE."""
    return click.argument("source", required=False, type=click.Path())(command)


def sources_argument(command: Command) -> Command:
    """Add any number of SOURCEs, as a shell makes of a pattern."""
    return click.argument("sources", metavar="[SOURCE]...", nargs=-1, type=click.Path())(command)


def _moment(text: str | None, *, is_end: bool) -> float | None:
    from time import time

    from agent_stack._when import parse_when

    try:
        return None if text is None else parse_when(text, now=time(), is_end=is_end)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None


def time_options(command: Command) -> Command:
    """Add ``--since`` and ``--until``: Unix seconds, or None."""
    until = click.option(
        "--until",
        metavar="WHEN",
        callback=lambda _context, _parameter, text: _moment(text, is_end=True),
        help="Up to then; of a day, its end.",
    )
    since = click.option(
        "--since",
        metavar="WHEN",
        callback=lambda _context, _parameter, text: _moment(text, is_end=False),
        help="From then on: 2026-05-01, 2026-05-01T12:30, 7d, 36h, 90m, today, yesterday.",
    )
    return since(until(command))


def where_option(command: Command) -> Command:
    """Add ``--where``: a condition of SQL, or None."""
    return click.option(
        "--where",
        metavar="SQL",
        help="Only steps this holds of, in SQL: columns of steps, and run.COLUMN for those of its run.",
    )(command)


def complete_run(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer the runs of the source named so far to the shell; nothing when it cannot be read."""
    from contextlib import suppress

    from click.shell_completion import CompletionItem

    from agent_stack._render.notes import short_ids
    from agent_stack._sources import default_source

    with suppress(Exception):
        from agent_step_log import list_runs

        infos = list_runs(context.params.get("source") or default_source())
        names = short_ids([info.run_id for info in infos])
        return [
            CompletionItem(_safe.line(name), help=_safe.line(info.header.agent or "") if info.header else "")
            for info, name in zip(infos, names.values(), strict=True)
            if name.startswith(incomplete)
        ]
    return []


def remark(sentence: str) -> None:
    """Say something beside the output, on stderr."""
    print(_safe.line(sentence), file=sys.stderr)  # noqa: T201
