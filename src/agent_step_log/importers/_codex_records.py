"""The records of a Codex rollout, checked: bytes in, entries out.

    rollout := {"timestamp", "type", "payload"}*     the file Codex keeps
    stream  := {"type": "thread.started" | "turn.*" | "item.*" | "error", ...}*
               what ``codex exec --json`` prints: no times, no ids of calls

The two are told apart by their first record. A rollout's `payload` has a type
of its own; `kind` joins the two: ``event_msg:token_count``.

A fork or a subagent begins with a copy of its parent's history, written with new
times. Its `turn_id`s stay what they were, and so do its counters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agent_step_log.importers._transcripts import Reading, as_dict, as_name, as_seconds, read_transcript

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from agent_step_log.importers._transcripts import Line

_ROLLOUT_TYPES = {
    "compacted",
    "event_msg",
    "inter_agent_communication",
    "inter_agent_communication_metadata",
    "response_item",
    "session_meta",
    "token_usage_record",
    "turn_context",
    "world_state",
}
_STREAM_PREFIXES = ("thread.", "turn.", "item.")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")


@dataclass(slots=True)
class Entry:
    """One record of a rollout or a stream."""

    line: int
    kind: str
    #: Unix seconds; those of a record before it where it has none
    ts: float
    is_timed: bool
    payload: dict[str, Any]


@dataclass(slots=True)
class Outline:
    """What one file holds, remembered between the two passes."""

    path: Path
    reading: Reading
    thread_id: str
    is_stream: bool
    fallback_ts: float
    parent_id: str | None = None
    #: the parent started it as a subagent; False: it is a fork
    is_subagent: bool = False
    turn_ids: set[str] = field(default_factory=set)
    vectors: set[tuple[int, ...]] = field(default_factory=set)
    records: int = 0

    def read(self) -> list[Entry]:
        """Read the same bytes again: what was appended since belongs to the next import."""
        lines = read_transcript(self.path, Reading(), stop_at=self.reading.size_bytes)
        return parse_entries(lines, is_stream=self.is_stream, fallback_ts=self.fallback_ts)


def dialect_of(value: dict[str, Any]) -> str | None:
    """Return which of the two dialects *value* can only be a record of, None for neither."""
    kind = value.get("type")
    if not isinstance(kind, str):
        return None
    if isinstance(value.get("payload"), dict) and (kind in _ROLLOUT_TYPES or "timestamp" in value):
        return "rollout"
    return "stream" if kind.startswith(_STREAM_PREFIXES) else None


def parse_entries(lines: Iterable[Line], *, is_stream: bool, fallback_ts: float) -> list[Entry]:
    """Return the records of one file in order, every one with a time."""
    entries = [_stream_entry(line) if is_stream else _rollout_entry(line) for line in lines]
    current = next((entry.ts for entry in entries if entry.is_timed), fallback_ts)
    for entry in entries:
        if entry.is_timed:
            current = entry.ts
        else:
            entry.ts = current
    return entries


def _rollout_entry(line: Line) -> Entry:
    payload = as_dict(line.value.get("payload"))
    kind, inner = as_name(line.value.get("type")) or "untyped", as_name(payload.get("type"))
    ts = as_seconds(line.value.get("timestamp"))
    joined = f"{kind}:{inner}" if inner and kind in ("event_msg", "response_item") else kind
    return Entry(line.number, joined, -1.0 if ts is None else ts, ts is not None, payload)


def _stream_entry(line: Line) -> Entry:
    ts = as_seconds(line.value.get("timestamp"))
    kind = as_name(line.value.get("type")) or "untyped"
    return Entry(line.number, kind, -1.0 if ts is None else ts, ts is not None, line.value)


def turn_id_of(entry: Entry) -> str | None:
    """Return the turn an entry opens or names."""
    return as_name(entry.payload.get("turn_id"))


def thread_in_name(path: Path) -> str:
    """Return the thread a rollout's file name ends in, or the name itself."""
    stem = path.name.removesuffix(".zst").removesuffix(".jsonl").removesuffix(".json")
    found = _UUID.search(stem)
    return found.group() if found else stem


def time_in_uuid(name: str) -> float | None:
    """Return the Unix seconds a version 7 UUID was made at, None for any other name."""
    if not _UUID.fullmatch(name) or name[14] != "7":
        return None
    return int(name.replace("-", "")[:12], 16) / 1000


def parent_of(meta: dict[str, Any]) -> tuple[str | None, bool]:
    """Return the thread a session_meta says this one came from, and whether as its subagent."""
    spawn = as_dict(as_dict(as_dict(meta.get("source")).get("subagent")).get("thread_spawn"))
    if parent := as_name(spawn.get("parent_thread_id")):
        return parent, True
    return as_name(meta.get("forked_from_id")), False
