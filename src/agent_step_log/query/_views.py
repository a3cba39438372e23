"""The SQL of the views.

    _files, _originals   variables: what the engine reads, and for what stands in for a file, which
    inside.lines               every line; see `agent_step_log.query._lines`
    inside.open                the lines of steps in flight (a table; empty until a query needs it)
    inside.headers             task_type and the like for each run (a table; the same)

Nothing is worked out before a query needs it. Whatever a view lacks it says by failing: a query that meets
the first such row ends there, what it needs is made, and it is asked again (see `Need`). So a query pays
for what it looks at, and for no more.
"""

# ruff: noqa: S608  Its SQL is made of names of its own; what users give goes in as parameters.

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent_step_log.limits import MAX_TOKENS
from agent_step_log.query._columns import KEYS, NAMES, VIEWS, typed, typed_json
from agent_step_log.query._lines import IS_RUN_ID, IS_TYPE, LINES, TYPED, Need, is_plain_text, missing
from agent_step_log.query._zone import day_of

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "faulty",
    "headers_table",
    "later_formats",
    "open_table",
    "tables",
    "view",
]

_KEY = ("run_id", "writer", "step")  # what makes a step one
_STEPS = ("llm_call", "tool_call", "agent_call")


def _lines(condition: str, taken: str = "*", *, any_type: bool = True) -> str:
    """Return SQL for *taken* of the records that *condition* holds for.

    Not *any_type*: it names the types they have.
    """
    # In one CASE: of conditions joined by AND the engine chooses the order. First what nearly every
    # record is, and soon seen to be; the rest is looked at closely.
    is_plain = f"{is_plain_text('type')} AND \"type\" <> 'run_start' AND " if any_type else ""
    is_record = f"{IS_TYPE} AND {_IS_RECORD}" if any_type else _IS_RECORD
    return (
        f"SELECT {taken} FROM (SELECT {TYPED} FROM {LINES} "
        f"WHERE CASE WHEN {is_plain}({condition}) AND {_IS_PLAIN_RECORD} AND {_IS_PLAIN_TIME} THEN true "
        f"WHEN {_IS_LATER_FORMAT} THEN {missing(Need.LATER_FORMAT)} IS NULL "
        f"WHEN {condition} THEN {is_record} AND isfinite({typed('ts')}) ELSE false END)"
    )


def _timed_records() -> str:
    """Return SQL for every record, with its `ts` as `_ts`: made into a number once, as that takes a while."""
    lines = f"(SELECT *, {typed('ts')} AS _ts FROM {LINES})"
    is_plain = f"{is_plain_text('type')} AND \"type\" <> 'run_start' AND {_IS_PLAIN_RECORD}"
    return (
        f"SELECT {TYPED} FROM {lines} "
        f"WHERE CASE WHEN {is_plain} AND isfinite(_ts) THEN true "
        f"WHEN {_IS_LATER_FORMAT} THEN {missing(Need.LATER_FORMAT)} IS NULL "
        f"ELSE {IS_TYPE} AND {_IS_RECORD} AND isfinite(_ts) END"
    )


def later_formats() -> str:
    """Return SQL for the files that are of a later format, or begin to be one somewhere."""
    return (
        "SELECT DISTINCT _file FROM read_json(getvariable('_files'), format = 'newline_delimited', "
        "filename = '_file', hive_partitioning = false, ignore_errors = true, "
        "columns = {\"type\": 'JSON', \"format\": 'JSON'}) "
        f'WHERE "type"::VARCHAR = \'"run_start"\' AND ({typed_json("format")}) > 1'
    )


def faulty() -> str:
    """Return SQL for the files that have a line the engine cannot read."""
    return (
        "SELECT _file FROM read_json(getvariable('_files'), format = 'newline_delimited', "
        "filename = '_file', hive_partitioning = false, ignore_errors = true, "
        "columns = {\"type\": 'JSON', \"run_id\": 'JSON'}) "
        'GROUP BY 1 HAVING count(*) > count("run_id")'
    )


_STEP, _TS = '"step"::VARCHAR', '"ts"::VARCHAR'
_IS_PLAIN_RECORD = (
    f"{is_plain_text('run_id')} AND TRY_CAST({_STEP} AS UBIGINT) IS NOT NULL AND NOT contains({_STEP}, '.')"
)
_IS_PLAIN_TIME = f"{_TS} >= '0' AND {_TS} < ':' AND NOT contains({_TS}, 'e') AND len({_TS}) < 300"
_IS_RECORD = f"{IS_RUN_ID} AND regexp_full_match({_STEP}, '-?[0-9]+')"
_IS_LATER_FORMAT = f"\"type\" = 'run_start' AND ({typed('format')}) > 1"


