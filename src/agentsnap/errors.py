"""Every exception of agentsnap.

agent_step_log.errors.StepLogError
└── SnapError
    ├── PriceFileError    a price file that cannot be read as one
    └── SnapshotError     a snapshot that cannot be read as one

agent_step_log.errors.CallRefusedError
└── BudgetExceeded        a budget is used up; no `Exception`, see there

BudgetWarning             a budget is nearly used up, cannot be kept, or is passed
"""

from __future__ import annotations

from typing import Any, ClassVar

from agent_step_log.errors import CallRefusedError, StepLogError

__all__ = ["BudgetExceeded", "BudgetWarning", "PriceFileError", "SnapError", "SnapshotError"]


class SnapError(StepLogError):
    """Base of every error this package raises on purpose."""


class PriceFileError(SnapError):
    """The price file at *path* is not one.

    Attributes:
        line: The line at fault, from 1; None where it is the file as a whole.
        key: The key at fault; None where it is none.
    """

    def __init__(self, path: object, why: str, *, line: int | None = None, key: str | None = None) -> None:
        self.path, self.line, self.key = path, line, key
        place = f"{path}, line {line}" if line is not None else f"{path}"
        super().__init__(f"{place}: {why}.")


class SnapshotError(SnapError):
    """The snapshot at *path* is not one."""

    def __init__(self, path: object, why: str) -> None:
        self.path = path
        super().__init__(f"{path}: {why}.")


class BudgetExceeded(CallRefusedError):  # noqa: N818  the word people know
    """A budget is used up: the call that was about to begin has not been made.

    No `Exception`, so that it comes up through SDKs that take every one for a failure of the
    connection and try again; see `CallRefusedError`.

    Attributes:
        limit_of: What there is no more of: "usd", "tokens", "calls" or "tool_calls".
        limit: How much there was.
        spent: How much has been used; a lower bound where ``facts["exactness"]`` is "partial",
            None where nothing of it is known.
        per: "run", "day" or "agent".
        group: The root run's id, the date or the agent's name.
        facts: The same and more, as in the event ``budget.exceeded``.
    """

    event: ClassVar[str] = "budget.exceeded"

    @property
    def limit_of(self) -> Any:
        """See the class."""
        return self.facts.get("limit_of")

    @property
    def limit(self) -> Any:
        """See the class."""
        return self.facts.get("limit")

    @property
    def spent(self) -> Any:
        """See the class."""
        return self.facts.get("spent")

    @property
    def per(self) -> Any:
        """See the class."""
        return self.facts.get("per")

    @property
    def group(self) -> Any:
        """See the class."""
        return self.facts.get("group")


class BudgetWarning(RuntimeWarning):
    """A budget is nearly used up, cannot be kept exactly, or is passed; told once for each."""
