"""The comparison of two runs as one JSON object, written piece by piece."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from agent_stack._json import json_line
from agent_stack._wire_json import conversations_shape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent_debug_replay import Delta, FieldChange, Pair, RunDiff
    from agent_stack._conversation import Diff
    from agent_step_log import RunInfo, Step

__all__ = ["diff_json"]


def diff_json(
    found: RunDiff, only: frozenset[str], *, with_same: bool, costs: Any, messages: Diff | None
) -> Iterator[str]:
    """Yield the documented ``--json`` shape.

    Args:
        found: The comparison.
        only: Kinds of pairs to write; empty for all.
        with_same: Also pairs that are the same.
        costs: What each run cost, as `RunDiff.costs`; None where nobody can tell.
        messages: The requests of the two model calls where the runs part, compared, where there are tapes.
    """
    first = found.first
    head = {
        "is_same": found.is_same,
        "a": _run(found.a_id, found.a_info),
        "b": _run(found.b_id, found.b_info),
        "counts": found.counts,
        "totals": [_delta(each) for each in found.totals] + _cost(costs),
        "head_changes": [_change(each) for each in found.head_changes],
        "end_changes": [_change(each) for each in found.end_changes],
        "first_divergence": None
        if first is None
        else {
            "kind": first.pair.kind,
            "a": _step(first.a),
            "b": _step(first.b),
            "common": first.common,
            "changes": [_change(each) for each in first.pair.changes()],
            "after": [_delta(each) for each in first.after],
            "requests": None if messages is None else conversations_shape(messages),
        },
    }
    yield json_line(head)[:-1] + ', "pairs": ['
    comma = ""
    for kind, begin, end in found.stretches():
        if (kind in only) if only else (with_same or kind != "same"):
            for place in range(begin, end):
                yield comma + json_line(_pair(found.pairs[place]))
                comma = ", "
    yield "]}"


def _run(run_id: str | None, info: RunInfo | None) -> dict[str, Any]:
    header = None if info is None else info.header
    return {
        "run_id": run_id,
        "status": None if info is None else info.status,
        "agent": None if header is None else header.agent,
        "agent_version": None if header is None else header.agent_version,
        "paths": [] if info is None else [str(path) for path in info.paths],
    }


def _delta(each: Delta) -> dict[str, Any]:
    return {**asdict(each), "delta": each.delta}


def _cost(costs: Any) -> list[dict[str, Any]]:
    if costs is None:
        return []
    values = [None if amount.value is None else float(amount.value) for amount in costs]
    bounds = ["lower" if amount.exactness == "partial" else None for amount in costs]
    delta = None if values[0] is None or values[1] is None else values[1] - values[0]
    shape = {"name": "cost_usd", "a": values[0], "b": values[1]}
    return [{**shape, "a_bound": bounds[0], "b_bound": bounds[1], "delta": delta}]


def _pair(pair: Pair) -> dict[str, Any]:
    return {
        "kind": pair.kind,
        "is_different": pair.is_different,
        "a": _step(pair.a),
        "b": _step(pair.b),
        "changes": [_change(each) for each in pair.changes()],
    }


def _step(step: Step | None) -> dict[str, Any] | None:
    if step is None:
        return None
    return {
        "step": step.number,
        "writer": step.writer,
        "type": step.type,
        "name": step.name,
        "status": step.status,
        "input_tokens": step.record.input_tokens,
        "output_tokens": step.record.output_tokens,
        "duration_ms": step.duration_ms,
    }


def _change(change: FieldChange) -> dict[str, Any]:
    return {"path": change.path, "kind": change.kind, "before": change.before, "after": change.after}
