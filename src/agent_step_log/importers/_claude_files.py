"""Which file of a Claude Code import owns which record.

Files repeat each other: a resumed or forked session begins with a copy of the
first one's history, a compaction may append it once more, a subagent's records
stand in its own file and inside its parent's. A first pass over all files notes
who has what; the second lets each record be counted by its owner alone.

    C4  an API message of the main conversation is not counted again in a sidechain
    C5  a record (its uuid) and an API call (message.id with requestId) have one owner:
        the earliest file, that is, the one whose own records begin first
    C7  a subagent's thread has one place: its own file, else sidechain records, else
        progress records
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any

from agent_step_log.importers._claude_records import (
    FROM_MAIN,
    MAIN,
    Entry,
    is_claude_record,
    parse_entries,
    session_id_of,
)
from agent_step_log.importers._transcripts import Reading, as_dict, as_name, parse_object, read_transcript

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from agent_step_log.importers._transcripts import Line


@dataclass(slots=True)
class Outline:
    """What one transcript file holds, remembered between the two passes."""

    path: Path
    session_id: str
    #: the subagent whose own file this is
    own_agent: str | None
    reading: Reading
    fallback_ts: float
    first_ts: float = 0.0
    #: identity of every record that has one, with its place and time
    identities: list[tuple[str, int, float]] = field(default_factory=list)
    main_messages: set[str] = field(default_factory=set)
    #: the threads beside the main one and where they stand
    places: dict[str, int] = field(default_factory=dict)
    #: its rank among all files, the earliest first
    rank: int = 0

    def read(self) -> list[Entry]:
        """Read the same bytes again: what was appended since belongs to the next import."""
        reading = Reading()
        lines = read_transcript(self.path, reading, stop_at=self.reading.size_bytes)
        return parse_entries(lines, own_agent=self.own_agent, fallback_ts=self.fallback_ts)


def outline_of(path: Path) -> Outline | None:
    """Return the outline of *path*, None if it holds nothing a Claude Code session did.

    Raises:
        MissingExtraError: It is compressed and zstandard is not installed.
        OSError: It cannot be read.
    """
    reading = Reading()
    lines = list(read_transcript(path, reading))
    records = [line.value for line in lines if is_claude_record(line.value)]
    if not records:
        return None
    outline = Outline(path, _session_of(path, records), _own_agent(path, lines), reading, 0.0)
    # The one time left that says anything about a transcript without a single timestamp.
    outline.fallback_ts = float(int(path.stat().st_mtime))
    entries = parse_entries(lines, own_agent=outline.own_agent, fallback_ts=outline.fallback_ts)
    if not says_something(entries):
        return None
    _fill(outline, entries)
    return outline


def says_something(entries: Iterable[Entry]) -> bool:
    """Tell whether there is a run in *entries*: a title or a snapshot alone is none."""
    telling = ("user", "assistant", "system", "progress", "result")
    return any(entry.kind.startswith(telling) for entry in entries)


def stem_of(path: Path) -> str:
    """Return the name of *path* up to its first dot."""
    return path.name.split(".")[0] or path.name


def _session_of(path: Path, records: list[dict[str, Any]]) -> str:
    """Return the session a file is of: the one in its name if its records know it, else their first."""
    stem = stem_of(path)
    named = dict.fromkeys(found for record in records if (found := session_id_of(record)))
    return stem if stem in named else next(iter(named), stem)


def _own_agent(path: Path, lines: Iterable[Line]) -> str | None:
    spoken = [line.value for line in lines if line.value.get("type") in ("user", "assistant")]
    if not spoken or any(value.get("isSidechain") is not True for value in spoken):
        return None
    agents = {as_name(value.get("agentId")) for value in spoken}
    if len(agents) > 1:
        return None
    named = stem_of(path).removeprefix("agent-") if path.name.startswith("agent-") else None
    return agents.pop() or named


def _fill(outline: Outline, entries: list[Entry]) -> None:
    outline.first_ts = min(entry.ts for entry in entries)
    for entry in entries:
        outline.identities.extend((name, entry.place, entry.ts) for name in identities_of(entry))
        if entry.thread != MAIN:
            outline.places[entry.thread] = min(outline.places.get(entry.thread, entry.place), entry.place)
        elif entry.kind == "assistant" and entry.message_id:
            outline.main_messages.add(entry.message_id)


def identities_of(entry: Entry) -> list[str]:
    """Return what a copy of this record would have in common with it."""
    if not entry.is_whole:
        return []
    names = [f"uuid {entry.uuid}"] if entry.uuid else []
    if entry.kind == "assistant" and entry.message_id and entry.request_id:
        names.append(f"call {entry.message_id} {entry.request_id}")
    return names


class Owners:
    """Tells of every record whether the file and place it was met in is where it counts."""

    def __init__(self, outlines: list[Outline]) -> None:
        self.outlines = _ranked(outlines)
        self.main_messages: set[str] = set().union(*(outline.main_messages for outline in outlines))
        self._owner: dict[str, tuple[int, int]] = {}
        self._place: dict[tuple[str, str], int] = {}
        for outline in self.outlines:
            self._claim(outline)

    def _claim(self, outline: Outline) -> None:
        for name, place, _ts in outline.identities:
            claim = (place, outline.rank)
            self._owner[name] = min(self._owner.get(name, claim), claim)
        for thread, place in outline.places.items():
            key = (outline.session_id, thread)
            self._place[key] = min(self._place.get(key, place), place)

    def has_thread(self, session_id: str, thread: str) -> bool:
        """Tell whether a subagent's own records are in this import."""
        return (session_id, thread) in self._place

    def split(self, outline: Outline, entries: Iterable[Entry]) -> tuple[list[Entry], int, int | None]:
        """Return what *outline* owns of one thread's *entries*, the copies, and who owns most of them."""
        kept: list[Entry] = []
        seen: set[str] = set()
        elsewhere: Counter[int] = Counter()
        copies = 0
        for entry in entries:
            owner = self._owner_of(outline, entry)
            uuid = f"uuid {entry.uuid}"
            if owner is None and not (entry.uuid and entry.is_whole and uuid in seen):
                kept.append(entry)
                seen.update({uuid} if entry.is_whole else ())
                continue
            copies += 1
            if owner is not None and owner != outline.rank:
                elsewhere[owner] += 1
        return kept, copies, elsewhere.most_common(1)[0][0] if elsewhere else None

    def _owner_of(self, outline: Outline, entry: Entry) -> int | None:
        """Return the rank of the file that counts *entry*, None if it is here and now."""
        here = (entry.place, outline.rank)
        if entry.place != FROM_MAIN:
            if self._place.get((outline.session_id, entry.thread), entry.place) < entry.place:
                return outline.rank
            if entry.kind == "assistant" and entry.message_id in self.main_messages:
                return outline.rank
        owners = (self._owner.get(name, here) for name in identities_of(entry))
        return next((owner[1] for owner in owners if owner != here), None)


