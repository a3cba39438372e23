"""``truncated``: the runs that met a length limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent_stack._render.figures import clock, many, tokens
from agent_stack._render.lines import Line
from agent_stack._render.look import render_look
from agent_stack._render.notes import short_ids
from agent_stack._render.table import Cell, Column, render_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent_stack._queries.truncated import TruncatedRun

__all__ = ["render_truncated"]

_MOST = 200  # runs shown; --json has all of them


def render_truncated(
    runs: Sequence[TruncatedRun], width: int, *, now: float, named: Sequence[str]
) -> Iterator[Line]:
    """Yield a row for each run, the latest first, and the sum.

    Args:
        runs: At least one.
        now: Unix seconds: a run of the same day shows its time alone.
        named: The sources as they were typed.
    """
    names = short_ids([run.run_id for run in runs])
    columns = [
        Column("RUN", least=8, most=36),
        Column("STARTED", rank=1),
        Column("AGENT", least=6, most=24, rank=3),
        Column("TASK", least=6, most=24, rank=2),
        Column("CALLS", is_right=True),
        Column("HOW", least=10, most=60),
        Column("MODELS", least=10, most=40),
        Column("MAX IN", is_right=True),
        Column("MAX OUT", is_right=True),
        Column("FIRST", is_right=True),
    ]
    rows: list[list[Cell]] = [
        [
            (names[run.run_id], "bold"),
            (clock(run.started_at, today=now, is_narrow=width < 100), "dim"),
            (run.agent or "-", ""),
            (run.task_type or "-", ""),
            (f"{run.hits:,} of {run.llm_calls:,}", "warn"),
            (_how(run), ""),
            (", ".join(run.models) or "?", "llm"),
            (tokens(run.most_input_tokens), ""),
            (tokens(run.most_output_tokens), ""),
            (str(run.first_step), "number"),
        ]
        for run in runs[:_MOST]
    ]
    for lines in render_table(columns, rows, width):
        yield from lines
    if len(runs) > _MOST:
        yield Line("  ").add(f"… {len(runs) - _MOST:,} more runs (--json)", "note")
    yield Line()
    calls = many(sum(run.hits for run in runs), "model call")
    yield Line("▲ ", "warn").add(f"{calls} in {many(len(runs), 'run')} met a length limit", "warn")
    yield from render_look(named, names[runs[0].run_id], str(runs[0].first_step))


def _how(run: TruncatedRun) -> str:
    """Return the providers' own words, and "too long" for prompts that were refused without one."""
    return ", ".join([*run.stop_reasons, *(kind for kind in run.kinds if kind == "too long")])
