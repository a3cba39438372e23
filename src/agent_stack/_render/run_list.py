"""Runs as a table, the newest last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent_stack._render.figures import SIGNS, clock, count, duration, many, tokens
from agent_stack._render.lines import Line
from agent_stack._render.notes import short_ids
from agent_stack._render.preview import preview
from agent_stack._render.table import Cell, Column, render_table
from agent_stack._render.words import short_class

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from decimal import Decimal

    from agent_stack._facts import RunFacts
    from agentsnap import Amount

__all__ = ["render_run_list"]

_COLUMNS = (
    Column("RUN", most=36),
    Column("STARTED"),
    Column("STATUS", most=24),
    Column("AGENT", least=8, most=28),
    Column("TASK", least=6, most=28, rank=2),
    Column("STEPS", is_right=True),
    Column("IN", is_right=True, rank=1),
    Column("OUT", is_right=True, rank=1),
    Column("ERR", is_right=True),
    Column("TIME", is_right=True),
    Column("COST", is_right=True),
)
_KINDS = {"llm_call": "model call", "tool_call": "tool", "agent_call": "agent"}


def render_run_list(
    runs: Sequence[RunFacts],
    width: int,
    *,
    now: float,
    costs: Mapping[str, Amount[Decimal]] | None = None,
) -> Iterator[Line]:
    """Yield the table, a line for what an interrupted run was doing and why one failed, and the sum.

    Args:
        runs: In the order they are shown.
        width: Cells in a line.
        now: Unix seconds: a run of the same day shows its time alone.
        costs: What each cost, by run id. Default: nobody asked.
    """
    names = short_ids([run.run_id for run in runs])
    left_out = {
        *([] if any(run.task_type for run in runs) else ["TASK"]),
        *(["COST"] if costs is None else []),
    }
    columns = [column for column in _COLUMNS if column.title not in left_out]
    rows = []
    for run in runs:
        cells = _cells(run, names[run.run_id], now, costs or {}, is_narrow=width < 100)
        rows.append(
            [cell for cell, column in zip(cells, _COLUMNS, strict=True) if column.title not in left_out]
        )
    lines = render_table(columns, rows, width)
    yield from next(lines)
    for run, row in zip(runs, lines, strict=True):
        yield from row
        yield from _remarks(run, width)


def _cells(
    run: RunFacts, name: str, now: float, costs: Mapping[str, Amount[Decimal]], *, is_narrow: bool
) -> list[Cell]:
    sign, style = SIGNS.get(run.status, ("?", "dim"))
    summary = run.summary
    errors = summary.error_count
    return [
        (name, "bold"),
        (clock(run.started, today=now, is_narrow=is_narrow), "dim"),
        (f"{sign} {run.status}", style),
        (run.agent or "-", ""),
        (run.task_type or "", ""),
        (f"{summary.total_steps:,}", ""),
        (tokens(*run.tokens("input_tokens")), ""),
        (tokens(*run.tokens("output_tokens")), ""),
        (count(errors) if errors else "-", "error" if errors else "dim"),
        (duration(run.lasted_ms), ""),
        _cost(run, costs) if costs else ("?", "dim"),
    ]


def _cost(run: RunFacts, costs: Mapping[str, Amount[Decimal]]) -> Cell:
    from agent_stack._run_groups import run_cost
    from agentsnap import format_usd

    cost = run_cost(run, costs)
    return format_usd(cost), "" if cost.exactness == "exact" else "warn"


def _remarks(run: RunFacts, width: int) -> Iterator[Line]:
    if run.in_flight:
        first, more = run.in_flight[0], len(run.in_flight) - 1
        what = f"{_KINDS.get(first['type'], first['type'])} {first['name'] or '?'} (step {first['step']})"
        also = f" and {many(more, 'more', 'more')}" if more else ""
        when = "now" if run.status == "running" else "when it stopped"
        line = Line("    ↳ ", "warn").add(f"in flight {when}: {what}{also}", "warn", width - 6)
        yield line
    if run.error:
        kind = short_class(run.error_type)
        text = f"{kind}: {preview(run.error)}" if kind else preview(run.error)
        yield Line("    ↳ ", "error").add(text, "error", width - 6)
