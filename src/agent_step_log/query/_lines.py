"""The lines of the files, as the views stand on them.

    inside.lines    one row to a line
        names       VARCHAR, already typed (`NAMES`); of `run_id` and `type` only strings count
        others      raw JSON; only the keys a query needs are taken out of a line
        is_named    whether `run_id` is a string
        is_typed    whether `type` is one
        _file       what the engine read it from

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

__all__ = ["LINES", "Need", "missing", "with_lines"]

LINES = "inside.lines"  # as SQL has it before `with_lines`

_HEADS = {"run_id": "is_named", "type": "is_typed"}  # no record without these strings
_WORD = re.compile(r'"\w+"|\w+')


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
    """Return *sql* with a reading of the lines for `inside.lines`: of the keys it names in double quotes.

    With every fault an error: a line that is no JSON, and one with a key twice that is asked for.
    """
    words = set(_WORD.findall(sql))
    keys = [key for key in KEYS if f'"{key}"' in words or key == "run_id"]
    columns = ", ".join(f"{key}: '{'VARCHAR' if key in NAMES and not exact else 'JSON'}'" for key in keys)
    taken = [f'{_taken(key, exact=exact)} AS "{key}"' for key in keys]
    taken += [f"{_is_text(key, exact=exact)} AS {name}" for key, name in _HEADS.items() if name in words]
    lines = (
        f"(SELECT {', '.join(taken)}, _file FROM read_json(getvariable('_files'), "
        "format = 'newline_delimited', filename = '_file', hive_partitioning = false, "
        f"maximum_object_size = {object_bytes}, columns = {{{columns}}}))"
    )
    return sql.replace(LINES, lines)


def _taken(key: str, *, exact: bool) -> str:
    each = f'"{key}"'
    if key not in NAMES:
        return each
    if exact:
        return _string(key) if key in _HEADS else typed_json(key)
    if key in _HEADS:
        return each  # looked at by itself
    odd = missing(Need.EXACT, "VARCHAR", key)
    return f"CASE WHEN {_is_plain(key)} THEN {each} WHEN {_is_odd(key)} THEN {odd} ELSE {each} END"


def _is_text(key: str, *, exact: bool) -> str:
    each = f'"{key}"'
    if exact:
        return f"starts_with({each}::VARCHAR, '\"')"
    is_number = f"{each} < ':' AND TRY_CAST({each} AS DOUBLE) IS NOT NULL"
    odd = missing(Need.EXACT, of=key)
    return (
        f"CASE WHEN {_is_plain(key)} THEN true WHEN {is_number} OR {_is_odd(key)} THEN {odd} "
        f"ELSE {each} IS NOT NULL END"
    )


def _string(key: str) -> str:
    return f'CASE WHEN starts_with("{key}"::VARCHAR, \'"\') THEN json_extract_string("{key}", \'$\') END'


def _is_plain(key: str) -> str:
    """Return SQL for whether a text begins with a small letter and is no word of JSON: most do."""
    # No OR, no IN: of those the engine makes sorted selections and joins.
    each = f'"{key}"'
    return f"{each} >= 'a' AND {each} < '{{' AND {each} <> 'true' AND {each} <> 'false'"


def _is_odd(key: str) -> str:
    """Return SQL for whether a text may be what JSON has for something that reads otherwise."""
    each = f'"{key}"'
    return (
        f"{each} = 'true' OR {each} = 'false' OR {each} = 'NaN' OR {each} = 'Infinity' "
        f"OR {each} = '-Infinity' OR starts_with({each}, '{{') "
        # A number reads as its digits, in the form JSON gives it.
        f"OR starts_with({each}, '[') OR {each} < ':' AND contains({each}, 'e') "
        f"AND TRY_CAST({each} AS DOUBLE) IS NOT NULL"
    )
