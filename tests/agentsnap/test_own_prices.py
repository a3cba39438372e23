"""A price file says what it means, or where it does not."""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentsnap import Prices
from agentsnap._own_prices import PRICE_KEYS, OwnPrice, read_price_file
from agentsnap.errors import PriceFileError

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = """\
# what we agreed on
[[price]]
model = "claude-sonnet-4-5*"
provider = "anthropic"
tier = "batch"
from = 2026-10-01
above = 200_000
input = 1.50
output = 7.5
cache_read = 0.15
cache_write_1h = 3

[[price]]
model = "llama3*"
input = 0
output = 0
"""


@pytest.fixture
def price_file(tmp_path: Path) -> Any:
    def write(text: str | bytes) -> Any:
        path = tmp_path / "prices.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


class TestReading:
    def test_every_key_is_read(self, price_file: Any) -> None:
        first, second = read_price_file(price_file(WHOLE))

        assert (first.model, first.provider, first.tier) == ("claude-sonnet-4-5*", "anthropic", "batch")
        assert (first.start, first.above) == (date(2026, 10, 1), 200_000)
        assert first.prices == {
            "input": Decimal("1.50"),
            "output": Decimal("7.5"),
            "cache_read": Decimal("0.15"),
            "cache_write_1h": Decimal(3),
        }
        assert second.prices == {"input": Decimal(0), "output": Decimal(0)}

    def test_name_tells_the_place(self, price_file: Any) -> None:
        path = price_file(WHOLE)

        assert [price.name for price in read_price_file(path)] == [f"{path}, line 2", f"{path}, line 13"]

    def test_prices_are_the_decimals_that_were_written(self, price_file: Any) -> None:
        (price,) = read_price_file(price_file('[[price]]\nmodel = "m"\ninput = 0.1\n'))

        assert price.prices["input"] == Decimal("0.1")

    def test_empty_file_has_no_prices(self, price_file: Any) -> None:
        assert read_price_file(price_file("")) == []

    @given(st.dictionaries(st.sampled_from(sorted(PRICE_KEYS)), st.decimals(0, 10**6, places=9), min_size=1))
    def test_what_is_written_comes_back(self, tmp_path_factory: pytest.TempPathFactory, prices: Any) -> None:
        path = tmp_path_factory.mktemp("prices") / "p.toml"
        path.write_text(
            '[[price]]\nmodel = "m"\n' + "".join(f"{key} = {usd:f}\n" for key, usd in prices.items())
        )

        assert read_price_file(path)[0].prices == prices


class TestMistakes:
    @pytest.mark.parametrize(
        ("text", "line", "key", "why"),
        [
            (
                '[[price]]\nmodel = "m"\nimput = 1\n',
                3,
                "imput",
                "unknown key 'imput' (did you mean 'input'?)",
            ),
            (
                '[[price]]\nmodel = "m"\ninput = 1\n[[price]]\nmodel = "n"\noutptu = 1\n',
                6,
                "outptu",
                "unknown key 'outptu' (did you mean 'output'?)",
            ),
            (
                '[[price]]\nmodel = "m"\ninput = "1.50"\n',
                3,
                "input",
                "'input' has to be a number of USD, 0 or more, without quotes",
            ),
            (
                '[[price]]\nmodel = "m"\ninput = -1\n',
                3,
                "input",
                "'input' has to be a number of USD, 0 or more, without quotes",
            ),
            (
                '[[price]]\nmodel = "m"\ninput = nan\n',
                3,
                "input",
                "'input' has to be a number of USD, 0 or more, without quotes",
            ),
            (
                '[[price]]\nmodel = "m"\ninput = true\n',
                3,
                "input",
                "'input' has to be a number of USD, 0 or more, without quotes",
            ),
            ("\n[[price]]\ninput = 1\n", 2, "model", "a [[price]] needs the key 'model'"),
            ("[[price]]\nmodel = 5\ninput = 1\n", 2, "model", "'model' has to be a text in quotes"),
            (
                '[[price]]\nmodel = "m"\nfrom = "2026-10-01"\ninput = 1\n',
                3,
                "from",
                "'from' has to be a date like 2026-10-01, without quotes",
            ),
            (
                '[[price]]\nmodel = "m"\nabove = -3\ninput = 1\n',
                3,
                "above",
                "'above' has to be a number of tokens",
            ),
            (
                '[prices."claude"]\ninput = 1\n',
                1,
                "prices",
                "unknown key 'prices'; prices stand in [[price]] tables",
            ),
            ('[price]\nmodel = "m"\n', 1, "price", "'price' has to be written as [[price]] tables"),
            ('[[price]]\nmodel = "m"\ninput = \n', 3, None, "is not TOML: invalid value"),
        ],
    )
    def test_are_named_with_line_and_key(
        self, price_file: Any, text: Any, line: Any, key: Any, why: Any
    ) -> None:
        path = price_file(text)

        with pytest.raises(PriceFileError) as caught:
            Prices.load(path)

        assert (caught.value.line, caught.value.key) == (line, key)
        assert str(caught.value) == f"{path}, line {line}: {why}."

    def test_price_without_a_price_lists_the_keys(self, price_file: Any) -> None:
        with pytest.raises(PriceFileError, match=r"line 1: a \[\[price\]\] needs at least one price: "):
            read_price_file(price_file('[[price]]\nmodel = "m"\n'))

    def test_key_that_is_like_no_other_lists_what_is_known(self, price_file: Any) -> None:
        with pytest.raises(PriceFileError, match="unknown key 'zzz'; known are model, provider, tier"):
            read_price_file(price_file('[[price]]\nmodel = "m"\nzzz = 1\n'))

    @pytest.mark.parametrize("number", ["1e999999999", "1e-999999999", "9" * 5000, "inf"])
    def test_number_without_measure_is_told(self, price_file: Any, number: str) -> None:
        with pytest.raises(PriceFileError):
            read_price_file(price_file(f'[[price]]\nmodel = "m"\ninput = {number}\n'))

    def test_nesting_without_measure_is_told(self, price_file: Any) -> None:
        with pytest.raises(PriceFileError):
            read_price_file(price_file("a = " + "[" * 100_000))

    def test_bytes_that_are_no_text_are_told(self, price_file: Any) -> None:
        with pytest.raises(PriceFileError, match="is not UTF-8 text"):
            read_price_file(price_file(b"\xff\xfe"))

    @given(st.text(max_size=60))
    def test_any_text_is_prices_or_a_sentence(
        self, tmp_path_factory: pytest.TempPathFactory, text: Any
    ) -> None:
        path = tmp_path_factory.mktemp("prices") / "p.toml"
        path.write_text(text, encoding="utf-8", newline="")

        with suppress(PriceFileError):
            assert read_price_file(path) == []


class TestMatching:
    @pytest.mark.parametrize(
        ("pattern", "model", "fits"),
        [
            ("claude-*", "Claude-Opus-4-7", True),
            ("claude-opus-4-7", "claude-opus-4-7-20260101", False),
            ("*sonnet*", "us.anthropic.claude-sonnet-4-5", True),
            ("model[1]", "model[1]", True),
            ("model[1]", "model1", False),
            ("m?", "mx", False),
        ],
    )
    def test_star_stands_for_any_text_and_nothing_else_does(
        self, pattern: Any, model: Any, fits: Any
    ) -> None:
        assert OwnPrice(pattern, {}).fits(model, None) == fits

    def test_provider_has_to_be_the_one_named(self) -> None:
        price = OwnPrice("m", {}, provider="OpenAI")

        assert price.fits("m", "openai")
        assert not price.fits("m", None)
