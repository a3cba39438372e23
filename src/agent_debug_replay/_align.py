"""Two sequences of keys brought together: the stretches in which both hold the same keys, both rising.

    align(one, other)     [(i, j, size), ...]: one[i : i + size] == other[j : j + size], in order

What can have no partner is left out first. Of the rest as many items are brought together as there can
be (a longest common subsequence) if there are at most `MOST_ITEMS` on either side, or if at most
`_SURE` insertions and deletions lie between the two: those are found by Myers' algorithm ("An O(ND)
Difference Algorithm and Its Variations", 1986). Beyond that the work stays linear: the keys that
occur once on either side are anchors (a longest rising run of them, as in Bram Cohen's
patience diff), and what is between two anchors is gone through with a window of `MOST_ITEMS` items
(`_align_window`). What is brought together is equal then too, but it may be less than there could be.

Pure functions; nothing here knows what a step is.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from itertools import compress, count, islice
from typing import TYPE_CHECKING, TypeAlias

from agent_debug_replay._align_window import MOST_ITEMS, blocks_in

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence

__all__ = ["align"]

Blocks: TypeAlias = list[tuple[int, int, int]]
Numbers: TypeAlias = list[int]

_SURE = 256  # differences that are searched through in sequences of any length
_KEPT = MOST_ITEMS * 3 // 4  # items of a window whose partners are final
_RUN = 8  # equal items in a row from which whole slices are compared
_ITEM = array("q").itemsize
_IS_ONE = bytes(number == 1 for number in range(256))


def align(one: Sequence[Hashable], other: Sequence[Hashable]) -> Blocks:
    """Return the stretches that are equal, rising on both sides; see the module for how much of them.

    No item is in two of them, none is empty, and two that touch on both sides are one.
    """
    start, n, m = 0, len(one), len(other)
    while start < n and start < m and one[start] == other[start]:
        start += 1
    while n > start and m > start and one[n - 1] == other[m - 1]:
        n, m = n - 1, m - 1
    blocks: Blocks = [(0, 0, start)]
    if start < n and start < m:
        blocks += _middle(one, other, (start, n, start, m))
    blocks.append((n, m, len(one) - n))
    return list(_joined(blocks))


def _joined(blocks: Iterable[tuple[int, int, int]]) -> Iterator[tuple[int, int, int]]:
    i = j = size = 0
    for next_i, next_j, more in blocks:
        if more and (next_i, next_j) == (i + size, j + size):
            size += more
        elif more:
            if size:
                yield i, j, size
            i, j, size = next_i, next_j, more
    if size:
        yield i, j, size


def _middle(one: Sequence[Hashable], other: Sequence[Hashable], box: tuple[int, int, int, int]) -> Blocks:
    """Align what is left between the common head and tail."""
    i1, i2, j1, j2 = box
    if i2 - i1 == 1:  # as in most gaps between runs that differ throughout
        return [(i1, j, 1) for j in _first(one[i1], other, j1, j2)]
    if j2 - j1 == 1:
        return [(i, j1, 1) for i in _first(other[j1], one, i1, i2)]
    if i2 - i1 <= MOST_ITEMS and j2 - j1 <= MOST_ITEMS:
        return [(i1 + i, j1 + j, size) for i, j, size in blocks_in(one[i1:i2], other[j1:j2])]
    left, keys, right, other_keys = _shared(one, other, box)
    return _placed(_search(keys, other_keys), left, right) if left else []


def _first(key: Hashable, keys: Sequence[Hashable], begin: int, end: int) -> Iterator[int]:
    """Yield the first place of *key*, if it has one."""
    return islice((place for place in range(begin, end) if keys[place] == key), 1)


def _shared(
    one: Sequence[Hashable], other: Sequence[Hashable], box: tuple[int, int, int, int]
) -> tuple[list[int], Numbers, list[int], Numbers]:
    """Return the places in *box* whose keys are on both sides of it, of either side, with numbers as keys.

    The others can have no partner, and would cost a round of the search each. Numbers below the length
    of the box are looked up faster than what the keys are.
    """
    i1, i2, j1, j2 = box
    mine, theirs = one[i1:i2], other[j1:j2]
    numbers = dict(zip(mine, count()))
    answers = [*map(numbers.get, theirs)]
    right = [place for place, number in enumerate(answers, j1) if number is not None]
    if not right:
        return [], [], [], []
    other_keys = [number for number in answers if number is not None]
    is_met = [False] * len(mine)
    for number in other_keys:
        is_met[number] = True
    keys = [*map(numbers.__getitem__, mine)]
    is_shared = [*map(is_met.__getitem__, keys)]
    return [*compress(count(i1), is_shared)], [*compress(keys, is_shared)], right, other_keys


def _placed(blocks: Blocks, left: Sequence[int], right: Sequence[int]) -> Blocks:
    """Return *blocks* of some items as blocks of all, given the places of those."""
    found: Blocks = []
    for i, j, size in blocks:
        last = size - 1
        if not last or (left[i + last] - left[i] == last and right[j + last] - right[j] == last):
            found.append((left[i], right[j], size))
            continue
        begin = 0
        for step in range(1, size):
            if left[i + step] - left[i + step - 1] != 1 or right[j + step] - right[j + step - 1] != 1:
                found.append((left[i + begin], right[j + begin], step - begin))
                begin = step
        found.append((left[i + begin], right[j + begin], size - begin))
    return found


def _search(one: Numbers, other: Numbers) -> Blocks:
    search = _Search(one, other)
    if len(one) > MOST_ITEMS or len(other) > MOST_ITEMS:
        found = search.found(_SURE)
        if found is not None:
            return found
    blocks: Blocks = []
    i = j = 0
    for next_i, next_j in [*_anchors(one, other), (len(one), len(other))]:
        if next_i < i:
            continue  # the stretch behind the anchor before it has come by here
        if i < next_i and j < next_j:
            blocks += _through_window(one, other, (i, next_i, j, next_j))
        i = search.run(next_i, next_j)
        j = next_j + i - next_i
        if i > next_i:
            blocks.append((next_i, next_j, i - next_i))
    return blocks


def _through_window(one: Numbers, other: Numbers, box: tuple[int, int, int, int]) -> Blocks:
    """Align what is in *box* a window at a time.

    What is best for a window is not best for all at its end: the last quarter is looked at again.
    """
    x, i2, y, j2 = box
    blocks: Blocks = []
    while x < i2 and y < j2:
        i_end, j_end = min(x + MOST_ITEMS, i2), min(y + MOST_ITEMS, j2)
        found = blocks_in(one[x:i_end], other[y:j_end])
        if (i_end, j_end) == (i2, j2):
            return blocks + [(x + i, y + j, size) for i, j, size in found]
        next_x = next_y = _KEPT
        for place, (i, j, size) in enumerate(found):
            kept = max(_KEPT - max(i, j), 0)
            if size > kept:
                found[place:] = [(i, j, kept)] if kept else []
                next_x, next_y = min(i + kept, _KEPT), min(j + kept, _KEPT)
                break
        blocks += [(x + i, y + j, size) for i, j, size in found]
        x, y = x + next_x, y + next_y
    return blocks


def _anchors(one: Numbers, other: Numbers) -> Iterable[tuple[int, int]]:
    """Return the keys that occur once on either side, as long a rising run of them as there is."""
    size = max(max(one), max(other)) + 1
    once, other_once = _once(one, size), _once(other, size)
    lefts = [place for place, key in enumerate(one) if once[key] and other_once[key]]
    places = [0] * size
    for place, key in enumerate(other):
        places[key] = place
    rights = [places[one[place]] for place in lefts]
    if rights == sorted(rights):
        return zip(lefts, rights, strict=True)
    ends: list[int] = []  # the least end of a rising run of each length ...
    tops: list[int] = []  # ... and which key it is
    before: list[int] = []
    for number, j in enumerate(rights):
        length = bisect_left(ends, j) if ends and j < ends[-1] else len(ends)
        before.append(tops[length - 1] if length else -1)
        if length == len(ends):
            ends.append(j)
            tops.append(number)
        else:
            ends[length], tops[length] = j, number
    chain: list[tuple[int, int]] = []
    number = tops[-1]
    while number >= 0:
        chain.append((lefts[number], rights[number]))
        number = before[number]
    return chain[::-1]


def _once(keys: Numbers, size: int) -> bytes:
    """Return of each number below *size* whether it occurs once."""
    counts = bytearray(size)
    for key in keys:
        if counts[key] < 2:
            counts[key] += 1
    return bytes(counts.translate(_IS_ONE))


class _Search:
    """Myers' greedy search, forwards, with the outcome of each round kept to find the way back."""

    def __init__(self, one: Numbers, other: Numbers) -> None:
        self.one, self.other = one, other
        # The same as bytes, whose slices are compared at the speed of memory.
        self.left, self.right = array("q", one).tobytes(), array("q", other).tobytes()

    def found(self, effort: int) -> Blocks | None:
        """Return all that is equal, as much as there can be; None beyond *effort* differences."""
        rounds = self._rounds(effort)
        if rounds is None:
            return None
        x, k = len(self.one), len(self.one) - len(self.other)
        blocks: Blocks = []
        for d in range(len(rounds) - 1, -1, -1):
            before = _before(rounds, d, k)
            # What is equal in this round stands behind the step that led there.
            came_down = before[1] == k + 1
            start = before[0] if came_down else before[0] + 1
            if x > start:
                blocks.append((start, start - k, x - start))
            x, k = before
        blocks.reverse()
        return blocks

    def _rounds(self, effort: int) -> list[list[int]] | None:
        """Search; return how far each round got on each diagonal. None: the end is further than *effort*.

        Diagonal *k* holds the points whose place in the first sequence is *k* more than in the
        second. Round *d* is a list of 2d + 1 numbers: the place in the first at ``k + d``.
        """
        one, other = self.one, self.other
        n, m = len(one), len(other)
        if abs(n - m) > effort:
            return None
        middle = effort + 1
        reached = [-1] * (2 * effort + 3)
        reached[middle + 1] = 0  # so that round 0 starts at (0, 0)
        rounds: list[list[int]] = []
        for d in range(effort + 1):
            # Diagonals outside of the rectangle lead nowhere.
            low, high = -(d - 2 * max(0, d - m)), d - 2 * max(0, d - n)
            for k in range(low, high + 1, 2):
                right, down = reached[middle + k - 1], reached[middle + k + 1]
                x = down if k == -d or (k != d and right < down) else right + 1
                if x < n and x - k < m and one[x] == other[x - k]:
                    x = self.run(x, x - k)
                reached[middle + k] = x
                if x >= n and k == n - m:
                    rounds.append(reached[middle - d : middle + d + 1])
                    return rounds
            rounds.append(reached[middle - d : middle + d + 1])
        return None

    def run(self, x: int, y: int) -> int:
        """Return how far the two are equal from (*x*, *y*) on, as a place in the first."""
        one, other = self.one, self.other
        most = min(len(one) - x, len(other) - y)
        for place in range(min(most, _RUN)):
            if one[x + place] != other[y + place]:
                return x + place
        if most <= _RUN:
            return x + max(most, 0)
        return self._long_run(x + _RUN, y + _RUN, most - _RUN)

    def _long_run(self, x: int, y: int, most: int) -> int:
        size = 2 * _RUN
        while most > 0 and self._is_equal(x, y, size := min(size, most)):
            x, y, most, size = x + size, y + size, most - size, 2 * size
        if most == 0:
            return x
        while size > 1:  # they differ somewhere in these
            half = size // 2
            if self._is_equal(x, y, half):
                x, y, size = x + half, y + half, size - half
            else:
                size = half
        return x

    def _is_equal(self, x: int, y: int, size: int) -> bool:
        one = self.left[x * _ITEM : (x + size) * _ITEM]
        return one == self.right[y * _ITEM : (y + size) * _ITEM]


def _before(rounds: list[list[int]], d: int, k: int) -> tuple[int, int]:
    """Return the point that round *d* came from to diagonal *k*: its place in the first, its diagonal."""
    if d == 0:
        return 0, 1  # one above the start, as if it had come down
    last = rounds[d - 1]
    right = last[k - 1 + d - 1] if k > -d else -1
    down = last[k + 1 + d - 1] if k < d else -1
    return (down, k + 1) if k == -d or (k != d and right < down) else (right, k - 1)
