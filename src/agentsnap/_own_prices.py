"""A price file of one's own: TOML, one ``[[price]]`` for each model (and tier, and time).

    [[price]]
    model = "claude-sonnet-4-5*"     # required; * stands for any text, case does not matter
    provider = "anthropic"           # as the records name it; left out: any
    tier = "batch"                   # as the records name it; left out: the standard tier
    from = 2026-10-01                # first day it holds (UTC); left out: always
    above = 200_000                  # holds for prompts of more tokens than this; left out: 0
    input = 1.50                     # USD per million tokens
    output = 7.50
    cache_read = 0.15
    cache_write = 1.875              # written for 5 minutes, or with no lifetime
    cache_write_1h = 3.00
    input_audio = 4.00
    output_audio = 8.00
    output_image = 30.00
    reasoning = 7.50                 # where it is billed apart from the output
    web_search = 10.00               # USD per thousand searches
    request = 5.00                   # USD per thousand calls

Of several that fit a call the last in the file counts, with its prices alone: what it does
not name is not priced. A key that is misspelt is an error that names line and key.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from difflib import get_close_matches
from fnmatch import translate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentsnap.errors import PriceFileError

if TYPE_CHECKING:
    import os

__all__ = ["PRICE_KEYS", "OwnPrice", "read_price_file"]

#: Keys of a price, and how many units it is for.
PRICE_KEYS = {
    "input": 1_000_000,
    "cache_read": 1_000_000,
    "cache_write": 1_000_000,
    "cache_write_1h": 1_000_000,
    "input_audio": 1_000_000,
    "output": 1_000_000,
    "output_audio": 1_000_000,
    "output_image": 1_000_000,
    "reasoning": 1_000_000,
    "web_search": 1_000,
    "request": 1_000,
}
_MOST_USD = 10**9
_MOST_DECIMALS = 20
_OTHER_KEYS = ("model", "provider", "tier", "from", "above")
_KEYS = (*_OTHER_KEYS, *PRICE_KEYS)
_TABLE = re.compile(r"\s*\[\[\s*([\"']?)price\1\s*\]\]")


@dataclass(frozen=True, slots=True)
class OwnPrice:
    """Prices of one model; see the module for the meaning of each.

    Attributes:
        prices: USD by the keys of `PRICE_KEYS`.
        name: What `explain` calls it.
    """

    model: str
    prices: dict[str, Decimal]
    provider: str | None = None
    tier: str | None = None
    start: date | None = None
    above: int = 0
    name: str = "own price"
    _matches: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Of the signs fnmatch knows only the star: a model's name may hold brackets.
        literal = re.sub(r"[?\[]", lambda sign: f"[{sign[0]}]", self.model.lower())
        object.__setattr__(self, "_matches", re.compile(translate(literal)))

    def fits(self, model: str, provider: str | None) -> bool:
        """Whether it is about this model of this provider."""
        if self.provider is not None and (provider or "").lower() != self.provider.lower():
            return False
        return self._matches.match(model.lower()) is not None


def read_price_file(path: str | os.PathLike[str]) -> list[OwnPrice]:
    """Read the price file at *path*.

    Raises:
        PriceFileError: It is not UTF-8 or not TOML, a key is unknown or missing, a value is of no use.
        OSError: It cannot be read.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        tables = tomllib.loads(text, parse_float=Decimal)
    except UnicodeDecodeError:
        raise PriceFileError(path, "is not UTF-8 text") from None
    except RecursionError:
        raise PriceFileError(path, "is nested too deeply") from None
    except ValueError as error:  # TOMLDecodeError, or a number of too many digits
        why, line = _toml_error(str(error))
        raise PriceFileError(path, f"is not TOML: {why}", line=line) from None
    return _Reader(path, text).prices(tables)


class _Reader:
    def __init__(self, path: object, text: str) -> None:
        self._path = path
        self._lines = text.splitlines()
        self._starts = [number for number, line in enumerate(self._lines) if _TABLE.match(line)]

    def prices(self, tables: dict[str, Any]) -> list[OwnPrice]:
        for key in tables:
            if key != "price":
                self._fail(f"unknown key {key!r}; prices stand in [[price]] tables", key, self._line(key))
        entries = tables.get("price", [])
        if type(entries) is not list or any(type(entry) is not dict for entry in entries):
            self._fail("'price' has to be written as [[price]] tables", "price", self._line("price"))
        return [self._price(number, entry) for number, entry in enumerate(entries)]

    def _price(self, number: int, entry: dict[str, Any]) -> OwnPrice:
        for key in entry:
            if key not in _KEYS:
                close = get_close_matches(key, _KEYS, n=1)
                hint = f" (did you mean {close[0]!r}?)" if close else f"; known are {', '.join(_KEYS)}"
                self._fail(f"unknown key {key!r}{hint}", key, self._line(key, number))
        head = self._starts[number] + 1 if number < len(self._starts) else None
        if "model" not in entry:
            self._fail("a [[price]] needs the key 'model'", "model", head)
        prices = {key: self._usd(key, entry[key], number) for key in PRICE_KEYS if key in entry}
        if not prices:
            self._fail(f"a [[price]] needs at least one price: {', '.join(PRICE_KEYS)}", None, head)
        start, above = entry.get("from"), entry.get("above", 0)
        if start is not None and (not isinstance(start, date) or isinstance(start, datetime)):
            self._fail("'from' has to be a date like 2026-10-01, without quotes", "from", number=number)
        if type(above) is not int or above < 0:
            self._fail("'above' has to be a number of tokens", "above", number=number)
        return OwnPrice(
            self._text("model", entry, number) or "",
            prices,
            self._text("provider", entry, number),
            self._text("tier", entry, number),
            start,
            above,
            f"{self._path}" + (f", line {head}" if head is not None else ""),
        )

    def _text(self, key: str, entry: dict[str, Any], number: int) -> str | None:
        value = entry.get(key)
        if value is not None and (type(value) is not str or not value):
            self._fail(f"{key!r} has to be a text in quotes", key, number=number)
        return value

    def _usd(self, key: str, value: object, number: int) -> Decimal:
        if type(value) is int or (isinstance(value, Decimal) and value.is_finite()):
            price = Decimal(value)
            digits = price.as_tuple().exponent
            if 0 <= price < _MOST_USD and type(digits) is int and digits >= -_MOST_DECIMALS:
                return price
        self._fail(f"{key!r} has to be a number of USD, 0 or more, without quotes", key, number=number)
        raise AssertionError

    def _fail(self, why: str, key: str | None, line: int | None = None, *, number: int | None = None) -> None:
        if line is None and key is not None and number is not None:
            line = self._line(key, number)
        raise PriceFileError(self._path, why, line=line, key=key)

    def _line(self, key: str, number: int | None = None) -> int | None:
        """Return the line where *key* stands, in table *number* or anywhere; tomllib tells no places."""
        begin, end = 0, len(self._lines)
        if number is not None:
            if number >= len(self._starts):
                return None
            begin = self._starts[number]
            end = self._starts[number + 1] if number + 1 < len(self._starts) else end
        name = re.compile(rf"\s*\[{{0,2}}\s*([\"']?){re.escape(key)}\1\s*[=.\]]")
        return next((at + 1 for at in range(begin, end) if name.match(self._lines[at])), None)


def _toml_error(message: str) -> tuple[str, int | None]:
    """Split the message of tomllib into what and where."""
    found = re.fullmatch(r"(.*) \(at line (\d+), column \d+\)", message, re.DOTALL)
    what = found[1] if found else message.removesuffix(" (at end of document)")
    what = what[:1].lower() + what[1:]
    return what, int(found[2]) if found else None
