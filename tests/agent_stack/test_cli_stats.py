"""`agent-step-log stats`."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from agent_stack._queries.groups import DIMENSIONS
from agent_stack._when import parse_when

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent_stack.conftest import Cli, WriteLog

AT_80 = """\
  runs          3   ✓ 1 ok   ✗ 1 error   ▲ 1 interrupted
  run time      P50 1.00 s   P95 2.20 s   max 2.20 s
  steps         8   3 model calls, 3 tool calls, 1 agent, 1 unfinished
  events        1
  tokens in     ≥1.2k   of it ≥1.0k read from cache
  tokens out    ≥86
  errors        1
  stop reasons  tool_use 2 · max_tokens 1   ▲ 1 answer cut off by a length limit

  MODEL     CALLS  ERR     IN  OUT     P50     P95     MAX
  claude-x      3    -  ≥1.2k  ≥86  402 ms  900 ms  900 ms

  TOOL       CALLS  ERR     P50     P95     MAX
  grep           1    -  300 ms  300 ms  300 ms
  list           1    -  350 ms  350 ms  350 ms
  read_file      1    1  3.5 ms  3.5 ms  3.5 ms

  AGENT   CALLS  ERR     P50     P95     MAX
  helper      1    -  900 ms  900 ms  900 ms

  SLOWEST RUNS  STATUS         AGENT       STEPS    TIME
  aaaa0001      ✓ ok           researcher      6  2.20 s
  bbbb0002      ▲ interrupted  deployer        2  1.00 s
  support-4711  ✗ error        researcher      0  500 ms

  ? 1 model call did not tell its usage: token sums hold the others only.
