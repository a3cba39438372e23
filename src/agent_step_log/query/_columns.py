"""The views and their columns: what each holds, in which unit, and where it comes from.

One table for the SQL that makes the views and for `docs/queries.md`, which a test compares with it.

    text    VARCHAR    a string; a number reads as its digits; anything else NULL
    int     BIGINT     a whole number, however it is spelt; NULL beyond 64 bits, and for anything else
    float   DOUBLE     a number, however it is spelt; NULL when it is not finite, and for anything else
    bool    BOOLEAN
    value   JSON       any JSON value, as text
    object, array      JSON    that kind of value; anything else NULL

These are the mercies of `docs/format.md`, "Keys it does not expect".
"""

from __future__ import annotations

from typing import NamedTuple

from agent_step_log._numbers import NUMERAL, WHOLE

__all__ = ["KEYS", "NAMES", "NUMBERS", "VIEWS", "Column", "exactly", "type_of", "typed"]


class Column(NamedTuple):
    """One column of a view.

    Attributes:
        name, type: As SQL has them; type is DuckDB's.
        unit: Of a number: ms, tokens, Unix s, ...; empty for anything that has none.
        about: What it holds.
    """

    name: str
    type: str
    unit: str
    about: str


#: key of a record -> how it is read
KEYS = {
    "run_id": "text",
    "step": "int",
    "type": "text",
    "ts": "float",
    "writer": "text",
    "of": "text",
    "parent": "int",
    "parent_writer": "text",
    "agent": "text",
    "model": "text",
    "tool": "text",
    "name": "text",
    "start_ts": "float",
    "duration_ms": "float",
    "error": "text",
    "error_type": "text",
    "error_frames": "array",
    "input": "value",
    "output": "value",
    "data": "value",
    "attrs": "object",
    "provider": "text",
    "request_model": "text",
    "input_tokens": "int",
    "output_tokens": "int",
    "cache_read_tokens": "int",
    "cache_write_tokens": "int",
    "reasoning_tokens": "int",
    "usage": "object",
    "stop_reason": "text",
    "ttft_ms": "float",
    "request_id": "text",
    "service_tier": "text",
    "attempt": "int",
    "tool_calls": "array",
    "exchange": "value",
    "bounds": "object",
    "tool_call_id": "text",
    "inferred": "bool",
    "degraded": "array",
    "format": "int",
    "agent_version": "text",
    "task_type": "text",
    "environment": "text",
    "metadata": "object",
    "parent_run_id": "text",
    "parent_step": "int",
    "forked_from": "object",
    "process": "object",
    "status": "text",
}

#: The texts that nearly always are the names of things; see `agent_step_log.query._lines`.
NAMES = frozenset(key for key, kind in KEYS.items() if kind == "text" and key != "error")
NUMBERS = frozenset(key for key, kind in KEYS.items() if kind in ("int", "float"))

_TYPES = {
    "text": "VARCHAR",
    "int": "BIGINT",
    "float": "DOUBLE",
    "bool": "BOOLEAN",
    "value": "JSON",
    "object": "JSON",
    "array": "JSON",
}


def type_of(key: str) -> str:
    """Return the SQL type of *key* in the views."""
    return _TYPES[KEYS[key]]


def typed(key: str) -> str:
    """Return SQL for *key* of a row of `inside.typed`."""
    return f'"{key}"' if key in NAMES or key in NUMBERS else exactly(key)


def exactly(key: str) -> str:
    """Return SQL for *key*, its raw JSON being the column of that name."""
    raw = f'"{key}"::VARCHAR'
    match KEYS[key]:
        case "text":
            # By its first byte; a list of them takes the engine longer to plan than a small log to read.
            is_whole = f"NOT contains({raw}, 'e') AND NOT contains({raw}, '.')"
            digits = f"CASE WHEN {is_whole} THEN {raw} ELSE CAST({raw} AS DOUBLE)::VARCHAR END"
            number = f"WHEN {raw} >= '-' AND {raw} < ':' THEN {digits}"
            return f"CASE WHEN starts_with({raw}, '\"') THEN json_extract_string(\"{key}\", '$') {number} END"
        case "int":
            # A cast alone would round 2.5.
            spelt, number = _spelt(key), _number(key)
            return (
                f"CASE WHEN NOT regexp_full_match({spelt}, '{NUMERAL}') THEN {_as_number(key)} "
                f"WHEN regexp_full_match({spelt}, '{WHOLE}') THEN TRY_CAST({spelt} AS BIGINT) "
                f"WHEN {number} = floor({number}) THEN TRY_CAST({number} AS BIGINT) END"
            )
        case "float":
            spelt, number = _spelt(key), _number(key)
            return (
                f"CASE WHEN NOT regexp_full_match({spelt}, '{NUMERAL}') THEN {_as_number(key)} "
                f"WHEN isfinite({number}) THEN {number} END"
            )
        case "bool":
            return f"CASE {raw} WHEN 'true' THEN true WHEN 'false' THEN false END"
        case "object":
            return f"CASE WHEN starts_with({raw}, '{{') THEN \"{key}\" END"
        case "array":
            return f"CASE WHEN starts_with({raw}, '[') THEN \"{key}\" END"
        case _:
            return f'"{key}"'


