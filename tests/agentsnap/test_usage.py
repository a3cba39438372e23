"""Usage adds up: every call once, in one group, whatever the groups are by."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_step_log import StepLog
from agent_step_log.errors import LogFormatError, LogSourceError
from agentsnap import OwnPrice, Prices, usage_of, usage_of_records
from agentsnap._calendar import Calendar
from tests.agentsnap.records import T0, call, parsed, start, write

if TYPE_CHECKING:
    from pathlib import Path

#: One dollar for each million tokens, whatever they are.
FLAT = Prices([OwnPrice("*", {"input": Decimal(1), "output": Decimal(1), "cache_read": Decimal(1)})])
DAY_S = 86_400
#: One line of a transcript of Claude Code.
ANSWER = {
    "type": "assistant",
    "uuid": "u1",
    "sessionId": "s1",
    "timestamp": "2026-10-26T10:00:00Z",
    "requestId": "req_1",
    "message": {
        "id": "msg_1",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "hi"}],
        "usage": {"input_tokens": 7, "output_tokens": 3},
    },
}


def table(*records: Any, **keys: Any) -> Any:
    return usage_of_records(map(parsed, records), prices=keys.pop("prices", FLAT), **keys)


def rows(*records: Any, **keys: Any) -> Any:
    return {group.key: group.total.known for group in table(*records, **keys).groups}


class TestGroups:
    def test_by_day_in_the_zone_asked_for(self) -> None:
        late = datetime(2026, 10, 26, 23, 30, tzinfo=UTC).timestamp()

        assert rows(call(ts=late), timezone=UTC) == {"2026-10-26": 1100}
        assert rows(call(ts=late), timezone=ZoneInfo("Europe/Berlin")) == {"2026-10-27": 1100}

    def test_days_come_in_their_order_though_the_clock_went_backwards(self) -> None:
        found = table(call(step=1, ts=T0), call(step=2, ts=T0 - 3 * DAY_S), timezone=UTC)

        assert [group.key for group in found.groups] == ["2026-10-23", "2026-10-26"]
        assert (found.total.first_ts, found.total.last_ts) == (T0 - 3 * DAY_S, T0)

    def test_by_week_from_monday_and_by_month(self) -> None:
        sunday = datetime(2026, 11, 1, 12, tzinfo=UTC).timestamp()

        assert rows(call(ts=sunday), by="week", timezone=UTC) == {"2026-10-26": 1100}
        assert rows(call(ts=sunday), by="month", timezone=UTC) == {"2026-11": 1100}

    def test_by_model_provider_agent_and_task(self) -> None:
        records = [
            start(agent="planner", task_type="report"),
            call(step=1),
            call(step=2, agent="writer", model="other", provider="openai", output_tokens=0),
        ]

        assert rows(*records, by="model") == {"claude-sonnet-4-5": 1100, "other": 1000}
        assert rows(*records, by="provider") == {"anthropic": 1100, "openai": 1000}
        assert rows(*records, by="agent") == {"planner": 1100, "writer": 1000}
        assert rows(*records, by="task") == {"report": 2100}

    def test_what_records_do_not_tell_is_a_group_of_its_own(self) -> None:
        assert rows(call(model=None), by="model", prices=Prices()) == {None: 1100}
        assert rows(call(), by="task") == {None: 1100}

    def test_by_session_puts_child_runs_with_the_run_that_started_them(self) -> None:
        records = [
            start("child", parent_run_id="root", parent_step=1),
            call(run_id="child"),
            start("grandchild", parent_run_id="child"),
            call(run_id="grandchild"),
            start("root"),
            call(run_id="root"),
        ]

        assert rows(*records, by="session") == {"root": 3300}
        assert rows(*records, by="run") == {"child": 1100, "grandchild": 1100, "root": 1100}

    def test_by_session_goes_by_the_session_a_transcript_names(self) -> None:
        records = [start(metadata={"session_id": "s-1"}), call()]

        assert rows(*records, by="session") == {"s-1": 1100}

    def test_runs_that_name_each_other_as_parents_are_no_endless_loop(self) -> None:
        records = [start("a", parent_run_id="b"), call(run_id="a"), start("b", parent_run_id="a")]

        assert sum(rows(*records, by="session").values()) == 1100

    def test_by_tool_a_call_belongs_to_the_tools_answered_before_it(self) -> None:
        def tool(name: Any, step: Any) -> Any:
            return {**start(), "type": "tool_call", "step": step, "tool": name, "input": {}, "output": ""}

        records = [
            start(),
            call(step=1),
            tool("Read", 2),
            tool("Bash", 3),
            call(step=4, output_tokens=200),
            call(step=5),
            tool("Read", 6),
            call(step=7),
        ]

        assert rows(*records, by="tool") == {None: 2200, "Bash + Read": 1200, "Read": 1100}

    def test_a_group_by_nothing_known_is_refused(self) -> None:
        with pytest.raises(ValueError, match="by has to be one of day, week, month"):
            table(by="colour")

    def test_dearest_group_comes_first(self) -> None:
        found = table(call(step=1, model="a"), call(step=2, model="b", input_tokens=9000), by="model")

        assert [group.key for group in found.groups] == ["b", "a"]

    def test_models_of_a_group_add_up_to_it(self) -> None:
        found = table(call(step=1, model="a"), call(step=2, model="b"), timezone=UTC)

        (group,) = found.groups
        assert [part.key for part in group.models] == ["a", "b"]
        assert sum(part.cost.value for part in group.models) == group.cost.value


class TestTimes:
    def test_since_takes_its_moment_and_until_does_not(self) -> None:
        records = [call(step=n, ts=T0 + n) for n in (1, 2, 3)]

        assert table(*records, since=T0 + 2).total.calls == 2
        assert table(*records, until=T0 + 2).total.calls == 1
        assert table(*records, since=T0 + 2, until=T0 + 3).total.calls == 1

    def test_call_outside_of_the_calendar_is_a_group_without_a_date(self) -> None:
        assert rows(call(ts=1e300)) == {None: 1100}

    @given(st.integers(-(10**13), 10**14), st.integers(-56, 56))
    def test_day_is_that_of_the_calendar_in_any_zone(self, ms: Any, quarters: Any) -> None:
        ts = ms / 1000
        zone = timezone(timedelta(minutes=15 * quarters))

        assert Calendar(zone).day(ts) == datetime.fromtimestamp(ts, zone).date().isoformat()

    @pytest.mark.parametrize("ts", [float("nan"), float("inf"), 1e300, -1e300])
    def test_no_time_is_no_day(self, ts: Any) -> None:
        assert Calendar(UTC).day(ts) is Calendar(UTC).week(ts) is Calendar(UTC).month(ts) is None


class TestExactness:
    def test_unknown_beside_exact_makes_a_lower_bound(self) -> None:
        found = table(call(step=1), call(step=2, model="nobodys"), prices=Prices())

        assert found.total.cost.exactness == "partial"
        assert found.total.notes == {"no price is known for model nobodys of provider anthropic": 1}

    def test_tokens_nobody_told_are_unknown(self) -> None:
        found = table(call(input_tokens=None, output_tokens=None))

        assert (found.total.input.value, found.total.cost.value) == (None, None)

    def test_cached_tokens_told_by_some_calls_are_a_lower_bound(self) -> None:
        found = table(call(step=1, cache_read_tokens=10), call(step=2))

        assert (found.total.cache_read.value, found.total.cache_read.exactness) == (10, "partial")

    def test_counts_that_cannot_be_are_listed_with_their_place(self) -> None:
        found = table(call(step=1), call(step=7, output_tokens=-5))

        (problem,) = found.problems
        assert (problem.run_id, problem.step, problem.what) == (
            "run-a",
            7,
            "-5 output tokens: a negative count",
        )
        assert (found.total.output.value, found.total.output.exactness) == (100, "partial")

    def test_json_has_null_for_unknown_and_names_what_is_not_exact(self) -> None:
        row = table(call(output_tokens=None), prices=Prices(), timezone=UTC).to_dict()["rows"][0]

        assert row["day"] == "2026-10-26"
        assert row["output_tokens"] is None
        assert row["not_exact"]["output_tokens"] == "unknown"
        assert row["not_exact"]["cost_usd"] == "partial"
        assert "input_tokens" not in row["not_exact"]
        json.dumps(row)


class TestCountedOnce:
    def test_attempts_and_agents_are_no_calls(self) -> None:
        records = [
            start(),
            {**start(), "type": "event", "step": 2, "name": "llm.attempt", "data": {}, "parent": 1},
            call(step=3, parent=1),
            {**start(), "type": "agent_call", "step": 1, "agent": "a", "input": None, "output": None},
        ]

        assert table(*records).total.calls == 1

    def test_call_made_inside_another_is_counted_and_its_wrapper_is_not(self) -> None:
        found = table(call(step=2, parent=1), call(step=3, parent=1), call(step=1, input_tokens=2000))

        assert (found.total.calls, found.total.input.value, found.wrapper_count) == (2, 2000, 1)

    def test_wrapper_that_tells_other_tokens_than_its_calls_is_named(self) -> None:
        found = table(call(step=2, parent=1), call(step=1, input_tokens=5000))

        assert [problem.what for problem in found.problems] == [
            "tells 5,000 input tokens, the calls inside it come to 1,000: these count"
        ]

    def test_agent_that_tells_tokens_is_compared_with_what_is_in_it(self) -> None:
        agent = {**start(), "type": "agent_call", "agent": "a", "input": None, "output": None}
        inner = [call(step=3, parent=2), {**agent, "step": 2, "parent": 1}]

        good = table(*inner, {**agent, "step": 1, "input_tokens": 1000})
        bad = table(*inner, {**agent, "step": 1, "input_tokens": 1001})

        assert good.problems == []
        assert [problem.step for problem in bad.problems] == [1]

    def test_totals_of_the_run_are_compared_with_its_calls(self) -> None:
        end = {**start(), "type": "run_end", "status": "ok"}
        totals = {"llm_call_count": 1, "input_tokens": 1000, "output_tokens": 90}

        found = table(start(), call(), {**end, "totals": totals})

        assert [problem.what for problem in found.problems] == [
            "its end tells 90 output tokens, its calls come to 100: these count"
        ]

    def test_log_of_the_recorder_adds_up(self, tmp_path: Path) -> None:
        with StepLog(tmp_path / "run.jsonl", "r") as log:
            with log.agent("planner"):
                log.record_llm_call("m", 10, 5, "end_turn", 1.0)
            log.record_llm_call("m", 20, 5, "end_turn", 1.0)

        found = usage_of(tmp_path, prices=FLAT)

        assert (found.problem_count, found.total.input.value) == (0, 30)

    def test_log_that_is_there_twice_counts_once(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.jsonl", start(), call(step=1), call(step=2))
        (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(path.read_bytes()))

        found = usage_of(tmp_path, prices=FLAT)

        assert (found.total.calls, found.repeated_count) == (2, 2)

    def test_copy_that_went_on_adds_what_is_new(self, tmp_path: Path) -> None:
        write(tmp_path / "a.jsonl", start(), call(step=1))
        write(tmp_path / "b.jsonl", start(), call(step=1), call(step=2))

        assert usage_of(tmp_path, prices=FLAT).total.calls == 2

    def test_run_id_that_was_used_again_later_counts_each_time(self) -> None:
        again = start()
        again["ts"] += 60

        assert table(start(), call(step=1), again, call(step=1)).total.calls == 2

    def test_rotated_log_beside_a_transcript_counts_once(self, tmp_path: Path) -> None:
        write(tmp_path / "a.000001.jsonl", start(), call(step=1))
        write(tmp_path / "a.000002.jsonl", call(step=2))
        write(tmp_path / "a.jsonl", call(step=3))
        (tmp_path / "session.jsonl").write_text(json.dumps(ANSWER) + "\n")

        assert usage_of(tmp_path, prices=FLAT).total.calls == 4

    def test_writers_of_one_run_do_not_void_each_other(self) -> None:
        records = [
            start(),
            call(step=1),
            start(writer="w2"),
            call(step=1, writer="w2"),
            call(step=2),
        ]

        assert table(*records).total.calls == 3

    @settings(max_examples=60)
    @given(
        st.lists(
            st.fixed_dictionaries(
                {
                    "model": st.sampled_from(["a", "b", None]),
                    "provider": st.sampled_from(["p", None]),
                    "agent": st.sampled_from(["x", None]),
                    "run_id": st.sampled_from(["r1", "r2", "r3"]),
                    "ts": st.floats(T0, T0 + 40 * DAY_S),
                    "input_tokens": st.none() | st.integers(-1, 10**6),
                    "output_tokens": st.none() | st.integers(0, 10**6),
                    "cache_read_tokens": st.none() | st.integers(0, 10**4),
                }
            ),
            max_size=30,
        )
    )
    def test_groups_of_every_kind_add_up_to_the_same_total(self, made: Any) -> None:
        records = [
            call(step=number + 1, **{key: value for key, value in keys.items() if value is not None})
            for number, keys in enumerate(made)
        ]
        totals = []
        for by in ("day", "week", "month", "session", "run", "model", "provider", "agent", "task", "tool"):
            found = table(*records, by=by)
            assert sum(group.calls for group in found.groups) == len(records)
            for name in ("input", "output", "cache_read", "cost"):
                parts = [getattr(group, name) for group in found.groups]
                if parts:
                    assert sum(parts[1:], start=parts[0]) == getattr(found.total, name)
            totals.append((found.total.cost, found.total.input, found.total.output))
        assert len(set(totals)) == 1


BEGUN = {**start(), "type": "step_start", "step": 5, "of": "llm_call", "model": "m"}


class TestUnfinished:
    def test_call_without_an_end_is_one_of_unknown_cost(self) -> None:
        found = table(start(), call(step=1), BEGUN, by="model")

        assert {group.key: group.cost.exactness for group in found.groups} == {
            "claude-sonnet-4-5": "exact",
            "m": "unknown",
        }
        assert found.total.notes == {"it began and has no end: what it cost is not known": 1}

    def test_call_that_ended_counts_once(self) -> None:
        found = table(start(), BEGUN, call(step=5))

        assert (found.total.calls, found.total.cost.exactness) == (1, "exact")

    def test_tool_without_an_end_changes_no_cost(self) -> None:
        assert table(call(), {**BEGUN, "of": "tool_call"}).total.calls == 1


class TestMemory:
    def test_does_not_grow_with_the_calls(self) -> None:
        def peak(number: int) -> int:
            records = (
                parsed(each)
                for step in range(1, number)
                for each in ({**BEGUN, "step": step}, call(step=step, parent=1))
            )
            tracemalloc.start()
            try:
                assert usage_of_records(records, prices=FLAT).total.calls == number - 1
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

        peak(10)  # what is kept once for all

        assert peak(4000) - peak(1000) < 60_000  # 20 bytes a call; what others leave is in it, too


class TestIncompleteRuns:
    def test_run_that_says_calls_are_missing_is_a_lower_bound(self) -> None:
        bounds = {"input_tokens": "lower", "output_tokens": "lower"}
        end = {**start(), "type": "run_end", "status": "ok", "totals": {"bounds": bounds}}

        found = table(start(), call(), end)

        assert (found.total.cost.exactness, found.total.input.exactness) == ("partial", "partial")
        assert found.total.notes == {"calls of a run are missing, as it says itself": 1}

    def test_bounds_that_its_calls_explain_say_no_more(self) -> None:
        bounds = {"output_tokens": "lower"}
        end = {**start(), "type": "run_end", "status": "ok", "totals": {"bounds": bounds}}

        found = table(start(), call(bounds=bounds), end)

        assert (found.total.input.exactness, found.total.output.exactness) == ("exact", "partial")


class TestSources:
    def test_several_are_added_up(self, tmp_path: Path) -> None:
        first = write(tmp_path / "a.jsonl", call(run_id="a"))
        second = write(tmp_path / "b.jsonl", call(run_id="b"))

        assert usage_of([first, second], prices=FLAT).total.calls == 2

    def test_directory_may_hold_logs_and_transcripts(self, tmp_path: Path) -> None:
        write(tmp_path / "a.jsonl", call())
        (tmp_path / "session.jsonl").write_text(json.dumps(ANSWER) + "\n")

        found = usage_of(tmp_path, by="run", prices=FLAT)

        assert {group.key: group.input.value for group in found.groups} == {
            "run-a": 1000,
            "claude-code-s1": 7,
        }
        assert found.damage == []

    def test_nothing_there_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(LogSourceError):
            usage_of(tmp_path / "none.jsonl")

    def test_file_that_is_neither_is_told(self, tmp_path: Path) -> None:
        path = tmp_path / "notes.jsonl"
        path.write_text('{"hello": 1}\n')

        with pytest.raises(LogFormatError, match="neither a step log nor a transcript"):
            usage_of(path)

    def test_damage_is_told_and_the_rest_counted(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.jsonl", call(step=1))
        with path.open("a") as file:
            file.write('{"run_id":"run-a","step":2,"type":"llm_c\n' + json.dumps(call(step=3)) + "\n")

        found = usage_of(path, prices=FLAT)

        assert (found.total.calls, len(found.damage)) == (2, 1)
