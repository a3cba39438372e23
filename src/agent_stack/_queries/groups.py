"""The figures of ``stats --by``: which kind of run is expensive, how long tools and runs take.

A run has a task, an environment and a version, of its header; a step has an agent (its own, else
its run's) and a day (that on which it ended, in the local zone); a model call has a model, a tool call
a tool. Grouped by model or tool, only those calls are counted. Grouped by several, each combination
that occurs is a group.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from agent_stack._queries.figures import AGGREGATES, COLUMNS, LASTED_MS, Figures, figures_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent_stack._queries.selection import Selection
    from agent_step_log.query import Logs

__all__ = ["DIMENSIONS", "Group", "groups_by"]


class Dimension(NamedTuple):
    """What runs or steps are told apart by.

    Attributes:
        expression: SQL over a row of ``chosen``.
        of: The only type of step that has it; None: all of them and runs.
    """

    expression: str
    of: str | None = None


#: ``--by`` takes these.
DIMENSIONS = {
    "model": Dimension("model", "llm_call"),
    "tool": Dimension("tool", "tool_call"),
    "agent": Dimension("coalesce(agent, run.agent)"),
    "task": Dimension("run.task_type"),
    "env": Dimension("run.environment"),
    "version": Dimension("run.agent_version"),
    "day": Dimension("day"),
}

# `lasted` has a row for each run in a group: a run's duration counts once, however many steps it has there.
QUERY = """
WITH {chosen},
sums AS (
    SELECT {names}, grouping({first}) AS is_total, {aggregates}
    FROM chosen {only} GROUP BY GROUPING SETS (({names}), ())
),
lasted AS (
    SELECT
        {names},
        0 AS is_total,
        count(*) FILTER (run_status IN ('error', 'interrupted')) AS failed_runs,
        quantile_disc(run_ms, 0.5) AS run_p50_ms,
        quantile_disc(run_ms, 0.95) AS run_p95_ms,
        max(run_ms) AS run_max_ms
    FROM (
        SELECT DISTINCT {names}, run_id, run_status, run_ms FROM chosen {only}
    )
    GROUP BY {names}
    UNION ALL BY NAME
    SELECT
        1 AS is_total,
        count(*) FILTER (run_status IN ('error', 'interrupted')) AS failed_runs,
        quantile_disc(run_ms, 0.5) AS run_p50_ms,
        quantile_disc(run_ms, 0.95) AS run_p95_ms,
        max(run_ms) AS run_max_ms
    FROM (SELECT DISTINCT run_id, run_status, run_ms FROM chosen {only})
)
SELECT sums.*, failed_runs, run_p50_ms, run_p95_ms, run_max_ms
FROM sums JOIN lasted ON sums.is_total = lasted.is_total AND {same}
ORDER BY sums.is_total, {order}
"""


@dataclass(frozen=True)
class Group:
    """One group, or all of them together.

    Attributes:
        key: A name for each dimension; None where a run or a step has none. Empty for the total.
        failed_runs: Runs that ended with an error or were interrupted.
        run_p50_ms, run_p95_ms, run_max_ms: Of the durations of the runs that have steps in it.
    """

    key: tuple[str | None, ...]
    figures: Figures
    failed_runs: int
    run_p50_ms: float | None
    run_p95_ms: float | None
    run_max_ms: float | None

    def to_dict(self, by: Sequence[str]) -> dict[str, Any]:
        """Return the documented ``--json`` shape."""
        durations = {"p50": self.run_p50_ms, "p95": self.run_p95_ms, "max": self.run_max_ms}
        names = dict(zip(by, self.key, strict=False))
        return {
            **names,
            **self.figures.to_dict(),
            "failed_runs": self.failed_runs,
            "run_duration_ms": durations,
        }


def groups_by(logs: Logs, by: Sequence[str], selection: Selection) -> tuple[list[Group], Group]:
    """Return the groups and the total. Days are in order; else those with most tokens (tools: calls) first.

    Args:
        by: Names of `DIMENSIONS`, each once; not model and tool together.
    """
    result = logs.sql(_statement(by, selection), selection.parameters)
    columns = list(result.columns)
    groups = []
    for values in result:
        row = dict(zip(columns, values, strict=True))
        key = () if row["is_total"] else tuple(row[f"by_{name}"] for name in by)
        durations = (row["run_p50_ms"], row["run_p95_ms"], row["run_max_ms"])
        groups.append(Group(key, figures_of(row), row["failed_runs"], *durations))
    return groups[:-1], groups[-1]


def _statement(by: Sequence[str], selection: Selection) -> str:
    columns = [f"{DIMENSIONS[name].expression} AS by_{name}" for name in by]
    names = [f"by_{name}" for name in by]
    only = {DIMENSIONS[name].of for name in by} - {None}
    order = [
        "input_tokens + output_tokens DESC NULLS LAST",
        "calls DESC",
        *(f"sums.{name}" for name in names),
    ]
    if "day" in by:
        order.insert(0, "sums.by_day")
    elif "tool" in by:
        order = order[1:]
    return QUERY.format(
        chosen=selection.chosen(
            [*COLUMNS, *columns, "run.status AS run_status", f"{LASTED_MS} AS run_ms"], is_used_again=True
        ),
        names=", ".join(names),
        first=names[0],
        aggregates=AGGREGATES,
        only=f"WHERE type = '{only.pop()}' AND status <> 'in_flight'" if only else "",
        same=" AND ".join(f"sums.{name} IS NOT DISTINCT FROM lasted.{name}" for name in names),
        order=", ".join(order),
    )
