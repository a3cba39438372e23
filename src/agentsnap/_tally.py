"""Counting as it happens: what one record adds, and groups of such sums in bounded memory."""

from __future__ import annotations

import os
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import RLock
from time import localtime, strftime, time
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar
from weakref import WeakSet

from agent_step_log import Record
from agent_step_log.limits import MAX_TOKENS
from agentsnap._amount import NO_COST, NO_TOKENS, UNKNOWN_COST, Amount, add_usd
from agentsnap._counts import counts_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentsnap._amount import Tokens, Usd

__all__ = ["Forkable", "Groups", "Prices", "Sum", "Sums", "Totals", "added_by", "day_of"]

#: What a record tells of its tokens, and of having been refused.
_COUNTED = (
    *("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens"),
    *("usage", "bounds", "stop_reason", "error", "error_type"),
)
_DOUBTS = ("cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "bounds")


class Prices(Protocol):
    """What is asked for the cost of a call; `agentsnap.Prices` is one."""

    def cost_of(self, record: Any, /) -> Any:
        """Return the cost of *record* as `amount`, and its tokens as `input` and `output`."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over some calls, as far as they are over.

    Attributes:
        calls: Calls of a model.
        tool_calls: Calls of tools.
        errors: Those of both that failed.
        input_tokens: Whole prompts, cached parts included.
        output_tokens: Answers, reasoning included.
        usd: Dollars; unknown where nobody has priced them.
    """

    calls: int = 0
    tool_calls: int = 0
    errors: int = 0
    input_tokens: Tokens = field(default=NO_TOKENS)
    output_tokens: Tokens = field(default=NO_TOKENS)
    usd: Usd = field(default=NO_COST)

    @property
    def tokens(self) -> Tokens:
        """Input and output together."""
        return self.input_tokens + self.output_tokens


class Sums:
    """The same, being added up; not thread-safe."""

    __slots__ = ("_input", "_output", "_usd", "calls", "errors", "tool_calls")

    def __init__(self) -> None:
        self.calls = self.tool_calls = self.errors = 0
        self._input, self._output, self._usd = Sum(0), Sum(0), Sum(NO_COST.known)

    def add(self, added: Totals) -> None:
        """Add what one or more calls came to."""
        self.calls += added.calls
        self.tool_calls += added.tool_calls
        self.errors += added.errors
        if added.calls:
            self._input.add(added.input_tokens)
            self._output.add(added.output_tokens)
            self._usd.add(added.usd)

    @property
    def tokens(self) -> Tokens:
        """Input and output together."""
        return self._input.amount() + self._output.amount()

    @property
    def usd(self) -> Usd:
        """Dollars."""
        return self._usd.amount()

    def totals(self) -> Totals:
        """Return the sums as they are now."""
        figures = self._input.amount(), self._output.amount(), self._usd.amount()
        return Totals(self.calls, self.tool_calls, self.errors, *figures)


class Sum:
    """An `Amount` being added up: one is made when it is asked for, not for every call."""

    __slots__ = ("is_whole", "known")

    def __init__(self, nothing: Any) -> None:
        self.known, self.is_whole = nothing, True

    def add(self, amount: Amount[Any]) -> None:
        """Add one more."""
        known = amount.known
        if known:
            self.known = self.known + known if type(known) is int else add_usd(self.known, known)
        if not amount.is_whole:
            self.is_whole = False

    def amount(self) -> Amount[Any]:
        """Return the sum as it is now."""
        return Amount(self.known, self.is_whole)


def added_by(topic: str, record: Any, prices: Prices | None) -> Totals | None:
    """Return what *record*, published under *topic*, adds; None: it is no call that has ended."""
    errors = 0 if getattr(record, "error", None) is None else 1
    if topic == "step.tool_call":
        return Totals(tool_calls=1, errors=errors)
    if topic != "step.llm_call":
        return None
    cost = _cost(prices, record)
    if cost is None and _is_plain(record):
        tokens = Amount(record.input_tokens), Amount(record.output_tokens)
        return Totals(1, 0, errors, *tokens, UNKNOWN_COST)
    if cost is None:
        counts = counts_of(_read_back(record))
        return Totals(1, 0, errors, counts.input, counts.output, UNKNOWN_COST)
    return Totals(1, 0, errors, cost.input, cost.output, cost.amount)


def _cost(prices: Prices | None, record: Any) -> Any:
    if prices is None:
        return None
    try:
        return prices.cost_of(record)
    except Exception:  # noqa: BLE001  a record of any shape, prices of anybody: the agent is making a call
        return None


def _is_plain(record: Any) -> bool:
    """Whether what a record says of its tokens can be taken at its word. Most can: no closer look."""
    return (
        type(record.input_tokens) is type(record.output_tokens) is int
        and 0 <= record.input_tokens <= MAX_TOKENS
        and 0 <= record.output_tokens <= MAX_TOKENS
        and not any(getattr(record, name, None) for name in _DOUBTS)
    )


def _read_back(record: Any) -> Record:
    """Return what counting needs of a record as it is written, as one that has been read."""
    read = Record("", 0, "llm_call", 0.0)
    for name in _COUNTED:
        value = getattr(record, name, None)
        if value is not None:
            setattr(read, name, value)
    return read


def day_of(ts: float | None = None) -> str:
    """Return the local date (``2026-01-31``) of Unix seconds *ts*; default, and where it has none: today."""
    try:
        return strftime("%Y-%m-%d", localtime(ts))
    except (ValueError, OverflowError, OSError, TypeError):
        return strftime("%Y-%m-%d", localtime(time()))


Value = TypeVar("Value")


class Groups(Generic[Value]):
    """Values by name, the *limit* last used; not thread-safe.

    Args:
        make: Makes the value of a name met for the first time.
        limit: How many are kept. The one longest unused gives way.
        leaving: Told the name and value of one that gives way. Default: it is forgotten.
    """

    def __init__(
        self,
        make: Callable[[], Value],
        limit: int,
        leaving: Callable[[str | None, Value], None] | None = None,
    ) -> None:
        self._make, self._limit, self._leaving = make, limit, leaving
        self._kept: OrderedDict[str | None, Value] = OrderedDict()

    def __getitem__(self, name: str | None) -> Value:
        kept = self._kept
        value = kept.get(name)
        if value is None:
            value = self._make()
            while len(kept) >= self._limit:
                gone = kept.popitem(last=False)
                if self._leaving is not None:
                    self._leaving(*gone)
            kept[name] = value
        else:
            kept.move_to_end(name)
        return value

    def __setitem__(self, name: str | None, value: Value) -> None:
        _ = self[name]
        self._kept[name] = value

    def get(self, name: str | None) -> Value | None:
        """Return the value of *name* without making one."""
        return self._kept.get(name)

    def as_dict(self) -> dict[str | None, Value]:
        """Return them all, the longest unused first."""
        return dict(self._kept)


class Forkable:
    """Something with a lock that a forked child must not find taken."""

    def __init__(self) -> None:
        # Protects the sums, for as long as adding takes; nothing of the agent's runs inside. Reentrant:
        # a signal handler or finaliser may record in the middle of it.
        self._lock = RLock()
        _all.add(self)

    def _after_fork(self) -> None:
        self._lock = RLock()


_all: WeakSet[Forkable] = WeakSet()


def _fork_all() -> None:
    for one in list(_all):
        one._after_fork()


os.register_at_fork(after_in_child=_fork_all)
