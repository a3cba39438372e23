"""What is left out to be fast is never missed: names read as text, and columns a query does not name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from agent_step_log import list_runs, read_log
from agent_step_log.query import VIEWS, open_logs
from tests.agent_step_log import loglines as ll

if TYPE_CHECKING:
    from pathlib import Path

#: Strings that look as a value of another type does, and those values.
TWINS: list[tuple[str, Any]] = [
    ("12", 12),
    ("1e+25", 1e25),
    ("1e+16", 1e16),
    ("-0.5", -0.5),
    ("true", True),
    ("false", False),
    ("[1]", [1]),
    ('{"a":1}', {"a": 1}),
    ("null", None),
]


def log(path: Path, *lines: bytes) -> Path:
    path.write_bytes(b"".join(lines))
    return path


@pytest.mark.parametrize("twins", TWINS, ids=lambda twins: str(twins[0]))
class TestNames:
    def test_a_string_is_a_name_and_its_twin_is_what_the_reader_says(
        self, tmp_path: Path, twins: tuple[Any, Any]
    ) -> None:
        path = log(
            tmp_path / "a.jsonl", ll.start(), *(ll.tool(n, tool=each) for n, each in enumerate(twins, 1))
        )
        read = [record.tool for record in read_log(path) if record.type == "tool_call"]

        with open_logs(path) as logs:
            assert logs.sql("SELECT tool FROM tool_calls ORDER BY step").rows() == [(tool,) for tool in read]
            found = logs.sql("SELECT step FROM tool_calls WHERE tool = ?", [twins[0]]).rows()
            assert found == [(step,) for step, tool in enumerate(read, 1) if tool == twins[0]]

    def test_a_run_is_named_by_a_string_alone(self, tmp_path: Path, twins: tuple[Any, Any]) -> None:
        lines = [json.loads(ll.tool(1)) | {"run_id": each} for each in twins]
        path = log(tmp_path / "a.jsonl", ll.start(), *(json.dumps(line).encode() + b"\n" for line in lines))
        read = [record.run_id for record in read_log(path, on_damage=lambda _: None)]
        assert read == ["r", twins[0]]

        with open_logs(path) as logs:
            assert logs.sql("SELECT run_id FROM tool_calls").rows() == [(twins[0],)]
            assert logs.sql("SELECT run_id FROM runs ORDER BY started_at").rows() == [("r",), (twins[0],)]

    def test_a_type_is_a_string_alone(self, tmp_path: Path, twins: tuple[Any, Any]) -> None:
        lines = [json.loads(ll.tool(1)) | {"type": each} for each in twins]
        path = log(tmp_path / "a.jsonl", ll.start(), *(json.dumps(line).encode() + b"\n" for line in lines))

        with open_logs(path) as logs:
            assert logs.sql("SELECT type FROM records WHERE step > 0").rows() == [(twins[0],)]

    def test_headers_and_ends_say_what_the_reader_says(self, tmp_path: Path, twins: tuple[Any, Any]) -> None:
        lines = []
        for number, each in enumerate(twins):
            run = f"run-{number}"
            own = json.loads(ll.start(run)) | {"task_type": each, "agent": each, "metadata": each}
            end = json.loads(ll.end(run)) | {"status": each, "error": each, "error_type": each}
            other = json.loads(ll.start(f"by-{number}", "w")) | {"writer": each, "task_type": each}
            lines += [own, end, other]
        path = log(tmp_path / "a.jsonl", *(json.dumps(line).encode() + b"\n" for line in lines))
        read = {
            info.run_id: (
                *(getattr(info.header, key) for key in ("task_type", "agent")),
                *((info.end.status or "ok", info.end.error, info.end.error_type) if info.end else [None] * 3),
            )
            for info in list_runs(path)
        }

        with open_logs(path) as logs:
            found = logs.sql("SELECT run_id, task_type, agent, status, error, error_type FROM runs").dicts()
            ended = {row["run_id"] for row in found if row["run_id"].startswith("run")}
            assert {
                row["run_id"]: (
                    *(row["task_type"], row["agent"]),
                    *(
                        (row["status"], row["error"], row["error_type"])
                        if row["run_id"] in ended
                        else [None] * 3
                    ),
                )
                for row in found
            } == read
            metadata = dict(logs.sql("SELECT run_id, metadata FROM runs").rows())
            assert {run: None if each is None else json.loads(each) for run, each in metadata.items()} == {
                info.run_id: info.header.metadata if info.header else None for info in list_runs(path)
            }


class TestColumns:
    @pytest.mark.parametrize("view", VIEWS)
    def test_however_a_column_is_asked_for_it_is_there(self, tmp_path: Path, view: str) -> None:
        path = log(
            tmp_path / "a.jsonl",
            ll.start(task_type="x"),
            *(
                ll.llm(1),
                ll.tool(2, error="no"),
                ll.line("agent_call", 3),
                ll.line("event", 4, name="e"),
                ll.end(),
            ),
        )
        with open_logs(path) as logs:
            [first, *_] = logs.sql(f"SELECT * FROM {view} ORDER BY ALL").dicts()
            assert logs.sql(f"SELECT {view} FROM (FROM {view} ORDER BY ALL) {view}").rows()[0] == (first,)
            assert logs.sql(f"SELECT COLUMNS('.*') FROM {view} ORDER BY ALL").dicts()[0] == first
            assert logs.sql(f"SELECT a.* FROM {view} a ORDER BY ALL").dicts()[0] == first
            assert (
                logs.sql(f"SELECT count(*) FROM (SELECT DISTINCT * FROM {view})").rows()
                == logs.sql(f"SELECT count(*) FROM {view}").rows()
            )
            assert logs.sql(f"SELECT * EXCLUDE (run_id) FROM {view} ORDER BY ALL").columns == tuple(
                column.name for column in VIEWS[view] if column.name != "run_id"
            )

    def test_a_join_on_what_two_views_share_joins_on_all_of_it(self, tmp_path: Path) -> None:
        path = log(tmp_path / "a.jsonl", ll.start(), ll.tool(1), ll.tool(2))
        with open_logs(path) as logs:
            [(count,)] = logs.sql(
                "SELECT count(*) FROM (SELECT run_id, step, ts FROM records) NATURAL JOIN tool_calls"
            ).rows()
        assert count == 2


class TestEndings:
    def test_of_several_processes_the_one_that_began_the_run_ends_it(self, tmp_path: Path) -> None:
        path = log(
            tmp_path / "a.jsonl",
            *(ll.start("own"), ll.start("own", "w"), ll.end("own", "w", "error", error="w"), ll.end("own")),
            *(
                ll.start("taken", "w"),
                ll.start("taken", "v", ts=ll.T0 + 1),
                ll.end("taken", "w", "cancelled"),
            ),
            *(
                ll.end("taken", "v", "ok", ts=ll.T0 + 2000),
                ll.start("cut"),
                ll.start("cut", "w"),
                ll.end("cut", "w"),
            ),
            *(ll.end("headless", "w", "error"), ll.end("headless", status="ok", ts=ll.T0 + 2000)),
        )
        with open_logs(path) as logs:
            assert logs.sql("SELECT run_id, status, error FROM runs ORDER BY run_id").rows() == [
                ("cut", "interrupted", None),
                ("headless", "ok", None),
                ("own", "ok", None),
                ("taken", "cancelled", None),
            ]


class TestLaterFormats:
    @pytest.mark.parametrize(
        "query",
        [
            "SELECT count(*) FROM tool_calls WHERE tool = 't' AND step < 3",
            "SELECT count(*) FROM tool_calls WHERE run_id = 'r'",
            "SELECT sum(tool_calls)::BIGINT FROM runs WHERE run_id = 'r'",
            "SELECT count(*) FROM records WHERE type = 'tool_call'",
            "SELECT count(*) FROM steps WHERE type = 'tool_call' AND duration_ms > 1",
        ],
    )
    def test_a_file_ends_where_one_begins_whatever_is_asked(self, tmp_path: Path, query: str) -> None:
        log(tmp_path / "a.jsonl", ll.start(), ll.tool(1), ll.start("new", format=9), ll.tool(2))
        log(tmp_path / "b.jsonl", ll.start("s"))
        with open_logs(tmp_path) as logs:
            assert logs.sql(query).rows() == [(1,)]
