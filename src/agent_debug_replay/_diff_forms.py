"""JSON in one form: what two steps were told or said is compared as a value, not as bytes.

In that form keys are sorted, and of a model call the ids a provider makes up for each call (`id`,
`tool_use_id`, `tool_call_id`, `call_id`) are left out. Only objects and arrays have one; what does not
decode (a number no float holds) and what is nested too deep stays as it is.

Pure functions; nothing here knows what a step is.
"""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["all_canonical", "canonical", "is_nested", "is_same_json", "may_have_ids", "without_call_ids"]

_CALL_IDS = frozenset({"id", "tool_use_id", "tool_call_id", "call_id"})
_DEEPEST = 60
_NESTED = (b"{", b"[")
_ERRORS = (msgspec.DecodeError, msgspec.EncodeError, RecursionError)
_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder().decode


def is_nested(raw: bytes) -> bool:
    """Whether the JSON *raw* is an object or an array."""
    return raw.startswith(_NESTED)


def canonical(raw: bytes, *, is_call: bool) -> bytes:
    """Return the JSON *raw* in one form; as it is where it has none."""
    if not raw.startswith(_NESTED):
        return raw
    try:
        value = _decode(raw)
        return _encode(without_call_ids(value) if is_call and may_have_ids(raw) else value)
    except _ERRORS:
        return raw


def all_canonical(raws: list[bytes]) -> list[bytes]:
    """Return some JSON in one form, of no model call."""
    try:
        return list(map(_encode, map(_decode, raws)))  # most decode, and this is what takes least
    except _ERRORS:
        return [canonical(raw, is_call=False) for raw in raws]


def may_have_ids(raw: bytes) -> bool:
    """Whether the JSON *raw* may have one of the ids that are left out."""
    # All of `_CALL_IDS` end so, unless they are written in escapes.
    return b'id"' in raw or b"\\u" in raw


def is_same_json(one: bytes, other: bytes, *, is_call: bool) -> bool:
    """Whether both are the same in one form."""
    if one == other:
        return True
    if not one.startswith(_NESTED) or other[:1] != one[:1]:
        return False
    try:
        left, right = _decode(one), _decode(other)
        if is_call and (may_have_ids(one) or may_have_ids(other)):
            left, right = without_call_ids(left), without_call_ids(right)
        # To Python True is 1, and not to JSON; that two values differ can be had for less.
        return bool(left == right) and _encode(left) == _encode(right)
    except _ERRORS:
        return False


def without_call_ids(value: Any, depth: int = 0) -> Any:
    """Return *value* without the ids a provider makes up for each call."""
    if depth > _DEEPEST:
        return value
    if isinstance(value, dict):
        return {
            key: without_call_ids(item, depth + 1)
            for key, item in value.items()
            if key not in _CALL_IDS or not isinstance(item, str)
        }
    if isinstance(value, list):
        return [without_call_ids(item, depth + 1) for item in value]
    return value
