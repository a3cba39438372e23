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

__all__ = ["MOST_ITEMS", "matches_in"]

#: Items of the second sequence that are looked at in one go: beyond, the numbers get slow.
MOST_ITEMS = 512
_BITS = tuple(1 << place for place in range(MOST_ITEMS))
_BELOW = tuple((1 << place) - 1 for place in range(MOST_ITEMS + 1))


def matches_in(one: Sequence[Hashable], other: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Return the places ``(i, j)`` of a longest common subsequence, rising.

    Args:
        one: Any number of items; the work and the memory follow it.
        other: At most `MOST_ITEMS`.
    """
    rows = _rows(one, other)
    found: list[tuple[int, int]] = []
    row, column = len(one), len(other)
    while row:
        # The columns right of where it grew last have nothing to give.
        column = (~rows[row] & _BELOW[column]).bit_length()
        if not column:
            break
        # Up to the first row in which it grows here: there the two items are equal.
        bit = _BITS[column - 1]
        row -= 1
        while not rows[row] & bit:
            row -= 1
        column -= 1
        found.append((row, column))
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
    equal_to = places.get
    for item in one:
        equal = equal_to(item)
        if equal is not None:
            grown = row & equal
            row = ((row + grown) | (row - grown)) & full
        add(row)
    return rows
