"""The run to be compared: its records, each read once, in the order of its tree.

Steps stand parents before children, and those of one parent in the order they began, as
`agent_step_log.Run.walk` yields them. No object is made for a step here: its two records say all.
"""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar, cast

from agent_debug_replay._diff_digest import Digest
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
_Ordered: TypeAlias = "tuple[list[Record | None], list[Record | None], Sequence[int], Digest]"
_Item = TypeVar("_Item")

_BATCH = 256  # records that the processor still has close when the last of them has been decoded


class RunRead(NamedTuple):
    """One run.

    Attributes:
        run_id: None for records of no run.
        info: Its headers and its end, not its totals; None for a sequence of records.
        damage: What of its files was no record.
        begun, ended: For each step or event, the record that began it and the one that ended it.
        depths: How many steps each is nested in.
        digest: What is compared and added up of each, in the same order.
        steps: The steps, if they were handed in as such.
    """

    run_id: str | None
    info: RunInfo | None
    damage: list[Damage]
    begun: Sequence[Record | None]
    ended: Sequence[Record | None]
    depths: Sequence[int]
    digest: Digest
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
    for batch in _batches(records):
        steps.take([record for record in batch if record.step > 0])
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
    gathered = _Gathered()
    for batch in _batches(steps):
        gathered.take_steps(batch)
    return RunRead(run.run_id, run.info, run.damage, *gathered.as_taken(depths), steps)


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
        for batch in _batches(records):
            ids = dict.fromkeys([record.run_id for record in batch])  # in the order they were met
            for run_id in ids:
                of_run = batch if len(ids) == 1 else [record for record in batch if record.run_id == run_id]
                self._take(run_id, of_run)

    def _take(self, run_id: str, records: list[Record]) -> None:
        times = [record.ts for record in records]
        if run_id not in self.starts:
            self.starts[run_id], self.ends[run_id] = times[0], times[0]
            self._keep(run_id, times[0])
        self.starts[run_id] = min(self.starts[run_id], *times)
        self.ends[run_id] = max(self.ends[run_id], *times)
        kept = self.kept.get(run_id)
        if kept is None:
            return
        if min([record.step for record in records]) <= 0:
            for record in records:
                if record.step <= 0:
                    _take_run_record(kept.info, record)
            records = [record for record in records if record.step > 0]
        kept.steps.take(records)

    def _keep(self, run_id: str, ts: float) -> None:
        """Make room for the records of a run that is new, if it may be the one."""
        if self._wanted is not None:
            is_meant = run_id.startswith(self._wanted) or run_id.endswith(self._wanted)
        else:
            is_meant = all(self.starts[other] <= ts for other in self.kept)
            if is_meant:
                self.kept.clear()
        if is_meant:
            self.kept[run_id] = _Kept(run_id)


def _batches(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    waiting = iter(items)
    while batch := list(islice(waiting, _BATCH)):
        yield batch


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
        self._times: list[float] = []  # of the beginning, else of the ending
        self._late: list[int] = []  # places of steps whose beginning was met after their ending
        self._is_nested = False
        self._digest = Digest()

    def take(self, records: list[Record]) -> None:
        """Take some records of steps."""
        places, begun, ended = self._places, self._begun, self._ended
        find, times = places.get, self._times
        endings: list[Record] = []
        at: list[int] = []
        for record in records:
            number, writer = record.step, record.writer
            key: _Key = number if writer is None else (writer, number)
            place = find(key)
            if place is None:
                place = places[key] = len(begun)
                begun.append(None)
                ended.append(None)
                times.append(record.ts)
            if record.type != "step_start":
                if ended[place] is None:
                    ended[place] = record
                    endings.append(record)
                    at.append(place)
            elif begun[place] is None:
                begun[place] = record
                if ended[place] is not None:
                    self._late.append(place)
        self._digest.add(endings, [begun[place] for place in at], at)
        if not self._is_nested:
            self._is_nested = any(record.parent is not None for record in records)

    def take_steps(self, steps: list[Step]) -> None:
        """Take some steps that are in order already."""
        first = len(self._ended)
        self._begun += [step.start for step in steps]
        self._ended += [step.end for step in steps]
        over = [
            (place, step.end, step.start) for place, step in enumerate(steps, first) if step.end is not None
        ]
        self._digest.add(
            [end for _, end, _ in over], [begin for _, _, begin in over], [at for at, _, _ in over]
        )

    def as_taken(self, depths: Sequence[int]) -> _Ordered:
        """Return them in the order they were taken; see `in_order`."""
        return self._arranged(list(range(len(self._ended))), depths)

    def in_order(self) -> _Ordered:
        """Return both records of each step in the order of the tree, its depth, and the digest."""
        order = list(range(len(self._begun)))
        for place in self._late:
            begin, end = self._begun[place], self._ended[place]
            if begin is not None and end is not None:
                self._times[place] = begin.ts
                self._digest.add_keys([end], [begin], [place])
        numbers = [key if isinstance(key, int) else key[1] for key in self._places]
        # As most logs are: one step began after the other.
        if numbers != sorted(numbers) or self._times != sorted(self._times):
            order.sort(key=numbers.__getitem__)
            order.sort(key=self._times.__getitem__)
        depths: Sequence[int] = bytes(len(order))
        if self._is_nested:
            order, depths = _tree(order, self._parents())
        return self._arranged(order, depths)

    def _arranged(self, order: list[int], depths: Sequence[int]) -> _Ordered:
        begun, ended = self._begun, self._ended
        unfinished = [place for place, end in enumerate(ended) if end is None] if None in ended else []
        self._digest.add_open([cast("Record", begun[place]) for place in unfinished], unfinished)
        digest = self._digest.arranged(order, depths)
        return [begun[place] for place in order], [ended[place] for place in order], depths, digest

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
