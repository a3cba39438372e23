"""The block above a run: which one it is, how it stands, and what it came to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent_stack._facts import token_sum
from agent_stack._render.figures import SIGNS, duration, many, moment, tokens
from agent_stack._render.lines import Line
from agent_stack._render.preview import preview
from agent_stack._render.words import short_class

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent_stack._facts import RunFacts

__all__ = ["render_header"]

_LABEL = 12  # cells of the labels, the indent included


def render_header(facts: RunFacts, width: int, *, writers: int = 1) -> Iterator[Line]:
    """Yield the block that says which run this is and what it came to."""
    yield from _title(facts, width)
    yield Line("─" * width, "guide")
    for label, value in _header_facts(facts, writers):
        yield Line("  ").add(label, "dim").pad(_LABEL).add(value, "", width - _LABEL)
    if facts.error:
        kind = short_class(facts.error_type)
        text = f"{kind}: {preview(facts.error)}" if kind else preview(facts.error)
        yield Line("  ").add("error", "dim").pad(_LABEL).add(text, "error", width - _LABEL)


def _title(facts: RunFacts, width: int) -> Iterator[Line]:
    """Yield how it stands and who it was, with its id at the right, or on a line of its own."""
    sign, style = SIGNS.get(facts.status, ("?", "dim"))
    title = Line().add(f"{sign} {facts.status}", style, min(24, width // 3)).add("  ")
    title.add(facts.agent or "run", "title", min(40, width // 3))
    if facts.agent_version:
        title.add(f" {facts.agent_version}", "dim", min(24, width // 6))
    run_id = Line().add(facts.run_id, "dim", width)
    if title.width + 2 + run_id.width <= width:
        yield title.right(run_id, width)
    else:
        yield title
        yield run_id


def _header_facts(facts: RunFacts, writers: int) -> Iterator[tuple[str, str]]:
    summary = facts.summary
    yield "started", f"{moment(facts.started)} · {_lasted(facts)}"
    task = " · ".join(part for part in (facts.task_type, facts.environment) if part)
    if task:
        yield "task", task
    yield "steps", _steps_text(facts) + (f" · {many(writers, 'writer')}" if writers > 1 else "")
    if summary.llm_call_count:
        yield "tokens", _tokens_text(facts)
    if summary.truncated_count:
        yield "cut off", many(summary.truncated_count, "answer") + " stopped by a length limit"
    if facts.parent_run_id:
        step = f", step {facts.parent_step}" if facts.parent_step is not None else ""
        yield "child of", f"{facts.parent_run_id}{step}"
    if facts.metadata:
        yield "metadata", preview(facts.metadata)


def _lasted(facts: RunFacts) -> str:
    lasted = duration(facts.lasted_ms)
    return f"{lasted} so far" if facts.status == "running" else lasted


def _steps_text(facts: RunFacts) -> str:
    summary = facts.summary
    counts = (
        (summary.llm_call_count, "model call", None),
        (summary.tool_call_count, "tool call", None),
        (summary.agent_call_count, "agent", None),
        (summary.unfinished_count, "unfinished", "unfinished"),
        (summary.event_count, "event", None),
        (summary.error_count, "error", None),
    )
    parts = [many(number, one, several) for number, one, several in counts if number]
    return f"{summary.total_steps:,}" + (f": {', '.join(parts)}" if parts else "")


def _tokens_text(facts: RunFacts) -> str:
    summary = facts.summary
    cached = [
        f"{tokens(*token_sum(summary, facts.bounds, name))} {word}"
        for name, word in (
            ("cache_read_tokens", "read from cache"),
            ("cache_write_tokens", "written to cache"),
        )
        if getattr(summary, name)
    ]
    text = f"{tokens(*facts.tokens('input_tokens'))} in" + (f" ({', '.join(cached)})" if cached else "")
    text += f" · {tokens(*facts.tokens('output_tokens'))} out"
    if summary.reasoning_tokens:
        text += f" ({tokens(*facts.tokens('reasoning_tokens'))} reasoning)"
    if summary.unknown_usage_count:
        text += f" · {many(summary.unknown_usage_count, 'call')} did not tell"
    return text
