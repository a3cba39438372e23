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
from agentsnap._own_prices import OwnPrice
from agentsnap._prices import CallCost, CostLine, Prices

__all__ = [
    "NO_COST",
    "NO_TOKENS",
    "UNKNOWN_COST",
    "UNKNOWN_TOKENS",
    "Amount",
    "CallCost",
    "CostLine",
    "OwnPrice",
    "Prices",
    "format_tokens",
    "format_usd",
]
