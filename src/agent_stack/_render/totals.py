"""What the runs of a source came to together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent_stack._facts import token_sum
from agent_stack._render.figures import SIGNS, count, duration, many, tokens
from agent_stack._render.lines import Line
from agent_stack._render.notes import short_ids
from agent_stack._render.table import Column, render_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agent_stack._totals import Totals

__all__ = ["render_totals"]

_LABEL = 14
_ORDER = ("ok", "error", "cancelled", "interrupted", "running", "unknown")
_MOST = 20  # rows of one table


def render_totals(totals: Totals, width: int) -> Iterator[Line]:
    """Yield the sums, then a table for models, tools and agents, then the slowest runs."""
    yield from _sums(totals)
    for title, groups, has_tokens in (
        ("MODEL", totals.summary.models, True),
        ("TOOL", totals.summary.tools, False),
        ("AGENT", totals.summary.agents, False),
    ):
        if groups:
            yield Line()
            yield from _groups(title, groups, totals.bounds, width, has_tokens=has_tokens)
    if len(totals.slowest) > 1:
        yield Line()
        yield from _slowest(totals, width)
    notes = list(_notes(totals))
    if notes:
        yield Line()
        yield from notes


def _sums(totals: Totals) -> Iterator[Line]:
    summary = totals.summary
    line = _fact("runs").add(f"{totals.run_count:,}", "bold")
    for status in sorted(
        totals.by_status, key=lambda status: (_ORDER.index(status) if status in _ORDER else 9, status)
    ):
        sign, style = SIGNS.get(status, ("?", "dim"))
        line.add("   ").add(f"{sign} {totals.by_status[status]:,} {status}", style)
    yield line
    yield _fact("run time").extend(_spread(totals.run_p50_ms, totals.run_p95_ms, totals.run_max_ms))
    parts = [
        many(number, one)
        for number, one in (
            (summary.llm_call_count, "model call"),
            (summary.tool_call_count, "tool call"),
            (summary.agent_call_count, "agent"),
        )
        if number
    ]
    if summary.unfinished_count:
        parts.append(f"{summary.unfinished_count:,} unfinished")
    yield _fact("steps").add(f"{summary.total_steps:,}", "bold").add(f"   {', '.join(parts)}", "dim")
    if summary.event_count:
        yield _fact("events").add(f"{summary.event_count:,}", "bold")
    if summary.llm_call_count:
        yield from _tokens(totals)
    errors = f"{summary.error_count:,}"
    yield _fact("errors").add(errors, "error_bold" if summary.error_count else "bold")
    if summary.stop_reasons:
        yield _stop_reasons(totals)


def _tokens(totals: Totals) -> Iterator[Line]:
    for label, name, parts in (
        (
            "tokens in",
            "input_tokens",
            (("cache_read_tokens", "read from cache"), ("cache_write_tokens", "written to cache")),
        ),
        ("tokens out", "output_tokens", (("reasoning_tokens", "reasoning"),)),
    ):
        line = _fact(label).add(tokens(*token_sum(totals.summary, totals.bounds, name)), "bold")
        told = [
            f"{tokens(*token_sum(totals.summary, totals.bounds, part))} {word}"
            for part, word in parts
            if getattr(totals.summary, part)
        ]
        yield line.add(f"   of it {', '.join(told)}", "dim") if told else line


def _stop_reasons(totals: Totals) -> Line:
    summary = totals.summary
    reasons = " · ".join(f"{reason} {number:,}" for reason, number in list(summary.stop_reasons.items())[:8])
    line = _fact("stop reasons").add(reasons)
    if summary.truncated_count:
        line.add(f"   ▲ {many(summary.truncated_count, 'answer')} cut off by a length limit", "warn")
    return line


def _fact(label: str) -> Line:
    return Line("  ").add(label, "dim").pad(_LABEL + 2)


def _spread(p50: float | None, p95: float | None, most: float | None) -> Line:
    line = Line()
    for label, value in (("P50", p50), ("P95", p95), ("max", most)):
        line.add(f"{label} ", "dim").add(duration(value)).add("   ")
    return line


def _groups(
    title: str,
    groups: Mapping[str, Mapping[str, Any]],
    bounds: Mapping[str, str],
    width: int,
    *,
    has_tokens: bool,
) -> Iterator[Line]:
    columns = [Column(title, least=12, most=48), Column("CALLS", is_right=True), Column("ERR", is_right=True)]
    if has_tokens:
        columns += [Column("IN", is_right=True, rank=1), Column("OUT", is_right=True, rank=1)]
    columns += [Column(name, is_right=True) for name in ("P50", "P95", "MAX")]
    rows = []
    for name, group in list(groups.items())[:_MOST]:
        errors = group["errors"]
        # A sum that is absent was told by no call: not known, and not 0. A bound of the total
        # is one of each part too: which part it comes from, nobody counted.
        names = ("input_tokens", "output_tokens") if has_tokens else ()
        used = [(tokens(group.get(key), bounds.get(key)), "") for key in names]
        times = [(duration(group[key]), "") for key in ("p50_ms", "p95_ms", "max_ms")]
        failed = (count(errors) if errors else "-", "error" if errors else "dim")
        rows.append([(name, "bold"), (f"{group['calls']:,}", ""), failed, *used, *times])
    for lines in render_table(columns, rows, width):
        yield from lines
    if len(groups) > _MOST:
        yield Line("  ").add(f"… {len(groups) - _MOST:,} more (--json)", "note")


def _slowest(totals: Totals, width: int) -> Iterator[Line]:
    names = short_ids([run.run_id for run in totals.slowest])
    columns = [
        Column("SLOWEST RUNS", least=12, most=40),
        Column("STATUS", most=24),
        Column("AGENT", least=8, most=30),
        Column("STEPS", is_right=True),
        Column("TIME", is_right=True),
    ]
    rows = []
    for run in totals.slowest:
        sign, style = SIGNS.get(run.status, ("?", "dim"))
        steps, time = f"{run.summary.total_steps:,}", duration(run.summary.duration_ms)
        rows.append(
            [
                (names[run.run_id], "bold"),
                (f"{sign} {run.status}", style),
                (run.agent or "-", ""),
                (steps, ""),
                (time, ""),
            ]
        )
    for lines in render_table(columns, rows, width):
        yield from lines


def _notes(totals: Totals) -> Iterator[Line]:
    summary = totals.summary
    if summary.unknown_usage_count:
        did = "did not tell its" if summary.unknown_usage_count == 1 else "did not tell their"
        text = (
            f"{many(summary.unknown_usage_count, 'model call')} {did} usage: token sums hold the others only."
        )
        yield Line("  ? ", "warn").add(text, "dim")
    if summary.bounded_count:
        records = many(summary.bounded_count, "record")
        text = f"{records} with figures that are bounds: ≥ at least, ≤ at most, ~ either way."
        yield Line("  ≥ ", "warn").add(text, "dim")
