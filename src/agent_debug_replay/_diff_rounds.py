"""The steps of two runs brought together, in rounds, each in what the ones before left over.

    same, output           the same byte for byte, then the same name and input
    reordered              what is left of those, wherever it stands
    arguments              the same name, then model calls of another model
    only_a, only_b         the rest

The keys are those of `_diff_steps`, the algorithm that of `_align`.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import deque
from itertools import compress, count
from typing import TYPE_CHECKING, TypeAlias

from agent_debug_replay._align import align
from agent_debug_replay._diff_digest import KINDS
from agent_debug_replay._diff_steps import is_same_outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent_debug_replay._diff_steps import Side

__all__ = ["PAIR_KINDS", "Entries", "entries_of"]

#: What can be the matter with a step, in the order reports list it.
PAIR_KINDS = ("same", "output", "arguments", "only_a", "only_b", "reordered")

CALL, EVENT = KINDS["llm_call"], KINDS["event"]
SAME, OUTPUT, ARGUMENTS, ONLY_A, ONLY_B, REORDERED = range(6)

_NO_KEY, _NO_OTHER_KEY = -1, -2  # different, so that neither is ever found on the other side

_IS_ALONE = bytes(kind == ONLY_A for kind in range(256))
_IS_OUTPUT = bytes(kind == OUTPUT for kind in range(256))
_IS_REORDERED = bytes(kind == REORDERED for kind in range(256))
_IS_FREE = bytes(is_taken == 0 for is_taken in range(256))

Keys: TypeAlias = "Sequence[int]"  # by place
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
    alone = [*compress(count(), taken.translate(_IS_FREE))]
    if not alone:
        entries.kinds, entries.a, entries.b = kinds, array("q", range(len(one))), partners
    else:
        _merge(entries, partners, kinds, alone)
    if REORDERED in entries.kinds:
        entries.harmless = _harmless(one, other, entries)
    return entries


def _merge(entries: Entries, partners: array[int], kinds: bytearray, alone: list[int]) -> None:
    """Put the steps that only the second run has (*alone*) in front of the pair they came before."""
    alone.append(len(partners) + alone[-1] + 1)  # beyond any place
    begin = at = 0

    def add(end: int, others: Sequence[int]) -> None:
        entries.kinds += kinds[begin:end] + bytes([ONLY_B]) * len(others)
        entries.a.extend(range(begin, end))
        entries.a.extend(array("q", [-1]) * len(others))
        entries.b.extend(partners[begin:end])
        entries.b.extend(others)

    for i, (kind, partner) in enumerate(zip(kinds, partners, strict=True)):
        if kind < ONLY_A and partner > alone[at]:
            last = bisect_left(alone, partner, at)
            add(i, alone[at:last])
            begin, at = i, last
    add(len(kinds), alone[at:-1])


def _is_second(one: Side, other: Side) -> bool:
    """Whether *one* is the second in an order that does not ask which was named first."""
    if one.exact[: len(other)] != other.exact[: len(one)]:
        for place, (left, right) in enumerate(zip(one.exact, other.exact, strict=False)):
            if left != right:
                return one.form(place) > other.form(place)
    return len(one) > len(other)


def _turned(rounds: _Rounds) -> Found:
    """Return what was found the other way round."""
    partners = array("q", [-1]) * len(rounds.taken)
    kinds = bytearray([ONLY_A]) * len(rounds.taken)
    taken = bytearray(len(rounds.partners))
    for j, (i, kind) in enumerate(zip(rounds.partners, rounds.kinds, strict=True)):
        if i >= 0:
            partners[i], kinds[i], taken[j] = j, kind, 1
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
        # What no round has brought together yet, in gaps between what has been: the places in either run,
        # and of each gap where it ends in those. No gap lacks a side.
        self._places = list(range(max(len(one), len(other))))  # made once: new numbers are what takes time
        self._mine, self._theirs = self._places[: len(one)], self._places[: len(other)]
        self._gaps: list[int] = [len(one), len(other)]
        self._round(one.exact, other.exact, SAME)
        if ONLY_A not in self.kinds or 0 not in self.taken:
            return
        mine, theirs = self._alone()
        asked, other_asked = one.asked(mine), other.asked(theirs)
        self._round(
            [asked[place] for place in self._mine], [other_asked[place] for place in self._theirs], OUTPUT
        )
        self._tell_same()
        self._find_moved(one.exact, other.exact, one.is_telling, other.is_telling)
        self._find_moved(asked, other_asked, one.is_asking, other.is_asking)
        self._round(*self._keys(one.named, other.named), ARGUMENTS)
        if self._gaps:
            self._round(*self._keys(_calls(one, _NO_KEY), _calls(other, _NO_OTHER_KEY)), ARGUMENTS)

    def _keys(self, keys: Keys, other_keys: Keys) -> tuple[list[int], list[int]]:
        """Return the keys of what is left, with one that nothing else has for what was found elsewhere."""
        kinds, taken = self.kinds, self.taken
        return (
            [keys[place] if kinds[place] == ONLY_A else _NO_KEY for place in self._mine],
            [_NO_OTHER_KEY if taken[place] else other_keys[place] for place in self._theirs],
        )

    @property
    def found(self) -> Found:
        """The outcome."""
        return self.partners, self.kinds, self.taken

    def _round(self, keys: Sequence[int], other_keys: Sequence[int], kind: int) -> None:
        """Align what is left in each gap, by the keys of what is left."""
        all_mine, all_theirs = self._mine, self._theirs
        lefts: list[int] = []
        rights: list[int] = []
        mine: list[int] = []
        theirs: list[int] = []
        gaps: list[int] = []
        corners = iter(self._gaps)
        x_end = y_end = 0
        for next_x_end, next_y_end in zip(corners, corners, strict=True):
            x, y, x_end, y_end = x_end, y_end, next_x_end, next_y_end
            ours, others = keys[x:x_end], other_keys[y:y_end]
            if ours == others:
                lefts += all_mine[x:x_end]
                rights += all_theirs[y:y_end]
                continue
            i, j = x, y
            for block, other_block, size in align(ours, others):
                next_i, next_j = x + block, y + other_block
                if i < next_i and j < next_j:
                    mine += all_mine[i:next_i]
                    theirs += all_theirs[j:next_j]
                    gaps += len(mine), len(theirs)
                i, j = next_i + size, next_j + size
                if size == 1:
                    lefts.append(all_mine[next_i])
                    rights.append(all_theirs[next_j])
                else:
                    lefts += all_mine[next_i:i]
                    rights += all_theirs[next_j:j]
            if i < x_end and j < y_end:
                mine += all_mine[i:x_end]
                theirs += all_theirs[j:y_end]
                gaps += len(mine), len(theirs)
        self._mine, self._theirs, self._gaps = mine, theirs, gaps
        self._pair(lefts, rights, kind)

    def _pair(self, mine: Sequence[int], theirs: Sequence[int], kind: int) -> None:
        partners, kinds, taken = self.partners, self.kinds, self.taken
        for i, j in zip(mine, theirs, strict=True):
            partners[i], kinds[i], taken[j] = j, kind, 1

    def _tell_same(self) -> None:
        """Find out which of the steps that were asked the same came to the same, too."""
        for place in compress(count(), self.kinds.translate(_IS_OUTPUT)):
            if is_same_outcome(self.one, place, self.other, self.partners[place]):
                self.kinds[place] = SAME

    def _find_moved(
        self,
        keys: Keys,
        other_keys: Keys,
        is_known: Callable[[int], bool],
        is_other_known: Callable[[int], bool],
    ) -> None:
        """Pair what both runs have left over, wherever it stands, first come first served."""
        mine, theirs = self._alone()
        on_both = set(map(keys.__getitem__, mine))
        on_both.intersection_update(map(other_keys.__getitem__, theirs))
        waiting: dict[int, deque[int]] = {}
        for place in theirs if on_both else ():
            key = other_keys[place]
            if key in on_both and is_other_known(place):
                if key in waiting:
                    waiting[key].append(place)
                else:
                    waiting[key] = deque([place])
        lefts: list[int] = []
        rights: list[int] = []
        for place in mine if waiting else ():
            places = waiting.get(keys[place])
            if places and is_known(place):
                lefts.append(place)
                rights.append(places.popleft())
        self._pair(lefts, rights, REORDERED)

    def _alone(self) -> tuple[list[int], list[int]]:
        """Return the places that have no partner so far."""
        is_mine, is_theirs = self.kinds.translate(_IS_ALONE), self.taken.translate(_IS_FREE)
        return [*compress(self._places, is_mine)], [*compress(self._places, is_theirs)]


def _calls(side: Side, otherwise: int) -> list[int]:
    """Return keys that are equal for model calls of one depth, whatever the model; else *otherwise*."""
    return [depth if kind == CALL else otherwise for depth, kind in zip(side.depths, side.kinds, strict=True)]


def _harmless(one: Side, other: Side, entries: Entries) -> set[int]:
    equal: set[int] = set()
    for place in compress(count(), entries.kinds.translate(_IS_REORDERED)):
        i, j = entries.a[place], entries.b[place]
        if one.exact[i] == other.exact[j] or is_same_outcome(one, i, other, j):
            equal.add(place)
    for side, places in ((one, entries.a), (other, entries.b)):
        if equal:
            beside = _parallel(side)
            equal = {place for place in equal if places[place] in beside}
    return equal


def _parallel(side: Side) -> set[int]:
    """The steps that ran beside a sibling: both measured, one begun before the other ended."""
    found: set[int] = set()
    # The sibling that ends last so far at each depth, and when it does; -1 for none.
    latest: list[int] = []
    ends: list[float] = []
    for place, (begun, end, depth) in enumerate(
        zip(side.run.begun, side.run.ended, side.depths, strict=True)
    ):
        record = end or begun
        if depth + 1 < len(latest):
            del latest[depth + 1 :], ends[depth + 1 :]
        while len(latest) <= depth:
            latest.append(-1)
            ends.append(0.0)
        if record is None or side.kinds[place] == EVENT:
            continue
        started_at = record.start_ts if begun is None else begun.ts
        if started_at is None:
            continue
        before = latest[depth]
        if before >= 0 and started_at < ends[depth]:
            found.update((before, place))
        if before < 0 or record.ts > ends[depth]:
            latest[depth], ends[depth] = place, record.ts
    return found
