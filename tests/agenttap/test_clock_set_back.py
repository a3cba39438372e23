"""A wall clock that is set back while a tap is on: times tell so, and durations know nothing of it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from agent_debug_replay import Replay
from agent_step_log import StepLog, read_log, verify
from agenttap import Tap, Tape, tapes_of
from tests.provider import Provider

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

T0 = 1_700_000_000.0
TOOLS = [{"name": "search", "description": "search", "input_schema": {"type": "object", "properties": {}}}]


class Clock:
    """The wall clock of everything that records: an hour is lost with every look at it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = T0
        for module in ("agenttap._capture", "agent_step_log._steplog", "agent_step_log._steps"):
            monkeypatch.setattr(f"{module}.time", self.look)

    def look(self) -> float:
        self.now -= 3600
        return self.now


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


def converse(url: str, *, is_streamed: bool) -> list[int]:
    """Ask, answer the tools that are asked for, and fail once; return the statuses."""
    asked: dict[str, Any] = {"model": "claude-test", "max_tokens": 99, "tools": TOOLS}
    history: list[dict[str, Any]] = [{"role": "user", "content": "Go on."}]
    said = httpx2.post(url, json={**asked, "messages": history})
    content = said.json()["content"]
    results = [
        {"type": "tool_result", "tool_use_id": block["id"], "content": "sunny"}
        for block in content
        if block["type"] == "tool_use"
    ]
    history += [{"role": "assistant", "content": content}, {"role": "user", "content": results}]
    more = {"stream": True} if is_streamed else {}
    again = httpx2.post(url, json={**asked, **more, "messages": history})
    failed = httpx2.post(url, json={**asked, "model": "claude-test-400-always", "messages": history})
    return [said.status_code, again.status_code, failed.status_code]


@pytest.mark.parametrize("is_streamed", [False, True])
class TestSetBack:
    @pytest.fixture
    def folder(
        self, provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_streamed: bool
    ) -> Path:
        clock = Clock(monkeypatch)
        url = f"{provider.url}/v1/messages"
        with StepLog(tmp_path / "run.jsonl", "run") as log, Tap(log=log) as tap:
            assert converse(url, is_streamed=is_streamed) == [200, 200, 400]
            with log.tool_call("slow", {}):
                pass
        assert (tap.errors, log.health.dropped) == (0, 0)
        assert clock.now < T0 - 10 * 3600
        return tmp_path

    def test_no_duration_is_below_zero(self, folder: Path) -> None:
        durations = [
            record.duration_ms for record in read_log(folder) if record.type in ("llm_call", "tool_call")
        ]
        assert len(durations) >= 5
        assert all(duration is not None and duration >= 0 for duration in durations)
        for exchange in Tape(tapes_of(folder, "run")[0]).exchanges():
            moments = [exchange.times[name] for name in ("headers_ms", "first_byte_ms", "end_ms")]
            assert [0.0, *moments] == sorted([0.0, *moments])

    def test_the_order_is_that_in_which_things_happened(self, folder: Path) -> None:
        ended = [record.step for record in read_log(folder) if record.type in ("llm_call", "tool_call")]
        assert all(one < other for one, other in pairwise(ended))
        assert [exchange.n for exchange in Tape(tapes_of(folder, "run")[0]).exchanges()] == [1, 2, 3]

    def test_it_is_said_and_the_run_can_be_looked_at(self, folder: Path) -> None:
        problems = verify(folder).problems
        assert {problem.kind for problem in problems} == {"clock"}
        with Replay.open(folder) as replay:
            steps = [row.step for row in replay.rows]
            assert sorted(steps) == list(range(1, len(steps) + 1))
            assert all(row.duration_ms is None or row.duration_ms >= 0 for row in replay.rows)
