"""Is this log whole? What the numbering and the bytes prove, and what they cannot.

Every writer numbers its steps and events 1, 2, 3, ... without a gap, so a missing
number is a record that never arrived, and a number met twice is one that arrived twice.
Memory follows the steps open at one time, not the length of the log.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent_step_log._reader import read_records
from agent_step_log._runs import RunInfo

if TYPE_CHECKING:
    from agent_step_log._reader import Damage, Source
    from agent_step_log._record import Record

__all__ = ["Problem", "VerifyReport", "verify"]

_BACKWARDS_S = 1.0  # two threads may pass each other by less

#: Numbers a killed writer may have handed out and not written: one for each thread that was at it,
#: among the last it gave out, ...
_IN_HAND = 1000
#: ... or, if they are so few, anywhere: a thread waiting for its turn is overtaken by thousands of records.
_OVERTAKEN = 64


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
        # A writer that was killed, or has just begun, explains an unfinished last line.
        is_error = damage.reason != "unfinished"
        report.problems.append(Problem("damage", is_error, _damage_text(damage), damage.path))

    for path, record in read_records(source, on_damage=note_damage, report_unfinished=True):
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
    """The numbers one writer of one run has used."""

    def __init__(self) -> None:
        self.met = _Ranges()
        self.open: set[int] = set()  # begun and not ended
        self.is_closed = False  # it wrote its run_end, and with it everything before
        self.last_ts = 0.0

    def take(self, record: Record) -> list[tuple[str, str]]:
        """Take one record in; return what is wrong with it as ``(kind, text)``."""
        wrong: list[tuple[str, str]] = []
        if record.ts < self.last_ts - _BACKWARDS_S:
            wrong.append(("clock", f"the clock went back {self.last_ts - record.ts:.6g} s"))
        self.last_ts = max(self.last_ts, record.ts)
        for name in ("duration_ms", "input_tokens", "output_tokens"):
            value = getattr(record, name)
            if value is not None and value < 0:
                wrong.append(("negative", f"{name} is {value}"))
        number = record.step
        self.is_closed = self.is_closed or record.type == "run_end"
        if number <= 0:
            return wrong
        if record.type != "step_start" and number in self.open:
            self.open.discard(number)
            return wrong
        if not self.met.add(number):
            wrong.append(("duplicate", f"number {number} is used twice"))
        elif record.type == "step_start":
            self.open.add(number)
        return wrong


class _Ranges:
    """A set of numbers from 1 on, kept as its unbroken ranges: one for a whole log, whatever its length."""

    def __init__(self) -> None:
        self.firsts: list[int] = []
        self.lasts: list[int] = []

    def add(self, number: int) -> bool:
        """Add *number*; False when it is in already."""
        at = bisect_right(self.firsts, number)  # the range before this place is the one it may be in
        if at and number <= self.lasts[at - 1]:
            return False
        extends = at > 0 and self.lasts[at - 1] == number - 1
        meets = at < len(self.firsts) and self.firsts[at] == number + 1
        if extends and meets:
            self.lasts[at - 1] = self.lasts.pop(at)
            del self.firsts[at]
        elif extends:
            self.lasts[at - 1] = number
        elif meets:
            self.firsts[at] = number
        else:
            self.firsts.insert(at, number)
            self.lasts.insert(at, number)
        return True

    def gaps(self) -> list[tuple[int, int]]:
        """Return the missing numbers as ``(first, last)`` ranges."""
        ends = [0, *self.lasts]
        return [
            (last + 1, first - 1) for last, first in zip(ends, self.firsts, strict=False) if first > last + 1
        ]

    @property
    def highest(self) -> int:
        return self.lasts[-1] if self.lasts else 0


def _gaps(info: RunInfo, writer: str | None, numbers: _Numbers) -> list[Problem]:
    problems = []
    whose = f" of writer {writer}" if writer else ""
    gaps = list(numbers.met.gaps())
    missing = sum(last - first + 1 for first, last in gaps)
    for first, last in gaps:
        which = f"number {first}" if first == last else f"numbers {first} to {last}"
        # A killed process takes with it what its threads were about to write: never acknowledged.
        is_late = last > numbers.met.highest - _IN_HAND
        in_hand = not numbers.is_closed and (is_late or missing <= _OVERTAKEN)
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


_REASONS = {
    "torn": "the beginning of a record, torn off",
    "unfinished": "the beginning of a record its writer did not finish",
    "too long": "one line too long to read",
}


def _damage_text(damage: Damage) -> str:
    if damage.reason == "cut":
        return f"the compressed file is cut short or damaged after {damage.offset} bytes of text"
    if damage.reason in ("not a log", "of a later format"):
        return f"the file is {damage.reason}"
    stretch = "1 byte" if damage.length == 1 else f"{damage.length} bytes"
    verb = "is" if damage.length == 1 else "are"
    return f"{stretch} at offset {damage.offset} {verb} {_REASONS.get(damage.reason, damage.reason)}"
