"""What two runs came to, and by how much that differs."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from math import isfinite
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from agent_step_log.limits import MAX_TOKENS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent_debug_replay._diff_steps import Side
    from agent_step_log import Record

__all__ = ["Delta", "Figures", "deltas_of"]

#: Those a model call need not have: that it does not tell them says nothing about the sum.
_OPTIONAL = ("cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
_TOKENS = ("input_tokens", "output_tokens", *_OPTIONAL)
_COUNTS = {"llm_call": "llm_calls", "tool_call": "tool_calls", "agent_call": "agent_calls", "event": "events"}
_SPENT = {"llm_ms": "llm_call", "tool_ms": "tool_call"}
_NAMES = ("steps", *_COUNTS.values(), "errors", *_TOKENS, "duration_ms", *_SPENT)


@dataclass(frozen=True, slots=True)
class Delta:
    """One figure of both runs.

    Attributes:
        name: steps, llm_calls, tool_calls, agent_calls, events, errors; input_tokens, output_tokens,
            cache_read_tokens, cache_write_tokens, reasoning_tokens; duration_ms (from the first start
            to the last end), llm_ms and tool_ms (sums over the calls).
        a, b: The figures; None where nobody told: a run all of whose steps have one time tells none.
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


class _Figure(NamedTuple):
    """A figure of one run, its bound, and whether any step told it."""

    value: float | None
    bound: str | None = None
    is_told: bool = True


class Figures:
    """The figures of one run, of all of it or from some step on; adding up is left to `sum`."""

    def __init__(self, side: Side) -> None:
        run, self._types = side.run, side.types
        ended = run.ended
        of_type: dict[str, list[int]] = {kind: [] for kind in _SPENT.values()}
        for place, kind in enumerate(self._types):
            if kind in of_type and ended[place] is not None:
                of_type[kind].append(place)
        calls = _Calls(ended, of_type["llm_call"])
        self._sums = {name: (calls, calls.column(name, name)) for name in _TOKENS}
        for name, kind in _SPENT.items():
            steps = _Calls(ended, of_type[kind])
            self._sums[name] = (steps, steps.column("duration_ms", name))
        self._errors = [
            place
            for place, record in enumerate(ended)
            if record is not None and record.error is not None and self._types[place] != "event"
        ]
        self._starts = [
            _started_at(record) if begun is None else begun.ts
            for begun, record in zip(run.begun, side.records, strict=True)
        ]
        self._ends: list[float] = [record.ts for record in side.records]

    def since(self, place: int) -> dict[str, _Figure]:
        """Return every figure of the steps from *place* on."""
        types = self._types[place:]
        counts = {name: types.count(kind) for kind, name in _COUNTS.items()}
        counts = {"steps": len(types) - counts["events"], **counts}
        counts["errors"] = len(self._errors) - bisect_left(self._errors, place)
        found = {name: _Figure(number) for name, number in counts.items()}
        found["duration_ms"] = self._lasted(place)
        for name, (calls, column) in self._sums.items():
            found[name] = column.since(bisect_left(calls.places, place))
        return found

    def _lasted(self, place: int) -> _Figure:
        starts, ends = self._starts[place:], self._ends[place:]
        lasted = (max(ends) - min(starts)) * 1000 if starts else 0.0
        # All at one time: whoever recorded it had no clock.
        is_told = isfinite(lasted) and lasted > 0
        return _Figure(round(lasted, 3) if is_told else None, None, is_told)


class _Calls:
    """The ended steps of one type."""

    def __init__(self, ended: Sequence[Record | None], places: list[int]) -> None:
        self.places = places
        self._records: list[Any] = [ended[place] for place in places]
        bounds = [record.bounds for record in self._records]
        self._bounds = bounds if bounds.count(None) < len(bounds) else []

    def column(self, field: str, name: str) -> _Column:
        values = list(map(attrgetter(field), self._records))
        bounds = [bound.get(field) if bound else None for bound in self._bounds]
        return _Column(values, bounds, name)


class _Column:
    """One figure of many steps: a sum over any number of the last of them."""

    def __init__(self, values: list[Any], bounds: list[str | None], name: str) -> None:
        self._most = MAX_TOKENS if name in _TOKENS else float("inf")
        self._is_optional = name in _OPTIONAL
        self._values, self._bounds = values, bounds

    def since(self, place: int) -> _Figure:
        values, bounds = self._values[place:], set(self._bounds[place:])
        if not values:
            return _Figure(0, None, is_told=False)
        told = [value for value in values if value is not None] if None in values else values
        if not told:
            return _Figure(None, None, is_told=False)
        # What cannot be was not told.
        if not (isfinite(sum(told)) and min(told) >= 0 and max(told) <= self._most):
            told = [value for value in told if 0 <= value <= self._most and isfinite(value)]
            bounds.add("lower")
        elif len(told) < len(values) and not self._is_optional:
            bounds.add("lower")
        bounds.discard(None)
        bound = bounds.pop() if len(bounds) == 1 else "unknown" if bounds else None
        return _Figure(sum(told), bound) if told else _Figure(None, None, is_told=False)


def _started_at(record: Record) -> float:
    if record.start_ts is not None:
        return record.start_ts
    return record.ts - max(record.duration_ms or 0.0, 0.0) / 1000


def deltas_of(one: Figures, other: Figures, begin: int = 0, other_begin: int = 0) -> list[Delta]:
    """Return every figure that either run tells, of its steps from some place on."""
    left, right = one.since(begin), other.since(other_begin)
    return [
        Delta(name, left[name].value, right[name].value, left[name].bound, right[name].bound)
        for name in _NAMES
        if left[name].is_told or right[name].is_told
    ]
