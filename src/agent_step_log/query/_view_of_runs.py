"""The SQL of the view of runs: one row to all records of a run.

record  ->  its kind: header or end, of the process that made the log or of another; or neither
        ->  sums over the records of each run, and what its headers and ends say
        ->  which header and end count, typed; and what became of the run
"""

# ruff: noqa: S608  Its SQL is made of names of its own.

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent_step_log.limits import MAX_TOKENS
from agent_step_log.query._columns import NAMES, VIEWS, typed
from agent_step_log.query._lines import (
    EDGES,
    IS_LATER_FORMAT,
    IS_PLAIN,
    IS_RUN_ID,
    IS_STEP,
    IS_TYPE,
    LINES,
    PATH,
    STEPS,
    TYPED,
    Need,
    Unasked,
    is_type,
    late,
    missing,
    where,
)
from agent_step_log.query._zone import day_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agent_step_log.query._columns import Column

__all__ = ["view_of_runs"]

#: Of the header of a run.
_OF_HEADER = (
    "agent",
    "agent_version",
    "task_type",
    "environment",
    "metadata",
    "parent_run_id",
    "parent_step",
    "forked_from",
    "process",
)
#: Of its end.
_OF_END = ("status", "error", "error_type", "error_frames")


def view_of_runs(met: set[Need], silent_s: float, wanted: set[str] | None) -> str:
    """Return SQL that makes the view `runs`; see `agent_step_log.query._views.view`."""
    calls, model = is_type(*STEPS), is_type("llm_call")
    begun = (
        "0"
        if Need.OPEN in met
        else f"CASE WHEN {is_type('step_start')} THEN {missing(Need.OPEN, 'INTEGER')} ELSE 0 END"
    )

    def tokens(key: str) -> str:
        # A count that cannot be is nobody's usage; `verify` names it.
        told, can_be = f"({typed(key)}) IS NOT NULL", f"({typed(key)}) BETWEEN 1 AND {MAX_TOKENS}"
        return (
            f"TRY_CAST(CASE WHEN count(*) FILTER ({model}) = 0 THEN 0 "
            f"WHEN count(*) FILTER ({model} AND {told}) > 0 "
            f"THEN coalesce(sum({typed(key)}) FILTER ({model} AND {can_be}), 0) END AS BIGINT)"
        )

    timed = f"{is_type('llm_call', 'tool_call')} AND ({typed('duration_ms')}) >= 0"
    aggregate = {
        "run_id": typed("run_id"),
        "started_at": "min(_ts)",
        "ended_at": "max(_ts)",
        "begun_steps": f"sum(CASE WHEN {calls} THEN 1 ELSE {begun} END)",
        "llm_calls": f"count(*) FILTER ({model})",
        "tool_calls": f"count(*) FILTER ({is_type('tool_call')})",
        "agent_calls": f"count(*) FILTER ({is_type('agent_call')})",
        "events": f"count(*) FILTER ({is_type('event')})",
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
        "tools": f"list_sort(list(DISTINCT {typed('tool')}) FILTER ({is_type('tool_call')} "
        f"AND ({typed('tool')}) IS NOT NULL))",
        "path": f"arg_min({PATH}, _ts)",
    }
    made = {
        # The engine moves no condition past what may end the query; past the name of a run it would, and
        # then see nothing of the lines of others: a header of a later format too.
        "run_id": f"CASE WHEN run_id IS NULL THEN {missing(Need.COLUMNS, 'VARCHAR')} ELSE run_id END",
        "status": _status(silent_s, met),
        "duration_ms": "CASE WHEN isfinite(ended_at - started_at) "
        "THEN round((ended_at - started_at) * 1000) ELSE 0 END",
        "steps": "CAST(begun_steps AS BIGINT)" + (" + coalesce(open_steps, 0)" if Need.OPEN in met else ""),
        "total_tokens": "TRY_CAST(CASE WHEN input_tokens IS NULL AND output_tokens IS NULL THEN NULL ELSE "
        "coalesce(input_tokens, 0)::HUGEINT + coalesce(output_tokens, 0) END AS BIGINT)",
        **{name: _typed_of("header", name) for name in _OF_HEADER},
        **{name: _typed_of("ended", name) for name in ("error", "error_type", "error_frames")},
        "models": "coalesce(models, [])",
        "tools": "coalesce(tools, [])",
        "host": "json_extract_string(header.process, '$.host')",
        "pid": "TRY_CAST(json_extract_string(header.process, '$.pid') AS BIGINT)",
    }

    unasked = Unasked()
    asked = {column.name for column in VIEWS["runs"] if wanted is None or column.name in wanted}

    def value(column: Column) -> str:
        if column.name not in asked:
            return unasked.column(column.type)
        # Not among the others: it takes long to put together.
        return day_of("started_at") if column.name == "day" else made.get(column.name, column.name)

    values = {column.name: value(column) for column in VIEWS["runs"]}
    columns = ", ".join(f"{value} AS {name}" for name, value in values.items())
    used = {"run_id"} | _words(" ".join(text for name, text in values.items() if name in asked - {"run_id"}))
    used.add("started_at")
    taken = [f"{value} AS {name}" for name, value in aggregate.items() if name in used]
    ends = ""
    if used & {"header", "ended"}:
        of_header = [name for name in _OF_HEADER if name in used]
        of_end = [name for name in _OF_END if name in used]
        taken += _gathered(of_header, of_end, is_asked_for_status="own_makers" in used)
        own = f"{_brought_together('own_header', of_header)}, {_brought_together('own_end', of_end)}"
        ends = f", {_header(of_header)} AS header, {_ended(of_end)} AS ended"
    # A record between the first and the last says nothing of these.
    lines = EDGES if used & aggregate.keys() <= {"run_id", "started_at", "ended_at", "path"} else LINES
    runs = f'SELECT {", ".join(taken)} FROM ({_records_by_kind(lines)}) GROUP BY "run_id"'
    # A run's name is looked at closely once, not with every record. Tied to a sum, or the engine would.
    runs = f"FROM ({runs}) WHERE CASE WHEN started_at IS NULL THEN false ELSE {IS_RUN_ID} END"
    if ends:
        others = f"SELECT *, {_OTHER_END} AS other_end FROM (SELECT *, {own}, {_OTHERS} {runs})"
        runs = f"SELECT *{ends} FROM ({others})"
    if "open_steps" in used:
        runs = f"FROM ({runs}) LEFT JOIN ({_OPEN_STEPS}) USING (run_id)"
    runs = f"SELECT *{unasked.values()} FROM ({runs})"
    return f"CREATE OR REPLACE TEMP VIEW runs AS SELECT {columns} FROM ({runs})"


