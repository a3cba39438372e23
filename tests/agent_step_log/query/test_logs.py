"""Logs opened for questions: what may be asked, what is refused, and files that change meanwhile."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agent_step_log.errors import LogFormatError, LogSourceError, MissingExtraError
from agent_step_log.query import Logs, QueryError, open_logs
from tests.agent_step_log import loglines as ll

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNT = "SELECT count(*) FROM records"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.jsonl").write_bytes(
        ll.start(task_type="refund") + ll.llm(1) + ll.tool(2) + ll.end()
    )
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "logs" / "neighbour.txt").write_text("secret")
    return tmp_path / "logs"


@pytest.fixture
def logs(folder: Path) -> Iterator[Logs]:
    with open_logs(folder) as logs:
        yield logs


def refusal(logs: Logs, query: str) -> QueryError:
    with pytest.raises(QueryError) as raised:
        logs.sql(query)
    return raised.value


class TestSandbox:
    def test_nothing_outside_the_logs_can_be_reached(self, logs: Logs, folder: Path) -> None:
        (folder.parent / "link.txt").symlink_to("/etc/passwd")
        for query in (
            "SELECT * FROM read_text('/etc/passwd')",
            f"SELECT * FROM read_text('{folder.parent}/secret.txt')",
            f"SELECT * FROM read_blob('{folder}/neighbour.txt')",
            f"SELECT * FROM read_text('{folder}/../link.txt')",
            f"SELECT * FROM glob('{folder}/*')",
            "SELECT * FROM glob('/etc/*')",
            "SELECT * FROM sniff_csv('/etc/passwd')",
            "SELECT * FROM '/etc/passwd'",
            "SELECT * FROM read_csv('http://127.0.0.1:9/x')",
            "SELECT * FROM read_json('s3://bucket/key')",
            "SELECT * FROM parquet_metadata('/etc/passwd')",
            "SELECT getenv('HOME')",
            "SELECT * FROM query('SELECT * FROM read_text(''/etc/passwd'')')",
            "SELECT * FROM duckdb_secrets()",
            "SELECT * FROM folder",
        ):
            assert "root" not in str(refusal(logs, query)), query
        assert logs.sql(COUNT).rows() == [(4,)]

    def test_only_questions_are_taken(self, logs: Logs, folder: Path) -> None:
        for query in (
            f"COPY (SELECT 1) TO '{folder}/a.jsonl'",
            f"EXPLAIN ANALYZE COPY (SELECT 1) TO '{folder}/a.jsonl'",
            f"/**/ EXPLAIN ANALYZE COPY (SELECT 1) TO '{folder}/a.jsonl'",
            f"ATTACH '{folder}/z.db'",
            "INSTALL httpfs",
            "LOAD httpfs",
            "SET enable_external_access = true",
            "RESET lock_configuration",
            "PRAGMA enable_external_access = true",
            "CALL pragma_version()",
            "CREATE TABLE t AS SELECT 1",
            "DROP VIEW runs",
            "DELETE FROM inside.files",
            "PREPARE p AS SELECT 1",
            "SELECT 1; SELECT 2",
            "EXPORT DATABASE '/tmp/x'",
            "SELECT * FROM enable_logging(storage = 'file', storage_path = '/tmp/x')",
            "BEGIN",
            "",
        ):
            refusal(logs, query)
        assert logs.sql(COUNT).rows() == [(4,)]

    @pytest.mark.parametrize(
        "query",
        [
            "FROM runs",
            "VALUES (1)",
            "DESCRIBE runs",
            "SUMMARIZE runs",
            "EXPLAIN SELECT * FROM runs",
            "WITH x AS (FROM runs) FROM x",
        ],
    )
    def test_every_way_to_ask_is_taken(self, logs: Logs, query: str) -> None:
        assert logs.sql(query).rows()

    def test_the_tables_shown_are_the_views(self, logs: Logs) -> None:
        assert {name for (name,) in logs.sql("SHOW TABLES").rows()} == {
            *("runs", "steps", "llm_calls", "tool_calls", "agent_calls", "events", "errors", "records")
        }

    def test_outside_is_lifted_on_request(self, folder: Path, tmp_path: Path) -> None:
        with open_logs(folder, outside=True) as logs:
            assert logs.sql(f"SELECT content FROM read_text('{tmp_path}/secret.txt')").rows() == [("secret",)]
            logs.sql(f"COPY (SELECT run_id FROM runs) TO '{tmp_path}/out.csv'")
        assert (tmp_path / "out.csv").read_text() == "run_id\nr\n"


class TestErrors:
    def test_an_unknown_column_is_named_with_its_place_and_the_nearest(self, logs: Logs) -> None:
        error = refusal(logs, "SELECT run_id,\n  duration FROM runs")

        assert (
            str(error) == "There is no column 'duration' here at line 2, column 3. Did you mean duration_ms?"
        )
        assert (error.line, error.column, error.suggestions) == (2, 3, ("duration_ms",))
        assert error.excerpt == "  duration FROM runs\n  ^"

    def test_an_unknown_view_is_named_with_the_nearest(self, logs: Logs) -> None:
        assert str(refusal(logs, "SELECT * FROM toolcalls")) == (
            "There is no view 'toolcalls' at line 1, column 15. "
            "Did you mean tool_calls or llm_calls or agent_calls?"
        )

    def test_a_syntax_error_has_its_place(self, logs: Logs) -> None:
        error = refusal(logs, "SELECT * FORM runs")

        assert (error.line, error.column) == (1, 15)
        assert 'syntax error at or near "runs"' in str(error)

    def test_a_refusal_says_what_lifts_it(self, logs: Logs) -> None:
        assert str(refusal(logs, "SELECT * FROM read_text('/etc/passwd')")) == (
            "The query reaches outside the logs, which is not allowed; "
            "open_logs(..., outside=True) lifts this."
        )

    def test_a_place_without_logs_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(LogSourceError, match="no log in this directory"):
            open_logs(tmp_path)

    def test_a_file_that_is_no_log_is_said_at_once(self, tmp_path: Path) -> None:
        (tmp_path / "x.jsonl").write_text("hello\n")
        with pytest.raises(LogFormatError):
            open_logs(tmp_path / "x.jsonl")

    def test_a_missing_duckdb_names_the_extra(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "duckdb", None)
        with pytest.raises(MissingExtraError, match=r"pip install 'agent-step-log\[query\]'"):
            open_logs(folder)

    def test_closed_logs_answer_nothing(self, folder: Path) -> None:
        logs = open_logs(folder)
        copies = logs._folder.name
        logs.close()
        logs.close()

        assert not os.path.exists(copies)
        with pytest.raises(ValueError, match="closed"):
            logs.sql(COUNT)


class TestParameters:
    @pytest.mark.parametrize(
        "value",
        [1, -1, 2**40, 2**70, True, 2.5, 1e-300, 1795778939.1950192, "", "it's", 'a"b', "é\n", None, b"x"],
    )
    def test_a_value_comes_back_as_it_was_given(self, logs: Logs, value: Any) -> None:
        assert logs.sql("SELECT ?", [value]).rows() == [(value,)]
        assert logs.sql("SELECT $a, $b", {"b": 7, "a": value}).rows() == [(value, 7)]

    def test_a_text_is_never_a_query(self, logs: Logs) -> None:
        text = "'); DROP VIEW runs; --"
        assert logs.sql("SELECT count(*) FROM runs WHERE run_id <> ?", [text]).rows() == [(1,)]

    def test_the_place_of_an_error_is_that_in_the_query(self, logs: Logs) -> None:
        with pytest.raises(QueryError) as raised:
            logs.sql("SELECT 1,\n  toool FROM tool_calls WHERE ts > $since", {"since": 1.0})
        assert (raised.value.line, raised.value.column) == (2, 3)

    def test_they_bring_no_library_in(self, folder: Path) -> None:
        code = (
            "import sys\nfrom agent_step_log.query import open_logs\n"
            f"with open_logs({str(folder)!r}) as logs:\n"
            "    print(logs.sql('SELECT count(*) FROM steps WHERE ts > $t', {'t': 1.0}).rows())\n"
            "print(sorted({'numpy', 'pandas', 'pyarrow'} & sys.modules.keys()))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines() == ["[(2,)]", "[]"]


class TestFiles:
    def test_a_file_that_grows_is_read_anew(self, folder: Path, logs: Logs) -> None:
        assert logs.sql(COUNT).rows() == [(4,)]
        with (folder / "a.jsonl").open("ab") as file:
            file.write(ll.tool(3) + b'{"run_id":"r","step":4,"ty')
        assert logs.sql(COUNT).rows() == [(5,)]
        with (folder / "a.jsonl").open("ab") as file:
            file.write(b'pe":"tool_call","ts":5,"tool":"t"}\n')
        assert logs.sql(COUNT).rows() == [(6,)]

    def test_files_come_and_go(self, folder: Path, logs: Logs) -> None:
        (folder / "b.jsonl").write_bytes(ll.start("s") + ll.end("s"))
        assert logs.sql(COUNT).rows() == [(6,)]
        (folder / "a.jsonl").unlink()
        assert logs.sql("SELECT run_id FROM runs").rows() == [("s",)]

    def test_a_step_in_flight_ends(self, tmp_path: Path) -> None:
        path = tmp_path / "a.jsonl"
        path.write_bytes(ll.start(task_type="x") + ll.begin(1, input={"q": 1}))
        query = "SELECT status, type, tool, duration_ms, input, task_type FROM steps"
        with open_logs(path) as logs:
            assert logs.sql(query).rows() == [("in_flight", "tool_call", "t", None, '{"q":1}', "x")]
            assert logs.sql("SELECT steps, tool_calls FROM runs").rows() == [(1, 0)]
            with path.open("ab") as file:
                file.write(ll.tool(1, input={"q": 1}, start_ts=ll.T0 + 1))
            assert logs.sql(query).rows() == [("ok", "tool_call", "t", 2.5, '{"q":1}', "x")]

    def test_damage_is_counted_and_the_rest_is_read(self, folder: Path, logs: Logs) -> None:
        (folder / "b.jsonl").write_bytes(
            ll.start("s") + b'{"run_id":"s","step":1' + ll.tool(2, run="s") + b"\n"
        )
        (folder / "other.jsonl").write_text("no log\n")

        assert logs.sql(COUNT).rows() == [(6,)]
        assert [damage.reason for damage in logs.damage] == ["torn", "not JSON", "not a log"]
        assert logs.known_damage == logs.damage

    def test_damage_known_so_far_is_told_in_reading_order_whichever_file_was_met_first(
        self, folder: Path
    ) -> None:
        for name in ("b.jsonl", "c.jsonl", "d.jsonl"):
            (folder / name).write_bytes(ll.start(name) + b'{"run_id":"s"\n')
        with open_logs(folder) as logs:
            examined = logs._examined
            assert len(logs.damage) == 3
            for path in reversed(list(examined)):
                examined[path] = examined.pop(path)

            assert logs.known_damage == logs.damage

    def test_names_that_look_like_patterns_are_names(self, tmp_path: Path) -> None:
        for name in ("run[1].jsonl", "a*.jsonl", "it's.jsonl", "k=v.jsonl", "zeile\n.jsonl"):
            (tmp_path / name).write_bytes(ll.start(name))
        (tmp_path / "x?.jsonl.gz").write_bytes(gzip.compress(ll.start("gz")))
        with open_logs(tmp_path) as logs:
            found = dict(logs.sql("SELECT run_id, path FROM runs").rows())
            assert {name: Path(path).name for name, path in found.items()} == {
                **{
                    name: name
                    for name in ("run[1].jsonl", "a*.jsonl", "it's.jsonl", "k=v.jsonl", "zeile\n.jsonl")
                },
                "gz": "x?.jsonl.gz",
            }

    def test_a_file_whose_name_is_no_text_is_read(self, tmp_path: Path) -> None:
        path = tmp_path / os.fsdecode(b"a\xff.jsonl")
        path.write_bytes(ll.start() + ll.tool(1) + b"garbage\n")
        for source in (path, tmp_path):
            with open_logs(source) as logs:
                assert logs.sql("SELECT run_id, path FROM runs").rows() == [
                    ("r", f"{tmp_path}/a\ufffd.jsonl")
                ]
                assert [damage.reason for damage in logs.damage] == ["not JSON"]

    def test_a_long_text_for_a_number_is_no_number(self, tmp_path: Path) -> None:
        # Where it tells of such a text the engine cuts it, and inside a character.
        step = json.dumps({**json.loads(ll.tool(1)), "step": '000000""' + 4 * "\U00010000"})
        (tmp_path / "a.jsonl").write_bytes(ll.start() + step.encode() + b"\n" + ll.tool(2))
        with open_logs(tmp_path) as logs:
            assert logs.sql("SELECT step FROM tool_calls").rows() == [(2,)]

    def test_a_line_longer_than_the_engine_expects_is_read(self, tmp_path: Path) -> None:
        (tmp_path / "a.jsonl").write_bytes(ll.start() + ll.tool(1, output="x" * 36_000_000))
        with open_logs(tmp_path) as logs:
            assert logs.sql("SELECT len(output::VARCHAR) FROM tool_calls").rows() == [(36_000_002,)]

    def test_several_sources_are_one_pile(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "b.jsonl").write_bytes(ll.start("s"))
        with open_logs([folder, tmp_path / "b.jsonl"]) as logs:
            assert logs.sql("SELECT run_id FROM runs ORDER BY 1").rows() == [("r",), ("s",)]

    def test_a_running_process_is_running(self, tmp_path: Path) -> None:
        code = (
            "import sys; from agent_step_log import StepLog; "
            "log = StepLog(sys.argv[1], 'live'); print(flush=True); sys.stdin.read()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "live.jsonl")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            with open_logs(tmp_path) as logs:
                assert logs.sql("SELECT status, pid FROM runs").rows() == [("running", process.pid)]
                process.kill()
                process.wait()
                assert logs.sql("SELECT status FROM runs").rows() == [("interrupted",)]

    def test_threads_may_ask_at_once(self, logs: Logs) -> None:
        answers: list[Any] = []
        threads = [
            threading.Thread(target=lambda: answers.append(logs.sql("SELECT sum(steps) FROM runs").rows()))
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [[(2,)]] * 6


class TestResult:
    def test_rows_come_in_every_shape(self, logs: Logs) -> None:
        query = "SELECT type, duration_ms FROM steps ORDER BY step"
        rows = [("llm_call", 5.0), ("tool_call", 2.5)]

        assert logs.sql(query).rows() == list(logs.sql(query)) == rows
        assert list(logs.sql(query).batches(1)) == [[rows[0]], [rows[1]]]
        assert logs.sql(query).dicts()[0] == {"type": "llm_call", "duration_ms": 5.0}
        assert logs.sql(query).arrow().to_pylist() == logs.sql(query).dicts()
        assert logs.sql(query).pandas().to_dict("records") == logs.sql(query).dicts()
        assert logs.sql(query).polars().to_dicts() == logs.sql(query).dicts()

    def test_it_outlives_its_logs(self, folder: Path) -> None:
        with open_logs(folder) as logs:
            result = logs.sql("SELECT run_id FROM runs")
        assert result.rows() == [("r",)]

    def test_parameters_are_values(self, logs: Logs) -> None:
        assert logs.sql("SELECT count(*) FROM runs WHERE task_type = ?", ["refund"]).rows() == [(1,)]
        assert logs.sql("SELECT count(*) FROM runs WHERE task_type = $t", {"t": "'; x"}).rows() == [(0,)]

    def test_a_missing_library_is_named(self, logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "polars", None)
        with pytest.raises(MissingExtraError, match="pip install polars"):
            logs.sql("FROM runs").polars()

    def test_payloads_are_json_text_whatever_they_hold(self, tmp_path: Path) -> None:
        values = [{"a": [1]}, [1, "x"], "text", 1.5, True, None]
        lines = [ll.tool(number, input=value) for number, value in enumerate(values, 1)]
        (tmp_path / "a.jsonl").write_bytes(b"".join(lines))
        with open_logs(tmp_path) as logs:
            found = [text for (text,) in logs.sql("SELECT input FROM tool_calls ORDER BY step").rows()]
        assert [None if text is None else json.loads(text) for text in found] == values


class TestDay:
    @pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kathmandu", "UTC", "EST5EDT,M3.2.0,M11.1.0"])
    def test_it_is_the_date_this_machine_would_say(
        self, zone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        try:
            moments = [
                m + s for m in (1772953200.0, 1793500000.0, 1767225600.0) for s in range(0, 200_000, 1799)
            ]
            (tmp_path / "a.jsonl").write_bytes(
                b"".join(ll.line("event", n, name="n", data=None, ts=ts) for n, ts in enumerate(moments, 1))
            )
            with open_logs(tmp_path) as logs:
                found = logs.sql("SELECT ts, day FROM events").rows()
            assert {day == time.strftime("%Y-%m-%d", time.localtime(ts)) for ts, day in found} == {True}
        finally:
            monkeypatch.undo()
            time.tzset()
