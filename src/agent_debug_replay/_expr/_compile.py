"""Expressions made into functions of a row.

A comparison of a text field with a constant is decided once for each different text, not
for each row. What is not known is not 0: a comparison with something missing is false.
"""

from __future__ import annotations

import json
import operator
from math import isfinite
from typing import TYPE_CHECKING, Any

from agent_debug_replay._expr._fields import FIELDS, MISSING, reader_of, text_column
from agent_debug_replay._expr._nodes import Binary, Field, Is, Literal, Node, Not, Text
from agent_debug_replay._expr._pattern import compile_pattern
from agent_debug_replay._table import ERROR

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent_debug_replay._replay import Replay

__all__ = ["condition_of", "decision", "is_true", "summed", "text_of", "value_of"]

_ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_SUMS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
}


def condition_of(node: Node, replay: Replay) -> Callable[[int], bool]:
    """Return what tells whether *node* holds on a row."""
    if isinstance(node, Binary):
        if node.sign in ("and", "or"):
            left, right = condition_of(node.left, replay), condition_of(node.right, replay)
            if node.sign == "and":
                return lambda row: left(row) and right(row)
            return lambda row: left(row) or right(row)
        quick = _quick(node, replay)
        if quick is not None:
            return quick
    elif isinstance(node, Not):
        inner = condition_of(node.inner, replay)
        return lambda row: not inner(row)
    elif isinstance(node, Field) and node.name == "error":
        flags = replay.table.flags
        return lambda row: bool(flags[row] & ERROR)
    elif isinstance(node, Is) and isinstance(node.inner, Field) and node.inner.name == "error":
        flags, wanted = replay.table.flags, ERROR if node.is_negated else 0
        return lambda row: flags[row] & ERROR == wanted
    value = value_of(node, replay)
    return lambda row: is_true(value(row))


def _quick(node: Binary, replay: Replay) -> Callable[[int], bool] | None:
    """Return the comparison of a field of the table with a constant; None where it is none."""
    field, constant, sign = node.left, node.right, node.sign
    if isinstance(field, Literal) and isinstance(constant, Field) and sign in _MIRRORED:
        field, constant, sign = constant, field, _MIRRORED[sign]
    if (
        not isinstance(field, Field)
        or not isinstance(constant, Literal)
        or FIELDS[field.name].home != "table"
    ):
        return None
    found = text_column(field.name, replay)
    if found is not None:
        return _quick_text(found, sign, constant.value, replay)
    if sign not in _ORDERED or type(constant.value) not in (int, float):
        return None
    return _quick_number(field.name, sign, constant.value, replay)


def _quick_text(found: Any, sign: str, value: Any, replay: Replay) -> Callable[[int], bool]:
    column, kind = found
    texts, kinds = replay.table.strings.texts, replay.table.kind
    decide = decision(sign)
    verdicts: list[bool] = []

    def decided(number: int) -> bool:
        # Texts get more as a log grows.
        later = texts[len(verdicts) :]
        verdicts.extend(decide(MISSING if text is None else text, value) for text in later)
        return verdicts[number]

    decided(0)
    if sign == "==" and isinstance(value, str) and not kind:

        def is_same(row: int) -> bool:
            number = column[row]
            return verdicts[number] if number < len(verdicts) else decided(number)

        return is_same

    def holds(row: int) -> bool:
        if kind and kinds[row] != kind:
            return False
        number = column[row]
        return verdicts[number] if number < len(verdicts) else decided(number)

    return holds


def _quick_number(name: str, sign: str, value: Any, replay: Replay) -> Callable[[int], bool] | None:
    if name in ("duration", "ms"):
        # NaN, for what nobody measured, compares false as it should.
        durations, compare = replay.table.duration, _ORDERED[sign]
        if sign == ">":
            return lambda row: durations[row] > value
        return lambda row: compare(durations[row], value)
    read, compare = reader_of(name, (), replay), _ORDERED[sign]

    def holds(row: int) -> bool:
        found = read(row)
        return found is not MISSING and compare(found, value)

    return holds if name in _NUMBERS else None


_NUMBERS = frozenset(
    {
        *("step", "row", "depth", "time", "ts", "gap", "tokens", "size", "input_tokens", "output_tokens"),
        *("cache_read_tokens", "cache_write_tokens", "reasoning_tokens"),
    }
)


