"""``stats --by``: a row for each group, and the total below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent_stack._queries.groups import DIMENSIONS
from agent_stack._render.doubts import render_doubts
from agent_stack._render.figures import count, duration, tokens
from agent_stack._render.lines import Line
from agent_stack._render.table import Cell, Column, render_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent_stack._queries.groups import Group

__all__ = ["render_groups"]

_TITLES = {"task": "TASK", "env": "ENVIRONMENT", "version": "VERSION", "day": "DAY"}
_MOST = 200  # groups shown; --json has all of them


def render_groups(by: Sequence[str], groups: Sequence[Group], total: Group, width: int) -> Iterator[Line]:
    """Yield the table and what to know about its figures.

    Args:
        by: Names of `DIMENSIONS`.
        groups: In order.
        total: All of them together; shown when there are several.
    """
    only = next((DIMENSIONS[name].of for name in by if DIMENSIONS[name].of), None)
    columns = [
        Column(_TITLES.get(name, name.upper()), least=None if name == "day" else 8, most=40) for name in by
    ]
    columns += [Column("RUNS", is_right=True, rank=1 if only else 0), *_columns(only)]
    rows = [[*_key(group), *_cells(group, only)] for group in groups[:_MOST]]
    if len(groups) > 1:
        blank: list[Cell] = [("", "")] * (len(by) - 1)
        rows.append([("total", "dim"), *blank, *[(text, "dim") for text, _ in _cells(total, only)]])
    for lines in render_table(columns, rows, width):
        yield from lines
    if len(groups) > _MOST:
        yield Line("  ").add(f"… {len(groups) - _MOST:,} more (--json)", "note")
    figures = total.figures
    notes = list(
        render_doubts(
            impossible=figures.impossible,
            backwards=figures.backwards,
            unknown=figures.unknown_usage,
            bounded=figures.bounded,
        )
    )
    if notes:
        yield Line()
        yield from notes


def _columns(only: str | None) -> list[Column]:
    def numbers(*named: tuple[str, int]) -> list[Column]:
        return [Column(title, is_right=True, rank=rank) for title, rank in named]

    tokens = (("IN", 0), ("CACHED", 3), ("OUT", 0))
    times = (("P50", 0), ("P95", 0), ("MAX", 2))
    if only == "tool_call":
        return numbers(("CALLS", 0), ("ERR", 0), *times)
    if only == "llm_call":
        return numbers(("CALLS", 0), *tokens, ("ERR", 0), ("CUT", 1), *times)
    runs = (("RUN P50", 0), ("RUN P95", 0))
    return numbers(("FAILED", 1), ("LLM", 2), ("TOOL", 2), *tokens, ("ERR", 0), ("CUT", 1), *runs)


def _key(group: Group) -> list[Cell]:
    return [("-", "dim") if name is None else (name, "bold") for name in group.key]


def _cells(group: Group, only: str | None) -> list[Cell]:
    figures = group.figures
    runs: list[Cell] = [(f"{figures.runs:,}", "")]
    errors = _some(figures.errors, "error")
    times: list[Cell] = [(duration(ms), "") for ms in (figures.p50_ms, figures.p95_ms, figures.max_ms)]
    if only == "tool_call":
        return [*runs, (f"{figures.calls:,}", ""), errors, *times]
    used: list[Cell] = [
        _tokens(group, name) for name in ("input_tokens", "cache_read_tokens", "output_tokens")
    ]
    cut = _some(figures.truncated, "warn")
    if only == "llm_call":
        return [*runs, (f"{figures.calls:,}", ""), *used, errors, cut, *times]
    calls: list[Cell] = [_some(figures.llm_calls, ""), _some(figures.tool_calls, "")]
    lasted: list[Cell] = [(duration(group.run_p50_ms), ""), (duration(group.run_p95_ms), "")]
    return [*runs, _some(group.failed_runs, "error"), *calls, *used, errors, cut, *lasted]


def _tokens(group: Group, name: str) -> Cell:
    if not group.figures.llm_calls:
        return "-", "dim"
    return tokens(group.figures.tokens[name], group.figures.bounds.get(name)), ""


def _some(number: int, style: str) -> Cell:
    return (count(number), style) if number else ("-", "dim")
