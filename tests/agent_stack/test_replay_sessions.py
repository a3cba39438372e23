"""Batches over real runs of several tools, their answers held to the raw files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.agent_stack.conftest import Cli

DATA = Path(__file__).parents[1] / "data"
TAU = DATA / "trajectories" / "tau-bench-excerpt.json"


def dialogues() -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = json.loads(TAU.read_text(encoding="utf-8"))
    return loaded


@pytest.mark.parametrize("dialogue", dialogues(), ids=lambda each: f"{each['task_id']}-{each['trial']}")
class TestTauBench:
    def replayed(self, cli: Cli, dialogue: dict[str, Any], line: str) -> tuple[int, str]:
        cli("import", "trajectory", TAU, "--into", "logs")
        done = cli("replay", "logs", f"{dialogue['task_id']}-{dialogue['trial']}", "-x", line, columns=200)
        assert done.err == ""
        return done.code, done.out

    def test_the_first_failing_tool(self, cli: Cli, dialogue: dict[str, Any]) -> None:
        # The first message of a tool that begins with "Error:", as the benchmark writes it.
        failed = [
            message["content"]
            for message in dialogue["traj"]
            if message["role"] == "tool" and message["content"].startswith("Error:")
        ]

        code, out = self.replayed(cli, dialogue, "catch error; c; pp error")

        assert code == (1 if failed else 0)
        assert all(first in out for first in failed[:1])

    def test_what_the_model_saw_first(self, cli: Cli, dialogue: dict[str, Any]) -> None:
        code, out = self.replayed(cli, dialogue, "until type == 'llm_call'; ctx")

        assert code == 0
        assert "2 messages" in out
        assert "1 system" in out
        assert "2 user" in out

    def test_every_tool_call_in_order(self, cli: Cli, dialogue: dict[str, Any]) -> None:
        asked = [
            call["function"]["name"]
            for message in dialogue["traj"]
            for call in message.get("tool_calls") or []
        ]

        _, out = self.replayed(cli, dialogue, "log step if type == 'tool_call'")

        assert [line.split()[1] for line in out.splitlines()[1:]] == asked
