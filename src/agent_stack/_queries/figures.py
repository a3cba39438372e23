"""Counts, tokens and latencies of a set of steps: SQL that adds them up, and what they came to.

    calls, errors     steps that ended; those of them with an error
    tokens            the sum of what the model calls told, and how far it can be trusted
    quantiles         exact, by nearest rank: a duration that some step had
    impossible        model calls with a count below 0 or above `agent_step_log.limits.MAX_TOKENS`: in no sum
    backwards         steps with a duration below 0, as their clock was set back: in no quantile

A sum that misses what a call did not tell, or told wrongly, is a lower bound. A sum nobody told
anything for is None, and not 0.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from agent_stack._facts import TOKEN_NAMES, merged_side
from agent_stack._queries.truncated import KIND
from agent_step_log.limits import MAX_TOKENS

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AGGREGATES", "COLUMNS", "LASTED_MS", "Figures", "figures_of"]

#: How long a run took; as `agent_stack._facts.RunFacts.lasted_ms`, not known where its source told no times.
LASTED_MS = "CASE WHEN run.ended_at <> run.started_at OR run.steps = 0 THEN run.duration_ms END"

#: What `AGGREGATES` needs of a row, for `Selection.chosen`.
COLUMNS = (
    "run_id",
    "type",
    "name",
    "status",
    "duration_ms",
    "stop_reason",
    *TOKEN_NAMES,
    "bounds",
    f"{KIND} AS kind",
)

_ENDED = "type IN ('llm_call', 'tool_call', 'agent_call') AND status <> 'in_flight'"
_MODEL = "type = 'llm_call' AND status <> 'in_flight'"
_MAIN = TOKEN_NAMES[:2]


def _tokens(name: str) -> str:
    told = f"{name} BETWEEN 0 AND {MAX_TOKENS}"
    side = f"(bounds ->> '$.{name}')"
    return f"""
    sum({name}) FILTER ({_MODEL} AND {told})::BIGINT AS {name},
    count(*) FILTER ({_MODEL} AND {told}) AS {name}_told,
    count(*) FILTER ({_MODEL} AND {side} = 'lower') AS {name}_lower,
    count(*) FILTER ({_MODEL} AND {side} = 'upper') AS {name}_upper,
    count(*) FILTER ({_MODEL} AND {side} NOT IN ('lower', 'upper')) AS {name}_open,"""


_IS_IMPOSSIBLE = " OR ".join(
    f"coalesce({name} NOT BETWEEN 0 AND {MAX_TOKENS}, false)" for name in TOKEN_NAMES
)

#: The columns `figures_of` reads: the middle of a SELECT over ``chosen``.
AGGREGATES = f"""
    count(DISTINCT run_id) AS runs,
    count(*) FILTER (type <> 'run') AS steps,
    count(*) FILTER ({_ENDED}) AS calls,
    count(*) FILTER ({_MODEL}) AS llm_calls,
    count(*) FILTER (type = 'tool_call' AND status <> 'in_flight') AS tool_calls,
    count(*) FILTER (type = 'agent_call' AND status <> 'in_flight') AS agent_calls,
    count(*) FILTER (status = 'in_flight') AS unfinished,
    count(*) FILTER (status = 'error') AS errors,
    count(*) FILTER (kind IN ('cut off', 'window full')) AS truncated,
    {"".join(_tokens(name) for name in TOKEN_NAMES)}
    count(*) FILTER ({_MODEL} AND (input_tokens IS NULL OR output_tokens IS NULL)) AS unknown_usage,
    count(*) FILTER (type <> 'run' AND bounds IS NOT NULL) AS bounded,
    count(*) FILTER ({_MODEL} AND ({_IS_IMPOSSIBLE})) AS impossible,
    count(*) FILTER (duration_ms < 0) AS backwards,
    avg(duration_ms) FILTER (duration_ms >= 0) AS mean_ms,
    quantile_disc(duration_ms, 0.5) FILTER (duration_ms >= 0) AS p50_ms,
    quantile_disc(duration_ms, 0.95) FILTER (duration_ms >= 0) AS p95_ms,
    max(duration_ms) FILTER (duration_ms >= 0) AS max_ms"""


@dataclass(frozen=True)
class Figures:
    """What a set of steps came to.

    Attributes:
        runs: How many runs they are of.
        steps: All of them; `calls` are those that ended, `unfinished` those that did not.
        truncated: Answers that a length limit cut off, see `truncated`.
        tokens: Name to sum; None when there were model calls and none of them told.
        bounds: Name to side (lower, upper, unknown), for sums that are not exact.
        unknown_usage: Model calls that did not tell both input and output.
        bounded: Records that hold a figure which is only a bound.
        mean_ms, p50_ms, p95_ms, max_ms: Of the steps' durations; None when none was measured.
    """

    runs: int
    steps: int
    calls: int
    llm_calls: int
    tool_calls: int
    agent_calls: int
    unfinished: int
    errors: int
    truncated: int
    unknown_usage: int
    bounded: int
    impossible: int
    backwards: int
    mean_ms: float | None
    p50_ms: float | None
    p95_ms: float | None
    max_ms: float | None
    tokens: dict[str, int | None] = field(default_factory=dict)
    bounds: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the documented ``--json`` shape."""
        shape = asdict(self)
        return {**shape.pop("tokens"), **shape}


_PLAIN = [name for name in Figures.__dataclass_fields__ if name not in ("tokens", "bounds")]


def figures_of(row: Mapping[str, Any]) -> Figures:
    """Return the figures of one row that `AGGREGATES` made."""
    tokens: dict[str, int | None] = {}
    bounds: dict[str, str] = {}
    for name in TOKEN_NAMES:
        untold = row["llm_calls"] - row[f"{name}_told"]
        tokens[name] = row[name] if row[f"{name}_told"] else (None if untold else 0)
        # Of a part, not told is none: no provider writes 0 for a cache that it does not have.
        is_short = untold if name in _MAIN else row[name] and row["unknown_usage"] + row["impossible"]
        side = "lower" if is_short else None
        for which in ("lower", "upper", "open"):
            if row[f"{name}_{which}"]:
                side = merged_side(side, "unknown" if which == "open" else which)
        if side is not None and tokens[name] is not None:
            bounds[name] = side
    return Figures(**{name: row[name] for name in _PLAIN}, tokens=tokens, bounds=bounds)
