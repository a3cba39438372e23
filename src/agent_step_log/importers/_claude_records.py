"""The records of a Claude Code transcript, checked and told apart: bytes in, entries out.

    record    := {"type": ..., "uuid", "parentUuid", "timestamp", "sessionId", "isSidechain", "agentId", ...}
    user      message.content is a prompt (text or blocks) or holds tool_result blocks
    assistant one line for each content block of one API message, usage repeated on each
    progress  data.type agent_progress wraps a subagent's record in data.message

Records belong to threads. The main thread is the conversation; a subagent's
records form one of their own, wherever they were written: in a file of theirs,
between the lines of the main one (``isSidechain``), or inside progress records.

There is no public description of this format and it changes; nothing here
raises for a field that is missing or has another type.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent_step_log.importers._transcripts import as_dict, as_list, as_name, as_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent_step_log.importers._transcripts import Line

MAIN = ""

#: Where a subagent's record was found; the first of these that has a thread has all of it.
FROM_MAIN, FROM_OWN_FILE, FROM_SIDECHAIN, FROM_PROGRESS = range(4)


@dataclass(slots=True)
class Entry:
    """One record of a transcript."""

    line: int
    #: the type, with its subtype where the type alone says little: "system:turn_duration"
    kind: str
    #: Unix seconds; those of a record before it where it has none
    ts: float
    #: whether the time is its own
    is_timed: bool
    uuid: str | None
    thread: str
    place: int
    message: dict[str, Any]
    raw: dict[str, Any]

    @property
    def request_id(self) -> str | None:
        """The id of the API request an assistant record answers."""
        return as_name(self.raw.get("requestId"))

    @property
    def message_id(self) -> str | None:
        """The id of the API message it is a part of."""
        return as_name(self.message.get("id"))

    @property
    def is_whole(self) -> bool:
        """Whether it says what its type promises; a malformed record owns no uuid."""
        return self.kind not in ("user", "assistant") or isinstance(self.message.get("content"), str | list)

    def blocks(self) -> list[dict[str, Any]]:
        """Return the content blocks of its message; text alone is one block."""
        content = self.message.get("content")
        if isinstance(content, str):
            return [{"type": "text", "text": content}]
        return [block for block in as_list(content) if isinstance(block, dict)]


def is_claude_record(value: dict[str, Any]) -> bool:
    """Tell whether *value* can only be a record of Claude Code."""
    kind = value.get("type")
    if not isinstance(kind, str) or "payload" in value:
        return False
    if kind in ("user", "assistant"):
        return "message" in value
    marks = ("sessionId", "session_id", "leafUuid", "parentUuid", "snapshot")
    return any(mark in value for mark in marks)


def session_id_of(value: dict[str, Any]) -> str | None:
    """Return the session a record names; a stream-json record spells it differently."""
    return as_name(value.get("sessionId")) or as_name(value.get("session_id"))


def parse_entries(lines: Iterable[Line], *, own_agent: str | None, fallback_ts: float) -> list[Entry]:
    """Return the records of one file in order.

    Args:
        lines: The objects of the file.
        own_agent: The subagent whose own file it is, None for a session's file.
        fallback_ts: The time of records in a file that has none at all.
    """
    parser = _Parser(own_agent)
    entries = [entry for line in lines for entry in parser.parse(line)]
    _fill_times(entries, fallback_ts)
    return entries


class _Parser:
    """Follows parent links far enough to tell one unnamed sidechain from another."""

    def __init__(self, own_agent: str | None) -> None:
        self.own_agent = own_agent
        self.thread_of: dict[str, str] = {}

    def parse(self, line: Line) -> Iterator[Entry]:
        value = line.value
        nested = as_dict(value.get("data"))
        agent = as_name(nested.get("agentId"))
        if value.get("type") == "progress" and nested.get("type") == "agent_progress" and agent:
            inner = {**as_dict(nested.get("message"))}
            inner.setdefault("timestamp", value.get("timestamp"))
            inner.setdefault("version", value.get("version"))
            yield _entry(line.number, inner, agent, FROM_PROGRESS)
            # The wrapper stays as well: it alone names the tool call that started the subagent.
            yield _entry(line.number, value, MAIN, FROM_MAIN)
        else:
            thread, place = self._thread(value)
            yield _entry(line.number, value, thread, place)

    def _thread(self, value: dict[str, Any]) -> tuple[str, int]:
        if self.own_agent is not None:
            return self.own_agent, FROM_OWN_FILE
        if value.get("isSidechain") is not True:
            return MAIN, FROM_MAIN
        uuid = as_name(value.get("uuid")) or ""
        parent = self.thread_of.get(as_name(value.get("parentUuid")) or "")
        thread = as_name(value.get("agentId")) or parent or f"side-{uuid[:36]}"
        self.thread_of[uuid] = thread
        return thread, FROM_SIDECHAIN


def _entry(line: int, value: dict[str, Any], thread: str, place: int) -> Entry:
    ts = as_seconds(value.get("timestamp"))
    return Entry(
        line=line,
        kind=_kind(value),
        ts=-1.0 if ts is None else ts,
        is_timed=ts is not None,
        uuid=as_name(value.get("uuid")),
        thread=thread,
        place=place,
        message=as_dict(value.get("message")),
        raw=value,
    )


def _kind(value: dict[str, Any]) -> str:
    kind = as_name(value.get("type")) or "untyped"
    holder = {"system": value, "progress": as_dict(value.get("data")), "attachment": value.get("attachment")}
    if kind not in holder:
        return kind
    detail = as_name(as_dict(holder[kind]).get("subtype" if kind == "system" else "type"))
    return f"{kind}:{detail}" if detail else kind


def _fill_times(entries: list[Entry], fallback_ts: float) -> None:
    """Give an untimed record the time of the one before it; the first ones, of the first timed one."""
    current = next((entry.ts for entry in entries if entry.is_timed), fallback_ts)
    for entry in entries:
        if entry.is_timed:
            current = entry.ts
        else:
            entry.ts = current
