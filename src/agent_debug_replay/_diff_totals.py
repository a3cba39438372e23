"""What two runs came to, and by how much that differs."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent_step_log import Record, Step

__all__ = ["Delta", "deltas_of"]

_TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
_COUNTS = {"llm_call": "llm_calls", "tool_call": "tool_calls", "agent_call": "agent_calls", "event": "events"}
_SPENT = {"llm_call": "llm_ms", "tool_call": "tool_ms"}
#: Figures that every model call has: one that does not tell them makes the sum a lower bound.
_ALWAYS = frozenset({"input_tokens", "output_tokens"})


@dataclass(frozen=True, slots=True)
class Delta:
    """One figure of both runs.

    Attributes:
        name: steps, llm_calls, tool_calls, agent_calls, events, errors; input_tokens, output_tokens,
            cache_read_tokens, cache_write_tokens, reasoning_tokens; duration_ms (from the first start
            to the last end), llm_ms and tool_ms (sums over the calls).
        a, b: The figures; None where nobody told.
        a_bound, b_bound: "lower" or "upper" where a figure is only a bound, "unknown" where it may
            be off either way, None where it is exact.
    """

    name: str
    a: float | None
    b: float | None
    a_bound: str | None = None
    b_bound: str | None = None

    @property
    def delta(self) -> float | None:
        """*b* less *a*; None unless both are known."""
        return None if self.a is None or self.b is None else self.b - self.a

    @property
    def is_exact(self) -> bool:
        """Whether the difference is: both figures are known, and neither is a bound."""
        return self.delta is not None and self.a_bound is None and self.b_bound is None


class _Sums:
    """The figures of one run, or of a part of it."""

    def __init__(self) -> None:
        self.values: dict[str, float] = dict.fromkeys(("steps", *_COUNTS.values(), "errors"), 0)
        self.bounds: dict[str, str] = {}
        self.first: float | None = None
        self.last: float | None = None

    def add(self, step: Step) -> None:
        start, end = step.started_at, step.record.ts
        self.first = start if self.first is None else min(self.first, start)
        self.last = end if self.last is None else max(self.last, end)
        if step.type in _COUNTS:
            self.values[_COUNTS[step.type]] += 1
        if step.type == "event":
            return
        self.values["steps"] += 1
        record = step.end
        if record is None:
            return
        self.values["errors"] += record.error is not None
        if step.type == "llm_call":
            for name in _TOKENS:
                self._sum(name, getattr(record, name), record, name, is_told=name not in _ALWAYS)
        if step.type in _SPENT:
            self._sum(_SPENT[step.type], record.duration_ms, record, "duration_ms", is_told=False)

    def _sum(self, name: str, value: float | None, record: Record, field: str, *, is_told: bool) -> None:
        if value is not None and isfinite(value) and value >= 0:
            self.values[name] = self.values.get(name, 0) + value
        elif not is_told:
            self._bound(name, "lower")
        if record.bounds and field in record.bounds:
            self._bound(name, record.bounds[field])

    def _bound(self, name: str, side: str) -> None:
        self.bounds[name] = side if self.bounds.get(name, side) == side else "unknown"

    def figure(self, name: str) -> tuple[float | None, str | None]:
        if name == "duration_ms":
            lasted = None if self.first is None or self.last is None else (self.last - self.first) * 1000
            return (round(lasted, 3) if lasted is not None and isfinite(lasted) else None), None
        value = self.values.get(name)
        return value, None if value is None else self.bounds.get(name)


def deltas_of(one: Iterable[Step], other: Iterable[Step]) -> list[Delta]:
    """Return every figure that either side has."""
    sums = []
    for steps in (one, other):
        sums.append(_Sums())
        for step in steps:
            sums[-1].add(step)
    names = ["steps", *_COUNTS.values(), "errors", *_TOKENS, "duration_ms", *_SPENT.values()]
    deltas = []
    for name in names:
        (a, a_bound), (b, b_bound) = sums[0].figure(name), sums[1].figure(name)
        if a is not None or b is not None:
            deltas.append(Delta(name, a, b, a_bound, b_bound))
    return deltas
