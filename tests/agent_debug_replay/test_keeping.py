"""What a person writes down: notes, files of marks and notes, and steps exported to a new log."""

from __future__ import annotations

import gzip
import json
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_debug_replay import (
    CommandLineError,
    Descent,
    Export,
    KeepIn,
    Marks,
    Moved,
    Navigator,
    Note,
    Notes,
    Play,
    Replay,
    ReplayError,
    SetNote,
    Target,
    parse_commands,
)
from agent_step_log import read_run
from tests.agent_debug_replay.replay_logs import begun, line, llm, runs, start, tool, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A run of five steps, the third of them nested, whose ends do not come in the order of the tree."""
    return write(
        tmp_path / "run.jsonl",
        start(),
        llm(1),
        begun(2, 1),
        tool(4, 2),
        begun(5, 3),
        tool(3, 4, parent=2),
        tool(2, 5, start_ts=1_700_000_001.0, error="broken"),
        {"type": "run_end", "status": "ok", "at": 6.0},
    )


@pytest.fixture
def navigator(path: Path) -> Iterator[Navigator]:
    with Replay.open(path) as replay:
        yield Navigator(replay)


def noted(navigator: Navigator, text: str) -> list[tuple[int, str]]:
    """The notes told by the last of the commands."""
    *_, (_, outcome) = navigator.run(text)
    assert isinstance(outcome, Notes)
    return [(row.step, text) for row, text in outcome.notes]


class TestGrammar:
    @pytest.mark.parametrize(
        ("text", "command"),
        [
            ("note it's odd", SetNote("it's odd")),
            ("note -", SetNote(None)),
            ("save notes.json", KeepIn("save", "notes.json")),
            ('load "my notes.json"', KeepIn("load", "my notes.json")),
            ("export a.jsonl", Export("a.jsonl")),
            ("export a.jsonl 12..ab:40", Export("a.jsonl", Target("step", 12), Target("step", 40, "ab"))),
            ("export a.jsonl 25.5%..", Export("a.jsonl", Target("percent", 25.5))),
            ("export a.jsonl ..here", Export("a.jsonl", None, Target("id", "here"))),
            ("play", Play(1.0)),
            ("play 4x", Play(4.0)),
            ("play .5", Play(0.5)),
        ],
    )
    def test_a_line_is_a_command(self, text: str, command: object) -> None:
        assert parse_commands(text) == [command]

    def test_an_apostrophe_in_a_note_hides_no_command_after_it(self) -> None:
        assert [type(each).__name__ for each in parse_commands("note don't; n")] == ["SetNote", "Walk"]

    @pytest.mark.parametrize(
        ("text", "column", "why"),
        [
            ("note", 4, "Write a text"),
            ("save a b", 5, "One file is expected here"),
            ("load 'a", 5, "begins with a quote"),
            ("export f 12", 9, "Write which steps"),
            ("export f 1..2 if", 9, "Write which steps"),
            ("play 0", 5, "how many times as fast"),
            ("play fast", 5, "how many times as fast"),
        ],
    )
    def test_an_error_points_at_its_place(self, text: str, column: int, why: str) -> None:
        with pytest.raises(CommandLineError, match=why) as raised:
            parse_commands(text)
        assert raised.value.column == column

    def test_a_checkpoint_is_a_mark(self, navigator: Navigator) -> None:
        *_, (_, marks) = navigator.run("3; checkpoint here")
        assert isinstance(marks, Marks)
        assert {name: row.step for name, row in marks.marks.items()} == {"here": 3}


class TestNotes:
    def test_are_told_in_the_order_of_rows(self, navigator: Navigator) -> None:
        assert noted(navigator, "4; note four; 2; note two; notes") == [(2, "two"), (4, "four")]

    def test_of_a_step_is_the_last_one(self, navigator: Navigator) -> None:
        assert noted(navigator, "note old; note new") == [(1, "new")]
        assert navigator.note_at(0) == "new"
        assert noted(navigator, "note -") == []
        assert navigator.note_at(0) is None

    def test_and_marks_of_a_run_that_was_left_are_there_when_it_is_gone_into_again(self, path: Path) -> None:
        child = [line(start(parent_run_id="run-a", parent_step=1), "sub"), line(tool(1), "sub")]
        (path.parent / "sub.jsonl").write_text("".join(child))
        with Replay.open(path) as replay, Descent(replay) as descent:
            list(descent.run("in; note below; mark b; up; note above; in"))
            assert descent.navigator.note_at(0) == "below"
            assert list(descent.navigator.marks.marks) == ["b"]

    def test_no_step_has_none(self, tmp_path: Path) -> None:
        with Replay.open(write(tmp_path / "run.jsonl", start())) as replay:
            assert noted(Navigator(replay), "note nothing") == []


class TestFiles:
    def test_give_back_what_was_saved(self, navigator: Navigator, tmp_path: Path) -> None:
        kept = tmp_path / "kept.json"
        list(navigator.run(f"2; mark a; note two; 5; note é\u202e; save {kept}"))
        other = Navigator(navigator.replay)
        *_, (_, told) = other.run(f"load {kept}")
        assert told == Note("Took over 1 mark and 2 notes of this run.")
        assert (other.marks, other.notes) == (navigator.marks, navigator.notes)
        assert kept.stat().st_mode & 0o777 == 0o600

    def test_are_written_again_and_keep_other_runs(self, navigator: Navigator, tmp_path: Path) -> None:
        kept = tmp_path / "kept.json"
        with Replay.open(write(tmp_path / "b.jsonl", start(), tool(1), run_id="b")) as replay:
            list(Navigator(replay).run(f"note of b; save {kept}"))
        list(navigator.run(f"note first; save {kept}; note second; save {kept}"))
        runs = json.loads(kept.read_text())["runs"]
        assert {name: run["notes"] for name, run in runs.items()} == {
            "b": {"1": "of b"},
            "run-a": {"1": "second"},
        }
        *_, (_, told) = Navigator(navigator.replay).run(f"load {kept}")
        assert told == Note("Took over 0 marks and 1 note of this run, and those of 1 other run.")

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"{}",
            b"[1]",
            b"\xff",
            b"[" * 100_000,
            b'{"format": "agent-step-log notes 2", "runs": {}}',
            b'{"format": "agent-step-log notes 1", "runs": {"run-a": {"notes": {"x": "y"}}}}',
            b'{"format": "agent-step-log notes 1", "runs": {"run-a": {"marks": {"x": 3}}}}',
        ],
    )
    def test_that_are_none_are_not_read(self, navigator: Navigator, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "kept.json").write_bytes(content)
        with pytest.raises(ReplayError, match=r"kept\.json is no file of marks and notes"):
            navigator.load(tmp_path / "kept.json")

    def test_that_are_another_s_are_not_written_over(self, navigator: Navigator, path: Path) -> None:
        before = path.read_bytes()
        navigator.mark("a")
        with pytest.raises(ReplayError, match="is no file of marks and notes"):
            navigator.save(path)
        assert path.read_bytes() == before
        assert [each.name for each in path.parent.iterdir()] == ["run.jsonl"]

    def test_that_cannot_be_had_are_said(self, navigator: Navigator, tmp_path: Path) -> None:
        with pytest.raises(ReplayError, match="cannot be read: No such file or directory"):
            navigator.load(tmp_path / "none")
        with pytest.raises(ReplayError, match="There are no marks and no notes"):
            navigator.save(tmp_path / "none")
        navigator.mark("a")
        with pytest.raises(ReplayError, match="cannot be written: No such file or directory"):
            navigator.save(tmp_path / "none" / "deep")
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ReplayError, match="is no file of marks and notes"):
            navigator.load(tmp_path / "pipe")

    def test_of_a_step_that_is_not_in_the_run_are_passed_over(
        self, navigator: Navigator, tmp_path: Path
    ) -> None:
        kept = tmp_path / "kept.json"
        told = {"run-a": {"marks": {"a": "99", "b": "2"}, "notes": {"zz:1": "gone"}}}
        kept.write_text(json.dumps({"format": "agent-step-log notes 1", "runs": told}))
        navigator.load(kept)
        assert list(navigator.marks.marks) == ["b"]
        assert navigator.notes == Notes()


class TestExport:
    def lines(self, path: Path) -> list[bytes]:
        return path.read_bytes().splitlines(keepends=True)

    def test_of_all_is_the_log(self, navigator: Navigator, path: Path, tmp_path: Path) -> None:
        told = navigator.export(tmp_path / "all.jsonl")
        assert self.lines(tmp_path / "all.jsonl") == self.lines(path)
        size = path.stat().st_size
        assert told == f"Wrote 5 steps in 8 lines, {size} bytes, to {tmp_path / 'all.jsonl'}."

    @pytest.mark.parametrize(
        ("what", "steps"),
        [
            ("2..3", [0, 2, 3, 2, 0]),
            ("..1", [0, 1, 0]),
            ("a..b", [0, 2, 3, 2, 0]),
            ("if error", [0, 2, 2, 0]),
            ("start..end if type == 'llm_call'", [0, 1, 0]),
        ],
    )
    def test_has_the_steps_asked_for_as_they_stand_in_the_log(
        self, navigator: Navigator, path: Path, tmp_path: Path, what: str, steps: list[int]
    ) -> None:
        out = tmp_path / "out.jsonl"
        list(navigator.run(f"2; mark a; 3; mark b; export {out} {what}"))
        found = self.lines(out)
        assert [json.loads(each)["step"] for each in found] == steps
        order = iter(self.lines(path))
        assert all(each in order for each in found)  # in the order of the log, each as it is there

    def test_can_be_opened_as_a_run(self, navigator: Navigator, tmp_path: Path) -> None:
        navigator.export(tmp_path / "out.jsonl", condition="error")
        run = read_run(tmp_path / "out.jsonl")
        assert (run.info.run_id, run.info.status, [step.record.step for step in run.roots]) == (
            "run-a",
            "ok",
            [2],
        )

    def test_of_a_packed_log(self, path: Path, tmp_path: Path) -> None:
        packed = tmp_path / "sub.jsonl.gz"
        packed.write_bytes(gzip.compress(path.read_bytes()))
        with Replay.open(packed) as replay:
            Navigator(replay).export(tmp_path / "out.jsonl")
        assert self.lines(tmp_path / "out.jsonl") == self.lines(path)

    def test_writes_over_nothing(self, navigator: Navigator, path: Path) -> None:
        before = path.read_bytes()
        with pytest.raises(ReplayError, match=r"run\.jsonl is there already; name a file that is not"):
            navigator.export(path)
        assert path.read_bytes() == before

    def test_of_no_step_writes_nothing(self, navigator: Navigator, tmp_path: Path) -> None:
        for what in ("3..2", "if tool == 'none'"):
            with pytest.raises(ReplayError, match="There is no such step: nothing was written"):
                list(navigator.run(f"export {tmp_path / 'out'} {what}"))
        with pytest.raises(ReplayError, match="No step has the id 'zz'"):
            list(navigator.run(f"export {tmp_path / 'out'} zz.."))
        assert not (tmp_path / "out").exists()

    def test_that_cannot_go_on_leaves_no_half_behind(self, navigator: Navigator, tmp_path: Path) -> None:
        def stop(row: int) -> None:
            if row == 2:
                raise KeyboardInterrupt

        navigator.replay.tell_rows(stop)
        with pytest.raises(KeyboardInterrupt):
            navigator.export(tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_into_no_directory_is_said(self, navigator: Navigator, tmp_path: Path) -> None:
        with pytest.raises(ReplayError, match="cannot be written: No such file or directory"):
            navigator.export(tmp_path / "none" / "out")


@given(records=runs(), data=st.data())
def test_an_export_has_the_same_rows_with_the_same_records(
    records: list[dict[str, object]], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("export")
    with Replay.open(write(directory / "run.jsonl", *records)) as replay:
        count = len(replay)
        if not count:
            return
        first = data.draw(st.integers(0, count - 1))
        last = data.draw(st.integers(first, count - 1))
        navigator = Navigator(replay)
        navigator.export(directory / "out.jsonl", first=Target("row", first), last=Target("row", last))
        wanted = {replay.key(row): replay.lines(row) for row in range(first, last + 1)}
    with Replay.open(directory / "out.jsonl") as replay:
        assert {replay.key(row): replay.lines(row) for row in range(len(replay))} == wanted


def test_playing_without_a_screen_goes_on_to_the_next_stop(navigator: Navigator) -> None:
    *_, (_, moved) = navigator.run("break if error; play 2")
    assert isinstance(moved, Moved)
    assert (moved.row, moved.end, len(moved.hits)) == (1, "stopped", 1)


def test_going_on_ends_after_so_many_rows(navigator: Navigator) -> None:
    assert [navigator.resume(most=2).row, navigator.resume(most=2).row] == [2, 4]
    assert navigator.resume(most=2).end == "end"
    assert (navigator.resume(reverse=True, most=3).row, navigator.resume(reverse=True, most=3).end) == (
        1,
        "start",
    )
