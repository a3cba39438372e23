"""Is this log whole? What the numbering and the bytes prove, and what they cannot.

Every writer numbers its steps and events 1, 2, 3, ... without a gap, so a missing
number is a record that never arrived, and a number met twice is one that arrived twice.
Memory follows the steps open at one time, not the length of the log.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent_step_log._runs import RunInfo, _records

if TYPE_CHECKING:
    from agent_step_log._reader import Damage, Source
    from agent_step_log._record import Record

__all__ = ["Problem", "VerifyReport", "verify"]

_ENDINGS = frozenset({"llm_call", "tool_call", "agent_call"})
_BACKWARDS_S = 1.0  # two threads may pass each other by less

#: Numbers a killed writer may have handed out and not written: one for each thread that was at it.
_IN_HAND = 1000


@dataclass(frozen=True)
class Problem:
    """One finding.

    Attributes:
        kind: damage, gap, duplicate, lost, negative, clock, unfinished or interrupted.
        is_error: False for what a killed or running process explains by itself.
        text: The finding in a sentence.
        path, run_id, step: The place, as far as it has one.
    """

    kind: str
    is_error: bool
    text: str
    path: str | None = None
    run_id: str | None = None
    step: int | None = None


@dataclass
class VerifyReport:
    """What `verify` found.

    Attributes:
        records, runs: How many were read.
        problems: Errors first.
    """

    records: int = 0
    runs: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """True when no problem is an error."""
        return not any(problem.is_error for problem in self.problems)


def verify(source: Source) -> VerifyReport:
    """Check *source* for damage, gaps in the numbering, duplicates, impossible figures and unfinished work.

    Raises:
        LogSourceError, LogFormatError, LogTooNewError, OSError: as `read_log`.
    """
    report = VerifyReport()
    runs: dict[str, RunInfo] = {}
    writers: dict[tuple[str, str | None], _Numbers] = {}

    def note_damage(damage: Damage) -> None:
        text = f"{damage.length} bytes at offset {damage.offset} are {_what(damage.reason)}"
        report.problems.append(Problem("damage", True, text, damage.path))

    for path, record in _records(source, note_damage):
        report.records += 1
        info = runs.setdefault(record.run_id, RunInfo(record.run_id))
        info.add(record, path)
        numbers = writers.setdefault((record.run_id, record.writer), _Numbers())
        report.problems.extend(
            Problem(kind, True, text, str(path), record.run_id, record.step)
            for kind, text in numbers.take(record)
        )
    report.runs = len(runs)
    for (run_id, writer), numbers in writers.items():
        report.problems.extend(_gaps(runs[run_id], writer, numbers))
    for info in runs.values():
        report.problems.extend(_endings(info))
    report.problems.sort(key=lambda problem: not problem.is_error)
    return report


class _Numbers:
    """The numbers one writer of one run has used, in memory bounded by how far they are out of order."""

    def __init__(self) -> None:
        self.low = 0  # every number up to here has been met
        self.above: set[int] = set()  # met, beyond a gap
        self.open: set[int] = set()  # begun and not ended
        self.last_ts = 0.0

    def take(self, record: Record) -> list[tuple[str, str]]:
        """Take one record in; return what is wrong with it as ``(kind, text)``."""
        wrong: list[tuple[str, str]] = []
        if record.ts < self.last_ts - _BACKWARDS_S:
            wrong.append(("clock", f"the clock went back {self.last_ts - record.ts:.1f} s"))
        self.last_ts = max(self.last_ts, record.ts)
        for name in ("duration_ms", "input_tokens", "output_tokens"):
            value = getattr(record, name)
            if value is not None and value < 0:
                wrong.append(("negative", f"{name} is {value}"))
        number = record.step
        if number <= 0:
            return wrong
        if record.type in _ENDINGS and number in self.open:
            self.open.discard(number)
            return wrong
        if number <= self.low or number in self.above:
            wrong.append(("duplicate", f"number {number} is used twice"))
            return wrong
        if record.type == "step_start":
            self.open.add(number)
        self._meet(number)
        return wrong

    def _meet(self, number: int) -> None:
        self.above.add(number)
        while self.low + 1 in self.above:
            self.low += 1
            self.above.discard(self.low)

    def gaps(self) -> list[tuple[int, int]]:
        """Return the missing numbers as ``(first, last)`` ranges."""
        ranges, low = [], self.low
        for number in sorted(self.above):
            if number > low + 1:
                ranges.append((low + 1, number - 1))
            low = number
        return ranges

    @property
    def highest(self) -> int:
        return max(self.above, default=self.low)


def _gaps(info: RunInfo, writer: str | None, numbers: _Numbers) -> list[Problem]:
    problems = []
    whose = f" of writer {writer}" if writer else ""
    for first, last in numbers.gaps():
        which = f"number {first}" if first == last else f"numbers {first} to {last}"
        # A killed process takes with it what its threads were about to write: never acknowledged.
        in_hand = info.status in ("interrupted", "running") and last > numbers.highest - _IN_HAND
        why = " (not acknowledged when the process was killed)" if in_hand else ""
        text = f"{which}{whose} missing{why}"
        problems.append(Problem("gap", not in_hand, text, str(info.paths[0]), info.run_id, first))
    return problems


def _endings(info: RunInfo) -> list[Problem]:
    problems = []
    path = str(info.paths[0])
    dropped = ((info.end.health or {}) if info.end is not None else {}).get("dropped", 0)
    if dropped:
        text = f"the recorder itself counted {dropped} records as lost"
        problems.append(Problem("lost", True, text, path, info.run_id))
    if info.status == "interrupted":
        text = "the run was interrupted: its process is gone and wrote no run_end"
        problems.append(Problem("interrupted", False, text, path, info.run_id))
    for record in info.in_flight.values():
        name = record.tool or record.model or record.agent or "?"
        text = f"{record.of} {name} was in flight: it has a beginning and no end"
        problems.append(Problem("unfinished", False, text, path, info.run_id, record.step))
    return problems


def _what(reason: str) -> str:
    return {"torn": "the beginning of a record, torn off", "too long": "one line too long to read"}.get(
        reason, reason
    )
