"""An explanation leads from a total down to the records."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from agentsnap import OwnPrice, Prices, explain
from agentsnap.errors import SnapError
from tests.agentsnap.records import call, start, write

if TYPE_CHECKING:
    from pathlib import Path

FLAT = Prices([OwnPrice("*", {"input": Decimal(1), "output": Decimal(2)}, name="mine")])


@pytest.fixture
def log(tmp_path: Path) -> Any:
    return write(
        tmp_path / "a.jsonl",
        start("run-7c1"),
        call(run_id="run-7c1", step=1),
        call(run_id="run-7c1", step=2, output_tokens=-1),
        start("run-kid", parent_run_id="run-7c1"),
        call(run_id="run-kid"),
        start("run-other"),
        call(run_id="run-other"),
    )


class TestExplain:
    def test_lines_come_to_the_call_and_calls_to_the_run(self, log: Any) -> None:
        found = explain(log, "run-7c1", prices=FLAT)

        first, second = found.calls
        assert [(line.kind, line.count, line.unit_price) for line in first.cost.lines] == [
            ("input", 1000, Decimal(1)),
            ("output", 100, Decimal(2)),
        ]
        assert (
            sum(line.cost.known for line in first.cost.lines) == first.cost.amount.value == Decimal("0.0012")
        )
        assert found.total == first.cost.amount + second.cost.amount
        assert found.total.exactness == "partial"

    def test_child_runs_stand_beside_and_count_once(self, log: Any) -> None:
        found = explain(log, "run-7c1", prices=FLAT)

        assert {run_id: cost.value for run_id, cost in found.children.items()} == {
            "run-kid": Decimal("0.0012")
        }
        assert found.total_with_children.value == found.total.known + Decimal("0.0012")

    def test_problems_of_the_run_are_told(self, log: Any) -> None:
        (problem,) = explain(log, "run-7c1", prices=FLAT).problems

        assert (problem.step, problem.what) == (2, "-1 output tokens: a negative count")

    def test_call_without_an_end_is_told(self, tmp_path: Path) -> None:
        begun = {**start(), "type": "step_start", "step": 5, "of": "llm_call", "model": "m"}

        (found,) = explain(write(tmp_path / "b.jsonl", start(), begun), "run-a", prices=FLAT).calls

        assert (found.step, found.cost.amount.exactness) == (5, "unknown")
        assert found.cost.notes == ("it began and has no end: what it cost is not known",)

    def test_id_may_be_shortened_from_either_end(self, log: Any) -> None:
        assert explain(log, "7c1", prices=FLAT).run_id == "run-7c1"
        assert explain(log, "run-o", prices=FLAT).run_id == "run-other"

    def test_id_of_several_runs_names_them(self, log: Any) -> None:
        with pytest.raises(SnapError, match="3 runs begin or end with 'run-': run-7c1, run-kid, run-other"):
            explain(log, "run-", prices=FLAT)

    def test_id_of_no_run_is_told(self, log: Any) -> None:
        with pytest.raises(SnapError, match="There is no run 'nobody'"):
            explain(log, "nobody", prices=FLAT)

    def test_json_keeps_every_digit(self, log: Any) -> None:
        shape = explain(log, "run-7c1", prices=FLAT).to_dict()

        assert shape["calls"][0]["cost_usd"] == "0.0012"
        assert shape["calls"][0]["lines"][0] == {
            "kind": "input",
            "count": 1000,
            "usd_per": "1",
            "per": 1_000_000,
            "above": 0,
            "cost_usd": "0.001",
            "exactness": "exact",
            "note": "",
        }
        assert (shape["cost_usd"], shape["exactness"]) == ("0.0022", "partial")
