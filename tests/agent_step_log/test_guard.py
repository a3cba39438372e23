"""The guard: asked before a measured step begins; a refusal goes on to the agent, its own failures do not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from agent_run_id import RunContext
from agent_step_log import StepAhead, StepLog, read_log, verify
from agent_step_log.errors import CallRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Asked:
    """A guard that keeps what it was asked, and refuses what it is told to."""

    def __init__(self, refuse: Callable[[StepAhead], bool] = lambda ahead: False) -> None:
        self.asked: list[StepAhead] = []
        self.refuse = refuse

    def __call__(self, ahead: StepAhead) -> None:
        self.asked.append(ahead)
        if self.refuse(ahead):
            raise CallRefusedError("not today", {"limit": 3})


class Told(Asked):
    """One that is told every record, too."""

    def __init__(self) -> None:
        super().__init__()
        self.topics: list[str] = []

    def emit(self, topic: str, payload: Any) -> None:
        self.topics.append(topic)


def types(path: Path) -> list[str]:
    return [record.type for record in read_log(path)]


class TestAsking:
    def test_each_measured_form_asks_once_with_what_is_about_to_begin(self, tmp_path: Path) -> None:
        guard = Asked()
        with StepLog(tmp_path / "log.jsonl", "run-1", agent="boss", guard=guard) as log:

            @log.tool
            def fetch() -> None: ...

            with log.agent("planner"), log.llm_call("m"):
                pass
            fetch()

        assert [(ahead.type, ahead.name, ahead.agent) for ahead in guard.asked] == [
            ("agent_call", "planner", "boss"),
            ("llm_call", "m", "planner"),
            ("tool_call", "fetch", "boss"),
        ]
        assert {(ahead.run_id, ahead.root_run_id, ahead.log) for ahead in guard.asked} == {
            ("run-1", "run-1", log)
        }

    def test_plain_records_are_over_and_ask_nobody(self, tmp_path: Path) -> None:
        guard = Asked()
        with StepLog(tmp_path / "log.jsonl", guard=guard) as log:
            log.record_llm_call("m")
            log.record_tool_call("t")
            log.event("e")

        assert guard.asked == []

    def test_a_child_run_names_its_root(self, tmp_path: Path) -> None:
        guard = Asked()
        with RunContext.start() as root, RunContext.start(), RunContext.start() as leaf:
            with StepLog(tmp_path / "log.jsonl", guard=guard) as log, log.llm_call("m"):
                pass

        assert (guard.asked[0].run_id, guard.asked[0].root_run_id) == (leaf.run_id, root.run_id)

    def test_a_parent_named_by_hand_is_the_root(self, tmp_path: Path) -> None:
        with StepLog(tmp_path / "log.jsonl", "child", parent_run_id="far-away") as log:
            assert log.root_run_id == "far-away"

    def test_a_guard_may_record_while_it_is_asked(self, tmp_path: Path) -> None:
        def note(ahead: StepAhead) -> None:
            assert ahead.log is not None
            ahead.log.event("asked", {"name": ahead.name})

        with StepLog(tmp_path / "log.jsonl", guard=note) as log, log.llm_call("m"):
            pass

        assert types(tmp_path / "log.jsonl") == ["run_start", "event", "step_start", "llm_call", "run_end"]


class TestRefusing:
    def test_nothing_of_the_step_is_recorded_and_an_event_says_so(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        guard = Asked(lambda ahead: ahead.type == "tool_call")
        ran = []
        with StepLog(path, guard=guard) as log:

            @log.tool
            def search(q: str) -> None:
                ran.append(q)

            with log.llm_call("m") as call, pytest.raises(CallRefusedError, match="not today"):
                search("x")

        assert ran == []
        (event,) = [record for record in read_log(path) if record.type == "event"]
        assert (event.name, event.parent) == ("call.refused", call.step)
        assert event.data == {"of": "tool_call", "name": "search", "limit": 3}
        assert "tool_call" not in types(path)
        assert verify(path).ok

    def test_an_asynchronous_tool_is_refused_when_it_is_awaited(self, tmp_path: Path) -> None:
        guard = Asked(lambda ahead: True)
        with StepLog(tmp_path / "log.jsonl", guard=guard) as log:

            @log.tool
            async def search() -> None:
                raise AssertionError("not reached")

            with pytest.raises(CallRefusedError):
                asyncio.run(search())

    def test_it_passes_code_that_catches_every_exception(self, tmp_path: Path) -> None:
        def as_an_sdk_does(log: StepLog) -> None:
            for _ in range(3):
                try:
                    with log.llm_call("m"):
                        pass
                except Exception:  # an SDK: try again
                    continue

        guard = Asked(lambda ahead: True)
        with StepLog(tmp_path / "log.jsonl", guard=guard) as log, pytest.raises(CallRefusedError):
            as_an_sdk_does(log)

        assert len(guard.asked) == 1

    def test_the_scope_around_it_ends_with_the_refusal(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        guard = Asked(lambda ahead: ahead.type == "llm_call")
        with pytest.raises(CallRefusedError), StepLog(path, guard=guard) as log, log.agent("planner"):
            log.llm_call("m")

        agent, end = [record for record in read_log(path) if record.type in ("agent_call", "run_end")]
        assert agent.error == end.error == "not today"
        assert agent.error_type == "agent_step_log.errors.CallRefusedError"
        assert end.status == "error"


class TestItsOwnFailures:
    def test_they_never_reach_the_agent_and_are_counted(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"

        def broken(ahead: StepAhead) -> None:
            raise ZeroDivisionError("oops")

        with StepLog(path, guard=broken) as log:
            for _ in range(3):
                with log.llm_call("m"):
                    pass
            assert log.health.guard_errors == 3

        records = list(read_log(path))
        events = [record for record in records if record.type == "event"]
        assert [(event.name, event.data) for event in events] == [
            ("guard.failed", {"error": "oops", "error_type": "ZeroDivisionError"})
        ]
        assert len([record for record in records if record.type == "llm_call"]) == 3
        assert records[-1].health is not None
        assert records[-1].health["guard_errors"] == 3

    def test_an_interruption_is_the_program_s_and_passes(self, tmp_path: Path) -> None:
        def interrupted(ahead: StepAhead) -> None:
            raise KeyboardInterrupt

        with StepLog(tmp_path / "log.jsonl", guard=interrupted) as log, pytest.raises(KeyboardInterrupt):
            log.llm_call("m")


class TestBeingTold:
    def test_a_guard_with_emit_hears_every_record_with_or_without_a_bus(self, tmp_path: Path) -> None:
        guard, bus = Told(), Told()
        with StepLog(tmp_path / "log.jsonl", guard=guard, bus=bus) as log:
            log.record_llm_call("m")
            with log.tool_call("t"):
                pass
        alone = Told()
        with StepLog(tmp_path / "alone.jsonl", guard=alone) as log:
            log.record_llm_call("m")

        heard = ["run.start", "step.llm_call", "start.tool_call", "step.tool_call", "run.end"]
        assert guard.topics == bus.topics == heard
        assert alone.topics == ["run.start", "step.llm_call", "run.end"]

    def test_one_that_fails_there_keeps_nothing_from_the_bus(self, tmp_path: Path) -> None:
        class Failing(Told):
            def emit(self, topic: str, payload: Any) -> None:
                raise ZeroDivisionError

        bus = Told()
        with StepLog(tmp_path / "log.jsonl", guard=Failing(), bus=bus):
            pass

        assert bus.topics == ["run.start", "run.end"]

    def test_a_guard_may_be_set_later(self, tmp_path: Path) -> None:
        guard, bus = Told(), Told()
        with StepLog(tmp_path / "log.jsonl", bus=bus) as log:
            log.set_guard(guard)
            with log.llm_call("m"):
                pass

        assert [ahead.type for ahead in guard.asked] == ["llm_call"]
        assert guard.topics == ["start.llm_call", "step.llm_call", "run.end"]
        assert bus.topics == ["run.start", *guard.topics]

    def test_a_bus_may_be_added_later(self, tmp_path: Path) -> None:
        first, later = Told(), Told()
        with StepLog(tmp_path / "log.jsonl", bus=first) as log:
            log.publish_to(later)
            log.record_llm_call("m")
        with StepLog(tmp_path / "other.jsonl") as log:
            log.publish_to(later)

        assert first.topics == ["run.start", "step.llm_call", "run.end"]
        assert later.topics == ["step.llm_call", "run.end", "run.end"]
