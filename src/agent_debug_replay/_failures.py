"""What each run that failed failed by, found in one pass over its log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent_step_log import read_log

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent_step_log import Record, RunInfo

__all__ = ["FAILED", "RunFailure", "find_failures"]

#: The statuses of runs that failed.
FAILED = frozenset({"error", "interrupted"})


@dataclass(frozen=True)
class RunFailure:
    """Where and how one run failed.

    Attributes:
        status: "error", or "interrupted" where the process is gone.
        error_type: The class of the error; None where none was recorded.
        frames: Where it came from, outermost first: ``(file, function)``, of a file the last two parts.
        message: The message of the error.
        in_flight: Type and name of the step it was in the middle of, the last one begun: ``("tool_call",
            "bash")``. Only of an interrupted run.
        last_tool: The tool in use last, or in flight.
        started: Unix seconds; None if not known.
        version: What its header says of the agent's.
    """

    run_id: str
    status: str
    error_type: str | None = None
    frames: tuple[tuple[str, str], ...] = ()
    message: str | None = None
    in_flight: tuple[str, str] | None = None
    last_tool: str | None = None
    started: float | None = None
    version: str | None = None


def find_failures(runs: Iterable[RunInfo]) -> list[RunFailure]:
    """Return what failed among *runs*, in their order; those that did not, or still run, are left out.

    The error is that of the run's end, else of the last step that failed; of nested steps that failed by
    one error, the innermost. A process that is gone did not fail by an error it went on after, so an
    interrupted run has none unless its end says so.

    Args:
        runs: As `agent_step_log.list_runs` returns them. The files of those that failed are read once.

    Raises:
        LogSourceError, LogFormatError, LogTooNewError, OSError: as `agent_step_log.read_log`.
    """
    failed = [(info, status) for info in runs if (status := info.status) in FAILED]
    traces = {info.run_id: _Trace() for info, _ in failed}
    for path in dict.fromkeys(path for info, _ in failed for path in info.paths):
        for record in read_log(path):
            trace = traces.get(record.run_id)
            if trace is not None:
                trace.take(record)
    return [_failure(info, status, traces[info.run_id]) for info, status in failed]


class _Trace:
    """The last tool and the last error of a run, as its records pass."""

    def __init__(self) -> None:
        self.tool: Record | None = None
        self.failed: Record | None = None
        self._around: int | None = None  # the parent of what failed, and then its parents in turn

    def take(self, record: Record) -> None:
        if record.step == 0 or record.type in ("step_start", "event"):
            return
        if record.type == "tool_call" and (self.tool is None or record.ts >= self.tool.ts):
            self.tool = record
        if record.error is None:
            return
        failed = self.failed
        if failed is not None and record.step == self._around and _is_same(record, failed):
            self._around = record.parent
        elif failed is None or record.ts >= failed.ts:
            self.failed, self._around = record, record.parent


def _is_same(one: Record, other: Record) -> bool:
    return (one.error, one.error_type, one.writer) == (other.error, other.error_type, other.writer)


def _failure(info: RunInfo, status: str, trace: _Trace) -> RunFailure:
    record = _error_record(info, status, trace.failed)
    begun = sorted(info.in_flight.values(), key=lambda each: (each.ts, each.step))
    tools = [each for each in begun if each.of == "tool_call"]
    doing = begun[-1] if begun and status == "interrupted" else None
    tool = tools[-1] if tools else trace.tool
    return RunFailure(
        info.run_id,
        status,
        error_type=record.error_type if record is not None else None,
        frames=_frames(record),
        message=record.error if record is not None else None,
        in_flight=(doing.of or "step", doing.tool or doing.model or doing.agent or "?") if doing else None,
        last_tool=tool.tool if tool is not None else None,
        started=info.fold.first_ts,
        version=info.header.agent_version if info.header is not None else None,
    )


def _error_record(info: RunInfo, status: str, failed: Record | None) -> Record | None:
    """Return the record that says most of what went wrong."""
    end = info.end
    if end is None or end.error is None:
        return failed if status == "error" else None
    if not end.error_frames and failed is not None and failed.error == end.error:
        return failed
    return end


def _frames(record: Record | None) -> tuple[tuple[str, str], ...]:
    frames = (record.error_frames if record is not None else None) or []
    named = [
        (str(frame.get("file") or "?"), str(frame.get("function") or "?"))
        for frame in frames
        if isinstance(frame, dict)
    ]
    return tuple(("/".join(file.replace("\\", "/").split("/")[-2:]), function) for file, function in named)
