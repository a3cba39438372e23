"""`agent-step-log truncated`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent_stack._queries.truncated import TOO_LONG
from agent_step_log.limits import CUT_OFF, WINDOW_FULL

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent_stack.conftest import Cli, WriteLog


def call(step: int, stop: str | None = "end_turn", **more: Any) -> dict[str, Any]:
    keys = {"model": "m", "input_tokens": 10, "output_tokens": 5, "duration_ms": 1.0, "stop_reason": stop}
    return {"type": "llm_call", "step": step, "at": float(step), **keys, **more}


REFUSED = (
    "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000.",
    "Error code: 400 - {'code': 'context_length_exceeded'}",
    "Your input exceeds the context window of this model.",
    "prompt is too long: 201234 tokens > 200000 maximum",
    "Input is too long for requested model.",
    "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    "too many tokens: total number of tokens in the prompt cannot exceed 4081",
)


class TestTruncated:
    def test_lists_the_runs_that_met_a_limit(self, cli: Cli, logs: Path) -> None:
        result = cli("truncated", logs, columns=80)
        assert (result.code, result.err) == (0, "")
        head, row, blank, total, hint = result.out.splitlines()
        assert head.split()[:2] == ["RUN", "STARTED"]
        expected = "aaaa0001 2023-11-14 explore 1 of 2 max_tokens claude-x ? ? 7"
        assert row.split() == expected.split()
        assert (blank, total) == ("", "▲ 1 model call in 1 run met a length limit")
        assert hint == f"  look at one  agent-step-log show {logs} aaaa0001 --step 7"

    def test_knows_the_word_of_every_provider(self, cli: Cli, write_log: WriteLog) -> None:
        full = [*WINDOW_FULL, *map(str.upper, WINDOW_FULL)]
        words = [*CUT_OFF, *map(str.upper, CUT_OFF), *full]
        for place, word in enumerate(words):
            write_log(f"d/{place}.jsonl", call(1, word), call(2), run_id=word)
        found = {run["run_id"]: run for run in cli("truncated", "d", "--json").json_lines()}
        assert found.keys() == set(words)
        for word, run in found.items():
            assert (run["hits"], run["llm_calls"], run["stop_reasons"], run["first_step"]) == (
                1,
                2,
                [word],
                1,
            )
            assert run["kinds"] == ["window full" if word in full else "cut off"]

    def test_knows_a_prompt_that_was_refused_for_its_length(self, cli: Cli, write_log: WriteLog) -> None:
        for place, message in enumerate(REFUSED):
            keys = {"input_tokens": None, "output_tokens": None, "error": message}
            write_log(f"d/{place}.jsonl", call(1, None, **keys), run_id=message)
        found = cli("truncated", "d", "--json").json_lines()
        assert {run["run_id"] for run in found} == set(REFUSED)
        assert all((run["kinds"], run["most_input_tokens"]) == (["too long"], None) for run in found)

    def test_other_reasons_and_errors_are_no_limit(self, cli: Cli, write_log: WriteLog) -> None:
        reasons = ("end_turn", "stop", "tool_use", "content_filter", "refusal", None)
        calls = [call(step, reason) for step, reason in enumerate(reasons, 1)]
        log = write_log("a.jsonl", *calls, call(9, None, error="429 rate limit: try again later"))
        result = cli("truncated", log)
        assert (result.code, result.out, result.err) == (0, "", f"No such run met a length limit in {log}.\n")

    def test_the_latest_run_first_and_only_what_is_selected(self, cli: Cli, write_log: WriteLog) -> None:
        for place, name in enumerate("abcd"):
            write_log(f"d/{name}.jsonl", call(1, "length", at=place * 86_400.0, model=name), run_id=name)
        selected = cli("truncated", "d", "--since", "2023-11-15", "--where", "model <> 'c'", "--json")
        assert [run["run_id"] for run in selected.json_lines()] == ["d", "b"]

    def test_agrees_with_the_count_of_stats(self, cli: Cli, write_log: WriteLog) -> None:
        known = ("max_tokens", "length", "MAX_TOKENS", "max_output_tokens", "model_length", "end_turn")
        log = write_log("a.jsonl", *(call(n, reason) for n, reason in enumerate(known, 1)))
        assert cli("truncated", log, "--json").json()["hits"] == 5
        assert cli("stats", log, "--json").json()["truncated_count"] == 5

    def test_every_reason_is_in_the_docs(self) -> None:
        from pathlib import Path

        page = (Path(__file__).parents[2] / "docs" / "questions.md").read_text(encoding="utf-8")
        for reason, who in {**CUT_OFF, **WINDOW_FULL}.items():
            assert f"| `{reason}` | {who} |" in page
        for who in TOO_LONG.values():
            assert who in page

    def test_fits_the_screen(self, cli: Cli, write_log: WriteLog) -> None:
        log = write_log(
            "a.jsonl", call(1, "length", model="m" * 90), call(2, "model_length"), run_id="r" * 90
        )
        lines = cli("truncated", log, columns=80).out.splitlines()
        assert max(map(len, lines[:-1])) <= 80
