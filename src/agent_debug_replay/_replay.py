"""One run read back: its steps in order, and what each of them holds when it is asked for.

with Replay.open("logs", "3f9a1c2b") as replay:
    for row in replay.rows:
        print(row.label, row.type, row.name, row.duration_ms)
    print(replay.payload(6).end.output)
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Literal, NamedTuple, Self, overload

from agent_debug_replay._looking import Looking
from agent_debug_replay._rows import StepKey, StepRow, row_facts
from agent_debug_replay._run_files import LoadedRun, Loader, match_run, open_run, parts_since, unrotated
from agent_debug_replay._scan import LogFile, decode_record
from agent_debug_replay._sums import Sums
from agent_debug_replay._table import ERROR
from agent_debug_replay.errors import ReplayError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from agent_debug_replay._context import ContextSize, FileTouch, GrowthPoint, State, Totals
    from agent_debug_replay._outcomes import Context
    from agent_debug_replay._table import Gain, Table
    from agent_step_log import Damage, Record, RunInfo
    from agenttap import TapedExchange

__all__ = ["Change", "Payload", "Replay", "Rows"]

_FIRST_ROWS = 2_000  # enough for any screen
_MORE_ROWS = 4_000  # read before they are handed over
_PAUSE_S = 0.0001  # after each block, so that whoever draws goes first; one of 0 hardly ever lets go
_IS_ERROR = bytes(bool(flags & ERROR) for flags in range(256))
_KEPT = 1_024  # payloads: those of what two model calls in a row were sent, with some room
_KEPT_BYTES = 32 * 1024 * 1024


class Payload(NamedTuple):
    """The records of one step.

    Attributes:
        begin: Its `step_start`; None for one recorded whole.
        end: What ended it, or the event; None while it is in flight.
    """

    begin: Record | None
    end: Record | None

    @property
    def record(self) -> Record:
        """The one that says most: the ending, or else the beginning."""
        record = self.end or self.begin
        assert record is not None  # a row is made from a record
        return record


class Change(NamedTuple):
    """What `Replay.refresh` found.

    Attributes:
        kind: same, grown (rows added or ended), rotated (grown into a new file), shrunk (the file is
            shorter than it was, and was read again), replaced (another file is in its place, and was
            read), gone (there is no file; what was read stays).
        added: Rows added at the end.
        changed: Rows that were there and say something else now, such as steps that ended; () if *is_moved*.
        is_moved: Rows have other numbers than before.
    """

    kind: Literal["same", "grown", "rotated", "shrunk", "replaced", "gone"]
    added: int = 0
    changed: tuple[int, ...] = ()
    is_moved: bool = False


class _Read(NamedTuple):
    """What the thread has for whoever looks: a run, and what its rows are to those looked at so far.

    Attributes:
        run: To be looked at from now on; None: the one there is, with *gain*.
        gain: What that one lacks.
        changed: Rows that say something else.
        is_moved: Rows have other numbers.
    """

    run: LoadedRun | None
    gain: Gain | None = None
    changed: tuple[int, ...] = ()
    is_moved: bool = False


class Rows(Sequence[StepRow]):
    """The rows of a replay, made as they are asked for."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay

    def __len__(self) -> int:
        return len(self._replay)

    @overload
    def __getitem__(self, index: int) -> StepRow: ...
    @overload
    def __getitem__(self, index: slice) -> list[StepRow]: ...
    def __getitem__(self, index: int | slice) -> StepRow | list[StepRow]:
        table = self._replay.table
        if isinstance(index, slice):
            return [row_facts(table, row) for row in range(*index.indices(len(table.parent)))]
        count = len(table.parent)
        if not -count <= index < count:
            raise IndexError(index)
        return row_facts(table, index % count)


