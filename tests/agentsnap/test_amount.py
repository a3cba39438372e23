"""An amount says how much of it is known, and sums keep that."""

from __future__ import annotations

import pickle
from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentsnap import NO_COST, NO_TOKENS, UNKNOWN_COST, UNKNOWN_TOKENS, Amount, format_tokens, format_usd
from agentsnap._amount import sum_tokens, sum_usd

usd = st.builds(
    Amount,
    st.decimals(min_value=0, max_value=10**9, places=17, allow_nan=False, allow_infinity=False),
    st.booleans(),
)
tokens = st.builds(Amount, st.integers(0, 10**15), st.booleans())


class TestAdding:
    @given(usd, usd, usd)
    def test_dollars_add_up_the_same_in_any_grouping(self, a: Any, b: Any, c: Any) -> None:
        assert (a + b) + c == a + (b + c)

    @given(usd, usd)
    def test_dollars_add_up_the_same_in_any_order(self, a: Any, b: Any) -> None:
        assert a + b == b + a

    @given(tokens, tokens, tokens)
    def test_tokens_add_up_the_same_in_any_order_and_grouping(self, a: Any, b: Any, c: Any) -> None:
        assert (a + b) + c == a + (c + b)

    @given(usd, tokens)
    def test_exact_nothing_changes_nothing(self, cost: Any, count: Any) -> None:
        assert cost + NO_COST == cost
        assert count + NO_TOKENS == count

    @given(usd, usd)
    def test_sum_is_exact_only_where_both_are(self, a: Any, b: Any) -> None:
        assert ((a + b).exactness == "exact") == (a.exactness == b.exactness == "exact")

    @given(usd, usd)
    def test_unknown_is_left_only_where_nothing_is_known(self, a: Any, b: Any) -> None:
        knows_nothing = not a.known and not b.known and not (a.is_whole and b.is_whole)
        assert ((a + b).exactness == "unknown") == knows_nothing

    @given(st.lists(usd, max_size=20), st.lists(tokens, max_size=20))
    def test_sums_of_many_are_what_adding_one_by_one_gives(self, costs: Any, counts: Any) -> None:
        assert sum_usd(costs) == sum(costs, start=NO_COST)
        assert sum_tokens(counts) == sum(counts, start=NO_TOKENS)

    def test_exact_and_unknown_make_a_lower_bound(self) -> None:
        total = Amount(Decimal("1.5")) + UNKNOWN_COST

        assert (total.value, total.exactness) == (Decimal("1.5"), "partial")

    def test_unknown_and_unknown_stay_unknown(self) -> None:
        total = UNKNOWN_TOKENS + UNKNOWN_TOKENS

        assert (total.value, total.exactness) == (None, "unknown")

    def test_callers_decimal_context_changes_no_digit(self) -> None:
        with localcontext(prec=3):
            total = Amount(Decimal("1234.00001")) + Amount(Decimal("0.000000001"))

        assert total.value == Decimal("1234.000010001")


class TestAmount:
    def test_known_zero_is_exact_and_unknown_has_no_value(self) -> None:
        assert (NO_COST.value, NO_COST.exactness) == (Decimal(0), "exact")
        assert UNKNOWN_COST.value is None

    @pytest.mark.parametrize("figure", [-1, Decimal("-0.01"), Decimal("NaN")])
    def test_negative_or_no_number_is_refused(self, figure: Any) -> None:
        with pytest.raises((ValueError, ArithmeticError)):
            Amount(figure)

    def test_cannot_be_changed(self) -> None:
        with pytest.raises(AttributeError, match="known cannot be set"):
            NO_TOKENS.known = 5

    def test_equal_amounts_hash_alike_and_survive_pickling(self) -> None:
        amount = Amount(Decimal("1.50"), is_whole=False)

        assert hash(amount) == hash(Amount(Decimal("1.5"), is_whole=False))
        assert pickle.loads(pickle.dumps(amount)) == amount

    def test_bound_of_an_exact_figure_is_partial(self) -> None:
        assert Amount(3).at_least().exactness == "partial"


class TestFormat:
    @pytest.mark.parametrize(
        ("amount", "shown"),
        [
            (Amount(Decimal("1234.567")), "$1,234.57"),
            (Amount(Decimal("1.999"), is_whole=False), "≥ $1.99"),
            (Amount(Decimal("0.12345")), "$0.1234"),
            (Amount(Decimal("0.000012345")), "$0.000012"),
            (Amount(Decimal("0.00001999"), is_whole=False), "≥ $0.000019"),
            (NO_COST, "$0.00"),
            (UNKNOWN_COST, "?"),
        ],
    )
    def test_dollars(self, amount: Any, shown: Any) -> None:
        assert format_usd(amount) == shown

    @pytest.mark.parametrize(
        ("amount", "shown"),
        [(Amount(1234567), "1,234,567"), (Amount(12, is_whole=False), "≥ 12"), (UNKNOWN_TOKENS, "?")],
    )
    def test_tokens(self, amount: Any, shown: Any) -> None:
        assert format_tokens(amount) == shown

    @given(usd)
    def test_what_is_not_zero_never_shows_as_zero(self, amount: Any) -> None:
        if amount.known:
            assert any(digit in format_usd(amount) for digit in "123456789")

    @given(usd)
    def test_bound_shown_is_never_above_the_bound(self, amount: Any) -> None:
        bound = amount.at_least()
        if bound.value is not None:
            assert Decimal(format_usd(bound).removeprefix("≥ $").replace(",", "")) <= bound.value
