"""``agent-step-log sql``: any question, in SQL."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from agent_stack._options import color_option, remark, sources_argument
from agent_stack.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

    from agent_stack._screen import Screen
    from agent_step_log.query import Result

__all__ = ["command"]

_FORMATS = ["table", "json", "csv", "parquet", "markdown"]
_BY_ENDING = {".json": "json", ".jsonl": "json", ".csv": "csv", ".parquet": "parquet", ".md": "markdown"}
_MOST = 200  # rows of a table, which is for eyes and is laid out as a whole


@click.command(
    "sql",
    short_help="Ask anything of the logs, in SQL.",
    epilog="""\b
Examples:
  agent-step-log sql "SELECT model, sum(output_tokens) FROM llm_calls GROUP BY ALL"
  agent-step-log sql "SHOW TABLES"
  agent-step-log sql "DESCRIBE steps"
  agent-step-log sql "FROM runs WHERE status = 'error'" --format csv
  agent-step-log sql "FROM steps" logs/2026-05 -o may.parquet
  agent-step-log sql - < question.sql
""",
)
@click.argument("query", metavar="QUERY")
@sources_argument
@click.option(
    "--format",
    "form",
    type=click.Choice(_FORMATS),
    help="What the rows become. Default: by the ending of FILE, else table. json is an object a line.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "-o", "--output", type=click.Path(), metavar="FILE", help="Write to FILE, readable by you alone."
)
@click.option("--replace", is_flag=True, help="Replace FILE if it exists.")
@click.option("--all", "all_rows", is_flag=True, help=f"All rows of a table, not only the first {_MOST}.")
@click.option(
    "--outside",
    is_flag=True,
    help="Let QUERY read and write files, load extensions and use the network.",
)
@color_option
def command(
    query: str,
    sources: tuple[str, ...],
    form: str | None,
    as_json: bool,
    output: str | None,
    replace: bool,
    all_rows: bool,
    outside: bool,
    color: str,
) -> None:
    """Answer QUERY, a SELECT in DuckDB's SQL over SOURCE; - reads it from stdin.

    The views are runs, steps, llm_calls, tool_calls, agent_calls, events, errors and records: "DESCRIBE
    steps" shows the columns of one. QUERY sees the logs and nothing else, and changes nothing.
    """
    from agent_stack._queries.asking import asking
    from agent_stack._screen import Screen
    from agent_stack._sources import sources_of

    form = _form(form, as_json=as_json, output=output)
    text = _typed(query)
    with asking(sources_of(sources), outside=outside) as logs:
        result = logs.sql(text)
        if output is None:
            screen = Screen(color)
            _print(result, form, screen, most=None if all_rows else _MOST)
        else:
            _save(result, form, output, replace=replace)
        from agent_stack._render.notes import render_damage

        for line in render_damage(logs.known_damage):
            remark(str(line))


def _form(form: str | None, *, as_json: bool, output: str | None) -> str:
    from pathlib import PurePath

    if as_json:
        if form not in (None, "json"):
            raise CommandError(f"--json and --format {form} are two forms: give one of them.")
        return "json"
    if form is None and output is not None:
        form = _BY_ENDING.get(PurePath(output).suffix.lower())
    form = form or "table"
    if form == "parquet" and output is None:
        raise CommandError("Parquet is a file: name one with -o FILE.")
    return form


def _typed(query: str) -> str:
    """Return the SQL; of stdin as a whole for "-"."""
    text = sys.stdin.read() if query == "-" else query
    if not text.strip():
        raise CommandError("There is no query: give SQL, or - to read it from stdin.")
    return text


def _print(result: Result, form: str, screen: Screen, *, most: int | None) -> None:
    if form == "table":
        _table(result, screen, most)
        return
    for line in _lines(result, form, is_terminal=screen.is_terminal):
        screen.write(line)


def _table(result: Result, screen: Screen, most: int | None) -> None:
    from itertools import islice

    from agent_stack._render.figures import many
    from agent_stack._render.grid import render_grid
    from agent_stack._render.lines import Line

    rows = iter(result)
    shown = list(islice(rows, most))
    more = sum(1 for _ in rows)
    screen.print(render_grid(result.columns, shown, screen.width))
    if more:
        text = f"… {many(more, 'more row')} (--all, or --format csv)"
        screen.print([Line(text, "note")])
    elif not shown:
        screen.print([Line("no rows", "dim")])


def _lines(result: Result, form: str, *, is_terminal: bool) -> Iterator[str]:
    from agent_stack._render.exports import csv_lines, json_lines, markdown_lines

    if form == "csv":
        return csv_lines(result.columns, result, is_terminal=is_terminal)
    if form == "markdown":
        return markdown_lines(result.columns, result)
    nested = [place for place, kind in enumerate(result.types) if kind == "JSON"]
    return json_lines(_distinct(result.columns), nested, result)


def _distinct(columns: tuple[str, ...]) -> list[str]:
    """Return *columns*, a name that comes again with a number behind it: an object has each key once."""
    names: list[str] = []
    for column in columns:
        name, number = column, 1
        while name in names:
            name, number = f"{column}_{number}", number + 1
        names.append(name)
    return names


def _save(result: Result, form: str, output: str, *, replace: bool) -> None:
    """Write the rows to *output*: all of them, or nothing. Rows hold prompts, so the file is its owner's."""
    import os
    from contextlib import suppress
    from pathlib import Path

    place = Path(output)
    if place.exists() and not replace:
        raise CommandError(f"{output} exists: --replace replaces it.")
    beside = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            _write(result, form, file)
        beside.replace(place)
    except OSError as error:
        if error.filename is None:  # as a full disk has it
            error.filename = output
        raise
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()


def _write(result: Result, form: str, file: IO[bytes]) -> None:
    if form == "parquet":
        table = result.arrow()
        from pyarrow.parquet import write_table

        write_table(table, file, compression="zstd")
        return
    if form == "table":
        from agent_stack._render.grid import render_grid
        from agent_stack._screen import PIPE_WIDTH

        lines: Iterator[str] = map(str, render_grid(result.columns, result.rows(), PIPE_WIDTH))
    else:
        lines = _lines(result, form, is_terminal=False)
    for line in lines:
        file.write(line.encode("utf-8", "backslashreplace") + b"\n")
