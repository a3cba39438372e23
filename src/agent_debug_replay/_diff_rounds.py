"""The steps of two runs brought together, in rounds, each in what the ones before left over.

    same, output           the same byte for byte, then the same name and input
    reordered              what is left of those, wherever it stands
    arguments              the same name, then model calls of another model
    only_a, only_b         the rest

The keys are those of `_diff_steps`, the algorithm that of `_align`.
"""

from __future__ import annotations

from array import array
from collections import deque
from typing import TYPE_CHECKING, TypeAlias

from agent_debug_replay._align import align
from agent_debug_replay._diff_steps import exact_form

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

    from agent_debug_replay._diff_steps import Side

__all__ = ["PAIR_KINDS", "Entries", "entries_of"]

#: What can be the matter with a step, in the order reports list it.
PAIR_KINDS = ("same", "output", "arguments", "only_a", "only_b", "reordered")

SAME, OUTPUT, ARGUMENTS, ONLY_A, ONLY_B, REORDERED = range(6)

Gap: TypeAlias = "tuple[Sequence[int], Sequence[int]]"
Found: TypeAlias = "tuple[array[int], bytearray, bytearray]"


class Entries:
    """Every step of both runs once, in the order of the first; what only the second has, where it came there.

    Attributes:
        kinds: Place in `PAIR_KINDS` of each entry.
        a, b: The places of its steps; -1 for none.
        harmless: Entries that are reordered only because parallel steps end in any order.
    """

    def __init__(self) -> None:
        self.kinds = bytearray()
        self.a = array("q")
        self.b = array("q")
        self.harmless: set[int] = set()

    def add(self, kind: int, a: int, b: int) -> None:
        """Append one."""
        self.kinds.append(kind)
        self.a.append(a)
        self.b.append(b)


def entries_of(one: Side, other: Side) -> Entries:
    """Bring the steps of two runs together."""
    # Of several alignments as good as each other one has to be chosen: the same one both ways round.
    partners, kinds, taken = (
        _turned(_Rounds(other, one)) if _is_second(one, other) else _Rounds(one, other).found
    )
    entries = Entries()
    j = 0
    for i, kind in enumerate(kinds):
        partner = partners[i]
        if kind < ONLY_A:
            for place in range(j, partner):
                if not taken[place]:
                    entries.add(ONLY_B, -1, place)
            j = partner + 1
        entries.add(kind, i, partner)
    for place in range(j, len(other)):
        if not taken[place]:
            entries.add(ONLY_B, -1, place)
    if REORDERED in entries.kinds:
        entries.harmless.update(_harmless(one, other, entries))
    return entries


def _is_second(one: Side, other: Side) -> bool:
    """Whether *one* is the second in an order that does not ask which was named first."""
    for place, (left, right) in enumerate(zip(one.exact, other.exact, strict=False)):
        if left != right:
            forms = [repr(exact_form(side.steps[place], side.depths[place])) for side in (one, other)]
            return forms[0] > forms[1]
    return len(one) > len(other)


def _turned(rounds: _Rounds) -> Found:
    """Return what was found the other way round."""
    partners = array("q", [-1]) * len(rounds.taken)
    kinds = bytearray([ONLY_A]) * len(rounds.taken)
    taken = bytearray(len(rounds.partners))
    for j, i in enumerate(rounds.partners):
        if i >= 0:
            partners[i], kinds[i], taken[j] = j, rounds.kinds[j], 1
    return partners, kinds, taken


