"""Latencies in constant memory: a histogram whose buckets grow with the value.

A value goes into the bucket of its power of two, cut into 64 equal parts, so a
quantile is within 0.8 % of a true sample of that rank, whatever the range. Only
buckets that hold something exist: a few dozen for a tool, at most some thousands.
The layout is that of HdrHistogram and of Prometheus' native histograms.
"""

from __future__ import annotations

from math import ceil, frexp, isfinite, ldexp

__all__ = ["Latencies"]

_PARTS = 64  # of each power of two


class Latencies:
    """Durations in milliseconds, kept as counts.

    Attributes:
        count: How many were added. Negative and non-finite ones are not.
        total: Their sum, in milliseconds.
        max: The largest, in milliseconds.
    """

    __slots__ = ("_buckets", "count", "max", "total")

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}
        self.count = 0
        self.total = 0.0
        self.max = 0.0

    def add(self, duration_ms: float) -> None:
        """Count one duration."""
        try:
            duration_ms = float(duration_ms)
        except OverflowError:  # an integer no float holds is no more a duration than infinity
            return
        if duration_ms < 0 or not isfinite(duration_ms):
            return
        fraction, exponent = frexp(duration_ms)  # value = fraction * 2**exponent, 0.5 <= fraction < 1
        bucket = exponent * _PARTS + int((fraction * 2 - 1) * _PARTS) if duration_ms else -(1 << 30)
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1
        self.count += 1
        self.total += duration_ms
        if duration_ms > self.max:
            self.max = duration_ms

    def merge(self, other: Latencies) -> None:
        """Add everything *other* counted."""
        for bucket, number in other._buckets.items():
            self._buckets[bucket] = self._buckets.get(bucket, 0) + number
        self.count += other.count
        self.total += other.total
        self.max = max(self.max, other.max)

    def quantile(self, q: float) -> float | None:
        """Return the q-quantile (nearest rank, 0 < q <= 1) in milliseconds; None when nothing was added."""
        if not self.count:
            return None
        # A float a hair above the whole number it stands for must not round up to the next rank.
        rank = max(1, ceil(q * self.count - 1e-9))
        for bucket in sorted(self._buckets):
            rank -= self._buckets[bucket]
            if rank <= 0:
                return min(_middle(bucket), self.max)
        return self.max

    def stats(self) -> dict[str, float | None]:
        """Return mean, p50, p95 and max in milliseconds; each None when nothing was added."""
        return {
            "mean_ms": round(self.total / self.count, 3) if self.count else None,
            "p50_ms": _rounded(self.quantile(0.5)),
            "p95_ms": _rounded(self.quantile(0.95)),
            "max_ms": _rounded(self.max) if self.count else None,
        }


def _middle(bucket: int) -> float:
    if bucket == -(1 << 30):
        return 0.0
    exponent, part = divmod(bucket, _PARTS)
    # The harmonic middle halves the largest relative error.
    low, high = (1 + part / _PARTS) / 2, (1 + (part + 1) / _PARTS) / 2
    return ldexp(2 * low * high / (low + high), exponent)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
