"""Which rows of a replay are in the list: all, those a filter lets through, or all but what is folded."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent_debug_replay import Replay

__all__ = ["ShownRows"]


class ShownRows:
    """The rows shown, ascending. Places count what is shown, rows what there is.

    Attributes:
        rows: Row by place.
        folded: Rows whose steps below are not shown.
    """

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self.folded: set[int] = set()
        self.rows: Sequence[int] = range(len(replay))
        self.is_filtered = False

    def __len__(self) -> int:
        return len(self.rows)

    def row_at(self, place: int) -> int:
        """Return the row at *place*."""
        return self.rows[place]

    def place_of(self, row: int) -> int | None:
        """Return where *row* is shown; None if it is not."""
        place = bisect_left(self.rows, row)
        return place if place < len(self.rows) and self.rows[place] == row else None

    def nearest(self, row: int) -> int | None:
        """Return where *row* is shown, or else the last row shown before it; None when nothing is shown."""
        place = bisect_left(self.rows, row)
        if place < len(self.rows) and self.rows[place] == row:
            return place
        return max(place - 1, 0) if self.rows else None

    # -- folding --------------------------------------------------------------------

    def show_all(self) -> None:
        """Show what is not folded."""
        self.is_filtered = False
        if not self.folded:
            self.rows = range(len(self._replay))
            return
        rows = array("I")
        at, count = 0, len(self._replay)
        for fold in sorted(self.folded):
            if at <= fold < count:
                rows.extend(range(at, fold + 1))
                at = self._replay.after(fold)
        rows.extend(range(at, count))
        self.rows = rows

    def fold(self, row: int) -> None:
        """Fold what is below *row*, or unfold it."""
        self.folded ^= {row}
        self.show_all()

    def fold_all(self) -> bool:
        """Fold every root that has steps below it; when any is folded, unfold all; return whether one was."""
        self.folded = set() if self.folded else set(self._replay.roots_with_steps())
        is_other = len(self.rows) != len(self._replay) or bool(self.folded)
        self.show_all()
        return is_other

    def unfold_to(self, row: int) -> bool:
        """Unfold the steps *row* is below of; return whether any was folded."""
        is_folded = False
        parent = self._replay.row(row).parent
        while parent is not None:
            is_folded |= parent in self.folded
            self.folded.discard(parent)
            parent = self._replay.row(parent).parent
        if is_folded:
            self.show_all()
        return is_folded

    # -- filtering ------------------------------------------------------------------

    def filter(self, rows: array[int]) -> None:
        """Show these rows, ascending; the list may grow at its end."""
        self.is_filtered = True
        self.rows = rows

    def put(self, row: int, *, is_shown: bool) -> None:
        """Show *row* in a filtered list, or do not."""
        assert isinstance(self.rows, array)
        place = bisect_left(self.rows, row)
        is_there = place < len(self.rows) and self.rows[place] == row
        if is_shown and not is_there:
            self.rows.insert(place, row)
        elif is_there and not is_shown:
            del self.rows[place]

    def grow(self, first: int) -> None:
        """Show the rows from *first* on too, which were added to the run; those of a filter are put."""
        if not self.folded:
            self.rows = range(len(self._replay))
            return
        count = len(self._replay)
        above: int | None = first
        while above is not None and first < count:
            above = self._replay.row(above).parent
            if above in self.folded:
                first = min(self._replay.after(above), count)
        assert isinstance(self.rows, array)
        self.rows.extend(range(first, count))