"""


def call(step: int, **more: Any) -> Any:
    return {
        "type": "llm_call",
        "step": step,
        "model": "m",
        "input_tokens": 10,
        "output_tokens": 5,
        "stop_reason": "end_turn",
        "duration_ms": 100,
        **more,
    }


class TestStats:
    def test_adds_everything_up(self, cli: Cli, logs: Path) -> None:
        result = cli("stats", logs, columns=80)
        assert result.out == AT_80
        assert result.code == 0

    def test_json_is_one_object_with_the_same_numbers(self, cli: Cli, logs: Path) -> None:
        shape = cli("stats", logs, "--json").json()
        assert shape["runs"] == 3
        assert shape["by_status"] == {"ok": 1, "error": 1, "interrupted": 1}
        assert (shape["input_tokens"], shape["bounds"]["input_tokens"]) == (1210, "lower")
        assert shape["run_duration_ms"] == {"p50": 1000, "p95": 2200, "max": 2200}
        assert shape["stop_reasons"] == {"tool_use": 2, "max_tokens": 1}
        assert shape["tools"]["read_file"]["errors"] == 1
        assert [run["duration_ms"] for run in shape["slowest_runs"]] == [2200, 1000, 500]
        assert shape["damage"] == []

    def test_agrees_with_summarize(self, cli: Cli, logs: Path) -> None:
        from dataclasses import asdict

        from agent_step_log import summarize

        shape = cli("stats", logs, "--json").json()
        expected = asdict(summarize(logs))
        del expected["run_id"]
        assert {key: shape[key] for key in expected} == expected

    def test_tokens_nobody_told_are_not_known(self, cli: Cli, write_log: WriteLog) -> None:
        log = write_log("a.jsonl", call(1, input_tokens=None, output_tokens=None))
        out = cli("stats", log).out
        assert "tokens in     ?" in out
        assert out.splitlines()[9].split()[3:5] == ["?", "?"]
        assert cli("stats", log, "--json").json()["total_tokens"] is None

    def test_durations_of_runs_nobody_timed_are_not_known(self, cli: Cli, write_log: WriteLog) -> None:
        untimed = {"at": 5.0, "duration_ms": None}
        log = write_log("logs/a.jsonl", call(1, **untimed), call(2, **untimed), run_id="untimed")
        assert "run time      P50 ?   P95 ?   max ?\n" in cli("stats", log).out
        write_log("logs/b.jsonl", call(1, at=5.0), call(2, at=7.0), run_id="timed")
        told = cli("stats", log.parent, "--json").json()
        assert told["run_duration_ms"] == {"p50": 2000.0, "p95": 2000.0, "max": 2000.0}
        assert [run["run_id"] for run in told["slowest_runs"]] == ["timed"]
        [group] = cli("stats", log.parent, "--by", "task", "--json").json()["groups"]
        assert group["run_duration_ms"]["p50"] == 2000.0

    def test_sums_of_a_transcript_keep_its_bounds(self, cli: Cli, write_log: WriteLog) -> None:
        totals = {"input_tokens": 10, "output_tokens": 5, "bounds": {"output_tokens": "lower"}}
        end = {"type": "run_end", "status": "ok", "totals": totals}
        one = write_log("d/a.jsonl", call(1, bounds={"output_tokens": "lower"}), end)
        write_log("d/b.jsonl", call(1), {"type": "run_end", "status": "ok"}, run_id="run-b")
        out = cli("stats", one.parent).out
        assert "tokens in     20" in out
        assert "tokens out    ≥10" in out
        assert "≥ 1 record with figures that are bounds: ≥ at least, ≤ at most, ~ either way." in out

    def test_bounds_both_ways_are_marked_as_such(self, cli: Cli, write_log: WriteLog) -> None:
        for name, side in (("a", "lower"), ("b", "upper")):
            end = {"type": "run_end", "status": "ok", "totals": {"bounds": {"output_tokens": side}}}
            write_log(f"d/{name}.jsonl", call(1), end, run_id=f"run-{name}")
        assert "tokens out    ~10" in cli("stats", "d").out

    def test_an_empty_log(self, cli: Cli, tmp_path: Path) -> None:
        (tmp_path / "e.jsonl").touch()
        result = cli("stats", "e.jsonl")
        assert (result.code, result.out, result.err) == (0, "", "No run in e.jsonl.\n")
        assert cli("stats", "e.jsonl", "--json").json()["runs"] == 0

    def test_many_tools_are_cut_with_a_word(self, cli: Cli, write_log: WriteLog) -> None:
        tools = [
            {
                "type": "tool_call",
                "step": n,
                "tool": f"t{n}",
                "input": None,
                "output": None,
                "error": None,
                "duration_ms": 1,
            }
            for n in range(1, 31)
        ]
        assert "… 10 more (--json)" in cli("stats", write_log("a.jsonl", *tools)).out

    def test_impossible_counts_are_flagged_and_in_no_sum(self, cli: Cli, write_log: WriteLog) -> None:
        log = write_log(
            "a.jsonl", call(1), call(2, input_tokens=-5), call(3, output_tokens=10**12, cache_read_tokens=-1)
        )
        result = cli("stats", log)
        assert "tokens in     ≥20" in result.out
        assert "tokens out    ≥10" in result.out
        assert (
            "▲ 2 model calls with impossible token counts: in no sum (below 0, or over 1.0G)." in result.out
        )
        shape = cli("stats", log, "--json").json()
        assert (shape["input_tokens"], shape["output_tokens"], shape["total_tokens"]) == (20, 10, 30)
        assert shape["models"]["m"]["output_tokens"] == 10
        assert (shape["impossible_count"], shape["backwards_count"]) == (2, 0)

    def test_a_clock_that_went_back_is_flagged(self, cli: Cli, write_log: WriteLog) -> None:
        log = write_log("a.jsonl", call(1), call(2, duration_ms=-3600000.0))
        out = cli("stats", log).out
        assert "1 step that ended before it began: the clock was set back, and no quantile has it.\n" in out
        assert cli("stats", log, "--json").json()["models"]["m"]["max_ms"] == 100

    def test_figures_that_are_the_providers_own_are_left_alone(self, cli: Cli, write_log: WriteLog) -> None:
        log = write_log("a.jsonl", call(1, usage={"input_tokens": -1, "total_tokens": 10**12}))
        shape = cli("stats", log, "--json").json()
        assert (shape["impossible_count"], shape["bounds"]) == (0, {})


def sent(step: int, model: str, into: int | None, out: int | None, **more: Any) -> Any:
    return call(step, model=model, input_tokens=into, output_tokens=out, **more)


def used(step: int, tool: str, ms: float, error: str | None = None, **more: Any) -> Any:
    keys = {"tool": tool, "input": None, "output": None, "error": error, "duration_ms": ms}
    return {"type": "tool_call", "step": step, **keys, **more}


def head(**more: Any) -> Any:
    gone = {"pid": 1, "host": "elsewhere", "boot_id": "b", "started": 1.0}
    return {"type": "run_start", "format": 1, "agent": "coder", "process": gone, **more}


END = {"type": "run_end", "status": "ok"}
DAY = 86_400


@pytest.fixture
def fleet(write_log: WriteLog, tmp_path: Path) -> Path:
    """Four runs of two tasks on two days, one of them failed at once."""
    write_log(
        "f/a.jsonl",
        head(task_type="fix", environment="ci", agent_version="1"),
        sent(1, "big", 1000, 50, at=1.0, cache_read_tokens=800),
        used(2, "bash", 100.0, at=1.2),
        sent(3, "big", 2000, 70, at=3.0, stop_reason="max_tokens"),
        used(4, "bash", 900.0, "boom", at=4.0, error_type="OSError"),
        {**END, "at": 4.0},
        run_id="run-a",
    )
    write_log(
        "f/b.jsonl",
        head(task_type="fix", environment="prod", agent_version="2", at=DAY),
        sent(1, "small", None, None, at=DAY + 1.0),
        used(2, "read", 5.0, at=DAY + 1.5, agent="helper"),
        {**END, "at": DAY + 10.0},
        run_id="run-b",
    )
    write_log(
        "f/c.jsonl",
        head(task_type="ask", environment="prod", agent_version="2", at=DAY),
        sent(1, "small", 10, 5, at=DAY + 0.5),
        {**END, "at": DAY + 1.0},
        run_id="run-c",
    )
    write_log(
        "f/d.jsonl",
        head(task_type="ask", at=DAY),
        {"type": "run_end", "status": "error", "error": "no key", "at": DAY + 0.1},
        run_id="run-d",
    )
    return tmp_path / "f"


class TestBy:
    def groups(self, cli: Cli, *arguments: Any) -> dict[Any, Any]:
        shape = cli("stats", *arguments, "--json").json()
        by = shape["by"]
        return {
            tuple(group[name] for name in by) if len(by) > 1 else group[by[0]]: group
            for group in shape["groups"]
        }

    def test_task_tells_which_kind_of_run_is_expensive(self, cli: Cli, fleet: Path) -> None:
        groups = self.groups(cli, fleet, "--by", "task")
        assert list(groups) == ["fix", "ask"]
        fix, ask = groups.values()
        assert (fix["runs"], fix["failed_runs"], fix["llm_calls"], fix["tool_calls"]) == (2, 0, 3, 3)
        assert (fix["input_tokens"], fix["output_tokens"], fix["bounds"]["input_tokens"]) == (
            3000,
            120,
            "lower",
        )
        assert fix["run_duration_ms"] == {"p50": 4000, "p95": 10_000, "max": 10_000}
        assert (fix["errors"], fix["truncated"], fix["unknown_usage"]) == (1, 1, 1)
        assert (ask["runs"], ask["failed_runs"], ask["input_tokens"], ask["bounds"]) == (2, 1, 10, {})

    def test_tool_tells_the_p95_of_each(self, cli: Cli, fleet: Path) -> None:
        groups = self.groups(cli, fleet, "--by", "tool")
        assert {name: (each["calls"], each["p95_ms"]) for name, each in groups.items()} == {
            "bash": (2, 900),
            "read": (1, 5),
        }
        assert groups["bash"]["errors"] == 1

    def test_model_never_shows_0_for_what_nobody_told(self, cli: Cli, fleet: Path) -> None:
        groups = self.groups(cli, fleet, "--by", "model", "--where", "run_id = 'run-b'")
        assert (groups["small"]["input_tokens"], groups["small"]["output_tokens"]) == (None, None)
        row = cli("stats", fleet, "--by", "model", "--where", "run_id = 'run-b'").out.splitlines()[1]
        assert row.split()[:5] == ["small", "1", "1", "?", "?"]

    def test_day_is_local_and_in_order(self, cli: Cli, fleet: Path) -> None:
        groups = self.groups(cli, fleet, "--by", "day")
        assert [(day, each["runs"]) for day, each in groups.items()] == [("2023-11-14", 1), ("2023-11-15", 3)]

    def test_agent_is_the_steps_own_else_that_of_its_run(self, cli: Cli, fleet: Path) -> None:
        groups = self.groups(cli, fleet, "--by", "agent")
        assert {name: each["tool_calls"] for name, each in groups.items()} == {"coder": 2, "helper": 1}

    def test_a_run_that_does_not_say_is_a_group_too(self, cli: Cli, fleet: Path) -> None:
        groups = self.groups(cli, fleet, "--by", "env,version")
        assert list(groups) == [("ci", "1"), ("prod", "2"), (None, None)]

    def test_several_at_once(self, cli: Cli, fleet: Path) -> None:
        groups = self.groups(cli, fleet, "--by", "day,task")
        runs = {("2023-11-14", "fix"): 1, ("2023-11-15", "ask"): 2, ("2023-11-15", "fix"): 1}
        assert {key: each["runs"] for key, each in groups.items()} == runs
        assert self.groups(cli, fleet, "--by", "day", "--by", "task").keys() == groups.keys()

    def test_total_counts_a_run_once(self, cli: Cli, fleet: Path) -> None:
        shape = cli("stats", fleet, "--by", "agent", "--json").json()
        assert sum(group["runs"] for group in shape["groups"]) == 5
        assert shape["total"]["runs"] == 4
        assert cli("stats", fleet, "--by", "agent").out.splitlines()[-1 - 2].split()[:2] == ["total", "4"]

    @pytest.mark.parametrize("by", ["task,env,version", "day,model"])
    def test_fits_the_screen(self, cli: Cli, fleet: Path, by: str) -> None:
        result = cli("stats", fleet, "--by", by, columns=80)
        assert (result.code, result.err) == (0, "")
        assert max(map(len, result.out.splitlines())) <= 80


class TestAgreement:
    """The engine counts what folding counts."""

    EXACT = (
        "runs", "by_status", "total_steps", "llm_call_count", "tool_call_count", "agent_call_count",
        "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens",
        "total_tokens", "error_count", "unfinished_count", "truncated_count", "unknown_usage_count",
        "stop_reasons", "run_duration_ms", "duration_ms", "slowest_runs", "bounds",
        "impossible_count", "backwards_count",
    )  # fmt: skip

    @pytest.mark.parametrize("source", ["logs", "fleet"])
    def test_with_plain_stats(self, cli: Cli, logs: Path, fleet: Path, source: str) -> None:
        place = logs if source == "logs" else fleet
        plain = cli("stats", place, "--json").json()
        asked = cli("stats", place, "--where", "true", "--json").json()
        assert {name: asked[name] for name in self.EXACT} == {name: plain[name] for name in self.EXACT}
        for kind in ("models", "tools", "agents"):
            assert asked[kind].keys() == plain[kind].keys()
            for name, group in plain[kind].items():
                for key, value in group.items():
                    assert asked[kind][name][key] == pytest.approx(value, rel=0.01), (kind, name, key)

    def test_of_impossible_figures(self, cli: Cli, write_log: WriteLog) -> None:
        log = write_log(
            "a.jsonl", call(1), call(2, input_tokens=-5), call(3, output_tokens=10**12, duration_ms=-1)
        )
        plain = cli("stats", log, "--json").json()
        asked = cli("stats", log, "--where", "true", "--json").json()
        assert {name: asked[name] for name in self.EXACT} == {name: plain[name] for name in self.EXACT}
        total = cli("stats", log, "--by", "model", "--json").json()["total"]
        assert (total["impossible"], total["backwards"]) == (2, 1)


class TestSelection:
    def runs(self, cli: Cli, *arguments: Any) -> Any:
        return cli("stats", *arguments, "--json").json()["runs"]

    def test_since_and_until_take_what_ended_in_between(self, cli: Cli, fleet: Path) -> None:
        assert self.runs(cli, fleet, "--since", "2023-11-15", "--until", "2023-11-15") == 3
        assert self.runs(cli, fleet, "--until", "2023-11-14") == 1

    def test_where_is_of_steps_and_of_their_run(self, cli: Cli, fleet: Path) -> None:
        assert self.runs(cli, fleet, "--where", "run.status = 'error'") == 1
        assert self.runs(cli, fleet, "--where", "model = 'small' AND run.environment = 'prod'") == 2

    def test_a_comment_ends_with_the_condition(self, cli: Cli, fleet: Path) -> None:
        assert self.runs(cli, fleet, "--where", "tool = 'bash' -- the shell") == 1

    def test_nothing_chosen_is_said_beside_the_output(self, cli: Cli, fleet: Path) -> None:
        result = cli("stats", fleet, "--where", "model = 'none'")
        assert (result.code, result.out, result.err) == (0, "", f"No such run in {fleet}.\n")
        assert cli("stats", fleet, "--where", "false", "--by", "day").err == f"No such run in {fleet}.\n"


class TestBadInput:
    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["--by", "moon"], f"Invalid value for '--by': 'moon' is none of {', '.join(DIMENSIONS)}."),
            (["--by", "model,tool"], "Invalid value for '--by': a call is of a model or of a tool"),
            (["--since", "soon"], "Invalid value for '--since': 'soon' is no time: give a date"),
            (
                ["--where", "run.statuz = 'ok'"],
                "--where: runs have no column statuz; did you mean run.status",
            ),
        ],
    )
    def test_is_one_sentence(self, cli: Cli, fleet: Path, arguments: list[str], sentence: str) -> None:
        result = cli("stats", fleet, *arguments)
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith(f"agent-step-log: {sentence}")

    def test_a_mistake_in_a_condition_is_shown_in_its_place(self, cli: Cli, fleet: Path) -> None:
        result = cli("stats", fleet, "--where", "modle = 'big'")
        assert result.code == 2
        line, caret, sentence = result.err.splitlines()
        assert line.strip() == "modle = 'big'"
        assert line.index("modle") == caret.index("^")
        assert "modle" in sentence
        assert "model" in sentence

    @pytest.mark.parametrize(
        ("condition", "sentence"),
        [
            ("tool = ", '--where is no whole condition: syntax error at or near ")".'),
            (
                "tool IN (FROM read_text('/etc/passwd'))",
                "--where: The query reaches outside the logs, which is not allowed.",
            ),
        ],
    )
    def test_a_condition_that_is_none(self, cli: Cli, fleet: Path, condition: str, sentence: str) -> None:
        result = cli("stats", fleet, "--where", condition)
        assert (result.code, result.err) == (2, f"agent-step-log: {sentence}\n")

    def test_a_directory_without_a_log(self, cli: Cli, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        result = cli("stats", "empty", "--by", "day")
        assert result.code == 2
        assert result.err.startswith("agent-step-log: empty: no log in this directory")


class TestWithoutTheExtra:
    @pytest.fixture(autouse=True)
    def _no_engine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "duckdb", None)

    def test_plain_stats_and_find_work(self, cli: Cli, logs: Path) -> None:
        assert cli("stats", logs).code == 0
        assert cli("find", "x.py", logs).code == 0

    @pytest.mark.parametrize(
        "arguments",
        [("stats", "--by", "day"), ("stats", "--since", "7d"), ("slow",), ("errors",), ("truncated",)],
    )
    def test_the_others_say_what_to_install(self, cli: Cli, logs: Path, arguments: tuple[str, ...]) -> None:
        result = cli(*arguments, logs)
        assert (result.code, result.out) == (2, "")
        assert "pip install 'agent-step-log[query]'" in result.err
        assert result.err.count("\n") == 1


class TestWhen:
    NOW = 1_777_640_400.0  # 2026-05-01 13:00:00 UTC

    @pytest.mark.parametrize(
        ("text", "since", "until"),
        [
            ("2026-05-01", "2026-05-01T00:00", "2026-05-02T00:00"),
            ("2026-02", "2026-02-01T00:00", "2026-03-01T00:00"),
            ("2026-12", "2026-12-01T00:00", "2027-01-01T00:00"),
            ("today", "2026-05-01T00:00", "2026-05-02T00:00"),
            ("Yesterday", "2026-04-30T00:00", "2026-05-01T00:00"),
            ("now", "2026-05-01T13:00", "2026-05-01T13:00"),
            ("7d", "2026-04-24T13:00", "2026-04-24T13:00"),
            ("90m", "2026-05-01T11:30", "2026-05-01T11:30"),
            ("2w", "2026-04-17T13:00", "2026-04-17T13:00"),
            ("2026-05-01 12:30", "2026-05-01T12:30", "2026-05-01T12:30"),
            ("2026-05-01T12:30:15z", "2026-05-01T12:30:15", "2026-05-01T12:30:15"),
            ("2026-05-01T12:30+02:00", "2026-05-01T10:30", "2026-05-01T10:30"),
        ],
    )
    def test_reads(self, text: str, since: str, until: str) -> None:
        for is_end, expected in ((False, since), (True, until)):
            moment = datetime.fromisoformat(expected).replace(tzinfo=UTC).timestamp()
            assert parse_when(text, now=self.NOW, is_end=is_end) == moment

    def test_a_day_is_as_long_as_the_zone_has_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        start = parse_when("2026-03-29", now=self.NOW)
        assert parse_when("2026-03-29", now=self.NOW, is_end=True) - start == 23 * 3600

    @pytest.mark.parametrize(
        "text", ["", "soon", "2026-13", "2026-02-30", "7x", "-7d", "2026-05-01T25:00", "1e9d", "9999999w"]
    )
    def test_says_what_would_be_a_time(self, text: str) -> None:
        with pytest.raises(ValueError, match="is no time: give a date"):
            parse_when(text, now=self.NOW)
