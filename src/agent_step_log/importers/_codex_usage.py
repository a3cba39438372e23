"""Accounting for Codex: what each answer used, from counters that repeat themselves.

Codex writes a running total after each answer, often twice, and a fork carries
its parent's. The rules, by the numbers docs/importers.md gives them:

    X1  a token_usage_record of this thread is believed over counters, once per response_id
    X2  otherwise an answer used what the total grew by; an unchanged total is a repetition
    X4  cached tokens are a part of the input and reasoning a part of the output
    X5  a total that falls is not a total: the run then has no token sums, and says so

Pure functions of payloads; nothing here opens a file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from agent_step_log.importers._transcripts import as_count, as_dict

_KEYS = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_output_tokens", "total_tokens")


@dataclass(slots=True)
class Usage:
    """What one loop step of the agent used; the counts of every step add up to the total."""

    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    reasoning_tokens: int | None
    #: the provider's own object
    verbatim: dict[str, Any] | None
    bounds: dict[str, str] = field(default_factory=dict)


def vector_of(usage: Any) -> tuple[int, ...] | None:
    """Return the five counts of a usage object, None if it does not count input and output."""
    counts = as_dict(usage)
    if as_count(counts.get("input_tokens")) is None or as_count(counts.get("output_tokens")) is None:
        return None
    return tuple(as_count(counts.get(key)) or 0 for key in _KEYS)


def usage_of(counts: dict[str, Any]) -> Usage:
    """Return one answer's own usage object in the meaning every step log gives these words (X4)."""
    return Usage(
        as_count(counts.get("input_tokens")),
        as_count(counts.get("output_tokens")),
        as_count(counts.get("cached_input_tokens")),
        as_count(counts.get("reasoning_output_tokens")),
        counts or None,
    )


class Meter:
    """A running total being read."""

    def __init__(self) -> None:
        self.total: tuple[int, ...] | None = None
        #: the total of the parent's history, until an own count shows whether it goes on from there
        self.inherited: tuple[int, ...] | None = None
        self.has_fallen = False

    def inherit(self, info: Any) -> None:
        """Take a count that is the parent's."""
        self.inherited = vector_of(as_dict(info).get("total_token_usage")) or self.inherited

    def read(self, info: Any) -> Usage | None:
        """Return what was used since the last count, None if nothing was counted (X2, X5)."""
        facts = as_dict(info)
        last = as_dict(facts.get("last_token_usage"))
        total = vector_of(facts.get("total_token_usage"))
        if total is None:
            return usage_of(last) if vector_of(last) else None
        base = self._base(total, vector_of(last))
        self.total, self.inherited = total, None
        if total == base:
            return None
        if any(now < before for now, before in zip(total, base, strict=True)):
            return self._fallen(last)
        return _grown(facts.get("total_token_usage"), total, base, last)

    def _base(self, total: tuple[int, ...], last: tuple[int, ...] | None) -> tuple[int, ...]:
        if self.inherited is not None and total == last:
            return (0,) * len(_KEYS)  # a subagent that counts from nothing
        return self.total or self.inherited or (0,) * len(_KEYS)

    def _fallen(self, last: dict[str, Any]) -> Usage | None:
        self.has_fallen = True
        usage = usage_of(last)
        # Whether this answer was counted before the fall as well cannot be known.
        usage.bounds = {"input_tokens": "upper", "output_tokens": "upper"}
        return usage if vector_of(last) else None


def _grown(shape: Any, total: tuple[int, ...], base: tuple[int, ...], last: dict[str, Any]) -> Usage:
    grown = [now - before for now, before in zip(total, base, strict=True)]
    counts = {key: count for key, count in zip(_KEYS, grown, strict=True) if key in as_dict(shape)}
    usage = usage_of(counts)
    usage.verbatim = last or counts
    own = vector_of(last)
    if own is not None and any(told > seen for told, seen in zip(own, grown, strict=True)):
        # The answer alone is said to have used more than the total grew by.
        usage.bounds = {"input_tokens": "lower", "output_tokens": "lower"}
    return usage
