"""Summaries: what a run came to, against the same counted the plain way."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_step_log import Record, StepLog, Summary, read_log, summarize
from agent_step_log._summary import Fold
from agent_step_log.errors import LogSourceError
from agent_step_log.limits import MAX_TOKENS, TRUNCATED
from tests.agent_step_log.loglines import T0, begin, end, line, llm, start, tool

_folder = TemporaryDirectory()
FOLDER = Path(_folder.name)
TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")

counts = st.none() | st.integers(-5, 10**6) | st.integers(MAX_TOKENS - 1, MAX_TOKENS + 1)


@st.composite
def steps(draw: st.DrawFn, number: int) -> list[bytes]:
    where: dict[str, Any] = {
        "run": draw(st.sampled_from(["r", "s"])),
        "writer": draw(st.sampled_from([None, "w"])),
    }
    common = {
        **where,
        "ts": T0 + draw(st.integers(0, 100)),
        "error": draw(st.sampled_from([None, None, "no"])),
    }
    common["duration_ms"] = draw(st.none() | st.integers(-2, 5000))
    kind = draw(st.sampled_from(["llm", "tool", "agent", "event", "later", "open"]))
    if kind == "event":
        return [line("event", number, **where, name="n", data=None)]
    if kind == "later":
        return [line("handoff", number, **common)]
    if kind == "open":
        return [begin(number, **where)]
    if kind == "agent":
        return [line("agent_call", number, **common, agent=draw(st.sampled_from([None, "a"])))]
    if kind == "tool":
        bounds = draw(st.none() | st.just({"duration_ms": "upper"}))
        ending = tool(number, **common, tool=draw(st.sampled_from(["t", "u"])), bounds=bounds)
        return [begin(number, **where), ending] if draw(st.booleans()) else [ending]
    stop = draw(st.sampled_from([None, "end_turn", "max_tokens", "length"]))
    tokens = {name: draw(counts) for name in TOKENS}
    return [llm(number, **common, model=draw(st.sampled_from([None, "m", "n"])), stop_reason=stop, **tokens)]


@st.composite
def logs(draw: st.DrawFn) -> list[bytes]:
    numbered = [draw(steps(number)) for number in range(1, draw(st.integers(2, 14)))]
    return [line for step in numbered for line in step]


def possible(count: int | None) -> int:
    """What of a count is in a sum."""
    return count if count is not None and 0 <= count <= MAX_TOKENS else 0


def naive(records: list[Record]) -> dict[str, Any]:
    """The same totals, each counted by itself."""
    calls = [r for r in records if r.type in ("llm_call", "tool_call", "agent_call")]
    models = [r for r in calls if r.type == "llm_call"]
    ended = {(r.run_id, r.writer, r.step) for r in records if r.type != "step_start"}
    begun = {(r.run_id, r.writer, r.step) for r in records if r.type == "step_start"}
    reasons = [r.stop_reason for r in models if r.stop_reason is not None]
    sums = {name: sum(possible(getattr(r, name)) for r in models) for name in TOKENS}
    spans = [[r.ts for r in records if r.run_id == run] for run in {r.run_id for r in records}]
    return {
        "total_steps": len(calls) + len(begun - ended),
        "llm_call_count": len(models),
        "tool_call_count": sum(r.type == "tool_call" for r in calls),
        "agent_call_count": sum(r.type == "agent_call" for r in calls),
        "event_count": sum(r.type == "event" for r in records),
        "total_tokens": sums["input_tokens"] + sums["output_tokens"],
        **sums,
        "error_count": sum(r.error is not None for r in calls),
        "duration_ms": sum(round((max(span) - min(span)) * 1000) for span in spans),
        "unfinished_count": len(begun - ended),
        "truncated_count": sum(reason in TRUNCATED for reason in reasons),
        "unknown_usage_count": sum(r.input_tokens is None or r.output_tokens is None for r in models),
        "bounded_count": sum(r.bounds is not None for r in calls),
        "impossible_count": sum(
            any((n := getattr(r, name)) is not None and possible(n) != n for name in TOKENS) for r in models
        ),
        "backwards_count": sum((r.duration_ms or 0) < 0 for r in calls),
        "stop_reasons": {reason: reasons.count(reason) for reason in reasons},
    }


def naive_groups(records: list[Record], type_: str, key: str) -> dict[str, tuple[int, int, int]]:
    groups: dict[str, tuple[int, int, int]] = {}
    for record in records:
        if record.type == type_:
            calls, errors, tokens = groups.get(getattr(record, key) or "?", (0, 0, 0))
            used = possible(record.input_tokens)
            groups[getattr(record, key) or "?"] = (
                calls + 1,
                errors + (record.error is not None),
                tokens + used,
            )
    return groups


def groups_of(found: dict[str, dict[str, Any]]) -> dict[str, tuple[int, int, int]]:
    return {name: (g["calls"], g["errors"], g.get("input_tokens", 0)) for name, g in found.items()}


class TestSummarize:
    @given(logs())
    def test_is_what_counting_by_hand_gives(self, lines: list[bytes]) -> None:
        path = FOLDER / "log.jsonl"
        path.write_bytes(b"".join(lines))
        records = list(read_log(path))
        for run_id in (None, *{record.run_id for record in records}):
            mine = [record for record in records if run_id in (None, record.run_id)]

            found = summarize(path, run_id)

            expected = naive(mine)
            assert {name: getattr(found, name) for name in expected} == expected
            assert groups_of(found.models) == naive_groups(mine, "llm_call", "model")
            assert groups_of(found.tools) == naive_groups(mine, "tool_call", "tool")
            assert groups_of(found.agents) == naive_groups(mine, "agent_call", "agent")

    @given(logs(), st.data())
    def test_folding_a_log_as_it_grows_gives_the_same(self, lines: list[bytes], data: st.DataObject) -> None:
        path = FOLDER / "log.jsonl"
        text = b"".join(lines)
        fold, offset = Fold(), 0
        for cut in sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4))):
            path.write_bytes(text[:cut])
            offset = fold.read_on(path, offset, "r")
        path.write_bytes(text)
        fold.read_on(path, offset, "r")

        if b'"run_id":"r"' in text:
            assert fold.result("r") == summarize(path, "r")

    def test_of_one_run_it_carries_its_id(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(start() + llm(1) + end())

        assert summarize(path).run_id == "r"

    def test_of_several_runs_it_is_a_star(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(llm(1, run="a") + llm(1, run="b"))

        assert summarize(path).run_id == "*"
        assert summarize(path, "a").run_id == "a"

    def test_steps_open_in_several_runs_under_one_number_are_all_counted(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(begin(1, run="a") + begin(1, run="b") + begin(1, run="b", writer="w"))

        assert summarize(path).unfinished_count == 3

    def test_a_run_there_is_not_is_an_error_and_not_zero(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(llm(1))

        with pytest.raises(LogSourceError) as caught:
            summarize(path, "other")

        assert str(caught.value) == f"{path}: no run 'other' in it."

    def test_an_empty_log_came_to_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(b"")

        assert summarize(path) == Summary(run_id="*")

    def test_damage_is_told(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(start() + b"junk\n" + end())
        told: list[object] = []

        summarize(path, on_damage=told.append)

        assert len(told) == 1

    def test_groups_come_largest_first(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(b"".join(tool(n, tool="b" if n > 1 else "a") for n in range(1, 4)))

        assert list(summarize(path).tools) == ["b", "a"]

    def test_latencies_are_of_the_calls_that_told(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(tool(1, duration_ms=None) + tool(2, duration_ms=10) + tool(3, duration_ms=10**400))

        assert summarize(path).tools["t"]["mean_ms"] == 10


class TestFold:
    def test_a_record_glued_behind_a_torn_one_is_in_it(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(start() + llm(1)[:50] + llm(2) + end())
        fold = Fold()
        fold.read_on(path, 0, "r")

        assert fold.result("r").llm_call_count == summarize(path).llm_call_count == 1

    def test_the_recorder_reads_its_own_log_once(self, tmp_path: Path) -> None:
        with StepLog(tmp_path / "log.jsonl", "r") as log:
            for n in range(5):
                log.record_llm_call("m", 10, n)
                assert log.summarize().output_tokens == sum(range(n + 1))

            assert log.summarize() == summarize(tmp_path / "log.jsonl")

    def test_totals_are_those_of_the_end_record(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        with StepLog(path, "r") as log:
            log.record_llm_call("m", 10, 5)
            log.record_tool_call("t", error="no")

        *_, last = read_log(path)

        assert last.totals is not None
        summary = summarize(path)
        assert {k: v for k, v in last.totals.items() if k != "duration_ms"} == {
            key: getattr(summary, key) for key in last.totals if key != "duration_ms"
        }

    def test_times_no_clock_shows_give_no_duration(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_text(
            '{"run_id":"r","step":0,"type":"run_start","ts":-1e308,"format":1}\n'
            '{"run_id":"r","step":1,"type":"event","ts":1e308,"name":"n","data":null}\n'
        )

        assert summarize(path).duration_ms == 0
