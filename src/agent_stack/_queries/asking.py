"""Asking logs on behalf of a command: they are opened, and a mistake in the SQL is shown in its place."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from agent_stack._options import remark
from agent_stack.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent_step_log.query import Logs, QueryError

__all__ = ["asking"]


@contextmanager
def asking(sources: Sequence[str], *, where: str | None = None, outside: bool = False) -> Iterator[Logs]:
    """Open *sources* for the block; see `agent_step_log.query.open_logs`.

    Of a query that cannot be answered, the line with the mistake and a caret below it go to stderr.

    Args:
        where: The condition a person typed. Default: what is asked is a person's own query.
        outside: As for `open_logs`.

    Raises:
        CommandError: The query, or the condition in it, cannot be answered.
        StepLogError, OSError: as `open_logs`.
    """
    from agent_step_log.query import QueryError, open_logs

    with open_logs(list(sources), outside=outside) as logs:
        try:
            yield logs
        except QueryError as error:
            raise CommandError(_sentence(error, where)) from None


def _sentence(error: QueryError, where: str | None) -> str:
    """Show where the mistake is, and return what it is."""
    lift = "; open_logs(..., outside=True) lifts this"
    lines = error.excerpt.splitlines()
    if where is None:
        text = str(error).replace(lift, "; --outside lifts this")
    else:
        # The place is one in our query, around the condition: of use is only what it shows of the condition.
        text = str(error).replace(f" at line {error.line}, column {error.column}", "").replace(lift, "")
        if lines and lines[0].strip() not in where:
            return f"--where is no whole condition: {text}"
        text = f"--where: {text}"
    for line in lines:
        remark(f"  {line}")
    return text
