"""`agent-step-log sql`."""

from __future__ import annotations

import csv
import io
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent_stack.conftest import Cli, WriteLog

MODELS = "SELECT model, count(*) AS calls, sum(input_tokens) AS sent FROM llm_calls GROUP BY ALL ORDER BY 1"


@pytest.fixture
def odd(write_log: WriteLog) -> Path:
    """A tool call whose output is whatever a format could stumble over."""
    output = {"text": 'a|b, "c"\n<i>\x1b[31m`d`', "big": 10**17}
    record = {"type": "tool_call", "step": 1, "tool": "t", "input": None, "error": None, "duration_ms": 1.5}
    return write_log("odd.jsonl", {**record, "output": output})


class TestTable:
    def test_is_the_default(self, cli: Cli, logs: Path) -> None:
        result = cli("sql", MODELS, logs, columns=80)
        assert (result.code, result.err) == (0, "")
        assert result.out == "model     calls  sent\nclaude-x      3  1210\n"

    def test_unknown_is_null_and_never_0(self, cli: Cli, logs: Path) -> None:
        out = cli("sql", "SELECT input_tokens FROM llm_calls WHERE step = 7", logs).out
        assert out == "input_tokens\nnull\n"

    def test_columns_that_do_not_fit_are_shown_below_each_other(self, cli: Cli, logs: Path) -> None:
        out = cli("sql", "FROM steps WHERE step = 3 LIMIT 1", logs, columns=80).out
        lines = out.splitlines()
        assert lines[0] == "── row 1 ──"
        assert "  error" in out
        assert "  tool_call_id        null" in out
        assert max(map(len, lines)) <= 80

    def test_long_text_is_cut_and_short_ones_are_not(self, cli: Cli, logs: Path) -> None:
        out = cli("sql", "SELECT 'ab' AS a, repeat('x', 500) AS b, 'cd' AS c", logs, columns=60).out
        assert out.splitlines()[1].split()[0] == "ab"
        assert "…" in out
        assert max(map(len, out.splitlines())) <= 60

    def test_of_many_rows_the_first_are_shown(self, cli: Cli, logs: Path) -> None:
        query = "SELECT range AS n FROM range(1000)"
        out = cli("sql", query, logs).out.splitlines()
        assert (out[200], out[201]) == ("199", "… 800 more rows (--all, or --format csv)")
        assert len(cli("sql", query, logs, "--all").out.splitlines()) == 1001

    def test_no_rows_is_said(self, cli: Cli, logs: Path) -> None:
        assert cli("sql", "FROM runs WHERE false", logs).out.splitlines()[-1] == "no rows"

    def test_obeys_nothing_of_what_it_shows(self, cli: Cli, odd: Path) -> None:
        assert "\x1b" not in cli("sql", "SELECT output->>'text' FROM steps", odd).out
        assert "\x1b" not in cli("sql", 'SELECT 1 AS "\x1b[31m"', odd).out

    def test_views_and_columns_can_be_asked_for(self, cli: Cli, logs: Path) -> None:
        assert "llm_calls" in cli("sql", "SHOW TABLES", logs).out
        assert "duration_ms" in cli("sql", "DESCRIBE tool_calls", logs).out


class TestFormats:
    QUERY = "SELECT step, tool, output, output->>'text' AS text, NULL AS gone, [1, 2] AS list FROM steps"

    def test_json_is_an_object_a_row_with_json_as_values(self, cli: Cli, odd: Path) -> None:
        result = cli("sql", self.QUERY, odd, "--format", "json")
        assert result.out.isascii()
        [row] = result.json_lines()
        assert row["output"] == {"text": row["text"], "big": 10**17}
        assert (row["step"], row["gone"], row["list"]) == (1, None, [1, 2])
        assert cli("sql", self.QUERY, odd, "--json").out == result.out

    def test_json_keeps_columns_of_one_name_apart(self, cli: Cli, odd: Path) -> None:
        assert cli("sql", "SELECT 1 AS a, 2 AS a, 3 AS a", odd, "--json").json() == {
            "a": 1,
            "a_1": 2,
            "a_2": 3,
        }

    def test_csv_comes_back_as_it_was(self, cli: Cli, odd: Path) -> None:
        out = cli("sql", self.QUERY, odd, "--format", "csv").out
        head, row = list(csv.reader(io.StringIO(out, newline="")))
        assert head == ["step", "tool", "output", "text", "gone", "list"]
        assert row[3:] == ['a|b, "c"\n<i>\x1b[31m`d`', "", "[1, 2]"]
        assert json.loads(row[2])["big"] == 10**17

    def test_markdown_is_a_table_and_nothing_else(self, cli: Cli, odd: Path) -> None:
        out = cli("sql", "SELECT step, output->>'text' AS text FROM steps", odd, "--format", "markdown").out
        assert out == '| step | text |\n| --- | --- |\n| 1 | a\\|b, "c" &lt;i>␛[31m\\`d\\` |\n'

    def test_parquet_keeps_types(self, cli: Cli, logs: Path, tmp_path: Path) -> None:
        from pyarrow.parquet import read_table

        result = cli(
            "sql", "SELECT step, model, duration_ms FROM llm_calls ORDER BY ALL", logs, "-o", "x.parquet"
        )
        assert (result.code, result.out, result.err) == (0, "", "")
        table = read_table(tmp_path / "x.parquet")
        assert [str(field.type) for field in table.schema] == ["int64", "string", "double"]
        assert table.column("step").to_pylist() == [1, 2, 7]


