"""Runs over time: added up by hour, day or week of the local zone, with the gaps in between.

A run belongs to the bucket it began in, whole: with its failures, its tokens and its cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from agent_stack._run_groups import GROUPINGS, Tally, run_cost

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from agent_stack._facts import RunFacts
    from agentsnap import Amount

__all__ = ["METRICS", "PERIODS", "Bucket", "Series", "Trend", "metric_value", "trend_of"]

PERIODS = ("hour", "day", "week")

#: What is shown over time.
METRICS = ("runs", "failures", "latency", "tokens", "cost")

#: Buckets between the first and the last run: beyond that a forged time would fill the memory.
MOST_BUCKETS = 20_000


@dataclass(frozen=True)
class Bucket:
    """One hour, day or week.

    Attributes:
        start: Its local beginning: 2026-05-01, of an hour 2026-05-01T13:00.
        tally: The runs that began in it; None where none did.
    """

    start: str
    tally: Tally | None


@dataclass(frozen=True)
class Series:
    """The buckets of one group, oldest first, and all of its runs together."""

    key: str | None
    buckets: list[Bucket]
    total: Tally


@dataclass(frozen=True)
class Trend:
    """Runs over time.

    Attributes:
        per: hour, day or week.
        by: What the series are by; None where there is one of all.
        series: Those with the most runs first; all have the same buckets.
        undated: Runs left out because their time is none, or lies far from the others.
    """

    per: str
    by: str | None
    series: list[Series]
    undated: int


def trend_of(
    runs: Sequence[RunFacts], per: str, by: str | None, costs: Mapping[str, Amount[Decimal]]
) -> Trend:
    """Return *runs* added up over time.

    Args:
        runs: In any order.
        per: hour, day (local) or week (from Monday).
        by: task, version, env or agent. Default: all together.
        costs: What each run cost, by its id.
    """
    dated = [(start, run) for run in runs if (start := _start(run.started, per)) is not None]
    dated.sort(key=lambda pair: pair[0])
    if dated:
        earliest = dated[-1][0] - MOST_BUCKETS * _steps(per)
        dated = [pair for pair in dated if pair[0] >= earliest]
    starts = _between(dated[0][0], dated[-1][0], per) if dated else []
    cells: dict[str | None, dict[datetime, Tally]] = {}
    totals: dict[str | None, Tally] = {}
    for start, run in dated:
        key = GROUPINGS[by](run) if by is not None else None
        cost = run_cost(run, costs)
        totals.setdefault(key, Tally(key)).add(run, cost)
        cells.setdefault(key, {}).setdefault(start, Tally(key)).add(run, cost)
    shape = "%Y-%m-%dT%H:%M" if per == "hour" else "%Y-%m-%d"
    series = [
        Series(key, [Bucket(f"{start:{shape}}", cells[key].get(start)) for start in starts], total)
        for key, total in totals.items()
    ]
    series.sort(key=lambda each: (-each.total.runs, each.key is None, each.key or ""))
    return Trend(per, by, series, len(runs) - len(dated))


def metric_value(tally: Tally, metric: str) -> float | None:
    """Return how high a bar stands: failures as a share of runs over, latency as P95; None when unknown."""
    if metric == "runs":
        return tally.runs
    if metric == "failures":
        return tally.failed_share
    if metric in ("latency", "p95"):
        return tally.took_ms(0.95)
    if metric == "p50":
        return tally.took_ms(0.5)
    value: Any = tally.tokens.value if metric == "tokens" else tally.cost.value
    return None if value is None else float(value)


def _start(ts: float | None, per: str) -> datetime | None:
    try:
        when = None if ts is None else datetime.fromtimestamp(ts)
    except (ValueError, OverflowError, OSError):
        return None
    # Two years from the edges of the calendar there is no week to count from.
    if when is None or not 1000 <= when.year <= 9000:
        return None
    when = when.replace(minute=0, second=0, microsecond=0, fold=0)
    if per == "hour":
        return when
    when = when.replace(hour=0)
    return when if per == "day" else when - timedelta(days=when.weekday())


def _steps(per: str) -> timedelta:
    return {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}[per]


def _between(first: datetime, last: datetime, per: str) -> list[datetime]:
    """Return the beginnings of all buckets; local wall-clock times, so a day is a day where clocks change."""
    step = _steps(per)
    return [first + step * place for place in range((last - first) // step + 1)]
