"""docs/queries.md held to the views."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent_step_log import query
from agent_step_log.query import VIEWS, open_logs
from tests.agent_step_log import loglines as ll

PAGE = (Path(__file__).parents[3] / "docs" / "queries.md").read_text(encoding="utf-8")


class TestDocs:
    @pytest.mark.parametrize("view", VIEWS)
    def test_the_page_tells_each_column_as_it_is(self, view: str) -> None:
        section = re.split(r"^##", PAGE.partition(f"\n### {view}\n")[2], flags=re.MULTILINE)[0]
        rows = [
            (name, type_, unit, about)
            for name, type_, unit, about in re.findall(
                r"^\| `(\w+)` \| ([^|]*) \| ([^|]*) ?\| (.*) \|$", section, re.MULTILINE
            )
        ]

        assert [tuple(map(str.strip, row)) for row in rows] == [tuple(column) for column in VIEWS[view]]

    def test_the_views_have_these_columns_and_types(self, tmp_path: Path) -> None:
        (tmp_path / "a.jsonl").write_bytes(ll.start() + ll.llm(1) + ll.tool(2) + ll.end())
        with open_logs(tmp_path) as logs:
            for view, columns in VIEWS.items():
                result = logs.sql(f"SELECT * FROM {view}")
                assert result.columns == tuple(column.name for column in columns)
                assert result.types == tuple(column.type for column in columns)

    def test_every_public_name_is_told(self) -> None:
        assert [name for name in query.__all__ if f"`{name}" not in PAGE] == []
