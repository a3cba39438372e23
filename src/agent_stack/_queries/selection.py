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

    def chosen(self, columns: Sequence[str], *, is_used_again: bool = False) -> str:
        """Return the common table expression ``chosen``.

        Args:
            columns: Expressions over a row, as SQL.
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
        return f"""chosen AS {"MATERIALIZED " if is_used_again else ""}(
    SELECT {", ".join(columns)}
    FROM (
        SELECT step.*, {self._run(columns)} AS run
        FROM steps AS step JOIN runs AS r ON r.run_id = step.run_id
        UNION ALL BY NAME
        SELECT
            r.run_id, 'run' AS type, r.ended_at AS ts, r.agent, r.error, r.error_type, r.error_frames,
            r.task_type, r.environment, r.agent_version, r.day, {self._run(columns)} AS run
        FROM runs AS r
    )
    {where}
)"""  # noqa: S608  the condition is the caller's own SQL, and the engine lets it read these logs alone

    def _run(self, columns: Sequence[str]) -> str:
        """Return SQL for the value of `run`: those columns of the run that are asked for, and no others."""
        wanted = {name.lower() for text in (*columns, self.where or "") for name in _OF_RUN.findall(text)}
        for name in sorted(wanted - _run_columns()):
            close = get_close_matches(name, sorted(_run_columns()), 2)
            meant = f"; did you mean run.{' or run.'.join(close)}?" if close else "."
            raise CommandError(f"--where: runs have no column {name}{meant}")
        return "{" + ", ".join(f"'{name}': r.{name}" for name in sorted(wanted | {"run_id"})) + "}"


def _run_columns() -> set[str]:
    from agent_step_log.query import VIEWS

    return {column.name for column in VIEWS["runs"]}
