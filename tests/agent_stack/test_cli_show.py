"""`agent-step-log show`: the tree, one step, and the choice of the run."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from agent_step_log import Run
    from tests.agent_stack.conftest import Cli, WriteLog

TREE_80 = """\
✓ ok  researcher 1.2.0                      run_0193e2a51c4b7d3f9a6be1d2aaaa0001
────────────────────────────────────────────────────────────────────────────────
  started   2023-11-14 22:13:20 · 2.20 s
  task      explore · test
  steps     6: 2 model calls, 3 tool calls, 1 agent, 1 event, 1 error
  tokens    ≥1.2k in (≥1.0k read from cache) · ≥84 out · 1 call did not tell
  cut off   1 answer stopped by a length limit
  metadata  ticket=T-7

1 · user_message  Find the writer
2 ◆ claude-x  asks for read_file  “Opening it.”             1.2k → 84     900 ms
3 ✗ read_file  path=x.py                                                  3.5 ms
    MissingFileError: No such file: 'x.py'
    at app/tools.py:41 read_file ← app/agent.py:88 act
4 ▾ helper  look around → it is w.py                            ? → ?     900 ms
5‖├─● grep  write → w.py:3                                                300 ms
6‖├─● list  folder=. → [w.py]                                             350 ms
7 └─◆ claude-x  ▲ max_tokens                                    ? → ?     250 ms

  ‖ ran beside another step
"""

KILLED_80 = """\
▲ interrupted  deployer                     run_0193e2a51c4b7d3f9a6be1d2bbbb0002
────────────────────────────────────────────────────────────────────────────────
  started   2023-11-14 22:13:30 · 1.00 s
  steps     2: 1 model call, 1 unfinished
  tokens    10 in · 2 out

1 ◆ claude-x  tool_use                                         10 → 2     400 ms
2 ◌ deploy  to=prod
    ◌ in flight when the process died (begun 22:13:31)
"""

STEP_3 = """\
● step 3  tool_call  read_file  ✗ error
────────────────────────────────────────────────────────────────────────────────
  run         run_0193e2a51c4b7d3f9a6be1d2aaaa0001
  started     2023-11-14 22:13:21 · 3.5 ms

error
  app.errors.MissingFileError: No such file: 'x.py'
  2 frames of the traceback, outermost first
    /home/ann/app/agent.py:88 in act
      tool(**given)
    /home/ann/app/tools.py:41 in read_file
      open(path)

input
  {
    "path": "x.py"
  }
