"""Runs as a comparison takes them: each in its group, with what it took and cost."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from agent_debug_replay import RunSample
from agent_stack._facts import facts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent_step_log import RunInfo

__all__ = ["samples_of"]

_KEYS = {"version": "agent_version", "task": "task_type", "env": "environment", "agent": "agent"}


def samples_of(
    infos: Sequence[RunInfo], sources: Sequence[str], by: str, since: float | None, until: float | None
) -> tuple[list[RunSample], int]:
    """Return a sample of each run that began in time and tells its group, and how many do not tell."""
    costs = _costs(sources)
    samples: list[RunSample] = []
    unnamed = 0
    for info in infos:
        started = info.fold.first_ts or 0.0
        if (since is not None and started < since) or (until is not None and started >= until):
            continue
        group = _group(info, by, started)
        if group is None:
            unnamed += 1
            continue
        summary = info.summary
        is_told = summary.llm_call_count > 0 and summary.unknown_usage_count == 0
        samples.append(
            RunSample(
                run_id=info.run_id,
                group=group,
                status=info.status,
                started_at=started,
                duration_ms=facts_of(info).lasted_ms,
                steps=summary.total_steps,
                tokens=summary.total_tokens if is_told else None,
                usd=costs.get(info.run_id),
                tool_calls=summary.tool_call_count,
                tool_errors=sum(tool["errors"] for tool in summary.tools.values()),
            )
        )
    return samples, unnamed


def _group(info: RunInfo, by: str, started: float) -> str | None:
    if by == "day":
        return f"{datetime.fromtimestamp(started):%Y-%m-%d}"
    header = info.header
    if header is None:
        return None
    value = (
        (header.metadata or {}).get(by.removeprefix("metadata."))
        if by.startswith("metadata.")
        else getattr(header, _KEYS[by])
    )
    return None if value is None else str(value)


def _costs(sources: Sequence[str]) -> dict[str, float]:
    """Return what each run cost where all of it is known; nothing where there are no prices."""
    from agent_step_log.errors import MissingExtraError
    from agentsnap import usage_of

    try:
        groups = usage_of(list(sources), by="run").groups
    except MissingExtraError:
        return {}
    return {
        group.key: float(group.cost.known)
        for group in groups
        if group.key is not None and group.cost.is_whole and group.calls
    }
