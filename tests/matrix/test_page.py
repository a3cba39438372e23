"""The committed page names every SDK and leaves nothing open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.matrix.page import PAGE, read_page, render_page
from tests.matrix.results import Row
from tests.matrix.verdicts import CELLS

if TYPE_CHECKING:
    from pathlib import Path

#: SDK -> what it must be shown over, and in which calls.
CALLS = {("sync", "plain"), ("sync", "stream"), ("async", "plain"), ("async", "stream")}
SYNC = {call for call in CALLS if call[0] == "sync"}
PROMISED = {
    "anthropic": CALLS,
    "openai 2.x": CALLS,
    "openai 3.x": CALLS,
    "google-genai": CALLS,
    "mistralai": CALLS,
    "boto3": SYNC,
    "litellm": CALLS,
    "cohere": CALLS,
    "ollama": CALLS,
    "requests": SYNC,
    "httpx": CALLS,
    "httpx2": CALLS,
    "aiohttp": CALLS - SYNC,
    "pydantic-ai": CALLS,
    "openai-agents": CALLS - {("sync", "stream")},
    "langchain, langgraph": CALLS,
    "smolagents": SYNC,
}


class TestPage:
    @pytest.mark.parametrize("sdk", PROMISED)
    def test_has_every_call_of(self, sdk: str) -> None:
        assert {(key[4], key[5]) for key in read_page() if key[1] == sdk} == PROMISED[sdk]

    def test_shows_google_genai_with_and_without_aiohttp(self) -> None:
        over = {key[2] for key in read_page() if key[1] == "google-genai" and key[4] == "async"}

        assert over >= {"aiohttp", "httpx2"}

    def test_has_no_empty_cell_and_no_no(self) -> None:
        assert [key for key, cells in read_page().items() if not all(cells.values())] == []
        assert "|  |" not in PAGE.read_text(encoding="utf-8")

    def test_reads_back_as_it_was_rendered(self, tmp_path: Path) -> None:
        cells = dict.fromkeys(CELLS, True) | {"tools right": False}
        row = Row("test", "httpx, HTTP/2", "1.0", "httpx", "1.0", "openai.chat", "sync", "plain", cells)
        path = tmp_path / "page.md"
        path.write_text(render_page([row]), encoding="utf-8")

        assert read_page(path) == {row.key: cells}
