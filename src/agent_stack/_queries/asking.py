"""Asking logs on behalf of a command: they are opened, and a mistake in a condition is shown in its place."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from agent_stack._options import remark

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent_step_log.query import Logs

__all__ = ["asking"]


@contextmanager
def asking(sources: Sequence[str], *, outside: bool = False) -> Iterator[Logs]:
    """Open *sources* for the block; see `agent_step_log.query.open_logs`.

    Of a query that cannot be answered, the line with the mistake and a caret below it go to stderr; the error
    itself, a sentence, goes on to whoever prints it.

    Raises:
        StepLogError, OSError: as `open_logs`.
    """
    from agent_step_log.query import QueryError, open_logs

    with open_logs(list(sources), outside=outside) as logs:
        try:
            yield logs
        except QueryError as error:
            for line in error.excerpt.splitlines():
                remark(f"  {line}")
            raise
