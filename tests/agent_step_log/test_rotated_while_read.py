"""A log that is rotated between the look at the directory and the turn of its file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent_step_log import list_runs, read_log
from tests.agent_step_log.loglines import llm, start

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A log that was rotated once: steps 1 and 2."""
    (tmp_path / "log.000001.jsonl").write_bytes(start() + llm(1))
    (tmp_path / "log.jsonl").write_bytes(llm(2))
    return tmp_path / "log.jsonl"


def rotate(path: Path, number: int, *, goes_on: bool = True) -> None:
    path.rename(path.with_name(f"log.{number:06d}.jsonl"))
    if goes_on:
        path.write_bytes(llm(number + 1))


@pytest.mark.parametrize("is_folder", [False, True])
class TestReadMeanwhile:
    def test_has_the_files_that_were_made_since(self, path: Path, is_folder: bool) -> None:
        reading = read_log(path.parent if is_folder else path)
        steps = [next(reading).step]
        rotate(path, 2)
        rotate(path, 3)
        steps += [record.step for record in reading]

        assert steps == [0, 1, 2, 3, 4]

    def test_has_what_was_moved_aside_while_the_next_is_not_made(self, path: Path, is_folder: bool) -> None:
        reading = read_log(path.parent if is_folder else path)
        steps = [next(reading).step]
        rotate(path, 2, goes_on=False)
        steps += [record.step for record in reading]

        assert steps == [0, 1, 2]

    def test_has_nothing_twice_when_it_is_done_between_two_readings(
        self, path: Path, is_folder: bool
    ) -> None:
        rotate(path, 2)
        source = path.parent if is_folder else path

        assert [record.step for record in read_log(source)] == [0, 1, 2, 3]
        assert [info.fold.counts["llm_call"] for info in list_runs(source)] == [3]


def test_a_log_that_was_replaced_meanwhile_is_read_as_it_is_now(path: Path) -> None:
    reading = read_log(path)
    steps = [next(reading).step]
    path.unlink()
    path.write_bytes(llm(9))
    steps += [record.step for record in reading]

    assert steps == [0, 1, 9]
