"""Which steps and runs a question is about: a time, and a condition in SQL.

A row of ``chosen`` is a step, with the columns of the view `steps`, or a run as such: its `type` is
``run``, its `ts` the run's `ended_at`, its `error`, `error_type` and `error_frames` those the run ended
with, its `agent`, `task_type`, `environment`, `agent_version` and `day` those of the run, and all other
columns of a step are NULL. So a run that failed before its first step is counted too, and a condition
on what only steps have (`model`, `tool`, `duration_ms`, `status`) leaves runs as such out.

Beside them each row has `run`, with the columns of the view `runs`: ``run.status = 'error'``.

A row is in a time when its `ts` is: a step in that in which it ended.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from agent_stack.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Selection"]

# What a run as such has of the columns of a step.
_OF_RUN_ROW = {
    "run_id", "ended_at", "agent", "error", "error_type", "error_frames",
    "task_type", "environment", "agent_version", "day",
}  # fmt: skip
_OF_RUN = re.compile(r'\brun\s*\.\s*"?([A-Za-z_]\w*)', re.ASCII)


@dataclass(frozen=True)
class Selection:
    """What ``--since``, ``--until`` and ``--where`` leave.

    Attributes:
        since, until: Unix seconds; the moment `until` itself is left out.
        where: A condition of SQL over a row as the module describes it.
    """

    since: float | None = None
    until: float | None = None
    where: str | None = None

    @property
    def is_everything(self) -> bool:
        """Whether nothing is left out."""
        return self == Selection()

    @property
    def parameters(self) -> dict[str, Any]:
        """The values of the parameters in `chosen`."""
        times = {"since": self.since, "until": self.until}
        return {name: value for name, value in times.items() if value is not None}

    def chosen(self, columns: Sequence[str], *, with_runs: bool = True, is_used_again: bool = False) -> str:
        """Return the common table expression ``chosen``.

        Args:
            columns: Expressions over a row, as SQL.
            with_runs: Whether there are rows of runs as such.
            is_used_again: Whether the statement names it more than once. The files are read once even so.

        Raises:
            CommandError: The condition names a column that runs do not have.
        """
        conditions = []
        if self.since is not None:
            conditions.append("ts >= $since")
        if self.until is not None:
            conditions.append("ts < $until")
        if self.where is not None:
            # On lines of its own: a comment in it ends with it, and an excerpt of the error shows it alone.
            conditions.append(f"(\n{self.where}\n)")
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        run = self._run(columns)
        if not run and not with_runs:
            return f"chosen AS (SELECT {', '.join(columns)} FROM steps {where})"  # noqa: S608  see below
        runs_as_such = f"""
        UNION ALL BY NAME
        SELECT
            r.run_id, 'run' AS type, r.ended_at AS ts, r.agent, r.error, r.error_type, r.error_frames,
            r.task_type, r.environment, r.agent_version, r.day, {_struct(run)} AS run
        FROM r"""  # noqa: S608  names of columns
        # The condition is the caller's own SQL, and the engine lets it read these logs alone.
        return f"""r AS MATERIALIZED (
    SELECT {", ".join(sorted(run | {"run_id"} | (_OF_RUN_ROW if with_runs else set())))} FROM runs
),
chosen AS {"MATERIALIZED " if is_used_again else ""}(
    SELECT {", ".join(columns)}
    FROM (
        SELECT step.*, {_struct(run)} AS run
        FROM steps AS step JOIN r ON r.run_id = step.run_id
        {runs_as_such if with_runs else ""}
    )
    {where}
)"""  # noqa: S608

    def _run(self, columns: Sequence[str]) -> set[str]:
        """Return the columns of the run that are asked for, and no others."""
        wanted = {name.lower() for text in (*columns, self.where or "") for name in _OF_RUN.findall(text)}
        for name in sorted(wanted - _run_columns()):
            close = get_close_matches(name, sorted(_run_columns()), 2)
            meant = f"; did you mean run.{' or run.'.join(close)}?" if close else "."
            raise CommandError(f"--where: runs have no column {name}{meant}")
        return wanted


def _struct(names: set[str]) -> str:
    return "{" + ", ".join(f"'{name}': r.{name}" for name in sorted(names | {"run_id"})) + "}"


def _run_columns() -> set[str]:
    from agent_step_log.query import VIEWS

    return {column.name for column in VIEWS["runs"]}
