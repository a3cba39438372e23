"""Runs that failed, brought together by where and how."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from agent_debug_replay import RunFailure, cluster_failures, find_failures
from agent_step_log import list_runs

if TYPE_CHECKING:
    from pathlib import Path

T0 = 1_700_000_000.0
FRAME = {"file": "/home/ann/app/tools.py", "line": 41, "function": "read", "code": "open(path)"}


def tool(name: str, at: float, **keys: Any) -> dict[str, Any]:
    more = {"input": None, "output": None, "error": None, "duration_ms": 1.0, **keys}
    return {"step": int(at), "type": "tool_call", "ts": T0 + at, "tool": name, **more}


def end(status: str, at: float = 90.0, **keys: Any) -> dict[str, Any]:
    return {"step": 0, "type": "run_end", "ts": T0 + at, "status": status, **keys}


@pytest.fixture
def runs(tmp_path: Path) -> Any:
    """Runs given as ``name=[records]``, each started a second after the one before."""

    def read(**given: list[dict[str, Any]]) -> list[RunFailure]:
        for place, (name, records) in enumerate(given.items()):
            process = {"pid": 1, "host": "elsewhere", "boot_id": "b", "started": 1.0}
            head = {"step": 0, "type": "run_start", "ts": T0 + place / 10, "format": 1, "process": process}
            lines = [json.dumps({"run_id": name, **record}) + "\n" for record in (head, *records)]
            (tmp_path / f"{name}.jsonl").write_text("".join(lines).replace('": ', '":').replace(', "', ',"'))
        return find_failures(list_runs(tmp_path))

    return read


class TestClusterFailures:
    def test_the_biggest_comes_first_and_what_went_well_is_left_out(self, runs: Any) -> None:
        found = cluster_failures(
            runs(
                a=[end("error", error="x", error_type="E")],
                b=[end("error", error="y 1", error_type="F")],
                c=[end("ok")],
                d=[end("error", error="y 2", error_type="F")],
            )
        )
        assert [(each.error_type, each.size, each.run_ids) for each in found] == [
            ("F", 2, ["b", "d"]),
            ("E", 1, ["a"]),
        ]
        assert found[0].message == "y 1"
        assert (found[0].first_ts, found[0].last_ts) == (T0 + 0.1, T0 + 0.3)

    def test_line_numbers_and_folders_do_not_part_them_and_functions_do(self, runs: Any) -> None:
        frames = [FRAME, {**FRAME, "line": 50, "file": "/srv/app/tools.py"}, {**FRAME, "function": "write"}]
        found = cluster_failures(
            runs(
                **{
                    f"r{place}": [end("error", error="x", error_type="E", error_frames=[frame])]
                    for place, frame in enumerate(frames)
                }
            )
        )
        assert [(each.frames, each.size) for each in found] == [
            ((("app/tools.py", "read"),), 2),
            ((("app/tools.py", "write"),), 1),
        ]

    def test_the_last_tool_parts_them(self, runs: Any) -> None:
        error = end("error", error="x", error_type="E")
        found = cluster_failures(
            runs(a=[tool("ls", 1), tool("cat", 2), error], b=[tool("ls", 1), error], c=[error])
        )
        assert {each.last_tool for each in found} == {"cat", "ls", None}

    def test_a_step_that_failed_tells_where_if_the_end_does_not(self, runs: Any) -> None:
        failed = tool("read", 1, error="gone", error_type="E", error_frames=[FRAME])
        [found] = cluster_failures(runs(a=[failed, end("error", error="gone")], b=[failed, end("error")]))
        assert (found.size, found.error_type, found.last_tool) == (2, "E", "read")

    def test_messages_count_where_nothing_else_was_recorded_but_their_numbers_do_not(self, runs: Any) -> None:
        messages = ["ended after 12 steps", "ended after 7 steps", "no key"]
        found = cluster_failures(
            runs(**{f"r{place}": [end("error", error=each)] for place, each in enumerate(messages)})
        )
        assert [each.size for each in found] == [2, 1]

    def test_a_process_that_is_gone_failed_in_what_was_in_flight(self, runs: Any) -> None:
        flight = {"step": 2, "type": "step_start", "ts": T0 + 2, "of": "tool_call", "tool": "deploy"}
        [found] = cluster_failures(runs(a=[tool("ls", 1, error="no"), flight, tool("cat", 3)]))
        assert (found.status, found.error_type, found.last_tool) == ("interrupted", None, "deploy")
        assert found.in_flight == ("tool_call", "deploy")

    def test_of_nested_steps_that_failed_by_one_error_the_innermost_tells_where(self, runs: Any) -> None:
        inner = tool("read", 3, parent=2, error="gone", error_type="E", error_frames=[FRAME])
        middle = {"step": 2, "type": "agent_call", "ts": T0 + 4, "agent": "b", "parent": 1}
        outer = {"step": 1, "type": "agent_call", "ts": T0 + 5, "agent": "a"}
        error = {"input": None, "output": None, "error": "gone", "error_type": "E", "duration_ms": 1.0}
        [found] = runs(a=[inner, {**middle, **error}, {**outer, **error}, end("error")])
        assert found.frames == (("app/tools.py", "read"),)

    def test_of_no_runs_there_are_none(self) -> None:
        assert cluster_failures([]) == []
