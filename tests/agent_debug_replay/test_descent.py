"""From a run into those its steps started, and out again."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any, Literal

import pytest

from agent_debug_replay import ChildRun, CommandLineError, Descent, Moved, Navigator, Replay, Walk, Where
from tests.agent_debug_replay.replay_logs import agent, line, llm, start, tool, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def child(run_id: str, step: int | None, *records: dict[str, Any], parent: str = "main") -> str:
    head = start(parent_run_id=parent, parent_step=step)
    return "".join(line(record, run_id) for record in (head, *records))


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A run whose step 2 started a run, whose step 1 started another."""
    main = [start(), llm(1, 1), tool(2, 2, tool="task"), agent(3, 4), tool(4, 3, parent=3), llm(5, 5)]
    write(tmp_path / "main.jsonl", *main, run_id="main")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "one.jsonl").write_text(
        child("one", 2, tool(1, 2, tool="task"), tool(2, 3, error="broken"))
    )
    (tmp_path / "two.jsonl").write_text(child("two", 1, tool(1, 2), parent="one"))
    (tmp_path / "sub" / "two.jsonl").write_text(child("two", 1, tool(1, 2), parent="one"))
    (tmp_path / "junk.jsonl").write_bytes(b"\x00\xff" * 40_000)
    (tmp_path / "deep.jsonl").write_text('{"run_id":' * 30_000)
    return tmp_path


@pytest.fixture
def descent(logs: Path) -> Iterator[Descent]:
    with Replay.open(logs, "main") as replay, Descent(replay) as opened:
        yield opened


def places(descent: Descent, text: str) -> list[tuple[str, int | None]]:
    """The run and the step after each move."""
    found: list[tuple[str, int | None]] = []
    for _, outcome in descent.run(text):
        if isinstance(outcome, Moved):
            row = descent.navigator.row
            found.append((descent.navigator.replay.run_id, row.step if row is not None else None))
    return found


class TestGoingIn:
    def test_and_out_again(self, descent: Descent) -> None:
        assert places(descent, "2; in; n; up; up") == [
            ("main", 2),
            ("one", 1),
            ("one", 2),
            ("main", 2),
            ("main", 2),
        ]

    def test_as_deep_as_runs_go(self, descent: Descent) -> None:
        assert places(descent, "2; in; in; up; up") == [
            ("main", 2),
            ("one", 1),
            ("two", 1),
            ("one", 1),
            ("main", 2),
        ]

    def test_says_where_it_is(self, descent: Descent) -> None:
        _, (_, entered), (_, left) = list(descent.run("2; in; up"))
        assert isinstance(entered, Moved)
        assert entered.message == "This is run one, started by step 2; `up` leads back."
        assert isinstance(left, Moved)
        assert left.message == "Back in run main."

    def test_reverses_do_the_same(self, descent: Descent) -> None:
        list(descent.run("2"))
        found = []
        moves: list[Literal["out", "in"]] = ["out", "in"]
        for move in moves:
            descent.do(Walk(move, is_reverse=True))
            found.append(descent.navigator.replay.run_id)
        assert found == ["one", "main"]

    def test_finish_goes_on_behind_the_step_that_started_it(self, descent: Descent) -> None:
        assert places(descent, "2; in; fin; 2; in; rfin") == [
            ("main", 2),
            ("one", 1),
            ("main", 3),
            ("main", 2),
            ("one", 1),
            ("main", 2),
        ]

    def test_steps_below_come_first_and_steps_without_a_run_stay(self, descent: Descent) -> None:
        assert places(descent, "3; in; in; up; 1; in") == [
            ("main", 3),
            ("main", 4),
            ("main", 4),
            ("main", 3),
            ("main", 1),
            ("main", 1),
        ]

    def test_runs_that_are_each_other_s_parents_end(self, tmp_path: Path) -> None:
        (tmp_path / "a.jsonl").write_text(child("a", 1, tool(1), parent="b"))
        (tmp_path / "b.jsonl").write_text(child("b", 1, tool(1), parent="a"))
        with Replay.open(tmp_path, "a") as replay, Descent(replay) as descent:
            assert places(descent, "in; in; in") == [("b", 1), ("b", 1), ("b", 1)]

    def test_a_second_run_in_the_same_file(self, tmp_path: Path) -> None:
        path = write(tmp_path / "run.jsonl", start(), tool(1), run_id="main")
        with path.open("a") as file:
            file.write(child("one", 1, tool(7)))
        with Replay.open(path, "main") as replay, Descent(replay) as descent:
            assert places(descent, "in; up") == [("one", 7), ("main", 1)]

    def test_a_negative_number_is_no_run(self, descent: Descent) -> None:
        with pytest.raises(CommandLineError, match="in takes the number of a run"):
            descent.run("in -1")

    def test_a_navigator_alone_stays_in_its_run(self, descent: Descent) -> None:
        (_, _), (_, moved) = Navigator(descent.navigator.replay).run("2; in 1")
        assert isinstance(moved, Moved)
        assert (moved.end, moved.message) == ("nowhere", "No run that this step started is at hand.")


