"""The SQL of the views.

    _files, _originals   variables: what the engine reads, and for what stands in for a file, which
    inside.lines               every line; see `agent_step_log.query._lines`
    inside.open                the lines of steps in flight (a table, made when a query needs it)
    inside.headers             task_type and the like for each run (the same)

Nothing is worked out before a query needs it. Whatever a view lacks it says by failing: a query that meets
the first such row ends there, what it needs is made, and it is asked again (see `Need`). So a query pays
for what it looks at, and for no more.
"""

# ruff: noqa: S608  Its SQL is made of names of its own; what users give goes in as parameters.

from __future__ import annotations

from typing import TYPE_CHECKING

from agent_step_log.query._columns import KEYS, VIEWS, exactly, typed
from agent_step_log.query._lines import (
    IS_LATER_FORMAT,
    IS_PLAIN,
    IS_RUN_ID,
    IS_STEP,
    IS_TYPE,
    LINES,
    PATH,
    STEP_KEY,
    STEPS,
    TYPED,
    Need,
    Unasked,
    is_plain_text,
    is_type,
    missing,
    where,
)
from agent_step_log.query._view_of_runs import view_of_runs
from agent_step_log.query._zone import day_of

if TYPE_CHECKING:
    from collections.abc import Iterable


__all__ = [
    "faulty",
    "headers_table",
    "later_formats",
    "open_table",
    "view",
]

_KEY = {"r": '"run_id"', "w": '"writer"', "s": STEP_KEY}  # what makes a step one


def _lines(condition: str, taken: str = "*", *, any_type: bool = True) -> str:
    """Return SQL for *taken* of the records that *condition* holds for.

    Not *any_type*: it names the types they have.
    """
    # In one CASE: of conditions joined by AND the engine chooses the order. First what nearly every
    # record is, and soon seen to be; the rest is looked at closely.
    is_plain = f"{is_plain_text('type')} AND \"type\" <> 'run_start' AND " if any_type else ""
    is_record = f"{IS_TYPE} AND {_IS_RECORD}" if any_type else _IS_RECORD
    checked = (
        f"CASE WHEN {is_plain}({condition}) AND {_IS_PLAIN_RECORD} THEN true "
        f"WHEN {IS_LATER_FORMAT} THEN {missing(Need.LATER_FORMAT)} IS NULL "
        f"WHEN {condition} THEN {is_record} ELSE false END"
    )
    return f"SELECT {taken} FROM (SELECT {TYPED} FROM {LINES} {where(condition, checked)})"


def later_formats() -> str:
    """Return SQL for the files that are of a later format, or begin to be one somewhere."""
    return (
        "SELECT DISTINCT _file FROM read_json(getvariable('_files'), format = 'newline_delimited', "
        "filename = '_file', hive_partitioning = false, ignore_errors = true, "
        "columns = {\"type\": 'JSON', \"format\": 'JSON'}) "
        f'WHERE "type"::VARCHAR = \'"run_start"\' AND ({exactly("format")}) > 1'
    )


def faulty() -> str:
    """Return SQL for the files that have a line the engine cannot read."""
    return (
        "SELECT _file FROM read_json(getvariable('_files'), format = 'newline_delimited', "
        "filename = '_file', hive_partitioning = false, ignore_errors = true, "
        "columns = {\"type\": 'JSON', \"run_id\": 'JSON'}) "
        'GROUP BY 1 HAVING count(*) > count("run_id")'
    )


_IS_PLAIN_RECORD = f"{is_plain_text('run_id')} AND {IS_PLAIN}"
_IS_RECORD = f'{IS_RUN_ID} AND {IS_STEP} AND isfinite("ts")'


def open_table() -> tuple[str, ...]:
    """Return SQL that fills `inside.open`: of each step begun and not ended, the line that began it."""
    keys = ", ".join(f"{value}::VARCHAR AS {name}" for name, value in _KEY.items())
    begins, ends = is_type("step_start"), is_type("run_start", "run_end")
    same = " AND ".join(f"{name} IS NOT DISTINCT FROM {value}::VARCHAR" for name, value in _KEY.items())
    one = ", ".join(_KEY.values())
    begun = f"{_lines(f'NOT {ends}', keys)} GROUP BY ALL HAVING bool_and({begins})"
    last = f"QUALIFY row_number() OVER (PARTITION BY {one} ORDER BY {typed('ts')} DESC) = 1"
    # Mostly there is none, and then the files need not be read again.
    opened = (
        f"SELECT {', '.join(_quoted(KEYS))} FROM ({_lines(begins, any_type=False)}) "
        f"WHERE (SELECT count(*) FROM inside.begun) > 0 AND EXISTS (FROM inside.begun WHERE {same})"
    )
    return (
        "CREATE SCHEMA IF NOT EXISTS inside",
        f"CREATE OR REPLACE TABLE inside.begun AS {begun}",
        f"CREATE OR REPLACE TABLE inside.open AS {opened} {last}",
        "DROP TABLE inside.begun",
    )


def headers_table() -> tuple[str, ...]:
    """Return SQL that fills `inside.headers`."""
    order = _header_order(typed("ts"))
    taken = ", ".join(f"arg_min_null({typed(key)}, {order}) AS {key}" for key in _HEADER_KEYS)
    starts = _lines(is_type("run_start"), any_type=False)
    headers = f"SELECT {typed('run_id')} AS of_run, {taken} FROM ({starts}) GROUP BY 1"
    return (
        "CREATE SCHEMA IF NOT EXISTS inside",
        f"CREATE OR REPLACE TABLE inside.headers AS {headers}",
    )


