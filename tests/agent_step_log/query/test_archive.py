"""The archive: what was compacted is asked as the logs were, and is whole or not there."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent_step_log import Damage, StepLog, read_log
from agent_step_log.errors import LogFormatError, LogSourceError, LogTooNewError
from agent_step_log.query import VIEWS, compact, open_logs
from agent_step_log.query import _compact as compacting
from tests.agent_step_log import loglines as ll

if TYPE_CHECKING:
    from pathlib import Path

EVERYTHING = {view: f"SELECT * FROM {view}" for view in VIEWS}


def rows_of(source: Any, query: str) -> Counter[str]:
    with open_logs(source) as logs:
        return Counter(map(repr, logs.sql(query).rows()))


def rows_with_times(source: Any) -> list[tuple[float]]:
    with open_logs(source) as logs:
        return logs.sql("SELECT duration_ms FROM runs").rows()


def assert_same_rows(logs: Any, archive: Any) -> None:
    for view, query in EVERYTHING.items():
        assert rows_of(archive, query) == rows_of(logs, query), view


def lines(path: Path, *records: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(records))
    return path


def key(name: str, value: Any) -> bytes:
    """A tool call with one key more."""
    record = {"run_id": "r", "step": 1, "type": "tool_call", "ts": 1767225601.5, "tool": "t", name: value}
    return json.dumps(record).encode() + b"\n"


class TestSameRows:
    def test_of_real_logs_in_every_view(self, tmp_path: Path) -> None:
        for number in range(3):
            with StepLog(tmp_path / "logs", f"run-{number}", agent="a", task_type="refund") as log:
                log.record_llm_call("m", 10, 5, "end_turn", 812.5)
                with log.tool_call("search", input={"q": "ä"}) as call:
                    call.output = [1, 2.5, None, {"deep": [True]}]
                log.event("note", {"text": "ok"})
                with suppress(KeyError), log.tool_call("lookup", input={}):
                    raise KeyError("no such order")
        compact(tmp_path / "logs", tmp_path / "archive")

        assert_same_rows(tmp_path / "logs", tmp_path / "archive")

    def test_of_runs_cut_off_and_of_several_writers(self, tmp_path: Path) -> None:
        lines(
            tmp_path / "logs" / "a.jsonl",
            ll.start(),
            key("writer", "w1"),
            b'{"run_id":"r","step":2,"type":"step_start","ts":1767225601.5,"of":"llm_call","model":"m"}\n',
            b'{"run_id":"r","step":0,"type":"run_start","ts":1767225602.0,"writer":"w1","process":{"pid":1}}\n',
            b'{"run_id":"r","step":0,"type":"run_end","ts":1767225603.0,"writer":"w1","status":"error"}\n',
        )
        compact(tmp_path / "logs", tmp_path / "archive")

        assert_same_rows(tmp_path / "logs", tmp_path / "archive")
        # Each column alone: which records are read depends on what is asked for.
        for column in VIEWS["runs"]:
            query = f"SELECT run_id, {column.name} FROM runs"
            assert rows_of(tmp_path / "archive", query) == rows_of(tmp_path / "logs", query), column.name

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("tool", 5),
            ("tool", [1]),
            ("inferred", True),
            ("error", "what a tool said"),
            ("duration_ms", "12.5"),
            ("duration_ms", 2**53 + 1),
            ("duration_ms", True),
            ("input_tokens", 3.0),
            ("input_tokens", 2**70),
            ("input", None),
            ("input", 10**30),
            ("attrs", "no object"),
            ("unknown", {"of": "a later version"}),
            ("path", "a key of that name"),
            ("record", 1),
            ("error", "\ud800"),
        ],
    )
    def test_of_values_no_column_expects(self, tmp_path: Path, name: str, value: Any) -> None:
        lines(tmp_path / "logs" / "a.jsonl", ll.start(), key(name, value), ll.end())
        compact(tmp_path / "logs", tmp_path / "archive")

        assert_same_rows(tmp_path / "logs", tmp_path / "archive")

    def test_of_a_key_that_is_in_a_line_twice(self, tmp_path: Path) -> None:
        twice = b'{"run_id":"r","step":1,"type":"tool_call","ts":1767225601.5,"tool":"one","tool":"two"}\n'
        lines(tmp_path / "logs" / "a.jsonl", ll.start(), twice)
        compact(tmp_path / "logs", tmp_path / "archive")

        assert rows_of(tmp_path / "archive", "SELECT tool FROM tool_calls") == Counter(["('two',)"])

    def test_where_no_day_is_that_far_off(self, tmp_path: Path) -> None:
        lines(tmp_path / "logs" / "a.jsonl", ll.start(), key("ts", 1e300), key("ts", -1e300), ll.end())
        compact(tmp_path / "logs", tmp_path / "archive")

        assert_same_rows(tmp_path / "logs", tmp_path / "archive")
        assert (tmp_path / "archive" / "day=unknown").is_dir()

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=15)
    @given(
        st.lists(
            st.dictionaries(
                st.sampled_from(
                    ["tool", "model", "duration_ms", "step", "ts", "output", "error", "attrs", "x"]
                ),
                st.recursive(
                    st.none()
                    | st.booleans()
                    | st.integers(-(2**70), 2**70)
                    | st.floats(allow_nan=False, allow_infinity=False)
                    | st.text(),
                    lambda inner: (
                        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
                    ),
                    max_leaves=4,
                ),
            ),
            max_size=8,
        )
    )
    def test_of_anything_a_reader_reads(self, tmp_path: Path, keys: list[dict[str, Any]]) -> None:
        place = tmp_path / os.urandom(8).hex()
        plain = {"run_id": "r", "type": "tool_call", "ts": 1767225601.5}
        records = [
            json.dumps({**plain, "step": n, **each}).encode() + b"\n" for n, each in enumerate(keys, 1)
        ]
        log = lines(place / "a.jsonl", ll.start(), *records)
        read = list(read_log(log, on_damage=lambda _: None))
        made = compact(log, place / "archive")

        assert made.records == len(read)
        found = rows_of(place / "archive", "SELECT run_id, type, ts, tool, model, output FROM steps")
        with open_logs(log) as logs:
            wanted = logs.sql("SELECT run_id, type, ts, tool, model, output FROM steps").rows()
        assert found == Counter(map(repr, wanted))


class TestWhole:
    def test_holds_each_record_that_its_columns_do_not_tell(self, tmp_path: Path) -> None:
        odd = key("unknown", {"of": "a later version"})
        lines(tmp_path / "a.jsonl", ll.start(), key("output", "plain"), odd)
        made = compact(tmp_path / "a.jsonl", tmp_path / "archive")

        found = duckdb.sql(f"SELECT tool, output, record FROM read_parquet({[str(p) for p in made.files]})")
        by_output = {output: (tool, record) for tool, output, record in found.fetchall() if tool}
        assert by_output['"plain"'] == ("t", None)
        assert json.loads(by_output[None][1]) == json.loads(odd)

    def test_tells_what_of_the_logs_is_no_record(self, tmp_path: Path) -> None:
        lines(tmp_path / "a.jsonl", ll.start(), b"garbage\n", ll.tool(1))
        damage: list[Damage] = []
        made = compact(tmp_path / "a.jsonl", tmp_path / "archive", on_damage=damage.append)

        assert (made.records, [each.reason for each in damage]) == (2, ["not JSON"])

    def test_has_a_directory_for_each_day(self, tmp_path: Path) -> None:
        day = 86400.0
        lines(tmp_path / "a.jsonl", key("ts", 1767225600.0), key("ts", 1767225600.0 + day))
        compact(tmp_path / "a.jsonl", tmp_path / "archive")

        assert sorted(p.name for p in (tmp_path / "archive").iterdir()) == [
            "day=2026-01-01",
            "day=2026-01-02",
        ]

    def test_is_for_its_user_alone(self, tmp_path: Path) -> None:
        lines(tmp_path / "a.jsonl", ll.start())
        made = compact(tmp_path / "a.jsonl", tmp_path / "archive")

        assert (tmp_path / "archive").stat().st_mode & 0o077 == 0
        assert [path.stat().st_mode & 0o077 for path in made.files] == [0]

    def test_of_many_parts_is_the_same(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(compacting, "_PART_BYTES", 200)
        lines(tmp_path / "a.jsonl", ll.start(), *(ll.tool(step) for step in range(1, 20)), ll.end())
        made = compact(tmp_path / "a.jsonl", tmp_path / "archive")

        assert len(made.files) > 5
        assert_same_rows(tmp_path / "a.jsonl", tmp_path / "archive")

    def test_of_a_line_longer_than_any_a_writer_makes(self, tmp_path: Path) -> None:
        log = lines(tmp_path / "a.jsonl", ll.start(), key("output", "x" * (20 * 1024 * 1024)), ll.end())
        compact(log, tmp_path / "archive")

        assert rows_of(tmp_path / "archive", "SELECT length(output) FROM tool_calls") == Counter(
            ["(20971522,)"]
        )

    def test_of_a_log_whose_name_is_no_text(self, tmp_path: Path) -> None:
        log = lines(tmp_path / os.fsdecode(b"a\xff.jsonl"), ll.start(), ll.tool(1), ll.end())
        compact(log, tmp_path / "archive")

        assert_same_rows(log, tmp_path / "archive")

    def test_takes_several_sources(self, tmp_path: Path) -> None:
        one = lines(tmp_path / "a.jsonl", ll.start(), ll.tool(1))
        other = lines(tmp_path / "b.jsonl", ll.tool(2), ll.end())
        compact([one, other], tmp_path / "archive")

        assert_same_rows([one, other], tmp_path / "archive")


class TestOrNotThere:
    def test_when_the_logs_cannot_be_read(self, tmp_path: Path) -> None:
        with pytest.raises(LogSourceError):
            compact(tmp_path / "nothing.jsonl", tmp_path / "archive")
        assert list(tmp_path.iterdir()) == []

    def test_when_something_is_there_already(self, tmp_path: Path) -> None:
        log = lines(tmp_path / "a.jsonl", ll.start())
        kept = lines(tmp_path / "archive" / "mine.txt", b"mine")
        with pytest.raises(FileExistsError, match="name a new directory"):
            compact(log, tmp_path / "archive")
        assert kept.read_bytes() == b"mine"

    def test_when_what_is_read_back_differs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        log = lines(tmp_path / "a.jsonl", ll.start(), ll.tool(1))
        told = compacting._sum

        def wrongly(engine: duckdb.DuckDBPyConnection, names: list[str], rows: str) -> Any:
            if "read_parquet" in rows:
                # As a disk would that lost a row.
                return told(engine, names, f"(FROM {rows} LIMIT 1)")
            return told(engine, names, rows)

        monkeypatch.setattr(compacting, "_sum", wrongly)
        with pytest.raises(OSError, match="not what was written") as raised:
            compact(log, tmp_path / "archive")
        assert raised.value.errno == errno.EIO
        assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]

    def test_when_the_process_is_killed_before_the_end(self, tmp_path: Path) -> None:
        lines(tmp_path / "a.jsonl", ll.start(), ll.tool(1))
        code = (
            "import os, sys\nfrom agent_step_log.query import _compact\n"
            "told = _compact._sum\n"
            "def dying(*args):\n    told(*args)\n    os.kill(os.getpid(), 9)\n"
            "_compact._sum = dying\n_compact.compact(sys.argv[1], sys.argv[2])\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "a.jsonl"), str(tmp_path / "archive")], check=False
        )

        assert done.returncode == -9
        assert not (tmp_path / "archive").exists()
        # What it left behind is no archive for anybody who looks.
        with open_logs(tmp_path) as logs:
            assert logs.files == [tmp_path / "a.jsonl"]
        assert compact(tmp_path / "a.jsonl", tmp_path / "archive").records == 2


class TestOpened:
    @pytest.fixture
    def archive(self, tmp_path: Path) -> Path:
        log = lines(tmp_path / "logs" / "old.jsonl", ll.start("old"), ll.tool(1, run_id="old"), ll.end("old"))
        compact(log, tmp_path / "archive")
        return tmp_path / "archive"

    def test_with_logs_beside_it(self, tmp_path: Path, archive: Path) -> None:
        new = lines(tmp_path / "new" / "new.jsonl", ll.start("new"), ll.tool(1, run_id="new"), ll.end("new"))

        assert_same_rows([tmp_path / "logs", new], [new, archive])

    def test_by_a_file_or_a_pattern(self, archive: Path) -> None:
        (file,) = archive.glob("*/*.parquet")
        for source in (file, archive / "*" / "*.parquet"):
            assert rows_of(source, "SELECT run_id FROM runs") == Counter(["('old',)"])

    def test_where_its_path_looks_like_a_pattern(self, tmp_path: Path, archive: Path) -> None:
        moved = shutil.move(archive, tmp_path / "it's [old]")
        assert rows_of(moved, "SELECT run_id FROM runs") == Counter(["('old',)"])

    def test_by_the_path_its_log_had(self, tmp_path: Path, archive: Path) -> None:
        assert rows_of(archive, "SELECT path FROM runs") == Counter([f"('{tmp_path}/logs/old.jsonl',)"])

    def test_is_not_found_among_logs(self, tmp_path: Path, archive: Path) -> None:
        log = lines(archive.parent / "logs" / "more.jsonl", ll.start("more"))
        shutil.move(archive, log.parent / "archive")
        assert rows_of(log.parent, "SELECT run_id FROM runs") == Counter(["('old',)", "('more',)"])

    def test_sees_what_is_added(self, tmp_path: Path, archive: Path) -> None:
        with open_logs(archive) as logs:
            assert logs.sql("SELECT count(*) FROM runs").rows() == [(1,)]
            log = lines(tmp_path / "new.jsonl", ll.start("new"))
            compact(log, tmp_path / "another")
            for file in (tmp_path / "another").glob("*/*.parquet"):
                place = archive / file.parent.name
                place.mkdir(exist_ok=True)
                file.rename(place / "added.parquet")
            assert logs.sql("SELECT count(*) FROM runs").rows() == [(2,)]

    @pytest.mark.parametrize("gone", [".edges", ".parquet"])
    def test_tells_what_is_there_when_files_were_taken_from_it(self, tmp_path: Path, gone: str) -> None:
        day = 86400.0
        log = lines(tmp_path / "a.jsonl", ll.start(), key("ts", 1767225700.0), key("ts", 1767225700.0 + day))
        compact(log, tmp_path / "archive")
        for file in (tmp_path / "archive" / "day=2026-01-02").glob(f"*{gone}"):
            file.unlink()

        [(duration,)] = rows_with_times(tmp_path / "archive")
        assert duration == (100_000.0 if gone == ".parquet" else 100_000.0 + day * 1000)

    def test_tells_how_runs_went_of_their_edges_alone(self, tmp_path: Path, archive: Path) -> None:
        (edges,) = archive.glob("*/*.edges")
        (file,) = archive.glob("*/*.parquet")
        wanted = rows_of(archive, "SELECT run_id, status, duration_ms, path FROM runs")
        # Of the same name, marked as ours, and without a record: who looks there finds no run.
        duckdb.sql(
            f"COPY (FROM '{file}' LIMIT 0) TO '{file}' (FORMAT parquet, "
            "KV_METADATA {'agent-step-log-archive': '1'})"
        )
        assert edges.exists()
        assert rows_of(archive, "SELECT run_id, status, duration_ms, path FROM runs") == wanted
        assert rows_of(archive, "SELECT run_id, steps FROM runs") == Counter()

    def test_has_no_damage(self, archive: Path) -> None:
        with open_logs(archive) as logs:
            assert (logs.damage, logs.known_damage) == ([], [])

    def test_reads_nothing_else(self, tmp_path: Path, archive: Path) -> None:
        other = tmp_path / "other.parquet"
        duckdb.sql("SELECT 1 AS a").write_parquet(str(other))
        with open_logs(archive) as logs, pytest.raises(Exception, match="outside the logs"):
            logs.sql(f"SELECT * FROM '{other}'")

    def test_that_is_no_archive_is_refused(self, tmp_path: Path) -> None:
        other = tmp_path / "other.parquet"
        duckdb.sql("SELECT 1 AS a").write_parquet(str(other))
        with open_logs(other) as logs, pytest.raises(LogFormatError, match="not of an archive of logs"):
            logs.sql("FROM runs")

    def test_that_is_cut_short_is_refused(self, tmp_path: Path, archive: Path) -> None:
        (file,) = archive.glob("*/*.parquet")
        whole = file.read_bytes()
        (archive / file.parent.name / "cut.parquet").write_bytes(whole[: len(whole) // 2])
        with (
            open_logs(archive) as logs,
            pytest.raises(LogFormatError, match=r"cut\.parquet is no Parquet file"),
        ):
            logs.sql("FROM runs")

    def test_of_a_later_version_is_refused(self, tmp_path: Path) -> None:
        later = tmp_path / "later.parquet"
        marked = "KV_METADATA {'agent-step-log-archive': '2'}"
        duckdb.sql(f"COPY (SELECT 1 AS a) TO '{later}' (FORMAT parquet, {marked})")
        with open_logs(later) as logs, pytest.raises(LogTooNewError, match="format 2"):
            logs.sql("FROM runs")