def _spelt(key: str) -> str:
    """Return SQL for the text that may spell a number: a string's own, or the raw JSON."""
    return f"json_extract_string(\"{key}\", '$')"


def _number(key: str) -> str:
    return f"TRY_CAST({_spelt(key)} AS DOUBLE)"


def _as_number(key: str) -> str:
    return f"CASE \"{key}\"::VARCHAR WHEN 'true' THEN 1 WHEN 'false' THEN 0 END"


def _of(key: str, unit: str, about: str) -> Column:
    return Column(key, type_of(key), unit, about)


_RUN_ID = _of("run_id", "", "the run it belongs to")
_STEP = _of("step", "", "its number, from 1 in the order steps started, for each writer")
_WRITER = _of("writer", "", "the process that wrote it; NULL: the one that created the file")
_TS = _of("ts", "Unix s", "when the line was written")
_AGENT = _of("agent", "", "the agent whose step this is")
_NAME = _of("name", "", "the model, tool or agent; NULL where the record does not say")
_PARENT = (
    _of("parent", "", "number of the enclosing step"),
    _of("parent_writer", "", 'the writer of that number, if another; "" is the one that created the file'),
)
_ERROR = (
    _of("error", "", "the message of what went wrong; NULL when all went well"),
    _of("error_type", "", "the exception's class"),
    _of("error_frames", "", "frames of its traceback: file, line, function, code"),
)
_ATTRS = _of("attrs", "", "the user's own key-values")
_DEGRADED = _of("degraded", "", "why a value is not what was recorded, see the format")
_RUN_LEVEL = (
    Column("task_type", "VARCHAR", "", "of its run's header: the kind of work"),
    Column("environment", "VARCHAR", "", "of its run's header: where it ran"),
    Column("agent_version", "VARCHAR", "", "of its run's header"),
    Column("day", "VARCHAR", "", "the date of `ts` in the local zone (`$TZ`), YYYY-MM-DD"),
)
_COMMON = (
    _RUN_ID,
    _STEP,
    _WRITER,
    Column("type", "VARCHAR", "", "llm_call, tool_call or agent_call; in flight: what it was to become"),
    _TS,
    Column("start_ts", "DOUBLE", "Unix s", "when it began: as recorded, or else `ts` less `duration_ms`"),
    *_PARENT,
    _AGENT,
    _NAME,
    _of("duration_ms", "ms", "how long it took; NULL: not known, or in flight"),
    Column("status", "VARCHAR", "", "ok, error; in `steps` also in_flight (begun, and no ending)"),
    *_ERROR,
    _of("input", "", "what went in"),
    _of("output", "", "what came out"),
    _ATTRS,
    _DEGRADED,
    _of("bounds", "", "figures that are only a bound: key to lower or upper"),
)
_LLM = (
    _of("model", "", "the model that answered; in flight: the one asked"),
    _of("provider", "", "who served it"),
    _of("request_model", "", "the model asked for, where another one answered"),
    _of("input_tokens", "tokens", "the whole prompt, cached parts included; NULL: not known"),
    _of("output_tokens", "tokens", "the answer, reasoning included; NULL: not known"),
    _of("cache_read_tokens", "tokens", "part of `input_tokens`"),
    _of("cache_write_tokens", "tokens", "part of `input_tokens`"),
    _of("reasoning_tokens", "tokens", "part of `output_tokens`"),
    _of("stop_reason", "", "why it stopped, in the provider's word"),
    _of("ttft_ms", "ms", "to the first token or chunk"),
    _of("request_id", "", "the provider's id of the request"),
    _of("service_tier", "", "what the provider says it was served as"),
    _of("attempt", "", "which try it was, from 1"),
    _of("usage", "", "the provider's own usage object"),
    _of("tool_calls", "", "what the model asked for: id, name"),
    _of("exchange", "", "its place on the tape"),
)
_TOOL = (
    _of("tool", "", "the tool"),
    _of("tool_call_id", "", "the id by which the model asked for it"),
    _of("inferred", "", "true: worked out from other records, not observed"),
)
_TOLD = "sum over the model calls that told; NULL when none did"

