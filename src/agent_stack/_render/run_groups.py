"""Groups of runs as a table: a line a group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent_stack._render.figures import count, duration
from agent_stack._render.table import Cell, Column, render_table
from agentsnap import format_usd

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent_stack._render.lines import Line
    from agent_stack._run_groups import Tally
    from agentsnap import Amount

__all__ = ["render_groups", "share_text", "tokens_text"]


def render_groups(tallies: Sequence[Tally], by: str, width: int, *, has_cost: bool) -> Iterator[Line]:
    """Yield the head and a line for each of *tallies*."""
    columns = [
        Column(by.upper(), least=10, most=40),
        Column("RUNS", is_right=True),
        Column("FAILED", is_right=True),
        Column("SHARE", is_right=True),
        Column("P50", is_right=True),
        Column("P95", is_right=True),
        Column("TOKENS", is_right=True),
        *([Column("COST", is_right=True)] if has_cost else []),
    ]
    rows = [_row(tally, has_cost=has_cost) for tally in tallies]
    for lines in render_table(columns, rows, width):
        yield from lines


def _row(tally: Tally, *, has_cost: bool) -> list[Cell]:
    style = "error" if tally.failed else "dim"
    cost = (format_usd(tally.cost), "" if tally.cost.exactness == "exact" else "warn")
    return [
        (tally.key if tally.key is not None else "not told", "bold" if tally.key is not None else "dim"),
        (f"{tally.runs:,}", ""),
        (f"{tally.failed:,}" if tally.over else "?", style),
        (share_text(tally.failed_share), style),
        (duration(tally.took_ms(0.5)), ""),
        (duration(tally.took_ms(0.95)), ""),
        (tokens_text(tally.tokens), ""),
        *([cost] if has_cost else []),
    ]


def share_text(share: float | None) -> str:
    """Return 12.5 %; ``?`` where there is nothing to have a share of."""
    return "?" if share is None else f"{100 * share:.1f} %"


def tokens_text(amount: Amount[int]) -> str:
    """Return 12.3k, ≥12.3k or ?."""
    if amount.value is None:
        return "?"
    return ("" if amount.exactness == "exact" else "≥") + count(amount.value)
