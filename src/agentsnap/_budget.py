"""`Budget`: stops, or warns, before the next call.

A budget is the guard of a log (`StepLog(..., guard=budget)`): it is asked before each measured
step begins and before a tap lets a request to a model go, and told every record of the log.

    asked about an llm_call   counted now, so that of several threads only as many pass as there
                              are calls left; in flight until its record comes
    its record                tokens and dollars are added; no longer in flight
    a plain record            a call nobody was asked about: counted with its tokens and dollars

What a call in flight will use is not known. It counts as `reserve_tokens` and `reserve_usd`
until its record comes; without those, calls in flight together may go over the limit by what
they use. The lock is held for arithmetic only: events and warnings come after it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from agent_run_id import current_run
from agentsnap._amount import NO_COST, NO_TOKENS
from agentsnap._budget_words import Finding, tell
from agentsnap._tally import Forkable, Groups, Sum, day_of
from agentsnap._tracker import UsageTracker
from agentsnap.errors import BudgetExceeded

if TYPE_CHECKING:
    from agent_step_log import StepAhead
    from agentsnap._amount import Tokens, Usd
    from agentsnap._tally import Prices, Totals

__all__ = ["Budget", "Budgets", "Spent"]

Per: TypeAlias = Literal["run", "day", "agent"]

#: Groups whose figures are kept; a process has seldom as many runs going on.
MAX_GROUPS = 10_000

_LLM_LIMITS = ("usd", "tokens", "calls")


@dataclass(frozen=True, slots=True)
class Spent:
    """What has been used of a budget, in one run, day or agent.

    Attributes:
        calls: Calls of a model that were begun.
        in_flight: Those of them that have not ended.
        tool_calls: Calls of tools that were begun.
        tokens, usd: Used by the calls that have ended.
    """

    calls: int = 0
    in_flight: int = 0
    tool_calls: int = 0
    tokens: Tokens = field(default=NO_TOKENS)
    usd: Usd = field(default=NO_COST)


class _State:
    """What has been used, and what has been said about it."""

    __slots__ = ("calls", "in_flight", "said", "tokens", "tool_calls", "usd")

    def __init__(self) -> None:
        self.calls = self.in_flight = self.tool_calls = 0
        self.tokens, self.usd = Sum(0), Sum(NO_COST.known)
        self.said: set[tuple[str, str]] = set()

    def say_once(self, event: str, limit_of: str) -> bool:
        if (event, limit_of) in self.said:
            return False
        self.said.add((event, limit_of))
        return True


class Budget(Forkable):
    """What may be spent in one run, on one day or by one agent. At least one limit is given.

    Safe from any thread, task and signal handler of one process; a child run spends from the
    budget of its root. Of parallel calls exactly *calls* begin; for tokens and dollars see
    *reserve_tokens*. A forked child goes on from the figures at the fork, on its own.

    Args:
        usd: Dollars, at least 0.
        tokens: Tokens, in and out together.
        calls: Calls of a model; one that its SDK tries again is one call.
        tool_calls: Calls of tools. Those found on the wire are counted, too; refused are those
            that are measured.
        per: What each has its own: "run" (default), "day" (local date) or "agent" (by name, in
            all runs of this process).
        action: "raise" (default): a call beyond the limit is refused with `BudgetExceeded`;
            "warn": it is made, and told once.
        warn_at: The part of a limit at which an event ``budget.warning`` and a `BudgetWarning`
            tell of it, once. Default: 0.8. None: never.
        reserve_tokens, reserve_usd: What a call counts for while it is in flight. A call begins only
            where that much is left. Default: 0.
        strict: A call whose tokens or price nobody knows uses the budget up. Default: it counts as
            nothing, and an event ``budget.unknown`` and a `BudgetWarning` tell so once.
        prices: What prices the calls. Default: `Prices.load()`, if there is a limit in *usd*.

    Raises:
        ValueError: No limit, a negative one, or a setting that does not exist.
        MissingExtraError: *usd* without *prices*, and the price library is not installed.
    """

    def __init__(
        self,
        *,
        usd: Decimal | float | str | None = None,
        tokens: int | None = None,
        calls: int | None = None,
        tool_calls: int | None = None,
        per: Per = "run",
        action: Literal["raise", "warn"] = "raise",
        warn_at: float | None = 0.8,
        reserve_tokens: int = 0,
        reserve_usd: Decimal | float | str = 0,
        strict: bool = False,
        prices: Prices | None = None,
    ) -> None:
        super().__init__()
        if per not in ("run", "day", "agent"):
            raise ValueError(f'per must be "run", "day" or "agent", not {per!r}')
        if action not in ("raise", "warn"):
            raise ValueError(f'action must be "raise" or "warn", not {action!r}')
        if warn_at is not None and not 0 < warn_at <= 1:
            raise ValueError(f"warn_at must be above 0 and at most 1, not {warn_at}")
        self.limits: dict[str, Any] = {
            name: limit
            for name, limit in (
                ("usd", None if usd is None else _dollars("usd", usd)),
                ("tokens", _number("tokens", tokens)),
                ("calls", _number("calls", calls)),
                ("tool_calls", _number("tool_calls", tool_calls)),
            )
            if limit is not None
        }
        if not self.limits:
            raise ValueError("a budget needs a limit: usd, tokens, calls or tool_calls")
        self.per: Per = per
        self.action = action
        #: What is used of a limit when it is told of.
        self._marks: dict[str, Any] = {}
        if warn_at is not None:
            self._marks = {name: limit * Decimal(str(warn_at)) for name, limit in self.limits.items()}
        self._reserve: dict[str, Any] = {
            "tokens": _number("reserve_tokens", reserve_tokens),
            "usd": _dollars("reserve_usd", reserve_usd),
        }
        self._is_strict = strict
        if prices is None and usd is not None:
            from agentsnap._prices import Prices as PriceList

            prices = listed = PriceList.load()
            _ = listed.version  # opens the list: what is missing is said now, and no call waits for it
        #: Totals by run, model, agent and day of what the budget was told.
        self.usage = UsageTracker(prices=prices)
        self._states: Groups[_State] = Groups(_State, MAX_GROUPS)
        # run id -> its root's. A list, for a value of `Groups` is made before it is known.
        self._roots: Groups[list[str]] = Groups(list, MAX_GROUPS)

    def spent(self, group: str | None = None) -> Spent:
        """Return what has been used.

        Args:
            group: The root run's id, the date (``2026-01-31``) or the agent's name. Default: the
                current run's, today's, or the agent without a name.
        """
        if group is None and self.per == "run":
            run = current_run()
            group = None if run is None else str(run.root_run_id)
        elif group is None and self.per == "day":
            group = day_of()
        with self._lock:
            state = self._states.get(group) or _State()
            return Spent(
                state.calls, state.in_flight, state.tool_calls, state.tokens.amount(), state.usd.amount()
            )

    # -- as the guard of a log -------------------------------------------------

    def __call__(self, ahead: StepAhead) -> None:
        """Let the step begin, and count it; or refuse it.

        Raises:
            BudgetExceeded: A limit is reached, and *action* is "raise".
        """
        with self._lock:
            self._roots[ahead.run_id] = [self._root_of(ahead.root_run_id)]
            group = self._group_of(ahead)
            state = self._states[group]
            over = self._over(state, ahead.type)
            # Before it is counted: so much had been used when there was no more.
            exceeded = None if over is None else self._finding("budget.exceeded", over, state, group)
            told = [self._finding("budget.unknown", name, state, group) for name in self._unknown(state)]
            if over is None or self.action == "warn":
                if ahead.type == "llm_call":
                    state.calls += 1
                    state.in_flight += 1
                elif ahead.type == "tool_call":
                    state.tool_calls += 1
                if exceeded is not None and state.say_once("budget.exceeded", exceeded.limit_of):
                    told.append(exceeded)
            told += [self._finding("budget.warning", name, state, group) for name in self._near(state, over)]
        for finding in told:
            tell(finding, ahead)
        if exceeded is not None and self.action == "raise":
            raise BudgetExceeded(exceeded.sentence(ahead), exceeded.facts())

    def emit(self, topic: str, record: Any) -> None:
        """Take one record of the log."""
        added = self.usage.take(topic, record)
        if topic == "run.start" and record.parent_run_id is not None:
            with self._lock:
                self._roots[record.run_id] = [self._root_of(record.parent_run_id)]
        elif added is not None:
            self._spend(record, added)

    def give_back(self, ahead: StepAhead) -> None:
        """Take back what was counted for *ahead*: it was let begin here, and refused elsewhere."""
        with self._lock:
            state = self._states[self._group_of(ahead)]
            if ahead.type == "llm_call":
                state.calls -= 1
                state.in_flight -= 1
            elif ahead.type == "tool_call":
                state.tool_calls -= 1

    def _spend(self, record: Any, added: Totals) -> None:
        began = getattr(record, "start_ts", None)
        with self._lock:
            state = self._states[self._group_of_record(record, began)]
            if began is None:
                # A plain record: nobody was asked, for the call was over.
                state.calls += added.calls
                state.tool_calls += added.tool_calls
            elif added.calls:
                state.in_flight = max(state.in_flight - 1, 0)
            if added.calls:
                state.tokens.add(added.tokens)
                state.usd.add(added.usd)

    def _root_of(self, run_id: str) -> str:
        known = self._roots.get(run_id)
        return known[0] if known else run_id

    def _group_of(self, ahead: StepAhead) -> str | None:
        if self.per == "run":
            return self._root_of(ahead.run_id)
        if self.per == "day":
            return day_of()
        # Of an agent that is about to begin, its own counts, not its caller's.
        return ahead.name if ahead.type == "agent_call" else ahead.agent

    def _group_of_record(self, record: Any, began: float | None) -> str | None:
        if self.per == "run":
            return self._root_of(record.run_id)
        if self.per == "day":
            return day_of(record.ts if began is None else began)
        return self.usage.agent_of(record)

    def _after_fork(self) -> None:
        super()._after_fork()
        for state in self._states.as_dict().values():
            state.in_flight = 0  # the parent's to end

    # -- the limits; all with the lock held ------------------------------------

    def _over(self, state: _State, kind: str) -> str | None:
        """Return the limit that keeps a step of this type from beginning, or None."""
        for name in ("tool_calls",) if kind == "tool_call" else _LLM_LIMITS:
            limit = self.limits.get(name)
            if limit is None:
                continue
            spent = getattr(state, name)
            if not isinstance(spent, Sum):
                is_over = spent >= limit
            else:
                reserved = (state.in_flight + 1) * self._reserve[name]
                is_over = (
                    spent.known >= limit
                    or spent.known + reserved > limit
                    or (self._is_strict and not spent.is_whole)
                )
            if is_over:
                return name
        return None

    def _unknown(self, state: _State) -> list[str]:
        return [
            name
            for name in ("usd", "tokens")
            if name in self.limits
            and not getattr(state, name).is_whole
            and state.say_once("budget.unknown", name)
        ]

    def _near(self, state: _State, over: str | None) -> list[str]:
        found = []
        for name, mark in self._marks.items():
            spent = getattr(state, name)
            known = spent.known if isinstance(spent, Sum) else spent
            if known >= mark and name != over and state.say_once("budget.warning", name):
                found.append(name)
        return found

    def _finding(self, event: str, name: str, state: _State, group: str | None) -> Finding:
        spent = getattr(state, name)
        return Finding(
            event,
            name,
            limit=self.limits[name],
            spent=spent.amount() if isinstance(spent, Sum) else spent,
            in_flight=state.in_flight,
            per=self.per,
            group=group,
            is_refused=self.action == "raise",
        )


class Budgets:
    """Several budgets as one guard: a call begins where all of them let it.

    ``Budgets(Budget(usd=1), Budget(usd=20, per="day"))``. Where one refuses, the others count nothing.
    """

    def __init__(self, *budgets: Budget) -> None:
        self.budgets = budgets

    def __call__(self, ahead: StepAhead) -> None:
        """Ask each of them, in order.

        Raises:
            BudgetExceeded: The first that refuses.
        """
        for place, budget in enumerate(self.budgets):
            try:
                budget(ahead)
            except BudgetExceeded:
                for passed in self.budgets[:place]:
                    passed.give_back(ahead)
                raise

    def emit(self, topic: str, record: Any) -> None:
        """Tell each of them of one record."""
        for budget in self.budgets:
            budget.emit(topic, record)


def _number(name: str, value: int | None) -> int | None:
    if value is not None and (type(value) is not int or value < 0):
        raise ValueError(f"{name} must be a whole number from 0, not {value!r}")
    return value


def _dollars(name: str, value: Decimal | float | str) -> Decimal:
    try:
        dollars = Decimal(str(value))
    except ArithmeticError:
        dollars = Decimal(-1)
    if not dollars.is_finite() or dollars < 0:
        raise ValueError(f"{name} must be dollars from 0, not {value!r}")
    return dollars
