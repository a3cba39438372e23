"""Runs as a reader sees them: what each came to, how it ended, and its steps as a tree.

The status of a run:

    ok, error, cancelled   its `run_end` says so
    running                no `run_end`, and its process is alive
    interrupted            no `run_end`, and its process is gone: killed, or the machine went down
    unknown                nobody wrote a header, so there is no process to ask about

A process on another machine cannot be asked; its run is taken for running until its
log has been silent for `SILENT_S`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from time import time
from typing import TYPE_CHECKING

from agent_step_log._process import is_alive
from agent_step_log._reader import read_files, read_records
from agent_step_log._summary import RunFold, Summary
from agent_step_log.errors import LogSourceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent_step_log._reader import Damage, OnDamage, Source
    from agent_step_log._record import Record

__all__ = ["SILENT_S", "Run", "RunInfo", "Step", "list_runs", "read_run"]

SILENT_S = 15 * 60.0

StepKey = tuple[str | None, int]

_NAMED = 3  # ids that a message names
_COMPARED = 2_000  # runs whose ids are looked at for the nearest: those started last


@dataclass
class RunInfo:
    """One run of a listing, held in constant memory.

    Attributes:
        paths: The files its records are in.
        headers: The `run_start` records, one for each writer; the first is the run's own.
        end: The `run_end` record of the writer that wrote the first header, if it got there.
        in_flight: The `step_start` records nothing has followed.
        ended: The writers that wrote a `run_end`.
    """

    run_id: str
    paths: list[Path] = field(default_factory=list)
    headers: list[Record] = field(default_factory=list)
    end: Record | None = None
    in_flight: dict[StepKey, Record] = field(default_factory=dict)
    ended: set[str | None] = field(default_factory=set)
    fold: RunFold = field(default_factory=RunFold)

    @property
    def header(self) -> Record | None:
        """The run's own `run_start`; None in a log that has none."""
        return self.headers[0] if self.headers else None

    @property
    def summary(self) -> Summary:
        """Its totals; see `Summary`."""
        return self.fold.result(self.run_id)

    @property
    def status(self) -> str:
        """How it stands; see the module."""
        if self.end is not None:
            return self.end.status or "ok"
        if not self.headers:
            return "unknown"
        # A later writer that has ended says nothing by living on: an agent that took the run up again.
        open_headers = [header for header in self.headers if header.writer not in self.ended]
        alive = [is_alive(header.process or {}) for header in open_headers]
        if True in alive:
            return "running"
        if None in alive and abs(time() - self.fold.last_ts) < SILENT_S:
            return "running"
        return "interrupted"

    def add(self, record: Record, path: Path) -> None:
        """Take one record in."""
        # The first question answers all but the first record of a file, and is cheap.
        if not (self.paths and self.paths[-1] is path) and path not in self.paths:
            self.paths.append(path)
        self.fold.add(record)
        if record.type == "step_start":
            self.in_flight[record.writer, record.step] = record
        elif record.step > 0:
            self.in_flight.pop((record.writer, record.step), None)
        elif record.type == "run_start":
            self.headers.append(record)
        elif record.type == "run_end":
            self.ended.add(record.writer)
            if not self.headers or record.writer == self.headers[0].writer:
                self.end = record


def list_runs(source: Source, *, on_damage: OnDamage | None = None) -> list[RunInfo]:
    """Return the runs of *source*, in the order they started.

    Args:
        source: A file, directory or pattern; see `read_log`.
        on_damage: Called once for each stretch skipped; see `read_log`.

    Raises:
        LogSourceError, LogFormatError, LogTooNewError, OSError: as `read_log`.
    """
    runs: dict[str, RunInfo] = {}
    for path, record in read_records(source, on_damage=on_damage):
        info = runs.get(record.run_id)
        if info is None:
            info = runs[record.run_id] = RunInfo(record.run_id)
        info.add(record, path)
    return sorted(runs.values(), key=lambda info: info.fold.first_ts or 0.0)


@dataclass
class Step:
    """One step or event of a run, its beginning and its ending brought together.

    Attributes:
        number, writer: Its place in the run; the pair is unique.
        type: llm_call, tool_call, agent_call, event, or a type of a later version.
        start: Its `step_start` record; None for one recorded whole.
        end: The record that ended it, or the event; None while it is unfinished.
        children: The steps that name it as parent, in order.
    """

    number: int
    writer: str | None
    type: str
    start: Record | None = None
    end: Record | None = None
    children: list[Step] = field(default_factory=list)

    @property
    def record(self) -> Record:
        """The record that says most: the ending, or else the beginning."""
        record = self.end or self.start
        assert record is not None  # a step is made from a record
        return record

    @property
    def name(self) -> str:
        """The tool, model, agent or event; "?" when the record does not say."""
        record = self.record
        named = {
            "tool_call": record.tool,
            "llm_call": record.model,
            "agent_call": record.agent,
            "event": record.name,
        }
        return named.get(self.type) or "?"

    @property
    def status(self) -> str:
        """ok, error or unfinished."""
        if self.end is None:
            return "unfinished"
        return "error" if self.end.error is not None else "ok"

    @property
    def duration_ms(self) -> float | None:
        """As measured; None when nobody measured it."""
        return None if self.end is None else self.end.duration_ms

    @property
    def started_at(self) -> float:
        """Unix seconds; worked out from the ending where the beginning was not recorded."""
        if self.start is not None:
            return self.start.ts
        if self.record.start_ts is not None:
            return self.record.start_ts
        return self.record.ts - max(self.duration_ms or 0.0, 0.0) / 1000