class Replay:
    """One run read back. Made by `open`; close it, or use ``with``.

    Rows are numbered from 0 in the order of the tree: a step before those below it, steps of
    one parent in the order they were told. Memory is some hundred bytes a step, and what was looked
    at last. One thread at a time, but see `tell_rows`.

    Attributes:
        source: As given.
        revision: Goes up whenever rows got other numbers.
        version: Goes up whenever there is anything new.
    """

    def __init__(self, source: str | os.PathLike[str], run: str | None, *, wait: bool = True) -> None:
        self.source = source
        self.revision = self.version = 0
        self._asked = run
        self._kept: OrderedDict[int, Payload] = OrderedDict()
        self._kept_bytes = 0
        self._failure: BaseException | None = None
        self._is_read = threading.Event()
        self._partly: _Read | None = None  # read by the thread, and not taken over yet
        self._ready: _Read | None = None  # the same, and the last there will be
        self._next = 0  # rows from which the thread has more to hand over
        self._telling: tuple[int, Callable[[int], None]] | None = None  # a thread, and whom it tells
        self._lock = threading.Lock()  # of what the thread hands over, and of the payloads that are kept
        self._is_closed = False
        self._loader, self._run, self._thread = self._load(wait=wait)
        if self._thread is not None:
            self._thread.start()  # from here on the loader is the thread's until it is done

    @classmethod
    def open(cls, source: str | os.PathLike[str], run: str | None = None, *, wait: bool = True) -> Self:
        """Open one run of *source*.

        Args:
            source: A log, a directory, a pattern, or a tape with its log beside it.
            run: Its id, or the beginning or end of it. Default: the run started last.
            wait: Whether to return only when all of it has been read. Else as soon as there is a
                screenful; a thread reads the rest, and `refresh` takes over what it has read so far. Without
                *run*, a log of several runs may in the end turn out to be about another one.

        Raises:
            RunNotFoundError: There is no such run, or several; the nearest are named.
            ReplayError: A tape without its log.
            LogSourceError: There is nothing at *source*.
            LogFormatError: It is no log.
            LogTooNewError: A later version wrote it.
            OSError: A file cannot be read.
        """
        return cls(source, run, wait=wait)

    def close(self) -> None:
        """Close its files; a thread that still reads is stopped."""
        self._is_closed = True
        if self._thread is not None:
            self._thread.join()
        self._loader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # -- reading ----------------------------------------------------------------

    def _load(self, *, wait: bool) -> tuple[Loader, LoadedRun, threading.Thread | None]:
        loader = open_run(self.source, self._asked)
        try:
            if wait:
                loader.read()
                self._is_read.set()
                return loader, self._whole(loader), None
            loader.read(on_block=lambda: not self._has_screenful(loader))
            if loader.progress >= 1.0 or not loader.runs:
                loader.read()
                self._is_read.set()
                return loader, self._whole(loader), None
            run = self._first_screen(loader)
            arguments = loader, run.info.run_id
            thread = threading.Thread(target=self._read_on, args=arguments, name="replay", daemon=True)
            return loader, run, thread
        except BaseException:
            loader.close()
            raise

    @staticmethod
    def _has_screenful(loader: Loader) -> bool:
        return any(len(run.table) >= _FIRST_ROWS for run in loader.runs.values())

    def _whole(self, loader: Loader) -> LoadedRun:
        run = self._chosen(loader)
        _arranged(run)
        return run

    def _chosen(self, loader: Loader) -> LoadedRun:
        run_id = loader.run_id
        if run_id is None or run_id not in loader.runs:
            starts = {name: run.info.fold.first_ts or 0.0 for name, run in loader.runs.items()}
            run_id = match_run(self.source, self._asked, starts)
        loader.run_id = run_id
        run = loader.runs[run_id]
        loader.runs = {run_id: run}
        return run

    def _first_screen(self, loader: Loader) -> LoadedRun:
        """Return a copy of what has been read, in order; the loader goes on with its own."""
        run_id = loader.run_id or next(reversed(loader.runs))
        if self._asked is not None and loader.run_id is None:
            with suppress(ReplayError):
                run_id = match_run(self.source, self._asked, dict.fromkeys(loader.runs, 0.0))
        run = loader.runs[run_id]
        run.table.arrange()
        run.changed.clear()
        self._next = len(run.table) + _MORE_ROWS
        return _copied(run)

    def _read_on(self, loader: Loader, run_id: str) -> None:
        def goes_on() -> bool:
            sleep(_PAUSE_S)
            run = loader.runs[run_id]
            # Only this thread puts anything there: what is None here stays None.
            if self._partly is None and len(run.table) >= self._next:
                read = self._read_so_far(run)
                with self._lock:
                    self._partly = read
            return not self._is_closed

        try:
            loader.read(on_block=goes_on)
            if not self._is_closed:
                run = self._chosen(loader)
                is_other = run.info.run_id != run_id
                changed, is_moved = _arranged(run)
                # Else the first look at the end of a long run would have to wait for it.
                run.sums = Sums(run.table)
                run.sums.up_to(len(run.table) - 1)
                with self._lock:
                    self._ready = _Read(run, None, changed, is_other or is_moved)
        except BaseException as error:  # noqa: BLE001  told to whoever waits
            self._failure = error
        finally:
            self._is_read.set()

    def _read_so_far(self, run: LoadedRun) -> _Read:
        """Return what *run* has gained since the last time."""
        before = len(run.table.parent)
        changed, is_moved = _arranged(run)
        # Putting all rows in another order takes long: the further the run is, the less often.
        self._next = len(run.table) * 2 if is_moved else len(run.table) + _MORE_ROWS
        if is_moved:
            return _Read(_copied(run), is_moved=True)
        return _Read(None, run.table.gain(before, changed), changed)

    @property
    def is_complete(self) -> bool:
        """Whether all of the log has been read, and taken over by `refresh` or `wait`."""
        return self._is_read.is_set() and self._ready is None and self._failure is None

    @property
    def progress(self) -> float:
        """How much of the log has been read, from 0 to 1."""
        return 1.0 if self.is_complete else self._loader.progress

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until all of the log has been read, and take it over; return whether it has been.

        Raises:
            Whatever `open` raises, when the thread that reads met it.
        """
        is_read = self._is_read.wait(timeout_s)
        if is_read:
            self._take_over()
        return is_read

    def _take_over(self) -> Change:
        """Take over what the thread has read so far."""
        if self._failure is not None:
            raise self._failure
        before = len(self)
        with self._lock:
            last, self._ready = self._ready, None
            partly, self._partly = self._partly, None
        read = [each for each in (partly, last) if each is not None]
        if not read:
            return Change("same")
        for each in read:
            if each.run is not None:
                self._run = each.run
            elif last is None and each.gain is not None:
                self._run.table.take(each.gain)
                self._run.sums = None
        is_moved = any(each.is_moved for each in read)
        changed = () if is_moved else tuple(sorted({row for each in read for row in each.changed}))
        self._forget(None if is_moved else changed)
        self.revision += is_moved
        return Change("grown", len(self) - before, changed, is_moved)

    def refresh(self) -> Change:
        """Read what the log has gained since, or take over what the thread of ``wait=False`` has read so far.

        Rows change here and in `wait`, and nowhere else.
        A file that was rotated is read to its end, and then the one that took its place. One
        that got shorter, or was replaced, is read anew.

        Raises:
            LogFormatError, LogTooNewError, OSError: as `open`.
        """
        if not self.is_complete:
            return self._take_over()
        kind = self._what_happened()
        if kind in ("shrunk", "replaced"):
            return self._reload(kind)
        table, before = self._run.table, len(self._run.table)
        self._loader.read()
        changed = tuple(sorted(self._run.changed))
        self._run.changed.clear()
        added = len(table) - before
        if not added and not changed:
            return Change(kind)
        is_moved = table.arrange(before)
        self._run.sums = None
        self._forget(None if is_moved else changed)
        if is_moved:
            changed = ()  # their numbers were others
            self.revision += 1
        return Change("grown" if kind == "same" else kind, added, changed, is_moved)

    def _what_happened(self) -> Literal["same", "rotated", "shrunk", "replaced", "gone"]:
        import os

        last = self._loader.files[-1]
        if last.is_compressed:
            return "same"
        here = os.fstat(last.fd)
        if here.st_size < last.position:
            return "shrunk"
        path = last.path
        if self.status == "running" and path != Path(self.source):
            # The log may have been opened when its next file was not there yet, or held nothing of the run.
            path = unrotated(path)
        try:
            there = path.stat()
        except OSError:
            # Moved aside, with the next one not made yet, it is only about to be rotated.
            return "gone" if parts_since(path, here) is None else "same"
        if os.path.samestat(here, there):
            return "same"
        # Opened before the others are looked for: so none that was moved aside in between is missed.
        try:
            newest = LogFile(path)
        except OSError:
            return "same"  # moved aside this very moment
        parts = parts_since(path, here)
        if parts is None:
            newest.close()
            return "replaced"
        for part in parts:
            with suppress(OSError):
                file = LogFile(part)
                if os.path.samestat(os.fstat(file.fd), os.fstat(newest.fd)):
                    file.close()  # moved aside since it was opened; what came after it is found next time
                    break
                self._loader.files.append(file)
        self._loader.files.append(newest)
        return "rotated"

    def _reload(self, kind: Literal["shrunk", "replaced"]) -> Change:
        self._loader.close()
        self._asked = self._asked if self._asked is not None else self.run_id
        with suppress(ReplayError):
            self._loader, self._run, _ = self._load(wait=True)
            self._forget()
            self.revision += 1
            return Change(kind, len(self), (), is_moved=True)
        # The run is not in it any more: what took its place is.
        self._asked = None
        self._loader, self._run, _ = self._load(wait=True)
        self._forget()
        self.revision += 1
        return Change(kind, len(self), (), is_moved=True)

    def _forget(self, rows: Sequence[int] | None = None) -> None:
        """Drop what was kept of *rows*, which are new; None: of all."""
        self.version += 1
        if rows is None:
            self._kept.clear()
            self._kept_bytes = 0
        else:
            for row in rows:
                dropped = self._kept.pop(row, None)
                self._kept_bytes -= _size(dropped) if dropped is not None else 0

    # -- the run ----------------------------------------------------------------

    @property
    def run_id(self) -> str:
        """The run."""
        return self._run.info.run_id

    @property
    def info(self) -> RunInfo:
        """Its headers, its end and the files it is in; `summary` and `in_flight` of it are not filled."""
        return self._run.info

    @property
    def header(self) -> Record | None:
        """The run's own `run_start`; None in a log that has none."""
        return self._run.info.header

    @property
    def status(self) -> str:
        """ok, error, cancelled, running, interrupted or unknown, as `agent_step_log.list_runs` tells it."""
        return self._run.info.status

    @property
    def damage(self) -> list[Damage]:
        """What of its files was no record, so far."""
        return [item for file in self._loader.files for item in file.damage]

    # -- rows -------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._run.table.parent)

    @property
    def table(self) -> Table:
        """The columns; for this package."""
        return self._run.table

    @property
    def sums(self) -> Sums:
        """Sums over the rows; for this package."""
        if self._run.sums is None:
            self._run.sums = Sums(self._run.table)
        return self._run.sums

    @cached_property
    def rows(self) -> Rows:
        """All rows, made as they are asked for."""
        return Rows(self)

    def row(self, index: int) -> StepRow:
        """Return row *index*, from 0.

        Raises:
            IndexError: There is none.
        """
        return self.rows[index]

    def index_of(self, step: int, writer: str | None = None) -> int | None:
        """Return the row of a step; None if there is none."""
        row = self._run.table.row_of(step, writer)
        return row if 0 <= row < len(self) else None

    def key(self, index: int) -> StepKey:
        """Return what names row *index* for good."""
        table = self._run.table
        return StepKey(table.strings.texts[table.writer[index]], table.step[index])

    def children(self, index: int) -> list[int]:
        """Return the rows right below row *index*."""
        table = self._run.table
        depth = table.depth[index]
        found = []
        for row in range(index + 1, len(table.parent)):
            if table.depth[row] <= depth:
                break
            if table.depth[row] == depth + 1:
                found.append(row)
        return found

    def after(self, index: int) -> int:
        """Return the first row that is not below row *index*; the number of rows if there is none."""
        depths = self._run.table.depth
        depth = depths[index]
        row = index + 1
        count = len(self)
        if not depth:
            with suppress(ValueError):
                return depths.index(0, row)
            return count
        while row < count and depths[row] > depth:
            row += 1
        return row

    def errors_between(self, first: int, end: int) -> int:
        """Return how many rows failed from *first* on and before *end*."""
        return self._run.table.flags[first:end].tobytes().translate(_IS_ERROR).count(1)

    def roots_with_steps(self) -> list[int]:
        """Return the rows that are in no other step, and have some below them."""
        depths = self._run.table.depth
        return [row for row, (depth, below) in enumerate(pairwise(depths)) if below and not depth]

    def error_between(self, first: int, end: int) -> int | None:
        """Return the first row that failed from *first* on and before *end*; None if there is none."""
        found = self._run.table.flags[first:end].tobytes().translate(_IS_ERROR).find(1)
        return first + found if found >= 0 else None

    def payload(self, index: int) -> Payload:
        """Return the records of row *index*, read from the log now; those read last are kept.

        Raises:
            IndexError: There is no such row.
            LogFormatError: The file has changed under it.
        """
        self._tell(index)
        found = self._kept.get(index)
        if found is not None:
            with self._lock, suppress(KeyError):  # another thread has just made room
                self._kept.move_to_end(index)
            return found
        table = self._run.table
        if not 0 <= index < len(table.parent):
            raise IndexError(index)
        found = Payload(
            self._record(table.begin_file[index], table.begin_offset[index], table.begin_length[index]),
            self._record(table.file[index], table.offset[index], table.length[index]),
        )
        with self._lock:
            if index not in self._kept:
                self._kept_bytes += _size(found)
            self._kept[index] = found
            while len(self._kept) > _KEPT or (self._kept_bytes > _KEPT_BYTES and len(self._kept) > 1):
                _, dropped = self._kept.popitem(last=False)
                self._kept_bytes -= _size(dropped)
        return found

    def tell_rows(self, tell: Callable[[int], None] | None) -> None:
        """Call *tell* with every row whose records are read on this thread from now on; None: no longer.

        What *tell* raises comes out of what was reading. So work that takes long can be done on a thread of
        its own, while another one looks at rows, and be stopped. Nobody may `refresh` meanwhile.
        """
        self._telling = None if tell is None else (threading.get_ident(), tell)

    def _tell(self, index: int) -> None:
        telling = self._telling
        if telling is not None and telling[0] == threading.get_ident():
            telling[1](index)

    def lines(self, index: int) -> list[bytes]:
        """Return the lines of row *index* as they stand in the log, newlines left out."""
        self._tell(index)
        table = self._run.table
        places = (
            (table.begin_file[index], table.begin_offset[index], table.begin_length[index]),
            (table.file[index], table.offset[index], table.length[index]),
        )
        return [
            self._loader.files[number].bytes_at(offset, length)
            for number, offset, length in places
            if number >= 0
        ]

    def _record(self, number: int, offset: int, length: int) -> Record | None:
        if number < 0:
            return None
        file = self._loader.files[number]
        return decode_record(file.bytes_at(offset, length), file.path)

    def index_of_any(self, step: int) -> int | None:
        """Return the first row of a step of that number, whoever wrote it; None if there is none."""
        table = self._run.table
        return next((row for row in range(len(self)) if table.step[row] == step), None)

    def index_at(self, moment: float) -> int | None:
        """Return the last row that began at or before *moment*, Unix seconds; the first if none did."""
        start = self._run.table.start
        found = max(
            (row for row in range(len(self)) if start[row] <= moment), key=start.__getitem__, default=0
        )
        return found if len(self) else None

    @cached_property
    def _looking(self) -> Looking:
        return Looking(self)

    @property
    def started_at(self) -> float:
        """Unix seconds when the run began: its header's, or else those of its first record."""
        header = self._run.info.header
        return header.ts if header is not None else self._run.info.fold.first_ts or 0.0

    def row_with_id(self, text: str) -> int | None:
        """Return the row of a request id or tool call id; None if no step has it."""
        return self._looking.row_with_id(text)

    def holds(self, text: str) -> Callable[[int], bool]:
        """Return what tells whether the records of a row hold *text*, case aside."""
        return self._looking.holds(text)

    def call_before(self, index: int) -> int | None:
        """Return the row of the model call at *index* or, in the same scope if there is one, before it."""
        return self._looking.call_before(index)

    def exchange(self, index: int) -> TapedExchange | None:
        """Return the HTTP exchange of a model call; None when there is no tape, or it is not on it."""
        return self._looking.exchange(index)

    def context(self, index: int, *, difference: bool = False) -> Context:
        """Return the messages the model saw at row *index*, or at the model call before it."""
        return self._looking.context(index, difference=difference)

    def context_size(self, index: int) -> ContextSize:
        """Return how large the parts of those messages are."""
        return self._looking.size_of(self.context(index))

    def growth(self) -> list[GrowthPoint]:
        """Return every model call with the size of its prompt, as the provider counted it."""
        return self._looking.growth()

    def files(self, index: int) -> tuple[FileTouch, ...]:
        """Return the files that tool calls up to row *index* named, those touched last at the end."""
        return self._looking.files(index)

    def totals(self, index: int, *, with_cost: bool = True) -> Totals:
        """Return the sums over the rows up to *index*, its own included.

        Args:
            index: The row.
            with_cost: Whether to add up cost, too. The first cost loads the price list, which takes
                some tenths of a second; beyond 5,000 model calls it is left out.
        """
        return self._looking.totals(index, with_cost=with_cost)

    def cost_usd(self, index: int) -> float | None:
        """Return what a model call cost, in US dollars; None when no price or no usage is known."""
        return self._looking.cost_usd(index)

    def state(self, index: int) -> State:
        """Return the state of the run as of row *index*."""
        return self._looking.state(index)


def _copied(run: LoadedRun) -> LoadedRun:
    copied = LoadedRun(run.info.run_id)
    copied.info = run.info
    copied.table = run.table.copy()
    return copied


def _arranged(run: LoadedRun) -> tuple[tuple[int, ...], bool]:
    """Put what *run* has gained in order; return which rows say something else, and whether they moved."""
    before = len(run.table.parent)
    is_moved = run.table.arrange(before)
    changed = tuple(sorted(row for row in run.changed if row < before))
    run.changed.clear()
    return changed, is_moved


def _size(payload: Payload) -> int:
    return sum(len(record.block) for record in payload if record is not None)
