"""What two runs came to, and by how much that differs."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

from agent_debug_replay._diff_digest import KINDS, TOKENS

if TYPE_CHECKING:
    from agent_debug_replay._diff_digest import Column, Digest

__all__ = ["Delta", "deltas_of"]

#: Those a model call need not have: that it does not tell them says nothing about the sum.
_OPTIONAL = frozenset({"cache_read_tokens", "cache_write_tokens", "reasoning_tokens"})
_COUNTS = {"llm_call": "llm_calls", "tool_call": "tool_calls", "agent_call": "agent_calls", "event": "events"}
_NAMES = ("steps", *_COUNTS.values(), "errors", *TOKENS, "duration_ms", "llm_ms", "tool_ms")


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


def _figures(digest: Digest, place: int) -> dict[str, _Figure]:
    """Return every figure of the steps from *place* on."""
    kinds = digest.kinds[place:]
    counts = {name: kinds.count(KINDS[kind]) for kind, name in _COUNTS.items()}
    counts = {"steps": len(kinds) - counts["events"], **counts}
    counts["errors"] = len(digest.errors) - bisect_left(digest.errors, place)
    found = {name: _Figure(number) for name, number in counts.items()}
    found["duration_ms"] = _lasted(digest, place)
    for name, column in digest.columns.items():
        found[name] = _sum(name, column, place)
    return found


def _lasted(digest: Digest, place: int) -> _Figure:
    starts, ends = digest.starts[place:], digest.ends[place:]
    lasted = (max(ends) - min(starts)) * 1000 if starts else 0.0
    # All at one time: whoever recorded it had no clock.
    is_told = isfinite(lasted) and lasted > 0
    return _Figure(round(lasted, 3) if is_told else None, None, is_told)


def _sum(name: str, column: Column, place: int) -> _Figure:
    number = bisect_left(column.places, place)
    if number == len(column.places):
        return _Figure(0, None, is_told=False)
    total, bounds, has_untold, has_impossible = column.since(number)
    if total is None:
        return _Figure(None, None, is_told=False)
    if has_impossible or (has_untold and name not in _OPTIONAL):
        bounds.add("lower")
    return _Figure(total, bounds.pop() if len(bounds) == 1 else "unknown" if bounds else None)


def deltas_of(one: Digest, other: Digest, begin: int = 0, other_begin: int = 0) -> list[Delta]:
    """Return every figure that either run tells, of its steps from some place on."""
    left, right = _figures(one, begin), _figures(other, other_begin)
    return [
        Delta(name, left[name].value, right[name].value, left[name].bound, right[name].bound)
        for name in _NAMES
        if left[name].is_told or right[name].is_told
    ]
