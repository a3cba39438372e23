"""Intervals that say how much of a difference is chance, by the standard library alone.

    share          Wilson's score interval (Wilson 1927)
    share - share  Newcombe's hybrid of two of them (Newcombe 1998, method 10)
    rate - rate    of events in clusters (errors in the tool calls of runs): the jackknife's variance
                   (Tukey 1958), runs being left out one at a time
    mean / mean    the delta method on the logarithm of the ratio
    quantile / quantile   the bootstrap, its resamples drawn straight from the distribution of
                   an order statistic: the k-th of n uniform draws is Beta(k, n - k + 1)

All are 95 % intervals. They are for runs that came about independently of each other.
"""

from __future__ import annotations

import random
from math import exp, inf, log, sqrt
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Interval",
    "mean_ratio",
    "quantile",
    "quantile_ratio",
    "rate_difference",
    "share",
    "share_difference",
]

_Z = 1.959964  # the 97.5th percentile of the normal distribution
_RESAMPLES = 4000
_SEED = 20_260_101  # the same runs give the same interval


class Interval(NamedTuple):
    """An estimate and the interval around it."""

    estimate: float
    low: float
    high: float


def share(hits: int, of: int) -> Interval:
    """Return *hits* / *of* with Wilson's interval; of nothing, everything is possible."""
    if of == 0:
        return Interval(0.0, 0.0, 1.0)
    part = hits / of
    shrink = 1 + _Z * _Z / of
    centre = (part + _Z * _Z / (2 * of)) / shrink
    half = _Z * sqrt(part * (1 - part) / of + _Z * _Z / (4 * of * of)) / shrink
    return Interval(part, max(0.0, centre - half), min(1.0, centre + half))


def share_difference(hits: int, of: int, base_hits: int, base_of: int) -> Interval:
    """Return ``hits/of - base_hits/base_of`` with Newcombe's interval."""
    one, two = share(hits, of), share(base_hits, base_of)
    difference = one.estimate - two.estimate
    down = sqrt((one.estimate - one.low) ** 2 + (two.high - two.estimate) ** 2)
    up = sqrt((one.high - one.estimate) ** 2 + (two.estimate - two.low) ** 2)
    return Interval(difference, difference - down, difference + up)


def rate_difference(counts: Sequence[tuple[int, int]], base: Sequence[tuple[int, int]]) -> Interval | None:
    """Return the difference of two rates of events, each given as (events, trials) for each run.

    Runs are the units, so that a single run with a thousand failures counts as one run. None
    where a side has fewer than two runs with trials.
    """
    one, two = _rate(counts), _rate(base)
    if one is None or two is None:
        return None
    difference = one[0] - two[0]
    half = _Z * sqrt(one[1] + two[1])
    return Interval(difference, difference - half, difference + half)


def mean_ratio(values: Sequence[float], base: Sequence[float]) -> Interval | None:
    """Return mean / mean with its interval; None where a mean is not above 0 or a side has one value."""
    one, two = _log_mean(values), _log_mean(base)
    if one is None or two is None:
        return None
    difference = one[0] - two[0]
    half = _Z * sqrt(one[1] + two[1])
    return Interval(exp(difference), exp(difference - half), exp(difference + half))


def quantile(values: Sequence[float], q: float) -> float:
    """Return the smallest of *values* that at least *q* of them do not exceed."""
    ordered = sorted(values)
    return ordered[_rank(len(ordered), q) - 1]


def quantile_ratio(values: Sequence[float], base: Sequence[float], q: float) -> Interval | None:
    """Return quantile / quantile with its interval; None where a side is empty or the base not above 0."""
    if not values or not base:
        return None
    one, two = sorted(values), sorted(base)
    if quantile(two, q) <= 0:
        return None
    chance = random.Random(_SEED)  # noqa: S311  no secret
    ratios = sorted(
        above / below if (below := _resampled(two, q, chance)) > 0 else inf
        for above in (_resampled(one, q, chance) for _ in range(_RESAMPLES))
    )
    cut = int(_RESAMPLES * 0.025)
    return Interval(quantile(one, q) / quantile(two, q), ratios[cut], ratios[-1 - cut])


def _rank(size: int, q: float) -> int:
    return min(max(1, -int(-q * size // 1)), size)


def _resampled(ordered: Sequence[float], q: float, chance: random.Random) -> float:
    """Return the quantile of one resample with replacement of *ordered*."""
    size = len(ordered)
    rank = _rank(size, q)
    return ordered[min(int(chance.betavariate(rank, size - rank + 1) * size), size - 1)]


def _log_mean(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the logarithm of the mean and its variance."""
    size = len(values)
    mean = sum(values) / size if size else 0.0
    if size < 2 or mean <= 0:
        return None
    spread = sum((value - mean) ** 2 for value in values) / (size - 1)
    return log(mean), spread / (size * mean * mean)


def _rate(counts: Sequence[tuple[int, int]]) -> tuple[float, float] | None:
    """Return events a trial and the variance of that.

    The linearised variance of a ratio would do where runs are alike; one run that outweighs all
    others has next to none by it, as it sits on the ratio it makes.
    """
    units = [(events, trials) for events, trials in counts if trials]
    size = len(units)
    if size < 2:
        return None
    all_events, all_trials = sum(events for events, _ in units), sum(trials for _, trials in units)
    without = [(all_events - events) / (all_trials - trials) for events, trials in units]
    mean = sum(without) / size
    return all_events / all_trials, (size - 1) / size * sum((each - mean) ** 2 for each in without)
