"""UsageTracker: totals as calls end, by run, model, agent and day; nothing lost between threads."""

from __future__ import annotations

import threading
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from agent_event_bus import EventBus
from agent_step_log import StepLog
from agentsnap import UNKNOWN_COST, Amount, OwnPrice, Prices, Totals, UsageTracker
from tests.support.children import run_child

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: A dollar for a million tokens in, two for a million out.
CHEAP = Prices([OwnPrice("m-*", {"input": Decimal(1), "output": Decimal(2)})])


@pytest.fixture
def bus() -> Iterator[EventBus]:
    with EventBus() as bus:
        yield bus


def call(run_id: str = "r", model: str | None = "m-1", **more: Any) -> Any:
    fields = {"input_tokens": 10, "output_tokens": 5, "agent": None, "ts": 1_800_000_000.0, **more}
    return SimpleNamespace(run_id=run_id, model=model, **fields)


class TestFollowing:
    def test_every_log_of_a_bus_is_followed(self, bus: EventBus, tmp_path: Path) -> None:
        tracker = UsageTracker(bus)
        for run in ("one", "two"):
            with StepLog(tmp_path / f"{run}.jsonl", run, bus=bus) as log:
                log.record_llm_call("m-1", 10, 5)
                with log.llm_call("m-2") as step:
                    step.update(input_tokens=100, output_tokens=50)
                log.record_tool_call("search", error="no such page")

        assert tracker.calls == 4
        assert tracker.tokens == Amount(330)
        assert tracker.totals().tool_calls == tracker.totals().errors == 2
        assert {run: totals.calls for run, totals in tracker.totals("run").items()} == {"one": 2, "two": 2}
        assert {name: each.tokens.value for name, each in tracker.totals("model").items()} == {
            "m-1": 30,
            "m-2": 300,
        }

    def test_a_log_is_followed_without_a_bus(self, tmp_path: Path) -> None:
        with StepLog(tmp_path / "log.jsonl") as log:
            log.record_llm_call("before", 1, 1)
            tracker = UsageTracker(log)
            log.record_llm_call("m", 10, 5)

        assert tracker.tokens == Amount(15)

    def test_it_is_a_bus_of_its_own(self, tmp_path: Path) -> None:
        tracker = UsageTracker()
        with StepLog(tmp_path / "log.jsonl", bus=tracker) as log:
            log.record_llm_call("m", 10, 5)

        assert tracker.calls == 1

    def test_what_can_not_be_followed_is_said_so(self) -> None:
        with pytest.raises(TypeError, match="a bus or a StepLog can be followed, not dict"):
            UsageTracker({})


