"""A cursor over a replay: moves, each with its reverse, and stops on the way.

navigator = Navigator(replay)
navigator.run("break at tool:bash if error; continue")     # the grammar of docs/replay.md
navigator.peer(-1)                                         # or its methods
navigator.row, navigator.value("input.command")
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent_debug_replay._commands import AddBreak, AddCatch, AddWatch, Target
from agent_debug_replay._expr import MISSING, Expression
from agent_debug_replay._kept import Kept
from agent_debug_replay._looking import why_no_exchange
from agent_debug_replay._outcomes import (
    Changes,
    Context,
    Files,
    Hit,
    Listing,
    Marks,
    Moved,
    MoveEnd,
    Notes,
    Outcome,
    StateShown,
    StopInfo,
    Tabulated,
    Where,
    Wire,
)
from agent_debug_replay._stops import Stop, step_named
from agent_debug_replay._table import ERROR
from agent_debug_replay.errors import ReplayError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Literal

    from agent_debug_replay._commands import Command
    from agent_debug_replay._replay import Change, Replay
    from agent_debug_replay._rows import StepKey, StepRow

__all__ = ["Navigator"]

_LOGGED = 100_000  # rows a table keeps
_HISTORY = 10_000
_AROUND = 10
_WAYS = {1: ("later", "after"), -1: ("earlier", "before")}


@dataclass
class _Shared:
    """What the navigators of several runs have in common."""

    stops: dict[int, Stop] = field(default_factory=dict)
    made: int = 0
    searched: str = ""
    displays: list[Expression] = field(default_factory=list)
    hits: int = 0
    kept: dict[str, Kept] = field(default_factory=dict)


class Navigator:
    """A cursor over the rows of *replay*, and the stops set on them. One thread at a time.

    Moves return what came of them, and never raise for want of a place to go: they stop at
    either end and say so. A move of several is as many moves of one, and one visit.

    Args:
        replay: The run.
        like: A navigator of another run, whose stops, displays and searched text are those of this one, too.

    Attributes:
        replay: The run.
    """

    def __init__(self, replay: Replay, *, like: Navigator | None = None) -> None:
        self.replay = replay
        self._shared: _Shared = like._shared if like is not None else _Shared()
        self._key: StepKey | None = None
        self._at: int | None = None
        self._revision = -1
        self._visits: list[StepKey] = []
        self._visit = -1
        self._tests: dict[int, tuple[object, Callable[[int], str | None]]] = {}
        self._tests_of = -1
        self._kept = self._shared.kept.setdefault(replay.run_id, Kept())

    @property
    def hits(self) -> int:
        """How many stops were hit."""
        return self._shared.hits

    # -- where it is --------------------------------------------------------------

    @property
    def position(self) -> int | None:
        """The row of the cursor; None while the run has no steps."""
        if self._at is None:
            if len(self.replay):
                self._put(0)
                self._remember()
        elif self._revision != self.replay.revision and self._key is not None:
            row = self.replay.index_of(self._key.step, self._key.writer)
            self._put(row if row is not None else min(self._at, len(self.replay) - 1))
        return self._at

    @property
    def row(self) -> StepRow | None:
        """The facts of the row of the cursor."""
        at = self.position
        return None if at is None else self.replay.row(at)

    def _put(self, row: int) -> None:
        if row < 0:
            self._at = self._key = None
            return
        self._at, self._key, self._revision = row, self.replay.key(row), self.replay.revision

    def _remember(self) -> None:
        assert self._key is not None
        if 0 <= self._visit < len(self._visits) and self._visits[self._visit] == self._key:
            return
        del self._visits[self._visit + 1 :]
        self._visits.append(self._key)
        del self._visits[:-_HISTORY]
        self._visit = len(self._visits) - 1

    def refresh(self) -> Change:
        """Read what the log has gained, and stay at the step the cursor is at; see `Replay.refresh`."""
        change = self.replay.refresh()
        _ = self.position
        return change

    # -- moves ------------------------------------------------------------------

    def next(self, count: int = 1) -> Moved:
        """Go to the following step beside this one; *count* < 0: to the one before."""
        return self._walk(self._sibling, count, "step beside this one {1} it; `up` leaves it, `s` goes on")

    def step(self, count: int = 1) -> Moved:
        """Go to the following row, into what is below and out again; *count* < 0: to the row before."""
        return self._walk(lambda at, way: at + way, count, "")

    def step_in(self) -> Moved:
        """Go to the first step below this one."""

        def first_below(at: int, _way: int) -> int:
            table = self.replay.table
            return at + 1 if at + 1 < len(table.parent) and table.parent[at + 1] == at else -2

        return self._walk(first_below, 1, "step below this one")

    def out(self, count: int = 1) -> Moved:
        """Go to the step this one is in."""
        return self._walk(
            lambda at, _way: self.replay.table.parent[at] if self.replay.table.parent[at] >= 0 else -2,
            count,
            "step above this one",
        )

    def finish(self) -> Moved:
        """Go behind the step this one is in: where its caller goes on."""

        def behind(at: int, _way: int) -> int:
            parent = self.replay.table.parent[at]
            return self.replay.after(parent) if parent >= 0 else len(self.replay)

        return self._walk(behind, 1, "")

    def turn(self, count: int = 1) -> Moved:
        """Go to the following turn: what a user said, or in a run without that, a model call."""
        is_turn = self._turn_test()
        return self._walk(lambda at, way: self._scan(at, way, is_turn), count, "{0} turn")

    def peer(self, count: int = 1) -> Moved:
        """Go to the following step of the same type and name."""
        table = self.replay.table
        at = self.position
        if at is None:
            return self._nowhere()
        kind, name = table.kind[at], table.name[at]

        def is_peer(row: int) -> bool:
            return table.name[row] == name and table.kind[row] == kind

        return self._walk(
            lambda at, way: self._scan(at, way, is_peer), count, "{0} step of the same type and name"
        )

    def error(self, count: int = 1) -> Moved:
        """Go to the following step that failed."""
        flags = self.replay.table.flags

        def failed(row: int) -> bool:
            return bool(flags[row] & ERROR)

        return self._walk(lambda at, way: self._scan(at, way, failed), count, "{0} step that failed")

    def until(self, condition: str | Expression, *, reverse: bool = False) -> Moved:
        """Go to the following row where *condition* holds.

        Raises:
            ExpressionError: It cannot be understood.
        """
        holds = _expression(condition).condition(self.replay)
        return self._walk(
            lambda at, way: self._scan(at, way, holds),
            -1 if reverse else 1,
            f"{{0}} step where {_braced(str(condition))}",
        )

    def resume(self, *, reverse: bool = False, most: int | None = None) -> Moved:
        """Go on to the next stop; without one, to the end.

        Args:
            reverse: Go back.
            most: Rows to go at the most. Default: as many as there are.
        """
        before = self.position
        if before is None:
            return self._nowhere()
        way = -1 if reverse else 1
        rows = range(before + way, len(self.replay) if way > 0 else -1, way)[:most]
        active = [
            (stop, self._test(number)) for number, stop in self._shared.stops.items() if stop.info.is_enabled
        ]
        for row in rows if active else ():
            hits = [
                hit
                for stop, test in active
                if (detail := test(row)) is not None and (hit := stop.hit(detail))
            ]
            if hits:
                for hit in hits:
                    if self._shared.stops[hit.stop].info.is_temporary:
                        self._drop(hit.stop)
                self._shared.hits += len(hits)
                return self._arrive(row, before, "stopped", tuple(hits))
        if rows and len(rows) == most:
            return self._arrive(rows[-1], before, "arrived")
        last = len(self.replay) - 1 if way > 0 else 0
        return self._arrive(last, before, "end" if way > 0 else "start", (), self._end_words(way))

    def seek(self, target: Target | int) -> Moved:
        """Go to a place; a number is a row."""
        before = self.position
        if before is None:
            return self._nowhere()
        if isinstance(target, int):
            target = Target("row", target)
        row, why = self._row_of(target)
        if row is None:
            return Moved(before, before, "nowhere", (), why)
        return self._arrive(row, before, "arrived")

    def back(self, count: int = 1) -> Moved:
        """Go to where the cursor was before; *count* < 0: forward again."""
        before = self.position
        if before is None:
            return self._nowhere()
        visit = min(max(self._visit - count, 0), len(self._visits) - 1)
        if visit == self._visit:
            words = "This is where it began." if count > 0 else "There is nothing further on in the history."
            return Moved(before, before, "start" if count > 0 else "end", (), words)
        self._visit = visit
        key = self._visits[visit]
        row = self.replay.index_of(key.step, key.writer)
        self._put(row if row is not None else before)
        return Moved(self._at, before, "arrived")

    def forward(self, count: int = 1) -> Moved:
        """Undo `back`."""
        return self.back(-count)

    def find(self, text: str | None = None, *, reverse: bool = False) -> Moved:
        """Go to the following step whose records hold *text*, case aside; None: the text looked for last."""
        if text is not None:
            self._shared.searched = text
        if not self._shared.searched:
            return replace(self._nowhere(), message="There is nothing to look for yet: /TEXT")
        holds = self.replay.holds(self._shared.searched)
        return self._walk(
            lambda at, way: self._scan(at, way, holds),
            -1 if reverse else 1,
            f"{{0}} step that holds {_braced(repr(self._shared.searched))}",
        )

    def mark(self, name: str) -> Marks:
        """Give the step at the cursor a name."""
        if self.position is not None and self._key is not None:
            self._kept.marks[name] = self._key
        return self.marks

    def go_to_mark(self, name: str) -> Moved:
        """Go to the step of that name."""
        before = self.position
        key = self._kept.marks.get(name)
        row = self.replay.index_of(key.step, key.writer) if key is not None else None
        if before is None or row is None:
            return Moved(before, before, "nowhere", (), f"There is no mark {name!r}.")
        return self._arrive(row, before, "arrived")

    @property
    def marks(self) -> Marks:
        """The marks there are."""
        rows = {
            name: self.replay.row(row)
            for name, key in self._kept.marks.items()
            if (row := self.replay.index_of(key.step, key.writer)) is not None
        }
        return Marks(rows)

    def note(self, text: str | None) -> Notes:
        """Write *text* beside the step at the cursor, in the place of what was there; None: take it away.

        Notes are kept as marks are: for every run that is gone into, until the session ends.
        """
        at = self.position
        if at is None or self._key is None:
            return Notes()
        if text is None:
            self._kept.notes.pop(self._key, None)
            return self.notes
        self._kept.notes[self._key] = text
        return Notes(((self.replay.row(at), text),))

    def note_at(self, row: int) -> str | None:
        """The note beside a row; None if there is none."""
        return self._kept.notes.get(self.replay.key(row)) if self._kept.notes else None

    @property
    def notes(self) -> Notes:
        """The notes there are."""
        found = [
            (row, text)
            for key, text in self._kept.notes.items()
            if (row := self.replay.index_of(key.step, key.writer)) is not None
        ]
        return Notes(tuple((self.replay.row(row), text) for row, text in sorted(found)))

    def save(self, path: str | os.PathLike[str]) -> str:
        """Write the marks and notes of all runs of the session to a file; return what was done, in words.

        Args:
            path: A new file, or one that was written so before; what it has of other runs stays.

        Raises:
            ReplayError: There is nothing to save, or the file cannot be written or is another one.
        """
        from agent_debug_replay._kept import save_kept

        if not any(kept.marks or kept.notes for kept in self._shared.kept.values()):
            raise ReplayError("There are no marks and no notes: `mark NAME` and `note TEXT` make some.")
        counts = save_kept(_user_path(path), self._shared.kept)
        return f"Saved {counts} to {path}."

    def load(self, path: str | os.PathLike[str]) -> str:
        """Take over the marks and notes of a file; return what was done, in words.

        Raises:
            ReplayError: It cannot be read, or is no such file.
        """
        from agent_debug_replay._kept import load_kept

        found = load_kept(_user_path(path))
        for run_id, kept in found.items():
            known = self._shared.kept.setdefault(run_id, Kept())
            known.marks.update(kept.marks)
            known.notes.update(kept.notes)
        counts = found.get(self.replay.run_id, Kept()).counts
        others = len(found.keys() - {self.replay.run_id})
        also = f", and those of {others:,} other {'run' if others == 1 else 'runs'}" if others else ""
        return f"Took over {counts if any(counts) else 'none'} of this run{also}."

    def export(
        self,
        path: str | os.PathLike[str],
        *,
        first: Target | None = None,
        last: Target | None = None,
        condition: str | Expression | None = None,
    ) -> str:
        """Write the log's lines of steps to a new file, a log of its own; return what was done, in words.

        Args:
            path: A file that is not there yet.
            first, last: From where to where, each included; an id may be the name of a mark. Default: all.
            condition: Only steps where it holds.

        Raises:
            ExpressionError: *condition* cannot be understood.
            ReplayError: There is no such place, no such step, or the file is there, or cannot be written.
        """
        from agent_debug_replay._export import export_rows

        rows: Sequence[int] = range(self._end_row(first, 0), self._end_row(last, len(self.replay) - 1) + 1)
        if condition is not None:
            holds = _expression(condition).condition(self.replay)
            rows = [row for row in rows if holds(row)]
        if not rows:
            raise ReplayError("There is no such step: nothing was written.")
        done = export_rows(self.replay, rows, _user_path(path))
        words = f"{done.steps:,} {'step' if done.steps == 1 else 'steps'} in {done.lines:,} lines"
        return f"Wrote {words}, {done.size_bytes:,} bytes, to {path}."

    def _end_row(self, target: Target | None, otherwise: int) -> int:
        if target is None:
            return otherwise
        key = self._kept.marks.get(str(target.value)) if target.kind == "id" else None
        row, why = self._row_of(target) if key is None else (self.replay.index_of(key.step, key.writer), "")
        if row is None:
            raise ReplayError(why or f"The step of mark {target.value!r} is not there any more.")
        return row

    def _walk(self, following: Callable[[int, int], int], count: int, what: str) -> Moved:
        """Move *count* times; *following* gives the row after one: -2 where there is nothing such."""
        before = self.position
        if before is None:
            return self._nowhere()
        way = 1 if count >= 0 else -1
        at, end = before, "arrived"
        words = ""
        for _ in range(abs(count)):
            row = following(at, way)
            if not 0 <= row < len(self.replay):
                is_edge = row != -2
                end = ("end" if way > 0 else "start") if is_edge else "nowhere"
                words = self._end_words(way) if is_edge else f"There is no {what.format(*_WAYS[way])}."
                break
            at = row
        # A walk that got somewhere has arrived there, and is told that it goes no further.
        return self._arrive(at, before, end, (), words)  # type: ignore[arg-type]  # one of the ends above

    def _scan(self, at: int, way: int, holds: Callable[[int], bool]) -> int:
        rows = range(at + way, len(self.replay) if way > 0 else -1, way)
        return next((row for row in rows if holds(row)), -2)

    def _sibling(self, at: int, way: int) -> int:
        depths = self.replay.table.depth
        depth = depths[at]
        if way > 0:
            row = self.replay.after(at)
            if row == len(self.replay):
                return row if depth == 0 else -2
            return row if depths[row] == depth else -2
        row = at - 1
        while row >= 0 and depths[row] > depth:
            row -= 1
        return row if row < 0 and depth == 0 else row if row >= 0 and depths[row] == depth else -2

    def _turn_test(self) -> Callable[[int], bool]:
        table = self.replay.table
        said = {table.strings.find(name) for name in ("user_message", "user_prompt")} - {None}
        event, call = table.strings.find("event"), table.strings.find("llm_call")
        # Looked for only where the name is in the table at all: else every row would be asked at every turn.
        if said and any(
            name in said and kind == event for name, kind in zip(table.name, table.kind, strict=True)
        ):
            return lambda row: table.name[row] in said and table.kind[row] == event
        return lambda row: table.kind[row] == call

    def _arrive(
        self, row: int, before: int, end: MoveEnd, hits: tuple[Hit, ...] = (), message: str = ""
    ) -> Moved:
        self._put(row)
        if row != before:
            self._remember()
        return Moved(row, before, end, hits, message)

    def _nowhere(self) -> Moved:
        return Moved(
            self.position,
            self.position,
            "nowhere",
            (),
            "The run has no steps yet." if self.position is None else "",
        )

    def _end_words(self, way: int) -> str:
        if way < 0:
            return "This is the first step."
        if not self.replay.is_complete:
            return "This is the last step read so far."
        still = self.replay.status == "running"
        return "This is the last step so far: the run goes on." if still else "This is the last step."

    def _row_of(self, target: Target) -> tuple[int | None, str]:
        count = len(self.replay)
        value = target.value
        if target.kind in ("start", "end"):
            return (0 if target.kind == "start" else count - 1), ""
        if target.kind == "id":
            row = self.replay.row_with_id(str(value))
            return row, f"No step has the id {value!r}."
        assert not isinstance(value, str)
        if target.kind == "step":
            row = step_named(self.replay, target)
            last = self.replay.row(count - 1).step
            return row, f"There is no step {int(value)}; the last one is {last}."
        if target.kind == "percent":
            return round((count - 1) * min(max(value, 0), 100) / 100), ""
        if target.kind in ("time", "clock"):
            origin = self.replay.started_at if target.kind == "time" else 0.0
            return self.replay.index_at(origin + value), ""
        row = int(value) if value >= 0 else count + int(value)
        return (row if 0 <= row < count else None), f"There is no row {int(value)}; there are {count}."

    # -- stops --------------------------------------------------------------------

    @property
    def stops(self) -> tuple[StopInfo, ...]:
        """The breakpoints, watches and catch points there are."""
        return tuple(stop.info for stop in self._shared.stops.values())

    def add(self, stop: AddBreak | AddWatch | AddCatch) -> StopInfo:
        """Set a breakpoint, watch or catch point; return it."""
        from agent_debug_replay._grammar import written_command

        kinds: dict[type, Literal["break", "watch", "catch"]] = {AddBreak: "break", AddWatch: "watch"}
        kind: Literal["break", "watch", "catch"] = kinds.get(type(stop), "catch")
        self._shared.made += 1
        is_temporary = isinstance(stop, AddBreak) and stop.is_temporary
        info = StopInfo(self._shared.made, kind, written_command(stop), is_temporary=is_temporary)
        self._shared.stops[self._shared.made] = Stop(info, stop, self.replay.run_id)
        return info

    def break_at(
        self,
        place: str | None = None,
        *,
        condition: str | Expression | None = None,
        temporary: bool = False,
    ) -> StopInfo:
        """Set a breakpoint.

        Args:
            place: ``tool``, ``tool:bash``, ``llm:*haiku*``, ``agent``, ``event:retry``; default: any step.
            condition: Where it stops only.
            temporary: Whether it goes away when it is hit.

        Raises:
            ExpressionError, CommandLineError: *condition*, or *place*, cannot be understood.
        """
        from agent_debug_replay._grammar import parse_place

        where = parse_place(place) if place is not None else None
        test = _expression(condition) if condition is not None else None
        return self.add(AddBreak(where, test, is_temporary=temporary))

    def watch(self, expression: str | Expression) -> StopInfo:
        """Stop where the value of *expression* is not what it was on the last step that had it."""
        return self.add(AddWatch(_expression(expression)))

    def catch(
        self, kind: str, limit: float | None = None, *, of: Literal["tokens", "cost"] = "tokens"
    ) -> StopInfo:
        """Stop at what goes wrong.

        Args:
            kind: error, retry, loop, truncation, refusal, compaction, budget or gap.
            limit: Of a loop: how many times (3); of a gap: milliseconds (60,000); of a budget: tokens
                (1,000,000) or US dollars.
            of: What a budget is of.
        """
        return self.add(AddCatch(kind, limit, of))

    def change(
        self,
        action: Literal["enable", "disable", "delete", "ignore", "condition"],
        numbers: Iterable[int] = (),
        *,
        count: int = 0,
        condition: Expression | None = None,
    ) -> tuple[StopInfo, ...]:
        """Change the stops of these numbers, or all; return them as they are now, or were.

        Raises:
            ReplayError: There is no stop of such a number.
        """
        wanted = list(numbers) or list(self._shared.stops)
        for number in wanted:
            if number not in self._shared.stops:
                raise ReplayError(f"There is no stop {number}; `info` lists those there are.")
        found = []
        for number in wanted:
            stop = self._shared.stops[number]
            if action == "ignore":
                stop.info = replace(stop.info, ignore=max(count, 0))
            elif action == "condition":
                self._set_condition(stop, condition)
            elif action == "delete":
                self._drop(number)
            else:
                stop.info = replace(stop.info, is_enabled=action == "enable")
            found.append(stop.info)
        return tuple(found)

    def _set_condition(self, stop: Stop, condition: Expression | None) -> None:
        from agent_debug_replay._grammar import written_command

        if not isinstance(stop.made_by, AddBreak):
            raise ReplayError(f"Stop {stop.info.number} is no breakpoint: only those have conditions.")
        stop.made_by = replace(stop.made_by, condition=condition)
        stop.info = replace(stop.info, text=written_command(stop.made_by))
        self._tests.pop(stop.info.number, None)

    def _drop(self, number: int) -> None:
        del self._shared.stops[number]
        self._tests.pop(number, None)

    def _test(self, number: int) -> Callable[[int], str | None]:
        if self._tests_of != self.replay.version:
            self._tests.clear()
            self._tests_of = self.replay.version
        stop = self._shared.stops[number]
        known = self._tests.get(number)
        if known is None or known[0] is not stop.made_by:  # changed, perhaps by another that shares it
            known = self._tests[number] = stop.made_by, stop.test(self.replay)
        return known[1]

    # -- looking ------------------------------------------------------------------

    def value(self, expression: str | Expression, row: int | None = None) -> Any:
        """Return what *expression* is at *row*, or at the cursor; `MISSING` where the step does not have it.

        Raises:
            ExpressionError: It cannot be understood.
        """
        at = self.position if row is None else row
        return MISSING if at is None else _expression(expression).value(self.replay)(at)

    def tabulate(
        self, expressions: Sequence[str | Expression], condition: str | Expression | None = None
    ) -> Tabulated:
        """Return what *expressions* are on every row where *condition* holds.

        Without a condition: on every row that has any of them.

        Raises:
            ExpressionError: One cannot be understood.
        """
        parsed = [_expression(each) for each in expressions]
        values = [each.value(self.replay) for each in parsed]
        holds = _expression(condition).condition(self.replay) if condition is not None else None
        rows: list[tuple[StepRow, tuple[Any, ...]]] = []
        left_out = 0
        for row in range(len(self.replay)):
            if holds is not None and not holds(row):
                continue
            found = tuple(value(row) for value in values)
            if holds is None and all(each is MISSING for each in found):
                continue
            if len(rows) < _LOGGED:
                rows.append((self.replay.row(row), found))
            else:
                left_out += 1
        return Tabulated(tuple(each.text for each in parsed), tuple(rows), left_out)

    def listing(self, count: int = _AROUND) -> Listing:
        """Return the *count* rows around the cursor."""
        at = self.position
        if at is None:
            return Listing((), None)
        first = max(min(at - count // 2, len(self.replay) - count), 0)
        return Listing(tuple(self.replay.rows[first : first + count]), at)

    def where(self) -> Where:
        """Return the steps the cursor is inside of, the outermost first."""
        rows: list[StepRow] = []
        at = self.position
        while at is not None and at >= 0:
            rows.append(self.replay.row(at))
            at = rows[-1].parent
        return Where(tuple(reversed(rows)))

    @property
    def displays(self) -> tuple[Expression, ...]:
        """The expressions a front shows after every move."""
        return tuple(self._shared.displays)

    # -- commands -------------------------------------------------------------------

    def run(self, text: str) -> Iterator[tuple[Command, Outcome]]:
        """Do the commands of *text*, separated by ``;``, one after the other; see docs/replay.md.

        All of it is parsed before any of it is done.

        Raises:
            CommandLineError, ExpressionError: It cannot be understood.
            ReplayError: A command cannot be done.
        """
        from agent_debug_replay._grammar import parse_commands

        commands = parse_commands(text)
        return ((command, self.do(command)) for command in commands)

    def do(self, command: Command) -> Outcome:
        """Do one command.

        Raises:
            ReplayError: It cannot be done.
        """
        from agent_debug_replay._doing import do

        return do(self, command)

    def keep_display(self, expression: Expression) -> None:
        """Show *expression* after every move."""
        if expression not in self._shared.displays:
            self._shared.displays.append(expression)

    def drop_displays(self) -> None:
        """Show none after moves."""
        self._shared.displays.clear()

    # What needs the tape or the payloads of many steps is the replay's to find.

    def context(self, *, difference: bool = False) -> Context:
        """Return the messages the model saw: at the cursor, or before it if that is no model call."""
        at = self.position
        return self.replay.context(at, difference=difference) if at is not None else Context(None, (), "none")

    def wire(self, part: Literal["request", "response", "events"] = "request") -> Wire:
        """Return the exchange of the model call at the cursor, or of the last one before it."""
        at = self.position
        call = self.replay.call_before(at) if at is not None else None
        if call is None:
            return Wire(None, None, part, message="No model was called up to here.")
        exchange = self.replay.exchange(call)
        message = why_no_exchange(self.replay, call) if exchange is None else ""
        return Wire(self.replay.row(call), exchange, part, message=message)

    def changes(self, target: Target | None = None) -> Changes:
        """Return what differs between a step and the one at the cursor.

        Args:
            target: The step to compare with. Default: the one before of the same type and name.
        """
        from agent_debug_replay._step_changes import step_changes

        at = self.position
        if at is None:
            return Changes(None, None, (), self._nowhere().message)
        if target is not None:
            before, why = self._row_of(target)
        else:
            table = self.replay.table
            kind, name = table.kind[at], table.name[at]
            before = self._scan(at, -1, lambda row: table.name[row] == name and table.kind[row] == kind)
            before, why = (
                (None if before < 0 else before),
                "There is no earlier step of the same type and name.",
            )
        if before is None:
            return Changes(None, self.replay.row(at), (), why)
        return step_changes(self.replay, before, at)

    def command_line(self) -> str:
        """Return the command that opens this run at this step."""
        import shlex

        words = ["agent-step-log", "replay", str(self.replay.source), self.replay.run_id]
        where = f"goto {self._key}" if self.position is not None and self._key is not None else "list"
        return f"{shlex.join(words)} -x {shlex.quote(where)}"

    def files(self) -> Files:
        """Return the files touched up to the cursor."""
        at = self.position
        return Files(self.replay.files(at) if at is not None else ())

    def state(self) -> StateShown:
        """Return the state at the cursor."""
        at = self.position
        return StateShown(self.replay.state(at) if at is not None else None)


def _expression(given: str | Expression) -> Expression:
    return Expression(given) if isinstance(given, str) else given


def _user_path(path: str | os.PathLike[str]) -> Path:
    import os

    return Path(os.path.expanduser(path))  # noqa: PTH111  that of pathlib fails where there is no such user


def _braced(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
