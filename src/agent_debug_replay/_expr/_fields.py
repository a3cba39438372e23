"""The fields of the expression language: what each is, and where it is read.

A field of the table costs an array access; a field of the record is read from the log when
it is asked for.
"""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from agent_debug_replay._table import CUT_OFF, ERROR, IN_FLIGHT, RETRY, UNKNOWN

if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable

    from agent_debug_replay._expr._lexer import Path
    from agent_debug_replay._replay import Replay
    from agent_step_log import Record

__all__ = ["FIELDS", "MISSING", "PATHS", "FieldInfo", "Missing", "into", "reader_of", "text_column"]


class Missing:
    """What a field is that a step does not have; equal to nothing, not even to itself in an expression."""

    def __repr__(self) -> str:
        return "missing"

    def __bool__(self) -> bool:
        return False


#: Stands for a field that a step does not have.
MISSING = Missing()


class FieldInfo(NamedTuple):
    """One field of the language.

    Attributes:
        name: As it is written.
        meaning: One line, with its unit.
        home: table (costs nothing), record (read from the log where it is needed), or cost.
        has_paths: Whether ``name.key`` and ``name[0]`` lead into it.
    """

    name: str
    meaning: str
    home: Literal["table", "record", "cost"] = "table"
    has_paths: bool = False


FIELDS: dict[str, FieldInfo] = {
    info.name: info
    for info in (
        FieldInfo("type", "llm_call, tool_call, agent_call, event, or a type of a later version"),
        FieldInfo("name", "the model, tool, agent or event"),
        FieldInfo("tool", "the tool of a tool_call"),
        FieldInfo("model", "the model of an llm_call"),
        FieldInfo("event", "the name of an event"),
        FieldInfo("agent", "the agent whose step it is: its own, or that of the nearest step above it"),
        FieldInfo("step", "its number"),
        FieldInfo("row", "its place in the list, from 0"),
        FieldInfo("writer", "the writer, where it is not the one that created the log"),
        FieldInfo("depth", "how many steps stand above it"),
        FieldInfo("status", "ok, error or in_flight"),
        FieldInfo("in_flight", "true where its ending was not recorded; else missing"),
        FieldInfo("time", "milliseconds from the beginning of the run to its own"),
        FieldInfo("ts", "Unix seconds when it began"),
        FieldInfo("duration", "milliseconds it took, as measured; also ms"),
        FieldInfo("ms", "the same as duration"),
        FieldInfo(
            "gap", "milliseconds between the end of the row before and its beginning; 0 if they overlap"
        ),
        FieldInfo("tokens", "input_tokens and output_tokens together; missing when either is not known"),
        FieldInfo("input_tokens", "the whole prompt, cached parts included"),
        FieldInfo("output_tokens", "the answer, reasoning included"),
        FieldInfo("cache_read_tokens", "part of input_tokens"),
        FieldInfo("cache_write_tokens", "part of input_tokens"),
        FieldInfo("reasoning_tokens", "part of output_tokens"),
        FieldInfo("stop_reason", "why the answer ended, in the provider's word"),
        FieldInfo("truncated", "true where the answer ended at a limit; else missing"),
        FieldInfo("retry", "true where it was not the first attempt; else missing"),
        FieldInfo("error_type", "the class of the error"),
        FieldInfo("size", "bytes of its lines in the log"),
        FieldInfo("error", "the message of the error; missing where all went well", "record"),
        FieldInfo("input", "what went in", "record", has_paths=True),
        FieldInfo("output", "what came out", "record", has_paths=True),
        FieldInfo("data", "the data of an event", "record", has_paths=True),
        FieldInfo("attrs", "the user's own keys", "record", has_paths=True),
        FieldInfo("usage", "the provider's own usage object", "record", has_paths=True),
        FieldInfo("tool_calls", "what the model asked for: id and name of each", "record", has_paths=True),
        FieldInfo("error_frames", "frames of the traceback, outermost first", "record", has_paths=True),
        FieldInfo("provider", "who served the call", "record"),
        FieldInfo("request_model", "the model asked for, where another one answered", "record"),
        FieldInfo("request_id", "the provider's id of the request", "record"),
        FieldInfo("tool_call_id", "the id by which the model asked for it", "record"),
        FieldInfo("attempt", "which try it was, from 1, where it is told", "record"),
        FieldInfo("ttft", "milliseconds to the first token", "record"),
        FieldInfo("exchange", "its place on the tape", "record", has_paths=True),
        FieldInfo("record", "the whole record, as the log has it", "record", has_paths=True),
        FieldInfo("cost", "US dollars; missing where no price or no usage is known", "cost"),
    )
}

PATHS = frozenset(name for name, info in FIELDS.items() if info.has_paths)

_MOST_JSON = 16 * 1024 * 1024  # characters of a text that is looked into

_KINDS = {"tool": "tool_call", "model": "llm_call", "event": "event"}
_TEXTS = {
    "type": "kind",
    "name": "name",
    "agent": "scope",
    "stop_reason": "stop_reason",
    "error_type": "error_type",
    "writer": "writer",
}
_COUNTS = frozenset(
    {"input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens"}
)
_FLAGS = {"in_flight": IN_FLIGHT, "truncated": CUT_OFF, "retry": RETRY}


