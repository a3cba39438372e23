"""``slow``: how long models and tools take, and the single steps that took longest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent_stack._render.doubts import render_doubts
from agent_stack._render.figures import bound_sign, clock, count, duration, many
from agent_stack._render.lines import Line
from agent_stack._render.look import render_look
from agent_stack._render.notes import short_ids
from agent_stack._render.table import Cell, Column, render_table
from agent_stack._render.words import GLYPHS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent_stack._queries.slow import Latency, Slowness, SlowStep

__all__ = ["render_slowness"]

_MOST = 50  # models and tools shown; --json has all of them


def render_slowness(slowness: Slowness, width: int, *, now: float, named: Sequence[str]) -> Iterator[Line]:
    """Yield both tables, the slowest first, and what was left out of them.

    Args:
        now: Unix seconds: a step of the same day shows its time alone.
        named: The sources as they were typed.
    """
    yield from _latencies(slowness.latencies, width)
    if slowness.slowest:
        yield Line()
        yield from _slowest(slowness.slowest, width, now)
    unmeasured = sum(each.calls - each.measured - each.backwards for each in slowness.latencies)
    backwards = sum(each.backwards for each in slowness.latencies)
    notes = list(render_doubts(backwards=backwards))
    if unmeasured:
        did = "has" if unmeasured == 1 else "have"
        text = f"{many(unmeasured, 'call')} {did} no duration: nobody measured it."
        notes.insert(0, Line("  ? ", "warn").add(text, "dim"))
    if any(each.bound for each in slowness.latencies):
        text = "some durations are bounds: ≥ at least, ≤ at most, ~ either way."
        notes.append(Line("  ≤ ", "warn").add(text, "dim"))
    if notes:
        yield Line()
        yield from notes
    if slowness.slowest:
        first = slowness.slowest[0]
        name = short_ids([step.run_id for step in slowness.slowest])[first.run_id]
        yield Line()
        yield from render_look(named, name, _number(first))


def _latencies(latencies: Sequence[Latency], width: int) -> Iterator[Line]:
    columns = [Column(""), Column("MODEL OR TOOL", least=14, most=48), Column("CALLS", is_right=True)]
    columns += [Column(title, is_right=True) for title in ("P50", "P95", "P99")]
    columns += [Column("MAX", is_right=True, rank=1), Column("TOGETHER", is_right=True, rank=2)]
    rows = []
    for each in latencies[:_MOST]:
        times = (each.p50_ms, each.p95_ms, each.p99_ms, each.max_ms, each.total_ms)
        cells: list[Cell] = [(_time(ms, each.bound), "") for ms in times]
        rows.append(
            [GLYPHS.get(each.type, ("?", "")), (each.name or "?", "bold"), (count(each.calls), ""), *cells]
        )
    for lines in render_table(columns, rows, width):
        yield from lines
    if len(latencies) > _MOST:
        yield Line("  ").add(f"… {len(latencies) - _MOST:,} more (--json)", "note")


def _slowest(steps: Sequence[SlowStep], width: int, now: float) -> Iterator[Line]:
    names = short_ids([step.run_id for step in steps])
    has_agents = any(step.agent for step in steps)
    columns = [
        Column(""),
        Column("SLOWEST STEPS", least=14, most=48),
        Column("TIME", is_right=True),
        Column("RUN", least=8, most=36),
        Column("STEP", is_right=True),
        *([Column("AGENT", least=8, most=24, rank=1)] if has_agents else []),
        Column("ENDED", rank=2),
    ]
    rows: list[list[Cell]] = [
        [
            GLYPHS.get(step.type, ("?", "")),
            (step.name or "?", "error" if step.status == "error" else "bold"),
            (_time(step.duration_ms, step.bound), ""),
            (names[step.run_id], ""),
            (_number(step), "number"),
            *([(step.agent or "-", "dim")] if has_agents else []),
            (clock(step.ts, today=now), "dim"),
        ]
        for step in steps
    ]
    for lines in render_table(columns, rows, width):
        yield from lines


def _time(ms: float | None, bound: str | None) -> str:
    return duration(ms) if ms is None else bound_sign(bound) + duration(ms)


def _number(step: SlowStep) -> str:
    return f"{step.writer}:{step.step}" if step.writer else str(step.step)
