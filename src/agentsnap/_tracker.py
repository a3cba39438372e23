"""`UsageTracker`: running totals of this process, as calls end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

from agentsnap._tally import Forkable, Groups, Sums, added_by, day_of

if TYPE_CHECKING:
    from agentsnap._amount import Tokens, Usd
    from agentsnap._tally import Prices, Totals

__all__ = ["OTHER", "UsageTracker"]

#: The group that takes the sums of those that gave way.
OTHER = "(other)"

_BY = ("run", "model", "agent", "day")
_TOPICS = ("run.start", "step.llm_call", "step.tool_call")


class UsageTracker(Forkable):
    """Running totals of calls, tokens and dollars, by run, model, agent and day.

    ``UsageTracker(bus)`` follows every log that publishes to *bus*, ``UsageTracker(log)`` that log;
    it also is a bus itself: ``StepLog(..., bus=tracker)``. What ended before is not in it.
    Safe from any thread. Memory is constant for each group, and there are at most *max_groups*
    of each kind. A forked child goes on from the figures at the fork, on its own.

    Args:
        source: What to follow from the start; see `attach`. Default: nothing yet.
        prices: Prices each call as it ends, on the thread that ends it. Default: nobody
            does, and `usd` is unknown.
        max_groups: Groups kept of each kind. The sums of one that gives way, the longest unused,
            go on in the group ``(other)``. Default: 1000.

    Raises:
        TypeError: *source* cannot be followed.
        ValueError: *max_groups* is less than 1.
    """

    def __init__(self, source: Any = None, *, prices: Prices | None = None, max_groups: int = 1000) -> None:
        if max_groups < 1:
            raise ValueError(f"max_groups must be at least 1, not {max_groups}")
        super().__init__()
        self._prices = prices
        self._all = Sums()
        self._others: dict[str, Sums] = {}
        self._groups: dict[str, Groups[Sums]] = {
            by: Groups(Sums, max_groups, lambda _, sums, by=by: self._give_way(by, sums))  # type: ignore[misc]
            for by in _BY
        }
        # The agents of runs: a record names only an agent other than its run's.
        self._agents: Groups[list[str | None]] = Groups(lambda: [None], max_groups)
        if source is not None:
            self.attach(source)

    def attach(self, source: Any) -> None:
        """Follow *source* too: a bus (anything with ``on``), or a `StepLog`. Attach to each log once.

        Raises:
            TypeError: It is neither.
        """
        if callable(getattr(source, "on", None)):
            for topic in _TOPICS:
                source.on(topic, self.emit)
        elif callable(getattr(source, "publish_to", None)):
            source.publish_to(self)
        else:
            raise TypeError(f"a bus or a StepLog can be followed, not {type(source).__name__}")

    def emit(self, topic: str, record: Any) -> None:
        """Take one record, published under *topic*."""
        self.take(topic, record)

    def take(self, topic: str, record: Any) -> Totals | None:
        """Take one record, published under *topic*, and return what it added; None: nothing."""
        if topic == "run.start":
            with self._lock:
                self._agents[record.run_id] = [record.agent]
            return None
        added = added_by(topic, record, self._prices)
        if added is None:
            return None
        model = record.model if topic == "step.llm_call" else None
        day = day_of(record.ts)
        with self._lock:
            self._all.add(added)
            names = {"run": record.run_id, "agent": self.agent_of(record), "day": day}
            if topic == "step.llm_call":
                names["model"] = model
            for by, name in names.items():
                self._groups[by][name].add(added)
        return added

    def agent_of(self, record: Any) -> str | None:
        """Return the agent whose step *record* is: its scope's, else its run's, where that was heard of."""
        if record.agent is not None:
            return str(record.agent)
        known = self._agents.get(record.run_id)
        return known[0] if known is not None else None

    @overload
    def totals(self, by: None = None) -> Totals: ...
    @overload
    def totals(self, by: Literal["run", "model", "agent", "day"]) -> dict[str | None, Totals]: ...
    def totals(self, by: str | None = None) -> Totals | dict[str | None, Totals]:
        """Return the sums up to now.

        Args:
            by: "run", "model", "agent" or "day" (local date): one `Totals` for each, the longest
                unused first; under None what names none. Tool calls have no model. Default: one
                `Totals` for everything.

        Raises:
            ValueError: *by* is something else.
        """
        if by is not None and by not in _BY:
            raise ValueError(f'by must be "run", "model", "agent" or "day", not {by!r}')
        with self._lock:
            if by is None:
                return self._all.totals()
            found = {name: sums.totals() for name, sums in self._groups[by].as_dict().items()}
            if by in self._others:
                found[OTHER] = self._others[by].totals()
            return found

    @property
    def calls(self) -> int:
        """Calls of a model that have ended."""
        return self._all.calls

    @property
    def tokens(self) -> Tokens:
        """Their tokens, in and out."""
        with self._lock:
            return self._all.tokens

    @property
    def usd(self) -> Usd:
        """What they cost, in dollars."""
        with self._lock:
            return self._all.usd

    def _give_way(self, by: str, sums: Sums) -> None:
        self._others.setdefault(by, Sums()).add(sums.totals())