_OWN_HEADER, _OWN_END, _OTHER_HEADER, _OTHER_LAST = range(1, 5)
_WRITER = late("writer")
_KIND = (
    "CASE \"type\" WHEN 'tool_call' THEN 0 WHEN 'llm_call' THEN 0 WHEN 'step_start' THEN 0 "
    f"WHEN 'run_start' THEN if({_WRITER} IS NULL, {_OWN_HEADER}, {_OTHER_HEADER}) "
    f"WHEN 'run_end' THEN if({_WRITER} IS NULL, {_OWN_END}, {_OTHER_LAST}) "
    f"ELSE CASE WHEN {IS_TYPE} THEN 0 END END::UTINYINT"
)
_OTHERS = (
    f"list_filter(others, lambda e: e.kind = {_OTHER_HEADER}) AS other_headers, "
    f"list_min(list_filter(others, lambda e: e.kind = {_OTHER_HEADER})) AS other_header, "
    f"list_filter(others, lambda e: e.kind = {_OTHER_LAST}) AS other_ends"
)
# The end of the process whose header is the run's; of a run without header the last there is.
_OTHER_END = (
    "CASE WHEN other_header IS NULL THEN list_max(other_ends) "
    "ELSE list_max(list_filter(other_ends, lambda e: e.w = other_header.w)) END"
)


def _gathered(of_header: list[str], of_end: list[str], *, is_asked_for_status: bool) -> list[str]:
    """Return SQL that gathers of each run its headers, with the keys *of_header*, and its ends.

    They stand as in the line, and are typed when one of each run is left. With the processes that wrote
    headers, if it *is_asked_for_status*.
    """
    # Nearly every run is the work of one process, which has no writer. What that one wrote is kept apart, and
    # key by key: lists take the engine longer than all else here, and the first of structs the next longest.
    own = [
        *_first_of("own_header", of_header, f"_kind = {_OWN_HEADER}"),
        *_last_of("own_end", of_end, f"_kind = {_OWN_END}"),
    ]
    other = {"ts": "_ts", "w": '"writer"', "kind": "_kind"}
    other |= {key: f'"{key}"' for key in (*of_header, *of_end)}
    if is_asked_for_status:
        own.append(f'list("process") FILTER (_kind = {_OWN_HEADER}) AS own_makers')
        other["maker"] = '"process"'
    return [*own, f"list({_struct(other)}) FILTER (_kind > {_OWN_END}) AS others"]