class TestOutput:
    @pytest.mark.parametrize(
        ("name", "begins"),
        [
            ("x.csv", "n\n1\n"),
            ("x.json", '{"n": 1}\n'),
            ("x.jsonl", '{"n": 1}\n'),
            ("x.md", "| n |\n"),
            ("x", "n\n1\n"),
        ],
    )
    def test_ending_tells_the_form(
        self, cli: Cli, logs: Path, tmp_path: Path, name: str, begins: str
    ) -> None:
        assert cli("sql", "SELECT 1 AS n", logs, "-o", name).out == ""
        assert (tmp_path / name).read_text().startswith(begins)

    def test_is_for_its_owner_alone(self, cli: Cli, logs: Path, tmp_path: Path) -> None:
        cli("sql", "SELECT 1 AS n", logs, "-o", "x.csv")
        assert os.stat(tmp_path / "x.csv").st_mode & 0o777 == 0o600

    def test_replaces_only_when_told(self, cli: Cli, logs: Path, tmp_path: Path) -> None:
        (tmp_path / "x.csv").write_text("mine")
        result = cli("sql", "SELECT 1 AS n", logs, "-o", "x.csv")
        assert (result.code, result.err) == (2, "agent-step-log: x.csv exists: --replace replaces it.\n")
        assert (tmp_path / "x.csv").read_text() == "mine"
        assert cli("sql", "SELECT 1 AS n", logs, "-o", "x.csv", "--replace").code == 0
        assert (tmp_path / "x.csv").read_text() == "n\n1\n"

    def test_leaves_nothing_behind_when_it_fails(self, cli: Cli, logs: Path, tmp_path: Path) -> None:
        result = cli("sql", "SELECT 1 AS n", logs, "-o", "nowhere/x.csv")
        assert result.code == 2
        assert "nowhere" in result.err
        assert not list(tmp_path.glob(".*.part"))


class TestQuery:
    def test_comes_from_stdin_for_a_dash(self, cli: Cli, logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO("SELECT count(*) AS n\nFROM runs -- all of them\n"))
        assert cli("sql", "-", logs, "--json").json() == {"n": 3}

    @pytest.mark.parametrize("query", ["", "  \n"])
    def test_that_is_empty(self, cli: Cli, logs: Path, query: str) -> None:
        result = cli("sql", query, logs)
        assert (result.code, result.out) == (2, "")
        assert result.err == "agent-step-log: There is no query: give SQL, or - to read it from stdin.\n"

    def test_with_a_mistake_shows_where_and_suggests(self, cli: Cli, logs: Path) -> None:
        result = cli("sql", "SELECT modle FROM llm_calls", logs)
        assert (result.code, result.out) == (2, "")
        line, caret, sentence = result.err.splitlines()
        assert line.strip() == "SELECT modle FROM llm_calls"
        assert caret.index("^") == line.index("modle")
        assert sentence.startswith("agent-step-log: ")
        assert "model" in sentence

    def test_that_is_no_sql(self, cli: Cli, logs: Path) -> None:
        result = cli("sql", "SELCT 1", logs)
        assert (result.code, result.out) == (2, "")
        assert result.err.splitlines()[-1].startswith("agent-step-log: ")

    @pytest.mark.parametrize(
        "query",
        [
            "FROM read_csv('/etc/passwd')",
            "SELECT * FROM '/etc/passwd'",
            "COPY (SELECT 1) TO 'x.csv'",
            "INSTALL httpfs",
            "CREATE TABLE t (i INT)",
            "ATTACH 'x.db'",
            "SET enable_external_access = true",
        ],
    )
    def test_reaches_nothing_but_the_logs(self, cli: Cli, logs: Path, tmp_path: Path, query: str) -> None:
        result = cli("sql", query, logs)
        assert (result.code, result.out) == (2, "")
        assert "Traceback" not in result.err
        assert not list(tmp_path.glob("x.*"))

    def test_reaches_out_when_told(self, cli: Cli, logs: Path, tmp_path: Path) -> None:
        (tmp_path / "prices.csv").write_text("model,usd\nclaude-x,3\n")
        query = "SELECT any_value(usd) AS usd FROM llm_calls JOIN 'prices.csv' USING (model)"
        assert cli("sql", query, logs, "--outside", "--json").json() == {"usd": 3}
        assert cli("sql", query, logs).code == 2

    def test_reads_files_directories_and_patterns(self, cli: Cli, logs: Path) -> None:
        def runs(*sources: Any) -> Any:
            return cli("sql", "SELECT count(*) AS n FROM runs", *sources, "--json").json()["n"]

        assert (runs(logs), runs(logs / "a.jsonl"), runs(f"{logs}/[ab].jsonl")) == (3, 1, 2)
        assert runs(logs / "a.jsonl", logs / "c.jsonl") == 2

    def test_damage_is_said_beside_the_output(self, cli: Cli, logs: Path) -> None:
        with (logs / "a.jsonl").open("ab") as log:
            log.write(b"garbage\n")
        result = cli("sql", "SELECT count(*) AS n FROM steps", logs, "--json")
        assert (result.code, result.json()) == (0, {"n": 8})
        assert "1 stretch of 1 file skipped" in result.err


class TestBadOptions:
    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["--format", "parquet"], "Parquet is a file: name one with -o FILE."),
            (["--json", "--format", "csv"], "--json and --format csv are two forms: give one of them."),
        ],
    )
    def test_are_one_sentence(self, cli: Cli, logs: Path, arguments: list[str], sentence: str) -> None:
        result = cli("sql", "FROM runs", logs, *arguments)
        assert (result.code, result.out, result.err) == (2, "", f"agent-step-log: {sentence}\n")
