"""docs/ci.md: its files and commands work as they stand there, with the exit statuses it shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.pages import files, rewritten

PAGE = (Path(__file__).parents[2] / "docs" / "ci.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page as it comes out when its commands are run."""
    return rewritten(PAGE, tmp_path_factory.mktemp("ci"))


def part(page: str, title: str) -> str:
    """The text below a heading."""
    return page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


class TestPage:
    def test_its_commands_print_what_it_says(self, printed: str) -> None:
        assert printed.splitlines() == PAGE.splitlines()

    def test_a_good_change_passes_every_gate(self, printed: str) -> None:
        statuses = re.findall(r"^(\d)(?=  |$)", part(printed, "A good change"), re.MULTILINE)

        assert statuses == ["0"] * 5

    def test_a_bad_change_is_refused_by_every_gate(self, printed: str) -> None:
        statuses = re.findall(r"^(\d)(?=  |$)", part(printed, "A bad change"), re.MULTILINE)

        assert statuses == ["1"] * 6

    def test_shows_the_files_the_commands_use(self) -> None:
        assert sorted(files(PAGE)) == ["agent.py", "gate.sh", "test_agent.py"]
