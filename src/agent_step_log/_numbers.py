"""Numbers, however a line spells them.

JSON of other makers has numbers as strings (as Protocol Buffers write those of 64 bits), and 3.0 for 3.
What an engine that reads JSON into typed columns takes for a number is one here, so that a query and a
reader see the same. The grammar is that of DuckDB's strict reading.
"""

from __future__ import annotations

import re
from math import isfinite, nan
from typing import Any

__all__ = ["NUMERAL", "WHOLE", "finite_number", "whole_number"]

#: A number as a string spells it: white space before it, and digits left out beside its point, pass.
NUMERAL = r"[ \t\n\v\f\r]*(?:(?:0|[1-9][0-9]*|-[0-9]+)(?:\.[0-9]*)?|-?\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
#: A whole one, exact whatever its size.
WHOLE = "-?[0-9]+"

_NUMERAL, _WHOLE = re.compile(NUMERAL), re.compile(WHOLE)


def finite_number(value: Any) -> float | None:
    """Return the number *value*, of JSON, is or spells; None if it is none, or not finite.

    ``true`` and ``false`` are 1 and 0.
    """
    try:
        is_number = isinstance(value, (int, float)) or (isinstance(value, str) and _NUMERAL.fullmatch(value))
        number = float(value) if is_number else nan
    except OverflowError:
        return None
    return number if isfinite(number) else None


def whole_number(value: Any) -> int | None:
    """Return the whole number *value*, of JSON, is or spells; None if it is none."""
    if isinstance(value, int):
        return int(value)
    number = finite_number(value)
    if number is not None and isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value)
    return int(number) if number is not None and number.is_integer() else None
