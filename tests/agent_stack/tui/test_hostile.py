"""What a log holds is shown and never obeyed, whatever it holds and however much of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.agent_stack.test_cli_hostile import HOSTILE, acting, hostile_records
from tests.agent_stack.tui.conftest import Driven, drive, lines_of, llm, start, tool

if TYPE_CHECKING:
    from pathlib import Path

_LONG = 50 * 1024 * 1024


@pytest.mark.parametrize("kind", HOSTILE)
def test_no_view_lets_a_log_act_on_the_terminal(tmp_path: Path, kind: str) -> None:
    text = HOSTILE[kind]
    path = tmp_path / "run.jsonl"
    path.write_text(lines_of(*hostile_records(text)), encoding="utf-8", errors="surrogatepass")

    async def script(screen: Driven) -> None:
        for keys in (
            "1",
            "2",
            "5",
            "6",
            "7",
            "j 1",
            "2",
            "7",
            "d escape",
            "j 1",
            "j 2",
            "j 7",
            "v",
            "escape",
        ):
            await screen.press(*keys.split())
            assert acting(screen.text) == set()

    drive(path, script)


def test_a_value_of_fifty_megabytes_is_shown_by_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text(lines_of(start(), tool(1, output="x" * _LONG), llm(2)))

    async def script(screen: Driven) -> None:
        await screen.press("2")
        assert "xxxx" in screen.pane_text
        assert len(screen.pane_text) < 200_000
        await screen.press("j")
        assert screen.label == "2"

    drive(path, script)


def test_json_nested_ten_thousand_deep_is_no_reason_to_stop(tmp_path: Path) -> None:
    deep = "[" * 10_000 + "]" * 10_000
    [line] = lines_of(tool(1, input={"a": "DEEP"})).splitlines()
    path = tmp_path / "run.jsonl"
    path.write_text(lines_of(start()) + line.replace(json.dumps("DEEP"), deep) + "\n" + lines_of(llm(2)))

    async def script(screen: Driven) -> None:
        for key in ("1", "7", "j"):
            await screen.press(key)
        assert screen.label == "2"

    drive(path, script)
