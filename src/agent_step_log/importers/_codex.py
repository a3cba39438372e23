"""Codex threads as step logs: one run for each thread, subagents' and forks' too.

Two passes. The first notes the turns and counters of every rollout, so that a
fork's copy of its parent's history can be told from what it did itself (X3).
The second builds the runs, parents before children, and writes them.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from agent_step_log.importers._codex_exec import build_stream
from agent_step_log.importers._codex_records import (
    Entry,
    Outline,
    dialect_of,
    parent_of,
    parse_entries,
    thread_in_name,
    time_in_uuid,
    turn_id_of,
)
from agent_step_log.importers._codex_rollout import Thread, build_rollout
from agent_step_log.importers._codex_usage import Meter, vector_of
from agent_step_log.importers._report import ImportReport, SkippedFile
from agent_step_log.importers._runs import open_folder, run_id_for
from agent_step_log.importers._saving import FinishedRun, save_run
from agent_step_log.importers._sources import cannot_read, find_codex, gather, survey
from agent_step_log.importers._transcripts import Reading, as_dict, as_name, read_transcript

if TYPE_CHECKING:
    import os
    from pathlib import Path

AGENT = "codex"

_NOTES = ("A token count covers a whole loop step of Codex: no single message or tool call has tokens.",)


def import_codex(source: str | os.PathLike[str] | None, into: str | os.PathLike[str]) -> ImportReport:
    """Import Codex rollouts and ``codex exec --json`` output as step logs, one file for each thread.

    Importing again changes nothing but the logs of rollouts that have changed.

    Args:
        source: A rollout, a directory, or None for where Codex keeps them (`find_codex`).
        into: The directory of the logs; made if need be.

    Raises:
        ImportSourceError: There is nothing at *source*, or the file named is not a rollout.
        MissingExtraError: A rollout is compressed and zstandard is not installed.
        OSError: A log cannot be written.
    """
    report = ImportReport(AGENT, notes=list(_NOTES))
    paths, named = gather(source, find_codex() if source is None else [], "Codex", report)
    outlines = survey(_without_packed_twins(paths), named, report, outline_of, "Codex rollout")
    _Import(_one_for_each_thread(outlines, report), open_folder(into), report).run()
    return report


def _without_packed_twins(paths: list[Path]) -> list[Path]:
    """Leave out a rollout that is there uncompressed as well."""
    plain = set(paths)
    return [path for path in paths if path.suffix != ".zst" or path.with_suffix("") not in plain]


def outline_of(path: Path) -> Outline | None:
    """Return the outline of *path*, None if it holds no record of Codex.

    Raises:
        MissingExtraError: It is compressed and zstandard is not installed.
        OSError: It cannot be read.
    """
    reading = Reading()
    lines = list(read_transcript(path, reading))
    dialect = next((found for line in lines if (found := dialect_of(line.value))), None)
    if dialect is None:
        return None
    is_stream = dialect == "stream"
    outline = Outline(path, reading, thread_in_name(path), is_stream, 0.0, records=len(lines))
    entries = parse_entries(lines, is_stream=is_stream, fallback_ts=0.0)
    _fill(outline, entries)
    born = time_in_uuid(outline.thread_id)
    outline.fallback_ts = float(int(path.stat().st_mtime)) if born is None else born
    return outline


def _fill(outline: Outline, entries: list[Entry]) -> None:
    key = "thread_id" if outline.is_stream else "id"
    heads = (entry.payload for entry in entries if entry.kind in ("session_meta", "thread.started"))
    head = next(heads, {})
    outline.thread_id = as_name(head.get(key)) or outline.thread_id
    outline.parent_id, outline.is_subagent = parent_of(head)
    for entry in entries:
        if turn := turn_id_of(entry):
            outline.turn_ids.add(turn)
        if vector := vector_of(_total_in(entry)):
            outline.vectors.add(vector)


def _total_in(entry: Entry) -> Any:
    return as_dict(entry.payload.get("info")).get("total_token_usage")


def _one_for_each_thread(outlines: list[Outline], report: ImportReport) -> list[Outline]:
    """Keep the fullest file of each thread: a copy or an archived beginning is no run of its own."""
    chosen: dict[str, Outline] = {}
    for outline in sorted(outlines, key=lambda outline: (-outline.records, str(outline.path))):
        kept = chosen.setdefault(outline.thread_id, outline)
        if kept is not outline:
            reason = f"the same thread as {kept.path.name}, which has as many records or more"
            report.skipped_files.append(SkippedFile(outline.path, reason))
    return _parents_first(chosen)


def _parents_first(chosen: dict[str, Outline]) -> list[Outline]:
    def depth(outline: Outline) -> int:
        seen: set[str] = set()
        at: Outline | None = outline
        while at is not None and at.thread_id not in seen:
            seen.add(at.thread_id)
            at = chosen.get(at.parent_id or "")
        return len(seen)

    return sorted(chosen.values(), key=lambda outline: (depth(outline), outline.thread_id))


def cut_history(entries: list[Entry], parent: Outline) -> int:
    """Return how many of a fork's *entries* are its parent's history, copied (X3).

    Told by the turns the parent has as well; in older versions, which do not name
    their turns, by counts that are the parent's to the last number. The cut then
    lies before the next prompt, because history is copied by whole turns.
    """
    start = 1 if entries and entries[0].kind == "session_meta" else 0
    own_turn = _first_own_turn(entries, parent.turn_ids)
    if own_turn is not None and any(turn_id_of(entry) in parent.turn_ids for entry in entries[:own_turn]):
        return own_turn
    if own_turn is None and any(turn_id_of(entry) in parent.turn_ids for entry in entries):
        return len(entries)
    matched = _last_matched_count(entries, parent.vectors)
    if matched is None:
        return start
    return next((at for at in range(matched + 1, len(entries)) if _is_prompt(entries[at])), matched + 1)


def _first_own_turn(entries: list[Entry], shared: set[str]) -> int | None:
    named = ((at, turn_id_of(entry)) for at, entry in enumerate(entries))
    return next((at for at, turn in named if turn is not None and turn not in shared), None)


def _last_matched_count(entries: list[Entry], vectors: set[tuple[int, ...]]) -> int | None:
    matched = None
    for at, entry in enumerate(entries):
        vector = vector_of(_total_in(entry))
        if vector is not None:
            if vector not in vectors:
                break
            matched = at
    return matched


def _is_prompt(entry: Entry) -> bool:
    is_item = entry.kind == "response_item:message" and entry.payload.get("role") == "user"
    return is_item or entry.kind in ("event_msg:user_message", "event_msg:task_started")


class _Import:
    """The second pass: builds the run of every thread and writes it."""

    def __init__(self, outlines: list[Outline], folder: Path, report: ImportReport) -> None:
        self.outlines, self.folder, self.report = outlines, folder, report
        self.by_thread = {outline.thread_id: outline for outline in outlines}
        #: of each thread built: the step that started each subagent
        self.spawn_steps: dict[str, dict[str, int]] = {}

    def run(self) -> None:
        """Import every thread; a parent comes before its children."""
        for outline in self.outlines:
            try:
                entries = outline.read()
            except OSError as error:
                self.report.skipped_files.append(SkippedFile(outline.path, cannot_read(error)))
                continue
            self._import(outline, entries)

    def _import(self, outline: Outline, entries: list[Entry]) -> None:
        run_id = run_id_for(AGENT, outline.thread_id)
        if outline.is_stream:
            self._save(outline, build_stream(run_id, entries), 0)
            return
        copied, meter = self._inherited(outline, entries)
        head = [entry for entry in islice(entries, 1) if entry.kind == "session_meta" and copied]
        own = [*head, *entries[copied:]] or entries[:1]
        thread = build_rollout(run_id, outline.thread_id, own, meter, self.by_thread.__contains__)
        if outline.parent_id is not None and outline.parent_id not in self.by_thread:
            _mark_unverified(thread)
        if meter.has_fallen:
            thread.run.note("the running total of tokens falls: the sums of this run are left out")
        self._save(outline, thread, max(copied - len(head), 0))

    def _inherited(self, outline: Outline, entries: list[Entry]) -> tuple[int, Meter]:
        """Return how many records are the parent's, and a meter that knows where its counts ended."""
        meter = Meter()
        parent = self.by_thread.get(outline.parent_id or "")
        if parent is None or parent is outline:
            return 0, meter
        copied = cut_history(entries, parent)
        for entry in entries[:copied]:
            meter.inherit(entry.payload.get("info"))
        return copied, meter

    def _save(self, outline: Outline, thread: Thread, copied: int) -> None:
        steps = thread.run.numbered()
        self.spawn_steps[outline.thread_id] = _spawn_steps(thread, steps)
        done = FinishedRun(
            thread.run,
            steps,
            AGENT,
            source=outline.path,
            reading=outline.reading,
            first_ts=min(entry.ts for entry in thread.entries),
            last_ts=max(entry.ts for entry in thread.entries),
            facts=_facts(outline, thread, copied),
            head={"agent_version": thread.version, **self._origin(outline)},
            status=thread.status,
            error=thread.error,
            is_open=thread.is_in_flight or outline.reading.has_live_tail,
            copied=copied,
            has_sums=not thread.meter.has_fallen,
        )
        save_run(self.report, self.folder, done)

    def _origin(self, outline: Outline) -> dict[str, Any]:
        """Return where a run comes from, as keys of its header."""
        if outline.parent_id is None:
            return {}
        parent = run_id_for(AGENT, outline.parent_id)
        if not outline.is_subagent:
            return {"forked_from": {"run_id": parent}}
        step = self.spawn_steps.get(outline.parent_id, {}).get(outline.thread_id)
        return {"parent_run_id": parent, "parent_step": step}


def _spawn_steps(thread: Thread, steps: list[Any]) -> dict[str, int]:
    step_of = {getattr(record, "tool_call_id", None): record.step for record in steps}
    return {child: step_of[call] for child, call in thread.spawned.items() if call in step_of}


def _mark_unverified(thread: Thread) -> None:
    """Mark what may be the history of a parent that is not here (X3)."""
    thread.run.note("its parent's rollout is not here: some of what it counts may be the parent's")
    for placed in thread.run.placed:
        record = placed.record
        for name in ("input_tokens", "output_tokens"):
            if record.type == "llm_call" and getattr(record, name) is not None:
                record.bounds = {**(record.bounds or {}), name: "upper"}  # type: ignore[union-attr]


def _facts(outline: Outline, thread: Thread, copied: int) -> dict[str, Any]:
    return {
        "session_id": outline.thread_id,
        **thread.facts,
        "models": thread.run.models() or None,
        "copied_records": copied or None,
        "source": {
            "format": "codex-exec-json" if outline.is_stream else "codex-rollout",
            "file": outline.path.name,
            "sha256": outline.reading.sha256,
        },
    }
