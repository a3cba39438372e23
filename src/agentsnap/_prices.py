"""What one model call cost: who says so, and how it comes about line by line.

    1. the cost the provider reports (OpenRouter, Perplexity, xAI, or ``attrs.cost_usd`` of the log)
    2. a price of one's own: from a price file, see `agentsnap._own_prices`
    3. the price list of genai-prices (extra ``[cost]``), on the record's day, in its tier

A count times a price per million, added up: cost = Σ tokens of a kind * its price / 10⁶. A price that
depends on the size of the prompt holds for the whole call. Nothing is guessed: what cannot be
priced makes the amount a lower bound, or unknown where nothing can, and `CallCost.notes` says why.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from agent_step_log import Record
from agentsnap._amount import NO_COST, UNKNOWN_COST, Amount, Usd, multiply_usd, scale_usd, sum_usd
from agentsnap._counts import Counts, counts_of, told_cost
from agentsnap._own_prices import PRICE_KEYS, OwnPrice, read_price_file
from agentsnap._price_list import PriceList, Rate, list_provider, own_rate, utc
from agentsnap._quick import quick_prices
from agentsnap._tiers import tier_of

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from agentsnap._amount import Tokens

__all__ = ["CallCost", "CostLine", "PriceSource", "Prices"]

PriceSource: TypeAlias = Literal["provider", "own", "list", "none"]

_MOST_RATES = 20_000
_DAY_S = 86_400
_PER = {**PRICE_KEYS, "cache_read_audio": 1_000_000}
_WORDS = {
    "cache_read": "cache read",
    "cache_write": "cache write",
    "cache_write_1h": "cache write, 1 hour",
    "input_audio": "audio input",
    "cache_read_audio": "audio cache read",
    "output_audio": "audio output",
    "output_image": "image output",
    "web_search": "web search",
}
#: For a kind without a price of its own, the kind whose price is taken. It is never dearer, so the
#: result is a lower bound; for the reasoning it is the price.
_INSTEAD = {
    "cache_write": "input",
    "cache_write_1h": "cache_write",
    "input_audio": "input",
    "cache_read_audio": "cache_read",
    "output_audio": "output",
    "output_image": "output",
    "reasoning": "output",
}
#: Providers that bill a kind like the other where their list has no price for it.
_SAME = {
    "cache_write": frozenset({"openai", "azure", "google", "deepseek", "x-ai"}),
    "input_audio": frozenset({"google"}),
    "cache_read_audio": frozenset({"google"}),
}
_NAMES = (
    "model",
    "request_model",
    "request_id",
    "provider",
    "service_tier",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "usage",
    "bounds",
    "attrs",
    "stop_reason",
    "error",
    "error_type",
    "start_ts",
)


@dataclass(frozen=True, slots=True)
class CostLine:
    """One line of a derivation: ``count * unit_price / per = cost``.

    Attributes:
        kind: What is counted, in words: "input", "cache read", "output", "web search", …
        count: How many of it.
        unit_price: USD for `per` of them; None where no price is known.
        per: 1,000,000 for tokens, 1,000 for searches and calls.
        above: The price holds for prompts of more tokens than this.
        note: Why the cost is not exact; "" where it is.
    """

    kind: str
    count: int
    unit_price: Decimal | None
    per: int
    cost: Usd
    above: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class CallCost:
    """What one call cost, and how that comes about.

    Attributes:
        amount: USD. The sum of `lines`; a lower bound where `notes` say why.
        source: Who says so: "provider", "own" price, price "list", or "none".
        price: The price's name: ``anthropic/claude-sonnet-4-5``, a place in a price file, a key of the
            record. "" without a price.
        tier: The tier it was priced in: "standard", "batch", …
        lines: The derivation; empty where the provider tells the cost.
        notes: Why the amount is not exact.
        problems: Counts of the record that cannot be true; they were left out.
        input, output, cache_read, cache_write, reasoning: The tokens as far as they are known.
    """

    amount: Usd
    source: PriceSource
    price: str
    tier: str
    lines: tuple[CostLine, ...]
    notes: tuple[str, ...]
    problems: tuple[str, ...]
    input: Tokens
    output: Tokens
    cache_read: Tokens
    cache_write: Tokens
    reasoning: Tokens


class Prices:
    """Prices of model calls, by date, tier and kind of token. Safe from any thread.

    Args:
        own: Prices that come before those of the list; of several that fit, the last.

    The price list is opened when it is first needed: a call whose cost the provider tells, or that an
    own price fits, needs none.
    """

    def __init__(self, own: Sequence[OwnPrice] = ()) -> None:
        self._own = list(own)
        self._list: PriceList | None = None
        self._rates: dict[tuple[Any, ...], Rate | None] = {}

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None) -> Prices:
        """Return the prices of the list, with those of the price file at *path* before them.

        Raises:
            PriceFileError: *path* is no price file; the message names line and key.
            OSError: *path* cannot be read.
        """
        return cls(read_price_file(path) if path is not None else ())

    @property
    def version(self) -> str:
        """Which price list this is: the package's version and the day of its newest dated price.

        Raises:
            MissingExtraError: genai-prices is not installed.
        """
        return self._opened().version

    @property
    def is_list_used(self) -> bool:
        """Whether the price list has been needed so far."""
        return self._list is not None

    def cost_of(self, record: Record | Mapping[str, Any] | Any) -> CallCost:
        """Return what the model call *record* cost.

        Args:
            record: An `llm_call`: a `Record`, a dict of its keys, or an object with them as attributes.

        Raises:
            MissingExtraError: Its price can only be in the list, and genai-prices is not installed.
        """
        call = record if type(record) is Record else _as_record(record)
        counts = counts_of(call)
        if counts.is_refused:
            note = "the provider turned the request down: nothing is billed"
            return _cost(NO_COST, "provider", "", "standard", (), [note], counts)
        told = told_cost(call)
        if told is not None:
            amount, place = told
            return _cost(Amount(amount), "provider", place, call.service_tier or "standard", (), [], counts)
        rate = self.rate_of(call)
        if rate.source == "none":
            return _cost(UNKNOWN_COST, "none", "", rate.tier, (), [rate.why_none, *counts.gaps], counts)
        lines = tuple(_lines(rate, counts))
        notes = [*rate.gaps, *counts.gaps]
        if rate.is_tiered and not counts.input.is_whole:
            notes.append("the price depends on the size of the prompt, which is not known")
        total = sum_usd(line.cost for line in lines)
        notes += [line.note for line in lines if line.note and not line.cost.is_whole]
        return _cost(
            total.at_least() if notes else total, rate.source, rate.name, rate.tier, lines, notes, counts
        )

    def rate_of(self, call: Record) -> Rate:
        """Return the prices that hold for *call*: its model's, at its time, in its tier.

        Raises:
            MissingExtraError: As for `cost_of`.
        """
        model, word, ts = call.model or call.request_model, call.service_tier, call.ts
        usage = call.usage
        if usage is not None:
            if word is None:
                word = _text(usage.get("service_tier")) or _text(usage.get("serviceTier"))
            if usage.get("speed") == "fast":
                word = "fast"
        try:
            # Where a price changes within a day there is None, and a rate for each minute.
            rate = self._rates[model, call.provider, word, ts // _DAY_S]
            if rate is None:
                rate = self._rates[model, call.provider, word, ("minute", ts // 60)]
        except KeyError:
            return self._found(model, call.provider, word, ts)
        return rate  # type: ignore[return-value]

    def _found(self, model: str | None, named: str | None, word: str | None, ts: float) -> Rate:
        # No lock: a budget asks in the agent's threads, signal handlers and forked children. Two that come
        # at once look the same thing up twice.
        rate, is_by_hour = self._sought(model, named, word, ts)
        rate.steps = quick_prices(rate)
        if len(self._rates) > _MOST_RATES:
            self._rates = {}
        rates = self._rates
        if is_by_hour:
            rates[model, named, word, ("minute", ts // 60)] = rate
        rates[model, named, word, ts // _DAY_S] = None if is_by_hour else rate
        return rate

    def _sought(self, model: str | None, named: str | None, word: str | None, ts: float) -> tuple[Rate, bool]:
        if not model:
            return Rate(why_none="the record names no model"), False
        at = utc(ts)
        if at is None:
            return Rate(why_none="the record's time is outside of the calendar"), False
        provider = list_provider(named)
        tier = tier_of(word, provider or ("anthropic" if model.startswith("claude") else ""))
        fitting = [price for price in self._own if price.fits(model, named)]
        if fitting:
            own = own_rate(fitting, tier, at.date())
            if own is None and word:  # a tier by a word of the user's own
                own = own_rate(fitting, word, at.date())
            if own is not None:
                return own, False
        prices = self._opened()
        return prices.rate(model, provider, tier, at), prices.changes_by_the_hour(model, provider)

    def _opened(self) -> PriceList:
        if self._list is None:
            self._list = PriceList()
        return self._list


def _lines(rate: Rate, counts: Counts) -> list[CostLine]:
    prompt = counts.input.known
    kinds = dict(counts.kinds)
    if "request" not in rate.prices:
        kinds.pop("request", None)
    if "reasoning" not in rate.prices and "reasoning" in kinds:
        kinds["output"] = kinds.pop("reasoning") + kinds.get("output", 0)
    lines = []
    for kind in _PER:  # in the order a bill has them
        count = kinds.get(kind)
        if not count:
            continue
        found, note = rate.price(kind, prompt), ""
        instead = kind
        while found is None and instead in _INSTEAD:
            stand_in = _INSTEAD[instead]
            found = rate.price(stand_in, prompt)
            if rate.provider not in _SAME.get(instead, ()):
                note = f"no price for {_words(kind)}: counted like {_words(stand_in)}"
            instead = stand_in
        if kind == "cache_write" and not counts.is_split_told and "cache_write_1h" in rate.prices:
            note = "for how long the cache was written is not told: counted as 5 minutes"
        per = _PER[kind]
        if found is None:
            note = f"no price for {_words(kind)}"
            lines.append(CostLine(_words(kind), count, None, per, UNKNOWN_COST, 0, note))
            continue
        price, above = found
        cost = scale_usd(multiply_usd(count, price), -6 if per == 1_000_000 else -3)
        lines.append(CostLine(_words(kind), count, price, per, Amount(cost, not note), above, note))
    return lines


def _words(kind: str) -> str:
    return _WORDS.get(kind, kind)


def _cost(
    amount: Usd,
    source: str,
    price: str,
    tier: str,
    lines: tuple[CostLine, ...],
    notes: list[str],
    counts: Counts,
) -> CallCost:
    return CallCost(
        amount,
        source,  # type: ignore[arg-type]
        price,
        tier,
        lines,
        tuple(dict.fromkeys(notes)),
        tuple(counts.problems),
        counts.input,
        counts.output,
        counts.cache_read,
        counts.cache_write,
        counts.reasoning,
    )


def _text(value: object) -> str | None:
    return value if type(value) is str else None


def _as_record(given: Any) -> Record:
    """Return the keys a price depends on of a dict, or of a record as it is written, as a `Record`."""
    take = given.get if hasattr(given, "keys") else lambda name: getattr(given, name, None)
    ts: Any = take("ts")
    record = Record("", 0, "llm_call", float(ts) if type(ts) in (int, float) else 0.0)
    for name in _NAMES:
        value = take(name)
        if value is not None:
            setattr(record, name, value)
    output = take("output")
    if output is not None:
        with suppress(msgspec.EncodeError, TypeError, ValueError, RecursionError):
            record.output_json = msgspec.Raw(msgspec.json.encode(output))
    return record