def text_column(name: str, replay: Replay) -> tuple[array[int], int] | None:
    """Return the column a text field stands in, and the number of the only kind that has it (0: any)."""
    table = replay.table
    if name in _KINDS:
        kind = table.strings.find(_KINDS[name])
        return table.name, -1 if kind is None else kind
    column: array[int] | None = getattr(table, _TEXTS[name]) if name in _TEXTS else None
    return None if column is None else (column, 0)


def reader_of(name: str, path: Path, replay: Replay) -> Callable[[int], Any]:
    """Return what reads a field of a row: a value as JSON has them, or `MISSING`."""
    info = FIELDS[name]
    if info.home == "cost":
        return _cost(replay)
    if info.home == "record":
        return _record_reader(name, path, replay)
    return _table_reader(name, replay)


def _table_reader(name: str, replay: Replay) -> Callable[[int], Any]:
    table = replay.table
    texts = table.strings.texts
    if (found := text_column(name, replay)) is not None:
        column, kind = found
        kinds = table.kind

        def text(row: int) -> Any:
            if kind and kinds[row] != kind:
                return MISSING
            value = texts[column[row]]
            return MISSING if value is None else value

        return text
    if name in _COUNTS:
        counts: array[int] = getattr(table, name)

        def count(row: int) -> Any:
            value = counts[row]
            return MISSING if value == UNKNOWN else value

        return count
    if name in _FLAGS:
        bit, flags = _FLAGS[name], table.flags
        return lambda row: True if flags[row] & bit else MISSING
    return _worked_out(name, replay)


def _worked_out(name: str, replay: Replay) -> Callable[[int], Any]:
    table = replay.table
    start, duration, flags = table.start, table.duration, table.flags
    if name in ("duration", "ms"):
        return lambda row: MISSING if isnan(duration[row]) else duration[row]
    if name == "step":
        return table.step.__getitem__
    if name == "row":
        return lambda row: row
    if name == "depth":
        return table.depth.__getitem__
    if name == "ts":
        return start.__getitem__
    if name == "time":
        origin = replay.started_at
        return lambda row: (start[row] - origin) * 1000
    if name == "status":
        return lambda row: "error" if flags[row] & ERROR else "in_flight" if flags[row] & IN_FLIGHT else "ok"
    if name == "size":
        return lambda row: max(table.length[row], 0) + max(table.begin_length[row], 0)
    if name == "tokens":
        into, out = table.input_tokens, table.output_tokens
        return lambda row: MISSING if into[row] == UNKNOWN or out[row] == UNKNOWN else into[row] + out[row]
    assert name == "gap"

    def gap(row: int) -> Any:
        if not row:
            return MISSING
        took = duration[row - 1]
        parent_began_before = table.parent[row] == row - 1
        ended = start[row - 1] + (0.0 if isnan(took) or parent_began_before else max(took, 0.0) / 1000)
        return max((start[row] - ended) * 1000, 0.0)

    return gap


def _record_reader(name: str, path: Path, replay: Replay) -> Callable[[int], Any]:
    table = replay.table
    read = _READS.get(name) or (lambda record: getattr(record, name))

    def value(row: int) -> Any:
        # Nine steps in ten went well, and that needs no look at the log.
        if name == "error" and not table.flags[row] & ERROR:
            return MISSING
        payload = replay.payload(row)
        found = read(payload.record)
        if found is None and name in ("input", "data", "attrs", "tool_call_id") and payload.begin is not None:
            found = read(payload.begin)
        if found is None and not path:
            raw = getattr(payload.record, f"{name}_json", None)
            return None if raw is not None and bytes(raw) else MISSING
        return into(found, path)

    return value


_READS: dict[str, Callable[[Record], Any]] = {
    "ttft": lambda record: record.ttft_ms,
    "record": lambda record: record.to_dict(),
}


def into(value: Any, path: Path) -> Any:
    """Return what *path* leads to in *value*; `MISSING` where it leads nowhere.

    A text on the way that is JSON, as the output of many tools is, is entered as what it stands for.
    """
    for part in path:
        if isinstance(value, str):
            value = _written_in(value)
        if isinstance(value, dict) and str(part) in value:
            value = value[str(part)]
        elif isinstance(value, list) and _is_index(part, len(value)):
            value = value[int(part)]
        else:
            return MISSING
    return value


def _written_in(text: str) -> Any:
    """Return the object or list that *text* is the JSON of; `MISSING` for any other text."""
    import msgspec

    if len(text) > _MOST_JSON or text[:64].lstrip()[:1] not in ("{", "["):
        return MISSING
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return MISSING


def _is_index(part: str | int, size: int) -> bool:
    if isinstance(part, str) and not (part.isascii() and part.isdigit() and len(part) < 10):
        return False
    return -size <= int(part) < size


def _cost(replay: Replay) -> Callable[[int], Any]:
    def cost(row: int) -> Any:
        value = replay.cost_usd(row)
        return MISSING if value is None else float(value)

    return cost