def _is_type(*types: str) -> str:
    return f'"type" IN ({", ".join(map(repr, types))})'


def open_table() -> tuple[str, ...]:
    """Return SQL that fills `inside.open`: of each step begun and not ended, the line that began it."""
    # A number the view `steps` shows as NULL still is one: compare the text.
    keys = ", ".join(f'"{b}"::VARCHAR AS {a}' for a, b in zip("rws", _KEY, strict=True))
    begins, ends = _is_type("step_start"), _is_type("run_start", "run_end")
    same = " AND ".join(f'{a} IS NOT DISTINCT FROM "{b}"::VARCHAR' for a, b in zip("rws", _KEY, strict=True))
    one = ", ".join(f'"{name}"::VARCHAR' for name in _KEY)
    begun = f"{_lines(f'NOT {ends}', keys)} GROUP BY ALL HAVING bool_and({begins})"
    last = f"QUALIFY row_number() OVER (PARTITION BY {one} ORDER BY {typed('ts')} DESC) = 1"
    # Mostly there is none, and then the files need not be read again.
    opened = (
        f"SELECT {', '.join(_quoted(KEYS))} FROM ({_lines(begins, any_type=False)}) "
        f"WHERE (SELECT count(*) FROM inside.begun) > 0 AND EXISTS (FROM inside.begun WHERE {same})"
    )
    return (
        "DELETE FROM inside.open",
        f"CREATE OR REPLACE TABLE inside.begun AS {begun}",
        f"INSERT INTO inside.open {opened} {last}",
        "DROP TABLE inside.begun",
    )


def headers_table() -> tuple[str, ...]:
    """Return SQL that fills `inside.headers`."""
    taken = ", ".join(f"arg_min_null({typed(key)}, {_header_order(typed('ts'))})" for key in _HEADER_KEYS)
    starts = _lines(_is_type("run_start"), any_type=False)
    return (
        "DELETE FROM inside.headers",
        f"INSERT INTO inside.headers SELECT {typed('run_id')}, {taken} FROM ({starts}) GROUP BY 1",
    )


