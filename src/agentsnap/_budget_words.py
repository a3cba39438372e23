"""What a budget has to say: one finding, as an event's figures, as a sentence, and to whom it is told."""

from __future__ import annotations

import sys
import warnings
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from agentsnap._amount import Amount, format_tokens, format_usd
from agentsnap.errors import BudgetWarning

if TYPE_CHECKING:
    from agent_step_log import StepAhead

__all__ = ["Finding", "tell"]

#: Code between a budget and the agent's own.
_OURS = ("agent_step_log", "agentsnap", "agenttap", "functools", "contextlib")
_UNITS = {"tokens": "token", "calls": "call", "tool_calls": "tool call"}


class Finding:
    """One thing to be said, and the figures at that moment.

    Args:
        event: The event's name: budget.warning, budget.unknown or budget.exceeded.
        limit_of: Which limit it is about: "usd", "tokens", "calls" or "tool_calls".
        limit: How much of it there is.
        spent: How much has been used: a number, or an `Amount`.
        in_flight: Calls of a model that have not ended.
        per, group: Whose budget it is.
        is_refused: Whether the call is not made.
    """

    def __init__(
        self,
        event: str,
        limit_of: str,
        *,
        limit: Any,
        spent: Any,
        in_flight: int,
        per: str,
        group: str | None,
        is_refused: bool,
    ) -> None:
        self.event, self.limit_of, self.limit, self.spent = event, limit_of, limit, spent
        self.in_flight, self.per, self.group, self.is_refused = in_flight, per, group, is_refused

    def facts(self) -> dict[str, Any]:
        """Return the event's data."""
        facts: dict[str, Any] = {
            "limit_of": self.limit_of,
            "limit": _number(self.limit),
            "spent": self.spent,
            "per": self.per,
            "group": self.group,
        }
        if isinstance(self.spent, Amount):
            facts["spent"] = _number(self.spent.value)
            facts["exactness"] = self.spent.exactness
        if self.in_flight:
            facts["in_flight"] = self.in_flight
        if self.event == "budget.exceeded":
            facts["refused"] = self.is_refused
        return facts

    def sentence(self, ahead: StepAhead) -> str:
        """Return it for people; *ahead* is the step that was about to begin."""
        spent = _words(self.limit_of, self.spent)
        budget = f"The budget of {_words(self.limit_of, self.limit)} per {self.per} ({self._whose()})"
        if self.event == "budget.warning":
            return f"{budget} is nearly used up: {spent}."
        if self.event == "budget.unknown":
            what = "prices" if self.limit_of == "usd" else "token counts"
            return f"{budget} cannot be kept exactly: the {what} of some calls are not known."
        if self.in_flight and self.limit_of != "calls":
            spent += f", {self.in_flight} more in flight"
        name = f" of {ahead.name}" if ahead.name else ""
        done = "was not made" if self.is_refused else "is made all the same"
        return f"{budget} is used up: {spent}. The {ahead.type}{name} {done}."

    def _whose(self) -> str:
        if self.per == "agent":
            return f"agent {self.group or 'without a name'}"
        return f"run {self.group}" if self.per == "run" else f"{self.group}"


def tell(finding: Finding, ahead: StepAhead) -> None:
    """Tell of *finding*: an event in the log of *ahead*, if it has one, and a `BudgetWarning`."""
    if ahead.log is not None:
        told = {"of": ahead.type, "name": ahead.name, **finding.facts()}
        ahead.log.event(finding.event, told, parent=ahead.parent)
    # Where warnings are errors, this one must not become the agent's.
    with suppress(Warning):
        warnings.warn(finding.sentence(ahead), BudgetWarning, stacklevel=_outside())


def _outside() -> int:
    """Return how far up from the caller of this the nearest code is that is not ours."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _OURS:
        level, frame = level + 1, frame.f_back
    return level


def _number(figure: Any) -> Any:
    return float(figure) if isinstance(figure, Decimal) else figure


def _words(limit_of: str, figure: Any) -> str:
    amount = figure if isinstance(figure, Amount) else Amount(figure)
    if limit_of == "usd":
        return format_usd(amount)
    return f"{format_tokens(amount)} {_UNITS[limit_of]}{'' if amount.value == 1 else 's'}"
