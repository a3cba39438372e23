"""What an import says it did: per session, per file left alone, and in all.

Every number is either counted here or taken from the provider through the
transcript. `bounds` names each sum that is only a bound and which way:
``lower`` (there was at least this much) or ``upper`` (at most).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(slots=True)
class ImportedSession:
    """One run written (or found unchanged) from one transcript."""

    source: Path
    output: Path
    run_id: str
    #: "written" or "unchanged"
    status: str
    records: int
    #: the run this one was a subagent of
    parent_run_id: str | None = None
    #: complete lines that are no record, by reason
    skipped_lines: dict[str, int] = field(default_factory=dict)
    #: record types this version does not know, kept as events
    unknown: dict[str, int] = field(default_factory=dict)
    #: record types known to say nothing about a run, by type
    left_out: dict[str, int] = field(default_factory=dict)
    #: records that are another session's history copied into this file
    copied_records: int = 0
    totals: dict[str, Any] = field(default_factory=dict)
    bounds: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True, frozen=True)
class SkippedFile:
    """A file met in a directory that was not imported, and why."""

    path: Path
    reason: str


@dataclass(slots=True)
class ImportReport:
    """Everything one import did."""

    #: "claude-code", "codex" or "trajectory"
    kind: str
    sessions: list[ImportedSession] = field(default_factory=list)
    skipped_files: list[SkippedFile] = field(default_factory=list)
    #: what holds for every session of this kind
    notes: list[str] = field(default_factory=list)

    @property
    def written(self) -> int:
        """How many logs were written or replaced."""
        return sum(session.status == "written" for session in self.sessions)

    @property
    def unchanged(self) -> int:
        """How many logs held the same bytes already."""
        return sum(session.status == "unchanged" for session in self.sessions)

    @property
    def totals(self) -> dict[str, int]:
        """The sums over all sessions of every count they know."""
        sums: Counter[str] = Counter()
        for session in self.sessions:
            sums.update({key: value for key, value in session.totals.items() if isinstance(value, int)})
        return dict(sums)

    @property
    def bounds(self) -> dict[str, str]:
        """Which of `totals` are only bounds; ``unknown`` where bounds of both kinds meet."""
        return merged_bounds(session.bounds for session in self.sessions)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as values JSON has a form for."""
        report: dict[str, Any] = asdict(self)
        report.update(totals=self.totals, bounds=self.bounds)
        for session in report["sessions"]:
            session.update(source=str(session["source"]), output=str(session["output"]))
        for skipped in report["skipped_files"]:
            skipped["path"] = str(skipped["path"])
        return report


def merged_bounds(parts: Any) -> dict[str, str]:
    """Return the bounds of a sum whose parts have these bounds."""
    merged: dict[str, str] = {}
    for part in parts:
        for name, side in part.items():
            merged[name] = side if merged.get(name, side) == side else "unknown"
    return merged
