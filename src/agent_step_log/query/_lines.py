"""The lines of the files, as the views stand on them.

    inside.lines        one row to a line: names as VARCHAR, the rest as raw JSON; only the keys named
    inside.is_run_id    of a row of it: whether `run_id` is a string
    inside.is_type      and whether `type` is one
    inside.typed        its columns, with names of the wrong type left out (`NAMES`)

The engine reads a name as text several times as fast as it gives it back as JSON. But then a string looks
like the number or the list that is written with the same characters, and those are no names. So as long
as nothing looks like that, names are read as text. What does ends the query (`Need.EXACT`), and from then on
every key is read as JSON, which tells them apart.
"""

# ruff: noqa: S608  Its SQL is made of names of its own.

from __future__ import annotations

import re
from enum import StrEnum

from agent_step_log.query._columns import KEYS, NAMES, typed_json

__all__ = ["IS_RUN_ID", "IS_TYPE", "LINES", "TYPED", "Need", "is_plain_text", "missing", "with_lines"]

# As SQL has them before `with_lines`.
LINES = "inside.lines"
TYPED = "inside.typed"
IS_RUN_ID, IS_TYPE = "inside.is_run_id", "inside.is_type"

_HEADS = ("run_id", "type")  # no record without these strings
_QUOTED = re.compile(r'"(\w+)"')


class Need(StrEnum):
    """What a query met that has not been made ready, as the text of the error that says so."""

    OPEN = "agent-step-log needs the steps in flight"
    HEADERS = "agent-step-log needs the headers of runs"
    MACHINE = "agent-step-log needs the processes of this machine"
    LATER_FORMAT = "agent-step-log found a later format"
    EXACT = "agent-step-log needs the types of values"
    COLUMNS = "agent-step-log needs every column"


def missing(need: Need, type_: str = "BOOLEAN", of: str = "run_id") -> str:
    """Return SQL of type *type_* that ends the query, saying it needs *need*."""
    # Made from the row, or the engine would work it out before there is one.
    return f"CAST(error('{need} ' || coalesce(\"{of}\", '')) AS {type_})"


def with_lines(sql: str, *, object_bytes: int, exact: bool) -> str:
    """Return *sql* with a reading of the lines for `LINES`: of the keys it names in double quotes.

    With every fault an error: a line that is no JSON, and one with a key twice that is asked for.
    """
    words = set(_QUOTED.findall(sql))
    keys = [key for key in KEYS if key in words or key == "run_id"]
    names = [key for key in keys if key in NAMES]
    columns = ", ".join(f"{key}: '{'VARCHAR' if key in names and not exact else 'JSON'}'" for key in keys)
    lines = (
        "read_json(getvariable('_files'), "
        "format = 'newline_delimited', filename = '_file', hive_partitioning = false, "
        f"maximum_object_size = {object_bytes}, columns = {{{columns}}})"
    )
    typed = "*"
    if exact:
        exactly = ", ".join(
            f'{_string(key) if key in _HEADS else typed_json(key)} AS "{key}"' for key in names
        )
        lines = f"(SELECT * REPLACE ({exactly}) FROM {lines})"
    elif surely := ", ".join(f'{_sure(key)} AS "{key}"' for key in names if key not in _HEADS):
        typed = f"* REPLACE ({surely})"
    for key, is_text in ((key, f"inside.is_{key}") for key in _HEADS):
        sql = sql.replace(is_text, f'"{key}" IS NOT NULL' if exact else _is_surely_text(key))
    return sql.replace(TYPED, typed).replace(LINES, lines)


def _sure(key: str) -> str:
    each, odd = f'"{key}"', missing(Need.EXACT, "VARCHAR", key)
    return (
        f"CASE WHEN {each} IS NULL THEN NULL WHEN {is_plain_text(key)} THEN {each} "
        f"WHEN {_is_odd(key)} THEN {odd} ELSE {each} END"
    )


def _is_surely_text(key: str) -> str:
    each, odd = f'"{key}"', missing(Need.EXACT, of=key)
    is_number = f"{each} < ':' AND TRY_CAST({each} AS DOUBLE) IS NOT NULL"
    return (
        f"CASE WHEN {is_plain_text(key)} THEN true WHEN {is_number} OR {_is_odd(key)} THEN {odd} "
        f"ELSE {each} IS NOT NULL END"
    )


def _string(key: str) -> str:
    return f'CASE WHEN starts_with("{key}"::VARCHAR, \'"\') THEN json_extract_string("{key}", \'$\') END'


def is_plain_text(key: str) -> str:
    """Return SQL for whether a text begins with a small letter and is no word of JSON: most do."""
    # No OR, no IN: of those the engine makes sorted selections and joins.
    each = f'"{key}"'
    return f"{each} >= 'a' AND {each} < '{{' AND {each} <> 'true' AND {each} <> 'false'"


def _is_odd(key: str) -> str:
    """Return SQL for whether a text may be what JSON has for something that is no text and no number."""
    each = f'"{key}"'
    words = " OR ".join(f"{each} = '{word}'" for word in ("true", "false", "NaN", "Infinity", "-Infinity"))
    return f"{words} OR starts_with({each}, '{{') OR starts_with({each}, '[')"