def value_of(node: Node, replay: Replay) -> Callable[[int], Any]:
    """Return what gives the value of *node* on a row: a value as JSON has them, or `MISSING`."""
    if isinstance(node, Literal):
        value = node.value
        return lambda _row: value
    if isinstance(node, Field):
        return reader_of(node.name, node.path, replay)
    if isinstance(node, Text):
        inner = value_of(node.inner, replay)
        return lambda row: text_of(inner(row))
    if isinstance(node, Is):
        return _missing_test(node, replay)
    if isinstance(node, Not) or node.sign in ("and", "or"):
        return condition_of(node, replay)
    left, right = value_of(node.left, replay), value_of(node.right, replay)
    if node.sign in _SUMS:
        sign = node.sign
        return lambda row: summed(sign, left(row), right(row))
    decide = decision(node.sign)
    return lambda row: decide(left(row), right(row))


def _missing_test(node: Is, replay: Replay) -> Callable[[int], bool]:
    inner, is_negated = value_of(node.inner, replay), node.is_negated
    return lambda row: (inner(row) is MISSING) is not is_negated


def decision(sign: str) -> Callable[[Any, Any], bool]:
    """Return what decides a comparison of two values; anything missing makes it false."""
    if sign == "contains":
        return _contains
    if sign in ("~", "!~"):
        return _matches if sign == "~" else _matches_not
    if sign in ("==", "!="):
        is_wanted = sign == "=="
        return lambda left, right: (
            left is not MISSING and right is not MISSING and _is_same(left, right) is is_wanted
        )
    compare = _ORDERED[sign]

    def ordered(left: Any, right: Any) -> bool:
        if _is_number(left) and _is_number(right):
            return compare(left, right)
        return isinstance(left, str) and isinstance(right, str) and compare(left, right)

    return ordered


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _is_same(left: Any, right: Any) -> bool:
    if _is_number(left) and _is_number(right):
        return bool(left == right)
    if type(left) is not type(right):
        return False
    try:
        return bool(left == right)
    except RecursionError:
        return False


def _contains(left: Any, right: Any) -> bool:
    """Whether a text holds another, case aside; a structure, anywhere in its keys and texts."""
    if left is MISSING or right is MISSING:
        return False
    if not isinstance(right, str):
        return isinstance(left, list) and any(_is_same(item, right) for item in left)
    needle = right.casefold()
    waiting = [left]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            if needle in value.casefold():
                return True
        elif isinstance(value, dict):
            waiting += value
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif value is not None and type(value) is not bool and needle == str(value):
            return True
    return False


def _matches(left: Any, right: Any) -> bool:
    text = text_of(left)
    return isinstance(text, str) and isinstance(right, str) and compile_pattern(right)(text)


def _matches_not(left: Any, right: Any) -> bool:
    text = text_of(left)
    return isinstance(text, str) and isinstance(right, str) and not compile_pattern(right)(text)


def text_of(value: Any) -> Any:
    """Return a value as one string: text as it is, texts inside of a structure line by line, else JSON."""
    if value is MISSING or isinstance(value, str):
        return value
    if isinstance(value, dict | list):
        texts: list[str] = []
        waiting: list[Any] = [value]
        while waiting:
            item = waiting.pop()
            if isinstance(item, str):
                texts.append(item)
            elif isinstance(item, dict):
                waiting += reversed(list(item.values()))
            elif isinstance(item, list):
                waiting += reversed(item)
            elif item is not None:
                texts.append(_plain(item))
        return "\n".join(texts)
    return _plain(value)


def _plain(value: Any) -> str:
    if _is_number(value) and not isfinite(value):
        return str(value)
    return json.dumps(value)


def summed(sign: str, left: Any, right: Any) -> Any:
    if sign == "+" and isinstance(left, str) and isinstance(right, str):
        return left + right
    if not (_is_number(left) and _is_number(right)):
        return MISSING
    try:
        found = _SUMS[sign](left, right)
    except (ZeroDivisionError, OverflowError):
        return MISSING
    return found if isfinite(found) and abs(found) < 1e300 else MISSING


def is_true(value: Any) -> bool:
    """Whether a value holds as a condition: not missing, null, false, 0 or empty."""
    return value is not MISSING and bool(value)
