"""The run to be compared: its records, each read once, in the order of its tree.

Steps stand parents before children, and those of one parent in the order they began, as
`agent_step_log.Run.walk` yields them. No object is made for a step here: its two records say all.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from agent_debug_replay._run_files import match_run, rotated_beside, run_named
from agent_debug_replay.errors import RunNotFoundError
from agent_step_log import Damage, Record, Run, RunInfo, read_log

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from agent_step_log import Step

__all__ = ["RunRead", "RunSource", "read_source"]

#: A run read back, a log (its last run), a log and a run's id, or the records of ended steps.
RunSource: TypeAlias = (
    "Run | str | os.PathLike[str] | tuple[str | os.PathLike[str], str | None] | Iterable[Record]"
)

_Key: TypeAlias = "int | tuple[str, int]"


class RunRead(NamedTuple):
    """One run.

    Attributes:
        run_id: None for records of no run.
        info: Its headers and its end, not its totals; None for a sequence of records.
        damage: What of its files was no record.
        begun, ended: For each step or event, the record that began it and the one that ended it.
        depths: How many steps each is nested in.
        steps: The steps, if they were handed in as such.
    """

    run_id: str | None
    info: RunInfo | None
    damage: list[Damage]
    begun: Sequence[Record | None]
    ended: Sequence[Record | None]
    depths: Sequence[int]
    steps: Sequence[Step] | None = None


def read_source(source: RunSource) -> RunRead:
    """Read the run of *source*.

    Raises:
        RunNotFoundError, ReplayError, LogSourceError, LogFormatError, LogTooNewError,
            OSError: as `Replay.open`.
        TypeError: *source* is nothing that holds a run.
    """
    if isinstance(source, Run):
        return _of_run(source)
    if isinstance(source, str | os.PathLike):
        return _of_log(source, None)
    if isinstance(source, tuple) and len(source) == 2 and not isinstance(source[0], Record):
        return _of_log(*source)
    records = list(source)
    if not all(isinstance(record, Record) for record in records):
        raise TypeError("a run to compare is a Run, a log, (log, run id), or the records of its steps")
    steps = _Gathered()
    for record in records:
        steps.take(record)
    return RunRead(records[0].run_id if records else None, None, [], *steps.in_order())


def _of_run(run: Run) -> RunRead:
    steps: list[Step] = []
    depths: list[int] = []
    # `Run.walk` would keep a tuple for each step that waits: so many new objects at once set the
    # garbage collector on all that has been read.
    levels = [iter(run.roots)]
    while levels:
        for step in levels[-1]:
            steps.append(step)
            depths.append(len(levels) - 1)
            if step.children:
                levels.append(iter(step.children))
                break
        else:
            levels.pop()
    begun, ended = [step.start for step in steps], [step.end for step in steps]
    return RunRead(run.run_id, run.info, run.damage, begun, ended, depths, steps)


# -- from files -------------------------------------------------------------------


def _of_log(source: str | os.PathLike[str], run: str | None) -> RunRead:
    paths, run_id = run_named(source, run)
    damage: list[Damage] = []
    found = _Runs(run) if run_id is None else _Runs(run_id)
    found.take(_records(paths, damage))
    if run_id is None:
        run_id = match_run(source, run, found.starts)
    if run_id not in found.kept:
        # Of several runs in the file, another one began last, by a clock that was set back.
        damage.clear()
        found = _Runs(run_id)
        found.take(_records(paths, damage))
        if run_id not in found.kept:
            raise RunNotFoundError(source, run_id)  # the log has been replaced meanwhile
    kept = found.kept[run_id]
    kept.info.paths = list(paths)
    kept.info.fold.first_ts, kept.info.fold.last_ts = found.starts[run_id], found.ends[run_id]
    return RunRead(run_id, kept.info, damage, *kept.steps.in_order())


def _records(paths: Sequence[Path], damage: list[Damage]) -> Iterator[Record]:
    # A log is read with all it was rotated into.
    parts = {part for path in paths for part in rotated_beside(Path(path))}
    for path in paths:
        if path not in parts:
            yield from read_log(path, on_damage=damage.append)


class _Kept:
    """The records of one run."""

    def __init__(self, run_id: str) -> None:
        self.info = RunInfo(run_id)
        self.steps = _Gathered()


class _Runs:
    """The runs of a stream of records; kept of them are those that may be meant.

    Args:
        wanted: The run's id, its beginning or its end. Default: the one that began last.

    Attributes:
        starts, ends: Unix seconds of each run's first and last record.
        kept: What is kept, by id.
    """

    def __init__(self, wanted: str | None) -> None:
        self._wanted = wanted
        self.starts: dict[str, float] = {}
        self.ends: dict[str, float] = {}
        self.kept: dict[str, _Kept] = {}

    def take(self, records: Iterable[Record]) -> None:
        """Take all of them."""
        run_id: str | None = None
        kept: _Kept | None = None
        first = last = 0.0
        for record in records:
            if record.run_id != run_id:
                if run_id is not None:
                    self.starts[run_id], self.ends[run_id] = first, last
                run_id = record.run_id
                first = self.starts.get(run_id, record.ts)
                last = self.ends.get(run_id, record.ts)
                kept = self._keep(run_id, record.ts) if run_id not in self.starts else self.kept.get(run_id)
            ts = record.ts
            if ts < first:
                first = ts
            elif ts > last:
                last = ts
            if kept is None:
                continue
            if record.step > 0:
                kept.steps.take(record)
            else:
                _take_run_record(kept.info, record)
        if run_id is not None:
            self.starts[run_id], self.ends[run_id] = first, last

    def _keep(self, run_id: str, ts: float) -> _Kept | None:
        """Return where to keep the records of a run that is new."""
        if self._wanted is not None:
            is_meant = run_id.startswith(self._wanted) or run_id.endswith(self._wanted)
        else:
            is_meant = all(self.starts[other] <= ts for other in self.kept)
            if is_meant:
                self.kept.clear()
        if not is_meant:
            return None
        kept = self.kept[run_id] = _Kept(run_id)
        return kept


def _take_run_record(info: RunInfo, record: Record) -> None:
    """Do as `RunInfo.add`, without adding anything up."""
    if record.type == "run_start":
        info.headers.append(record)
    elif record.type == "run_end":
        info.ended.add(record.writer)
        if not info.headers or record.writer == info.headers[0].writer:
            info.end = record


# -- the tree ---------------------------------------------------------------------


class _Gathered:
    """Records brought together to steps: the first beginning and the first ending of each."""

    def __init__(self) -> None:
        self._places: dict[_Key, int] = {}
        self._begun: list[Record | None] = []
        self._ended: list[Record | None] = []

    def take(self, record: Record) -> None:
        """Take one record; those of the run itself are left out."""
        number = record.step
        if number <= 0:
            return
        key: _Key = number if record.writer is None else (record.writer, number)
        place = self._places.get(key)
        if place is None:
            self._places[key] = len(self._begun)
            is_begun = record.type == "step_start"
            self._begun.append(record if is_begun else None)
            self._ended.append(None if is_begun else record)
            return
        side = self._begun if record.type == "step_start" else self._ended
        if side[place] is None:
            side[place] = record

    def in_order(self) -> tuple[list[Record | None], list[Record | None], Sequence[int]]:
        """Return both records of each step in the order of the tree, and how deep each is nested."""
        begun, ended = self._begun, self._ended
        order = list(range(len(begun)))
        firsts: list[Any] = [one or end for one, end in zip(begun, ended, strict=True)]
        order.sort(key=[record.step for record in firsts].__getitem__)
        order.sort(key=[record.ts for record in firsts].__getitem__)
        depths: Sequence[int] = bytes(len(order))
        parents = self._parents()
        if parents:
            order, depths = _tree(order, parents)
        return [begun[place] for place in order], [ended[place] for place in order], depths

    def _parents(self) -> dict[int, int]:
        """Return the place of the parent of each step that has one."""
        parents: dict[int, int] = {}
        for place, (begun, ended) in enumerate(zip(self._begun, self._ended, strict=True)):
            record = ended or begun
            if record is None or record.parent is None:
                continue
            writer = record.writer if record.parent_writer is None else record.parent_writer or None
            parent = self._places.get(record.parent if writer is None else (writer, record.parent))
            if parent is not None:
                parents[place] = parent
        _cut_rings(parents)
        return parents


def _cut_rings(parents: dict[int, int]) -> None:
    """Take the parents from steps that are their own ancestors: a damaged or forged log may hold such."""
    seen: set[int] = set()
    rings: set[int] = set()
    for start in parents:
        way: dict[int, None] = {}  # in the order of the way up
        place = start
        while place in parents and place not in seen:
            seen.add(place)
            way[place] = None
            place = parents[place]
        if place in way:
            up = list(way)
            rings.update(up[up.index(place) :])
    for place in rings:
        del parents[place]


def _tree(order: list[int], parents: dict[int, int]) -> tuple[list[int], list[int]]:
    roots: list[int] = []
    children: dict[int, list[int]] = {}
    for place in order:
        parent = parents.get(place)
        (roots if parent is None else children.setdefault(parent, [])).append(place)
    walked: list[int] = []
    depths: list[int] = []
    levels = [iter(roots)]
    while levels:
        for place in levels[-1]:
            walked.append(place)
            depths.append(len(levels) - 1)
            if place in children:
                levels.append(iter(children[place]))
                break
        else:
            levels.pop()
    return walked, depths
