"""The lines of the files, as the views stand on them.

    inside.lines          one row to a line: names as VARCHAR, numbers as DOUBLE, the rest as raw JSON; only
                          the keys named
    inside.edges          those of them that tell how a run went; where nobody knows which, all
    inside.is_run_id      of a row of it: whether `run_id` is a string
    inside.is_type        whether `type` is one
    inside.is_step        whether `step` is a whole number
    inside.is_plain       whether it and `ts` need no second look
    inside.step_key       what tells one number of a step from another
    inside.late.a.model   of what was taken over as `a` with a name of it: that name, checked only then
    inside.is_later_format  whether it is the header of a later format
    inside.where(...)     WHERE, see `where`
    inside.typed          its columns, with names and numbers of the wrong type left out (`NAMES`, `NUMBERS`)

The engine reads a name as text several times as fast as it gives it back as JSON. But then a string looks
like the number or the list that is written with the same characters, and those are no names. So as long
as nothing looks like that, names are read as text, and as long as they fit, numbers as DOUBLE. What does
not ends the query (`Need.EXACT`), and from then on every key is read as JSON, which tells all apart.
Of an archive all this was settled when it was made; where there are logs too, these are read as JSON.
"""

# ruff: noqa: S608  Its SQL is made of names of its own.

from __future__ import annotations

import re
from enum import StrEnum

from agent_step_log._numbers import NUMERAL, WHOLE
from agent_step_log.query._archive import archived_lines
from agent_step_log.query._columns import KEYS, NAMES, NUMBERS, exactly

__all__ = [
    "EDGES",
    "IS_LATER_FORMAT",
    "IS_PLAIN",
    "IS_RUN_ID",
    "IS_STEP",
    "IS_TYPE",
    "LINES",
    "PATH",
    "STEPS",
    "STEP_KEY",
    "TYPED",
    "Need",
    "Reading",
    "Unasked",
    "is_plain_text",
    "is_type",
    "late",
    "missing",
    "where",
    "with_lines",
]

# As SQL has them before `with_lines`.
LINES, EDGES = "inside.lines", "inside.edges"
TYPED = "inside.typed"
IS_RUN_ID, IS_TYPE, IS_STEP = "inside.is_run_id", "inside.is_type", "inside.is_step"
IS_PLAIN, STEP_KEY = "inside.is_plain", "inside.step_key"
IS_LATER_FORMAT = "inside.is_later_format"

_HEADS = ("run_id", "type")  # no record without these strings
_LATE = re.compile(r"inside\.late\.(\w+\.)?(\w+)")
_WHERE = re.compile(r"inside\.where\(([^\0]*)\0([^\0]*)\0\)")
_QUOTED = re.compile(r'"(\w+)"')
_WHOLE_DOUBLES = 2**53 - 1  # beyond it a DOUBLE may stand for several whole numbers

STEPS = ("llm_call", "tool_call", "agent_call")
PATH = "coalesce(getvariable('_originals')[_file], _file)"


def is_type(*types: str) -> str:
    """Return SQL for whether a row of `LINES` is of one of *types*."""
    return f'"type" IN ({", ".join(map(repr, types))})'


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
    return f"CAST(error('{need} ' || coalesce(\"{of}\"::VARCHAR, '')) AS {type_})"


class Unasked:
    """The columns of a view a query does not name: they end one that looks at them all the same.

    One failing value to a type, which they all refer to: to bind one for each column takes the engine longer
    than to read a small log.
    """

    def __init__(self) -> None:
        self._types: dict[str, str] = {}

    def column(self, type_: str) -> str:
        """Return SQL for a column of *type_*, above `values`."""
        return self._types.setdefault(type_, f"_unasked_{len(self._types)}")

    def values(self) -> str:
        """Return SQL of what the columns given refer to, for below them; it begins with a comma."""
        return "".join(f", {missing(Need.COLUMNS, type_)} AS {name}" for type_, name in self._types.items())


def late(name: str, of: str = "") -> str:
    """Return SQL for *name*, one of `NAMES`: of the struct *of* made of it, or of a row of `LINES`.

    It is looked at closely only there, and so not with every line.
    """
    return f"inside.late.{of}.{name}" if of else f"inside.late.{name}"


def where(wanted: str, checked: str) -> str:
    """Return SQL that leaves of `LINES` the rows that are *wanted*, and records.

    Args:
        wanted: A condition, enough where every row is a record.
        checked: One that looks at that too.
    """
    return f"inside.where({wanted}\0{checked}\0)"


class Reading(StrEnum):
    """How the lines are read."""

    LEAN = "logs, names and numbers by their types"
    EXACT = "logs, every key as JSON"
    ARCHIVES = "archives"
    BOTH = "logs, every key as JSON, and archives"


def with_lines(sql: str, *, object_bytes: int, reading: Reading, has_edges: bool = False) -> str:
    """Return *sql* with a reading of lines for `LINES` and `EDGES`: of the keys it names in double quotes.

    With every fault an error: a line that is no JSON, and one with a key twice that is asked for.
    """
    is_lean = reading is Reading.LEAN
    sql = _WHERE.sub(r"WHERE \1" if reading is Reading.ARCHIVES else r"WHERE \2", sql)
    asked = set(_QUOTED.findall(sql.replace(STEP_KEY, '"step"')))
    for name, value in _CHECKS[reading].items():
        sql = sql.replace(name, value)
    late_names = {name for _, name in _LATE.findall(sql)}
    sql = _LATE.sub(lambda match: _late_name(match[2], match[1] or "", is_lean=is_lean), sql)
    words = {"run_id", "step", *_QUOTED.findall(sql)}
    keys = [key for key in KEYS if key in words]
    typed = "*"
    if surely := ", ".join(
        f'{_sure_name(key) if key in NAMES else _sure_number(key)} AS "{key}"'
        for key in keys
        if key in (NAMES | NUMBERS) & (asked - {*_HEADS, "ts", *late_names})
    ):
        typed = f"* REPLACE ({surely})" if is_lean else "*"
    lines = _read(keys, object_bytes, reading)
    edges = archived_lines(keys, is_of_edges=True) if has_edges and EDGES in sql else lines
    return sql.replace(TYPED, typed).replace(LINES, lines).replace(EDGES, edges)


