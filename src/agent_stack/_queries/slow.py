"""What took long: quantiles by model and tool, and the slowest single steps.

Durations are those the records tell. A step that nobody measured, or that ended before it began
(its clock was set back), is in no quantile and is counted apart. Quantiles are exact, by nearest
rank: the P95 is a duration that some step had, and 95 of 100 took no longer. An agent's time
is that of the steps inside it, so agents are left out here.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent_stack._queries.selection import Selection
    from agent_step_log.query import Logs

__all__ = ["Latency", "SlowStep", "Slowness", "slowness"]

_COLUMNS = (
    "run_id",
    "step",
    "writer",
    "type",
    "name",
    "ts",
    "duration_ms",
    "status",
    "agent",
    "bounds ->> '$.duration_ms' AS bound",
)

LATENCIES = """
SELECT
    type,
    name,
    count(*) AS calls,
    count(*) FILTER (duration_ms >= 0) AS measured,
    count(*) FILTER (duration_ms < 0) AS backwards,
    quantile_disc(duration_ms, 0.5) FILTER (duration_ms >= 0) AS p50_ms,
    quantile_disc(duration_ms, 0.95) FILTER (duration_ms >= 0) AS p95_ms,
    quantile_disc(duration_ms, 0.99) FILTER (duration_ms >= 0) AS p99_ms,
    max(duration_ms) FILTER (duration_ms >= 0) AS max_ms,
    sum(duration_ms) FILTER (duration_ms >= 0) AS total_ms,
    CASE count(DISTINCT bound) WHEN 0 THEN NULL WHEN 1 THEN any_value(bound) ELSE 'unknown' END AS bound
FROM chosen
WHERE type IN ('llm_call', 'tool_call') AND status <> 'in_flight'
GROUP BY type, name
ORDER BY p95_ms DESC NULLS LAST, name
"""

SLOWEST = """
SELECT run_id, step, writer, type, name, ts, duration_ms, status, agent, bound
FROM chosen
WHERE type IN ('llm_call', 'tool_call') AND status <> 'in_flight' AND duration_ms >= 0
ORDER BY duration_ms DESC, ts
LIMIT $most
"""


@dataclass(frozen=True)
class Latency:
    """How long the calls of one model or tool took, in milliseconds; None where none was measured.

    Attributes:
        calls: Those that ended, of which `measured` have a duration.
        backwards: Durations below 0: a clock was set back.
        bound: Which side the figures are a bound of, as some durations are: lower, upper or unknown.
    """

    type: str
    name: str | None
    calls: int
    measured: int
    backwards: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    total_ms: float | None
    bound: str | None


@dataclass(frozen=True)
class SlowStep:
    """One step.

    Attributes:
        ts: Unix seconds when it ended.
        bound: lower or upper, where the duration is only a bound.
    """

    run_id: str
    step: int
    writer: str | None
    type: str
    name: str | None
    ts: float
    duration_ms: float
    status: str
    agent: str | None
    bound: str | None


@dataclass(frozen=True)
class Slowness:
    """Both answers; each ordered, the slowest first."""

    latencies: list[Latency]
    slowest: list[SlowStep]

    def to_dict(self) -> dict[str, Any]:
        """Return the documented ``--json`` shape."""
        return asdict(self)


def slowness(logs: Logs, selection: Selection, most: int) -> Slowness:
    """Return the quantiles of every model and tool, and the *most* slowest steps."""
    chosen = f"WITH {selection.chosen(_COLUMNS, with_runs=False)}"
    latencies = logs.sql(f"{chosen}\n{LATENCIES}", selection.parameters)
    slowest = logs.sql(f"{chosen}\n{SLOWEST}", {**selection.parameters, "most": most})
    return Slowness([Latency(*row) for row in latencies], [SlowStep(*row) for row in slowest])
