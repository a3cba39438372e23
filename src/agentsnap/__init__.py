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
from agentsnap._own_prices import OwnPrice
from agentsnap._prices import CallCost, CostLine, Prices
from agentsnap._usage import Group, UsageTable, usage_of, usage_of_records
from agentsnap._tally import Totals
from agentsnap._tracker import UsageTracker

__all__ = [
    "NO_COST",
    "NO_TOKENS",
    "UNKNOWN_COST",
    "UNKNOWN_TOKENS",
    "Amount",
    "Budget",
    "Budgets",
    "CallCost",
    "CostLine",
    "Group",
    "OwnPrice",
    "Prices",
    "UsageTable",
    "Spent",
    "Totals",
    "UsageTracker",
    "format_tokens",
    "format_usd",
    "usage_of",
    "usage_of_records",
]
