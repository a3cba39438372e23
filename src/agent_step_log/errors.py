"""Every exception of agent_step_log.

StepLogError
├── LogFormatError            bytes that are not a step log
│   └── LogTooNewError        a later version wrote it
├── LogSourceError            nothing to read at the place named
├── ImportSourceError         a transcript that cannot be imported
├── RecordLostError           on_error="raise": a record did not reach the file
└── MissingExtraError         an optional library is not installed

CallRefusedError              a guard refused a step; no StepLogError, and no Exception: see there
RecordLossWarning             on_error="warn": the same, said once a minute
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar

__all__ = [
    "CallRefusedError",
    "ImportSourceError",
    "LogFormatError",
    "LogSourceError",
    "LogTooNewError",
    "MissingExtraError",
    "RecordLossWarning",
    "RecordLostError",
    "StepLogError",
]


class StepLogError(Exception):
    """Base of every error this package raises on purpose."""


class LogFormatError(StepLogError):
    """The bytes at *path* are not a step log."""

    def __init__(self, path: object, why: str = "is not a step log") -> None:
        self.path = path
        super().__init__(f"{path} {why}.")


class LogTooNewError(LogFormatError):
    """*path* was written by a later version than this one reads."""

    def __init__(self, path: object, *, found: int, supported: int) -> None:
        self.found, self.supported = found, supported
        super().__init__(
            path,
            f"is in format {found}; this version reads up to {supported}. "
            "Upgrade with: pip install -U agent-step-log",
        )


class LogSourceError(StepLogError):
    """There is nothing to read at *path*."""

    def __init__(self, path: object, why: str) -> None:
        self.path = path
        super().__init__(f"{path}: {why}.")


class ImportSourceError(StepLogError):
    """The transcript at *path* cannot be imported, for the reason *why*."""

    def __init__(self, path: object, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path}: {why}.")


class RecordLostError(StepLogError):
    """A record did not reach the file; raised only with ``on_error="raise"``."""

    def __init__(self, path: object, why: str) -> None:
        self.path = path
        super().__init__(f"{path}: record not written: {why}.")


class MissingExtraError(StepLogError, ImportError):
    """An optional library is missing; the message names the extra that brings it."""


class CallRefusedError(BaseException):
    """A guard refused the step that was about to begin; nothing of it has happened.

    For guards to raise, and to derive from. It is no `Exception`, as the cancellation of a task
    is none: it comes up inside SDKs and frameworks that catch every `Exception`, try the request
    again, and pass it on as a failure of the connection. The agent catches it by name.

    Args:
        message: One sentence for people.
        facts: Figures for the event that tells of it.

    Attributes:
        event: The name of that event.
        facts: The same as given.
    """

    event: ClassVar[str] = "call.refused"

    def __init__(self, message: str, facts: dict[str, Any] | None = None) -> None:
        self.facts = facts or {}
        super().__init__(message)


class RecordLossWarning(RuntimeWarning):
    """Records did not reach the file; shown at most once a minute for each log."""
