"""Prices out of the price library: which model a name means, and its prices at one time in one tier.

The library is imported when a price is first asked for (it takes half a second), and only its
bundled data are used: nothing here asks the network. Names of models match as it matches them
(aliases, dates at the end); the names our records have for providers are put into its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from agent_step_log.errors import MissingExtraError
from agentsnap._own_prices import PRICE_KEYS
from agentsnap._tiers import CHEAPER, DEARER, price_context

if TYPE_CHECKING:
    from agentsnap._own_prices import OwnPrice

__all__ = ["PriceList", "Rate", "list_provider"]

#: What OpenTelemetry and our decoders call a provider, where the price list has another name.
_PROVIDERS = {
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "az.ai.openai": "azure",
    "az.ai.inference": "azure",
    "azure_openai": "azure",
    "aws.bedrock": "aws",
    "bedrock": "aws",
    "gcp.gemini": "google",
    "gcp.vertex_ai": "google",
    "gcp.gen_ai": "google",
    "x_ai": "x-ai",
    "xai": "x-ai",
    "mistral_ai": "mistral",
    "together_ai": "together",
    "moonshot_ai": "moonshotai",
}
#: Kinds of `agentsnap._counts` to the keys of the library's prices.
_KEYS = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "input_audio": "input_audio_mtok",
    "cache_read_audio": "cache_audio_read_mtok",
    "output_audio": "output_audio_mtok",
    "output_image": "output_image_mtok",
    "reasoning": "output_reasoning_mtok",
    "web_search": "web_searches_kcount",
    "request": "requests_kcount",
}
#: Billed only where a call did something that no count of ours tells; or a count of ours covers it.
_PASSED_OVER = frozenset(
    {"storage_searches_kcount", "input_image_mtok", "cache_image_read_mtok", "input_video_mtok"}
    | {"output_video_mtok"}
)
Tiers = tuple[tuple[int, Decimal], ...]


@dataclass(slots=True)
class Rate:
    """The prices of one model, at one time, in one tier.

    Attributes:
        name: Whose price it is: provider and model of the list, or the place in a price file.
        source: "list", "own", or "none" when there is no price.
        prices: For each kind, USD by prompt size: (tokens it holds above, price), ascending from 0.
        gaps: Why even a full set of counts gives no more than a lower bound.
        why_none: Why there is no price.
    """

    name: str = ""
    source: str = "none"
    provider: str = ""
    tier: str = "standard"
    prices: dict[str, Tiers] = field(default_factory=dict)
    gaps: list[str] = field(default_factory=list)
    why_none: str = ""
    #: The same for `agentsnap._quick`; made by `Prices`.
    steps: Any = ()

    def price(self, kind: str, prompt: int) -> tuple[Decimal, int] | None:
        """Return the price of *kind* for a prompt of so many tokens, and from how many on it holds."""
        found = None
        for above, price in self.prices.get(kind, ()):
            if prompt > above or above == 0:
                found = price, above
        return found

    @property
    def is_tiered(self) -> bool:
        """Whether a price depends on the size of the prompt."""
        return any(len(steps) > 1 or steps[0][0] for steps in self.prices.values())


def list_provider(name: str | None) -> str:
    """Return the price list's name of a provider; "" when none is named."""
    word = (name or "").strip().lower()
    return _PROVIDERS.get(word, word)


def own_rate(prices: list[OwnPrice], tier: str, on: date) -> Rate | None:
    """Return the rate that *prices*, all about one model, give on a day; the later in the file wins."""
    chosen: dict[int, OwnPrice] = {}
    for price in prices:
        if (price.tier or "standard") == tier and (price.start is None or price.start <= on):
            chosen[price.above] = price
    if not chosen:
        return None
    steps = [chosen[above] for above in sorted(chosen)]
    rate = Rate(steps[-1].name, "own", tier=tier)
    for kind in PRICE_KEYS:
        found = tuple((step.above, step.prices[kind]) for step in steps if kind in step.prices)
        if found:
            rate.prices[kind] = found
    return rate


