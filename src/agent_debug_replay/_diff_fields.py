"""Two JSON values compared field by field.

A path is written as in `output.files[2].name`; a key that is no plain word stands in brackets and
quotes, `input["a b"]`. The items of two lists are aligned first, so that one that came in the middle
is one difference and not many; a path counts items from 0, as they stand in the first list (in
the second for what was added).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from agent_debug_replay._align import align

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MOST_CHANGES", "FieldChange", "field_changes"]

#: Differences found in one pair of values before the search stops.
MOST_CHANGES = 1000

_DEEPEST = 60
_WORD = re.compile(r"[A-Za-z_][\w-]*")
_encode = msgspec.json.Encoder(order="sorted").encode


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One difference.

    Attributes:
        path: Where.
        kind: "changed", "added" (only in the second) or "removed" (only in the first).
        before, after: The values; None on the side that has none.
    """

    path: str
    kind: str
    before: Any
    after: Any


def field_changes(before: Any, after: Any, path: str = "") -> list[FieldChange]:
    """Return how *after* differs from *before*, at most `MOST_CHANGES` differences.

    Args:
        before, after: Values as JSON decodes them. Numbers are compared by value, so 1 and 1.0 are equal.
        path: What the paths begin with.
    """
    found: list[FieldChange] = []
    for change in _walk(before, after, path, 0):
        found.append(change)
        if len(found) >= MOST_CHANGES:
            break
    return found


def _walk(before: Any, after: Any, path: str, depth: int) -> Iterator[FieldChange]:
    if depth < _DEEPEST and isinstance(before, dict) and isinstance(after, dict):
        yield from _objects(before, after, path, depth)
    elif depth < _DEEPEST and isinstance(before, list) and isinstance(after, list):
        yield from _lists(before, after, path, depth)
    elif not _is_equal(before, after):
        yield FieldChange(path, "changed", before, after)


def _objects(before: dict[str, Any], after: dict[str, Any], path: str, depth: int) -> Iterator[FieldChange]:
    for key, value in before.items():
        inner = _inside(path, key)
        if key in after:
            yield from _walk(value, after[key], inner, depth + 1)
        else:
            yield FieldChange(inner, "removed", value, None)
    for key, value in after.items():
        if key not in before:
            yield FieldChange(_inside(path, key), "added", None, value)


def _lists(before: list[Any], after: list[Any], path: str, depth: int) -> Iterator[FieldChange]:
    blocks = align([_form(item) for item in before], [_form(item) for item in after])
    i = j = 0
    for next_i, next_j, size in [*blocks, (len(before), len(after), 0)]:
        while i < next_i and j < next_j:
            yield from _walk(before[i], after[j], f"{path}[{i}]", depth + 1)
            i, j = i + 1, j + 1
        for place in range(i, next_i):
            yield FieldChange(f"{path}[{place}]", "removed", before[place], None)
        for place in range(j, next_j):
            yield FieldChange(f"{path}[{place}]", "added", None, after[place])
        i, j = next_i + size, next_j + size


def _inside(path: str, key: str) -> str:
    if not _WORD.fullmatch(key):
        return f"{path}[{json.dumps(key, ensure_ascii=False)}]"
    return f"{path}.{key}" if path else key


def _is_equal(before: Any, after: Any) -> bool:
    if isinstance(before, dict | list) and isinstance(after, dict | list):
        return _form(before) == _form(after)
    # True is 1 to Python, and not to JSON.
    return before == after and isinstance(before, bool) == isinstance(after, bool)


def _form(value: Any) -> bytes:
    try:
        return _encode(value)
    except (msgspec.EncodeError, TypeError, ValueError, RecursionError):
        return repr(value).encode("utf-8", "replace")
