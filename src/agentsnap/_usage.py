"""Usage and cost of logs in groups: by day, week, month, session, run, model, provider, agent, task, tool.

One pass over the records, whose memory follows the groups and the runs. Every model call is
priced on its own (`agentsnap._prices`) and counted once (`agentsnap._ledger`), in one group:
the groups add up to the total, whatever they are by.

    session   the session a transcript names, else the run that started all others
    agent     the agent whose step it is, else the run's
    task      `task_type` of the run
    tool      the tools whose results the call reads: those that ended since the model call
              before it in the same scope, all together; nothing is split among them
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from math import inf
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from agentsnap._amount import Amount, Tokens, Usd, add_usd, scale_usd
from agentsnap._calendar import Calendar
from agentsnap._ledger import MISSING, UNFINISHED, Ledger, Problem
from agentsnap._prices import Prices
from agentsnap._quick import UNIT_DECIMALS, may_be_quick, quick_cost
from agentsnap._reading import read_records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import tzinfo

    from agent_step_log import Damage, Record
    from agentsnap._ledger import RunState
    from agentsnap._prices import CallCost
    from agentsnap._reading import Sources

__all__ = ["By", "Group", "UsageTable", "usage_of", "usage_of_records"]

By: TypeAlias = Literal[
    "day", "week", "month", "session", "run", "model", "provider", "agent", "task", "tool"
]
_IN_TIME = frozenset({"day", "week", "month"})
_MOST_NOTES = 200


@dataclass(slots=True)
class Group:
    """The calls of one group.

    Attributes:
        key: What the calls have in common; None where their records do not tell it.
        calls: Model calls counted.
        runs: How many runs they are of.
        input, output, cache_read, cache_write, reasoning: Tokens; the cached ones are part of the input,
            reasoning is part of the output.
        cost: USD.
        notes: Why the cost is not exact, and of how many calls.
        models: The same by model, the dearest first; empty in those.
        first_ts, last_ts: When the first and the last of the calls was recorded (Unix seconds).
    """

    key: str | None
    calls: int
    runs: int
    input: Tokens
    output: Tokens
    cache_read: Tokens
    cache_write: Tokens
    reasoning: Tokens
    cost: Usd
    notes: dict[str, int]
    models: list[Group]
    first_ts: float | None
    last_ts: float | None

    @property
    def total(self) -> Tokens:
        """Input and output together."""
        return self.input + self.output

    def to_dict(self, name: str) -> dict[str, Any]:
        """Return the documented JSON shape; the key stands under *name*. Unknown is null."""
        amounts: dict[str, Amount[Any]] = {
            "input_tokens": self.input,
            "output_tokens": self.output,
            "cache_read_tokens": self.cache_read,
            "cache_write_tokens": self.cache_write,
            "reasoning_tokens": self.reasoning,
            "total_tokens": self.total,
            "cost_usd": self.cost,
        }
        plain = {key: _plain(amount.value) for key, amount in amounts.items()}
        return {
            name: self.key,
            "runs": self.runs,
            "calls": self.calls,
            **plain,
            "not_exact": {
                key: amount.exactness for key, amount in amounts.items() if amount.exactness != "exact"
            },
            "notes": self.notes,
            "first_ts": self.first_ts,
            "last_ts": self.last_ts,
        }


@dataclass(slots=True)
class UsageTable:
    """Usage in groups, and all of it together.

    Attributes:
        by: What the groups are by.
        groups: By time in its order, else the dearest first.
        total: All groups together.
        problems: Counts that cannot be true, and sums that do not add up; at most 1,000.
        problem_count: All of them.
        wrapper_count: Model calls left out because the calls made inside them are counted.
        repeated_count: Model calls left out because they were there twice.
        damage: Stretches of the logs that are no record.
        price_version: The price list; None where it was not needed.
    """

    by: str
    groups: list[Group]
    total: Group
    problems: list[Problem] = field(default_factory=list)
    problem_count: int = 0
    wrapper_count: int = 0
    repeated_count: int = 0
    damage: list[Damage] = field(default_factory=list)
    price_version: str | None = None

    def to_dict(self, *, has_models: bool = False) -> dict[str, Any]:
        """Return the documented JSON shape; with *has_models* each row has its ``models``."""
        rows = []
        for group in self.groups:
            row = group.to_dict(self.by)
            if has_models:
                row["models"] = [part.to_dict("model") for part in group.models]
            rows.append(row)
        total = self.total.to_dict("by")
        del total["by"]
        return {
            "by": self.by,
            "rows": rows,
            "total": total,
            "prices": self.price_version,
            "wrappers_left_out": self.wrapper_count,
            "repeated_left_out": self.repeated_count,
            "problem_count": self.problem_count,
            "problems": [
                {"run_id": problem.run_id, "step": problem.step, "what": problem.what}
                for problem in self.problems
            ],
        }


def usage_of(
    source: Sources,
    *,
    by: By = "day",
    since: float | None = None,
    until: float | None = None,
    timezone: tzinfo | None = None,
    prices: Prices | None = None,
) -> UsageTable:
    """Return usage and cost of *source* in groups.

    Args:
        source: A log, directory, pattern or transcript (Claude Code, Codex), or several of them.
        by: See the module.
        since, until: Only calls recorded from (Unix seconds), and before. Default: all.
        timezone: Of days, weeks (from Monday) and months. Default: the local one.
        prices: Default: those of the price list.

    Raises:
        LogSourceError: There is nothing at *source*.
        LogFormatError: A file named outright is neither log nor transcript.
        MissingExtraError: A price is needed and genai-prices is not installed (extra ``[cost]``), or a
            file is compressed and zstandard is not (extra ``[tap]``).
        OSError: A file cannot be read.
    """
    damage: list[Damage] = []
    records = read_records(source, damage.append)
    table = usage_of_records(records, by=by, since=since, until=until, timezone=timezone, prices=prices)
    table.damage = damage
    return table


def usage_of_records(
    records: Iterable[Record],
    *,
    by: By = "day",
    since: float | None = None,
    until: float | None = None,
    timezone: tzinfo | None = None,
    prices: Prices | None = None,
) -> UsageTable:
    """Do the same for records that were read already; see `usage_of`."""
    if by not in get_args(By):
        message = f"by has to be one of {', '.join(get_args(By))}, got {by!r}."
        raise ValueError(message)
    prices = prices if prices is not None else Prices()
    ledger = Ledger(watches_tools=by == "tool")
    key_of = _keys(by, Calendar(timezone), ledger)
    cells: dict[str | None, dict[str | None, _Cell]] = {}
    last: dict[str, _Cell] = {}  # where the last call of a run went
    is_bounded = since is not None or until is not None
    low, high = -inf if since is None else since, inf if until is None else until

    def cell_of(record: Record, state: RunState) -> _Cell | None:
        key = key_of(record, state)
        if is_bounded and not (low <= record.ts < high):
            return None
        row = cells.get(key)
        if row is None:
            row = cells[key] = {}
        model = record.model or record.request_model
        cell = row.get(model)
        if cell is None:
            cell = row[model] = _Cell()
        return cell

    for record in records:
        state = ledger.take(record)
        if state is None:
            continue
        cell = cell_of(record, state)
        if cell is None:
            continue
        last[record.run_id] = cell
        units = quick_cost(record, prices.rate_of(record).steps) if may_be_quick(record) else None
        if units is not None:
            cell.add_quickly(record, units)
            continue
        cost = prices.cost_of(record)
        for problem in cost.problems:
            ledger.tell(record.run_id, record.step, problem)
        cell.add(record, cost)
    for record, state in ledger.unfinished():
        cell = cell_of(record, state)
        if cell is not None:
            cell.add_unfinished(record)
    for run_id in ledger.incomplete:
        if run_id in last:
            last[run_id].miss(MISSING)
    if by == "session":
        cells = _by_session(cells, ledger)
    groups = [_group(key, row) for key, row in cells.items()]
    if by in _IN_TIME:
        groups.sort(key=lambda group: group.key or "")
    else:
        groups.sort(key=_dearest)
    everything: dict[str | None, _Cell] = {}
    for row in cells.values():
        for model, cell in row.items():
            everything.setdefault(model, _Cell()).merge(cell)
    return UsageTable(
        by,
        groups,
        _group(None, everything),
        ledger.problems,
        ledger.problem_count,
        ledger.wrapper_count,
        ledger.repeated_count,
        price_version=prices.version if prices.is_list_used else None,
    )


def _keys(by: str, calendar: Calendar, ledger: Ledger) -> Callable[[Record, RunState], str | None]:
    keys: dict[str, Callable[[Record, RunState], str | None]] = {
        "day": lambda record, _: calendar.day(record.ts),
        "week": lambda record, _: calendar.week(record.ts),
        "month": lambda record, _: calendar.month(record.ts),
        "session": lambda record, _: record.run_id,
        "run": lambda record, _: record.run_id,
        "model": lambda record, _: record.model or record.request_model,
        "provider": lambda record, _: record.provider,
        "agent": lambda record, state: record.agent or state.agent,
        "task": lambda _, state: state.task_type,
        "tool": lambda record, state: ledger.tools_before(state, record),
    }
    return keys[by]


def _by_session(
    cells: dict[str | None, dict[str | None, _Cell]], ledger: Ledger
) -> dict[str | None, dict[str | None, _Cell]]:
    """Put the runs of a session together; only now all headers are known."""
    sessions: dict[str | None, dict[str | None, _Cell]] = {}
    for run_id, row in cells.items():
        root = ledger.root_of(run_id or "")
        states = (ledger.runs.get(root), ledger.runs.get(run_id or ""))
        named = next((state.session_id for state in states if state and state.session_id), None)
        session = sessions.setdefault(named or root, {})
        for model, cell in row.items():
            session.setdefault(model, _Cell()).merge(cell)
    return sessions


class _Cell:
    """Running sums of one model in one group."""

    __slots__ = ("calls", "cost", "first", "is_whole", "known", "last", "notes", "runs", "units", "whole")

    def __init__(self) -> None:
        self.calls = self.units = 0
        self.runs: set[str] = set()
        self.known = [0, 0, 0, 0, 0]
        self.whole = [True, True, True, True, True]
        self.cost, self.is_whole = Decimal(0), True
        self.notes: Counter[str] = Counter()
        self.first: float | None = None
        self.last: float | None = None

    def add(self, record: Record, cost: CallCost) -> None:
        self.calls += 1
        self.runs.add(record.run_id)
        known, whole = self.known, self.whole
        for at, amount in enumerate(
            (cost.input, cost.output, cost.cache_read, cost.cache_write, cost.reasoning)
        ):
            known[at] += amount.known
            if not amount.is_whole:
                whole[at] = False
        self.cost = add_usd(self.cost, cost.amount.known)
        if not cost.amount.is_whole:
            self.is_whole = False
            for note in cost.notes:
                if note in self.notes or len(self.notes) < _MOST_NOTES:
                    self.notes[note] += 1
        self._span(record.ts, record.ts)

    def add_unfinished(self, record: Record) -> None:
        """Add a call of which only the beginning is there."""
        self.calls += 1
        self.runs.add(record.run_id)
        self.miss(UNFINISHED)
        self._span(record.ts, record.ts)

    def miss(self, why: str) -> None:
        """Make every sum a lower bound."""
        self.whole = [False, False, False, False, False]
        self.is_whole = False
        self.notes[why] += 1

    def add_quickly(self, record: Record, units: int) -> None:
        """Add an ordinary call; see `agentsnap._quick`."""
        self.calls += 1
        self.runs.add(record.run_id)
        self.units += units
        known = self.known
        known[0] += record.input_tokens  # type: ignore[operator]  # both are told
        known[1] += record.output_tokens  # type: ignore[operator]
        at = 2
        for number in (record.cache_read_tokens, record.cache_write_tokens, record.reasoning_tokens):
            if number is None:
                self.whole[at] = False
            else:
                known[at] += number
            at += 1
        ts = record.ts
        if self.first is None or self.last is None or not self.first <= ts <= self.last:
            self._span(ts, ts)

    def usd(self) -> Usd:
        """Return the cost."""
        return Amount(add_usd(self.cost, scale_usd(Decimal(self.units), -UNIT_DECIMALS)), self.is_whole)

    def merge(self, other: _Cell) -> None:
        self.calls += other.calls
        self.units += other.units
        self.runs |= other.runs
        self.known = [left + right for left, right in zip(self.known, other.known, strict=True)]
        self.whole = [left and right for left, right in zip(self.whole, other.whole, strict=True)]
        self.cost = add_usd(self.cost, other.cost)
        self.is_whole = self.is_whole and other.is_whole
        self.notes.update(other.notes)
        if other.first is not None and other.last is not None:
            self._span(other.first, other.last)

    def _span(self, first: float, last: float) -> None:
        if self.first is None or first < self.first:
            self.first = first
        if self.last is None or last > self.last:
            self.last = last


def _group(key: str | None, row: dict[str | None, _Cell]) -> Group:
    whole = _Cell()
    for cell in row.values():
        whole.merge(cell)
    models = [_made(model, cell, []) for model, cell in row.items()]
    models.sort(key=_dearest)
    return _made(key, whole, models)


def _made(key: str | None, cell: _Cell, models: list[Group]) -> Group:
    tokens: list[Tokens] = [Amount(known, whole) for known, whole in zip(cell.known, cell.whole, strict=True)]
    return Group(
        key=key,
        calls=cell.calls,
        runs=len(cell.runs),
        input=tokens[0],
        output=tokens[1],
        cache_read=tokens[2],
        cache_write=tokens[3],
        reasoning=tokens[4],
        cost=cell.usd(),
        notes=dict(cell.notes.most_common()),
        models=models,
        first_ts=cell.first,
        last_ts=cell.last,
    )


def _dearest(group: Group) -> tuple[Any, ...]:
    return (-group.cost.known, -group.total.known, group.key or "")


def _plain(value: int | Decimal | None) -> int | float | None:
    return float(value) if isinstance(value, Decimal) else value
