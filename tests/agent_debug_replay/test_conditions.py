"""Conditions over fields of the caller's own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_debug_replay import MISSING, Condition, ExpressionError

FIELDS = {"status": False, "tokens": False, "tools": False, "metadata": True}
RUN = {"status": "error", "tokens": 1200, "tools": ["bash", "Read"], "metadata": {"user": {"id": 7}}}


def holds(text: str, run: dict[str, Any] = RUN) -> bool:
    return Condition(text, FIELDS).holds(lambda name: run.get(name, MISSING))


class TestHolds:
    @pytest.mark.parametrize(
        "text",
        [
            'status == "error" and tokens > 1k',
            'status == "ok" or tools contains "bash"',
            'not (status ~ "^ok$") and metadata.user.id == 7',
            "tokens / 2 == 600",
            "metadata.nothing is missing",
            'text(metadata) contains "7"',
        ],
    )
    def test_is_true_where_the_values_say_so(self, text: str) -> None:
        assert holds(text)
        assert not holds(f"not ({text})")

    @pytest.mark.parametrize(
        "text", ["tokens > 0", "tokens <= 0", "tokens == 0", "tokens != 0", "tokens + 1 > 0"]
    )
    def test_what_is_not_known_compares_with_nothing(self, text: str) -> None:
        assert not holds(text, {})

    @given(st.booleans(), st.booleans(), st.booleans())
    def test_and_binds_closer_than_or(self, one: bool, two: bool, three: bool) -> None:
        words = [str(each).lower() for each in (one, two, three)]
        assert holds(f"{words[0]} or {words[1]} and not {words[2]}") == (one or (two and not three))


class TestParsing:
    def test_names_the_fields_it_uses(self) -> None:
        assert Condition("tokens > 1 or not metadata.a", FIELDS).names == {"tokens", "metadata"}

    def test_offers_the_nearest_name_or_all(self) -> None:
        with pytest.raises(ExpressionError, match=r"did you mean tokens\?"):
            Condition("token > 1", FIELDS)
        with pytest.raises(ExpressionError, match="there are status, tokens, tools, metadata") as caught:
            Condition("tokens > zzz", FIELDS)
        assert caught.value.column == 9

    def test_a_path_leads_only_where_one_may(self) -> None:
        with pytest.raises(ExpressionError, match="'status' has no parts"):
            Condition("status.a", FIELDS)

    def test_says_again_what_it_was_given(self) -> None:
        assert str(Condition(' status="ok" ', FIELDS)) == 'status == "ok"'
