"""The run a comparison reads: the tree a whole read gives, each record once, the right one of several."""

from __future__ import annotations

import copy
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_debug_replay import Delta, RunDiff, RunNotFoundError, diff
from agent_debug_replay import _diff_read as reading
from agent_step_log import Record, Run, Step, read_log, read_run
from tests.agent_debug_replay.replay_logs import begun, event, line, llm, runs, start, tool, write

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

Records = list[dict[str, Any]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place for logs that are written over."""
    return tmp_path_factory.mktemp("logs")


def shape(steps: Iterable[Step]) -> list[tuple[Any, ...]]:
    return [(step.number, step.writer, step.type, _line(step.start), _line(step.end)) for step in steps]


def _line(record: Record | None) -> bytes | None:
    return None if record is None else record.line


def figures(run: Run) -> dict[str, float]:
    """Totals of a run, added up step by step."""
    found: dict[str, float] = {}
    for _, step in run.walk():
        counted = "events" if step.type == "event" else "steps"
        found[counted] = found.get(counted, 0) + 1
        record = step.end
        if record is None or step.type == "event":
            continue
        found["errors"] = found.get("errors", 0) + (record.error is not None)
        names = {"llm_call": ["input_tokens", "output_tokens", "duration_ms"], "tool_call": ["duration_ms"]}
        for name in names.get(step.type, []):
            value = getattr(record, name)
            if value is not None:
                key = f"{step.type[:-5]}_ms" if name == "duration_ms" else name
                found[key] = found.get(key, 0) + value
    return found


def told(deltas: list[Delta]) -> dict[str, float | None]:
    return {each.name: each.a for each in deltas}


class TestTree:
    @given(runs())
    def test_of_a_log_is_that_of_a_whole_read(self, folder: Path, records: Records) -> None:
        path = write(folder / "log.jsonl", *records)
        run = read_run(path)
        found = diff(path, run)
        assert shape(found.a_steps) == shape(step for _, step in run.walk()) == shape(found.b_steps)
        assert [pair.depth for pair in found.pairs] == [depth for depth, _ in run.walk()]
        assert found.is_same
        assert found.counts["same"] == len(found.pairs)

    @given(runs(), st.sampled_from([1, 2, 3]))
    def test_does_not_depend_on_how_many_are_read_at_once(
        self, folder: Path, records: Records, batch: int
    ) -> None:
        path = write(folder / "log.jsonl", *records)
        before = diff(path, path)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(reading, "_BATCH", batch)
            after = diff(path, path)
        assert shape(before.a_steps) == shape(after.a_steps)
        assert before.totals == after.totals
        assert diff(path, read_run(path)).is_same

    def test_a_beginning_met_after_its_ending_belongs_to_it(self, folder: Path) -> None:
        call: dict[str, Any] = {"tool": "bash", "input": {"command": "ls"}}
        ended = tool(1, 2.0, tool="bash", input=None)
        one = write(folder / "one.jsonl", start(), begun(1, **call), ended)
        other = write(folder / "other.jsonl", start(), ended, begun(1, **call))
        found = diff(one, other)
        assert found.is_same
        assert [(delta.a, delta.b) for delta in found.totals if delta.name == "duration_ms"] == [(2000, 2000)]


class TestTotals:
    @given(runs())
    def test_are_the_sums_over_the_steps(self, folder: Path, records: Records) -> None:
        path = write(folder / "log.jsonl", *records)
        found = told(diff(path, path).totals)
        for name, value in figures(read_run(path)).items():
            assert found[name] == pytest.approx(value)

    @given(runs(), runs())
    def test_from_the_divergence_on_are_those_less_what_came_before(
        self, folder: Path, one: Records, other: Records
    ) -> None:
        left, right = write(folder / "one.jsonl", *one), write(folder / "other.jsonl", *other)
        found = diff(left, right)
        if found.first is None:
            return
        after, whole = told(found.first.after), told(found.totals)
        before = found.pairs[: found.pairs.index(found.first.pair)]
        common = max([(pair.a_place or 0) + 1 for pair in before if pair.kind == "same"], default=0)
        calls = [step for step in found.a_steps[:common] if step.type == "tool_call"]
        assert (whole["tool_calls"] or 0) - (after["tool_calls"] or 0) == len(calls)

    def test_a_run_all_of_whose_steps_have_one_time_tells_no_duration(self, folder: Path) -> None:
        timeless = [tool(step, duration_ms=None) for step in (1, 2)]
        one = write(folder / "one.jsonl", start(), *timeless)
        other = write(folder / "other.jsonl", start(), tool(1, 1.0), tool(2, 4.0))
        totals = {delta.name: delta for delta in diff(one, other).totals}
        for name in ("duration_ms", "tool_ms"):
            assert totals[name].a is None
            assert totals[name].delta is None
        assert not {"duration_ms", "tool_ms"} & told(diff(one, one).totals).keys()

    def test_a_duration_that_some_calls_do_not_tell_is_a_lower_bound(self, folder: Path) -> None:
        path = write(folder / "log.jsonl", start(), tool(1, 1.0), tool(2, 2.0, duration_ms=None))
        [spent] = [delta for delta in diff(path, path).totals if delta.name == "tool_ms"]
        assert (spent.a, spent.a_bound, spent.is_exact) == (50, "lower", False)

    def test_counts_that_cannot_be_are_in_no_sum(self, folder: Path) -> None:
        calls = [
            llm(1, 1.0),
            llm(2, 2.0, input_tokens=-5),
            llm(3, 3.0, output_tokens=10**12, duration_ms=-0.5),
        ]
        path = write(folder / "log.jsonl", start(), *calls)
        totals = {delta.name: delta for delta in diff(path, path).totals}
        assert (totals["input_tokens"].a, totals["input_tokens"].a_bound) == (200, "lower")
        assert (totals["output_tokens"].a, totals["output_tokens"].a_bound) == (20, "lower")
        assert (totals["llm_ms"].a, totals["llm_ms"].a_bound) == (200, "lower")

    def test_a_run_without_model_calls_spent_no_tokens(self, folder: Path) -> None:
        one = write(folder / "one.jsonl", start(), tool(1, 1.0))
        other = write(folder / "other.jsonl", start(), tool(1, 1.0), llm(2, 2.0))
        totals = {delta.name: delta for delta in diff(one, other).totals}
        assert (totals["input_tokens"].a, totals["input_tokens"].b) == (0, 100)


class TestStretches:
    @given(runs(), runs())
    def test_are_the_pairs_by_kind(self, folder: Path, one: Records, other: Records) -> None:
        found = diff(write(folder / "one.jsonl", *one), write(folder / "other.jsonl", *other))
        grouped = [(kind, len(list(pairs))) for kind, pairs in groupby(pair.kind for pair in found.pairs)]
        assert [(kind, end - begin) for kind, begin, end in found.stretches()] == grouped


class TestCosts:
    def test_are_those_of_the_command_that_tells_them(self, folder: Path) -> None:
        from agentsnap import Prices, usage_of

        known = {"model": "claude-sonnet-4-5", "provider": "anthropic"}
        inner = [llm(2, 2.0, parent=1, **known), llm(1, 3.0, **known), begun(3, 4.0, "llm_call", **known)]
        path = write(folder / "log.jsonl", start(), *inner)
        cost, _ = diff(path, path).costs(Prices.load())
        assert cost == usage_of(path).total.cost
        assert cost.exactness == "partial"


class TestWhichRun:
    def several(self, path: Path, *starts: float) -> Path:
        """A log of runs that begin at *starts*, their records in turns."""
        parts: list[str] = []
        for number, at in enumerate(starts):
            parts.append(line({**start(), "at": at}, f"run-{number}"))
        for step in (1, 2):
            parts += [line(tool(step, at + step), f"run-{number}") for number, at in enumerate(starts)]
        path.write_text("".join(parts), encoding="utf-8")
        return path

    def test_is_the_one_that_began_last(self, folder: Path) -> None:
        path = self.several(folder / "several.jsonl", 5.0, 20.0, 10.0)
        found = diff(path, (path, "run-1"))
        assert (found.a_id, found.b_id, found.is_same) == ("run-1", "run-1", True)
        assert len(found.a_steps) == 2

    def test_is_the_one_that_began_last_by_a_clock_that_was_set_back(self, folder: Path) -> None:
        path = self.several(folder / "back.jsonl", 5.0, 20.0)
        with path.open("a", encoding="utf-8") as file:
            file.write(line(tool(3, 1.0), "run-1"))
        found = diff(path, path)
        assert found.a_id == read_run(path).run_id == "run-0"
        assert len(found.a_steps) == 2

    def test_may_be_named_by_an_end_of_its_id(self, folder: Path) -> None:
        path = self.several(folder / "several.jsonl", 5.0, 20.0, 10.0)
        assert diff((path, "-0"), path).a_id == "run-0"
        with pytest.raises(RunNotFoundError, match="3 runs match 'run-'"):
            diff((path, "run-"), path)
        with pytest.raises(RunNotFoundError, match="no run 'run-9' in it; the nearest: run-"):
            diff((path, "run-9"), path)

    def test_of_a_directory_is_found_with_what_it_was_rotated_into(self, tmp_path: Path) -> None:
        (tmp_path / "logs").mkdir()
        write(tmp_path / "logs" / "a.000001.jsonl", start(), tool(1, 1.0))
        write(tmp_path / "logs" / "a.jsonl", tool(2, 2.0))
        found = diff(tmp_path / "logs", tmp_path / "logs" / "a.jsonl")
        assert [step.number for step in found.a_steps] == [1, 2]
        assert found.is_same
        assert found.a_info is not None
        assert [path.name for path in found.a_info.paths] == ["a.000001.jsonl", "a.jsonl"]


class TestReading:
    def test_meets_each_record_once(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = write(folder / "log.jsonl", start(), *(tool(step, float(step)) for step in range(1, 30)))
        met: list[int] = []

        def counted(*args: Any, **more: Any) -> Iterator[Record]:
            for record in read_log(*args, **more):
                met.append(record.step)
                yield record

        monkeypatch.setattr("agent_debug_replay._diff_read.read_log", counted)
        diff(path, read_run(path))
        assert met == list(range(30))

    def test_tells_what_was_no_record(self, folder: Path) -> None:
        path = write(folder / "log.jsonl", start(), tool(1, 1.0))
        with path.open("a", encoding="utf-8") as file:
            file.write("no record\n")
        found: RunDiff = diff(path, read_run(path))
        assert [damage.reason for damage in found.a_damage] == ["not JSON"]
        assert list(found.a_damage) == list(found.b_damage)

    def test_of_a_log_fills_in_header_and_end(self, folder: Path) -> None:
        end = {"type": "run_end", "status": "error", "error": "gave up", "at": 9.0}
        path = write(folder / "log.jsonl", start(environment="ci"), event(1, 1.0), end)
        info = diff(path, path).a_info
        whole = copy.copy(read_run(path).info)
        assert info is not None
        assert (info.status, info.header, info.end, info.paths) == (
            whole.status,
            whole.header,
            whole.end,
            whole.paths,
        )
        assert (info.fold.first_ts, info.fold.last_ts) == (whole.fold.first_ts, whole.fold.last_ts)
