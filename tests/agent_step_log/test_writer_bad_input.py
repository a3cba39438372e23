"""Paths, ids and values no recorder was meant for: each has an outcome, and none reaches the agent."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from agent_step_log import StepLog, read_log, verify
from agent_step_log.errors import RecordLostError
from tests.support.logs import lines_of


class TestPathsThatCannotBeWritten:
    @pytest.fixture
    def bad_paths(self, tmp_path: Path) -> dict[str, tuple[str, str]]:
        """Each with the beginning of what is said of it."""
        (tmp_path / "file").write_text("not a directory")
        (tmp_path / "folder" / "run.jsonl").mkdir(parents=True)
        return {
            "parent is a file": (f"{tmp_path}/file/run.jsonl", "EEXIST"),
            "ancestor is a file": (f"{tmp_path}/file/deeper/run.jsonl", "ENOTDIR"),
            "read-only": ("/proc/run.jsonl", "ENOENT"),
            "name too long": (f"{tmp_path}/{'x' * 300}.jsonl", "ENAMETOOLONG"),
            "NUL": (f"{tmp_path}/a\0b.jsonl", "the path cannot be used: "),
            "surrogate": (f"{tmp_path}/a\ud800b.jsonl", "the path cannot be used: "),
        }

    KINDS = ("parent is a file", "ancestor is a file", "read-only", "name too long", "NUL", "surrogate")

    @pytest.mark.parametrize("kind", KINDS)
    def test_recording_goes_on_and_everything_is_counted(
        self, bad_paths: dict[str, tuple[str, str]], kind: str
    ) -> None:
        path, why = bad_paths[kind]
        log = StepLog(path, run_id="r", on_error="ignore")
        with log.tool_call("t"):
            log.record_llm_call("m")
        log.event("e")

        assert log.summarize().total_steps == 0
        assert (log.health.written, log.health.pending) == (0, 5)
        assert str(log.health.last_error).startswith(why)
        log.close()
        assert (log.health.pending, log.health.dropped) == (0, 6)

    @pytest.mark.parametrize("kind", KINDS)
    def test_raise_raises_from_the_first_record_on(
        self, bad_paths: dict[str, tuple[str, str]], kind: str
    ) -> None:
        with pytest.raises(RecordLostError):
            StepLog(bad_paths[kind][0], run_id="r", on_error="raise")

    def test_nothing_already_on_disk_is_changed(self, bad_paths: dict[str, tuple[str, str]]) -> None:
        path = Path(bad_paths["parent is a file"][0])
        StepLog(path, on_error="ignore").close()

        assert path.parent.read_text() == "not a directory"

    def test_a_directory_where_the_runs_file_should_be_is_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "r.jsonl").mkdir()
        log = StepLog(tmp_path, run_id="r", on_error="ignore")
        log.event("e")

        assert log.health.last_error == "EISDIR: Is a directory"
        assert list((tmp_path / "r.jsonl").iterdir()) == []
        log.close()

    def test_a_path_that_becomes_possible_gets_what_waited(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        path = tmp_path / "file" / "run.jsonl"
        log = StepLog(path, on_error="ignore")
        log.event("waits")
        (tmp_path / "file").unlink()
        log.event("gets through")
        log.close()

        assert [line["step"] for line in lines_of(path)] == [0, 1, 2, 0]
        assert log.health.dropped == 0

    def test_a_file_that_is_no_log_is_appended_to_and_not_changed(self, tmp_path: Path) -> None:
        path = tmp_path / "notes.txt"
        path.write_text("my notes, without a newline at the end")
        with StepLog(path) as log:
            log.event("e")

        assert path.read_text().startswith("my notes, without a newline at the end\n{")
        assert sum(1 for _ in read_log(path)) == 3


class TestRunIds:
    @pytest.mark.parametrize(
        "run_id",
        [
            "../../etc/passwd",
            "a/b",
            "a\0b",
            "a\nb",
            "\u202e",
            "\ud800",
            "x" * 10_000,
            ".",
            "..",
            " ",
            '"',
            "\\",
        ],
        ids=ascii,
    )
    def test_any_string_will_do(self, tmp_path: Path, run_id: str) -> None:
        with StepLog(tmp_path, run_id=run_id, on_error="raise") as log:
            log.record_tool_call("t")
            log.record_llm_call("m")
            with log.tool_call("t"):
                pass

        [path] = tmp_path.iterdir()
        records = list(read_log(path))
        assert path.parent == tmp_path
        assert len(records) == 6
        assert {record.run_id for record in records} == {run_id if run_id != "\ud800" else "\\ud800"}
        assert verify(path).problems == []

    @pytest.mark.parametrize(
        "run_id",
        [7, b"raw", 1.5, ("a",), object()],
        ids=lambda value: type(value).__name__ if " at 0x" in repr(value) else repr(value),
    )
    def test_what_is_no_string_becomes_one(self, tmp_path: Path, run_id: Any) -> None:
        with StepLog(tmp_path / "run.jsonl", run_id=run_id, on_error="raise") as log:
            log.event("e")

        assert {record.run_id for record in read_log(log.path)} == {log.run_id}


class Hostile:
    """Raises from everything it is asked."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __repr__(self) -> str:
        raise RuntimeError

    __str__ = __repr__


class TestValuesOfTheWrongKind:
    @pytest.mark.parametrize("value", [None, 1, b"x", [], Hostile, float("nan"), "\ud800"])
    def test_a_name_of_any_kind_is_recorded(self, tmp_path: Path, value: Any) -> None:
        value = Hostile() if value is Hostile else value
        with StepLog(tmp_path / "run.jsonl", on_error="raise") as log:
            log.record_tool_call(value)
            log.record_llm_call(value)
            log.event(value)
            with log.tool_call(value), log.llm_call(value), log.agent(value):
                pass

        assert [record.step for record in read_log(log.path) if record.step] == [1, 2, 3, 4, 5, 6, 6, 5, 4]
        assert log.health.dropped == 0

    @pytest.mark.parametrize("value", [-5, -0.5, float("inf"), 10**30, "12", Hostile])
    def test_a_figure_of_any_kind_is_recorded_as_it_is(self, tmp_path: Path, value: Any) -> None:
        value = Hostile() if value is Hostile else value
        with StepLog(tmp_path / "run.jsonl", on_error="raise") as log:
            log.record_tool_call("t", duration_ms=value)
            log.record_llm_call("m", value, value, value, value)

        assert [record.step for record in read_log(log.path)] == [0, 1, 2, 0]

    def test_verify_names_a_negative_duration(self, tmp_path: Path) -> None:
        with StepLog(tmp_path / "run.jsonl") as log:
            log.record_tool_call("t", duration_ms=-5)

        assert [problem.kind for problem in verify(log.path).problems] == ["negative"]

    def test_a_hostile_error_and_payload_are_recorded(self, tmp_path: Path) -> None:
        class WorseError(Exception):
            def __str__(self) -> str:
                raise RuntimeError

        with StepLog(tmp_path / "run.jsonl", on_error="raise") as log:
            log.record_tool_call("t", Hostile(), {"a": Hostile()}, error=WorseError())
            log.record_llm_call("m", attrs=Hostile(), usage=Hostile(), anything=Hostile())  # type: ignore[arg-type,call-arg]

        assert [record.step for record in read_log(log.path)] == [0, 1, 2, 0]

    def test_paths_may_be_given_as_path_objects_and_relative(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        with StepLog(Path("run.jsonl")) as log:
            os.chdir("/")
            log.event("e")

        assert sum(1 for _ in read_log(tmp_path / "run.jsonl")) == 3