#: view -> its columns, in order
VIEWS: dict[str, tuple[Column, ...]] = {
    "runs": (
        Column("run_id", "VARCHAR", "", "the run"),
        Column("status", "VARCHAR", "", "ok, error, cancelled, interrupted, running or unknown (no header)"),
        Column("agent", "VARCHAR", "", "of its header"),
        Column("agent_version", "VARCHAR", "", "of its header"),
        Column("task_type", "VARCHAR", "", "of its header: the kind of work it was given"),
        Column("environment", "VARCHAR", "", "of its header: where it ran"),
        Column("metadata", "JSON", "", "of its header"),
        Column("parent_run_id", "VARCHAR", "", "the run it was started from"),
        Column("parent_step", "BIGINT", "", "and the step of it"),
        Column("forked_from", "JSON", "", "the recorded run it departed from"),
        Column("started_at", "DOUBLE", "Unix s", "`ts` of its first record"),
        Column("ended_at", "DOUBLE", "Unix s", "`ts` of its last record so far"),
        Column("duration_ms", "DOUBLE", "ms", "from the first record to the last"),
        Column("steps", "BIGINT", "", "llm, tool and agent calls, those in flight too"),
        Column("llm_calls", "BIGINT", "", "model calls ended"),
        Column("tool_calls", "BIGINT", "", "tool calls ended"),
        Column("agent_calls", "BIGINT", "", "nested agents ended"),
        Column("events", "BIGINT", "", "events"),
        Column("errors", "BIGINT", "", "steps that ended with an error"),
        Column("input_tokens", "BIGINT", "tokens", _TOLD),
        Column("output_tokens", "BIGINT", "tokens", _TOLD),
        Column("total_tokens", "BIGINT", "tokens", "`input_tokens` and `output_tokens` together"),
        Column("cache_read_tokens", "BIGINT", "tokens", _TOLD),
        Column("cache_write_tokens", "BIGINT", "tokens", _TOLD),
        Column("reasoning_tokens", "BIGINT", "tokens", _TOLD),
        Column(
            "tokens_known",
            "BOOLEAN",
            "",
            "every model call told input and output; else sums are lower bounds",
        ),
        Column("p50_ms", "DOUBLE", "ms", "median duration of its model and tool calls, interpolated"),
        Column("p95_ms", "DOUBLE", "ms", "95th percentile of the same"),
        Column("error", "VARCHAR", "", "the message of what ended it"),
        Column("error_type", "VARCHAR", "", "the exception's class"),
        Column("error_frames", "JSON", "", "frames of its traceback"),
        Column("models", "VARCHAR[]", "", "models that answered, sorted"),
        Column("tools", "VARCHAR[]", "", "tools called, sorted"),
        Column("path", "VARCHAR", "", "the file its first record is in, absolute"),
        Column("host", "VARCHAR", "", "machine of the process that began it"),
        Column("pid", "BIGINT", "", "id of that process"),
        Column("day", "VARCHAR", "", "the date of `started_at` in the local zone (`$TZ`), YYYY-MM-DD"),
    ),
    "steps": (*_COMMON, *_LLM, *_TOOL, *_RUN_LEVEL),
    "llm_calls": (*_COMMON, *_LLM, *_RUN_LEVEL),
    "tool_calls": (*_COMMON, *_TOOL, *_RUN_LEVEL),
    "agent_calls": (*_COMMON, *_RUN_LEVEL),
    "events": (
        _RUN_ID,
        _STEP,
        _WRITER,
        _TS,
        Column("name", "VARCHAR", "", "what happened"),
        _of("data", "", "and its particulars"),
        *_PARENT,
        _AGENT,
        _ATTRS,
        _DEGRADED,
        *_RUN_LEVEL,
    ),
    "errors": (
        _RUN_ID,
        _STEP,
        _WRITER,
        Column("type", "VARCHAR", "", "llm_call, tool_call, agent_call; run_end for the run's own"),
        _TS,
        _AGENT,
        _NAME,
        _of("duration_ms", "ms", "how long the step took"),
        *_ERROR,
        _of("input", "", "what went into the step"),
        _ATTRS,
        *_RUN_LEVEL,
    ),
    "records": (
        _RUN_ID,
        _STEP,
        _WRITER,
        Column("type", "VARCHAR", "", "any type, unknown ones too"),
        _TS,
        Column("path", "VARCHAR", "", "the file it is in, absolute"),
    ),
}