_HEADER_KEYS = ("task_type", "environment", "agent_version")


def _header_order(ts: str) -> str:
    # The run's own is that of the process that made the file, which has no writer; of several the first.
    return f'{ts} + CASE WHEN "writer" IS NULL THEN 0 ELSE 1e12 END'


def view(name: str, met: set[Need], silent_s: float, wanted: set[str] | None = None) -> str:
    """Return SQL that makes the view *name* of `VIEWS`, with what is in *met* at hand.

    A column not *wanted* (default: all are) is there, and ends a query that looks at it: to plan
    a query takes the engine longer than to read a small log, and most columns are not asked for.
    """
    match name:
        case "runs":
            return view_of_runs(met, silent_s, wanted)
        case "events":
            return _select(name, _lines(is_type("event"), any_type=False), {}, met, wanted)
        case "records":
            return _select(name, _lines("true"), {}, met, wanted)
        case "errors":
            failed = f"({typed('error')}) IS NOT NULL"
            ended = f"{is_type('run_end')} AND ({failed} OR \"status\" = 'error')"
            own = {"name": _name('"type"')}
            return _select(
                name,
                _lines(f"({is_type(*STEPS)} AND {failed} OR {ended})", any_type=False),
                own,
                met,
                wanted,
            )
        case "steps":
            return _steps(met, wanted)
        case _:
            return _calls(name, met, wanted)


def _name(kind: str) -> str:
    return (
        f"CASE {kind} WHEN 'tool_call' THEN {typed('tool')} WHEN 'llm_call' THEN {typed('model')} "
        f"WHEN 'agent_call' THEN {typed('agent')} END"
    )


def _steps(met: set[Need], wanted: set[str] | None) -> str:
    begins, types = is_type("step_start"), is_type(*STEPS)
    if Need.OPEN in met:
        ended = _lines(types, "*, false AS _is_open", any_type=False)
        lines = f"{ended} UNION ALL BY NAME SELECT *, true AS _is_open FROM inside.open"
    else:
        # A line that begins a step looks as the step in flight would. So one that a query's own
        # conditions leave out is rightly left out, and the first that they do not ends the query.
        lines = (
            f"SELECT * FROM ({_lines(f'({types} OR {begins})', f'*, {begins} AS _is_open', any_type=False)}) "
            f"WHERE CASE WHEN _is_open THEN {missing(Need.OPEN)} IS NULL ELSE true END"
        )
    kind = 'CASE WHEN _is_open THEN "of" ELSE "type" END'
    duration = f"CASE WHEN _is_open THEN NULL ELSE {typed('duration_ms')} END"
    own = {
        "type": f"CASE WHEN _is_open THEN coalesce({typed('of')}, 'step') ELSE {typed('type')} END",
        "start_ts": f"coalesce({typed('start_ts')}, _ts - greatest(coalesce({duration}, 0), 0) / 1000)",
        "name": _name(kind),
        "duration_ms": duration,
        "status": f"CASE WHEN _is_open THEN 'in_flight' WHEN ({typed('error')}) IS NULL THEN 'ok' "
        "ELSE 'error' END",
    }
    return _select("steps", lines, own, met, wanted)


def _calls(name: str, met: set[Need], wanted: set[str] | None) -> str:
    """Return SQL for the view of the steps of one type that ended: nothing but their own lines is read."""
    kind = name.removesuffix("s")
    lasted = f"greatest(coalesce({typed('duration_ms')}, 0), 0) / 1000"
    own = {
        "start_ts": f"coalesce({typed('start_ts')}, _ts - {lasted})",
        "name": typed({"llm_call": "model", "tool_call": "tool"}.get(kind, "agent")),
        "status": f"CASE WHEN ({typed('error')}) IS NULL THEN 'ok' ELSE 'error' END",
    }
    return _select(name, _lines(is_type(kind), any_type=False), own, met, wanted)


def _select(name: str, lines: str, own: dict[str, str], met: set[Need], wanted: set[str] | None) -> str:
    """Return SQL for a view of one row to each of *lines*."""
    has_headers = Need.HEADERS in met
    unasked = Unasked()
    columns = []
    for column in VIEWS[name]:
        if wanted is not None and column.name not in wanted:
            value = unasked.column(column.type)
        elif column.name in own:
            value = own[column.name]
        elif column.name in _HEADER_KEYS:
            value = f"header.{column.name}" if has_headers else missing(Need.HEADERS, "VARCHAR")
        elif column.name == "day":
            value = day_of("_ts")
        elif column.name == "path":
            value = PATH
        else:
            value = typed(column.name)
        columns.append(f"{value} AS {column.name}")
    header = " LEFT JOIN inside.headers header ON header.of_run = line._run" if has_headers else ""
    run = f", {typed('run_id')} AS _run" if has_headers else ""
    return (
        f"CREATE OR REPLACE TEMP VIEW {name} AS SELECT {', '.join(columns)} "
        f"FROM (SELECT *, {typed('ts')} AS _ts{run}{unasked.values()} FROM ({lines})) line{header}"
    )


def _quoted(names: Iterable[str]) -> list[str]:
    return [f'"{name}"' for name in names]
