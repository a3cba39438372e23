"""What verify, repair, compact and import found and did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent_stack._render.figures import SIGNS, count, many, tokens
from agent_stack._render.lines import Line
from agent_stack._render.notes import short_ids
from agent_stack._render.table import Column, render_table
from agent_stack._render.wire_words import size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent_step_log import RepairReport, VerifyReport
    from agent_step_log.importers import ImportedSession, ImportReport
    from agent_step_log.query import Compacted

__all__ = ["render_compact", "render_import", "render_repair", "render_verify"]

_MOST = 50  # findings or runs listed
_FIRST = 12  # runs listed where there are more than that


def render_verify(report: VerifyReport) -> Iterator[Line]:
    """Yield the verdict, then each finding: errors first."""
    errors = sum(problem.is_error for problem in report.problems)
    notes = len(report.problems) - errors
    read = f"{many(report.records, 'record')} of {many(report.runs, 'run')}"
    sign, style = SIGNS["ok" if report.ok else "error"]
    verdict = "whole" if report.ok else "not whole"
    also = f", {many(notes, 'note')}" if notes else ""
    found = also if report.ok else f": {many(errors, 'error')}{also}"
    yield Line(f"{sign} {verdict}", style).add(f"  {read}{found}")
    names = short_ids([problem.run_id for problem in report.problems if problem.run_id])
    for problem in report.problems[:_MOST]:
        sign, style = ("✗", "error") if problem.is_error else ("·", "dim")
        line = Line("  ").add(sign, style).add(f" {problem.kind:<13}", style)
        line.add(problem.text, "" if problem.is_error else "dim")
        where = [
            f"run {names[problem.run_id]}" if problem.run_id else "",
            f"step {problem.step}" if problem.step else "",
        ]
        yield line
        place = "  ".join(part for part in (*where, problem.path or "") if part)
        if place:
            yield Line(" " * 18).add(place, "dim")
    if len(report.problems) > _MOST:
        yield Line("  ").add(f"… {len(report.problems) - _MOST:,} more (--json)", "note")


def render_compact(made: Compacted, output: str) -> Iterator[Line]:
    """Yield what the archive holds, and how much less it takes."""
    sign, style = SIGNS["ok"]
    times = made.log_bytes / max(made.archive_bytes, 1)
    line = Line(f"{sign} {output}", style).add(
        f"  {many(made.records, 'record')} in {many(len(made.files), 'file')}, read back and compared"
    )
    yield line
    smaller = f", {times:.1f} times smaller" if times > 1 else ""  # of a few records it is not
    yield Line("  ").add(f"{size(made.log_bytes)} of logs, {size(made.archive_bytes)} here{smaller}", "dim")


def render_repair(report: RepairReport, log: str, *, dry_run: bool) -> Iterator[Line]:
    """Yield what was, or would be, left out of the copy: each stretch with its place and reason."""
    verb = "would be dropped" if dry_run else "dropped"
    for damage in report.dropped[:_MOST]:
        line = Line("  ").add("✗ ", "error").add(f"offset {damage.offset:,}  {many(damage.length, 'byte')}  ")
        yield line.add(f"{damage.reason}  {verb}", "dim")
    if len(report.dropped) > _MOST:
        yield Line("  ").add(f"… {len(report.dropped) - _MOST:,} more stretches", "note")
    kept = f"{many(report.kept, 'whole record')}"
    if not report.dropped:
        yield Line("✓ ", "ok").add(f"nothing to drop: {kept}")
    else:
        stretches = many(len(report.dropped), "stretch", "stretches")
        yield Line("▲ ", "warn").add(f"{stretches} ({report.dropped_bytes:,} bytes) {verb}, {kept} kept")
    if report.output is not None and not dry_run:
        yield Line("  ").add("copy      ", "dim").add(str(report.output), "bold")
    yield Line("  ").add("original  ", "dim").add(f"{log} (untouched)")


def render_import(report: ImportReport, into: str, width: int) -> Iterator[Line]:
    """Yield a table of the sessions, the sums, and what to know about the figures."""
    if report.sessions:
        # A benchmark leaves hundreds: what they came to is below, and `ls` lists them.
        shown = report.sessions if len(report.sessions) <= _MOST else report.sessions[:_FIRST]
        for lines in render_table(_columns(), _rows(report.sessions, shown), width):
            yield from lines
        if len(shown) < len(report.sessions):
            yield Line("  ").add(f"… {len(report.sessions) - len(shown):,} more runs (--json)", "note")
        yield Line()
    yield (
        Line("  ")
        .add("written ", "dim")
        .add(f"{report.written:,}", "bold")
        .add("   unchanged ", "dim")
        .add(f"{report.unchanged:,}", "bold")
        .add("   skipped ", "dim")
        .add(f"{len(report.skipped_files):,}", "bold")
        .add(f" {'file' if len(report.skipped_files) == 1 else 'files'}", "dim")
    )
    yield from _sums(report)
    yield Line("  ").add("logs in ", "dim").add(into)
    notes = [*report.notes, *_session_notes(report.sessions)]
    for note in notes:
        yield Line("  · ", "dim").add(note, "dim")


def _columns() -> list[Column]:
    return [
        Column("RUN", most=36),
        Column("RESULT"),
        Column("SESSION", least=12, most=44, rank=1),
        Column("CALLS", is_right=True),
        Column("TOOLS", is_right=True),
        Column("IN", is_right=True),
        Column("OUT", is_right=True),
        Column("ERR", is_right=True),
    ]


def _rows(
    sessions: Sequence[ImportedSession], shown: Sequence[ImportedSession]
) -> list[list[tuple[str, str]]]:
    names = short_ids([session.run_id for session in sessions])
    rows = []
    for session in shown:
        totals, bounds = session.totals, session.bounds
        errors = totals.get("error_count", 0)
        sign, style = ("✓", "ok") if session.status == "written" else ("·", "dim")
        rows.append(
            [
                (names[session.run_id], "bold"),
                (f"{sign} {session.status}", style),
                (("↳ " if session.parent_run_id else "") + session.source.name, "dim"),
                (tokens(totals.get("llm_call_count")), ""),
                (tokens(totals.get("tool_call_count")), ""),
                (tokens(totals.get("input_tokens"), bounds.get("input_tokens")), ""),
                (tokens(totals.get("output_tokens"), bounds.get("output_tokens")), ""),
                (count(errors) if errors else "-", "error" if errors else "dim"),
            ]
        )
    return rows


def _sums(report: ImportReport) -> Iterator[Line]:
    totals, bounds = report.totals, report.bounds
    if not report.sessions:
        return
    parts = [
        f"{tokens(totals.get('input_tokens'), bounds.get('input_tokens'))} in",
        f"{tokens(totals.get('output_tokens'), bounds.get('output_tokens'))} out",
    ]
    if totals.get("cache_read_tokens"):
        parts.append(
            f"{tokens(totals['cache_read_tokens'], bounds.get('cache_read_tokens'))} read from cache"
        )
    yield Line("  ").add("tokens  ", "dim").add(" · ".join(parts))


def _session_notes(sessions: Sequence[ImportedSession]) -> list[str]:
    notes = dict.fromkeys(note for session in sessions for note in session.notes)
    lines = sum(sum(session.skipped_lines.values()) for session in sessions)
    unknown = sum(sum(session.unknown.values()) for session in sessions)
    if lines:
        notes[f"{many(lines, 'line')} that are no record were left out."] = None
    if unknown:
        notes[f"{many(unknown, 'record')} of unknown type kept as events."] = None
    return list(notes)[:12]
