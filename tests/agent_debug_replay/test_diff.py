"""Two runs compared: what goes with what, where they part, and what differs there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_debug_replay import PAIR_KINDS, RunDiff, diff
from agent_step_log import Record, read_log, read_run
from agent_step_log.errors import LogSourceError

if TYPE_CHECKING:
    from pathlib import Path

T0 = 1_700_000_000.0
Steps = list[dict[str, Any]]


def llm(model: str = "m", **keys: Any) -> dict[str, Any]:
    return {
        "type": "llm_call",
        "model": model,
        "input_tokens": 10,
        "output_tokens": 5,
        "stop_reason": "end_turn",
        "duration_ms": 100.0,
        **keys,
    }


def tool(name: str, given: Any = None, output: Any = "ok", **keys: Any) -> dict[str, Any]:
    return {
        "type": "tool_call",
        "tool": name,
        "input": given,
        "output": output,
        "error": None,
        "duration_ms": 10.0,
        **keys,
    }


def write(path: Path, steps: Steps, run_id: str = "r", status: str = "ok", **header: Any) -> Path:
    lines = [{"run_id": run_id, "step": 0, "type": "run_start", "ts": T0, "format": 1, **header}]
    for number, step in enumerate(steps, 1):
        keys = dict(step)
        head = {"run_id": run_id, "step": number, "type": keys.pop("type"), "ts": T0 + keys.pop("at", number)}
        lines.append({**head, **keys})
    lines.append({"run_id": run_id, "step": 0, "type": "run_end", "ts": T0 + 100, "status": status})
    path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines), "utf-8")
    return path


@pytest.fixture
def compare(tmp_path: Path) -> Any:
    """Compare two runs given as steps."""

    def compared(one: Steps, other: Steps, **keys: Any) -> RunDiff:
        a = write(tmp_path / "a.jsonl", one, "a")
        return diff(a, write(tmp_path / "b.jsonl", other, "b", **keys))

    return compared


def kinds(found: RunDiff) -> list[str]:
    return [pair.kind for pair in found.pairs]


class TestSources:
    def test_a_run_a_log_and_a_run_of_a_log_are_the_same_run(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.jsonl", [llm(), tool("ls")])
        for source in (read_run(path), path, str(path), (path, "r")):
            assert diff(source, path).is_same

    def test_records_of_steps_are_a_run(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.jsonl", [llm(), tool("ls")])
        records = [record for record in read_log(path) if record.step]
        found = diff(records, iter(records))
        assert found.is_same
        assert found.counts["same"] == 2
        assert diff(records, path).is_same

    def test_records_of_nested_steps_hang_below_their_parents(self) -> None:
        def record(step: int, kind: str, **keys: Any) -> Record:
            return Record("r", step, kind, T0 + step, **keys)

        records = [
            record(2, "tool_call", tool="ls", parent=1),
            record(1, "agent_call", agent="x"),
            record(3, "tool_call", tool="ls", parent=3),  # its own parent: a forged log
        ]
        assert [(pair.depth, pair.a and pair.a.number) for pair in diff(records, records).pairs] == [
            (0, 1),
            (1, 2),
            (0, 3),
        ]

    def test_two_records_are_records_and_no_log_with_a_run(self) -> None:
        records = tuple(Record("r", step, "tool_call", T0, tool="ls") for step in (1, 2))
        assert diff(records, list(records)).counts["same"] == 2

    def test_nothing_is_the_same_as_nothing(self) -> None:
        found = diff([], [])
        assert found.is_same
        assert found.first is None
        assert list(found.pairs) == []

    def test_what_holds_no_run_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(TypeError, match="a run to compare is"):
            diff([1, 2], [])  # type: ignore[list-item]
        with pytest.raises(LogSourceError):
            diff(tmp_path / "none.jsonl", [])


class TestKinds:
    def test_times_tokens_beside_an_answer_and_call_ids_do_not_count(self, compare: Any) -> None:
        one = [
            llm(
                output=[{"type": "tool_use", "id": "toolu_1", "name": "ls"}],
                tool_calls=[{"id": "toolu_1", "name": "ls"}],
            )
        ]
        other = [
            llm(
                output=[{"name": "ls", "type": "tool_use", "id": "toolu_2"}],
                tool_calls=[{"id": "toolu_2", "name": "ls"}],
                output_tokens=9,
                duration_ms=7.0,
            )
        ]
        assert compare(one, other).is_same

    def test_the_order_of_keys_does_not_count(self, compare: Any) -> None:
        assert compare([tool("t", {"a": 1, "b": 2})], [tool("t", {"b": 2, "a": 1})]).is_same

    @pytest.mark.parametrize("size", [1, 5_000])
    def test_the_order_of_keys_does_not_count_in_short_and_long_inputs(self, compare: Any, size: int) -> None:
        text = "x" * size
        one = [tool("t", {"a": text, "b": [{"c": 1, "d": 2}]}), llm(input={"a": text, "b": 1})]
        other = [tool("t", {"b": [{"d": 2, "c": 1}], "a": text}), llm(input={"b": 1, "a": text})]
        assert compare(one, other).is_same

    @pytest.mark.parametrize("size", [1, 5_000])
    def test_ids_in_a_prompt_do_not_count_in_short_and_long_prompts(self, compare: Any, size: int) -> None:
        one, other = (
            [llm(input=[{"role": "tool", "tool_call_id": name, "content": "x" * size}])] for name in "ab"
        )
        assert compare(one, other).is_same

    def test_ids_written_in_escapes_do_not_count(self, tmp_path: Path) -> None:
        a = write(tmp_path / "a.jsonl", [llm(input={"id": "a"}, output={"id": "a"})])
        b = tmp_path / "b.jsonl"
        b.write_bytes(a.read_bytes().replace(b'{"id":"a"}', b'{"\\u0069d":"b"}'))
        assert diff(a, b).is_same

    def test_an_input_no_float_holds_is_compared_by_its_bytes(self, compare: Any, tmp_path: Path) -> None:
        a = write(tmp_path / "a.jsonl", [tool("t", {"b": 1, "a": 2}), tool("t", {"a": 77777, "b": 8})])
        b = tmp_path / "b.jsonl"
        b.write_bytes(a.read_bytes().replace(b'{"b":1,"a":2}', b'{"a":2,"b":1}').replace(b"77777", b"1e999"))
        assert diff(b, b).is_same
        assert kinds(diff(a, b)) == ["same", "arguments"]

    def test_an_id_among_a_tools_arguments_counts(self, compare: Any) -> None:
        assert kinds(compare([tool("t", {"id": "1"})], [tool("t", {"id": "2"})])) == ["arguments"]

    def test_another_outcome_of_the_same_call_is_output_drift(self, compare: Any) -> None:
        found = compare([tool("t", {"q": 1}, "x")], [tool("t", {"q": 1}, "y")])
        assert kinds(found) == ["output"]
        [change] = found.pairs[0].changes()
        assert (change.path, change.before, change.after) == ("output", "x", "y")

    def test_an_error_is_another_outcome(self, compare: Any) -> None:
        found = compare([tool("t")], [tool("t", error="no", error_type="E")])
        assert kinds(found) == ["output"]
        assert [change.path for change in found.pairs[0].changes()] == ["error", "error_type"]

    def test_a_step_that_never_ended_is_another_outcome(self, compare: Any) -> None:
        found = compare([tool("t")], [{"type": "step_start", "of": "tool_call", "tool": "t", "input": None}])
        assert kinds(found) == ["output"]
        assert "status" in [change.path for change in found.pairs[0].changes()]

    def test_the_same_tool_with_other_arguments(self, compare: Any) -> None:
        found = compare([tool("t", {"path": "a"})], [tool("t", {"path": "b"})])
        assert kinds(found) == ["arguments"]
        assert [change.path for change in found.pairs[0].changes()] == ["input.path"]

    def test_another_model_is_another_argument_of_a_call(self, compare: Any) -> None:
        found = compare([llm("x")], [llm("y")])
        assert kinds(found) == ["arguments"]
        assert [change.path for change in found.pairs[0].changes()] == ["model"]

    def test_tokens_stand_for_a_prompt_that_was_not_recorded(self, compare: Any) -> None:
        found = compare([llm(output="x")], [llm(output="x", input_tokens=11)])
        assert kinds(found) == ["arguments"]
        assert [change.path for change in found.pairs[0].changes()] == ["input_tokens"]

    def test_another_tool_is_in_one_run_only(self, compare: Any) -> None:
        assert kinds(compare([tool("t")], [tool("u")])) == ["only_a", "only_b"]

    def test_steps_that_came_in_between_do_not_shift_the_rest(self, compare: Any) -> None:
        steps = [tool("t", {"n": number}) for number in range(5)]
        found = compare(steps, [*steps[:2], tool("u"), *steps[2:]])
        assert kinds(found) == ["same", "same", "only_b", "same", "same", "same"]

    def test_the_same_step_at_another_depth_is_another(self, compare: Any) -> None:
        agent = {
            "type": "agent_call",
            "agent": "x",
            "input": None,
            "output": None,
            "error": None,
            "duration_ms": 1,
        }
        found = compare([agent, tool("t", parent=1)], [agent, tool("t")])
        assert kinds(found) == ["same", "only_a", "only_b"]

    def test_a_step_that_stands_elsewhere_is_reordered(self, compare: Any) -> None:
        one = [tool("t", {"n": number}) for number in range(4)]
        found = compare(one, [one[3], *one[:3]])
        assert found.counts == dict.fromkeys(PAIR_KINDS, 0) | {"same": 3, "reordered": 1}
        assert not found.is_same

    def test_three_turned_round_are_reordered_and_not_changed(self, compare: Any) -> None:
        one = [tool("t", {"n": number}) for number in range(3)]
        assert compare(one, one[::-1]).counts["arguments"] == 0

    def test_parallel_steps_in_another_order_are_no_difference(self, compare: Any) -> None:
        one = [tool("t", {"n": number}, start_ts=T0, at=10 + number) for number in range(3)]
        other = [tool("t", {"n": number}, start_ts=T0, at=10 - number) for number in (2, 0, 1)]
        found = compare(one, other)
        assert found.counts["reordered"] > 0
        assert found.is_same
        assert found.first is None

    def test_an_event_is_compared_by_its_data(self, compare: Any) -> None:
        events = [[{"type": "event", "name": "score", "data": {"v": value}}] for value in (1, 2)]
        found = compare(*events)
        assert kinds(found) == ["output"]
        assert [change.path for change in found.pairs[0].changes()] == ["data.v"]

    def test_forged_values_do_not_stop_it(self, compare: Any) -> None:
        deep: Any = "x"
        for _ in range(60):
            deep = [deep]
        steps = [tool("t", deep, tool_calls=[{"id": 1}]), llm(input=deep, tool_calls=[{}]), tool("")]
        assert compare(steps, steps).is_same
        assert not compare(steps, [tool("t", 10**30)]).is_same


class TestFirst:
    def test_is_the_first_pair_that_is_not_the_same(self, compare: Any) -> None:
        one = [tool("t", {"n": number}) for number in range(6)]
        other = [*one[:3], tool("t", {"n": 3}, "other"), *one[4:]]
        first = compare(one, other).first
        assert (first.common, first.pair.kind, first.a.number, first.b.number) == (3, "output", 4, 4)

    def test_names_what_either_run_did_where_they_part(self, compare: Any) -> None:
        first = compare([tool("t"), tool("u")], [tool("t"), tool("v")]).first
        assert (first.pair.kind, first.a.name, first.b.name) == ("only_a", "u", "v")

    def test_says_that_one_was_over(self, compare: Any) -> None:
        first = compare([tool("t")], [tool("t"), tool("u")]).first
        assert (first.pair.kind, first.a, first.b.name) == ("only_b", None, "u")

    def test_sums_up_what_came_after(self, compare: Any) -> None:
        first = compare([tool("t"), llm()], [tool("t"), tool("u"), llm(), llm()]).first
        after = {delta.name: (delta.a, delta.b) for delta in first.after}
        assert after["steps"] == (1, 3)
        assert after["input_tokens"] == (10, 20)

    def test_a_run_that_ended_otherwise_is_different_without_one(self, compare: Any) -> None:
        found = compare([tool("t")], [tool("t")], status="error")
        assert found.first is None
        assert not found.is_same
        assert [(change.path, change.after) for change in found.end_changes] == [("status", "error")]

    def test_headers_are_told_and_do_not_count(self, compare: Any) -> None:
        found = compare([], [], agent="other")
        assert found.is_same
        assert [change.path for change in found.head_changes] == ["agent"]


class TestTotals:
    def test_are_the_figures_of_both(self, compare: Any) -> None:
        found = compare([llm(), tool("t")], [llm(input_tokens=30), tool("t", error="x"), tool("t")])
        totals = {delta.name: (delta.a, delta.b, delta.delta) for delta in found.totals}
        assert totals["steps"] == (2, 3, 1)
        assert totals["input_tokens"] == (10, 30, 20)
        assert totals["errors"] == (0, 1, 1)
        assert totals["tool_ms"] == (10, 20, 10)

    def test_a_figure_nobody_told_is_unknown_and_never_0(self, compare: Any) -> None:
        found = compare([llm(input_tokens=None, output_tokens=None)], [llm()])
        totals = {delta.name: delta for delta in found.totals}
        assert totals["input_tokens"].a is None
        assert totals["input_tokens"].delta is None
        assert "cache_read_tokens" not in totals

    def test_a_sum_with_an_unknown_part_is_a_lower_bound(self, compare: Any) -> None:
        found = compare([llm(), llm(input_tokens=None)], [llm(bounds={"output_tokens": "upper"})])
        totals = {delta.name: delta for delta in found.totals}
        assert (totals["input_tokens"].a, totals["input_tokens"].a_bound) == (10, "lower")
        assert not totals["input_tokens"].is_exact
        assert totals["output_tokens"].b_bound == "upper"

    def test_costs_are_those_of_the_prices(self, compare: Any) -> None:
        from agentsnap import Prices

        found = compare(
            [tool("t")], [tool("t"), llm("claude-sonnet-4-5", provider="anthropic", input_tokens=10**6)]
        )
        a, b = found.costs(Prices.load())
        assert a.value == 0
        assert b.value is not None
        assert b.value > 1


STEP = st.sampled_from(
    [
        tool("a", {"n": 1}),
        tool("a", {"n": 2}),
        tool("a", {"n": 1}, "other"),
        tool("b", None),
        llm(),
        llm("x"),
        llm(output="hi"),
        {"type": "event", "name": "e", "data": 1},
    ]
)
RUNS = st.lists(STEP, max_size=12)


def records_of(steps: Steps) -> list[Record]:
    import msgspec

    return [
        msgspec.json.decode(
            json.dumps({"run_id": "r", "step": number, "ts": T0 + number, **step}), type=Record
        )
        for number, step in enumerate(steps, 1)
    ]


class TestAnyTwoRuns:
    @given(RUNS, RUNS)
    def test_counts_are_the_same_both_ways_round(self, one: Steps, other: Steps) -> None:
        there, back = diff(records_of(one), records_of(other)), diff(records_of(other), records_of(one))
        turned = {"only_a": "only_b", "only_b": "only_a"}
        assert there.counts == {kind: back.counts[turned.get(kind, kind)] for kind in PAIR_KINDS}
        assert there.is_same == back.is_same

    @given(RUNS, RUNS)
    def test_as_many_steps_are_the_same_as_there_can_be(self, one: Steps, other: Steps) -> None:
        row = [0] * (len(other) + 1)  # a longest common subsequence, by the table of all pairs
        for left in one:
            before = 0
            for place, right in enumerate(other, 1):
                best = before + 1 if left == right else max(row[place], row[place - 1])
                before, row[place] = row[place], best
        assert diff(records_of(one), records_of(other)).counts["same"] == row[-1]

    @given(RUNS, RUNS)
    def test_every_step_is_in_one_pair(self, one: Steps, other: Steps) -> None:
        found = diff(records_of(one), records_of(other))
        assert sorted(pair.a_place for pair in found.pairs if pair.a_place is not None) == [*range(len(one))]
        assert sorted(pair.b_place for pair in found.pairs if pair.b_place is not None) == [
            *range(len(other))
        ]
        assert sum(found.counts.values()) == len(found.pairs) == len(found.pairs[:])

    @given(RUNS, RUNS)
    def test_a_pair_has_fields_that_differ_just_when_it_is_no_same(self, one: Steps, other: Steps) -> None:
        for pair in diff(records_of(one), records_of(other)).pairs:
            if pair.kind in ("same", "output", "arguments"):
                assert bool(pair.changes()) == (pair.kind != "same")

    @given(RUNS)
    def test_a_run_is_the_same_as_itself(self, steps: Steps) -> None:
        assert diff(records_of(steps), records_of(steps)).is_same