"""


def events(number: int, **more: Any) -> Any:
    return [
        {
            "type": "tool_call",
            "step": step,
            "tool": f"t{step}",
            "input": None,
            "output": None,
            "error": None,
            "duration_ms": 1,
            "at": step,
            **more,
        }
        for step in range(1, number + 1)
    ]


class TestTree:
    @pytest.mark.parametrize(("run", "drawn"), [("aaaa0001", TREE_80), ("bbbb0002", KILLED_80)])
    def test_is_drawn(self, cli: Cli, logs: Path, run: Run, drawn: str) -> None:
        assert cli("show", logs, run, columns=80).out == drawn

    @pytest.mark.parametrize("columns", [40, 60, 80, 120, 200])
    def test_no_line_is_wider_than_the_screen(self, cli: Cli, logs: Path, columns: int) -> None:
        lines = cli("show", logs, "aaaa0001", columns=columns).out.splitlines()
        assert max(map(len, lines)) <= columns

    def test_a_run_that_failed_says_why(self, cli: Cli, logs: Path) -> None:
        assert "  error     AuthError: no key\n" in cli("show", logs, "4711").out

    def test_errors_shows_what_failed_and_what_it_was_inside_of(self, cli: Cli, write_log: WriteLog) -> None:
        log = write_log(
            "a.jsonl",
            {
                "type": "agent_call",
                "step": 1,
                "agent": "outer",
                "input": None,
                "output": None,
                "error": None,
                "duration_ms": 1,
            },
            *[{**step, "step": step["step"] + 1, "parent": 1} for step in events(2)],
            {
                "type": "tool_call",
                "step": 4,
                "tool": "bad",
                "input": None,
                "output": None,
                "error": "no",
                "duration_ms": 1,
                "parent": 1,
            },
        )
        out = cli("show", log, "--errors").out
        assert "outer" in out
        assert "✗ bad" in out
        assert "t1" not in out

    def test_errors_of_a_run_without_any(self, cli: Cli, write_log: WriteLog) -> None:
        assert "no errors in this run" in cli("show", write_log("a.jsonl", *events(2)), "--errors").out

    def test_no_events_leaves_them_out(self, cli: Cli, logs: Path) -> None:
        assert "user_message" not in cli("show", logs, "aaaa0001", "--no-events").out.split("\n\n")[1]

    def test_full_prints_input_and_output_uncut(self, cli: Cli, write_log: WriteLog) -> None:
        log = write_log("a.jsonl", {**events(1)[0], "output": "first\n" + "x" * 500})
        assert "x" * 500 in cli("show", log, "--full", columns=80).out
        assert "x" * 500 not in cli("show", log, columns=80).out

    def test_a_long_run_shows_its_ends(self, cli: Cli, write_log: WriteLog) -> None:
        log = write_log("a.jsonl", *events(500), {**events(1)[0], "step": 501, "at": 250, "error": "no"})
        lines = cli("show", log).out.splitlines()
        [gap] = [line for line in lines if "more" in line]
        assert gap == "   ┄ … 321 steps more, 1 of them with errors (--errors) (--all)"
        assert len(lines) < 200
        assert "t250" in cli("show", log, "--all").out

    def test_events_of_one_name_in_a_row_share_a_line(self, cli: Cli, write_log: WriteLog) -> None:
        hooks = [{"type": "event", "step": step, "name": "hook", "data": {"n": step}} for step in (1, 2, 3)]
        log = write_log("a.jsonl", *hooks)
        assert "1-3 · hook ×3  n=1" in cli("show", log).out  # noqa: RUF001
        assert "  2 · hook  n=2" in cli("show", log, "--all").out.replace("\n2", "\n  2")

    def test_steps_of_one_writer_alone_do_not(self, cli: Cli, write_log: WriteLog) -> None:
        out = cli("show", write_log("a.jsonl", *({**each, "writer": "ab12cd34"} for each in events(2)))).out
        assert "ab12" not in out

    def test_steps_of_another_writer_carry_its_id(self, cli: Cli, write_log: WriteLog) -> None:
        forked = {**events(1)[0], "writer": "ab12cd34", "parent": 1, "parent_writer": "", "tool": "forked"}
        out = cli("show", write_log("a.jsonl", *events(1), forked)).out
        assert "ab12:1 └─● forked" in out
        assert "another process that wrote to this run" in out

    def test_child_runs_are_noted(self, cli: Cli, write_log: WriteLog, tmp_path: Path) -> None:
        write_log("d/a.jsonl", *events(1))
        child = {"type": "run_start", "format": 1, "agent": "kid", "parent_run_id": "run-a", "parent_step": 1}
        write_log("d/b.jsonl", child, run_id="run-b")
        assert "↳ child run run-b ▲ kid · 0 steps (from step 1)" in cli("show", tmp_path / "d", "run-a").out
        assert "child of  run-a, step 1" in cli("show", tmp_path / "d", "run-b").out

    def test_bounds_are_marked(self, cli: Cli, write_log: WriteLog) -> None:
        call = {
            "type": "llm_call",
            "step": 1,
            "model": "m",
            "input_tokens": 5,
            "output_tokens": 2,
            "stop_reason": None,
        }
        log = write_log(
            "a.jsonl",
            {**call, "duration_ms": 9, "bounds": {"output_tokens": "lower", "duration_ms": "upper"}},
        )
        assert "5 → ≥2    ≤9.0 ms" in cli("show", log).out

    def test_an_agent_sums_the_tokens_of_what_is_below_it(self, cli: Cli, write_log: WriteLog) -> None:
        call = {
            "type": "llm_call",
            "model": "m",
            "input_tokens": 100,
            "output_tokens": 7,
            "stop_reason": "x",
            "duration_ms": 1,
        }
        scope = {
            "type": "agent_call",
            "agent": "a",
            "input": None,
            "output": None,
            "error": None,
            "duration_ms": 1,
        }
        log = write_log(
            "a.jsonl",
            {**scope, "step": 1},
            {**scope, "step": 2, "parent": 1},
            {**call, "step": 3, "parent": 2},
            {**call, "step": 4, "parent": 1},
            {**call, "step": 5, "parent": 1, "output_tokens": None},
        )
        lines = cli("show", log).out.splitlines()
        assert "300 → ≥14" in next(line for line in lines if line.startswith("1 ▾"))
        assert "100 → 7" in next(line for line in lines if "2 ├─▾" in line)

    def test_a_forged_chain_of_steps_is_drawn_in_bounded_width(self, cli: Cli, write_log: WriteLog) -> None:
        chain = [{**step, "parent": step["step"] - 1} for step in events(150)]
        lines = cli("show", write_log("a.jsonl", *chain), columns=80).out.splitlines()
        assert max(map(len, lines)) <= 80

    def test_whoever_is_still_running_is_said_so(self, cli: Cli, tmp_path: Path) -> None:
        from agent_step_log import StepLog

        with StepLog(tmp_path / "a.jsonl") as log, log.tool_call("busy"):
            out = cli("show", "a.jsonl").out
            assert out.startswith("▶ running")
            assert "▶ in flight now (begun " in out


class TestStep:
    def test_is_printed_in_full(self, cli: Cli, logs: Path) -> None:
        assert cli("show", logs, "aaaa0001", "--step", "3", columns=80).out == STEP_3

    def test_of_one_plain_file_is_found_without_reading_it(
        self, cli: Cli, logs: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import agent_step_log

        monkeypatch.setattr(agent_step_log, "read_run", None)
        assert cli("show", logs / "a.jsonl", "--step", "3", columns=80).out == STEP_3

    def test_of_a_compressed_file(self, cli: Cli, logs: Path) -> None:
        packed = logs / "a.jsonl.gz"
        packed.write_bytes(gzip.compress((logs / "a.jsonl").read_bytes()))
        assert cli("show", packed, "--step", "3", columns=80).out == STEP_3

    def test_tells_what_was_in_flight(self, cli: Cli, logs: Path) -> None:
        assert "in flight when the process died" in cli("show", logs, "bbbb0002", "--step", "2").out

    def test_of_another_writer_is_named_with_it(self, cli: Cli, write_log: WriteLog) -> None:
        forked = {**events(1)[0], "writer": "ab12cd34", "tool": "forked"}
        log = write_log("a.jsonl", *events(1), forked)
        assert "step 1  tool_call  forked" in cli("show", log, "--step", "ab12:1").out
        assert "step 1  tool_call  t1" in cli("show", log, "--step", "1").out

    def test_as_json_keeps_the_records_as_written(self, cli: Cli, logs: Path) -> None:
        step = cli("show", logs, "aaaa0001", "--step", "3", "--json").json()
        assert step["start"]["type"] == "step_start"
        assert step["end"]["error_type"] == "app.errors.MissingFileError"
        assert (step["step"], step["writer"]) == (3, None)

    def test_keys_of_later_versions_are_shown(self, cli: Cli, write_log: WriteLog) -> None:
        log = write_log("a.jsonl", {**events(1)[0], "verdict": {"score": 3}})
        assert 'other keys\n  {\n    "verdict"' in cli("show", log, "--step", "1").out

    @pytest.mark.parametrize(
        ("step", "sentence"),
        [
            ("99", "Run run_0193e2a51c4b7d3f9a6be1d2aaaa0001 has no step 99."),
            ("x", "--step takes a number, or WRITER:NUMBER, and not 'x'."),
            (":3", "--step takes a number, or WRITER:NUMBER, and not ':3'."),
            ("zz:3", "Run run_0193e2a51c4b7d3f9a6be1d2aaaa0001 has no step zz:3."),
        ],
    )
    def test_one_that_is_not_there_is_one_sentence(
        self, cli: Cli, logs: Path, step: str, sentence: str
    ) -> None:
        result = cli("show", logs, "aaaa0001", "--step", step)
        assert (result.code, result.err) == (2, f"agent-step-log: {sentence}\n")


BOTH = "run_0193e2a51c4b7d3f9a6be1d2aaaa0001, run_0193e2a51c4b7d3f9a6be1d2bbbb0002"


class TestWhichRun:
    def test_the_last_one_started(self, cli: Cli, logs: Path) -> None:
        assert cli("show", logs, "--json").json()["run"]["run_id"] == "nightly-eval/support-4711"

    def test_one_argument_that_is_no_path_is_a_run_here(self, cli: Cli, logs: Path) -> None:
        assert cli("show", "aaaa0001", columns=80).out == TREE_80

    def test_an_id_with_slashes_is_given_with_its_source(self, cli: Cli, logs: Path) -> None:
        assert cli("show", logs, "nightly-eval/support-4711").code == 0

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (("logs", "nope"), "logs: no run 'nope' in it; `agent-step-log ls` shows the runs."),
            (
                ("logs", "run_0193"),
                f"logs: 2 runs match 'run_0193': {BOTH}; give more of the id.",
            ),
            (
                ("logs", "aaaa0003"),
                "logs: no run 'aaaa0003' in it; the nearest: run_0193e2a51c4b7d3f9a6be1d2aaaa0001.",
            ),
            (("nope/x",), "nope/x: no such file or directory."),
            (("logs", "a\0b"), "logs: no run 'a\\x00b' in it; `agent-step-log ls` shows the runs."),
        ],
    )
    def test_one_that_is_not_there_is_one_sentence(
        self, cli: Cli, logs: Path, arguments: tuple[str, ...], sentence: str
    ) -> None:
        result = cli("show", *arguments)
        assert (result.code, result.out, result.err) == (2, "", f"agent-step-log: {sentence}\n")

    def test_neither_path_nor_logs_to_have_it(self, cli: Cli) -> None:
        assert cli("show", "aaaa").err == (
            "agent-step-log: aaaa is no file or directory, "
            "and there are no logs in logs to have such a run.\n"
        )

    def test_an_empty_file_has_no_run_to_show(self, cli: Cli, tmp_path: Path) -> None:
        (tmp_path / "e.jsonl").touch()
        assert cli("show", "e.jsonl").err == "agent-step-log: e.jsonl: no run in it.\n"


class TestJson:
    def test_holds_the_run_its_steps_and_the_records_as_written(self, cli: Cli, logs: Path) -> None:
        shape = cli("show", logs, "aaaa0001", "--json").json()
        assert list(shape) == ["run", "headers", "end", "steps", "child_runs", "damage"]
        assert [step["step"] for step in shape["steps"]] == [1, 2, 3, 4, 5, 6, 7]
        assert shape["steps"][4] == {
            "step": 5,
            "writer": None,
            "type": "tool_call",
            "name": "grep",
            "status": "ok",
            "depth": 1,
            "started": 1_700_000_001.2,
            "duration_ms": 300.0,
            "start": shape["steps"][4]["start"],
            "end": shape["steps"][4]["end"],
        }

    def test_numbers_keep_their_digits(self, cli: Cli, tmp_path: Path) -> None:
        head = '{"run_id":"r","step":1,"type":"event","ts":1.0,"name":"n","data":'
        (tmp_path / "a.jsonl").write_text(head + "123456789012345678901234567890.10}\n")
        assert "123456789012345678901234567890.10}" in cli("show", "a.jsonl", "--json").out
        json.loads(cli("show", "a.jsonl", "--json").out)
