"""``agent-step-log cost``: tokens and dollars in a table, in JSON, and derived."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.agent_stack.conftest import Cli, WriteLog

DAY_S = 86_400.0
TRANSCRIPTS = Path(__file__).parents[1] / "data" / "transcripts"
#: Seconds from the fixed time of these tests to 2026-10-26 07:33:20 UTC.
TO_2026 = 93_000_000.0


def call(**keys: Any) -> dict[str, Any]:
    """Return an `llm_call` of Sonnet 4.5: $0.0045 unless told otherwise."""
    return {
        "type": "llm_call",
        "step": 1,
        "at": TO_2026,
        "model": "claude-sonnet-4-5",
        "provider": "anthropic",
        "input_tokens": 1000,
        "output_tokens": 100,
        "stop_reason": "end_turn",
        "duration_ms": 5.0,
        **keys,
    }


@pytest.fixture
def logs(write_log: WriteLog, tmp_path: Path) -> Path:
    """Two runs on two days, one of them of a model without a price."""
    write_log(
        "logs/a.jsonl",
        {"type": "run_start", "format": 1, "agent": "planner", "task_type": "report", "at": TO_2026},
        call(cache_read_tokens=0, cache_write_tokens=0),
        call(step=2, at=TO_2026 + DAY_S, cache_read_tokens=500, cache_write_tokens=0),
    )
    write_log(
        "logs/b.jsonl",
        {"type": "run_start", "format": 1, "task_type": "chat", "at": TO_2026},
        call(model="llama3", provider=None),
        run_id="run-b",
    )
    return tmp_path / "logs"


class TestTable:
    def test_is_by_day_and_has_a_total(self, cli: Cli, logs: Path) -> None:
        result = cli("cost", logs)

        lines = result.out.splitlines()
        assert result.code == 0
        assert lines[0].split() == [
            *(
                "DATE",
                "MODELS",
                "CALLS",
                "INPUT",
                "OUTPUT",
                "CACHE",
                "WRITE",
                "CACHE",
                "READ",
                "TOTAL",
                "COST",
            )
        ]
        assert re.search(
            r"2026-10-26 +claude-sonnet-4-5, llama3 +2 +2,000 +200 .* 2,200 +≥ \$0\.0045", lines[1]
        )
        assert re.search(r"2026-10-27 +claude-sonnet-4-5 +1 +1,000 +100 +0 +500 +1,100 +\$0\.0032", lines[2])
        assert re.search(r"total +3 +3,000 +300 .* 3,300 +≥ \$0\.0076", lines[4])

    def test_says_why_it_is_not_exact_and_whose_prices_these_are(self, cli: Cli, logs: Path) -> None:
        out = cli("cost", logs).out

        assert "· 1 call: no price is known for model llama3." in out
        assert "Prices: genai-prices " in out

    def test_unknown_is_a_question_mark_and_never_zero(self, cli: Cli, logs: Path) -> None:
        row = next(line for line in cli("cost", "model", logs).out.splitlines() if "llama3" in line)

        assert row.endswith("?")
        assert "$" not in row

    @pytest.mark.parametrize(
        ("view", "title", "row"),
        [
            ("daily", "DATE", "2026-10-26"),
            ("weekly", "WEEK OF", "2026-10-26"),
            ("monthly", "MONTH", "2026-10"),
            ("session", "SESSION", "run-b"),
            ("run", "RUN", "run-b"),
            ("model", "MODEL", "llama3"),
            ("provider", "PROVIDER", "no provider named"),
            ("agent", "AGENT", "planner"),
            ("task", "TASK TYPE", "report"),
            ("tool", "AFTER TOOL", "no tool before"),
        ],
    )
    def test_has_a_view_for_each_question(
        self, cli: Cli, logs: Path, view: str, title: str, row: str
    ) -> None:
        out = cli("cost", view, logs).out

        assert out.startswith(f"  {title}")
        assert row in out

    def test_which_kinds_of_runs_are_expensive(self, cli: Cli, logs: Path) -> None:
        lines = cli("cost", "task", logs).out.splitlines()

        assert [line.split()[0] for line in lines[1:3]] == ["report", "chat"]

    def test_breakdown_has_the_models_below_each_row(self, cli: Cli, logs: Path) -> None:
        out = cli("cost", "monthly", logs, "--breakdown").out

        assert "└ claude-sonnet-4-5" in out
        assert "MODELS" not in out

    def test_fits_a_narrow_screen(self, cli: Cli, logs: Path) -> None:
        out = cli("cost", logs, columns=60).out

        table = out.split("\n\n")[0].splitlines()
        assert all(len(line) <= 60 for line in table)
        assert "$0.0076" in table[-1]

    def test_is_safe_for_the_terminal(self, cli: Cli, write_log: WriteLog) -> None:
        path = write_log("e.jsonl", call(model="m\x1b]0;owned\x07", agent="\u202eevil"))

        for view in ("daily", "model", "agent"):
            result = cli("cost", view, path)
            assert "\x1b" not in result.out
            assert "\u202e" not in result.out

    def test_lists_counts_that_cannot_be(self, cli: Cli, write_log: WriteLog) -> None:
        out = cli("cost", write_log("n.jsonl", call(step=7, output_tokens=-5))).out

        assert "▲ run run-a, step 7: -5 output tokens: a negative count." in out


class TestTimes:
    def test_since_and_until_bound_the_calls(self, cli: Cli, logs: Path) -> None:
        since = cli("cost", logs, "--since", "2026-10-27", "--json").json()
        until = cli("cost", logs, "--until", "2026-10-26", "--json").json()

        assert [row["day"] for row in since["rows"]] == ["2026-10-27"]
        assert [row["day"] for row in until["rows"]] == ["2026-10-26"]

    def test_zone_moves_the_days_and_is_put_back(self, cli: Cli, write_log: WriteLog) -> None:
        path = write_log("z.jsonl", call(at=TO_2026 + 16 * 3600))  # 23:33 UTC

        assert cli("cost", path, "--json").json()["rows"][0]["day"] == "2026-10-26"
        assert (
            cli("cost", path, "--timezone", "Asia/Tokyo", "--json").json()["rows"][0]["day"] == "2026-10-27"
        )
        assert cli("cost", path, "--json").json()["rows"][0]["day"] == "2026-10-26"

    def test_times_are_typed_in_the_zone(self, cli: Cli, write_log: WriteLog) -> None:
        path = write_log("z.jsonl", call(at=TO_2026 + 16 * 3600))
        options = ["--since", "2026-10-27", "--timezone", "Asia/Tokyo", "--json"]

        assert cli("cost", path, *options).json()["total"]["calls"] == 1

    def test_unheard_of_zone_is_told(self, cli: Cli, logs: Path) -> None:
        result = cli("cost", logs, "--timezone", "Mars/Olympus")

        assert result.code == 2
        assert "'Mars/Olympus' is no time zone" in result.err

    def test_nothing_in_that_time_is_said(self, cli: Cli, logs: Path) -> None:
        result = cli("cost", logs, "--since", "2030-01-01")

        assert (result.code, result.out) == (0, "")
        assert result.err == f"No model call in that time in {logs}.\n"


class TestJson:
    def test_row_has_the_documented_keys(self, cli: Cli, logs: Path) -> None:
        page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
        section = page.partition("## cost\n")[2].partition("\n## ")[0]

        shape = cli("cost", logs, "--breakdown", "--json").json()

        for key in (*shape, *shape["rows"][0]):
            assert f"`{key}`" in section, key

    def test_figures_are_numbers_and_unknown_is_null(self, cli: Cli, logs: Path) -> None:
        rows = {row["model"]: row for row in cli("cost", "model", logs, "--json").json()["rows"]}

        assert rows["claude-sonnet-4-5"]["cost_usd"] == 0.00765
        assert rows["llama3"]["cost_usd"] is None
        assert rows["llama3"]["not_exact"]["cost_usd"] == "unknown"

    def test_no_call_is_an_exact_nothing(self, cli: Cli, write_log: WriteLog) -> None:
        shape = cli("cost", write_log("x.jsonl", {"type": "run_start", "format": 1}), "--json").json()

        assert (shape["rows"], shape["total"]["cost_usd"], shape["prices"]) == ([], 0.0, None)


class TestOwnPrices:
    def test_come_before_the_lists(self, cli: Cli, logs: Path, tmp_path: Path) -> None:
        prices = tmp_path / "prices.toml"
        prices.write_text('[[price]]\nmodel = "llama*"\ninput = 1\noutput = 2\n')

        rows = cli("cost", "model", logs, "--prices", prices, "--json").json()["rows"]

        assert {row["model"]: row["cost_usd"] for row in rows}["llama3"] == 0.0012

    def test_typo_names_line_and_key(self, cli: Cli, logs: Path, tmp_path: Path) -> None:
        prices = tmp_path / "prices.toml"
        prices.write_text('[[price]]\nmodel = "llama*"\nimput = 1\n')

        result = cli("cost", logs, "--prices", prices)

        assert result.code == 2
        where = f"agent-step-log: {prices}, line 3: "
        assert result.err == where + "unknown key 'imput' (did you mean 'input'?).\n"

    def test_missing_file_is_told(self, cli: Cli, logs: Path, tmp_path: Path) -> None:
        result = cli("cost", logs, "--prices", tmp_path / "none.toml")

        assert (result.code, "No such file" in result.err) == (2, True)


class TestExplain:
    def test_leads_down_to_the_records(self, cli: Cli, logs: Path) -> None:
        out = cli("cost", "--explain", "run-a", logs).out

        assert "step 1  2026-10-26 07:33:20  claude-sonnet-4-5  list price anthropic/claude-sonnet-4-5" in out
        assert re.search(r"input +1,000 × \$3/M += \$0\.003$", out, re.MULTILINE)  # noqa: RUF001
        assert re.search(r"cache read +500 × \$0\.3/M += \$0\.00015$", out, re.MULTILINE)  # noqa: RUF001
        assert re.search(r"^  run +\$0\.00765$", out, re.MULTILINE)

    def test_json_has_the_same(self, cli: Cli, logs: Path) -> None:
        shape = cli("cost", logs, "--explain", "run-a", "--json").json()

        assert shape["cost_usd"] == "0.00765"
        assert [call["step"] for call in shape["calls"]] == [1, 2]

    def test_unknown_run_is_told(self, cli: Cli, logs: Path) -> None:
        result = cli("cost", logs, "--explain", "nobody")

        assert (result.code, result.err) == (2, "agent-step-log: There is no run 'nobody'.\n")

    def test_takes_no_part_of_a_run(self, cli: Cli, logs: Path) -> None:
        assert cli("cost", logs, "--explain", "run-a", "--since", "7d").code == 2


class TestSources:
    def test_transcripts_are_read_like_logs(self, cli: Cli) -> None:
        shape = cli("cost", "session", TRANSCRIPTS / "codex", "--json").json()

        costs = {row["session"]: row["cost_usd"] for row in shape["rows"]}
        assert costs["019e1625-789d-76c0-80ab-3724b5ddb799"] == 8.369808

    def test_transcript_named_outright_is_read(self, cli: Cli) -> None:
        path = TRANSCRIPTS / "claude-code" / "entireio-cli" / "76-62d755ef9f-2-full.jsonl"

        assert cli("cost", path, "--json").json()["total"]["cost_usd"] == 3.9410574

    def test_transcript_costs_what_its_import_does(self, cli: Cli, tmp_path: Path) -> None:
        source = TRANSCRIPTS / "claude-code"
        cli("import", "claude-code", source, "--into", tmp_path / "imported")

        direct = cli("cost", "run", source, "--json").json()
        imported = cli("cost", "run", tmp_path / "imported", "--json").json()

        assert direct["rows"] == imported["rows"]

    def test_word_that_is_no_view_lists_the_views(self, cli: Cli, logs: Path) -> None:
        result = cli("cost", "yearly", logs)

        assert result.code == 2
        assert "'yearly' is neither a view (daily, weekly, monthly, session, run," in result.err

    def test_default_is_where_the_logs_are(self, cli: Cli, logs: Path) -> None:
        assert cli("cost", "--json").json()["total"]["calls"] == 3

    def test_nothing_there_is_one_sentence(self, cli: Cli) -> None:
        result = cli("cost")

        assert result.code == 2
        assert "There are no logs in logs yet" in result.err

    def test_file_of_something_else_is_one_sentence(self, cli: Cli, tmp_path: Path) -> None:
        path = tmp_path / "notes.jsonl"
        path.write_text(json.dumps({"a": 1}) + "\n")

        result = cli("cost", path)

        assert result.code == 2
        assert result.err.count("\n") == 1
        assert "neither a step log nor a transcript" in result.err

    def test_missing_library_names_its_extra(
        self, cli: Cli, logs: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "genai_prices", None)

        result = cli("cost", logs)

        assert result.code == 2
        assert "pip install 'agent-step-log[cost]'" in result.err
