"""Moments as a person types them: a date, a time, or how long ago.

    2026-05-01                        a day in the local zone
    2026-05                           a month in it
    2026-05-01T12:30[:15][Z|+02:00]   a moment; local where no zone is given; a space for T will do
    7d   36h   90m   45s   2w         that long ago
    now   today   yesterday

``--since`` takes the beginning of a day or a month. ``--until`` takes its end, so that
``--since 2026-05-01 --until 2026-05-01`` is that day. Days have the length the local zone
gives them: 23 and 25 hours where clocks change.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

__all__ = ["parse_when"]

_AGO = re.compile(r"(\d{1,6})\s*([smhdw])", re.ASCII)
_MONTH = re.compile(r"(\d{4})-(\d{2})", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_LIKE = "give a date (2026-05-01), a time (2026-05-01T12:30), how long ago (7d, 36h, 90m), today or yesterday"


def parse_when(text: str, *, now: float, is_end: bool = False) -> float:
    """Return *text* as Unix seconds.

    Args:
        text: See the module.
        now: Unix seconds; what "ago", today and yesterday count from.
        is_end: Of a day or a month, the moment it is over. Default: the moment it begins.

    Raises:
        ValueError: It is no time; the message says what would be.
    """
    typed = text.strip().lower()
    if typed == "now":
        return now
    ago = _AGO.fullmatch(typed)
    if ago:
        return now - int(ago[1]) * _SECONDS[ago[2]]
    try:
        span = _span(typed, now)
        if span is not None:
            return _midnight(span[1] if is_end else span[0])
        return datetime.fromisoformat(text.strip().upper()).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{text!r} is no time: {_LIKE}") from None


def _span(typed: str, now: float) -> tuple[date, date] | None:
    """Return the first day of what was named, and the day after it; None when it is no day or month."""
    today = datetime.fromtimestamp(now).date()
    days = {"today": today, "yesterday": today - timedelta(days=1)}
    month = _MONTH.fullmatch(typed)
    if month:
        first = date(int(month[1]), int(month[2]), 1)
        return first, (first + timedelta(days=31)).replace(day=1)
    if len(typed) == len("2026-05-01") or typed in days:
        day = days.get(typed) or date.fromisoformat(typed)
        return day, day + timedelta(days=1)
    return None


def _midnight(day: date) -> float:
    return datetime(day.year, day.month, day.day).timestamp()
