"""The cost of an ordinary call by integers alone, for adding up millions.

Ordinary: both token counts told and possible, no bound, no error, nothing in the verbatim usage
that is billed apart or tells a cost, a price for each kind there is. It comes to what
`Prices.cost_of` gives, to the last digit; for any other call there is None, and that is asked.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from agent_step_log.limits import MAX_TOKENS
from agentsnap._amount import Amount, scale_usd
from agentsnap._counts import is_resold, uses_hosted_tools

if TYPE_CHECKING:
    from agent_step_log import Record
    from agentsnap._amount import Usd
    from agentsnap._price_list import Rate
    from agentsnap._prices import Prices

__all__ = ["UNIT_DECIMALS", "may_be_quick", "quick_cost", "quick_prices", "usd_of"]

#: A price per million is kept as a whole number of 10⁻¹² USD, so a cost is one of 10⁻¹⁸ USD.
UNIT_DECIMALS = 18
_PRICE_DECIMALS = 12
_KINDS = ("input", "cache_read", "cache_write", "cache_write_1h", "output")
#: Keys of a usage object that may change what is billed; see `agentsnap._counts`.
_TELLING = frozenset(
    {
        *("cost", "cost_in_usd_ticks", "billed_units", "num_sources_used", "toolUsePromptTokenCount"),
        *("cache_creation", "cacheDetails", "server_tool_use", "iterations", "inference_geo"),
        *("prompt_tokens_details", "input_tokens_details", "input_token_details"),
        *("completion_tokens_details", "output_tokens_details", "output_token_details"),
        *("promptTokensDetails", "cacheTokensDetails", "candidatesTokensDetails"),
    }
)
_UNUSUAL = frozenset({"cost", "cost_in_usd_ticks", "billed_units", "num_sources_used", "cacheDetails"})
_DETAILS = tuple(key for key in _TELLING if key.endswith("_details"))
_PARTS = tuple(key for key in _TELLING if key.endswith("TokensDetails"))

#: Prices of `_KINDS` for prompts above so many tokens, the highest first.
Steps = tuple[tuple[int, tuple[int | None, ...]], ...]


def quick_prices(rate: Rate) -> Steps:
    """Return the prices of *rate* as integers; nothing where they do not suffice."""
    if rate.source == "none" or rate.gaps or "request" in rate.prices or "reasoning" in rate.prices:
        return ()
    bounds = {above for kind in _KINDS for above, _ in rate.prices.get(kind, ())}
    steps = []
    for bound in sorted(bounds | {0}, reverse=True):
        found = [rate.price(kind, bound + 1 if bound else 0) for kind in _KINDS]
        prices = [None if price is None else _scaled(price[0]) for price in found]
        if any(price == -1 for price in prices):
            return ()
        steps.append((bound, tuple(prices)))
    return tuple(steps)


def _scaled(price: Decimal) -> int:
    scaled = price.scaleb(_PRICE_DECIMALS)
    return int(scaled) if scaled == int(scaled) else -1


def may_be_quick(record: Record) -> bool:
    """Whether no price list is opened for nothing: where the provider tells the cost, none is needed."""
    usage = record.usage
    if record.error is not None or (usage is not None and not _UNUSUAL.isdisjoint(usage)):
        return False
    return record.attrs is None or not _tells(record.attrs)


def quick_cost(record: Record, steps: Steps) -> int | None:
    """Return the cost in 10⁻¹⁸ USD of a call that `may_be_quick`; None where it is not ordinary after all."""
    prompt, answer = record.input_tokens, record.output_tokens
    if prompt is None or answer is None or record.bounds is not None:
        return None
    read, written = record.cache_read_tokens or 0, record.cache_write_tokens or 0
    thought = record.reasoning_tokens or 0
    if not (0 <= prompt <= MAX_TOKENS and 0 <= thought <= answer <= MAX_TOKENS):
        return None
    fresh = prompt - read - written
    if read < 0 or written < 0 or fresh < 0 or not steps:
        return None
    long = 0
    is_split_told = not written
    usage = record.usage
    if usage is not None and not _TELLING.isdisjoint(usage):
        split = _ordinary(usage)
        if split is None:
            return None
        if written and split[0] + split[1] == written:
            long, is_split_told = split[1], True
    if uses_hosted_tools(bytes(record.output_json)) or is_resold(record):
        return None
    prices = steps[0][1]
    if len(steps) > 1:
        prices = next(prices for above, prices in steps if prompt > above or not above)
    fresh_price, read_price, short_price, long_price, answer_price = prices
    if not is_split_told and long_price is not None:
        return None
    total = 0
    for number, price in (
        (fresh, fresh_price),
        (read, read_price),
        (written - long, short_price),
        (long, long_price),
        (answer, answer_price),
    ):
        if number:
            if price is None:
                return None
            total += number * price
    return total


def _tells(attrs: Any) -> bool:
    return "cost_usd" in attrs or "costUSD" in attrs


def usd_of(record: Record, prices: Prices) -> Usd:
    """Return what `Prices.cost_of` gives as the amount, the quick way where there is one."""
    if may_be_quick(record):
        units = quick_cost(record, prices.rate_of(record).steps)
        if units is not None:
            return Amount(scale_usd(Decimal(units), -UNIT_DECIMALS))
    return prices.cost_of(record).amount


def _ordinary(usage: dict[str, Any]) -> tuple[int, int] | None:
    """Return for how long the cache was written (minutes, an hour); None if there is more to bill."""
    if not _UNUSUAL.isdisjoint(usage) or usage.get("toolUsePromptTokenCount"):
        return None
    tools = usage.get("server_tool_use")
    if tools is not None and (type(tools) is not dict or tools.get("web_search_requests")):
        return None
    if usage.get("inference_geo") == "us" or len(usage.get("iterations") or ()) > 1:
        return None
    for name in _DETAILS:
        details = usage.get(name)
        if details is not None and (
            type(details) is not dict or details.get("audio_tokens") or details.get("image_tokens")
        ):
            return None
    for name in _PARTS:
        parts = usage.get(name)
        if parts is not None and (
            type(parts) is not list
            or any(type(part) is not dict or part.get("modality") != "TEXT" for part in parts)
        ):
            return None
    split = usage.get("cache_creation")
    if split is None:
        return 0, 0
    if type(split) is not dict:
        return None
    short, long = split.get("ephemeral_5m_input_tokens") or 0, split.get("ephemeral_1h_input_tokens") or 0
    if type(short) is not int or type(long) is not int or short < 0 or long < 0:
        return None
    return short, long
