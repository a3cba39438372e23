"""Tiers of service, which every provider has its own words for.

    standard   the price per token that everybody pays
    batch, flex            cheaper
    priority, fast         dearer
    contract   capacity that was bought beforehand: a list of prices says nothing about it
    unsettled  "auto": what it was served as was not told
    other      a word nobody here knows

`price_context` says under which names the price list keeps the prices of a tier.
"""

from __future__ import annotations

__all__ = ["CHEAPER", "DEARER", "price_context", "tier_of"]

CHEAPER = frozenset({"batch", "flex"})
DEARER = frozenset({"priority", "fast", "unsettled"})

_WORDS = {
    **dict.fromkeys(("", "standard", "default", "on_demand", "on-demand", "standard_only"), "standard"),
    **dict.fromkeys(("batch", "batches", "batch_api"), "batch"),
    **dict.fromkeys(("flex", "on_demand_flex"), "flex"),
    **dict.fromkeys(("priority", "on_demand_priority"), "priority"),
    "fast": "fast",
    **dict.fromkeys(("scale", "provisioned_throughput", "reserved", "performance"), "contract"),
    "auto": "unsettled",
}
_CONTEXTS = {
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
}


def tier_of(word: str | None, provider: str) -> str:
    """Return which tier *word* means with *provider* (its name in the price list)."""
    tier = _WORDS.get((word or "").strip().lower(), "other")
    # Anthropic sells its priority tier by the minute, ahead of time.
    return "contract" if tier == "priority" and provider == "anthropic" else tier


def price_context(tier: str, provider: str) -> dict[str, str]:
    """Return the context by which the price list finds the prices of *tier*; empty for the standard one."""
    if tier == "fast":
        return {"speed": "fast"} if provider == "anthropic" else {"service_tier": "fast"}
    return _CONTEXTS.get(tier, {})
