"""Measured steps: where they hang, how they end, and that they end once."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from agent_run_id import ContextExecutor, current_link, current_step
from agent_step_log import read_run
from agent_step_log.testing import recording

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from agent_step_log import Record, ToolStep
    from agent_step_log.testing import Recording


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Recording]:
    with recording(tmp_path) as made:
        yield made


def parents(run: Recording) -> dict[str | None, str | None]:
    """Return tool or agent name -> the name of what it hangs below."""
    tree: dict[str | None, str | None] = {}
    stack: list[tuple[int, str]] = []
    for depth, step in read_run(run.log.path).walk():
        del stack[depth:]
        tree[step.name] = stack[-1][1] if stack else None
        stack.append((depth, step.name))
    return tree


def only(run: Recording, *types: str) -> Record:
    [record] = run.steps(*types)
    return record


class TestBeginning:
    def test_it_is_in_the_file_before_the_work_begins(self, run: Recording) -> None:
        with run.log.tool_call("search", {"q": "x"}, tool_call_id="t1"):
            [start] = run.records("step_start")

        assert (start.of, start.tool, start.input) == ("tool_call", "search", {"q": "x"})
        assert start.tool_call_id == "t1"

    def test_beginning_and_ending_share_their_number(self, run: Recording) -> None:
        with run.log.llm_call("m") as call:
            pass

        assert [r.step for r in run.records("step_start", "llm_call")] == [call.step, call.step]

    def test_the_duration_is_that_of_the_block(self, run: Recording) -> None:
        with run.log.tool_call("t"):
            threading.Event().wait(0.01)

        assert 10 <= (only(run).duration_ms or 0) < 5000


class TestEnding:
    def test_an_exception_is_recorded_and_goes_on(self, run: Recording) -> None:
        with pytest.raises(ValueError, match="no"), run.log.tool_call("t"):
            raise ValueError("no")

        record = only(run)
        assert (record.error, record.error_type) == ("no", "ValueError")
        assert record.error_frames is not None
        assert record.error_frames[-1]["code"] == 'raise ValueError("no")'

    @pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
    def test_what_is_not_an_exception_is_recorded_too(
        self, run: Recording, error: type[BaseException]
    ) -> None:
        with pytest.raises(error), run.log.tool_call("t"):
            raise error

        assert only(run).error_type == f"{error.__module__}.{error.__name__}".removeprefix("builtins.")

    def test_it_ends_once_whoever_ends_it(self, run: Recording) -> None:
        with run.log.tool_call("t") as call:
            call.output = "first"
            call.end()
            call.output = "second"
        call.end(ValueError("late"))

        assert (only(run).output, only(run).error) == ("first", None)

    def test_of_many_threads_that_end_it_one_does(self, run: Recording) -> None:
        def race(call: ToolStep, gate: threading.Barrier) -> None:
            gate.wait()
            call.end()

        for _ in range(50):
            ends = (run.log.tool_call("t"), threading.Barrier(8))
            threads = [threading.Thread(target=race, args=ends) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        assert len(run.steps()) == 50

    def test_it_may_end_in_another_context(self, run: Recording) -> None:
        call = run.log.tool_call("t")
        contextvars.copy_context().run(call.__enter__)
        contextvars.Context().run(call.__exit__, None, None, None)

        assert only(run).error is None

    def test_a_failure_without_an_exception_can_be_told(self, run: Recording) -> None:
        with run.log.tool_call("t") as call:
            call.fail("exit status 2")

        assert only(run).error == "exit status 2"

    def test_a_handle_that_is_dropped_says_so(self, run: Recording) -> None:
        call = run.log.tool_call("t")
        del call
        gc.collect()

        assert only(run).error == "never ended: its handle was dropped"


class TestNesting:
    def test_steps_inside_an_agent_hang_below_it_and_carry_its_name(self, run: Recording) -> None:
        with run.log.agent("planner") as agent:
            run.log.record_llm_call("m")
            with run.log.tool_call("search"):
                run.log.event("hit")
            agent.output = "plan"

        assert parents(run) == {"planner": None, "m": "planner", "search": "planner", "hit": "search"}
        assert {r.agent for r in run.records("llm_call", "tool_call", "event", "agent_call")} == {"planner"}

    def test_a_step_after_the_block_is_outside_of_it(self, run: Recording) -> None:
        with run.log.agent("planner"):
            pass
        run.log.record_tool_call("after")

        assert parents(run)["after"] is None

    def test_a_parent_can_be_named(self, run: Recording) -> None:
        with run.log.agent("one") as one, run.log.agent("two"):
            run.log.record_tool_call("plain", parent=one.step)
            with run.log.tool_call("measured", parent=one.step):
                pass

        assert parents(run)["plain"] == parents(run)["measured"] == "one"

    def test_two_logs_do_not_see_each_others_scopes(self, run: Recording, tmp_path: Path) -> None:
        (tmp_path / "other").mkdir()
        with (
            recording(tmp_path / "other") as other,
            run.log.agent("outer"),
            other.log.agent("inner"),
        ):
            run.log.record_tool_call("mine")
            other.log.record_tool_call("theirs")

        assert parents(run)["mine"] == "outer"
        assert parents(other) == {"inner": None, "theirs": "inner"}

    def test_parallel_tasks_hang_below_their_own_tool(self, run: Recording) -> None:
        async def tool(name: str, gate: asyncio.Barrier) -> None:
            async with run.log.tool_call(name):
                await gate.wait()
                with run.log.tool_call(f"{name}.sub"):
                    await asyncio.sleep(0)

        async def agent() -> None:
            gate = asyncio.Barrier(3)
            with run.log.agent("boss"):
                await asyncio.gather(*(tool(name, gate) for name in "abc"))

        asyncio.run(agent())

        expected: dict[str, str | None] = {"boss": None}
        for name in "abc":
            expected |= {name: "boss", f"{name}.sub": name}
        assert parents(run) == expected

    def test_threads_of_a_carrying_executor_hang_below_the_step_that_used_it(self, run: Recording) -> None:
        gate = threading.Barrier(4)

        def tool(name: str) -> None:
            with run.log.tool_call(name):
                gate.wait()
                run.log.record_tool_call(f"{name}.sub")

        with run.log.agent("boss"), ContextExecutor(ThreadPoolExecutor(4)) as pool:
            list(pool.map(tool, "abcd"))

        expected: dict[str, str | None] = {"boss": None}
        for name in "abcd":
            expected |= {name: "boss", f"{name}.sub": name}
        assert parents(run) == expected

    def test_a_plain_thread_has_no_parent_unless_told(self, run: Recording) -> None:
        with run.log.agent("boss") as boss:
            threads = [
                threading.Thread(target=run.log.record_tool_call, args=("lost",)),
                threading.Thread(
                    target=run.log.record_tool_call, args=("told",), kwargs={"parent": boss.step}
                ),
            ]
            for thread in threads:
                thread.start()
                thread.join()

        assert (parents(run)["lost"], parents(run)["told"]) == (None, "boss")

    def test_the_step_in_flight_is_there_for_child_processes(self, run: Recording) -> None:
        with run.log.agent("a") as agent:
            with run.log.tool_call("t") as tool:
                inside = current_step.get()
            outside = current_step.get()

        assert inside == (run.log.run_id, tool.step)
        assert outside == (run.log.run_id, agent.step)
        assert current_step.get() is None

    def test_a_step_left_open_in_a_closed_log_is_around_nothing_any_more(self, tmp_path: Path) -> None:
        """Else the next run of the same thread would pass for its child, and spend from its budget."""

        def one_after_the_other() -> None:
            with recording(tmp_path / "first", on_error="ignore") as first:
                left_open = first.log.agent("left open")
                left_open.__enter__()
            with recording(tmp_path / "second") as second:
                with second.log.llm_call("m"):
                    pass

                assert current_link() is None
            assert left_open.step == 1

        contextvars.Context().run(one_after_the_other)


class TestScopesInGenerators:
    def test_a_generators_scope_is_not_its_consumers(self, run: Recording) -> None:
        def pages() -> Iterator[int]:
            with run.log.tool_call("pages"):
                run.log.record_tool_call("inside 1")
                yield 1
                run.log.record_tool_call("inside 2")
                yield 2

        with run.log.agent("reader"):
            for number in pages():
                run.log.record_tool_call(f"outside {number}")

        assert parents(run) == {
            "reader": None,
            "pages": "reader",
            **{f"inside {n}": "pages" for n in (1, 2)},
            **{f"outside {n}": "reader" for n in (1, 2)},
        }

    def test_nor_is_an_asynchronous_one(self, run: Recording) -> None:
        async def pages() -> AsyncIterator[int]:
            async with run.log.tool_call("pages"):
                for number in (1, 2):
                    await asyncio.sleep(0)
                    run.log.record_tool_call(f"inside {number}")
                    yield number

        async def read() -> None:
            with run.log.agent("reader"):
                async for number in pages():
                    run.log.record_tool_call(f"outside {number}")

        asyncio.run(read())

        assert parents(run) == {
            "reader": None,
            "pages": "reader",
            **{f"inside {n}": "pages" for n in (1, 2)},
            **{f"outside {n}": "reader" for n in (1, 2)},
        }

    def test_generators_running_in_turn_keep_their_own(self, run: Recording) -> None:
        def count(name: str) -> Iterator[None]:
            with run.log.tool_call(name):
                for number in range(3):
                    run.log.record_tool_call(f"{name}.{number}")
                    yield

        for _ in zip(count("a"), count("b"), strict=True):
            run.log.record_tool_call("between")

        tree = parents(run)
        assert {tree[f"{name}.{number}"] for name in "a" for number in range(3)} == {"a"}
        assert {tree[f"{name}.{number}"] for name in "b" for number in range(3)} == {"b"}
        assert tree["between"] is None

    def test_a_consumer_that_stops_early_is_no_failure(self, run: Recording) -> None:
        def pages() -> Iterator[int]:
            with run.log.tool_call("pages"):
                yield 1
                yield 2

        for _ in pages():
            break
        gc.collect()

        record = only(run)
        assert (record.error, record.attrs) == (None, {"stream": "closed"})


class TestLlmStep:
    def test_a_response_fills_the_record(self, run: Recording) -> None:
        response: dict[str, Any] = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-sonnet-4-6-20260101",
            "content": [{"type": "text", "text": "Hello"}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 10, "cache_read_input_tokens": 90, "output_tokens": 5},
        }
        with run.log.llm_call("claude-sonnet-4-6") as call:
            call.response(response)

        record = only(run)
        assert (record.model, record.request_model) == ("claude-sonnet-4-6-20260101", "claude-sonnet-4-6")
        assert (record.input_tokens, record.cache_read_tokens, record.output_tokens) == (100, 90, 5)
        assert record.stop_reason == "end_turn"
        assert record.usage == response["usage"]

    @pytest.mark.parametrize("response", [None, 42, "text", object(), {}, [], SimpleNamespace()])
    def test_what_is_no_response_changes_nothing(self, run: Recording, response: object) -> None:
        with run.log.llm_call("m") as call:
            call.response(response)

        assert (only(run).model, only(run).input_tokens) == ("m", None)

    def test_keys_can_be_set_by_name(self, run: Recording) -> None:
        with run.log.llm_call("m") as call:
            call.update(input_tokens=3, stop_reason="stop", temperature=0.5, run_id="forged", step=99)

        record = only(run)
        assert (record.input_tokens, record.stop_reason) == (3, "stop")
        assert (record.run_id, record.step) == (run.log.run_id, call.step)
        assert record.attrs == {"temperature": 0.5, "run_id": "forged", "step": 99}

    def test_a_stream_fills_the_record_at_its_end(self, run: Recording) -> None:
        events: list[dict[str, Any]] = [
            {
                "type": "message_start",
                "message": {
                    "id": "msg_1",
                    "type": "message",
                    "role": "assistant",
                    "model": "claude-x",
                    "content": [],
                    "usage": {"input_tokens": 7, "output_tokens": 1},
                },
            },
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
            {"type": "message_stop"},
        ]
        with run.log.llm_call("claude-x") as call:
            received = list(call.stream(events))

        record = only(run)
        assert received == events
        assert all(a is b for a, b in zip(received, events, strict=True))
        assert (record.input_tokens, record.output_tokens, record.stop_reason) == (7, 9, "end_turn")
        assert record.ttft_ms is not None


class TestForkedParents:
    def test_a_step_begun_before_the_fork_names_the_process_that_began_it(self, run: Recording) -> None:
        import os

        with run.log.agent("boss") as boss:
            child = os.fork()
            if child == 0:
                run.log.record_tool_call("in the child")
                with run.log.tool_call("outer in the child"):
                    run.log.record_tool_call("inner in the child")
                os._exit(0)
            os.waitpid(child, 0)

        records = {r.tool: r for r in run.records("tool_call")}
        assert records["in the child"].parent == boss.step
        assert records["in the child"].parent_writer == ""
        assert records["inner in the child"].parent_writer is None
        assert parents(run) == {
            "boss": None,
            "in the child": "boss",
            "outer in the child": "boss",
            "inner in the child": "outer in the child",
        }
