"""What it cost: usage and cost per run, model, tool, task and day; budgets; snapshots of runs.

Each name is imported when it is first asked for: who only wants one of them pays for that one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentsnap._amount import (
        NO_COST,
        NO_TOKENS,
        UNKNOWN_COST,
        UNKNOWN_TOKENS,
        Amount,
        format_tokens,
        format_usd,
        usd_digits,
    )
    from agentsnap._budget import Budget, Budgets, Spent
    from agentsnap._compare import Change, SnapshotDiff, compare
    from agentsnap._explain import ExplainedCall, Explanation, explain
    from agentsnap._ledger import Problem
    from agentsnap._own_prices import OwnPrice
    from agentsnap._prices import CallCost, CostLine, Prices
    from agentsnap._snapshot import Snapshot, scrub, snapshot
    from agentsnap._tally import Totals
    from agentsnap._tracker import UsageTracker
    from agentsnap._usage import Group, UsageTable, usage_of, usage_of_records

__all__ = [
    "NO_COST",
    "NO_TOKENS",
    "UNKNOWN_COST",
    "UNKNOWN_TOKENS",
    "Amount",
    "Budget",
    "Budgets",
    "CallCost",
    "Change",
    "CostLine",
    "ExplainedCall",
    "Explanation",
    "Group",
    "OwnPrice",
    "Prices",
    "Problem",
    "Snapshot",
    "SnapshotDiff",
    "Spent",
    "Totals",
    "UsageTable",
    "UsageTracker",
    "compare",
    "explain",
    "format_tokens",
    "format_usd",
    "scrub",
    "snapshot",
    "usage_of",
    "usage_of_records",
    "usd_digits",
]

_HOMES = {
    "NO_COST": "_amount",
    "NO_TOKENS": "_amount",
    "UNKNOWN_COST": "_amount",
    "UNKNOWN_TOKENS": "_amount",
    "Amount": "_amount",
    "Budget": "_budget",
    "Budgets": "_budget",
    "CallCost": "_prices",
    "Change": "_compare",
    "CostLine": "_prices",
    "ExplainedCall": "_explain",
    "Explanation": "_explain",
    "Group": "_usage",
    "OwnPrice": "_own_prices",
    "Prices": "_prices",
    "Problem": "_ledger",
    "Snapshot": "_snapshot",
    "SnapshotDiff": "_compare",
    "Spent": "_budget",
    "Totals": "_tally",
    "UsageTable": "_usage",
    "UsageTracker": "_tracker",
    "compare": "_compare",
    "explain": "_explain",
    "format_tokens": "_amount",
    "format_usd": "_amount",
    "scrub": "_snapshot",
    "snapshot": "_snapshot",
    "usage_of": "_usage",
    "usage_of_records": "_usage",
    "usd_digits": "_amount",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
