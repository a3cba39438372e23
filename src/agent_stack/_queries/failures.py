"""What went wrong: errors grouped by their type and by what failed, the latest first.

Of each group: how many, in how many runs, when first and last, and the last one's message, place
and frames. Counted are the steps that ended with an error and the runs that ended with one; a run's
error that is that of its last step is one more, as the run has failed too.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent_stack._queries.selection import Selection
    from agent_step_log.query import Logs

__all__ = ["FailureGroup", "failure_groups"]

QUERY = """
SELECT
    error_type,
    type,
    name,
    count(*) AS errors,
    count(DISTINCT run_id) AS runs,
    count(DISTINCT error) AS messages,
    min(ts) AS first_ts,
    max(ts) AS last_ts,
    arg_max(error, (ts, run_id, step)) AS message,
    arg_max(error_frames, (ts, run_id, step)) AS frames,
    arg_max(run_id, (ts, run_id, step)) AS run_id,
    arg_max(step, (ts, run_id, step)) AS step,
    arg_max(writer, (ts, run_id, step)) AS writer
FROM chosen
WHERE error IS NOT NULL
GROUP BY error_type, type, name
ORDER BY last_ts DESC, errors DESC, name
"""

_COLUMNS = ("run_id", "step", "writer", "type", "name", "ts", "error", "error_type", "error_frames")


@dataclass(frozen=True)
class FailureGroup:
    """Errors of one type in one tool, model or agent; "run" is the type of a run's own error.

    Attributes:
        errors, runs, messages: How many, in how many runs, and how many different messages.
        first_ts, last_ts: Unix seconds.
        message, frames, run_id, step, writer: Of the last one. Frames are outermost first.
    """

    error_type: str | None
    type: str
    name: str | None
    errors: int
    runs: int
    messages: int
    first_ts: float
    last_ts: float
    message: str
    frames: list[dict[str, Any]]
    run_id: str
    step: int | None
    writer: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return the documented ``--json`` shape."""
        return asdict(self)


def failure_groups(logs: Logs, selection: Selection) -> Iterator[FailureGroup]:
    """Yield the groups, the one with the latest error first."""
    result = logs.sql(f"WITH {selection.chosen(_COLUMNS)}\n{QUERY}", selection.parameters)
    names = list(result.columns)
    for row in result:
        told = dict(zip(names, row, strict=True))
        yield FailureGroup(**{**told, "frames": _frames(told["frames"])})


def _frames(text: str | None) -> list[dict[str, Any]]:
    try:
        frames = json.loads(text or "[]")
    except (ValueError, RecursionError):
        return []
    return [frame for frame in frames if isinstance(frame, dict)] if isinstance(frames, list) else []
