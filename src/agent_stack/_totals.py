"""The runs of a source added up."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agent_stack._facts import TOKEN_NAMES, RunFacts, facts_of, merged_side, summary_dict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent_step_log import RunInfo, Summary

__all__ = ["SLOWEST", "Totals", "totals_of"]

#: Runs listed as the slowest.
SLOWEST = 5


@dataclass(frozen=True)
class Totals:
    """What several runs came to.

    Attributes:
        summary: All counts, tokens and latencies together.
        bounds: Token sums that are not exact, and which way.
        run_p50_ms, run_p95_ms, run_max_ms: Of the runs' durations; None without a run.
        slowest: The five longest runs, the longest first.
    """

    run_count: int
    by_status: dict[str, int]
    summary: Summary
    bounds: dict[str, str] = field(default_factory=dict)
    run_p50_ms: float | None = None
    run_p95_ms: float | None = None
    run_max_ms: float | None = None
    slowest: list[RunFacts] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the documented ``--json`` shape."""
        slowest = [
            {
                "run_id": run.run_id,
                "status": run.status,
                "agent": run.agent,
                "duration_ms": run.summary.duration_ms,
            }
            for run in self.slowest
        ]
        return {
            "runs": self.run_count,
            "by_status": self.by_status,
            "run_duration_ms": {"p50": self.run_p50_ms, "p95": self.run_p95_ms, "max": self.run_max_ms},
            **summary_dict(self.summary, self.bounds),
            "bounds": self.bounds,
            "slowest_runs": slowest,
        }


def totals_of(infos: Sequence[RunInfo]) -> Totals:
    """Add *infos* up."""
    from agent_step_log import Summary

    if not infos:
        return Totals(0, {}, Summary("*"))
    runs = [facts_of(info) for info in infos]
    bounds: dict[str, str] = {}
    total = type(infos[0].fold)()
    for info, run in zip(infos, runs, strict=True):
        total.merge(info.fold)
        for name, side in run.bounds.items():
            bounds[name] = merged_side(bounds.get(name), side) or side
    summary = total.result("*")
    summary.unfinished_count = sum(run.summary.unfinished_count for run in runs)
    summary.total_steps = sum(run.summary.total_steps for run in runs)
    summary.duration_ms = sum(run.summary.duration_ms for run in runs)
    timed = [(run.lasted_ms, run) for run in runs if run.lasted_ms is not None]
    timed.sort(key=lambda pair: -pair[0])
    lasted = [lasted_ms for lasted_ms, _ in reversed(timed)]
    by_status = dict(Counter(run.status for run in runs).most_common())
    for name in TOKEN_NAMES:
        # A call that told nothing may have had a part of any kind, also where its own run has none.
        if (summary.unknown_usage_count or summary.impossible_count) and getattr(summary, name):
            bounds[name] = merged_side(bounds.get(name), "lower") or "lower"
    return Totals(
        len(runs),
        by_status,
        summary,
        bounds,
        _quantile(lasted, 50),
        _quantile(lasted, 95),
        lasted[-1] if lasted else None,
        [run for _, run in timed[:SLOWEST]],
    )


def _quantile(ascending: Sequence[int], percent: int) -> float | None:
    """Return the nearest-rank quantile; None of nothing."""
    return ascending[max(0, -(-percent * len(ascending) // 100) - 1)] if ascending else None