def tables() -> tuple[str, ...]:
    """Return SQL that makes the tables, empty."""
    raw = ", ".join(f'"{key}" {"VARCHAR" if key in NAMES else "JSON"}' for key in KEYS)
    headers = ", ".join(f"{key} VARCHAR" for key in _HEADER_KEYS)
    return (
        "CREATE SCHEMA inside",
        f"CREATE TABLE inside.open ({raw})",
        f"CREATE TABLE inside.headers (of_run VARCHAR, {headers})",
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
            return _runs(met, silent_s, wanted)
        case "events":
            return _select(name, _lines(_is_type("event"), any_type=False), {}, met, wanted)
        case "records":
            return _select(name, _lines("true"), {}, met, wanted)
        case "errors":
            failed = f"({typed('error')}) IS NOT NULL"
            ended = f"{_is_type('run_end')} AND ({failed} OR \"status\" = 'error')"
            own = {"name": _name('"type"')}
            return _select(
                name,
                _lines(f"({_is_type(*_STEPS)} AND {failed} OR {ended})", any_type=False),
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
    begins, types = _is_type("step_start"), _is_type(*_STEPS)
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
    return _select(name, _lines(_is_type(kind), any_type=False), own, met, wanted)


def _select(name: str, lines: str, own: dict[str, str], met: set[Need], wanted: set[str] | None) -> str:
    """Return SQL for a view of one row to each of *lines*."""
    has_headers = Need.HEADERS in met
    columns = []
    for column in VIEWS[name]:
        if wanted is not None and column.name not in wanted:
            value = missing(Need.COLUMNS, column.type)
        elif column.name in own:
            value = own[column.name]
        elif column.name in _HEADER_KEYS:
            value = f"header.{column.name}" if has_headers else missing(Need.HEADERS, "VARCHAR")
        elif column.name == "day":
            value = day_of("_ts")
        elif column.name == "path":
            value = _PATH
        else:
            value = typed(column.name)
        columns.append(f"{value} AS {column.name}")
    header = " LEFT JOIN inside.headers header ON header.of_run = line._run" if has_headers else ""
    run = f", {typed('run_id')} AS _run" if has_headers else ""
    return (
        f'CREATE OR REPLACE TEMP VIEW "{name}" AS SELECT {", ".join(columns)} '
        f"FROM (SELECT *, {typed('ts')} AS _ts{run} FROM ({lines})) line{header}"
    )


_PATH = "coalesce(getvariable('_originals')[_file], _file)"


def _quoted(names: Iterable[str]) -> list[str]:
    return [f'"{name}"' for name in names]


def _runs(met: set[Need], silent_s: float, wanted: set[str] | None) -> str:
    calls, model = _is_type(*_STEPS), _is_type("llm_call")
    starts, ends = _is_type("run_start"), _is_type("run_end")
    begun = (
        "0"
        if Need.OPEN in met
        else f"CASE WHEN {_is_type('step_start')} THEN {missing(Need.OPEN, 'INTEGER')} ELSE 0 END"
    )

    def head(key: str, value: str | None = None) -> str:
        return f"arg_min_null({value or typed(key)}, {_header_order('_ts')}) FILTER ({starts})"

    def tokens(key: str) -> str:
        # A count that cannot be is nobody's usage; `verify` names it.
        told, can_be = f"({typed(key)}) IS NOT NULL", f"({typed(key)}) BETWEEN 1 AND {MAX_TOKENS}"
        return (
            f"TRY_CAST(CASE WHEN count(*) FILTER ({model}) = 0 THEN 0 "
            f"WHEN count(*) FILTER ({model} AND {told}) > 0 "
            f"THEN coalesce(sum({typed(key)}) FILTER ({model} AND {can_be}), 0) END AS BIGINT)"
        )

    timed = f"{_is_type('llm_call', 'tool_call')} AND ({typed('duration_ms')}) >= 0"
    whys = [name for name in ("error", "error_type", "error_frames") if wanted is None or name in wanted]
    # Nearly every run is the work of one process, which has no writer. What that one wrote is kept apart,
    # as lists take the engine longer than all else here.
    end = ", ".join(
        ["ts: _ts", f"w: {typed('writer')}", f"status: coalesce({typed('status')}, 'ok')"]
        + [f"{name}: {typed(name)}" for name in whys]
    )
    own = f"({typed('writer')}) IS NULL"
    aggregate = {
        "run_id": typed("run_id"),
        "agent": head("agent"),
        "agent_version": head("agent_version"),
        "task_type": head("task_type"),
        "environment": head("environment"),
        "metadata": head("metadata"),
        "parent_run_id": head("parent_run_id"),
        "parent_step": head("parent_step"),
        "forked_from": head("forked_from"),
        "started_at": "min(_ts)",
        "ended_at": "max(_ts)",
        "begun_steps": f"sum(CASE WHEN {calls} THEN 1 ELSE {begun} END)",
        "llm_calls": f"count(*) FILTER ({model})",
        "tool_calls": f"count(*) FILTER ({_is_type('tool_call')})",
        "agent_calls": f"count(*) FILTER ({_is_type('agent_call')})",
        "events": f"count(*) FILTER ({_is_type('event')})",
        "errors": f"count(*) FILTER ({calls} AND ({typed('error')}) IS NOT NULL)",
        "input_tokens": tokens("input_tokens"),
        "output_tokens": tokens("output_tokens"),
        "cache_read_tokens": tokens("cache_read_tokens"),
        "cache_write_tokens": tokens("cache_write_tokens"),
        "reasoning_tokens": tokens("reasoning_tokens"),
        "tokens_known": f"count(*) FILTER ({model} AND (({typed('input_tokens')}) IS NULL "
        f"OR ({typed('output_tokens')}) IS NULL)) = 0",
        "p50_ms": f"quantile_cont({typed('duration_ms')}, 0.5) FILTER ({timed})",
        "p95_ms": f"quantile_cont({typed('duration_ms')}, 0.95) FILTER ({timed})",
        "models": f"list_sort(list(DISTINCT {typed('model')}) FILTER ({model} "
        f"AND ({typed('model')}) IS NOT NULL))",
        "tools": f"list_sort(list(DISTINCT {typed('tool')}) FILTER ({_is_type('tool_call')} "
        f"AND ({typed('tool')}) IS NOT NULL))",
        "path": f"arg_min({_PATH}, _ts)",
        "process": head("process"),
        "own_fate": f"max(_fate) FILTER ({starts} AND {own})",
        "own_end": f"arg_max({{{end}}}, _ts) FILTER ({ends} AND {own})",
        "other_heads": f"list({{ts: _ts, w: {typed('writer')}, fate: _fate}}) "
        f"FILTER ({starts} AND NOT {own})",
        "other_ends": f"list({{{end}}}) FILTER ({ends} AND NOT {own})",
    }
    made = {
        # The engine moves no condition past what may end the query; past the name of a run it would, and
        # then see nothing of the lines of others: a header of a later format too.
        "run_id": f"CASE WHEN run_id IS NULL THEN {missing(Need.COLUMNS, 'VARCHAR')} ELSE run_id END",
        "status": _status(silent_s),
        "duration_ms": "CASE WHEN isfinite(ended_at - started_at) "
        "THEN round((ended_at - started_at) * 1000) ELSE 0 END",
        "steps": "CAST(begun_steps AS BIGINT) + coalesce(open_steps, 0)",
        "total_tokens": "TRY_CAST(CASE WHEN input_tokens IS NULL AND output_tokens IS NULL THEN NULL ELSE "
        "coalesce(input_tokens, 0)::HUGEINT + coalesce(output_tokens, 0) END AS BIGINT)",
        "error": "ended.error",
        "error_type": "ended.error_type",
        "error_frames": "ended.error_frames",
        "models": "coalesce(models, [])",
        "tools": "coalesce(tools, [])",
        "host": "json_extract_string(process, '$.host')",
        "pid": "TRY_CAST(json_extract_string(process, '$.pid') AS BIGINT)",
        "day": day_of("started_at"),
    }

    values = {
        column.name: made.get(column.name, column.name)
        if wanted is None or column.name in wanted
        else missing(Need.COLUMNS, column.type)
        for column in VIEWS["runs"]
    }
    columns = ", ".join(f"{value} AS {name}" for name, value in values.items())
    used = _words(" ".join(values.values()))
    ended = ""
    if "ended" in used:
        ended = f", {_ENDED} AS ended"
        used |= _words(ended)
    taken = ", ".join(f"{value} AS {name}" for name, value in aggregate.items() if name in used)
    records = _timed_records()
    if "own_fate" in used:
        records = f"SELECT *, CASE WHEN {starts} THEN {_fate(met)} END AS _fate FROM ({records})"
    runs = f'SELECT {taken} FROM ({records}) GROUP BY "run_id"'
    if "open_steps" in used:
        runs = f"FROM ({runs}) LEFT JOIN ({_OPEN_STEPS}) USING (run_id)"
    return f'CREATE OR REPLACE TEMP VIEW "runs" AS SELECT {columns} FROM (SELECT *{ended} FROM ({runs}))'


# The end of the process whose header is the run's; of a run without header the last there is.
_ENDED = (
    "CASE WHEN own_fate IS NOT NULL OR other_heads IS NULL AND other_ends IS NULL THEN own_end "
    "WHEN other_heads IS NULL THEN list_max(list_append(other_ends, own_end)) "
    "ELSE list_max(list_filter(other_ends, lambda e: e.w = list_min(other_heads).w)) END"
)
_OPEN_STEPS = f"SELECT {typed('run_id')} AS run_id, count(*) AS open_steps FROM inside.open GROUP BY 1"


def _words(sql: str) -> set[str]:
    return set(re.findall(r"\w+", sql))


_DEAD, _UNKNOWN, _ALIVE = range(3)


def _fate(met: set[Need]) -> str:
    """Return SQL for what became of the process that wrote a header, as `agent_step_log.list_runs` has it."""
    if Need.MACHINE not in met:
        return missing(Need.MACHINE, "INTEGER")
    process = '"process"'  # of what is no object there is nothing to extract
    boot = f"json_extract_string({process}, '$.boot_id')"
    pid = f"TRY_CAST(json_extract_string({process}, '$.pid') AS BIGINT)"
    started = f"TRY_CAST(json_extract_string({process}, '$.started') AS DOUBLE)"
    since = f"getvariable('_processes')[{pid}]"
    return (
        f"CASE WHEN json_extract_string({process}, '$.host') IS DISTINCT FROM getvariable('_host') "
        f"THEN {_UNKNOWN} "
        f"WHEN {boot} IS DISTINCT FROM getvariable('_boot') THEN {_DEAD} "
        f"WHEN coalesce({pid}, 0) <= 0 THEN {_UNKNOWN} "
        f"WHEN {since} < 0 OR coalesce({started}, {since}) = {since} THEN {_ALIVE} ELSE {_DEAD} END"
    )


def _status(silent_s: float) -> str:
    """Return SQL for how a run stands; the rules of `agent_step_log.list_runs`."""
    # Of the processes that began and did not end it; one process ends once.
    fate = (
        "greatest(CASE WHEN own_end IS NULL THEN own_fate END, CASE WHEN other_heads IS NOT NULL THEN "
        "list_max(list_transform(other_heads, lambda h: CASE WHEN NOT coalesce(list_contains("
        "list_transform(other_ends, lambda e: e.w), h.w), false) THEN h.fate END)) END)"
    )
    recent = f"abs(getvariable('_now') - ended_at) < {silent_s}"
    return (
        "coalesce(ended.status, CASE WHEN own_fate IS NULL AND other_heads IS NULL THEN 'unknown' "
        f"WHEN {fate} > CASE WHEN {recent} THEN {_DEAD} ELSE {_UNKNOWN} END THEN 'running' "
        "ELSE 'interrupted' END)"
    )
