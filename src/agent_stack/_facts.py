"""What is shown of a run, worked out once: for the screen and for ``--json`` alike."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent_step_log import Damage, RunInfo, Summary

__all__ = ["TOKEN_NAMES", "RunFacts", "damage_dict", "facts_of", "merged_side", "summary_dict"]

TOKEN_NAMES = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)
_SIDES = frozenset({"lower", "upper", "unknown"})


@dataclass(frozen=True)
class RunFacts:
    """One run of a listing.

    Attributes:
        started, ended: Unix seconds of its first and last record.
        bounds: Token sums that are not exact, and which way: lower, upper or unknown.
        in_flight: The steps begun and not ended: ``{"step", "writer", "type", "name", "started"}``.
    """

    run_id: str
    status: str
    summary: Summary
    started: float | None = None
    ended: float | None = None
    agent: str | None = None
    agent_version: str | None = None
    task_type: str | None = None
    environment: str | None = None
    metadata: dict[str, Any] | None = None
    parent_run_id: str | None = None
    parent_step: int | None = None
    error: str | None = None
    error_type: str | None = None
    bounds: dict[str, str] = field(default_factory=dict)
    in_flight: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    @property
    def lasted_ms(self) -> int | None:
        """From the first record to the last; None where all have one time, as of a source that tells none."""
        is_told = self.started != self.ended or self.summary.total_steps == 0
        return self.summary.duration_ms if is_told else None

    def tokens(self, name: str) -> tuple[int | None, str | None]:
        """Return a token sum and its bound; None when no call told."""
        return token_sum(self.summary, self.bounds, name)

    def to_dict(self) -> dict[str, Any]:
        """Return the documented ``--json`` shape of a run."""
        shape = {
            name: getattr(self, name)
            for name in ("run_id", "status", "started", "ended", "agent", "agent_version", "task_type")
        }
        shape.update(summary_dict(self.summary, self.bounds))
        names = ("environment", "metadata", "parent_run_id", "parent_step", "error", "error_type")
        shape.update({name: getattr(self, name) for name in names})
        shape.update(bounds=self.bounds, in_flight=self.in_flight, paths=self.paths)
        return shape


def facts_of(info: RunInfo) -> RunFacts:
    """Return what is shown of *info*; asks the machine once whether its process lives."""
    header, end = info.header, info.end
    summary = info.summary
    facts: dict[str, Any] = {}
    if header is not None:
        names = (
            "agent",
            "agent_version",
            "task_type",
            "environment",
            "metadata",
            "parent_run_id",
            "parent_step",
        )
        facts = {name: getattr(header, name) for name in names}
    if end is not None:
        facts.update(error=end.error, error_type=end.error_type)
    return RunFacts(
        info.run_id,
        info.status,
        summary,
        started=info.fold.first_ts,
        ended=info.fold.last_ts if info.fold.first_ts is not None else None,
        bounds=_bounds(info, summary),
        in_flight=[_begun(record) for record in info.in_flight.values()],
        paths=[str(path) for path in info.paths],
        **facts,
    )


def token_sum(summary: Summary, bounds: dict[str, str], name: str) -> tuple[int | None, str | None]:
    """Return the token sum *name* and its bound; None when there were calls and none told."""
    number = getattr(summary, name)
    untold = summary.llm_call_count > 0 and summary.unknown_usage_count >= summary.llm_call_count
    if number == 0 and untold:
        return None, None
    return number, bounds.get(name)


def summary_dict(summary: Summary, bounds: dict[str, str]) -> dict[str, Any]:
    """Return *summary* for ``--json``: a sum nobody told is null, never 0."""
    shape = asdict(summary)
    del shape["run_id"]
    for name in ("input_tokens", "output_tokens"):
        shape[name] = token_sum(summary, bounds, name)[0]
    if shape["input_tokens"] is None and shape["output_tokens"] is None:
        shape["total_tokens"] = None
    return shape


def merged_side(one: str | None, other: str | None) -> str | None:
    """Return the bound of a sum of two figures with these bounds."""
    if one is None or other is None:
        return one or other
    return one if one == other else "unknown"


def damage_dict(damage: Damage) -> dict[str, Any]:
    """Return the documented ``--json`` shape of a stretch that is no record."""
    return {
        "path": damage.path,
        "offset": damage.offset,
        "length": damage.length,
        "reason": damage.reason,
    }


def _bounds(info: RunInfo, summary: Summary) -> dict[str, str]:
    totals = info.end.totals if info.end is not None else None
    told = (totals or {}).get("bounds")
    bounds = {}
    if isinstance(told, dict):
        bounds = {name: told[name] for name in TOKEN_NAMES if told.get(name) in _SIDES}
    elif totals is None and summary.bounded_count:
        # Some record holds a bound, and nobody summed up which figure it is of.
        bounds = dict.fromkeys(("input_tokens", "output_tokens"), "unknown")
    if summary.unknown_usage_count or summary.impossible_count:
        for name in TOKEN_NAMES:
            if name in ("input_tokens", "output_tokens") or getattr(summary, name):
                bounds[name] = merged_side(bounds.get(name), "lower") or "lower"
    return bounds


def _begun(record: Any) -> dict[str, Any]:
    return {
        "step": record.step,
        "writer": record.writer,
        "type": record.of,
        "name": record.tool or record.model or record.agent,
        "started": record.ts,
    }
