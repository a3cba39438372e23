"""The fields of a run: what ``ls --filter`` asks about and ``ls --sort`` orders by.

A field a run does not tell is missing, and never 0. Of a figure that is only a bound, the bound counts.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar

from agent_debug_replay import MISSING, Condition
from agent_stack._run_groups import day_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agent_stack._facts import RunFacts
    from agentsnap import Amount

Item = TypeVar("Item")

__all__ = ["RUN_FIELDS", "RunFields", "condition_of", "sort_keys", "sorted_by"]


def _tokens(name: str) -> Callable[[RunFacts], Any]:
    return lambda run: run.tokens(name)[0]


def _both(run: RunFacts) -> Any:
    told = [run.tokens(name)[0] for name in ("input_tokens", "output_tokens")]
    return None if None in told else run.summary.total_tokens


#: Name to what reads it; `cost`, `age` and `metadata` need more than the run, or a path.
_READS: dict[str, Callable[[RunFacts], Any]] = {
    "run": lambda run: run.run_id,
    "status": lambda run: run.status,
    "agent": lambda run: run.agent,
    "version": lambda run: run.agent_version,
    "task": lambda run: run.task_type,
    "env": lambda run: run.environment,
    "started": lambda run: run.started,
    "day": lambda run: day_of(run.started),
    "age": lambda _run: None,
    "duration": lambda run: run.lasted_ms,
    "tokens": _both,
    "input_tokens": _tokens("input_tokens"),
    "output_tokens": _tokens("output_tokens"),
    "cost": lambda _run: None,
    "steps": lambda run: run.summary.total_steps,
    "llm_calls": lambda run: run.summary.llm_call_count,
    "tool_calls": lambda run: run.summary.tool_call_count,
    "errors": lambda run: run.summary.error_count,
    "error": lambda run: run.error,
    "error_type": lambda run: run.error_type,
    "models": lambda run: list(run.summary.models),
    "tools": lambda run: list(run.summary.tools),
    "metadata": lambda run: run.metadata,
}

#: The fields, and whether a path may lead into one: ``metadata.ticket``.
RUN_FIELDS: dict[str, bool] = {name: name == "metadata" for name in _READS}

_NO_ORDER = frozenset({"models", "tools"})


class RunFields:
    """Reads the fields of runs.

    Args:
        now: Unix seconds; what ages count to.
        costs: By run id; empty when nobody asked for them.
    """

    def __init__(self, now: float, costs: Mapping[str, Amount[Any]]) -> None:
        self._now, self._costs = now, costs

    def reader(self, run: RunFacts) -> Callable[[str], Any]:
        """Return what gives a field of *run*, or `MISSING`."""

        def read(name: str) -> Any:
            value = self.read(run, name)
            return MISSING if value is None else value

        return read

    def read(self, run: RunFacts, name: str) -> Any:
        """Return a field of *run*, or of its metadata: ``metadata.ticket``; None where it has none."""
        if name.startswith("metadata."):
            return (run.metadata or {}).get(name.partition(".")[2])
        if name == "cost":
            cost = self._costs.get(run.run_id)
            return None if cost is None or cost.value is None else float(cost.value)
        if name == "age":
            return None if run.started is None else (self._now - run.started) * 1000
        return _READS[name](run)


def condition_of(text: str) -> Condition:
    """Return *text* as a condition over the fields of a run.

    Raises:
        ExpressionError: It cannot be understood.
    """
    return Condition(text, RUN_FIELDS)


def sort_keys(text: str, known: Sequence[str]) -> list[tuple[str, bool]]:
    """Return what to sort by, each with whether it comes with the most first: ``task,-cost``.

    Raises:
        ValueError: There is no such field, or it has no order.
    """
    keys = []
    for word in text.split(","):
        name = word.strip().removeprefix("-")
        is_known = name in known or (name.startswith("metadata.") and "metadata" in known)
        if not is_known or name in _NO_ORDER or name == "metadata":
            orderly = [each for each in known if each not in _NO_ORDER and each != "metadata"]
            more = ", metadata.KEY" if "metadata" in known else ""
            message = f"{name!r} is nothing to sort by; there are {', '.join(orderly)}{more}."
            raise ValueError(message)
        keys.append((name, word.strip().startswith("-")))
    return keys


def sorted_by(
    items: Sequence[Item], keys: Sequence[tuple[str, bool]], read: Callable[[Item, str], Any]
) -> list[Item]:
    """Return *items* sorted by *keys*; what is not known counts as the least."""
    ordered = list(items)
    for name, is_falling in reversed(keys):
        ordered.sort(key=lambda item: _rank(read(item, name)), reverse=is_falling)
    return ordered


def _rank(value: Any) -> tuple[int, Any]:
    """Values of one field may be of several kinds in metadata: numbers come before text."""
    if value is None or value is MISSING or (isinstance(value, float) and math.isnan(value)):
        return 0, 0
    if isinstance(value, int | float):
        return 1, value
    return 2, str(value)
