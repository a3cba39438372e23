"""Steps from the wire: one record for what happened once, however often the wire repeats it."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from agent_step_log import Record, StepLog, read_log
from agenttap import Tap, _steps
from agenttap.decoders import ToolCall, ToolResult
from tests.provider import Provider

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOOLS = [
    {"name": name, "description": name, "input_schema": {"type": "object", "properties": {}}}
    for name in ("get_weather", "search")
]


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@contextmanager
def tapped(tmp_path: Path) -> Iterator[StepLog]:
    with StepLog(tmp_path / "run.jsonl", "run") as log, Tap(log=log) as tap:
        yield log
    assert tap.last_error is None


def records(tmp_path: Path, kind: str) -> list[Record]:
    return [record for record in read_log(tmp_path / "run.jsonl") if record.type == kind]


class Agent:
    """A conversation over the plain wire, so that a test may send any history."""

    def __init__(self, provider: Provider, model: str = "claude-test", *, path: str = "/v1/messages") -> None:
        self.url, self.model = f"{provider.url}{path}", model
        self.history: list[dict[str, Any]] = [{"role": "user", "content": "Go on."}]

    def ask(
        self, history: list[dict[str, Any]] | None = None, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        asked = {"model": self.model, "max_tokens": 99, "tools": TOOLS, "messages": history or self.history}
        answer: dict[str, Any] = httpx2.post(self.url, json=asked, headers=headers).json()
        if history is None and "content" in answer:
            self.history.append({"role": "assistant", "content": answer["content"]})
        return answer

    def calls(self) -> list[dict[str, Any]]:
        return [block for block in self.history[-1]["content"] if block["type"] == "tool_use"]

    def answer(self, output: Any = "sunny", **more: Any) -> None:
        results = [
            {"type": "tool_result", "tool_use_id": call["id"], "content": output, **more}
            for call in self.calls()
        ]
        self.history.append({"role": "user", "content": results})


class TestTools:
    def test_a_tool_is_recorded_between_the_calls_that_ask_and_that_answer(
        self, provider: Provider, tmp_path: Path
    ) -> None:
        with tapped(tmp_path):
            agent = Agent(provider)
            agent.ask()
            asked = agent.calls()[0]
            agent.answer("sunny")
            agent.ask()
        (tool,) = records(tmp_path, "tool_call")
        first, second = records(tmp_path, "llm_call")

        assert (tool.tool, tool.input, tool.output) == (asked["name"], asked["input"], "sunny")
        assert (tool.tool_call_id, tool.inferred, tool.error) == (asked["id"], True, None)
        assert tool.bounds == {"duration_ms": "upper"}
        assert first.step < tool.step < second.step

    def test_parallel_calls_are_each_recorded_once(self, provider: Provider, tmp_path: Path) -> None:
        with tapped(tmp_path):
            agent = Agent(provider, "claude-test-parallel")
            agent.ask()
            asked = agent.calls()
            agent.answer()
            agent.ask()

        assert len(asked) == 2
        assert {tool.tool_call_id for tool in records(tmp_path, "tool_call")} == {
            call["id"] for call in asked
        }

    def test_a_failed_tool_has_its_words_as_error(self, provider: Provider, tmp_path: Path) -> None:
        with tapped(tmp_path):
            agent = Agent(provider)
            agent.ask()
            agent.answer([{"type": "text", "text": "no such city"}], is_error=True)
            agent.ask()

        assert [tool.error for tool in records(tmp_path, "tool_call")] == ["no such city"]

    def test_a_resent_history_adds_nothing(self, provider: Provider, tmp_path: Path) -> None:
        with tapped(tmp_path):
            agent = Agent(provider)
            agent.ask()
            agent.answer()
            for _ in range(3):
                agent.ask()
                agent.history.append({"role": "user", "content": "And now?"})

        assert len(records(tmp_path, "tool_call")) == 1

    def test_a_history_from_before_the_tap_adds_nothing(self, provider: Provider, tmp_path: Path) -> None:
        agent = Agent(provider)
        agent.ask()
        agent.answer()
        with tapped(tmp_path):
            agent.ask()

        assert records(tmp_path, "tool_call") == []

    def test_a_fork_of_the_conversation_adds_nothing(self, provider: Provider, tmp_path: Path) -> None:
        with tapped(tmp_path):
            agent = Agent(provider)
            agent.ask()
            agent.answer("sunny")
            agent.ask()
            fork = json.loads(json.dumps(agent.history[:3]))
            fork[2]["content"][0]["content"] = "rainy"
            agent.ask(fork)

        assert [tool.output for tool in records(tmp_path, "tool_call")] == ["sunny"]

    def test_a_compacted_history_neither_loses_nor_repeats_a_tool(
        self, provider: Provider, tmp_path: Path
    ) -> None:
        with tapped(tmp_path):
            agent = Agent(provider)
            agent.ask()
            agent.answer("first")
            agent.ask()
            # The turns so far become a summary; the tool asked for next stands right behind it.
            agent.history = [{"role": "user", "content": "Summary: it is sunny. Go on."}]
            agent.ask()
            agent.answer("second")
            agent.ask()

        assert [tool.output for tool in records(tmp_path, "tool_call")] == ["first", "second"]

    @pytest.mark.parametrize("with_id", [True, False])
    def test_the_agents_own_record_of_a_tool_wins(
        self, provider: Provider, tmp_path: Path, with_id: bool
    ) -> None:
        with tapped(tmp_path) as log:
            agent = Agent(provider)
            agent.ask()
            (asked,) = agent.calls()
            with log.tool_call(asked["name"], asked["input"], tool_call_id=asked["id"] if with_id else None):
                agent.answer()
            agent.ask()

        assert [tool.inferred for tool in records(tmp_path, "tool_call")] == [None]

    def test_a_plain_record_of_a_tool_wins(self, provider: Provider, tmp_path: Path) -> None:
        with tapped(tmp_path) as log:
            agent = Agent(provider)
            agent.ask()
            (asked,) = agent.calls()
            log.record_tool_call(asked["name"], asked["input"], "sunny", 3)
            agent.answer()
            agent.ask()

        assert len(records(tmp_path, "tool_call")) == 1

    def test_interleaved_agents_keep_their_own_tools_and_parents(
        self, provider: Provider, tmp_path: Path
    ) -> None:
        with tapped(tmp_path) as log:
            both_asked = threading.Barrier(2, timeout=120)

            def work(name: str) -> None:
                with log.agent(name):
                    agent = Agent(provider)
                    agent.ask()
                    both_asked.wait()
                    agent.answer(name)
                    agent.ask()

            threads = [threading.Thread(target=work, args=(name,)) for name in ("left", "right")]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        tools = records(tmp_path, "tool_call")

        assert sorted((tool.agent, tool.output) for tool in tools) == [("left", "left"), ("right", "right")]
        scopes = {record.agent: record.step for record in records(tmp_path, "agent_call")}
        assert {tool.agent: tool.parent for tool in tools} == scopes


class TestToolsWithoutIds:
    URL = "/v1beta/models/gemini-test:generateContent"

    def turn(self, provider: Provider, contents: list[dict[str, Any]]) -> list[dict[str, Any]]:
        asked = {"contents": contents, "tools": [{"functionDeclarations": [{"name": "get_weather"}]}]}
        answer = httpx2.post(f"{provider.url}{self.URL}", json=asked).json()
        parts: list[dict[str, Any]] = answer["candidates"][0]["content"]["parts"]
        return parts

    def test_the_same_call_made_twice_gets_each_its_own_answer(
        self, provider: Provider, tmp_path: Path
    ) -> None:
        with tapped(tmp_path):
            contents: list[dict[str, Any]] = [{"role": "user", "parts": [{"text": "Go on."}]}]
            for output in ("sunny", "rainy"):
                parts = self.turn(provider, contents[:1])
                contents.append({"role": "model", "parts": parts})
                response = {"name": "get_weather", "response": {"result": output}}
                contents.append({"role": "user", "parts": [{"functionResponse": response}]})
                self.turn(provider, contents)

        outputs = [tool.output for tool in records(tmp_path, "tool_call")]
        assert outputs == [{"result": "sunny"}, {"result": "rainy"}]

    def test_a_response_the_collector_ends_while_an_answer_is_looked_for_stops_nobody(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        form, asked = _steps._form, {"city": "Kiel"}
        call: Any = SimpleNamespace(step=SimpleNamespace(step=1, parent=None, agent=None))

        def ends(n: int) -> None:
            exchange: Any = SimpleNamespace(n=n, began=1.0, ended=2.0, keeps_content=True)
            writer._ask([ToolCall(None, "get_weather", asked)], exchange, call)

        def collect(value: object) -> bytes:
            # As a finaliser does, on the thread at hand and wherever that is.
            if left:
                ends(left.pop())
            return form(value)

        def work() -> None:
            ends(1)
            monkeypatch.setattr(_steps, "_form", collect)
            answered: Any = SimpleNamespace(n=3, began=3.0, ended=4.0, keeps_content=True)
            writer._answer([ToolResult(None, "get_weather", asked, "sunny")], answered)

        left = [2]
        with StepLog(tmp_path / "run.jsonl", "run") as log:
            writer = _steps.StepWriter(log)
            worker = threading.Thread(target=work, daemon=True)
            worker.start()
            worker.join(60)
            assert not worker.is_alive()

        assert left == []
        assert [tool.output for tool in records(tmp_path, "tool_call")] == ["sunny"]


class TestRetries:
    def test_refused_attempts_and_the_answer_are_one_call(self, provider: Provider, tmp_path: Path) -> None:
        with tapped(tmp_path):
            agent = Agent(provider, "claude-test-429-twice")
            statuses = [agent.ask().get("type") for _ in range(3)]
        (call,) = records(tmp_path, "llm_call")
        attempts = [event.data for event in records(tmp_path, "event") if event.name == "llm.attempt"]

        assert statuses == ["error", "error", "message"]
        assert (call.attempt, call.error) == (3, None)
        assert call.exchange["attempts"] == [1, 2, 3]
        assert [(attempt["attempt"], attempt["status"]) for attempt in attempts] == [(1, 429), (2, 429)]

    def test_a_client_that_gives_up_leaves_one_failed_call(self, provider: Provider, tmp_path: Path) -> None:
        with tapped(tmp_path):
            agent = Agent(provider, "claude-test-529-always")
            agent.ask()
            agent.ask()
        (call,) = records(tmp_path, "llm_call")

        assert (call.attempt, call.error_type) == (2, "overloaded_error")
        assert call.error

    def test_another_call_of_the_same_thread_ends_the_one_given_up(
        self, provider: Provider, tmp_path: Path
    ) -> None:
        with tapped(tmp_path):
            Agent(provider, "claude-test-500-always").ask()
            Agent(provider, "claude-test").ask()
            calls = records(tmp_path, "llm_call")

        assert [(call.error is None, call.attempt) for call in calls] == [(False, None), (True, None)]

    def test_a_client_that_never_comes_back_is_given_up_in_time(
        self, provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_steps, "RETRY_S", 0.01)
        ended = threading.Event()

        class Bus:
            def emit(self, topic: str, payload: Any, /) -> None:
                if topic == "step.llm_call":
                    ended.set()

        with StepLog(tmp_path / "run.jsonl", "run", bus=Bus()) as log, Tap(log=log):
            Agent(provider, "claude-test-503-always").ask()

            assert ended.wait(120)
        assert len(records(tmp_path, "llm_call")) == 1

    def test_a_refusal_that_nobody_repeats_ends_at_once(self, provider: Provider, tmp_path: Path) -> None:
        with tapped(tmp_path):
            Agent(provider, "claude-test-400-always").ask()
            (call,) = records(tmp_path, "llm_call")

        assert call.error

    def test_a_redirect_is_an_attempt_of_the_same_call(self, provider: Provider, tmp_path: Path) -> None:
        with tapped(tmp_path), httpx2.Client(follow_redirects=True) as client:
            asked = {"model": "claude-test-redirect", "max_tokens": 9, "messages": []}
            client.post(f"{provider.url}/v1/messages", json=asked)
        (call,) = records(tmp_path, "llm_call")

        assert (call.error, call.exchange["attempts"]) == (None, [1, 2])

    def test_equal_calls_side_by_side_stay_two(self, provider: Provider, tmp_path: Path) -> None:
        async def main() -> None:
            asked = {"model": "claude-test", "max_tokens": 9, "messages": []}
            async with httpx2.AsyncClient() as client:
                posts = [client.post(f"{provider.url}/v1/messages", json=asked) for _ in range(2)]
                await asyncio.gather(*posts)

        with tapped(tmp_path):
            asyncio.run(main())

        assert len(records(tmp_path, "llm_call")) == 2

    def test_a_try_counted_by_the_client_before_the_tap_is_told(
        self, provider: Provider, tmp_path: Path
    ) -> None:
        with tapped(tmp_path):
            Agent(provider).ask(headers={"x-stainless-retry-count": "1"})

        assert [call.attempt for call in records(tmp_path, "llm_call")] == [2]


class TestTheAgentsOwnStep:
    def test_a_call_inside_it_is_that_step(self, provider: Provider, tmp_path: Path) -> None:
        with tapped(tmp_path) as log, log.llm_call("my name for it", provider="mine") as step:
            Agent(provider).ask()
            step.update(input_tokens=7)
        (call,) = records(tmp_path, "llm_call")

        assert (call.provider, call.input_tokens) == ("mine", 7)
        assert call.output_tokens == provider.calls[0].truth.output_tokens
        assert call.exchange["n"] == 1
