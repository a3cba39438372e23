"""A slice of the kill harness: every scenario, at least a hundred kills together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import agent_step_log
from tests.crash.harness import Tally, render_table
from tests.crash.writers import SCENARIOS

ROOT = Path(__file__).parents[2]
SRC = str(Path(agent_step_log.__file__).parents[1])
KILLS = 10  # of each scenario

pytestmark = pytest.mark.crash


def kill(scenario: str, kills: int) -> Tally:
    """Run the harness on one scenario, in a process of its own: it forks, and this one may have threads."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash", "--kills", str(kills), "--only", scenario, "--json"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": SRC},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    [figures] = json.loads(done.stdout)
    return Tally(**figures)


class TestKilledWriters:
    @pytest.mark.parametrize("scenario", SCENARIOS)
    def test_every_acknowledged_record_is_read_back_once(self, scenario: str) -> None:
        tally = kill(scenario, KILLS)

        assert tally.kills >= KILLS
        assert tally.acknowledged > 0
        assert (tally.lost, tally.duplicates, tally.false_damage, tally.wrong) == (0, 0, 0, [])

    def test_the_slice_kills_a_hundred_processes_or_more(self) -> None:
        assert len(SCENARIOS) * KILLS >= 100


class TestTheTable:
    def test_it_has_a_line_for_each_scenario_and_one_for_all(self) -> None:
        table = render_table([Tally("one thread", 2, 2, 1000, torn=1), Tally("8 threads", 1, 1, 234)])

        assert [line.split("|")[1:6] for line in table.splitlines()] == [
            [" scenario   ", " rounds ", " kills ", " records acknowledged ", " lost "],
            [" ---------- ", " -----: ", " ----: ", " -------------------: ", " ---: "],
            [" one thread ", "      2 ", "     2 ", "                1,000 ", "    0 "],
            [" 8 threads  ", "      1 ", "     1 ", "                  234 ", "    0 "],
            [" all        ", "      3 ", "     3 ", "                1,234 ", "    0 "],
        ]
