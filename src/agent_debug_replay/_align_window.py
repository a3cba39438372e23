"""A longest common subsequence of two short sequences, a whole row of the table of all pairs at a time.

The row of one item is one whole number with a bit for each item of the other sequence: 0 where the
longest common subsequence grows by one, 1 where it does not. The next row comes from it by an
addition and a few bitwise operations (Hyyrö, "Bit-Parallel LCS-length Computation Revisited", 2004),
which take little longer for hundreds of bits than for one: the table of 500 items by 500 is made in
500 such steps, however alike the items are.

Pure functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

__all__ = ["MOST_ITEMS", "blocks_in"]

#: Items of the second sequence that are looked at in one go: beyond, the numbers get slow.
MOST_ITEMS = 512
_BITS = tuple(1 << place for place in range(MOST_ITEMS))
_BELOW = tuple((1 << place) - 1 for place in range(MOST_ITEMS + 1))


def blocks_in(one: Sequence[Hashable], other: Sequence[Hashable]) -> list[tuple[int, int, int]]:
    """Return a longest common subsequence as stretches ``(i, j, size)`` that are equal, rising on both sides.

    Args:
        one: Any number of items; the work and the memory follow it.
        other: At most `MOST_ITEMS`.
    """
    rows = _rows(one, other)
    found: list[tuple[int, int, int]] = []
    row, column = len(one), len(other)
    begin = other_begin = size = 0  # the stretch that goes on towards the front
    while row:
        # The columns right of where it grew last have nothing to give.
        column = (~rows[row] & _BELOW[column]).bit_length()
        if not column:
            break
        # Up to the first row in which it grows here: there the two items are equal.
        column -= 1
        bit = _BITS[column]
        row -= 1
        while not rows[row] & bit:
            row -= 1
        if row + 1 == begin and column + 1 == other_begin:
            size += 1
        else:
            if size:
                found.append((begin, other_begin, size))
            size = 1
        begin, other_begin = row, column
    if size:
        found.append((begin, other_begin, size))
    found.reverse()
    return found


def _rows(one: Sequence[Hashable], other: Sequence[Hashable]) -> list[int]:
    """Return the row before the first item of *one*, and the one behind each."""
    places: dict[Hashable, int] = {}
    for item, bit in zip(other, _BITS, strict=False):
        places[item] = places.get(item, 0) | bit
    full = _BELOW[len(other)]
    row = full
    rows = [row]
    add = rows.append
    for equal in map(places.get, one):
        if equal is not None:
            grown = row & equal
            row = ((row + grown) | (row - grown)) & full
        add(row)
    return rows
