"""Two steps of one run compared field by field: what they were given, what came of it, what it took."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent_debug_replay._diff_fields import field_changes
from agent_debug_replay._outcomes import Changes

if TYPE_CHECKING:
    from agent_debug_replay._replay import Replay

__all__ = ["step_changes"]

_LARGEST = 4 * 1024 * 1024  # bytes of a step; what is larger would take seconds


def step_changes(replay: Replay, before: int, after: int) -> Changes:
    """Return what differs between the steps of two rows."""
    rows = replay.row(before), replay.row(after)
    large = next((row for row in rows if row.size_bytes > _LARGEST), None)
    if large is not None:
        return Changes(
            *rows, (), f"Step {large.label} is {large.size_bytes:,} bytes: too large to compare here."
        )
    return Changes(*rows, tuple(field_changes(_values(replay, before), _values(replay, after))))


def _values(replay: Replay, row: int) -> dict[str, Any]:
    payload, facts = replay.payload(row), replay.row(row)
    record = payload.record
    values = {
        "input": payload.begin.input if record.input is None and payload.begin is not None else record.input,
        "data": record.data,
        "output": record.output,
        "tool_calls": record.tool_calls,
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