class TestSeveralRunsOfAStep:
    @pytest.fixture
    def several(self, logs: Path) -> Path:
        """Another run of step 2, begun later than `one` and earlier in the order of names."""
        records = [
            line({**start(), "at": 9.0, "agent": "scout", "parent_run_id": "main", "parent_step": 2}, "a")
        ]
        (logs / "a.jsonl").write_text("".join([*records, line(tool(1), "a")]))
        return logs

    def test_the_one_begun_first_is_taken_and_the_choice_is_said(self, several: Path) -> None:
        with Replay.open(several, "main") as replay, Descent(replay) as descent:
            (_, _), (_, entered) = list(descent.run("2; in"))
        assert isinstance(entered, Moved)
        assert entered.message == (
            "Run 1 of 2 that step 2 started: `up` leads back, `up; in 2` to another. It is one."
        )

    def test_a_number_chooses(self, several: Path) -> None:
        with Replay.open(several, "main") as replay, Descent(replay) as descent:
            assert places(descent, "2; in 2; up; in 1") == [("main", 2), ("a", 1), ("main", 2), ("one", 1)]

    def test_a_number_goes_past_the_steps_below(self, logs: Path) -> None:
        (logs / "b.jsonl").write_text(child("b", 3, tool(8)))
        with Replay.open(logs, "main") as replay, Descent(replay) as descent:
            assert places(descent, "3; in; up; in 1; up") == [
                ("main", 3),
                ("main", 4),
                ("main", 3),
                ("b", 8),
                ("main", 3),
            ]

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("2; in 3", "Step 2 started 2 runs; `where` lists them."),
            ("1; in 1", "Step 1 started no run that is at hand."),
        ],
    )
    def test_a_number_of_none_is_said(self, several: Path, text: str, why: str) -> None:
        with Replay.open(several, "main") as replay, Descent(replay) as descent:
            *_, (_, moved) = descent.run(text)
            assert (moved.end, moved.message) == ("nowhere", why)  # type: ignore[union-attr]
            assert descent.depth == 0

    def test_where_lists_them(self, several: Path) -> None:
        with Replay.open(several, "main") as replay, Descent(replay) as descent:
            *_, (_, where) = descent.run("2; where")
        assert isinstance(where, Where)
        assert [(run.run_id, run.agent) for run in where.children] == [("one", "tester"), ("a", "scout")]


class TestWhereLogsOfChildrenAre:
    def found(self, source: Path) -> list[ChildRun]:
        with Replay.open(source, "main") as replay, Descent(replay) as descent:
            list(descent.run("2"))
            return descent.children()

    @pytest.fixture
    def main(self, tmp_path: Path) -> Path:
        return write(tmp_path / "main.jsonl", start(), tool(1), tool(2), run_id="main")

    def test_packed_ones_are_gone_into(self, main: Path) -> None:
        import zstandard

        text = child("one", 2, tool(1)).encode()
        (main.parent / "one.jsonl.gz").write_bytes(gzip.compress(text))
        text = child("two", 2, tool(1)).encode()
        (main.parent / "two.jsonl.zst").write_bytes(zstandard.compress(text))
        (main.parent / "junk.jsonl.gz").write_bytes(b"no gzip at all")
        (main.parent / "tape.tape.zst").write_bytes(b"")

        assert [run.run_id for run in self.found(main)] == ["one", "two"]
        with Replay.open(main.parent, "main") as replay, Descent(replay) as descent:
            assert places(descent, "2; in; up; in 2")[1:] == [("one", 1), ("main", 2), ("two", 1)]

    def test_in_the_run_s_own_packed_file(self, main: Path) -> None:
        text = main.read_bytes() + child("one", 2, tool(7)).encode()
        packed = main.parent / "sub" / "all.jsonl.gz"
        packed.parent.mkdir()
        packed.write_bytes(gzip.compress(text))

        with Replay.open(packed, "main") as replay, Descent(replay) as descent:
            assert places(descent, "2; in; up") == [("main", 2), ("one", 7), ("main", 2)]

    def test_one_that_was_rotated_is_opened_whole(self, main: Path) -> None:
        lines = child("one", 2, tool(1), tool(2), tool(3)).splitlines(keepends=True)
        (main.parent / "one.000001.jsonl.gz").write_bytes(gzip.compress("".join(lines[:2]).encode()))
        (main.parent / "one.000002.jsonl").write_text(lines[2])
        (main.parent / "one.jsonl").write_text(lines[3])

        assert [run.path.name for run in self.found(main)] == ["one.jsonl"]
        with Replay.open(main, "main") as replay, Descent(replay) as descent:
            assert places(descent, "2; in; end") == [("main", 2), ("one", 1), ("one", 3)]


class TestWhatIsShared:
    def test_stops_and_displays_hold_in_both(self, descent: Descent) -> None:
        assert places(descent, "catch error; display ms; 2; in; c")[-1] == ("one", 2)
        assert descent.navigator.hits == 1
        list(descent.run("delete; undisplay; up"))
        assert (descent.navigator.stops, descent.navigator.displays) == ((), ())
        assert descent.navigator.hits == 1

    def test_a_breakpoint_at_a_step_is_one_of_its_run(self, descent: Descent) -> None:
        assert places(descent, "break 2; 2; in; c; up; 1; c")[-3:] == [("main", 2), ("main", 1), ("main", 2)]
        assert descent.navigator.hits == 1

    def test_a_condition_changed_below_is_changed_above(self, descent: Descent) -> None:
        list(descent.run("break at tool if error; start; c; 2; in; cond 1 tool == 'task'; up; start"))
        assert places(descent, "c") == [("main", 2)]

    def test_marks_and_visits_are_of_each_run(self, descent: Descent) -> None:
        list(descent.run("2; mark here; in; mark here; n; back"))
        assert (descent.navigator.replay.run_id, descent.navigator.position) == ("one", 0)
        assert places(descent, "up; start; 'here")[-1] == ("main", 2)

    def test_where_is_of_the_run(self, descent: Descent) -> None:
        *_, (_, where) = list(descent.run("2; in; bt"))
        assert isinstance(where, Where)
        assert [row.step for row in where.rows] == [1]
