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
    from collections.abc import Iterator, Sequence

    from agent_stack._facts import RunFacts

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
)
_KINDS = {"llm_call": "model call", "tool_call": "tool", "agent_call": "agent"}


def render_run_list(runs: Sequence[RunFacts], width: int, *, now: float) -> Iterator[Line]:
    """Yield the table, a line for what an interrupted run was doing and why one failed, and the sum.

    Args:
        runs: In the order they started.
        width: Cells in a line.
        now: Unix seconds: a run of the same day shows its time alone.
    """
    names = short_ids([run.run_id for run in runs])
    columns = _COLUMNS if any(run.task_type for run in runs) else [c for c in _COLUMNS if c.title != "TASK"]
    rows = [
        _cells(run, names[run.run_id], now, with_task=len(columns) == len(_COLUMNS), is_narrow=width < 100)
        for run in runs
    ]
    lines = render_table(columns, rows, width)
    yield from next(lines)
    for run, row in zip(runs, lines, strict=True):
        yield from row
        yield from _remarks(run, width)


def _cells(run: RunFacts, name: str, now: float, *, with_task: bool, is_narrow: bool) -> list[Cell]:
    sign, style = SIGNS.get(run.status, ("?", "dim"))
    summary = run.summary
    task = [(run.task_type or "", "")] if with_task else []
    errors = summary.error_count
    return [
        (name, "bold"),
        (clock(run.started, today=now, is_narrow=is_narrow), "dim"),
        (f"{sign} {run.status}", style),
        (run.agent or "-", ""),
        *task,
        (f"{summary.total_steps:,}", ""),
        (tokens(*run.tokens("input_tokens")), ""),
        (tokens(*run.tokens("output_tokens")), ""),
        (count(errors) if errors else "-", "error" if errors else "dim"),
        (duration(summary.duration_ms), ""),
    ]


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
