"""A run's steps as columns: some hundred bytes a step, and everything else read when it is looked at.

A row is one step or event: its beginning and its ending brought together. While a log is
read, rows stand in the order they were met; `Table.arrange` puts them in the order of the
tree, each below its parent, siblings in the order they were told. Then the number of a row is its
place on the screen.
"""

from __future__ import annotations

from array import array
from itertools import pairwise
from math import nan
from operator import itemgetter, le
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from agent_step_log.limits import TRUNCATED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["ERROR", "IN_FLIGHT", "RETRY", "UNCOUNTED", "UNKNOWN", "Gain", "Head", "Strings", "Table"]

#: In a column of counts: not known. No recorded count is this low.
UNKNOWN = -(1 << 62)
_LARGEST = (1 << 62) - 1

ERROR, IN_FLIGHT, RETRY, HAS_BEGINNING, CUT_OFF = 1, 2, 4, 8, 16
#: A model call that ended and does not tell both of its counts of tokens.
UNCOUNTED = 32

_NAME_KEYS = {"llm_call": "model", "tool_call": "tool", "agent_call": "agent", "event": "name"}


class Head(Protocol):
    """What a row takes from a record; `agent_step_log.Record` has all of it."""

    run_id: str
    step: int
    type: str
    ts: float
    of: str | None
    model: str | None
    tool: str | None
    agent: str | None
    name: str | None
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    duration_ms: Any
    stop_reason: str | None
    error: str | None
    error_type: str | None
    attempt: int | None
    start_ts: float | None
    parent: int | None
    parent_writer: str | None
    writer: str | None


class Strings:
    """Texts by number; 0 is None. Grows only, so that a number once given stays."""

    def __init__(self) -> None:
        self.texts: list[str | None] = [None]
        self._numbers: dict[str | None, int] = {None: 0}

    def number(self, text: str | None) -> int:
        """Return the number of *text*, giving it one if it has none."""
        found = self._numbers.get(text)
        if found is None:
            found = self._numbers[text] = len(self.texts)
            self.texts.append(text)
        return found

    def numbers(self, texts: Sequence[str | None]) -> array[int]:
        """Return the numbers of *texts*."""
        first = texts[0]
        if texts.count(first) == len(texts):
            return array("I", (self.number(first),)) * len(texts)
        try:
            return array("I", [self._numbers[text] for text in texts])
        except KeyError:
            return array("I", [self.number(text) for text in texts])

    def find(self, text: str) -> int | None:
        """Return the number of *text*; None if nothing has it."""
        return self._numbers.get(text)


