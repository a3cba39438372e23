"""The two examples of the article that started the project, run as it prints them."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

FIRST_BLOCK = """\
from agent_step_log import StepLog

log = StepLog(path="./logs/agent-steps.jsonl", run_id="run-abc123")

log.record_llm_call(
    model="claude-sonnet-4-6",
    input_tokens=1200,
    output_tokens=340,
    stop_reason="tool_use",
)

log.record_tool_call(
    tool="search_documents",
    input={"query": "Q3 revenue"},
    output={"results": [...]},
    duration_ms=240,
)

log.record_llm_call(
    model="claude-sonnet-4-6",
    input_tokens=1600,
    output_tokens=180,
    stop_reason="end_turn",
)

summary = log.summarize()
print(f"Steps: {summary.total_steps}")
print(f"Total tokens: {summary.total_tokens}")
print(f"Tool calls: {summary.tool_call_count}")
print(f"Duration: {summary.duration_ms}ms")
"""

#: The loop of the second example, with what it takes for granted: a model and a tool.
SECOND_BLOCK = """\
import time
from types import SimpleNamespace

answers = iter([("tool_use", 1200, 340), ("tool_use", 1500, 90), ("end_turn", 1600, 180)])

def call_llm(messages):
    stop_reason, tokens_in, tokens_out = next(answers)
    usage = SimpleNamespace(input_tokens=tokens_in, output_tokens=tokens_out)
    calls = [SimpleNamespace(name="divide", input={"by": 2 if len(messages) < 2 else 0})]
    return SimpleNamespace(model="claude-sonnet-4-6", usage=usage, stop_reason=stop_reason, tool_calls=calls)

def execute_tool(name, input):
    return 84 / input["by"]

from agent_run_id import RunContext
from agent_step_log import StepLog

def run_agent(task):
    ctx = RunContext.start()
    log = StepLog(path=f"./logs/{ctx.run_id}.jsonl", run_id=ctx.run_id)
    messages = [task]
    while True:
        start = time.monotonic()
        response = call_llm(messages)
        log.record_llm_call(
            model=response.model,
            input_tokens=response.usage.input_tokens,
            output_tokens=response.usage.output_tokens,
            stop_reason=response.stop_reason,
            duration_ms=int((time.monotonic() - start) * 1000),
        )
        if response.stop_reason == "end_turn":
            break
        for call in response.tool_calls:
            start = time.monotonic()
            try:
                result, error = execute_tool(call.name, call.input), None
            except Exception as e:
                result, error = None, str(e)
            log.record_tool_call(
                tool=call.name,
                input=call.input,
                output=result,
                error=error,
                duration_ms=int((time.monotonic() - start) * 1000),
            )
            messages.append(result)
    return log.summarize()

summary = run_agent("Halve eighty-four.")
print(summary.__dict__["run_id"], summary.__dict__)
import json
json.dumps(summary.__dict__)
"""


def run(code: str, directory: Path) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=directory, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout


class TestFirstBlock:
    def test_it_prints_what_the_article_prints(self, tmp_path: Path) -> None:
        lines = run(FIRST_BLOCK, tmp_path).splitlines()

        assert lines[:3] == ["Steps: 3", "Total tokens: 3320", "Tool calls: 1"]
        assert lines[3].startswith("Duration: ")
        assert lines[3].endswith("ms")
        assert lines[3][10:-2].isdigit()

    def test_its_log_has_the_keys_of_the_article_in_every_record(self, tmp_path: Path) -> None:
        run(FIRST_BLOCK, tmp_path)
        lines = (tmp_path / "logs" / "agent-steps.jsonl").read_text().splitlines()
        records = [record for record in map(json.loads, lines) if record["step"]]

        assert [record["type"] for record in records] == ["llm_call", "tool_call", "llm_call"]
        assert [record["step"] for record in records] == [1, 2, 3]
        assert {record["run_id"] for record in records} == {"run-abc123"}
        assert records[0].keys() == {
            *("run_id", "step", "type", "ts", "model"),
            *("input_tokens", "output_tokens", "stop_reason", "duration_ms"),
        }
        assert records[1].keys() == {
            *("run_id", "step", "type", "ts", "tool", "input", "output", "error", "duration_ms")
        }
        assert records[1]["output"] == {"results": ["..."]}
        assert records[1]["error"] is None

    def test_leaving_without_close_still_ends_the_run(self, tmp_path: Path) -> None:
        run(FIRST_BLOCK, tmp_path)
        last = (tmp_path / "logs" / "agent-steps.jsonl").read_text().splitlines()[-1]

        assert json.loads(last)["type"] == "run_end"
        assert json.loads(last)["status"] == "ok"


class TestSecondBlock:
    def test_it_runs_to_its_summary(self, tmp_path: Path) -> None:
        run_id, _, summary = run(SECOND_BLOCK, tmp_path).partition(" ")
        shown = eval(summary)  # printed by the line above it, as a dict

        assert shown["run_id"] == run_id
        assert shown["total_steps"] == 5
        assert shown["llm_call_count"] == 3
        assert shown["tool_call_count"] == 2
        assert shown["total_tokens"] == 1200 + 340 + 1500 + 90 + 1600 + 180
        assert shown["error_count"] == 1
        assert shown["duration_ms"] >= 0
        assert (tmp_path / "logs" / f"{run_id}.jsonl").exists()
