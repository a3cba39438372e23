"""`agent-step-log stats`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
