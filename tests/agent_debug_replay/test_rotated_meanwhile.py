"""A log whose file is moved aside at the worst moment: between two looks at the directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from agent_debug_replay import Replay, _run_files
from agent_step_log import StepLog
from tests.agent_debug_replay.replay_logs import line, tool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Moved:
    """A run that goes on in this process, step by step, and whose file is moved aside when a test says."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "run.jsonl"
        self._log = StepLog(self.path, "run-a", on_error="ignore")
        self._log.record_tool_call("bash")
        self.steps = self.files = 1

    def move(self) -> None:
        """Move the file aside."""
        self.path.rename(self.path.with_name(f"run.{self.files:06d}.jsonl"))
        self.files += 1

    def go_on(self) -> None:
        """Write one more step, into a new file if there is none."""
        self.steps += 1
        with self.path.open("a") as file:
            file.write(line(tool(self.steps, 1_000_000_000 + self.steps)))

    def rotate(self) -> None:
        self.move()
        self.go_on()

    def close(self) -> None:
        self._log.close()


@pytest.fixture
def moved(tmp_path: Path) -> Iterator[Moved]:
    found = Moved(tmp_path)
    yield found
    found.close()


@pytest.fixture
def after(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[[], None]], None]:
    """Have something happen right after a function of `_run_files` has done its work, once."""

    def have(name: str, happen: Callable[[], None]) -> None:
        does: Callable[..., Any] = getattr(_run_files, name)
        left = [happen]

        def then(*arguments: Any) -> Any:
            result = does(*arguments)
            if left:
                left.pop()()
            return result

        monkeypatch.setattr(_run_files, name, then)

    return have


def steps(replay: Replay) -> list[int]:
    return [row.step for row in replay.rows]


@pytest.mark.parametrize("is_folder", [False, True])
class TestOpened:
    @pytest.fixture
    def source(self, moved: Moved, is_folder: bool) -> Path:
        return moved.path.parent if is_folder else moved.path

    @pytest.mark.parametrize("files", [1, 2])
    def test_while_a_file_is_moved_aside_it_has_all_there_is(
        self, moved: Moved, source: Path, files: int, after: Any
    ) -> None:
        for _ in range(files - 1):
            moved.rotate()
        after("run_named", moved.rotate)

        with Replay.open(source, "run-a") as replay:
            assert steps(replay) == list(range(1, moved.steps + 1))

    def test_while_the_next_file_is_not_made_yet_it_goes_on_there(self, moved: Moved, source: Path) -> None:
        moved.move()
        with Replay.open(source, "run-a") as replay:
            assert (steps(replay), replay.refresh().kind) == ([1], "same")
            moved.go_on()
            assert (replay.refresh().kind, steps(replay)) == ("rotated", [1, 2])

    def test_while_the_next_file_is_empty_it_goes_on_there(self, moved: Moved, source: Path) -> None:
        moved.rotate()
        moved.move()
        moved.path.touch()
        with Replay.open(source, "run-a") as replay:
            assert steps(replay) == [1, 2]
            moved.go_on()
            replay.refresh()
            assert steps(replay) == [1, 2, 3]


class TestFollowed:
    def test_a_file_moved_aside_between_two_looks_is_not_missed(self, moved: Moved, after: Any) -> None:
        with Replay.open(moved.path, "run-a") as replay:
            moved.rotate()
            after("rotated_beside", moved.rotate)
            replay.refresh()
            replay.refresh()

            assert steps(replay) == [1, 2, 3]

    def test_a_file_is_not_gone_while_the_next_is_made(self, moved: Moved) -> None:
        with Replay.open(moved.path, "run-a") as replay:
            moved.move()
            assert replay.refresh().kind == "same"
            moved.go_on()
            assert replay.refresh().kind == "rotated"

    def test_a_part_that_was_asked_for_by_name_is_read_alone(self, moved: Moved) -> None:
        moved.rotate()
        with Replay.open(moved.path.with_name("run.000001.jsonl"), "run-a") as replay:
            assert replay.refresh().kind == "same"
            assert steps(replay) == [1]
