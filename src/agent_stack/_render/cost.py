"""Tokens and dollars in a table, and how one run's come about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent_stack._render.figures import many, moment
from agent_stack._render.lines import Line
from agent_stack._render.notes import short_ids
from agent_stack._render.table import Cell, Column, render_table
from agentsnap import format_tokens, format_usd, usd_digits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from decimal import Decimal

    from agentsnap import Amount, CostLine, ExplainedCall, Explanation, Group, Problem, UsageTable

__all__ = ["render_explanation", "render_usage"]

_MOST_NOTES = 6
_TIMES = "×"  # noqa: RUF001  meant
_MOST_PROBLEMS = 5
_NOBODY = {
    "day": "no date",
    "week": "no date",
    "month": "no date",
    "model": "no model named",
    "provider": "no provider named",
    "agent": "no agent named",
    "task": "no task type named",
    "tool": "no tool before",
}
_TITLES = {"day": "DATE", "week": "WEEK OF", "task": "TASK TYPE", "tool": "AFTER TOOL"}
_PRICES_OF = {"list": "list price", "own": "own price", "provider": "told", "none": "no price"}


def render_usage(table: UsageTable, width: int, *, has_models: bool) -> Iterator[Line]:
    """Yield a row for each group (and with *has_models* for each model below it), the total, the remarks."""
    names = _names(table)
    shows_models = table.by != "model" and not has_models
    # Columns in which nothing is known would be questions only.
    caches = table.total.cache_read.value is not None or table.total.cache_write.value is not None
    columns = [
        Column(_TITLES.get(table.by, table.by.upper()), least=12, most=44),
        *([Column("MODELS", least=14, most=44, rank=1)] if shows_models else []),
        Column("CALLS", is_right=True, rank=2),
        Column("INPUT", is_right=True),
        Column("OUTPUT", is_right=True),
        *(
            [Column(title, is_right=True, rank=3) for title in ("CACHE WRITE", "CACHE READ")]
            if caches
            else []
        ),
        Column("TOTAL", is_right=True, rank=1),
        Column("COST", is_right=True),
    ]
    rows: list[list[Cell]] = []
    for group in table.groups:
        rows.append(_row(names[group.key], "bold", group, shows_models=shows_models, caches=caches))
        if has_models and table.by != "model":
            rows += [
                _row(f"└ {part.key or _NOBODY['model']}", "dim", part, shows_models=False, caches=caches)
                for part in group.models
            ]
    rows.append(
        _row("total", "head", table.total, shows_models=shows_models, caches=caches, lists_models=False)
    )
    lines = list(render_table(columns, rows, width))
    for at, drawn in enumerate(lines):
        if at == len(lines) - 1 and len(lines) > 2:
            yield Line("  ").add("─" * (max(line.width for line in drawn) - 2), "guide")
        yield from drawn
    yield Line()
    yield from _remarks(table)


def _names(table: UsageTable) -> Mapping[str | None, str]:
    keys = [group.key for group in table.groups]
    names: dict[str | None, str] = {key: key or _NOBODY.get(table.by, "?") for key in keys}
    if table.by in ("run", "session"):
        names.update(short_ids([key for key in keys if key is not None]))
    return names


def _row(
    name: str, style: str, group: Group, *, shows_models: bool, caches: bool, lists_models: bool = True
) -> list[Cell]:
    models = [part.key or "?" for part in group.models] if lists_models else []
    cached = [group.cache_write, group.cache_read] if caches else []
    return [
        (name, style),
        *([(", ".join(models), "dim")] if shows_models else []),
        (f"{group.calls:,}", ""),
        *[_cell(amount) for amount in (group.input, group.output, *cached, group.total)],
        (format_usd(group.cost), "bold" if group.cost.exactness == "exact" else "warn"),
    ]


def _cell(amount: Amount[int]) -> Cell:
    return format_tokens(amount), "" if amount.exactness == "exact" else "warn"


def _remarks(table: UsageTable) -> Iterator[Line]:
    notes = list(table.total.notes.items())
    for note, calls in notes[:_MOST_NOTES]:
        yield Line("  · ", "warn").add(f"{many(calls, 'call')}: {note}.", "dim")
    if len(notes) > _MOST_NOTES:
        yield Line("  · ", "warn").add(f"{many(len(notes) - _MOST_NOTES, 'more reason')} (--json).", "dim")
    if table.wrapper_count:
        text = f"{many(table.wrapper_count, 'model call')} left out: those made inside count."
        yield Line("  · ", "dim").add(text, "dim")
    if table.repeated_count:
        text = f"{many(table.repeated_count, 'model call')} left out: there twice."
        yield Line("  · ", "dim").add(text, "dim")
    yield from _problems(table.problems, table.problem_count)
    if table.total.cache_read.value or table.total.cache_write.value:
        yield Line("  Cached tokens are part of the input.", "dim")
    if table.price_version is not None:
        yield Line(f"  Prices: {table.price_version}, of each call's day, without tax.", "dim")


def _problems(problems: Sequence[Problem], number: int) -> Iterator[Line]:
    for problem in problems[:_MOST_PROBLEMS]:
        where = f"run {problem.run_id}" + (f", step {problem.step}" if problem.step else "")
        yield Line("  ▲ ", "warn").add(f"{where}: {problem.what}.", "warn")
    if number > _MOST_PROBLEMS:
        yield Line("  ▲ ", "warn").add(f"{number - _MOST_PROBLEMS:,} more of these (--json).", "warn")


def render_explanation(found: Explanation) -> Iterator[Line]:
    """Yield the calls of a run with their lines, then the sums."""
    yield Line(found.run_id, "bold").add(f"  {many(len(found.calls), 'model call')}", "dim")
    for call in found.calls:
        yield Line()
        yield from _call(call)
    yield Line()
    yield _sum("run", found.total)
    for run_id, cost in found.children.items():
        yield _sum(f"+ child run {run_id}", cost)
    if found.children:
        yield _sum("with its child runs", found.total_with_children)
    yield from _problems(found.problems, len(found.problems))
    if found.price_version is not None:
        yield Line(f"  Prices: {found.price_version}.", "dim")


def _call(call: ExplainedCall) -> Iterator[Line]:
    cost = call.cost
    where = f"step {call.step}" + (f" of writer {call.writer}" if call.writer else "")
    line = Line("  ").add(where, "bold").add(f"  {moment(call.ts)}  ", "dim").add(call.model or "?", "llm")
    told = f"  {_PRICES_OF[cost.source]}" + (f" {cost.price}" if cost.price else "")
    yield line.add(told + (f", {cost.tier} tier" if cost.source in ("list", "own") else ""), "dim")
    widths = [
        max((len(text) for text in column), default=0)
        for column in zip(*map(_texts, cost.lines), strict=True)
    ]
    for part in cost.lines:
        kind, count, price, amount = _texts(part)
        row = Line("      ").add(kind.ljust(widths[0] + 2)).add(count.rjust(widths[1]))
        row.add(f" {_TIMES} {price.ljust(widths[2])} = ", "dim").add(amount)
        yield row.add(f"  {part.note}", "warn") if part.note else row
    yield Line("      ").add("= ", "dim").add(_all_digits(cost.amount), "bold")
    lines_say = {part.note for part in cost.lines}
    for note in cost.notes:
        if note not in lines_say:
            yield Line("      · ", "warn").add(note, "dim")
    for problem in cost.problems:
        yield Line("      ▲ ", "warn").add(problem, "warn")


def _texts(line: CostLine) -> tuple[str, str, str, str]:
    per = "M" if line.per == 1_000_000 else f"{line.per:,}"
    price = "?" if line.unit_price is None else f"${usd_digits(line.unit_price)}"
    size = f" (prompt over {line.above:,})" if line.above else ""
    return line.kind, f"{line.count:,}", f"{price}/{per}{size}", _all_digits(line.cost)


def _all_digits(amount: Amount[Decimal]) -> str:
    if amount.value is None:
        return "?"
    return f"{'' if amount.exactness == 'exact' else '≥ '}${usd_digits(amount.value)}"


def _sum(label: str, amount: Amount[Decimal]) -> Line:
    return Line("  ").add(label, "bold").pad(24).add("  ").add(_all_digits(amount), "bold")
