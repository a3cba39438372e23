"""What differs between two steps of a run, field by field, for the line prompt and for batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent_stack import _safe
from agent_stack._json import pretty_json
from agent_stack._render.figures import many
from agent_stack._render.lines import Line
from agent_stack._render.preview import preview
from agent_stack._render.wire_diff import render_compared
from agent_stack._text_diff import diff_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent_debug_replay import Changes, FieldChange

__all__ = ["render_changes", "render_fields"]

_MOST = 60  # fields
_LONG = 20_000  # characters of a value that are compared word by word


def render_changes(outcome: Changes, width: int) -> Iterator[Line]:
    """Yield which steps they are, and each field that differs."""
    if outcome.before is None or outcome.after is None:
        yield Line().add(outcome.message, "dim", width)
        return
    head = Line("step ", "dim").add(outcome.before.label, "bold", 12)
    head.add(" → ", "dim").add(outcome.after.label, "bold", 12)
    yield head.add(f"  {outcome.after.name or '?'}", "title", max(8, width - head.width))
    if outcome.message:
        yield Line().add(outcome.message, "dim", width)
        return
    yield from render_fields(outcome.changes, width, indent="  ")


def render_fields(changes: Sequence[FieldChange], width: int, *, indent: str = "") -> Iterator[Line]:
    """Yield fields that differ, the first some dozens of them."""
    if not changes:
        yield Line("They say the same.", "ok")
    for change in changes[:_MOST]:
        yield from _change(change, width, indent)
    if len(changes) > _MOST:
        yield Line().add(f"… {many(len(changes) - _MOST, 'more field')} (--json prints them)", "dim")


def _change(change: FieldChange, width: int, indent: str) -> Iterator[Line]:
    """Yield one field: what came, what went, or the words that were taken out and put in."""
    line = Line(indent).add(change.path, "note", width // 2)
    if change.kind != "changed":
        sign, style = ("+", "ok") if change.kind == "added" else ("-", "error")
        value = change.after if change.kind == "added" else change.before
        yield line.add(f"  {sign} ", style).add(preview(value), style, max(8, width - line.width))
        return
    values = change.before, change.after
    if all(isinstance(value, int | float | bool) or value is None for value in values):
        words = " → ".join(preview(value) for value in values)
        yield line.add("  ").add(words, "", max(8, width - line.width))
        return
    yield line
    texts = [(value if isinstance(value, str) else pretty_json(value))[:_LONG] for value in values]
    yield from render_compared(diff_lines(*map(_safe.block, texts)), width, full=False)