def _read(keys: list[str], object_bytes: int, reading: Reading) -> str:
    """Return SQL for the lines, with *keys* of them."""
    if reading is Reading.ARCHIVES:
        return archived_lines(keys)
    types = ", ".join(f"{key}: '{_lean_type(key) if reading is Reading.LEAN else 'JSON'}'" for key in keys)
    lines = (
        "read_json(getvariable('_files'), "
        "format = 'newline_delimited', filename = '_file', hive_partitioning = false, "
        f"maximum_object_size = {object_bytes}, columns = {{{types}}})"
    )
    if reading is Reading.LEAN:
        return lines
    values = ", ".join(
        f'{_string(key) if key in _HEADS else exactly(key)} AS "{key}"'
        for key in keys
        if key in NAMES or key in NUMBERS
    )
    lines = f"(SELECT * REPLACE ({values}), {_STEP_TEXT} AS _step FROM {lines})"
    return (
        f"(FROM {lines} UNION ALL BY NAME FROM {archived_lines(keys)})" if reading is Reading.BOTH else lines
    )


def _lean_type(key: str) -> str:
    return "VARCHAR" if key in NAMES else "DOUBLE" if key in NUMBERS else "JSON"


def _late_name(name: str, of: str, *, is_lean: bool) -> str:
    sql = _sure_name(name) if is_lean else f'"{name}"'
    return sql.replace(f'"{name}"', f"{of}{name}") if of else sql


def _sure_number(key: str) -> str:
    each = f'"{key}"'
    if KEYS[key] == "float":
        return f"CASE WHEN isfinite({each}) THEN {each} END"
    return (
        f"CASE WHEN {_is_small(each)} THEN CASE WHEN {each} = floor({each}) THEN CAST({each} AS BIGINT) END "
        f"WHEN isfinite({each}) THEN {missing(Need.EXACT, 'BIGINT', key)} END"
    )


def _is_small(each: str) -> str:
    return f"{each} BETWEEN -{_WHOLE_DOUBLES} AND {_WHOLE_DOUBLES}"


def _sure_name(key: str) -> str:
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
    # One function: several conditions take the engine longer to plan than a small log to read.
    # A number of so many digits is spelt in another way by the engine than by a reader.
    return f"regexp_matches(\"{key}\", '^(?:true|false|NaN|-?Infinity|-?[0-9]{{17,}}\\.0)$|^[{{[]')"


_IS_LATER_FORMAT = (
    '"type" = \'run_start\' AND "format" > 1 AND "format" = floor("format") AND "format" < 1e300'
)
_LEAN_CHECKS = {
    IS_RUN_ID: _is_surely_text("run_id"),
    IS_TYPE: _is_surely_text("type"),
    # Few comparisons: one of numbers takes the engine several times as long as a sum.
    IS_PLAIN: '"step" = floor("step") AND isfinite("step" + "ts")',
    IS_STEP: f"({_sure_number('step')}) IS NOT NULL",
    STEP_KEY: '"step"',
    IS_LATER_FORMAT: _IS_LATER_FORMAT,
}
_STEP_SPELT = "json_extract_string(\"step\", '$')"
_STEP_NUMBER = (
    f"CASE WHEN regexp_full_match({_STEP_SPELT}, '{NUMERAL}') THEN TRY_CAST({_STEP_SPELT} AS DOUBLE) END"
)
# One that a BIGINT cannot hold is a number all the same.
_STEP_TEXT = (
    f"CASE WHEN ({exactly('step')}) IS NOT NULL THEN ({exactly('step')})::VARCHAR "
    f"WHEN regexp_full_match(\"step\"::VARCHAR, '{WHOLE}') "
    f'OR {_STEP_NUMBER} = floor({_STEP_NUMBER}) AND isfinite({_STEP_NUMBER}) THEN "step"::VARCHAR END'
)
_EXACT_CHECKS = {
    IS_RUN_ID: '"run_id" IS NOT NULL',
    IS_TYPE: '"type" IS NOT NULL',
    IS_PLAIN: '"_step" IS NOT NULL AND isfinite("ts")',
    IS_STEP: '"_step" IS NOT NULL',
    STEP_KEY: '"_step"',
    IS_LATER_FORMAT: _IS_LATER_FORMAT,
}
_ARCHIVE_CHECKS = {  # it holds records, and nothing else
    IS_RUN_ID: "true",
    IS_TYPE: "true",
    IS_PLAIN: "true",
    IS_STEP: "true",
    STEP_KEY: '"_step"',
    IS_LATER_FORMAT: "false",
}
_CHECKS = {
    Reading.LEAN: _LEAN_CHECKS,
    Reading.EXACT: _EXACT_CHECKS,
    Reading.ARCHIVES: _ARCHIVE_CHECKS,
    Reading.BOTH: _EXACT_CHECKS,
}
