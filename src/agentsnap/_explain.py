"""Where the cost of a run comes from: call by call, line by line, down to the record.

run      = sum of its calls
with its child runs = that, and the sum of the runs it started
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentsnap._amount import NO_COST, UNKNOWN_COST, UNKNOWN_TOKENS, sum_usd, usd_digits
from agentsnap._ledger import MISSING, UNFINISHED, Ledger
from agentsnap._prices import CallCost, Prices
from agentsnap._quick import usd_of
from agentsnap._reading import read_records
from agentsnap.errors import SnapError

if TYPE_CHECKING:
    from agent_step_log import Damage
    from agentsnap._amount import Usd
    from agentsnap._ledger import Problem
    from agentsnap._reading import Sources

__all__ = ["ExplainedCall", "Explanation", "explain"]


@dataclass(frozen=True, slots=True)
class ExplainedCall:
    """One model call and its derivation.

    Attributes:
        step, writer: Which record of the run it is.
        ts: When it was recorded (Unix seconds); its price is the one of that day (UTC).
    """

    step: int
    writer: str | None
    ts: float
    model: str | None
    provider: str | None
    cost: CallCost

    def to_dict(self) -> dict[str, Any]:
        """Return the documented JSON shape; amounts of lines are decimal text, as nothing is rounded."""
        cost = self.cost
        return {
            "step": self.step,
            "writer": self.writer,
            "ts": self.ts,
            "model": self.model,
            "provider": self.provider,
            "cost_usd": _text(cost.amount),
            "exactness": cost.amount.exactness,
            "source": cost.source,
            "price": cost.price,
            "tier": cost.tier,
            "lines": [
                {
                    "kind": line.kind,
                    "count": line.count,
                    "usd_per": None if line.unit_price is None else usd_digits(line.unit_price),
                    "per": line.per,
                    "above": line.above,
                    "cost_usd": _text(line.cost),
                    "exactness": line.cost.exactness,
                    "note": line.note,
                }
                for line in cost.lines
            ],
            "notes": list(cost.notes),
            "problems": list(cost.problems),
        }


@dataclass(frozen=True, slots=True)
class Explanation:
    """The cost of one run.

    Attributes:
        calls: The model calls that count, in the order of the log.
        total: Their sum.
        children: The runs it started, directly or not, and what each came to.
        total_with_children: All together.
        problems: What of this run cannot be, or does not add up.
    """

    run_id: str
    calls: list[ExplainedCall]
    total: Usd
    children: dict[str, Usd]
    total_with_children: Usd
    problems: list[Problem]
    damage: list[Damage]
    price_version: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return the documented JSON shape."""
        return {
            "run_id": self.run_id,
            "cost_usd": _text(self.total),
            "exactness": self.total.exactness,
            "calls": [call.to_dict() for call in self.calls],
            "children": [
                {"run_id": run_id, "cost_usd": _text(cost), "exactness": cost.exactness}
                for run_id, cost in self.children.items()
            ],
            "cost_with_children_usd": _text(self.total_with_children),
            "exactness_with_children": self.total_with_children.exactness,
            "prices": self.price_version,
            "problems": [{"step": problem.step, "what": problem.what} for problem in self.problems],
        }


def explain(source: Sources, run: str, *, prices: Prices | None = None) -> Explanation:
    """Derive the cost of one run.

    Args:
        source: As for `usage_of`.
        run: Its id, which may be shortened from either end.
        prices: Default: those of the price list.

    Raises:
        SnapError: No run of that id, or several; and all that `usage_of` raises.
    """
    prices = prices if prices is not None else Prices()
    ledger = Ledger()
    damage: list[Damage] = []
    sums: dict[str, Usd] = {}
    calls: dict[str, list[ExplainedCall]] = {}
    for record in read_records(source, damage.append):
        is_new = record.run_id not in ledger.runs
        state = ledger.take(record)
        if is_new and (record.run_id.startswith(run) or record.run_id.endswith(run)):
            calls[record.run_id] = []
        if state is None:
            continue
        if record.run_id not in calls:
            amount = usd_of(record, prices)
        else:
            cost = prices.cost_of(record)
            amount = cost.amount
            for problem in cost.problems:
                ledger.tell(record.run_id, record.step, problem)
            model = record.model or record.request_model
            calls[record.run_id].append(
                ExplainedCall(record.step, record.writer, record.ts, model, record.provider, cost)
            )
        sums[record.run_id] = sums.get(record.run_id, NO_COST) + amount
    for record, _ in ledger.unfinished():
        nothing = [UNKNOWN_TOKENS] * 5
        cost = CallCost(UNKNOWN_COST, "none", "", "standard", (), (UNFINISHED,), (), *nothing)
        sums[record.run_id] = sums.get(record.run_id, NO_COST) + UNKNOWN_COST
        if record.run_id in calls:
            calls[record.run_id].append(
                ExplainedCall(record.step, record.writer, record.ts, record.model, None, cost)
            )
    for incomplete in ledger.incomplete:
        ledger.tell(incomplete, 0, MISSING)
        sums[incomplete] = sums.get(incomplete, NO_COST) + UNKNOWN_COST
    run_id = _chosen(run, calls)
    children = {child: sums.get(child, NO_COST) for child in ledger.descendants(run_id)}
    total = sums.get(run_id, NO_COST)
    return Explanation(
        run_id,
        calls[run_id],
        total,
        children,
        sum_usd([total, *children.values()]),
        [problem for problem in ledger.problems if problem.run_id == run_id],
        damage,
        prices.version if prices.is_list_used else None,
    )


def _chosen(run: str, calls: dict[str, list[ExplainedCall]]) -> str:
    if run in calls:
        return run
    if len(calls) == 1:
        return next(iter(calls))
    if not calls:
        message = f"There is no run {run!r}."
    else:
        names = ", ".join(list(calls)[:5])
        message = f"{len(calls)} runs begin or end with {run!r}: {names}{', …' if len(calls) > 5 else ''}."
    raise SnapError(message)


def _text(amount: Usd) -> str | None:
    return None if amount.value is None else usd_digits(amount.value)