def _first_of(name: str, keys: list[str], condition: str, by: str = "min") -> Iterator[str]:
    """Yield SQL for *keys* of the first row that *condition* holds for, and for its time."""
    yield f"{by}(_ts) FILTER ({condition}) AS {name}_ts"
    for key in keys:
        yield f'arg_{by}_null("{key}", _ts) FILTER ({condition}) AS {name}_{key}'


def _last_of(name: str, keys: list[str], condition: str) -> Iterator[str]:
    return _first_of(name, keys, condition, by="max")


def _brought_together(name: str, keys: list[str]) -> str:
    """Return SQL for what `_first_of` gave, as one; NULL if there was no such row."""
    fields = _struct({key: f"{name}_{key}" for key in ("ts", *keys)})
    return f"CASE WHEN {name}_ts IS NOT NULL THEN {fields} END AS {name}"


def _struct(fields: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{name}: {value}" for name, value in fields.items()) + "}"


def _header(keys: list[str]) -> str:
    """Return SQL for the header of a run: that of the process that made the file, or else the first."""
    other = f"CASE WHEN other_header IS NOT NULL THEN {_fields('other_header', keys)} END"
    return f"coalesce(own_header, {other})"


def _ended(keys: list[str]) -> str:
    """Return SQL for the end of a run: of the process whose header is its own, or else the last there is."""
    other = f"CASE WHEN other_end IS NOT NULL THEN {_fields('other_end', keys)} END"
    is_own = (
        "own_header IS NOT NULL OR others IS NULL OR (other_header IS NULL AND own_end.ts >= other_end.ts)"
    )
    last = f"CASE WHEN other_header IS NULL THEN coalesce({other}, own_end) ELSE {other} END"
    return f"CASE WHEN {is_own} THEN own_end ELSE {last} END"


def _fields(struct: str, keys: list[str]) -> str:
    return _struct({key: f"{struct}.{key}" for key in ("ts", *keys)})


def _records_by_kind(lines: str) -> str:
    """Return SQL for those of *lines* whose `run_id` is a text or looks like one, with kind and `ts`."""
    checked = (
        f"CASE WHEN _kind = 0 AND {IS_PLAIN} THEN true "
        f"WHEN {IS_LATER_FORMAT} THEN {missing(Need.LATER_FORMAT)} IS NULL "
        f'WHEN _kind IS NOT NULL AND "run_id" IS NOT NULL THEN {IS_STEP} AND isfinite("ts") ELSE false END'
    )
    kinds = f"SELECT *, {_KIND} AS _kind FROM {lines}"
    return f'SELECT {TYPED}, "ts" AS _ts FROM ({kinds}) {where("true", checked)}'


def _typed_of(struct: str, key: str) -> str:
    if key in NAMES:
        return late(key, struct)
    return typed(key).replace(f'"{key}"', f"{struct}.{key}")


_OPEN_STEPS = f"SELECT {typed('run_id')} AS run_id, count(*) AS open_steps FROM inside.open GROUP BY 1"


def _words(sql: str) -> set[str]:
    """Return the names in *sql*; what stands between single quotes is text."""
    return set(re.findall(r"\w+", re.sub(r"'[^']*'", "", sql)))


_DEAD, _UNKNOWN, _ALIVE = range(3)


def _fate(process: str, met: set[Need]) -> str:
    """Return SQL for what became of the *process* of a header, as `agent_step_log.list_runs` has it."""
    if Need.MACHINE not in met:
        return missing(Need.MACHINE, "INTEGER")
    # Of what is no object there is nothing to extract.
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


def _status(silent_s: float, met: set[Need]) -> str:
    """Return SQL for how a run stands; the rules of `agent_step_log.list_runs`."""
    # Of the processes that began and did not end it; one process ends once.
    own = "CASE WHEN own_end IS NULL THEN own_makers END"
    others = (
        "CASE WHEN len(other_headers) > 0 THEN list_transform(list_filter(other_headers, "
        "lambda h: NOT coalesce(list_contains(list_transform(other_ends, lambda e: e.w), h.w), false)), "
        "lambda h: h.maker) END"
    )
    fate = f"list_max(list_transform(list_concat({own}, {others}), lambda p: {_fate('p', met)}))"
    recent = f"abs(getvariable('_now') - ended_at) < {silent_s}"
    return (
        f"CASE WHEN ended IS NOT NULL THEN coalesce({_typed_of('ended', 'status')}, 'ok') "
        "ELSE (CASE WHEN header IS NULL THEN 'unknown' "
        f"WHEN {fate} > CASE WHEN {recent} THEN {_DEAD} ELSE {_UNKNOWN} END THEN 'running' "
        "ELSE 'interrupted' END) END"
    )
