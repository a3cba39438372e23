"""Claude Code sessions as step logs: one run for each session and for each subagent.

Two passes. The first notes what every file holds (`_claude_files`), so that a
record many files repeat is counted once. The second builds the runs
(`_claude_runs`), sessions before the subagents they started, and writes them.
The format is inferred, not published; see `_claude_records` for its shape.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

from agent_step_log.importers._claude_files import (
    Outline,
    Owners,
    caller_in_meta,
    is_companion,
    outline_of,
    says_something,
    stem_of,
)
from agent_step_log.importers._claude_records import FROM_PROGRESS, MAIN, Entry
from agent_step_log.importers._claude_runs import Thread, build_thread
from agent_step_log.importers._report import ImportReport, SkippedFile
from agent_step_log.importers._runs import open_folder, run_id_for
from agent_step_log.importers._saving import FinishedRun, save_run
from agent_step_log.importers._sources import cannot_read, find_claude_code, gather, survey

if TYPE_CHECKING:
    import os
    from pathlib import Path

AGENT = "claude-code"
_KIND = "Claude Code transcript"

_NOTES = (
    "Claude Code does not record its side calls (titles, summaries, token counts): they are in no total.",
    "Output tokens are a lower bound where the transcript has no final count for a call.",
)


def import_claude_code(source: str | os.PathLike[str] | None, into: str | os.PathLike[str]) -> ImportReport:
    """Import Claude Code transcripts as step logs, one file for each session and each subagent.

    Importing again changes nothing but the logs of transcripts that have changed.

    Args:
        source: A transcript (the subagents it started are taken from beside it), a
            directory, or None for where Claude Code keeps them (`find_claude_code`).
        into: The directory of the logs; made if need be.

    Raises:
        ImportSourceError: There is nothing at *source*, or the file named is not a transcript.
        MissingExtraError: A transcript is compressed and zstandard is not installed.
        OSError: A log cannot be written.
    """
    report = ImportReport(AGENT, notes=list(_NOTES))
    roots = find_claude_code() if source is None else []
    paths, named = gather(source, roots, "Claude Code", report)
    outlines = survey(paths, named, report, outline_of, _KIND)
    if named is not None and outlines[0].own_agent is None:
        beside = _companions(named, outlines[0].session_id)
        outlines += survey(beside, None, report, outline_of, _KIND)
    _Import(Owners(outlines), open_folder(into), report).run()
    return report


def _companions(named: Path, session_id: str) -> list[Path]:
    """Return the files of the subagents a session started: in its folder, or beside it in older versions."""
    sessions = {session_id, stem_of(named)}
    inside = sorted(named.with_name(stem_of(named)).rglob("agent-*.jsonl"))
    beside = sorted(named.parent.glob("agent-*.jsonl"))
    found = []
    for path in (*inside, *beside):
        try:
            if path.is_file() and path != named and is_companion(path, sessions):
                found.append(path)
        except OSError:
            continue
    return found


class _Import:
    """The second pass: builds the runs of every file and writes them."""

    def __init__(self, owners: Owners, folder: Path, report: ImportReport) -> None:
        self.owners, self.folder, self.report = owners, folder, report
        self.taken: set[str] = set()
        self.run_of_file: dict[int, str] = {}
        #: of each session: its main run, and where in it a tool call stands
        self.mains: dict[str, tuple[Thread, dict[str, int]]] = {}

    def run(self) -> None:
        """Import sessions first: their subagents need to know which step started them."""
        mains = [outline for outline in self.owners.outlines if outline.own_agent is None]
        agents = [outline for outline in self.owners.outlines if outline.own_agent is not None]
        for outline in (*mains, *agents):
            try:
                entries = outline.read()
            except OSError as error:
                self.report.skipped_files.append(SkippedFile(outline.path, cannot_read(error)))
                continue
            self._import_file(outline, entries)

    def _import_file(self, outline: Outline, entries: list[Entry]) -> None:
        threads: dict[str, list[Entry]] = {}
        for entry in entries:
            threads.setdefault(entry.thread, []).append(entry)
        written = [
            self._import_thread(outline, name, threads[name])
            for name in sorted(threads, key=lambda name: name != MAIN)
        ]
        if not any(written):
            reason = "every record in it is a copy of another transcript's"
            self.report.skipped_files.append(SkippedFile(outline.path, reason))

    def _import_thread(self, outline: Outline, name: str, entries: list[Entry]) -> bool:
        kept, copies, origin = self.owners.split(outline, entries)
        if not says_something(kept):
            return False
        run_id = self._run_id(outline, name, kept)
        thread = build_thread(run_id, kept, lambda agent: self._child_run(outline, agent))
        if name == MAIN:
            self.run_of_file[outline.rank] = run_id
        forked_from = self.run_of_file.get(origin) if origin is not None and name == MAIN else None
        self._save(outline, name, thread, copies, forked_from)
        return True

    def _run_id(self, outline: Outline, name: str, kept: list[Entry]) -> str:
        names = (outline.session_id,) if name == MAIN else (outline.session_id, "agent", name)
        run_id = run_id_for(AGENT, *names)
        if run_id in self.taken:
            # The rest of a session that went on in another directory. Its first record
            # stays the first when the file grows, so the id stays as well.
            first = f"{kept[0].uuid} {kept[0].line} {kept[0].ts}"
            run_id = f"{run_id}-{sha256(first.encode('utf-8', 'replace')).hexdigest()[:8]}"
        self.taken.add(run_id)
        return run_id

    def _child_run(self, outline: Outline, agent: str) -> str | None:
        if not self.owners.has_thread(outline.session_id, agent):
            return None
        return run_id_for(AGENT, outline.session_id, "agent", agent)

    def _save(
        self, outline: Outline, name: str, thread: Thread, copies: int, forked_from: str | None
    ) -> None:
        steps = thread.run.numbered()
        parent = self._parent(outline, name, thread) if name != MAIN else {}
        if name == MAIN:
            self.mains.setdefault(outline.session_id, (thread, _steps_of_tools(steps)))
        elif thread.entries[0].place == FROM_PROGRESS:
            thread.run.note("rebuilt from progress records: the subagent's own transcript is not here")
        done = FinishedRun(
            thread.run,
            steps,
            AGENT,
            source=outline.path,
            reading=outline.reading,
            first_ts=min(entry.ts for entry in thread.entries),
            last_ts=max(entry.ts for entry in thread.entries),
            facts=_facts(outline, name, thread, copies, parent),
            head={
                "agent_version": thread.version,
                "parent_run_id": parent.get("run_id"),
                "parent_step": parent.get("step"),
                "forked_from": {"run_id": forked_from} if forked_from else None,
            },
            status=thread.status,
            error=thread.error,
            is_open=thread.is_in_flight or outline.reading.has_live_tail,
            copied=copies,
            tells_damage=name in (MAIN, outline.own_agent),
        )
        save_run(self.report, self.folder, done)

    def _parent(self, outline: Outline, name: str, thread: Thread) -> dict[str, Any]:
        """Return the run and the step that started a subagent, as far as they can be known (C7)."""
        parent: dict[str, Any] = {"run_id": run_id_for(AGENT, outline.session_id)}
        main = self.mains.get(outline.session_id)
        if main is None:
            return parent
        above, steps = main
        parent["run_id"] = above.run.run_id
        callers = (
            caller_in_meta(outline.path) if outline.own_agent else None,
            above.tool_of_agent.get(name),
            name,  # stream-json names a subagent by the tool call that started it
            above.tool_of_prompt.get(thread.first_prompt or ""),
        )
        caller = next((call_id for call_id in callers if call_id in steps), None)
        if caller is not None:
            parent.update(step=steps[caller], agent_type=above.agent_types.get(caller))
        return parent


def _steps_of_tools(steps: list[Any]) -> dict[str, int]:
    asked = ((getattr(record, "tool_call_id", None), record.step) for record in steps)
    return {call_id: step for call_id, step in asked if call_id is not None}


def _facts(
    outline: Outline, name: str, thread: Thread, copies: int, parent: dict[str, Any]
) -> dict[str, Any]:
    return {
        "session_id": outline.session_id,
        "agent_id": None if name == MAIN else name,
        "agent_type": parent.get("agent_type"),
        **thread.facts,
        "models": thread.run.models() or None,
        "copied_records": copies or None,
        "source": {
            "format": "claude-code",
            "file": outline.path.name,
            "sha256": outline.reading.sha256,
        },
    }