class _Rounds:
    """The search.

    Attributes:
        partners, kinds: Of each step of the first run, the place of the one it goes with (-1: none) and how.
        taken: Whether each step of the second goes with one.
    """

    def __init__(self, one: Side, other: Side) -> None:
        self.one, self.other = one, other
        self.partners = array("q", [-1]) * len(one)
        self.kinds = bytearray([ONLY_A]) * len(one)
        self.taken = bytearray(len(other))
        self.gaps: list[Gap] = [(range(len(one)), range(len(other)))]
        self._round(one.exact.__getitem__, other.exact.__getitem__, lambda _i, _j: SAME)
        self._round(one.asked, other.asked, self._same_or_output)
        self._find_moved(one.exact.__getitem__, other.exact.__getitem__, one.is_telling, other.is_telling)
        self._find_moved(one.asked, other.asked, one.is_asking, other.is_asking)
        self._round(one.named, other.named, lambda _i, _j: ARGUMENTS)
        self._round(one.kind, other.kind, lambda _i, _j: ARGUMENTS)

    @property
    def found(self) -> Found:
        """The outcome."""
        return self.partners, self.kinds, self.taken

    def _round(
        self,
        key: Callable[[int], Hashable],
        other_key: Callable[[int], Hashable],
        kind: Callable[[int, int], int],
    ) -> None:
        """Align what is left in each gap."""
        left: list[Gap] = []
        for mine, theirs in self.gaps:
            if len(mine) == 1 and len(theirs) == 1:
                if key(mine[0]) == other_key(theirs[0]):
                    self._pair(mine[0], theirs[0], kind(mine[0], theirs[0]))
                else:
                    left.append((mine, theirs))
            elif mine and theirs:
                left += self._gap(mine, theirs, [*map(key, mine)], [*map(other_key, theirs)], kind)
            else:
                left.append((mine, theirs))
        self.gaps = left

    def _gap(
        self,
        mine: Sequence[int],
        theirs: Sequence[int],
        keys: list[Hashable],
        other_keys: list[Hashable],
        kind: Callable[[int, int], int],
    ) -> Iterator[Gap]:
        """Align one gap and yield those it leaves."""
        x = y = 0
        for i, j, size in [*align(keys, other_keys), (len(mine), len(theirs), 0)]:
            if x < i or y < j:
                yield mine[x:i], theirs[y:j]
            for step in range(size):
                a, b = mine[i + step], theirs[j + step]
                self._pair(a, b, kind(a, b))
            x, y = i + size, j + size

    def _pair(self, i: int, j: int, kind: int) -> None:
        self.partners[i], self.kinds[i], self.taken[j] = j, kind, 1

    def _same_or_output(self, i: int, j: int) -> int:
        return SAME if self.one.answered(i) == self.other.answered(j) else OUTPUT

    def _find_moved(
        self,
        key: Callable[[int], Hashable],
        other_key: Callable[[int], Hashable],
        is_known: Callable[[int], bool],
        is_other_known: Callable[[int], bool],
    ) -> None:
        """Pair what both runs have left over, wherever it stands, first come first served."""
        waiting: dict[Hashable, deque[int]] = {}
        for _, theirs in self.gaps:
            for place in theirs:
                if is_other_known(place):
                    waiting.setdefault(other_key(place), deque()).append(place)
        if not waiting:
            return
        is_any = False
        for mine, _ in self.gaps:
            for place in mine:
                places = waiting.get(key(place)) if is_known(place) else None
                if places:
                    self._pair(place, places.popleft(), REORDERED)
                    is_any = True
        if is_any:
            kinds, taken = self.kinds, self.taken
            self.gaps = [
                ([i for i in mine if kinds[i] == ONLY_A], [j for j in theirs if not taken[j]])
                for mine, theirs in self.gaps
            ]


def _harmless(one: Side, other: Side, entries: Entries) -> Iterator[int]:
    equal: list[int] = []
    for place, kind in enumerate(entries.kinds):
        if kind == REORDERED and one.answered(entries.a[place]) == other.answered(entries.b[place]):
            equal.append(place)
    if equal:
        beside, other_beside = _parallel(one), _parallel(other)
        for place in equal:
            if entries.a[place] in beside and entries.b[place] in other_beside:
                yield place


def _parallel(side: Side) -> set[int]:
    """The steps that ran beside a sibling: both measured, one begun before the other ended."""
    found: set[int] = set()
    # The sibling that ends last so far at each depth, and when it does; -1 for none.
    latest: list[int] = []
    ends: list[float] = []
    for place, (step, depth) in enumerate(zip(side.steps, side.depths, strict=True)):
        del latest[depth + 1 :], ends[depth + 1 :]
        while len(latest) <= depth:
            latest.append(-1)
            ends.append(0.0)
        record = step.record
        if step.type == "event" or (step.start is None and record.start_ts is None):
            continue
        before = latest[depth]
        if before >= 0 and step.started_at < ends[depth]:
            found.update((before, place))
        if before < 0 or record.ts > ends[depth]:
            latest[depth], ends[depth] = place, record.ts
    return found