@dataclass
class Run:
    """One run, whole.

    Attributes:
        info: Its header, status and totals.
        roots: The steps and events that have no parent, in order; the others hang below them.
        damage: What of its files was no record.
    """

    info: RunInfo
    roots: list[Step]
    damage: list[Damage]

    @property
    def run_id(self) -> str:
        """Its id."""
        return self.info.run_id

    def walk(self) -> Iterator[tuple[int, Step]]:
        """Yield ``(depth, step)`` for every step, parents before children."""
        waiting = [(0, step) for step in reversed(self.roots)]
        while waiting:
            depth, step = waiting.pop()
            yield depth, step
            waiting.extend((depth + 1, child) for child in reversed(step.children))


def read_run(source: Source, run_id: str | None = None) -> Run:
    """Return one run of *source* with its steps as a tree.

    Args:
        source: A file, directory or pattern; see `read_log`.
        run_id: The run, or the beginning or end of its id if only one run has it. Default: the
            last one started.

    Raises:
        LogSourceError: There is no such run, or several it could be.
        LogFormatError, LogTooNewError, OSError: as `read_log`.
    """
    elsewhere: list[Damage] = []
    wanted = _the_run(list_runs(source, on_damage=elsewhere.append), source, run_id)
    info = RunInfo(wanted.run_id)
    damage: list[Damage] = []
    steps: dict[StepKey, Step] = {}
    for path, record in read_files(wanted.paths, on_damage=damage.append):
        if record.run_id == info.run_id:
            info.add(record, path)
            if record.step > 0:
                _take_in(steps, record)
    return Run(info, _tree(steps), damage)


def _the_run(runs: list[RunInfo], source: Source, run_id: str | None) -> RunInfo:
    if not runs:
        raise LogSourceError(source, "no run in it")
    if run_id is None:
        return runs[-1]
    exact = [info for info in runs if info.run_id == run_id]
    close = exact or [info for info in runs if info.run_id.startswith(run_id) or info.run_id.endswith(run_id)]
    if len(close) == 1:
        return close[0]
    if not close:
        near = ", ".join(_nearest(run_id, [info.run_id for info in runs[-_COMPARED:]]))
        hint = f"the nearest: {near}" if near else "`agent-step-log ls` shows the runs"
        raise LogSourceError(source, f"no run {run_id!r} in it; {hint}")
    names = ", ".join(info.run_id for info in close[:_NAMED]) + (", …" if len(close) > _NAMED else "")
    raise LogSourceError(source, f"{len(close)} runs match {run_id!r}: {names}; give more of the id")


def _nearest(wanted: str, ids: list[str]) -> list[str]:
    """Return the ids most like *wanted*, as a whole or in their beginning or end."""
    import difflib

    length = len(wanted)
    whole = {part: run_id for run_id in ids for part in (run_id, run_id[:length], run_id[-length:])}
    return list(dict.fromkeys(whole[part] for part in difflib.get_close_matches(wanted, whole, _NAMED)))


def _take_in(steps: dict[StepKey, Step], record: Record) -> None:
    key = (record.writer, record.step)
    step = steps.get(key)
    if record.type == "step_start":
        if step is None:
            steps[key] = Step(record.step, record.writer, record.of or "step", start=record)
        elif step.start is None:
            step.start = record
    elif step is None:
        steps[key] = Step(record.step, record.writer, record.type, end=record)
    elif step.end is None:
        step.end, step.type = record, record.type


def _tree(steps: dict[StepKey, Step]) -> list[Step]:
    """Hang every step under its parent; one whose parent is missing, or is itself below it, is a root."""
    roots: list[Step] = []
    in_a_ring = _rings(steps)
    for key, step in sorted(
        steps.items(), key=lambda item: ((item[1].start or item[1].record).ts, item[1].number)
    ):
        parent = steps.get(_parent_key(step))
        if parent is None or key in in_a_ring:
            roots.append(step)
        else:
            parent.children.append(step)
    return roots


def _parent_key(step: Step) -> StepKey:
    record = step.record
    writer = record.writer if record.parent_writer is None else record.parent_writer or None
    return writer, record.parent if record.parent is not None else 0


def _rings(steps: dict[StepKey, Step]) -> set[StepKey]:
    """Return the steps that are their own ancestors: a damaged or forged log may hold such."""
    rings: set[StepKey] = set()
    seen: set[StepKey] = set()
    for start in steps:
        path: dict[StepKey, None] = {}  # in the order of the way up
        key = start
        while key in steps and key not in seen:
            seen.add(key)
            path[key] = None
            key = _parent_key(steps[key])
        if key in path:
            way = list(path)
            rings.update(way[way.index(key) :])
    return rings
