"""Runs that failed, brought together by where and how they failed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent_step_log import Record, Run, RunInfo, Step

__all__ = ["FailureCluster", "cluster_failures"]

_FAILED = frozenset({"error", "interrupted"})
_NUMBER = re.compile(r"0x[0-9a-fA-F]+|[0-9a-f]{8,}|\d+")
_SHAPE = 120  # characters of a message that tell it from another


@dataclass
class FailureCluster:
    """Runs that failed the same way.

    Attributes:
        status: How they ended: "error", or "interrupted" where the process is gone.
        error_type: The class of the error; None where none was recorded.
        frames: Where it came from, outermost first: ``(file, function)``, of a file the last two parts.
        last_tool: The tool that was in use last, or in flight; None where there was none.
        message: The message of the first of them.
        run_ids: Them, in the order they started.
        first_ts, last_ts: When the first and the last of them started, Unix seconds; None if unknown.
    """

    status: str
    error_type: str | None
    frames: tuple[tuple[str, str], ...]
    last_tool: str | None
    message: str | None
    run_ids: list[str] = field(default_factory=list)
    first_ts: float | None = None
    last_ts: float | None = None

    @property
    def size(self) -> int:
        """How many runs are in it."""
        return len(self.run_ids)


def cluster_failures(runs: Iterable[Run]) -> list[FailureCluster]:
    """Return the failures among *runs*, the most frequent first, of equals the latest.

    Two runs failed the same way if they ended with the same status, in the same class of error, raised
    in the same functions, with the same last tool. Line numbers do not count, so an edit above the
    place does not part them; the message counts, its numbers left out, where neither a class nor
    frames were recorded. The error is that of the run's end, else of the last step that failed.

    Args:
        runs: As `agent_step_log.read_run` returns them. They are taken one at a time and not kept;
            those that did not fail, or still run, are left out.
    """
    clusters: dict[Any, FailureCluster] = {}
    started = sorted(
        (found for run in runs if run.info.status in _FAILED for found in [_failure(run)]),
        key=lambda found: (found.first_ts is None, found.first_ts or 0.0),
    )
    for found in started:
        shape = None if found.error_type or found.frames else _shape(found.message)
        key = found.status, found.error_type, found.frames, found.last_tool, shape
        known = clusters.setdefault(key, found)
        if known is not found:
            known.run_ids += found.run_ids
            known.last_ts = found.last_ts if found.last_ts is not None else known.last_ts
    return sorted(clusters.values(), key=lambda each: (-each.size, -(each.last_ts or 0.0)))


def _failure(run: Run) -> FailureCluster:
    info = run.info
    tool: Step | None = None
    failed: Step | None = None
    for _, step in run.walk():
        if step.type == "tool_call" and (tool is None or _when(step) >= _when(tool)):
            tool = step
        # Of nested steps that failed by one error, the innermost one knows where.
        if step.status == "error" and (
            failed is None or step.record.ts > failed.record.ts or _is_same(step, failed)
        ):
            failed = step
    record = _error_record(info, failed)
    return FailureCluster(
        info.status,
        record.error_type if record is not None else None,
        _frames(record),
        tool.name if tool is not None else None,
        record.error if record is not None else None,
        [info.run_id],
        info.fold.first_ts,
        info.fold.first_ts,
    )


def _when(step: Step) -> tuple[bool, float]:
    """Order steps by when they were last in use: one in flight is the last of all."""
    return step.end is None, step.record.ts


def _is_same(step: Step, other: Step) -> bool:
    return (step.record.error, step.record.error_type) == (other.record.error, other.record.error_type)


def _error_record(info: RunInfo, failed: Step | None) -> Record | None:
    """Return the record that says most of what went wrong."""
    end = info.end
    if end is None or end.error is None:
        # A process that is gone did not fail by an error it went on after.
        return failed.record if failed is not None and info.status == "error" else None
    if not end.error_frames and failed is not None and failed.record.error == end.error:
        return failed.record
    return end


def _frames(record: Record | None) -> tuple[tuple[str, str], ...]:
    frames = (record.error_frames if record is not None else None) or []
    named = [(str(frame.get("file") or "?"), str(frame.get("function") or "?")) for frame in frames]
    return tuple(("/".join(file.replace("\\", "/").split("/")[-2:]), function) for file, function in named)


def _shape(message: str | None) -> str | None:
    return None if message is None else _NUMBER.sub("N", message[: 4 * _SHAPE])[:_SHAPE]
