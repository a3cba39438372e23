"""The date of a moment in this machine's zone, as an expression the engine works out.

The engine has a zone database of its own, of another version, and takes no POSIX zones. What `time`
says is what every other clock on the machine says, so its changes of offset are looked up once and
written into the expression.
"""

from __future__ import annotations

import time

__all__ = ["day_of"]

_FIRST, _LAST = 0, 4102444800  # 1970 to 2100: outside of it the nearest offset is taken
_STRIDE = 14 * 86400  # no zone has gone back on a change sooner
_EXPRESSIBLE = (-62135596800, 253402214400)  # the years 1 to 9999


def day_of(seconds: str) -> str:
    """Return SQL for the local date (``YYYY-MM-DD``) of *seconds*, an expression of Unix seconds."""
    low, high = _EXPRESSIBLE
    shift = _shift(seconds, _changes())
    return (
        f"CASE WHEN {seconds} >= {low} AND {seconds} < {high} THEN "
        f"strftime(make_timestamp((CAST(floor({seconds}) AS BIGINT) + {shift}) * 1000000), "
        "'%Y-%m-%d') END"
    )


def _changes() -> list[tuple[int, int]]:
    """Return ``(from when, seconds east of UTC)``, the first of them from ever."""
    changes = [(_FIRST, _offset(_FIRST))]
    for end in range(_FIRST + _STRIDE, _LAST, _STRIDE):
        start = end - _STRIDE
        if _offset(end) == changes[-1][1]:
            continue
        while end - start > 1:
            middle = (start + end) // 2
            if _offset(middle) == changes[-1][1]:
                start = middle
            else:
                end = middle
        changes.append((end, _offset(end)))
    return changes


def _offset(moment: int) -> int:
    return time.localtime(moment).tm_gmtoff


def _shift(seconds: str, changes: list[tuple[int, int]]) -> str:
    """Return SQL for the offset at *seconds*: a tree of comparisons, as deep as their logarithm."""
    if len(changes) == 1:
        return str(changes[0][1])
    middle = len(changes) // 2
    before, after = _shift(seconds, changes[:middle]), _shift(seconds, changes[middle:])
    return f"CASE WHEN {seconds} < {changes[middle][0]} THEN {before} ELSE {after} END"