class _Places:
    """Row by step number, for one writer: an array as long as numbers are dense, a dict for the others."""

    def __init__(self) -> None:
        self._rows = array("i")
        self._more: dict[int, int] = {}
        self._highest = 0

    def get(self, step: int) -> int:
        """Return the row of *step*; -1 if there is none."""
        if 0 <= step < len(self._rows):
            return self._rows[step] - 1
        return self._more.get(step, -1)

    def many(self, steps: list[int]) -> list[int] | None:
        """Return the rows of *steps*; None when no step has one."""
        if min(steps) > self._highest:
            return None
        rows = [self.get(step) for step in steps]
        return rows if max(rows) >= 0 else None

    def put(self, steps: list[int], first: int) -> None:
        """Note that *steps* are rows *first*, *first* + 1, ..."""
        lowest, highest, size = min(steps), max(steps), len(self._rows)
        self._highest = max(self._highest, highest)
        # Numbers start at 1 and have no gaps: room for twice as many as were met is always enough.
        if size <= highest < 2 * (size + len(steps)) + 65_536:
            self._rows.frombytes(bytes(4 * (highest + 1 + size // 2 - size)))
            size = len(self._rows)
        if lowest >= 0 and highest < size and steps == list(range(lowest, highest + 1)):
            self._rows[lowest : highest + 1] = array("i", range(first + 1, first + 1 + len(steps)))
            return
        for row, step in enumerate(steps, first):
            if 0 <= step < size:
                self._rows[step] = row + 1
            else:
                self._more[step] = row

    def moved(self, places: Sequence[int]) -> _Places:
        """Return what is here when rows were put elsewhere: row n is now *places*[n]."""
        found = _Places()
        found._rows = array("i", [places[row - 1] + 1 if row else 0 for row in self._rows])
        found._more = {step: places[row] for step, row in self._more.items()}
        found._highest = self._highest
        return found


#: Column and the type code of its array. `told` in Unix seconds: when its first line was written; rows are
#: ordered by it, as runs are everywhere. `start` in Unix seconds, `duration` in milliseconds; counts of
#: tokens UNKNOWN when nobody told; texts by number; `offset` and `length` where the record that ended the
#: step stands in file number `file`, `begin_*` the same for its `step_start`, -1 where there is none.
_COLUMNS = {
    "step": "q",
    "writer": "I",
    "kind": "I",
    "name": "I",
    "agent": "I",
    "told": "d",
    "start": "d",
    "duration": "d",
    "input_tokens": "q",
    "output_tokens": "q",
    "cache_read_tokens": "q",
    "cache_write_tokens": "q",
    "reasoning_tokens": "q",
    "stop_reason": "I",
    "error_type": "I",
    "flags": "B",
    "parent_step": "q",
    "parent_writer": "I",
    "file": "i",
    "offset": "q",
    "length": "q",
    "begin_file": "i",
    "begin_offset": "q",
    "begin_length": "q",
}
#: A row whose ending says something else of these than its beginning may have to move.
_PLACING = frozenset({"parent_step", "parent_writer", "agent"})
_TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")


_ALL = (*_COLUMNS, "parent", "depth", "scope")


class Gain(NamedTuple):
    """What a table has more than a copy of it: columns from row *first* on, and rows before it anew."""

    first: int
    added: dict[str, array[Any]]
    changed: tuple[int, ...]
    values: dict[str, list[Any]]


class Table:
    """The steps of one run. Not safe from several threads while it is added to."""

    step: array[int]
    writer: array[int]
    kind: array[int]
    name: array[int]
    agent: array[int]
    told: array[float]
    start: array[float]
    duration: array[float]
    input_tokens: array[int]
    output_tokens: array[int]
    cache_read_tokens: array[int]
    cache_write_tokens: array[int]
    reasoning_tokens: array[int]
    stop_reason: array[int]
    error_type: array[int]
    flags: array[int]
    parent_step: array[int]
    parent_writer: array[int]
    file: array[int]
    offset: array[int]
    length: array[int]
    begin_file: array[int]
    begin_offset: array[int]
    begin_length: array[int]

    def __init__(self, strings: Strings | None = None) -> None:
        for name, code in _COLUMNS.items():
            setattr(self, name, array(code))
        self.strings = strings if strings is not None else Strings()
        #: Row of the parent, -1 for none, and how deep a row is; as of the last `arrange`.
        self.parent: array[int] = array("i")
        self.depth: array[int] = array("I")
        #: The agent a row belongs to: its own, or that of the nearest step above it that names one.
        self.scope: array[int] = array("I")
        self._places: dict[int, _Places] = {}
        self._is_disordered = False  # a row that stood in its place says something else now
        self._awaited: set[tuple[int, int]] = set()  # writer and step of parents that are not there

    def __len__(self) -> int:
        return len(self.step)

    def copy(self) -> Table:
        """Return its rows as they are, to be looked at while this one is added to.

        Texts are shared, and so is where steps are, until rows move here: a copy may be told of rows it does
        not have yet.
        """
        copied = Table(self.strings)
        for name in _ALL:
            setattr(copied, name, getattr(self, name)[:])
        copied._places = self._places
        return copied

    def gain(self, first: int, changed: Sequence[int]) -> Gain:
        """Return what a copy of *first* rows lacks, of which *changed* say something else now.

        All rows must have been arranged, and those before *first* not moved.
        """
        added = {name: getattr(self, name)[first:] for name in _ALL}
        values = {name: [getattr(self, name)[row] for row in changed] for name in _COLUMNS} if changed else {}
        return Gain(first, added, tuple(changed), values)

    def take(self, gain: Gain) -> None:
        """Take in what the table this is a copy of has gained."""
        for name, values in gain.values.items():
            column = getattr(self, name)
            for row, value in zip(gain.changed, values, strict=True):
                column[row] = value
        for name, added in gain.added.items():
            getattr(self, name).extend(added)

    def row_of(self, step: int, writer: str | None = None) -> int:
        """Return the row of a step; -1 if there is none."""
        number = self.strings.find(writer) if writer is not None else 0
        places = self._places.get(number) if number is not None else None
        return places.get(step) if places is not None else -1

    @property
    def writers(self) -> list[str | None]:
        """Who wrote steps of the run: None for the one that made the log."""
        # In one go: the thread that reads a log adds writers to what its copies share.
        numbers = tuple(self._places)
        return [self.strings.texts[number] for number in numbers]

    @property
    def is_of_one_writer(self) -> bool:
        """Whether one writer wrote the whole run."""
        return len(self._places) == 1

    # -- taking records in ------------------------------------------------------

    def add(
        self, heads: Sequence[Head], file: int, offsets: Sequence[int], lengths: Sequence[int]
    ) -> list[int]:
        """Take records of the run in, step 0 left out by the caller; return the rows that were there before.

        The first ending of a step counts, and its first beginning.
        """
        writers = {head.writer for head in heads}
        if len(writers) == 1 and _are_different(heads):
            return self._add_group(heads, file, offsets, lengths, writers.pop())
        changed: list[int] = []
        if len(writers) > 1:
            for writer in sorted(writers, key=lambda text: text or ""):
                mine = [at for at, head in enumerate(heads) if head.writer == writer]
                changed += self.add(*_taken(mine, heads, file, offsets, lengths))
        else:  # a step told twice: what was told first counts
            firsts = _firsts(heads)
            changed += self._add_group(*_taken(firsts, heads, file, offsets, lengths), heads[0].writer)
        return changed

    def _add_group(
        self,
        heads: Sequence[Head],
        file: int,
        offsets: Sequence[int],
        lengths: Sequence[int],
        writer: str | None,
    ) -> list[int]:
        number = self.strings.number(writer)
        places = self._places.get(number)
        if places is None:
            places = self._places[number] = _Places()
        before = len(self)
        steps = _wholes([head.step for head in heads])
        rows = places.many(steps)
        is_begin = [head.type == "step_start" for head in heads]
        begun = (
            {step for step, begins in zip(steps, is_begin, strict=True) if begins}
            if True in is_begin
            else set()
        )
        if rows is None and (not begun or False not in is_begin):
            # Nearly every block of most logs: all of it is new.
            self._append(heads, steps, number, file, offsets, lengths)
            places.put(steps, len(self) - len(steps))
            return []
        known = rows or [-1] * len(steps)
        fresh = [
            at
            for at, (step, row) in enumerate(zip(steps, known, strict=True))
            if row < 0 and (is_begin[at] or step not in begun)
        ]
        if fresh:
            new = [steps[at] for at in fresh]
            picked, _, *spots = _taken(fresh, heads, file, offsets, lengths)
            self._append(picked, new, number, file, *spots)
            places.put(new, len(self) - len(new))
        rest = sorted(set(range(len(steps))).difference(fresh))
        changed = [places.get(steps[at]) for at in rest]
        for at, row in zip(rest, changed, strict=True):
            if is_begin[at]:
                self._begin(row, heads[at], file, offsets[at], lengths[at])
        ended = [
            (at, row)
            for at, row in zip(rest, changed, strict=True)
            if not is_begin[at] and self.flags[row] & IN_FLIGHT
        ]
        if ended:
            ended.sort(key=itemgetter(1))
            picked, _, *spots = _taken([at for at, _ in ended], heads, file, offsets, lengths)
            self._end([row for _, row in ended], picked, number, file, *spots)
        return [row for row in changed if row < before]

    def _append(
        self,
        heads: Sequence[Head],
        steps: list[int],
        writer: int,
        file: int,
        offsets: Sequence[int],
        lengths: Sequence[int],
    ) -> None:
        said = self._said(heads, writer, file, offsets, lengths)
        said["step"] = array("q", steps)
        said["writer"] = array("I", (writer,)) * len(steps)
        for name in _COLUMNS:
            getattr(self, name).extend(said[name])

    def _said(
        self, heads: Sequence[Head], writer: int, file: int, offsets: Sequence[int], lengths: Sequence[int]
    ) -> dict[str, array[Any]]:
        """Return what records say, a column each."""
        # A list a column, and as little as possible a row: this is what opening a long run takes.
        count = len(heads)
        types = [head.type for head in heads]
        begins = types.count("step_start")
        kinds = types
        if begins:
            kinds = [
                head.of or "step" if kind == "step_start" else kind
                for head, kind in zip(heads, types, strict=True)
            ]
        agents = [head.agent for head in heads]
        times = [head.ts for head in heads]
        stops = [head.stop_reason for head in heads]
        durations = [head.duration_ms for head in heads]
        numbers = self.strings.numbers
        said: dict[str, array[Any]] = {
            "kind": numbers(kinds),
            "name": numbers(_names(heads, kinds, agents)),
            "agent": numbers(agents),
            "told": array("d", times),
            "start": array("d", _starts(heads, times, durations)),
            "duration": _filled("d", durations, nan),
            "stop_reason": numbers(stops),
            "error_type": numbers([head.error_type for head in heads]),
            "flags": _all_flags(heads, types, stops),
            "parent_step": _filled("q", [head.parent for head in heads], -1),
            "parent_writer": array("I", (writer,)) * count,
        }
        for name in _TOKENS:
            said[name] = _filled("q", [getattr(head, name) for head in heads], UNKNOWN)
        others = [head.parent_writer for head in heads]
        if others.count(None) < count:
            number = self.strings.number
            said["parent_writer"] = array(
                "I", [writer if each is None else number(each or None) for each in others]
            )
        nowhere = array("q", (-1,)) * count
        files, places, sizes = array("i", (file,)) * count, array("q", offsets), array("q", lengths)
        here = {"file": files, "offset": places, "length": sizes}
        there = {"file": array("i", (-1,)) * count, "offset": nowhere, "length": array("q", bytes(8 * count))}
        if 0 < begins < count:
            for name in here:
                ended, begun = here[name][:], there[name]
                for at, kind in enumerate(types):
                    if kind == "step_start":
                        ended[at], begun[at] = begun[at], ended[at]
                said[name], said[f"begin_{name}"] = ended, begun
        else:
            for name in here:
                said[name], said[f"begin_{name}"] = (
                    (there, here)[not begins][name],
                    (here, there)[not begins][name],
                )
        return said

    def _begin(self, row: int, head: Head, file: int, offset: int, length: int) -> None:
        if self.begin_file[row] >= 0:
            return
        self.begin_file[row], self.begin_offset[row], self.begin_length[row] = file, offset, length
        self.start[row] = self.told[row] = head.ts
        self.flags[row] |= HAS_BEGINNING
        self._is_disordered = True

    def _end(
        self,
        rows: list[int],
        heads: Sequence[Head],
        writer: int,
        file: int,
        offsets: Sequence[int],
        lengths: Sequence[int],
    ) -> None:
        """Take the endings of steps in flight. They say which step they belong to, as everything else."""
        stretches = list(_stretches(rows))  # few: in them, a column is set in one go
        said = self._said(heads, writer, file, offsets, lengths)
        said["flags"] = array("B", [flags | HAS_BEGINNING for flags in said["flags"]])
        for name, values in said.items():
            if name in ("told", "start") or name.startswith("begin_"):
                continue
            column = getattr(self, name)
            if name in _PLACING and not self._is_disordered:
                told = array(column.typecode)
                for row, begin, end in stretches:
                    told += column[row : row + end - begin]
                self._is_disordered = told != values
            for row, begin, end in stretches:
                column[row : row + end - begin] = values[begin:end]

    # -- order ------------------------------------------------------------------

    def arrange(self, first: int = 0) -> bool:
        """Put the rows in the order of the tree, and work out parents and depths.

        Args:
            first: Rows before it were arranged already.

        Returns:
            Whether rows before *first* had to move.
        """
        if not self._is_disordered and self._takes_on(first):
            return False
        self._is_disordered = False
        self._awaited.clear()
        parents = self._parents()
        order = self._by_tree(self._by_start(), parents)
        places = [0] * len(order)
        for place, row in enumerate(order):
            places[row] = place
        self._permute(order, places)
        self.parent, self.depth, self.scope = array("i"), array("I"), array("I")
        for row, old in enumerate(order):
            parent = places[parents[old]] if parents[old] >= 0 else -1
            self._hang(row, parent)
        return first > 0

    def _hang(self, row: int, parent: int) -> None:
        self.parent.append(parent)
        self.depth.append(self.depth[parent] + 1 if parent >= 0 else 0)
        if parent < 0 <= self.parent_step[row]:
            self._awaited.add((self.parent_writer[row], self.parent_step[row]))
        self.scope.append(self.agent[row] or (self.scope[parent] if parent >= 0 else 0))

    def _takes_on(self, first: int) -> bool:
        """Work out parents and depths from row *first* on, if the rows are in order; say whether they are."""
        count = len(self)
        if self._awaited and not self._awaited.isdisjoint(
            zip(self.writer[first:], self.step[first:], strict=True)
        ):
            return False
        if max(memoryview(self.parent_step)[first:], default=-1) < 0 and (
            first == 0 or not self.depth[first - 1]
        ):
            if not self._is_sorted(first):
                return False
            self.parent.extend([-1] * (count - first))
            self.depth.frombytes(bytes(4 * (count - first)))
            self.scope.extend(self.agent[first:])
            return True
        above: list[int] = []  # the rows the next one may hang below, the deepest last
        row = first - 1
        while row >= 0:
            above.append(row)
            row = self.parent[row]
        above.reverse()
        for row in range(first, count):
            parent = self._parent_row(row)
            before = -1  # the sibling before it
            while above and above[-1] != parent:
                before = above.pop()
            if (parent >= 0 and not above) or (before >= 0 and self._key(before) > self._key(row)):
                del self.parent[first:], self.depth[first:], self.scope[first:]
                return False
            above.append(row)
            self._hang(row, parent)
        return True

    def _is_sorted(self, first: int = 0) -> bool:
        begin = max(first - 1, 0)
        view = memoryview(self.told)[begin:]
        if not all(map(le, view, view[1:])):
            return False
        return all(
            one != other or self._key(row) <= self._key(row + 1)
            for row, (one, other) in enumerate(pairwise(view), begin)
        )

    def _key(self, row: int) -> tuple[float, int, str]:
        return self.told[row], self.step[row], self.strings.texts[self.writer[row]] or ""

    def _by_start(self) -> list[int]:
        """Return the rows by when they were told, step and writer."""
        order = list(range(len(self)))
        # Sorts are stable, and rows are nearly in order: three quick passes beat tuples.
        if len(self._places) > 1:
            order.sort(key=lambda row: self.strings.texts[self.writer[row]] or "")
        order.sort(key=self.step.__getitem__)
        order.sort(key=self.told.__getitem__)
        return order

    def _parents(self) -> list[int]:
        """Return the row of each row's parent: -1 where there is none, or the row is its own ancestor."""
        parents = [self._parent_row(row) for row in range(len(self))]
        seen = bytearray(len(self))  # 1: on the way up at hand; 2: known to lead to a root
        for start in range(len(parents)):
            way: list[int] = []
            row = start
            while row >= 0 and not seen[row]:
                seen[row] = 1
                way.append(row)
                row = parents[row]
            if row >= 0 and seen[row] == 1:  # a ring, as a damaged or forged log may have
                for member in way[way.index(row) :]:
                    parents[member] = -1
            for row in way:
                seen[row] = 2
        return parents

    def _by_tree(self, order: Sequence[int], parents: Sequence[int]) -> list[int]:
        """Return *order* with every row behind its parent, before what follows that."""
        first_child, next_sibling = [-1] * (len(order) + 1), [-1] * len(order)
        for row in reversed(order):
            next_sibling[row] = first_child[parents[row]]  # the last place, -1, is for those without a parent
            first_child[parents[row]] = row
        found: list[int] = []
        waiting = [first_child[-1]]
        while waiting:
            row = waiting.pop()
            while row >= 0:
                found.append(row)
                waiting.append(next_sibling[row])
                row = first_child[row]
        return found

    def _parent_row(self, row: int) -> int:
        step = self.parent_step[row]
        if step < 0:
            return -1
        places = self._places.get(self.parent_writer[row])
        return places.get(step) if places is not None else -1

    def _permute(self, order: Sequence[int], places: Sequence[int]) -> None:
        for name, code in _COLUMNS.items():
            setattr(self, name, array(code, map(getattr(self, name).__getitem__, order)))
        # Others by now: a copy that was taken before keeps those that tell its rows.
        self._places = {writer: each.moved(places) for writer, each in self._places.items()}


def _are_different(heads: Sequence[Head]) -> bool:
    """Whether no step is told twice, but for a beginning and an ending of one."""
    steps = [head.step for head in heads]
    if len(set(steps)) == len(steps):
        return True
    pairs = {(head.step, head.type == "step_start") for head in heads}
    return len(pairs) == len(steps)


def _stretches(rows: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Yield each stretch of ascending *rows* that has no gap: its first row, its first place, its end."""
    begin = 0
    for place in range(1, len(rows) + 1):
        if place == len(rows) or rows[place] != rows[place - 1] + 1:
            yield rows[begin], begin, place
            begin = place


def _firsts(heads: Sequence[Head]) -> list[int]:
    """Return the places of the first beginning and the first ending of every step."""
    found: dict[tuple[int, bool], int] = {}
    for at, head in enumerate(heads):
        found.setdefault((head.step, head.type == "step_start"), at)
    return list(found.values())


def _names(heads: Sequence[Head], kinds: list[str], agents: list[str | None]) -> list[str | None]:
    different = set(kinds)
    if different <= {"llm_call", "tool_call"}:
        return [
            head.model if kind == "llm_call" else head.tool for head, kind in zip(heads, kinds, strict=True)
        ]
    if different == {"agent_call"}:
        return agents
    return [_name(head, kind) for head, kind in zip(heads, kinds, strict=True)]


def _starts(heads: Sequence[Head], told: list[float], durations: list[Any]) -> list[float]:
    """Return when steps began that were recorded when they ended."""
    begins = [head.start_ts for head in heads]
    if begins.count(None) == len(begins):
        return [
            ts if took is None or took <= 0 else ts - took / 1000
            for ts, took in zip(told, durations, strict=True)
        ]
    return [_started(head) for head in heads]


def _filled(code: str, values: list[Any], missing: float) -> array[Any]:
    """Return *values* as an array, *missing* in the place of None."""
    nothing = values.count(None)
    if nothing == len(values):
        return array(code, (missing,)) * nothing
    if nothing:
        values = [missing if value is None else value for value in values]
    return array(code, values if code == "d" else _wholes(values))


def _all_flags(heads: Sequence[Head], types: list[str], stops: list[str | None]) -> array[int]:
    count = len(heads)
    begins = types.count("step_start")
    if begins == count:
        return array("B", (IN_FLIGHT | HAS_BEGINNING,)) * count
    is_counted = "llm_call" not in types or not any(map(_is_uncounted, heads))
    is_plain = is_counted and not begins and [head.error for head in heads].count(None) == count
    is_plain = is_plain and [head.attempt for head in heads].count(None) == count
    if is_plain and TRUNCATED.isdisjoint(stops):
        return array("B", bytes(count))
    return array("B", list(map(_flags, heads)))


def _taken(
    mine: Iterable[int], heads: Sequence[Head], file: int, offsets: Sequence[int], lengths: Sequence[int]
) -> tuple[list[Head], int, list[int], list[int]]:
    wanted = list(mine)
    return [heads[at] for at in wanted], file, [offsets[at] for at in wanted], [lengths[at] for at in wanted]


def _name(head: Head, kind: str) -> str | None:
    key = _NAME_KEYS.get(kind)
    if key is not None:
        named: str | None = getattr(head, key)
        return named
    return head.name or head.tool or head.model or head.agent


def _started(head: Head) -> float:
    if head.start_ts is not None:
        return head.start_ts
    return head.ts - max(head.duration_ms or 0.0, 0.0) / 1000


def _is_uncounted(head: Head) -> bool:
    return head.type == "llm_call" and (head.input_tokens is None or head.output_tokens is None)


def _flags(head: Head) -> int:
    if head.type == "step_start":
        return IN_FLIGHT | HAS_BEGINNING
    flags = UNCOUNTED if _is_uncounted(head) else 0
    if head.error is not None:
        flags |= ERROR
    if head.attempt is not None and head.attempt > 1:
        flags |= RETRY
    if head.stop_reason in TRUNCATED:
        flags |= CUT_OFF
    return flags


def _whole(value: int) -> int:
    """Keep a forged number inside of what a column holds."""
    return min(max(value, -_LARGEST), _LARGEST)


def _wholes(values: list[int]) -> list[int]:
    if max(values) <= _LARGEST and min(values) >= UNKNOWN:
        return values
    return [_whole(value) for value in values]
