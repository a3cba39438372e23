"""A fleet's log, whole and damaged: every question of the benchmark against a loop in plain Python."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from agent_step_log import read_log
from agent_step_log.query import open_logs
from benchmarks._generate import write_logs
from benchmarks._queries import LOOPS, OURS, same

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """About 6 MB of runs in two files."""
    folder = tmp_path_factory.mktemp("fleet")
    assert len(write_logs(folder, 6_000_000, segment=3_000_000)) == 2
    return folder


@pytest.fixture(scope="module")
def damaged(fleet: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with lines torn, glued and made of noise, as crashes leave them."""
    folder = tmp_path_factory.mktemp("damaged")
    chance = random.Random(3)
    for path in sorted(fleet.glob("*.jsonl")):
        lines = path.read_bytes().splitlines(keepends=True)
        for place in chance.sample(range(len(lines)), 40):
            line = lines[place]
            cut = chance.randrange(1, len(line))
            lines[place] = chance.choice(
                [line[:cut], line[:cut] + b"\n", b"\0" * 64 + b"\n", line + line[:cut]]
            )
        (folder / path.name).write_bytes(b"".join(lines))
    return folder


@pytest.mark.parametrize("question", OURS)
class TestQuestions:
    def test_of_a_fleet_are_answered_as_by_a_loop(self, fleet: Path, question: str) -> None:
        expected = LOOPS[question](record.to_dict() for record in read_log(fleet))

        with open_logs(fleet) as logs:
            assert same(logs.sql(OURS[question]).rows(), expected)

    def test_of_a_damaged_one_too(self, damaged: Path, question: str) -> None:
        expected = LOOPS[question](record.to_dict() for record in read_log(damaged))

        with open_logs(damaged) as logs:
            assert same(logs.sql(OURS[question]).rows(), expected)
            assert logs.damage
