"""docs/replay.md and docs/expressions.md: every command, catch point and field is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent_debug_replay import CATCHES, FIELDS, TOPICS, Expression

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = (DOCS / "replay.md").read_text(encoding="utf-8")
LANGUAGE = (DOCS / "expressions.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.names[0])
def test_every_command_and_its_reverse_is_in_the_table(topic: object) -> None:
    _, _, table = GUIDE.partition("| command | reverse | |")
    names = [*topic.names, *([topic.reverse] if topic.reverse else [])]  # type: ignore[attr-defined]

    assert [name for name in names if f"`{name}`" not in table] == []


def test_every_catch_point_is_in_the_table() -> None:
    assert [kind for kind in CATCHES if f"| `{kind}`" not in GUIDE] == []


def test_every_field_is_in_the_table_and_no_other() -> None:
    _, _, table = LANGUAGE.partition("| field | | read from |")
    rows = re.findall(r"^\| (`.*?) \| .*? \| .*? \|$", table, re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`(\w+)`", row)}

    assert told == set(FIELDS)


@pytest.mark.parametrize(
    "text", re.findall(r"^```\n(.*?)^```", LANGUAGE, re.MULTILINE | re.DOTALL)[0].splitlines()
)
def test_every_example_is_an_expression(text: str) -> None:
    assert Expression(text)
