"""The figures of plain ``stats``, over the steps and runs of a selection.

The same as adding up every run (`_totals.totals_of`), where nothing is left out; quantiles are exact here
and within 1 % there. Of a run that is chosen in part, the duration is still that of the whole run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent_stack._facts import RunFacts
from agent_stack._queries.figures import AGGREGATES, COLUMNS, LASTED_MS, Figures, figures_of
from agent_stack._totals import SLOWEST, Totals

if TYPE_CHECKING:
    from agent_stack._queries.selection import Selection
    from agent_step_log.query import Logs

__all__ = ["totals_from"]

STEPS = f"""
SELECT grouping(type) AS is_total, grouping(stop_reason) AS is_group, type, name, stop_reason, {AGGREGATES}
FROM chosen
GROUP BY GROUPING SETS ((type, name), (type, stop_reason), ())
ORDER BY calls DESC, name, stop_reason
"""  # noqa: S608  no value in it

RUNS = """
SELECT
    run_status,
    count(*) AS runs,
    quantile_disc(run_ms, 0.5) AS p50_ms,
    quantile_disc(run_ms, 0.95) AS p95_ms,
    max(run_ms) AS max_ms,
    sum(run_ms) AS total_ms,
    arg_max(
        {'run_id': run_id, 'agent': run_agent, 'status': run_status, 'steps': run_steps, 'ms': run_ms},
        run_ms,
        $slowest
    ) AS slowest
FROM (SELECT DISTINCT run_id, run_status, run_agent, run_steps, run_ms FROM chosen)
GROUP BY GROUPING SETS ((run_status), ())
ORDER BY grouping(run_status) DESC, runs DESC, run_status
"""

_OF_RUN = (
    "run.status AS run_status",
    "run.agent AS run_agent",
    "run.steps AS run_steps",
    f"{LASTED_MS} AS run_ms",
)


def totals_from(logs: Logs, selection: Selection) -> Totals:
    """Return what the chosen steps, and the runs they are of, came to."""
    from agent_step_log import Summary

    runs = _rows(logs, f"WITH {selection.chosen(('run_id', *_OF_RUN))}\n{RUNS}", selection, slowest=SLOWEST)
    steps = _rows(logs, f"WITH {selection.chosen(COLUMNS)}\n{STEPS}", selection)
    whole, *by_status = runs
    total = next(figures_of(row) for row in steps if row["is_total"])
    summary = Summary(
        "*",
        total_steps=total.steps,
        llm_call_count=total.llm_calls,
        tool_call_count=total.tool_calls,
        agent_call_count=total.agent_calls,
        total_tokens=(total.tokens["input_tokens"] or 0) + (total.tokens["output_tokens"] or 0),
        **{name: number or 0 for name, number in total.tokens.items()},
        error_count=total.errors,
        duration_ms=round(whole["total_ms"] or 0),
        unfinished_count=total.unfinished,
        truncated_count=total.truncated,
        unknown_usage_count=total.unknown_usage,
        bounded_count=total.bounded,
        impossible_count=total.impossible,
        backwards_count=total.backwards,
        stop_reasons=_stop_reasons(steps),
        models=_groups(steps, "llm_call"),
        tools=_groups(steps, "tool_call"),
        agents=_groups(steps, "agent_call"),
    )
    return Totals(
        whole["runs"],
        {row["run_status"]: row["runs"] for row in by_status},
        summary,
        total.bounds,
        whole["p50_ms"],
        whole["p95_ms"],
        whole["max_ms"],
        [_run(each) for each in whole["slowest"] or []],
    )


def _rows(logs: Logs, statement: str, selection: Selection, **more: Any) -> list[dict[str, Any]]:
    result = logs.sql(statement, {**selection.parameters, **more})
    columns = list(result.columns)
    return [dict(zip(columns, row, strict=True)) for row in result]


def _stop_reasons(rows: list[dict[str, Any]]) -> dict[str, int]:
    told = [
        row for row in rows if not row["is_total"] and not row["is_group"] and row["stop_reason"] is not None
    ]
    return {row["stop_reason"]: row["llm_calls"] for row in told if row["llm_calls"]}


def _groups(rows: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    """Return the figures of each name, in the shape of `agent_step_log.Summary`."""
    groups = {}
    for row in rows:
        if not row["is_total"] and row["is_group"] and row["type"] == kind and row["calls"]:
            groups["?" if row["name"] is None else row["name"]] = _group(figures_of(row))
    return groups


def _group(figures: Figures) -> dict[str, Any]:
    tokens = {name: number for name, number in figures.tokens.items() if number}
    times = {name: getattr(figures, name) for name in ("mean_ms", "p50_ms", "p95_ms", "max_ms")}
    return {"calls": figures.calls, "errors": figures.errors, **tokens, **times}


def _run(told: dict[str, Any]) -> RunFacts:
    from agent_step_log import Summary

    summary = Summary(told["run_id"], total_steps=told["steps"], duration_ms=round(told["ms"] or 0))
    return RunFacts(told["run_id"], told["status"], summary, agent=told["agent"])
