"""Fields that differ, laid out: where, and the words that were taken out and put in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent_stack._render.figures import many
from agent_stack._render.lines import Line
from agent_stack._render.replay_changes import render_change
from agent_stack._tui._steps import LARGE, size
from agent_step_log.errors import StepLogError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent_debug_replay import FieldChange, Replay

__all__ = ["change_lines", "peer_lines"]

_MOST = 60  # fields


def peer_lines(replay: Replay, before: int, after: int, width: int) -> Iterator[Line]:
    """Yield what differs between the steps of two rows."""
    from agent_debug_replay import field_changes

    rows = replay.row(before), replay.row(after)
    head = (
        Line("step ", "dim").add(rows[0].label, "bold", 12).add(" → ", "dim").add(rows[1].label, "bold", 12)
    )
    yield head.add(f"  {rows[1].name or '?'}", "title", max(width - head.width, 8))
    large = next((row for row in rows if row.size_bytes > LARGE), None)
    if large is not None:
        yield Line().add(
            f"Step {large.label} is {size(large.size_bytes)}: too large to compare here.", "warn"
        )
        return
    try:
        changes = field_changes(_values(replay, before), _values(replay, after))
    except StepLogError as error:
        yield Line().add(str(error), "error", width)
        return
    yield from change_lines(changes, width)


def _values(replay: Replay, row: int) -> dict[str, Any]:
    payload = replay.payload(row)
    record = payload.record
    given = payload.begin.input if record.input is None and payload.begin is not None else record.input
    facts = replay.row(row)
    values = {
        "input": given,
        "data": record.data,
        "output": record.output,
        "error": record.error,
        "error_type": record.error_type,
        "stop_reason": record.stop_reason,
        "status": facts.status,
        "input_tokens": facts.input_tokens,
        "output_tokens": facts.output_tokens,
        "cache_read_tokens": facts.cache_read_tokens,
        "duration_ms": facts.duration_ms,
    }
    return {name: value for name, value in values.items() if value is not None}


def change_lines(changes: Sequence[FieldChange], width: int) -> Iterator[Line]:
    """Yield *changes*, the first some dozens of them."""
    if not changes:
        yield Line("They say the same.", "ok")
    for change in changes[:_MOST]:
        yield from render_change(change, width)
    if len(changes) > _MOST:
        yield Line().add(f"… {many(len(changes) - _MOST, 'more field')}", "dim")
