"""What it cost: usage and cost per run, model, tool, task and day; budgets; snapshots of runs."""

from __future__ import annotations

from agentsnap._amount import (
    NO_COST,
    NO_TOKENS,
    UNKNOWN_COST,
    UNKNOWN_TOKENS,
    Amount,
    format_tokens,
    format_usd,
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
]
