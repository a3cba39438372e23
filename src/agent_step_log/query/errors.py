"""Every exception of agent_step_log.query.

StepLogError
└── QueryError      a query that cannot be answered: what is wrong with it, and where
"""

from __future__ import annotations

from agent_step_log.errors import StepLogError

__all__ = ["QueryError"]


class QueryError(StepLogError):
    """A query cannot be answered. The message is one sentence.

    Attributes:
        line, column: Where in the SQL, both from 1; None where the engine does not say.
        excerpt: The line of the SQL, and below it a caret at the column; empty without a place.
        suggestions: Names of columns or views that may have been meant, the nearest first.
    """

    def __init__(
        self,
        why: str,
        *,
        line: int | None = None,
        column: int | None = None,
        excerpt: str = "",
        suggestions: tuple[str, ...] = (),
    ) -> None:
        self.line, self.column, self.excerpt, self.suggestions = line, column, excerpt, suggestions
        where = f" at line {line}, column {column}" if line is not None else ""
        meant = f" Did you mean {' or '.join(suggestions)}?" if suggestions else ""
        super().__init__(f"{why}{where}.{meant}")
