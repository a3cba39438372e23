"""docs/walkthrough.md: each of its commands prints what stands below it."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.pages import commands, rewritten

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "walkthrough.md").read_text(encoding="utf-8")


@pytest.fixture
def maker() -> Any:
    """The script that writes the page."""
    spec = importlib.util.spec_from_file_location("make_walkthrough", DOCS / "make_walkthrough.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


class TestWalkthrough:
    def test_its_commands_print_what_it_says(self, maker: Any, tmp_path: Path) -> None:
        maker.prepare(tmp_path)

        assert rewritten(PAGE, tmp_path).splitlines() == PAGE.splitlines()

    def test_finds_the_failure_in_under_ten_commands(self) -> None:
        asked = [line for line in commands(PAGE) if line.startswith("agent-step-log")]

        assert "Nine commands" in PAGE
        assert len(asked) == 9

    def test_a_changed_output_is_noticed(self, tmp_path: Path) -> None:
        page = "```console\n$ echo one; false\nanother\n$ echo $?\n0\n```\n"

        assert rewritten(page, tmp_path) == "```console\n$ echo one; false\none\n$ echo $?\n1\n```\n"


class TestPicture:
    svg = (DOCS / "images" / "walkthrough.svg").read_text(encoding="utf-8")

    def test_asks_nothing_of_the_network(self) -> None:
        assert set(re.findall(r"https?://[^\"' )]+", self.svg)) == {"http://www.w3.org/2000/svg"}
        assert "@font-face" not in self.svg

    def test_shows_the_step_and_what_was_missing(self) -> None:
        for words in ("calculate", "get_user_details"):
            assert words in self.svg
