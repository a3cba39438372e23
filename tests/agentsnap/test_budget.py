"""Budget: the call beyond the limit is not made, in any thread, task or child run; and it is said in time."""

from __future__ import annotations

import asyncio
import pickle
import sys
import threading
import warnings
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_event_bus import EventBus
from agent_run_id import RunContext, carry
from agent_step_log import StepAhead, StepLog, read_log
from agentsnap import Amount, Budget, Budgets, OwnPrice, Prices
from agentsnap.errors import BudgetExceeded, BudgetWarning
from tests.support.children import run_child

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: A dollar for a million tokens in, two for a million out; no price for other models.
CHEAP = Prices([OwnPrice("m*", {"input": Decimal(1), "output": Decimal(2)})])


@pytest.fixture(autouse=True)
def _warnings_are_heard_elsewhere() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BudgetWarning)
        yield


def use(log: StepLog, tokens_in: int | None = 10, tokens_out: int | None = 5, model: str = "m") -> None:
    with log.llm_call(model) as call:
        call.update(input_tokens=tokens_in, output_tokens=tokens_out)


def events(path: Path) -> list[tuple[str | None, Any]]:
    return [(record.name, record.data) for record in read_log(path) if record.type == "event"]


class TestCalls:
    def test_the_call_beyond_the_limit_is_not_made(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        with StepLog(path, "run-7", guard=Budget(calls=2, warn_at=None)) as log:
            use(log)
            use(log)
            with pytest.raises(BudgetExceeded) as refused:
                use(log, model="gpt-5")

        assert str(refused.value) == (
            "The budget of 2 calls per run (run run-7) is used up: 2 calls. "
            "The llm_call of gpt-5 was not made."
        )
        error = refused.value
        assert (error.limit_of, error.limit, error.spent, error.per, error.group) == (
            "calls",
            2,
            2,
            "run",
            "run-7",
        )
        assert events(path) == [
            (
                "budget.exceeded",
                {
                    "of": "llm_call",
                    "name": "gpt-5",
                    "limit_of": "calls",
                    "limit": 2,
                    "spent": 2,
                    "per": "run",
                    "group": "run-7",
                    "refused": True,
                },
            )
        ]
        assert [record.type for record in read_log(path)].count("llm_call") == 2

    def test_a_limit_of_0_refuses_the_first(self, tmp_path: Path) -> None:
        with StepLog(tmp_path / "log.jsonl", guard=Budget(calls=0)) as log, pytest.raises(BudgetExceeded):
            use(log)

    def test_plain_records_count_though_nobody_was_asked(self, tmp_path: Path) -> None:
        budget = Budget(calls=3)
        with StepLog(tmp_path / "log.jsonl", "r", guard=budget) as log:
            log.record_llm_call("m", 10, 5)
            log.record_llm_call("m", 10, 5)
            use(log)
            with pytest.raises(BudgetExceeded):
                use(log)
            log.record_llm_call("m", 10, 5)

        assert (budget.spent("r").calls, budget.spent("r").in_flight) == (4, 0)

    def test_a_call_that_failed_was_made(self, tmp_path: Path) -> None:
        budget = Budget(calls=1)
        with StepLog(tmp_path / "log.jsonl", "r", guard=budget) as log:
            with pytest.raises(ZeroDivisionError), log.llm_call("m"):
                raise ZeroDivisionError
            with pytest.raises(BudgetExceeded):
                use(log)

        assert budget.spent("r").in_flight == 0

    def test_agents_do_not_begin_where_no_call_is_left(self, tmp_path: Path) -> None:
        with StepLog(tmp_path / "log.jsonl", guard=Budget(calls=1)) as log:
            with log.agent("first"):
                use(log)
            with pytest.raises(BudgetExceeded, match="The agent_call of second was not made"):
                log.agent("second")

    def test_tools_go_on_when_the_calls_are_used_up(self, tmp_path: Path) -> None:
        with StepLog(tmp_path / "log.jsonl", guard=Budget(calls=1)) as log:
            use(log)
            with log.tool_call("save"):
                pass

    def test_tools_have_a_limit_of_their_own(self, tmp_path: Path) -> None:
        budget = Budget(tool_calls=2)
        ran: list[int] = []
        with StepLog(tmp_path / "log.jsonl", "r", guard=budget) as log:

            @log.tool
            def search(page: int) -> None:
                ran.append(page)

            log.record_tool_call("found on the wire", inferred=True)
            search(1)
            with pytest.raises(BudgetExceeded, match="2 tool calls per run"):
                search(2)
            use(log)

        assert ran == [1]
        assert budget.spent("r").tool_calls == 2


class TestTokensAndDollars:
    def test_tokens_are_those_of_the_calls_that_have_ended(self, tmp_path: Path) -> None:
        with StepLog(tmp_path / "log.jsonl", guard=Budget(tokens=25)) as log:
            use(log, 10, 5)
            use(log, 10, 5)
            with pytest.raises(BudgetExceeded, match=r"25 tokens per run .* is used up: 30 tokens"):
                use(log)

    def test_dollars_are_those_of_the_prices(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        with StepLog(path, "r", guard=Budget(usd=0.5, prices=CHEAP, warn_at=None)) as log:
            use(log, 400_000, 50_000)
            with pytest.raises(BudgetExceeded, match=r"The budget of \$0.5000 per run .*: \$0.5000\."):
                use(log)

        ((name, data),) = events(path)
        assert name == "budget.exceeded"
        assert (data["limit"], data["spent"], data["exactness"]) == (0.5, 0.5, "exact")

    def test_without_prices_of_one_s_own_the_price_list_is_used(self, tmp_path: Path) -> None:
        with StepLog(tmp_path / "log.jsonl", guard=Budget(usd="0.01")) as log:
            use(log, 1000, 1000, "claude-sonnet-4-5")
            with pytest.raises(BudgetExceeded):
                use(log)

    def test_of_several_limits_the_first_reached_refuses(self, tmp_path: Path) -> None:
        with StepLog(tmp_path / "log.jsonl", guard=Budget(tokens=15, calls=5)) as log:
            use(log)
            with pytest.raises(BudgetExceeded) as refused:
                use(log)

        assert refused.value.limit_of == "tokens"

    def test_a_price_nobody_knows_counts_as_nothing_and_is_told_once(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        budget = Budget(usd=1, prices=CHEAP)
        with StepLog(path, "r", guard=budget) as log:
            for _ in range(3):
                use(log, model="never-heard-of")
                use(log, 100_000, 0)

        told = [data for name, data in events(path) if name == "budget.unknown"]
        assert [(data["limit_of"], data["spent"], data["exactness"]) for data in told] == [
            ("usd", None, "unknown")
        ]
        assert budget.spent("r").usd == Amount(Decimal("0.3"), False)

    def test_strict_takes_what_nobody_knows_for_all_there_was(self, tmp_path: Path) -> None:
        with StepLog(tmp_path / "log.jsonl", guard=Budget(tokens=1000, strict=True)) as log:
            use(log, 10, 5)
            use(log, 10, None)
            with pytest.raises(BudgetExceeded, match="is used up: ≥ 25 tokens"):
                use(log)

    def test_strict_lets_a_call_go_that_the_provider_turned_down(self, tmp_path: Path) -> None:
        with StepLog(tmp_path / "log.jsonl", guard=Budget(tokens=1000, strict=True)) as log:
            log.record_llm_call("m", error="HTTP 429")
            use(log)

    def test_what_is_reserved_for_calls_in_flight_is_not_left_for_others(self, tmp_path: Path) -> None:
        budget = Budget(tokens=250, reserve_tokens=100)
        with StepLog(tmp_path / "log.jsonl", "r", guard=budget) as log:
            first, second = log.llm_call("m"), log.llm_call("m")
            with pytest.raises(BudgetExceeded, match="is used up: 0 tokens, 2 more in flight"):
                log.llm_call("m")
            first.update(input_tokens=20, output_tokens=10)
            first.end()
            third = log.llm_call("m")
            for step in (second, third):
                step.end()

        assert budget.spent("r").in_flight == 0


class TestWhose:
    def test_each_run_has_its_own(self, tmp_path: Path) -> None:
        budget = Budget(calls=1)
        for run in ("one", "two"):
            with StepLog(tmp_path / "log.jsonl", run, guard=budget) as log:
                use(log)

        assert budget.spent("one").calls == budget.spent("two").calls == 1

    def test_child_runs_spend_from_their_root_s(self, tmp_path: Path) -> None:
        budget = Budget(tokens=30)
        with RunContext.start() as root, StepLog(tmp_path / "root.jsonl", guard=budget) as log:
            use(log)
            with RunContext.start(), StepLog(tmp_path / "child.jsonl", guard=budget) as child:
                child.record_llm_call("m", 5, 5)
                with RunContext.start(), StepLog(tmp_path / "leaf.jsonl", guard=budget) as leaf:
                    use(leaf)
                    with pytest.raises(BudgetExceeded) as refused:
                        use(leaf)
            with pytest.raises(BudgetExceeded):
                use(log)
            assert budget.spent().tokens == Amount(40)

        assert refused.value.group == root.run_id

    def test_so_do_runs_whose_parents_are_named_by_hand(self, tmp_path: Path) -> None:
        budget = Budget(calls=3)
        with StepLog(tmp_path / "a.jsonl", "a", guard=budget) as log:
            use(log)
        with StepLog(tmp_path / "b.jsonl", "b", parent_run_id="a", guard=budget) as log:
            log.record_llm_call("m", 10, 5)
        with StepLog(tmp_path / "c.jsonl", "c", parent_run_id="b", guard=budget) as log:
            use(log)
            with pytest.raises(BudgetExceeded, match="run a"):
                use(log)

        assert budget.spent("a").tokens == Amount(45)

    def test_a_child_in_a_thread_of_its_own_spends_from_it_too(self, tmp_path: Path) -> None:
        budget = Budget(calls=3)
        refused: list[BudgetExceeded] = []

        def work() -> None:
            with RunContext.start() as run, StepLog(tmp_path / f"{run.run_id}.jsonl", guard=budget) as log:
                try:
                    use(log)
                except BudgetExceeded as error:
                    refused.append(error)

        with RunContext.start() as root:
            threads = [threading.Thread(target=carry(work)) for _ in range(5)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        assert len(refused) == 2
        assert budget.spent(root.run_id).calls == 3

    def test_a_day_is_one_budget_for_all_runs(self, tmp_path: Path) -> None:
        budget = Budget(calls=1, per="day")
        with StepLog(tmp_path / "one.jsonl", guard=budget) as log:
            use(log)
        with StepLog(tmp_path / "two.jsonl", guard=budget) as log, pytest.raises(BudgetExceeded):
            use(log)

        assert budget.spent().calls == 1

    def test_each_agent_has_its_own_in_all_runs(self, tmp_path: Path) -> None:
        budget = Budget(tokens=15, per="agent")
        with StepLog(tmp_path / "one.jsonl", agent="boss", guard=budget) as log:
            with log.agent("helper"):
                use(log)
            use(log)
        with StepLog(tmp_path / "two.jsonl", agent="helper", guard=budget) as log:
            with pytest.raises(BudgetExceeded, match="agent helper"):
                use(log)
            with log.agent("other"):
                use(log)

        assert budget.spent("boss").tokens == budget.spent("helper").tokens == Amount(15)


class TestBeingTold:
    def test_near_the_limit_once_in_the_log_on_the_bus_and_as_a_warning(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        heard: list[Any] = []
        with EventBus() as bus, StepLog(path, "r", guard=Budget(tokens=100), bus=bus) as log:
            bus.on("event.budget.*", lambda topic, record: heard.append((topic, record.data["spent"])))
            use(log, 40, 39)
            use(log, 1, 0)
            with pytest.warns(BudgetWarning) as warned:
                use(log, 1, 0)
            use(log, 1, 0)

        assert heard == [("event.budget.warning", 80)]
        assert [warning.filename for warning in warned] == [__file__]
        assert [name for name, _ in events(path)] == ["budget.warning"]
        assert [str(warning.message) for warning in warned] == [
            "The budget of 100 tokens per run (run r) is nearly used up: 80 tokens."
        ]

    def test_what_is_used_up_is_not_said_to_be_nearly_so(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        with StepLog(path, guard=Budget(tokens=100)) as log:
            use(log, 500, 500)
            with pytest.raises(BudgetExceeded):
                use(log)

        assert [name for name, _ in events(path)] == ["budget.exceeded"]

    def test_where_warnings_are_errors_the_agent_goes_on(self, tmp_path: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with StepLog(tmp_path / "log.jsonl", guard=Budget(calls=1)) as log:
                use(log)
                assert log.health.guard_errors == 0

    def test_action_warn_makes_the_calls_and_tells_once(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        with StepLog(path, "r", guard=Budget(calls=1, action="warn", warn_at=None)) as log:
            for _ in range(4):
                use(log)

        ((name, data),) = events(path)
        assert (name, data["refused"], data["spent"]) == ("budget.exceeded", False, 1)

    def test_each_refusal_is_recorded_inside_the_step_it_happened_in(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        with StepLog(path, guard=Budget(calls=0, tool_calls=9)) as log, log.tool_call("research") as tool:
            for _ in range(3):
                with pytest.raises(BudgetExceeded):
                    use(log)

        refusals = [record for record in read_log(path) if record.name == "budget.exceeded"]
        assert [record.parent for record in refusals] == [tool.step] * 3

    def test_the_exception_survives_pickling(self) -> None:
        error = BudgetExceeded("used up", {"limit": 3, "limit_of": "calls"})
        copy = pickle.loads(pickle.dumps(error))

        assert (str(copy), copy.limit, copy.limit_of) == ("used up", 3, "calls")


class TestSeveral:
    def test_all_have_to_agree_and_where_one_refuses_none_counts(self, tmp_path: Path) -> None:
        run, day = Budget(calls=2), Budget(calls=3, per="day")
        guard = Budgets(run, day)
        with StepLog(tmp_path / "one.jsonl", "one", guard=guard) as log:
            use(log)
            use(log)
            with pytest.raises(BudgetExceeded, match="per run"):
                use(log)
        with StepLog(tmp_path / "two.jsonl", "two", guard=guard) as log:
            use(log)
            with pytest.raises(BudgetExceeded, match="per day"):
                use(log)

        assert (run.spent("one").calls, run.spent("two").calls, day.spent().calls) == (2, 1, 3)
        assert run.spent("two").in_flight == 0


class TestSettings:
    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({}, "a budget needs a limit: usd, tokens, calls or tool_calls"),
            ({"calls": -1}, "calls must be a whole number from 0, not -1"),
            ({"tokens": 1.5}, "tokens must be a whole number from 0, not 1.5"),
            ({"usd": -1}, "usd must be dollars from 0, not -1"),
            ({"usd": "much"}, "usd must be dollars from 0, not 'much'"),
            ({"usd": float("inf")}, "usd must be dollars from 0, not inf"),
            ({"usd": float("nan")}, "usd must be dollars from 0, not nan"),
            ({"calls": 1, "per": "week"}, 'per must be "run", "day" or "agent", not \'week\''),
            ({"calls": 1, "action": "stop"}, 'action must be "raise" or "warn", not \'stop\''),
            ({"calls": 1, "warn_at": 80}, "warn_at must be above 0 and at most 1, not 80"),
            ({"calls": 1, "reserve_tokens": -3}, "reserve_tokens must be a whole number from 0, not -3"),
        ],
    )
    def test_what_makes_no_sense_is_said_so(self, wrong: dict[str, Any], said: str) -> None:
        with pytest.raises(ValueError) as told:  # noqa: PT011  the words are compared below
            Budget(**wrong)

        assert str(told.value) == said

    def test_dollars_without_the_price_library_name_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "genai_prices", None)
        with pytest.raises(ImportError, match=r"agent-step-log\[cost\]"):
            Budget(usd=1)


class TestInParallel:
    @settings(max_examples=15, deadline=None)
    @given(
        limit=st.integers(0, 40), threads=st.integers(2, 8), each=st.integers(1, 12), plain=st.integers(0, 5)
    )
    def test_of_many_threads_exactly_as_many_calls_pass_as_there_are(
        self, tmp_path_factory: pytest.TempPathFactory, limit: int, threads: int, each: int, plain: int
    ) -> None:
        budget = Budget(calls=limit)
        path = tmp_path_factory.mktemp("log") / "log.jsonl"
        refused: list[BudgetExceeded] = []
        together = threading.Barrier(threads)
        before = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            with StepLog(path, "r", guard=budget) as log:
                for _ in range(plain):
                    log.record_llm_call("m", 1, 1)

                def work() -> None:
                    together.wait()
                    for _ in range(each):
                        try:
                            use(log)
                        except BudgetExceeded as error:
                            refused.append(error)

                workers = [threading.Thread(target=work) for _ in range(threads)]
                for worker in workers:
                    worker.start()
                for worker in workers:
                    worker.join()
        finally:
            sys.setswitchinterval(before)

        made = [record for record in read_log(path) if record.type == "llm_call"]
        asked = threads * each
        assert len(made) == max(min(plain + asked, limit), plain)
        assert len(refused) == plain + asked - len(made)
        assert budget.spent("r").calls == len(made)
        assert budget.spent("r").in_flight == 0

    @settings(max_examples=15, deadline=None)
    @given(limit=st.integers(0, 20), tasks=st.integers(1, 30), reserve=st.booleans())
    def test_of_many_tasks_as_well(
        self, tmp_path_factory: pytest.TempPathFactory, limit: int, tasks: int, reserve: bool
    ) -> None:
        # With a call's tokens reserved, tokens are as exact as calls.
        budget = Budget(tokens=limit * 15, reserve_tokens=15) if reserve else Budget(calls=limit)
        path = tmp_path_factory.mktemp("log") / "log.jsonl"

        async def main() -> list[Any]:
            async with StepLog(path, "r", guard=budget) as log:

                async def work() -> None:
                    async with log.llm_call("m") as call:
                        await asyncio.sleep(0)
                        call.update(input_tokens=10, output_tokens=5)

                return await asyncio.gather(*(work() for _ in range(tasks)), return_exceptions=True)

        outcomes = asyncio.run(main())

        refused = [outcome for outcome in outcomes if isinstance(outcome, BudgetExceeded)]
        assert len(refused) == max(0, tasks - limit)
        assert budget.spent("r").tokens == Amount(15 * min(tasks, limit))

    def test_a_task_group_ends_with_it(self, tmp_path: Path) -> None:
        async def main() -> None:
            async with StepLog(tmp_path / "log.jsonl", guard=Budget(calls=1)) as log:

                async def work() -> None:
                    async with log.llm_call("m"):
                        await asyncio.sleep(0)

                async with asyncio.TaskGroup() as group:
                    group.create_task(work())
                    group.create_task(work())

        with pytest.raises(BaseExceptionGroup) as ended:
            asyncio.run(main())

        assert [type(error) for error in ended.value.exceptions] == [BudgetExceeded]

    def test_nothing_is_held_while_the_agent_s_code_runs(self, tmp_path: Path) -> None:
        # A subscriber that makes a call itself, on another thread, while the budget tells.
        outcomes: list[str] = []
        with EventBus() as bus:
            log = StepLog(tmp_path / "log.jsonl", guard=Budget(calls=1, warn_at=0.5), bus=bus)

            def call_again(topic: str, record: Any) -> None:
                def work() -> None:
                    try:
                        use(log)
                    except BudgetExceeded:
                        outcomes.append("refused")

                worker = threading.Thread(target=work)
                worker.start()
                worker.join(120)
                outcomes.append("stuck" if worker.is_alive() else "done")

            bus.on("event.budget.warning", call_again)
            use(log)
            log.close()

        assert outcomes == ["refused", "done"]

    def test_a_forked_child_goes_on_from_the_figures_with_nothing_in_flight(self) -> None:
        ended = run_child(
            """
            import tempfile
            from agentsnap import Budget
            from agentsnap.errors import BudgetExceeded

            budget = Budget(calls=3, warn_at=None)
            log = StepLog(tempfile.mkdtemp() + "/log.jsonl", "r", guard=budget)
            with log.llm_call("m"):
                pass
            open_call = log.llm_call("m")
            child = os.fork()
            if child == 0:
                made = 0
                try:
                    while True:
                        with log.llm_call("m"):
                            made += 1
                except BudgetExceeded:
                    os._exit(10 * made + budget.spent("r").in_flight)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            open_call.end()
            print(json.dumps([code, budget.spent("r").calls]))
            """
        )

        assert ended.told == [10, 2]


class TestAsked:
    def test_many_runs_keep_memory_bounded(self) -> None:
        budget = Budget(calls=5)
        for number in range(10_500):
            budget(StepAhead("llm_call", "m", f"r{number}", f"r{number}"))

        assert len(budget._states.as_dict()) == len(budget._roots.as_dict()) == 10_000