def _ranked(outlines: list[Outline]) -> list[Outline]:
    """Order files by age: a fork has its origin's first time, but its own records begin later."""
    files_with = Counter(name for outline in outlines for name in {item[0] for item in outline.identities})

    sessions = Counter(outline.session_id for outline in outlines if outline.own_agent is None)

    def age(outline: Outline) -> tuple[float, float]:
        own = (ts for name, _place, ts in outline.identities if files_with[name] == 1)
        # With nothing of its own it is what others were copied from, or a copy of an
        # earlier state of the same session.
        is_copy = sessions[outline.session_id] > 1
        return outline.first_ts, min(own, default=inf if is_copy else 0.0)

    ranked = sorted(outlines, key=age)
    for rank, outline in enumerate(ranked):
        outline.rank = rank
    return ranked


def is_companion(path: Path, session_ids: set[str]) -> bool:
    """Tell whether the subagent's file *path* belongs to one of these sessions, from its first records."""
    for count, line in enumerate(read_transcript(path, Reading())):
        if count == 5:
            break
        if session_id_of(line.value) is not None:
            return session_id_of(line.value) in session_ids
    return False


def caller_in_meta(path: Path) -> str | None:
    """Return the tool call that started the subagent whose own file is *path*, from the file beside it."""
    beside = path.with_name(f"{stem_of(path)}.meta.json")
    try:
        if not beside.is_file() or beside.stat().st_size > 1 << 20:
            return None
        value = as_dict(parse_object(beside.read_bytes())[0])
    except OSError:
        return None
    return as_name(value.get("toolUseId"))