class PriceList:
    """The price library, opened when first asked.

    Raises:
        MissingExtraError: It is not installed.
    """

    def __init__(self) -> None:
        try:
            import genai_prices
            from genai_prices.data_snapshot import get_snapshot
            from genai_prices.types import TieredPrices, TimeOfDateConstraint
        except ModuleNotFoundError as error:
            # Present, but missing a package of its own: advice to install it would mislead.
            if error.name != "genai_prices":
                raise
            message = "Prices need 'genai-prices': pip install 'agent-step-log[cost]'"
            raise MissingExtraError(message) from None
        self._snapshot = get_snapshot()
        self._tiered, self._time_of_day = TieredPrices, TimeOfDateConstraint
        self._package = f"genai-prices {genai_prices.__version__}"
        self._found: dict[tuple[str, str], tuple[Any, Any] | str] = {}

    @property
    def version(self) -> str:
        """The package's version, and the day of its newest dated price."""
        today = datetime.now(UTC).date()
        days = [
            dated.constraint.start_date
            for provider in self._snapshot.providers
            for model in provider.models
            for dated in (
                *(model.prices if type(model.prices) is list else ()),
                *(model.price_variants or ()),
            )
            if hasattr(dated.constraint, "start_date") and dated.constraint.start_date <= today
        ]
        return f"{self._package}, newest dated price {max(days)}" if days else self._package

    def find(self, model: str, provider: str) -> tuple[Any, Any] | str:
        """Return provider and model of the list, or why there is none."""
        key = (model, provider)
        if key not in self._found:
            try:
                self._found[key] = self._snapshot.find_provider_model(model, None, provider or None, None)
            except LookupError:
                at = f" of provider {provider}" if provider else ""
                self._found[key] = f"no price is known for model {model}{at}"
        return self._found[key]

    def changes_by_the_hour(self, model: str, provider: str) -> bool:
        """Whether the price depends on the time of day."""
        found = self.find(model, provider)
        if isinstance(found, str):
            return False
        info = found[1]
        dated = (*(info.prices if type(info.prices) is list else ()), *(info.price_variants or ()))
        return any(isinstance(each.constraint, self._time_of_day) for each in dated)

    def rate(self, model: str, provider: str, tier: str, at: datetime) -> Rate:
        """Return the prices of *model* at a time in a tier of `_tiers`; never a guess."""
        found = self.find(model, provider)
        if isinstance(found, str):
            return Rate(provider=provider, tier=tier, why_none=found)
        owner, info = found
        rate = Rate(f"{owner.id}/{info.id}", "list", owner.id, tier)
        if tier in ("contract", "other"):
            words = "was bought by contract" if tier == "contract" else "is not known"
            return Rate(provider=owner.id, tier=tier, why_none=f"the price of its service tier {words}")
        context = price_context(tier, owner.id)
        special = self._variants(info, context, at) if context else []
        if tier in CHEAPER and not special:
            why = f"no {tier} price of {rate.name} is known on {at:%Y-%m-%d}"
            return Rate(provider=owner.id, tier=tier, why_none=why)
        if tier in DEARER and not special:
            rate.gaps.append(f"priced as standard: what {_tier_words(tier)} costs is not known")
        if owner.id == "google" and info.id.startswith("claude"):
            rate.gaps.append("regions of Vertex AI may cost more for Claude than the list price")
        elif not any(info is known for known in owner.models):
            rate.gaps.append(f"{owner.id} has no price list of its own for {info.id}: its maker's is taken")
        self._take(rate, info.get_prices(at, context or None))
        return rate

    def _variants(self, info: Any, context: dict[str, str], at: datetime) -> list[Any]:
        return [
            variant
            for variant in info.price_variants or ()
            if (variant.constraint is None or variant.constraint.active(at))
            and all(context.get(key) == value for key, value in variant.when.items())
        ]

    def _take(self, rate: Rate, prices: Any) -> None:
        named = {key: value for key, value in vars(prices).items() if value is not None}
        for kind, key in _KEYS.items():
            value = named.pop(key, None)
            if isinstance(value, self._tiered):
                rate.prices[kind] = (
                    (0, value.base),
                    *((tier.start, tier.price) for tier in value.tiers),
                )
            elif value is not None:
                rate.prices[kind] = ((0, value),)
        rest = sorted(key for key in named if not key.startswith("_") and key not in _PASSED_OVER)
        if rest and not ("input" in rate.prices and "audio_hours" in rest):
            words = ", ".join(key.rpartition("_")[0].replace("_", " ") or key for key in rest)
            rate.gaps.append(f"also billed by {words}, which the record does not tell")


def _tier_words(tier: str) -> str:
    return "the tier it was served in" if tier == "unsettled" else f"the {tier} tier"


def utc(ts: float) -> datetime | None:
    """Return *ts* as a time; None for one outside of the calendar."""
    try:
        return datetime.fromtimestamp(ts, UTC)
    except (ValueError, OverflowError, OSError):
        return None
