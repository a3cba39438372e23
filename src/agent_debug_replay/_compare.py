"""Groups of runs against each other: is the new version slower, dearer, or wrong more often, or is it chance?

Each group is held against a base by a handful of figures, each with a 95 % interval of the
difference. What the interval leaves open is called no clear change; below `FEWEST` runs on
a side nothing is claimed at all. Several figures are looked at together, so one in twenty
that says "worse" by a hair says little.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from agent_debug_replay._intervals import (
    Interval,
    mean_ratio,
    quantile,
    quantile_ratio,
    rate_difference,
    share_difference,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["FEWEST", "Contrast", "Figure", "RunSample", "compare_groups"]

#: Runs on a side below which no verdict is given.
FEWEST = 5

Verdict: TypeAlias = Literal["worse", "better", "no clear change", "too few runs", "not known"]

_FAILED = frozenset({"error", "interrupted"})
_OVER = frozenset({"ok", "error", "interrupted", "cancelled"})


@dataclass(frozen=True)
class RunSample:
    """What a comparison takes of one run.

    Attributes:
        status: As `agent_step_log.RunInfo.status` gives it.
        started_at: Unix seconds.
        duration_ms: From its first record to its last; None: not known.
        tokens: In and out together; None: some call did not tell.
        usd: What it cost; None: not known, or only in part.
        tool_calls, tool_errors: How many, and how many of them failed.
    """

    run_id: str
    group: str
    status: str
    started_at: float
    duration_ms: float | None
    steps: int
    tokens: int | None = None
    usd: float | None = None
    tool_calls: int = 0
    tool_errors: int = 0


@dataclass(frozen=True)
class Figure:
    """One figure of a group beside that of the base.

    Attributes:
        name: What is counted.
        unit: "share", "ms", "tokens", "usd" or "steps".
        value, base: Both groups' figures; None where no run told.
        change: The difference (of shares, in share) or the ratio (of anything else), with its
            95 % interval; None where it cannot be said, or a side has fewer than `FEWEST` runs.
        is_ratio: Which of the two it is.
        verdict: More is worse for every figure here.
    """

    name: str
    unit: str
    value: float | None
    base: float | None
    change: Interval | None
    is_ratio: bool
    verdict: Verdict


@dataclass(frozen=True)
class Contrast:
    """One group against the base.

    Attributes:
        runs, base_runs: How many runs that are over each has; running ones are left out.
    """

    group: str
    base: str
    runs: int
    base_runs: int
    figures: tuple[Figure, ...]

    @property
    def is_worse(self) -> bool:
        """Whether any figure is clearly worse."""
        return any(figure.verdict == "worse" for figure in self.figures)


def compare_groups(samples: Sequence[RunSample], *, base: str | None = None) -> list[Contrast]:
    """Hold each group of *samples* against the *base* group.

    Args:
        samples: Runs, in any order.
        base: Name of the group to compare with. Default: the one whose first run began earliest.

    Returns:
        One contrast for each other group, in the order their first runs began.

    Raises:
        KeyError: No run is in the group *base*.
    """
    groups: dict[str, list[RunSample]] = {}
    for sample in sorted(samples, key=lambda each: each.started_at):
        groups.setdefault(sample.group, []).append(sample)
    if not groups:
        return []
    name = next(iter(groups)) if base is None else base
    against = _over(groups[name])
    return [_contrast(group, _over(runs), name, against) for group, runs in groups.items() if group != name]


def _over(runs: Sequence[RunSample]) -> list[RunSample]:
    return [run for run in runs if run.status in _OVER]


def _contrast(group: str, runs: list[RunSample], name: str, base: list[RunSample]) -> Contrast:
    def figure(
        title: str,
        unit: str,
        of: Callable[[list[RunSample]], float | None],
        change: Interval | None,
        *,
        is_ratio: bool,
        sizes: tuple[int, int] = (len(runs), len(base)),
    ) -> Figure:
        same = 1.0 if is_ratio else 0.0
        verdict: Verdict = "no clear change"
        if change is None:
            verdict = "not known" if min(sizes) >= FEWEST or not max(sizes) else "too few runs"
        elif min(sizes) < FEWEST:
            # An interval from a run or two would look as sure as any other.
            change, verdict = None, "too few runs"
        elif change.low > same:
            verdict = "worse"
        elif change.high < same:
            verdict = "better"
        return Figure(title, unit, of(runs), of(base), change, is_ratio, verdict)

    def means(title: str, unit: str, values: Callable[[list[RunSample]], list[float]]) -> Figure:
        mine, theirs = values(runs), values(base)
        return figure(
            title,
            unit,
            lambda side: sum(known) / len(known) if (known := values(side)) else None,
            mean_ratio(mine, theirs),
            is_ratio=True,
            sizes=(len(mine), len(theirs)),
        )

    def quantiles(title: str, q: float) -> Figure:
        mine, theirs = _durations(runs), _durations(base)
        return figure(
            title,
            "ms",
            lambda side: quantile(known, q) if (known := _durations(side)) else None,
            quantile_ratio(mine, theirs, q),
            is_ratio=True,
            sizes=(len(mine), len(theirs)),
        )

    failed = share_difference(_failures(runs), len(runs), _failures(base), len(base))
    return Contrast(
        group,
        name,
        len(runs),
        len(base),
        (
            figure(
                "runs that failed", "share", _failure_share, failed if runs and base else None, is_ratio=False
            ),
            figure(
                "tool calls that failed",
                "share",
                _tool_error_share,
                rate_difference(_tool_counts(runs), _tool_counts(base)),
                is_ratio=False,
            ),
            quantiles("run time, P50", 0.5),
            quantiles("run time, P95", 0.95),
            means(
                "tokens a run", "tokens", lambda side: [run.tokens for run in side if run.tokens is not None]
            ),
            means("cost a run", "usd", lambda side: [r.usd for r in side if r.usd is not None]),
            means("steps a run", "steps", lambda side: [run.steps for run in side]),
        ),
    )


def _failures(runs: list[RunSample]) -> int:
    return sum(run.status in _FAILED for run in runs)


def _failure_share(runs: list[RunSample]) -> float | None:
    return _failures(runs) / len(runs) if runs else None


def _tool_counts(runs: list[RunSample]) -> list[tuple[int, int]]:
    return [(run.tool_errors, run.tool_calls) for run in runs]


def _tool_error_share(runs: list[RunSample]) -> float | None:
    calls = sum(run.tool_calls for run in runs)
    return sum(run.tool_errors for run in runs) / calls if calls else None


def _durations(runs: list[RunSample]) -> list[float]:
    return [run.duration_ms for run in runs if run.duration_ms is not None]
