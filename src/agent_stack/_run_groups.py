"""Runs added up: how many, how many failed, how long they took, their tokens and their cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from typing import TYPE_CHECKING, Any

from agentsnap import NO_COST, NO_TOKENS, UNKNOWN_COST, Amount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from decimal import Decimal

    from agent_stack._facts import RunFacts

__all__ = [
    "FAILED",
    "GROUPINGS",
    "OVER",
    "Tally",
    "costs_of",
    "day_of",
    "group_field",
    "plain",
    "run_cost",
    "tallies",
]

#: The statuses of runs that are over, and of those that failed: as `compare` has them.
OVER = frozenset({"ok", "error", "interrupted", "cancelled"})
FAILED = frozenset({"error", "interrupted"})

#: What runs are grouped by, and what tells it.
GROUPINGS: dict[str, Callable[[RunFacts], str | None]] = {
    "task": lambda run: run.task_type,
    "version": lambda run: run.agent_version,
    "env": lambda run: run.environment,
    "status": lambda run: run.status,
    "agent": lambda run: run.agent,
    "day": lambda run: day_of(run.started),
}


@dataclass
class Tally:
    """Some runs, added up.

    Attributes:
        key: What they have in common; None where they do not tell.
        runs: How many.
        over: Those that are: ended, or their process is gone.
        failed: Those of them that ended with an error or were interrupted.
        durations_ms: Of those over.
        tokens: Input and output together.
        cost: USD.
        first_ts: When the first began, Unix seconds.
    """

    key: str | None = None
    runs: int = 0
    over: int = 0
    failed: int = 0
    durations_ms: list[float] = field(default_factory=list)
    tokens: Amount[int] = NO_TOKENS
    cost: Amount[Decimal] = NO_COST
    first_ts: float | None = None

    def add(self, run: RunFacts, cost: Amount[Decimal]) -> None:
        """Add one run."""
        self.runs += 1
        if run.status in OVER:
            self.over += 1
            self.failed += run.status in FAILED
            if run.lasted_ms is not None:
                self.durations_ms.append(run.lasted_ms)
        self.tokens += _tokens(run)
        self.cost += cost
        if run.started is not None:
            self.first_ts = run.started if self.first_ts is None else min(self.first_ts, run.started)

    @property
    def failed_share(self) -> float | None:
        """Of those over, from 0 to 1; None when none is."""
        return self.failed / self.over if self.over else None

    def took_ms(self, q: float) -> float | None:
        """Return the duration that at least *q* of those over do not exceed; None when none told any."""
        ordered = sorted(self.durations_ms)
        return ordered[max(0, ceil(q * len(ordered)) - 1)] if ordered else None

    def to_dict(self, *, has_cost: bool) -> dict[str, Any]:
        """Return the documented ``--json`` shape, without its key. Unknown is null."""
        amounts: dict[str, Amount[Any]] = {
            "tokens": self.tokens,
            **({"cost_usd": self.cost} if has_cost else {}),
        }
        return {
            "runs": self.runs,
            "over": self.over,
            "failed": self.failed,
            "failed_share": self.failed_share,
            "p50_ms": self.took_ms(0.5),
            "p95_ms": self.took_ms(0.95),
            **{name: plain(amount) for name, amount in amounts.items()},
            "not_exact": {
                name: amount.exactness for name, amount in amounts.items() if amount.exactness != "exact"
            },
        }


def plain(amount: Amount[Any]) -> int | float | None:
    """Return a figure as JSON has it; null when unknown."""
    value = amount.value
    return value if value is None or isinstance(value, int) else float(value)


def tallies(
    runs: Iterable[RunFacts],
    key_of: Callable[[RunFacts], str | None],
    costs: Mapping[str, Amount[Decimal]],
) -> list[Tally]:
    """Return *runs* added up by what *key_of* tells of each, in the order the groups first appear."""
    found: dict[str | None, Tally] = {}
    for run in runs:
        key = key_of(run)
        tally = found.get(key)
        if tally is None:
            tally = found[key] = Tally(key)
        tally.add(run, run_cost(run, costs))
    return list(found.values())


def group_field(tally: Tally, name: str) -> Any:
    """Return what groups are sorted by: group, runs, failed (share), p50, p95, tokens, cost, started."""
    if name in ("tokens", "cost"):
        return getattr(tally, name).value
    if name in ("p50", "p95"):
        return tally.took_ms(int(name[1:]) / 100)
    return {
        "group": tally.key,
        "runs": tally.runs,
        "failed": tally.failed_share,
        "started": tally.first_ts,
    }[name]


def run_cost(run: RunFacts, costs: Mapping[str, Amount[Decimal]]) -> Amount[Decimal]:
    """Return what *run* cost: nothing if it called no model, unknown if nobody priced it."""
    return costs.get(run.run_id, UNKNOWN_COST if run.summary.llm_call_count else NO_COST)


def costs_of(places: Sequence[str]) -> dict[str, Amount[Decimal]]:
    """Return what each run in *places* cost; those that called no model are left out.

    Raises:
        MissingExtraError: A price is needed and the extra that brings them is not installed.
    """
    from agentsnap import usage_of

    return {
        group.key: group.cost for group in usage_of(list(places), by="run").groups if group.key is not None
    }


def day_of(started: float | None) -> str | None:
    """Return the local date; None for a time outside of the calendar."""
    try:
        return None if started is None else f"{datetime.fromtimestamp(started):%Y-%m-%d}"
    except (ValueError, OverflowError, OSError):
        return None


def _tokens(run: RunFacts) -> Amount[int]:
    summary = run.summary
    is_bound = any(name in run.bounds for name in ("input_tokens", "output_tokens"))
    return Amount(max(summary.total_tokens, 0), is_whole=not is_bound)
