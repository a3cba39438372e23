"""`agent-step-log slow`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent_stack.conftest import Cli, WriteLog

AT_80 = """\
     MODEL OR TOOL  CALLS     P50     P95     P99     MAX  TOGETHER
  ◆  claude-x           3  400 ms  900 ms  900 ms  900 ms    1.55 s
  ●  list               1  350 ms  350 ms  350 ms  350 ms    350 ms
  ●  grep               1  300 ms  300 ms  300 ms  300 ms    300 ms
  ●  read_file          1  3.5 ms  3.5 ms  3.5 ms  3.5 ms    3.5 ms

     SLOWEST STEPS    TIME  RUN       STEP  AGENT   ENDED
  ◆  claude-x       900 ms  aaaa0001     2  -       2023-11-14
  ◆  claude-x       400 ms  bbbb0002     1  -       2023-11-14
  ●  list           350 ms  aaaa0001     6  helper  2023-11-14

  look at one  agent-step-log show logs aaaa0001 --step 2
"""


def tool(step: int, ms: float | None, name: str = "t", **more: Any) -> dict[str, Any]:
    keys = {"tool": name, "input": None, "output": None, "error": None, "duration_ms": ms}
    return {"type": "tool_call", "step": step, "at": float(step), **keys, **more}


class TestSlow:
    def test_shows_quantiles_and_the_slowest_steps(self, cli: Cli, logs: Path) -> None:
        result = cli("slow", "logs", "-n", "3", columns=80)
        assert (result.code, result.out, result.err) == (0, AT_80, "")

    def test_p95_is_a_duration_that_95_of_100_do_not_exceed(self, cli: Cli, write_log: WriteLog) -> None:
        log = write_log("a.jsonl", *(tool(n, float(n)) for n in range(1, 101)))
        [latency] = cli("slow", log, "--json").json()["latencies"]
        assert {name: latency[name] for name in ("p50_ms", "p95_ms", "p99_ms", "max_ms", "total_ms")} == {
            "p50_ms": 50,
            "p95_ms": 95,
            "p99_ms": 99,
            "max_ms": 100,
            "total_ms": 5050,
        }

    def test_what_was_not_measured_and_what_cannot_be_is_told_apart(
        self, cli: Cli, write_log: WriteLog
    ) -> None:
        log = write_log("a.jsonl", tool(1, 10.0), tool(2, None), tool(3, -5.0))
        shape = cli("slow", log, "--json").json()
        [latency] = shape["latencies"]
        assert (latency["calls"], latency["measured"], latency["backwards"], latency["p50_ms"]) == (
            3,
            1,
            1,
            10,
        )
        assert [step["step"] for step in shape["slowest"]] == [1]
        out = cli("slow", log).out
        assert "? 1 call has no duration: nobody measured it." in out
        assert "▲ 1 step that ended before it began" in out

    def test_a_tool_nobody_measured_shows_no_0(self, cli: Cli, write_log: WriteLog) -> None:
        assert cli("slow", write_log("a.jsonl", tool(1, None))).out.splitlines()[1].split()[3:] == ["?"] * 5

    def test_selects(self, cli: Cli, logs: Path) -> None:
        where = "type = 'tool_call' AND run.agent = 'researcher'"
        shape = cli("slow", logs, "--where", where, "-n", "0", "--json").json()
        assert [latency["name"] for latency in shape["latencies"]] == ["list", "grep", "read_file"]
        assert shape["slowest"] == []
        result = cli("slow", logs, "--since", "1d")
        assert (result.code, result.out) == (0, "")
        assert result.err == f"No such call of a model or a tool in {logs}.\n"

    def test_marks_durations_that_are_bounds(self, cli: Cli, write_log: WriteLog) -> None:
        log = write_log("a.jsonl", tool(1, 10.0), tool(2, 20.0, bounds={"duration_ms": "upper"}))
        _head, row, *rest = cli("slow", log).out.splitlines()
        assert row.split()[3:7] == ["≤10", "ms", "≤20", "ms"]
        assert "  ≤ some durations are bounds: ≥ at least, ≤ at most, ~ either way." in rest

    def test_fits_the_screen(self, cli: Cli, write_log: WriteLog) -> None:
        log = write_log("a.jsonl", tool(1, 1e9, "mcp__" + "x" * 90, agent="a" * 60), run_id="r" * 90)
        assert max(map(len, cli("slow", log, columns=80).out.splitlines()[:-2])) <= 80
