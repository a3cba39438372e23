"""Two values compared field by field."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_debug_replay import field_changes
from agent_debug_replay._diff_fields import MOST_CHANGES

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("xy", max_size=2), inner, max_size=3),
    max_leaves=12,
)


def told(before: Any, after: Any) -> list[tuple[str, str, Any, Any]]:
    return [(each.path, each.kind, each.before, each.after) for each in field_changes(before, after)]


class TestFieldChanges:
    @pytest.mark.parametrize(
        ("before", "after", "expected"),
        [
            ({"a": 1}, {"a": 2}, [("a", "changed", 1, 2)]),
            ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, [("a.b[1]", "changed", 2, 3)]),
            ({"a": 1}, {"b": 1}, [("a", "removed", 1, None), ("b", "added", None, 1)]),
            ([1, 2, 3], [1, 9, 2, 3], [("[1]", "added", None, 9)]),
            ([1, 2, 3], [1, 3], [("[1]", "removed", 2, None)]),
            ({"a b": 1}, {"a b": 2}, [('["a b"]', "changed", 1, 2)]),
            (True, 1, [("", "changed", True, 1)]),
            (1, 1.0, []),
            (None, {}, [("", "changed", None, {})]),
        ],
    )
    def test_names_what_differs(self, before: Any, after: Any, expected: Any) -> None:
        assert told(before, after) == expected

    @given(VALUES)
    def test_finds_nothing_in_a_copy(self, value: Any) -> None:
        assert field_changes(value, copy.deepcopy(value)) == []

    @given(VALUES, VALUES)
    def test_finds_as_much_both_ways_round(self, one: Any, other: Any) -> None:
        assert bool(field_changes(one, other)) == bool(field_changes(other, one))

    def test_stops_after_so_many(self) -> None:
        assert len(field_changes({}, {str(key): 0 for key in range(2 * MOST_CHANGES)})) == MOST_CHANGES

    def test_goes_no_deeper_than_a_log_does(self) -> None:
        deep: Any = 1
        other: Any = 2
        for _ in range(500):
            deep, other = [deep], [other]
        [change] = field_changes(deep, other)
        assert change.kind == "changed"
