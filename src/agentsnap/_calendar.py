"""Which day, week or month a moment belongs to, in a time zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import tzinfo

__all__ = ["Calendar"]

# Every zone's offset is a multiple of a quarter of an hour since long before there were agents, so a
# quarter of an hour lies in one day.
_QUARTER_S = 900


class Calendar:
    """Days, weeks (from Monday) and months of a zone; the local one by default."""

    def __init__(self, zone: tzinfo | None = None) -> None:
        self._zone = zone
        self._days: dict[int, str | None] = {}

    def day(self, ts: float) -> str | None:
        """Return ``2026-11-27``; None for a time outside of the calendar."""
        try:
            quarter = int(ts // _QUARTER_S)
        except (ValueError, OverflowError):
            return None
        if quarter not in self._days:
            self._days[quarter] = self._day(quarter * _QUARTER_S)
        return self._days[quarter]

    def _day(self, ts: int) -> str | None:
        try:
            return datetime.fromtimestamp(ts, UTC).astimezone(self._zone).date().isoformat()
        except (ValueError, OverflowError, OSError):
            return None

    def week(self, ts: float) -> str | None:
        """Return the Monday of the week."""
        day = self.day(ts)
        if day is None:
            return None
        found = date.fromisoformat(day)
        if found.toordinal() <= found.weekday():
            return day
        return (found - timedelta(days=found.weekday())).isoformat()

    def month(self, ts: float) -> str | None:
        """Return ``2026-11``."""
        day = self.day(ts)
        return None if day is None else day[:7]