class TestGroups:
    def test_a_step_is_its_scope_s_agent_s_or_else_its_run_s(self, bus: EventBus, tmp_path: Path) -> None:
        tracker = UsageTracker(bus)
        with StepLog(tmp_path / "log.jsonl", agent="boss", bus=bus) as log:
            log.record_llm_call("m", 1, 1)
            with log.agent("helper"):
                log.record_llm_call("m", 2, 2)
        with StepLog(tmp_path / "nameless.jsonl", bus=bus) as log:
            log.record_llm_call("m", 4, 4)

        agents = tracker.totals("agent")
        assert {name: totals.tokens.value for name, totals in agents.items()} == {
            "boss": 2,
            "helper": 4,
            None: 8,
        }

    def test_days_are_those_of_the_local_clock(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import time

        tracker = UsageTracker()
        try:
            for zone in ("UTC0", "XXX-14"):
                monkeypatch.setenv("TZ", zone)
                time.tzset()
                tracker.emit("step.llm_call", call(ts=1_767_225_599.0))  # 2025-12-31 23:59:59 UTC
        finally:
            monkeypatch.undo()
            time.tzset()

        assert {day: totals.calls for day, totals in tracker.totals("day").items()} == {
            "2025-12-31": 1,
            "2026-01-01": 1,
        }

    def test_a_time_outside_of_the_calendar_does_no_harm(self) -> None:
        tracker = UsageTracker()
        tracker.emit("step.llm_call", call(ts=1e300))

        assert [totals.calls for totals in tracker.totals("day").values()] == [1]

    def test_groups_are_bounded_and_what_gives_way_stays_in_the_sums(self) -> None:
        tracker = UsageTracker(max_groups=3)
        for number in range(100):
            tracker.emit("step.llm_call", call(f"r{number}"))
            tracker.emit("step.llm_call", call("r0"))

        runs = tracker.totals("run")
        assert set(runs) == {"r0", "r98", "r99", "(other)"}
        assert runs["r0"].calls == 101
        assert sum(totals.calls for totals in runs.values()) == tracker.calls == 200

    def test_settings_that_do_not_exist_are_said_so(self) -> None:
        with pytest.raises(ValueError, match='by must be "run", "model", "agent" or "day"'):
            UsageTracker().totals("week")  # type: ignore[call-overload]
        with pytest.raises(ValueError, match="max_groups must be at least 1"):
            UsageTracker(max_groups=0)


class TestFigures:
    def test_calls_are_priced_where_prices_are_given(self) -> None:
        tracker = UsageTracker(prices=CHEAP)
        tracker.emit("step.llm_call", call(input_tokens=1_000_000, output_tokens=500_000))

        assert tracker.usd == Amount(Decimal(2))

    def test_without_prices_the_cost_is_unknown_and_never_0(self) -> None:
        tracker = UsageTracker()
        assert tracker.usd == Amount(Decimal(0))
        tracker.emit("step.llm_call", call())

        assert tracker.usd == UNKNOWN_COST

    @pytest.mark.parametrize("count", [None, -5, 10**12])
    def test_a_count_that_is_not_told_or_can_not_be_makes_a_lower_bound(self, count: int | None) -> None:
        tracker = UsageTracker()
        tracker.emit("step.llm_call", call(output_tokens=count))

        assert tracker.tokens == Amount(10, False)

    def test_a_call_the_provider_turned_down_used_nothing(self) -> None:
        tracker = UsageTracker(prices=CHEAP)
        tracker.emit("step.llm_call", call(input_tokens=None, output_tokens=None, error="HTTP 429"))

        assert (tracker.tokens, tracker.usd, tracker.totals().errors) == (Amount(0), Amount(Decimal(0)), 1)

    def test_prices_that_fail_leave_the_cost_unknown(self) -> None:
        class Broken:
            def cost_of(self, record: Any) -> Any:
                raise ZeroDivisionError

        tracker = UsageTracker(prices=Broken())
        tracker.emit("step.llm_call", call())

        assert (tracker.usd, tracker.tokens) == (UNKNOWN_COST, Amount(15))

    def test_other_records_add_nothing(self, tmp_path: Path) -> None:
        tracker = UsageTracker()
        with StepLog(tmp_path / "log.jsonl", bus=tracker) as log, log.agent("a"):
            log.event("feedback", 1)

        assert tracker.totals() == Totals()


class TestThreads:
    def test_no_call_is_lost_between_threads(self, bus: EventBus, tmp_path: Path) -> None:
        tracker = UsageTracker(bus)
        with StepLog(tmp_path / "log.jsonl", bus=bus) as log:

            def work() -> None:
                for _ in range(200):
                    log.record_llm_call("m", 1, 1)

            threads = [threading.Thread(target=work) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        assert (tracker.calls, tracker.tokens) == (1600, Amount(3200))

    def test_a_forked_child_finds_no_lock_taken_and_goes_on_from_the_figures(self) -> None:
        ended = run_child(
            """
            from types import SimpleNamespace
            from agentsnap import UsageTracker

            fields = dict(run_id="r", model="m", agent=None, ts=1.8e9, input_tokens=1, output_tokens=1)
            tracker = UsageTracker()
            tracker.emit("step.llm_call", SimpleNamespace(**fields))
            held, done = threading.Event(), threading.Event()

            def hold():
                with tracker._lock:
                    held.set()
                    done.wait()

            threading.Thread(target=hold).start()
            held.wait()
            child = os.fork()
            if child == 0:
                tracker.emit("step.llm_call", SimpleNamespace(**fields))
                os._exit(tracker.calls)
            done.set()
            print(json.dumps(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])))
            """
        )

        assert ended.told == 2
