"""Numbers, times and signs as a person reads them."""

from __future__ import annotations

from datetime import datetime
from math import isfinite

__all__ = ["SIGNS", "bound_sign", "clock", "count", "duration", "many", "moment", "place", "tokens"]

#: Status to sign and style: never colour alone.
SIGNS = {
    "ok": ("✓", "ok"),
    "error": ("✗", "error"),
    "cancelled": ("○", "warn"),
    "running": ("▶", "note"),
    "interrupted": ("▲", "warn"),
    "unfinished": ("◌", "warn"),
    "unknown": ("?", "dim"),
}

_BOUNDS = {"lower": "≥", "upper": "≤", "unknown": "~"}


def bound_sign(side: str | None) -> str:
    """Return the sign of a figure that is not exact: ≥, ≤, or ~ when both sides are open."""
    return _BOUNDS.get(side or "", "")


def tokens(number: int | None, side: str | None = None) -> str:
    """Return a count of tokens in at most seven characters; ``?`` when it is not known."""
    if number is None:
        return "?"
    return bound_sign(side) + count(number)


def count(number: int) -> str:
    """Return 84, 1.2k, 12.3k, 123k, 1.2M."""
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= limit:
            if abs(number) >= limit * 1e6:
                return "…"
            value = number / limit
            return f"{value:.0f}{unit}" if abs(value) >= 100 else f"{value:.1f}{unit}"
    return str(number)


def many(number: int, one: str, several: str | None = None) -> str:
    """Return "1 step", "2 steps"."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def duration(ms: float | None) -> str:
    """Return 0.3 ms, 812 ms, 2.31 s, 4m 05s, 2h 07m, 3d 04h; ``?`` when nobody measured it."""
    if ms is None or not isfinite(ms):
        return "?"
    if ms < 0 or ms >= 1e14:
        return f"{ms:.3g} ms"
    if ms < 10:
        return f"{ms:.1f} ms"
    if round(ms) < 1000:
        return f"{ms:.0f} ms"
    if ms < 59_950:
        return f"{ms / 1000:.2f} s" if ms < 9_995 else f"{ms / 1000:.1f} s"
    seconds = round(ms / 1000)
    if seconds < 3600:
        return f"{seconds // 60}m {seconds % 60:02d}s"
    if seconds < 86_400:
        return f"{seconds // 3600}h {seconds % 3600 // 60:02d}m"
    return f"{seconds // 86_400}d {seconds % 86_400 // 3600:02d}h"


def moment(ts: float | None) -> str:
    """Return the local date and time of *ts*."""
    when = _local(ts)
    return "?" if when is None else f"{when:%Y-%m-%d %H:%M:%S}"


def clock(ts: float | None, *, today: float | None = None, is_narrow: bool = False) -> str:
    """Return the local time of *ts*; of another day than *today*'s, the date too, or alone if *is_narrow*."""
    when, day = _local(ts), _local(today)
    if when is None:
        return "?"
    if day is None or when.date() == day.date():
        return f"{when:%H:%M:%S}"
    if when.year != day.year:
        return f"{when:%Y-%m-%d}"
    return f"{when:%b %d}" if is_narrow else f"{when:%b %d %H:%M}"


def place(file: object, line: object) -> str:
    """Return where a frame is in few characters: the last two parts of its file, and the line."""
    parts = str(file).replace("\\", "/").split("/")
    return f"{'/'.join(parts[-2:])}:{line}"


def _local(ts: float | None) -> datetime | None:
    try:
        return None if ts is None else datetime.fromtimestamp(ts).astimezone()
    except (ValueError, OverflowError, OSError):
        return None  # a damaged or forged time, outside of the calendar
