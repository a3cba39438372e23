"""Every exception of agent_debug_replay.

ReplayError
├── RunNotFoundError      no run, or several, by that name; the nearest are offered
├── ExpressionError       a condition that cannot be understood; points at the column
└── CommandLineError      a debugger command that cannot be understood; points at the column

They are `agent_step_log.errors.StepLogError`s: one sentence for a person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent_step_log.errors import StepLogError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CommandLineError", "ExpressionError", "ReplayError", "RunNotFoundError"]


class ReplayError(StepLogError):
    """Base of every error this package raises on purpose."""


class RunNotFoundError(ReplayError):
    """*run* names no run of *source*, or more than one.

    Attributes:
        matches: The runs it could be; empty when there is none.
        nearest: Ids that look like it.
    """

    def __init__(
        self, source: object, run: str | None, *, matches: Sequence[str] = (), nearest: Sequence[str] = ()
    ) -> None:
        self.source, self.run = source, run
        self.matches, self.nearest = list(matches), list(nearest)
        if run is None:
            why = "there is no run in it"
        elif matches:
            why = f"{len(matches)} runs match {run!r}: {_some(matches)}; give more of the id"
        elif nearest:
            why = f"there is no run {run!r} in it; the nearest: {_some(nearest)}"
        else:
            why = f"there is no run {run!r} in it"
        super().__init__(f"{source}: {why}.")


class _PointingError(ReplayError):
    """What is wrong with a line of text, and where.

    Attributes:
        text: The line.
        column: Place of the first character that is wrong, from 0.
        why: What is wrong, without the place.
    """

    def __init__(self, text: str, column: int, why: str) -> None:
        self.text, self.column, self.why = text, column, why
        super().__init__(f"{why} (at column {column + 1} of {text[:200]!r}).")

    @property
    def pointer(self) -> str:
        """The text with a caret below the place, and what is wrong: three lines."""
        start = max(0, self.column - 60)
        shown = self.text[start : start + 100].replace("\n", " ").replace("\t", " ")
        return f"{shown}\n{' ' * (self.column - start)}^\n{self.why}"


class ExpressionError(_PointingError):
    """A condition or expression that cannot be understood."""


class CommandLineError(_PointingError):
    """A command that cannot be understood."""


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
