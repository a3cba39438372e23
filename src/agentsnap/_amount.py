"""A figure, and how much of it is known.

    exact     this much
    partial   at least this much: some of what went into it was not known      ≥
    unknown   nothing of it is known; never shown as 0                         ?

An amount is the sum of what is known, and whether that is the whole. Adding adds the
one and keeps the other only where both are whole, so sums come out the same in any
order and grouping, and the exact 0 changes nothing:

    exact + exact = exact      exact + unknown = partial      unknown + unknown = unknown

A lower bound of 0 says nothing, so it is unknown. Arithmetic is decimal and exact:
dollars are never a float.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Context, Decimal
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "NO_COST",
    "NO_TOKENS",
    "UNKNOWN_COST",
    "UNKNOWN_TOKENS",
    "Amount",
    "Exactness",
    "Tokens",
    "Usd",
    "add_usd",
    "format_tokens",
    "format_usd",
    "multiply_usd",
    "scale_usd",
    "sum_tokens",
    "sum_usd",
    "usd_digits",
]

Exactness: TypeAlias = Literal["exact", "partial", "unknown"]
N = TypeVar("N", int, Decimal)

# Prices have some ten decimals and sums some ten digits before the point; a float that a provider
# sends has seventeen. Sixty digits hold any such sum without rounding, whatever the caller's context.
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)
_ZERO = Decimal(0)
_SIGNS = {"exact": "", "partial": "≥ "}


def add_usd(left: Decimal, right: Decimal) -> Decimal:
    """Add without rounding."""
    return _EXACT.add(left, right)


def multiply_usd(count: int, price: Decimal) -> Decimal:
    """Multiply without rounding."""
    return _EXACT.multiply(Decimal(count), price)


def scale_usd(amount: Decimal, exponent: int) -> Decimal:
    """Multiply by a power of ten without rounding."""
    return amount.scaleb(exponent, _EXACT)


def usd_digits(amount: Decimal) -> str:
    """Return all digits, without zeros at the end: ``0.0123``."""
    return f"{_EXACT.create_decimal(amount).normalize(_EXACT):f}"


class Amount(Generic[N]):
    """A number of tokens (int) or dollars (Decimal) with its exactness. Immutable, hashable.

    Args:
        known: The sum of what is known, not negative.
        is_whole: Whether that is all of it.

    Attributes:
        known: The same; 0 where nothing is known.
        is_whole: The same.

    Raises:
        ValueError: *known* is negative, or no number.
    """

    __slots__ = ("is_whole", "known")

    known: N
    is_whole: bool

    def __init__(self, known: N, is_whole: bool = True) -> None:
        if not known >= 0:  # a NaN compares with nothing
            message = f"An amount is not negative, got {known}."
            raise ValueError(message)
        object.__setattr__(self, "known", known)
        object.__setattr__(self, "is_whole", is_whole)

    def __setattr__(self, name: str, value: object) -> None:
        message = f"{type(self).__name__}.{name} cannot be set."
        raise AttributeError(message)

    @property
    def exactness(self) -> Exactness:
        """How the figure is to be taken: ``"exact"``, ``"partial"`` (a lower bound) or ``"unknown"``."""
        if self.is_whole:
            return "exact"
        return "partial" if self.known else "unknown"

    @property
    def value(self) -> N | None:
        """The figure, or its lower bound; None when unknown."""
        return self.known if self.is_whole or self.known else None

    def __add__(self, other: Amount[N]) -> Amount[N]:
        if not isinstance(other, Amount):
            return NotImplemented
        left: Any = self.known
        total: Any = add_usd(left, Decimal(other.known)) if isinstance(left, Decimal) else left + other.known
        return Amount(total, self.is_whole and other.is_whole)

    def at_least(self) -> Amount[N]:
        """Return the same figure as a lower bound."""
        return Amount(self.known, False)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Amount):
            return NotImplemented
        return bool(self.known == other.known) and self.is_whole == other.is_whole

    def __hash__(self) -> int:
        return hash((self.known, self.is_whole))

    def __repr__(self) -> str:
        if self.exactness == "unknown":
            return "Amount(unknown)"
        return f"Amount({self.known}, {self.exactness})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Amount, (self.known, self.is_whole)


Tokens: TypeAlias = Amount[int]
Usd: TypeAlias = Amount[Decimal]

NO_TOKENS: Tokens = Amount(0)
NO_COST: Usd = Amount(_ZERO)
UNKNOWN_TOKENS: Tokens = Amount(0, False)
UNKNOWN_COST: Usd = Amount(_ZERO, False)


def sum_usd(amounts: Iterable[Usd]) -> Usd:
    """Return the sum; of nothing, the exact 0."""
    known, is_whole = _ZERO, True
    for amount in amounts:
        known = _EXACT.add(known, amount.known)
        is_whole = is_whole and amount.is_whole
    return Amount(known, is_whole)


def sum_tokens(amounts: Iterable[Tokens]) -> Tokens:
    """Return the sum; of nothing, the exact 0."""
    known, is_whole = 0, True
    for amount in amounts:
        known += amount.known
        is_whole = is_whole and amount.is_whole
    return Amount(known, is_whole)


def format_tokens(amount: Tokens) -> str:
    """Return ``1,234``, ``≥ 1,234`` or ``?``."""
    if amount.value is None:
        return "?"
    return f"{_SIGNS[amount.exactness]}{amount.value:,}"


def format_usd(amount: Usd) -> str:
    """Return ``$1.23``, ``≥ $1.23`` or ``?``: cents from a dollar on, four decimals or two digits below.

    A bound is rounded down, so that it stays true; what is not 0 never shows as 0.
    """
    if amount.value is None:
        return "?"
    return f"{_SIGNS[amount.exactness]}${_rounded(amount.value, is_bound=not amount.is_whole)}"


def _rounded(value: Decimal, *, is_bound: bool) -> str:
    decimals = 2
    if value and value < 1:
        decimals = max(4, 1 - value.adjusted())
    rounding = ROUND_DOWN if is_bound else ROUND_HALF_EVEN
    return f"{value.quantize(Decimal(1).scaleb(-decimals), rounding, context=_EXACT):,f}"
