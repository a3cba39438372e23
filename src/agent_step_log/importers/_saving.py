"""The last step of every import: a finished run becomes a file and a line of the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent_step_log.importers._report import ImportedSession, ImportReport
from agent_step_log.importers._runs import TOKEN_FIELDS, Run, run_end, run_start, sums_of, write_log

if TYPE_CHECKING:
    from pathlib import Path

    from agent_step_log.importers._runs import StepRecord
    from agent_step_log.importers._transcripts import Reading


@dataclass(slots=True)
class FinishedRun:
    """A run and what its head, its end and the report say about it."""

    run: Run
    steps: list[StepRecord]
    agent: str
    source: Path
    reading: Reading
    first_ts: float
    last_ts: float
    facts: dict[str, Any]
    #: keys of run_start beside the common ones: agent_version, parent_run_id, forked_from, ...
    head: dict[str, Any]
    status: str
    error: str | None
    #: something was still going on when the transcript stopped: the run has no end
    is_open: bool
    copied: int = 0
    #: the counters cannot be trusted as sums
    has_sums: bool = True
    #: the file's damage is reported with its main run only
    tells_damage: bool = True
    #: of the run's error; an error of the API if nothing says otherwise
    error_type: str | None = None


def save_run(report: ImportReport, folder: Path, done: FinishedRun) -> None:
    """Write the log of *done* into *folder*, unless it is there already, and tell *report*.

    Raises:
        OSError: The log cannot be written.
    """
    run, reading = done.run, done.reading
    totals, bounds = sums_of(done.steps, run.bounds)
    if not done.has_sums:
        totals, bounds = {key: value for key, value in totals.items() if key not in TOKEN_FIELDS}, {}
    start = run_start(run.run_id, agent=done.agent, ts=done.first_ts, facts=done.facts, **done.head)
    end = run_end(
        run.run_id,
        ts=done.last_ts,
        status=done.status,
        error=done.error,
        error_type=done.error_type or "api_error",
        totals=totals,
        bounds=bounds,
    )
    records = [start, *done.steps, *([] if done.is_open else [end])]
    path = folder / f"{run.run_id}.jsonl"
    session = ImportedSession(
        source=done.source,
        output=path,
        run_id=run.run_id,
        status=write_log(path, records),
        records=len(records),
        parent_run_id=done.head.get("parent_run_id"),
        skipped_lines=dict(reading.skipped) if done.tells_damage else {},
        unknown=dict(run.unknown),
        left_out=dict(run.left_out),
        copied_records=done.copied,
        totals=totals,
        bounds=bounds,
        notes=[*reading.notes, *run.notes],
    )
    report.sessions.append(session)
