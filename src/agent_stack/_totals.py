"""The runs of a source added up.

Token counts that no call can have (below 0, above `TOKEN_LIMIT`) are in no sum, and durations below 0, of
a clock that was set back, in no quantile; both are counted. They are rare, so logs are searched for bytes
that look like one, and only those that hold such are read record by record once more.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agent_stack._facts import TOKEN_NAMES, RunFacts, facts_of, merged_side, summary_dict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from agent_step_log import Record, RunInfo, Summary

__all__ = ["SLOWEST", "TOKEN_LIMIT", "Totals", "totals_of"]

#: Runs listed as the slowest.
SLOWEST = 5

#: More tokens than one call can have: a hundred times the largest context window there is.
TOKEN_LIMIT = 1_000_000_000

_CHUNK = 1 << 20
# As encoders write it, with and without a space. Text in a log may look like it too: then it is read.
_BELOW_0 = tuple(f'{name}":{space}-'.encode() for name in ("_tokens", "duration_ms") for space in ("", " "))
_LONGEST = max(map(len, _BELOW_0))


@dataclass(frozen=True)
class Totals:
    """What several runs came to.

    Attributes:
        summary: All counts, tokens and latencies together.
        bounds: Token sums that are not exact, and which way.
        run_p50_ms, run_p95_ms, run_max_ms: Of the runs' durations; None without a run.
        slowest: The five longest runs, the longest first.
        impossible_count: Model calls with a token count below 0, or above what any call can have: in no sum.
        backwards_count: Steps with a duration below 0: in no quantile.
    """

    run_count: int
    by_status: dict[str, int]
    summary: Summary
    bounds: dict[str, str] = field(default_factory=dict)
    run_p50_ms: float | None = None
    run_p95_ms: float | None = None
    run_max_ms: float | None = None
    slowest: list[RunFacts] = field(default_factory=list)
    impossible_count: int = 0
    backwards_count: int = 0

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
            "impossible_count": self.impossible_count,
            "backwards_count": self.backwards_count,
            "slowest_runs": slowest,
        }


def totals_of(infos: Sequence[RunInfo]) -> Totals:
    """Add *infos* up; see the module for what is read again."""
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
    longest = sorted(runs, key=lambda run: -run.summary.duration_ms)
    lasted = [run.summary.duration_ms for run in reversed(longest)]
    by_status = dict(Counter(run.status for run in runs).most_common())
    for name in TOKEN_NAMES:
        # A call that told nothing may have had a part of any kind, also where its own run has none.
        if summary.unknown_usage_count and getattr(summary, name):
            bounds[name] = merged_side(bounds.get(name), "lower") or "lower"
    impossible, backwards = _leave_out(summary, bounds, _doubtful(infos))
    return Totals(
        len(runs),
        by_status,
        summary,
        bounds,
        _quantile(lasted, 50),
        _quantile(lasted, 95),
        lasted[-1],
        longest[:SLOWEST],
        impossible,
        backwards,
    )


def _doubtful(infos: Sequence[RunInfo]) -> Iterator[Record]:
    """Yield each step with a figure that cannot be, once."""
    from agent_step_log import read_log

    run_ids = {info.run_id for info in infos}
    # A count above the limit is in the sum of its run.
    large = {path for info in infos if max(info.fold.tokens.values()) > TOKEN_LIMIT for path in info.paths}
    met: set[tuple[str, str | None, int]] = set()
    for path in dict.fromkeys(path for info in infos for path in info.paths):
        if path not in large and not _holds_negative(path):
            continue
        for record in read_log(path):  # and the files it was rotated into, which may be named as well
            key = (record.run_id, record.writer, record.step)
            if (_impossible(record) or _is_backwards(record)) and record.run_id in run_ids and key not in met:
                met.add(key)
                yield record


def _holds_negative(path: Path) -> bool:
    if path.suffix in (".gz", ".zst"):
        return True  # reading it is the only way to know
    rest = b""
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            chunk = rest + chunk
            if any(mark in chunk for mark in _BELOW_0):
                return True
            rest = chunk[-_LONGEST:]
    return False


def _impossible(record: Record) -> list[str]:
    """Return the names of the token counts no call can have."""
    if record.type != "llm_call":
        return []
    counts = ((name, getattr(record, name)) for name in TOKEN_NAMES)
    return [name for name, number in counts if number is not None and not 0 <= number <= TOKEN_LIMIT]


def _is_backwards(record: Record) -> bool:
    is_step = record.type in ("llm_call", "tool_call", "agent_call")
    return is_step and record.duration_ms is not None and record.duration_ms < 0


def _leave_out(summary: Summary, bounds: dict[str, str], doubtful: Iterator[Record]) -> tuple[int, int]:
    """Take the impossible counts out of the sums; return how many calls had such, and how many durations."""
    impossible = backwards = 0
    for record in doubtful:
        names = _impossible(record)
        impossible += bool(names)
        backwards += _is_backwards(record)
        group = summary.models.get("?" if record.model is None else record.model, {})
        for name in names:
            bounds[name] = merged_side(bounds.get(name), "lower") or "lower"
            number = max(getattr(record, name), 0)  # the fold has left out those below 0 itself
            setattr(summary, name, getattr(summary, name) - number)
            if name in group:
                group[name] -= number
    summary.total_tokens = summary.input_tokens + summary.output_tokens
    return impossible, backwards


def _quantile(ascending: Sequence[int], percent: int) -> float:
    """Return the nearest-rank quantile."""
    return ascending[max(0, -(-percent * len(ascending) // 100) - 1)]
