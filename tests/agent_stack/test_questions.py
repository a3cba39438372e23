"""docs/questions.md: each question is one command, and its answer is what counting in plain Python gives."""

from __future__ import annotations

import re
import shlex
from collections import Counter, defaultdict
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agent_stack._cli import PROGRAM
from tests.agent_stack.fleet import MODELS, FleetRun, write_fleet

if TYPE_CHECKING:
    from tests.agent_stack.conftest import Cli

PAGE = (Path(__file__).parents[2] / "docs" / "questions.md").read_text(encoding="utf-8")
COMMANDS = re.findall(rf"^\$ {PROGRAM} (.*)$", PAGE, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fleet")


@pytest.fixture(scope="module")
def fleet(place: Path) -> list[FleetRun]:
    return write_fleet(place / "logs", 60)


@pytest.fixture(autouse=True)
def _in_place(place: Path, fleet: list[FleetRun], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)


def nearest_rank(values: list[float], percent: int) -> float:
    return sorted(values)[ceil(percent * len(values) / 100) - 1]


def lasted(run: FleetRun) -> int:
    seconds: float = run[-1]["ts"] - run[0]["ts"]
    return round(seconds * 1000)


def calls(run: FleetRun, kind: str) -> list[dict[str, Any]]:
    return [record for record in run if record["type"] == kind]


class TestTheFourQuestions:
    def test_which_kind_of_run_is_expensive(self, cli: Cli, fleet: list[FleetRun]) -> None:
        spent: Counter[str] = Counter()
        untold: Counter[str] = Counter()
        for run in fleet:
            for call in calls(run, "llm_call"):
                spent[run[0]["task_type"]] += (call["input_tokens"] or 0) + (call["output_tokens"] or 0)
                untold[run[0]["task_type"]] += call["input_tokens"] is None
        groups = cli("stats", "--by", "task", "--json").json()["groups"]
        told = [(group["task"], group["input_tokens"] + group["output_tokens"]) for group in groups]
        assert told == spent.most_common()
        for group in groups:
            assert group["unknown_usage"] == untold[group["task"]]
            assert group["bounds"].get("input_tokens") == ("lower" if untold[group["task"]] else None)

    def test_which_runs_hit_the_context_limit(self, cli: Cli, fleet: list[FleetRun]) -> None:
        hits = {
            run[0]["run_id"]: [
                call["step"] for call in calls(run, "llm_call") if call["stop_reason"] in MODELS.values()
            ]
            for run in fleet
        }
        expected = {run_id: (len(steps), min(steps)) for run_id, steps in hits.items() if steps}
        assert len(expected) > 3
        found = cli("truncated", "--json").json_lines()
        assert {run["run_id"]: (run["hits"], run["first_step"]) for run in found} == expected

    def test_p95_of_each_tool(self, cli: Cli, fleet: list[FleetRun]) -> None:
        times: dict[str, list[float]] = defaultdict(list)
        for run in fleet:
            for call in calls(run, "tool_call"):
                times[call["tool"]].append(call["duration_ms"])
        groups = cli("stats", "--by", "tool", "--json").json()["groups"]
        expected = {tool: (len(each), nearest_rank(each, 95)) for tool, each in times.items()}
        assert {group["tool"]: (group["calls"], group["p95_ms"]) for group in groups} == expected
        latencies = cli("slow", "--where", "type = 'tool_call'", "--json").json()["latencies"]
        assert {each["name"]: (each["calls"], each["p95_ms"]) for each in latencies} == expected

    def test_p95_duration_of_a_run(self, cli: Cli, fleet: list[FleetRun]) -> None:
        expected = {
            "p50": nearest_rank([lasted(run) for run in fleet], 50),
            "p95": nearest_rank([lasted(run) for run in fleet], 95),
            "max": max(map(lasted, fleet)),
        }
        assert cli("stats", "--json").json()["run_duration_ms"] == expected
        assert cli("stats", "--by", "task", "--json").json()["total"]["run_duration_ms"] == expected


class TestTheOthers:
    def test_errors(self, cli: Cli, fleet: list[FleetRun]) -> None:
        expected: Counter[Any] = Counter()
        for run in fleet:
            for record in run:
                if record.get("error") is not None:
                    expected[record["error_type"], record.get("tool")] += 1
        groups = cli("errors", "--json").json_lines()
        assert {(each["error_type"], each["name"]): each["errors"] for each in groups} == dict(expected)
        assert [each["last_ts"] for each in groups] == sorted(
            (each["last_ts"] for each in groups), reverse=True
        )

    def test_find(self, cli: Cli, fleet: list[FleetRun]) -> None:
        expected = {
            (run[0]["run_id"], call["step"], field)
            for run in fleet
            for call in calls(run, "tool_call")
            for field, text in (("input.path", call["input"]["path"]), ("error", call["error"] or ""))
            if "f63.py" in text
        }
        hits = cli("find", "f63.py", "--json").json_lines()
        assert {(hit["run_id"], hit["step"], hit["where"]) for hit in hits} == expected
        assert expected

    def test_filtered_sums_agree_with_plain_ones(self, cli: Cli) -> None:
        plain, asked = cli("stats", "--json").json(), cli("stats", "--where", "true", "--json").json()
        for shape in (plain, asked):
            shape.pop("event_count", None)
        for kind in ("models", "tools"):
            for name, group in plain.pop(kind).items():
                assert asked[kind][name] == pytest.approx(group, rel=0.01)
            del asked[kind]
        assert asked == plain


class TestPage:
    @pytest.mark.parametrize("command", COMMANDS)
    def test_every_command_runs(self, cli: Cli, command: str) -> None:
        result = cli(*shlex.split(command))
        assert (result.code, result.err) == (0, "")
        assert result.out
