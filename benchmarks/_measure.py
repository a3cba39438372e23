"""Timing that holds on a shared machine: variants in turn, ratios taken inside a round, medians told."""

from __future__ import annotations

import random
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks._recorders import end_all

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks._recorders import Case


def per_call(call: Callable[[], object], times: int) -> float:
    """Return the CPU microseconds of this thread that one call takes."""
    rounds = range(times)
    start = time.thread_time_ns()
    for _ in rounds:
        call()
    return (time.thread_time_ns() - start) / times / 1000


def compare(recorders: dict[str, Any], case: Case, *, rounds: int, times: int) -> dict[str, list[float]]:
    """Return for each recorder its microseconds per call, one figure a round, order shuffled each round."""
    figures: dict[str, list[float]] = {name: [] for name in recorders}
    names = list(recorders)
    chance = random.Random(1)
    for _ in range(rounds):
        chance.shuffle(names)
        for name in names:
            directory = Path(tempfile.mkdtemp(prefix="bench-"))
            try:
                call = recorders[name](directory)(case)
                per_call(call, max(times // 10, 1))
                figures[name].append(per_call(call, times))
            finally:
                end_all()
                shutil.rmtree(directory, ignore_errors=True)
    return figures


def ratio(figures: dict[str, list[float]], of: str, to: str) -> float:
    """Return the median of the ratios taken inside each round."""
    return statistics.median(a / b for a, b in zip(figures[of], figures[to], strict=True))


def spread(figures: dict[str, list[float]], of: str, to: str) -> tuple[float, float]:
    """Return the 10th and 90th percentile of those ratios."""
    ratios = sorted(a / b for a, b in zip(figures[of], figures[to], strict=True))
    return ratios[len(ratios) // 10], ratios[-1 - len(ratios) // 10]
