"""`agent-step-log redecode`: a tape becomes the steps it holds, with the tape's own times."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING, Any

import pytest

from agent_step_log import summarize, verify
from tests.agent_stack.wire_tapes import ASK, CALL, HISTORY, RUN, T0, request, stream, whole_run, write_tape

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent_stack.conftest import Cli


def by_type(records: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [record for record in records if record["type"] == kind]


class TestSteps:
    def test_attempts_are_one_call_and_tools_are_inferred(self, cli: Cli, tmp_path: Path) -> None:
        tape = write_tape(tmp_path, *whole_run())
        records = cli("redecode", tape).json_lines()

        assert [(record["type"], record["step"]) for record in records] == [
            ("run_start", 0),
            ("llm_call", 1),
            ("tool_call", 2),
            ("llm_call", 3),
            ("llm_call", 4),
            ("run_end", 0),
        ]
        call, tool, second, open_one = records[1:5]
        assert (call["ts"], call["duration_ms"], call["attempt"]) == (T0 + 2.9, 2900.0, 2)
        assert call["exchange"] == {"tape": tape.name, "n": 2, "attempts": [1, 2]}
        assert (call["model"], call["input_tokens"], call["stop_reason"]) == ("claude-x", 100, "tool_use")
        assert (tool["tool"], tool["input"], tool["output"]) == (
            "read_file",
            {"path": "nightly.txt"},
            "line 1\nERROR disk full",
        )
        assert (tool["tool_call_id"], tool["inferred"], tool["ts"]) == ("toolu_01", True, T0 + 5)
        assert (second["input_tokens"], second["cache_read_tokens"]) == (400, 300)
        assert open_one["error"] == "the tape ends before the response"

    def test_an_api_that_was_unknown_is_looked_at_again(self, cli: Cli, tmp_path: Path) -> None:
        calls = whole_run()[1:3]
        tape = write_tape(
            tmp_path, *[{**each, "api": api} for each, api in zip(calls, ["unknown", None], strict=True)]
        )
        out = tmp_path / "new.jsonl"

        shape = cli("redecode", tape, "-o", out, "--json").json()
        counts = ("exchanges", "llm_calls", "tool_calls", "recognised", "unknown")
        assert [shape[name] for name in counts] == [2, 2, 1, 2, 0]

    def test_a_history_sent_again_answers_a_call_once(self, cli: Cli, tmp_path: Path) -> None:
        again = {"body": request([*HISTORY, {"role": "assistant", "content": "Hm."}, ASK])}
        first = {"body": request([ASK]), "answer": stream(CALL, "tool_use")}
        tape = write_tape(tmp_path, first, *[{**again, "answer": stream(CALL, "tool_use")} for _ in range(4)])
        assert len(by_type(cli("redecode", tape).json_lines(), "tool_call")) == 1

    def test_other_traffic_is_no_step(self, cli: Cli, tmp_path: Path) -> None:
        tape = write_tape(
            tmp_path, {"api": None, "url": "https://x/health", "method": "GET", "answer": b"ok"}
        )
        assert [record["type"] for record in cli("redecode", tape).json_lines()] == ["run_start", "run_end"]


class TestLog:
    def test_is_whole_private_and_found_beside_its_tape(self, cli: Cli, tmp_path: Path) -> None:
        tape = write_tape(tmp_path / "logs", *whole_run())
        out = tmp_path / "logs" / "new.jsonl"
        result = cli("redecode", tape, "-o", out)

        assert result.out == "4 exchanges: 3 model calls and 1 tool call.\n"
        assert stat.S_IMODE(out.stat().st_mode) == 0o600
        assert verify(out).ok
        assert summarize(out).llm_call_count == 3
        assert RUN in cli("show", out).out
        assert cli("wire", out, "--json").json()["run_id"] == RUN

    def test_is_never_written_over_unless_told(self, cli: Cli, tmp_path: Path) -> None:
        tape = write_tape(tmp_path, *whole_run())
        out = tmp_path / "new.jsonl"
        out.write_text("mine")
        result = cli("redecode", tape, "-o", out)
        assert result.code == 2
        assert result.err == f"agent-step-log: {out} exists: give another name, or --replace.\n"
        assert out.read_text() == "mine"
        assert cli("redecode", tape, "-o", out, "--replace").code == 0
        assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == sorted(
            [tape.name, out.name]
        )

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (("no.tape.zst",), "no.tape.zst: No such file or directory."),
            (("fake.tape.zst",), "fake.tape.zst: is no tape, or nothing has been written to it yet."),
            (("fake.tape.zst", "--json"), "--json needs -o: without it, the log itself is what is printed."),
        ],
    )
    def test_what_can_be_mended_is_one_sentence(
        self, cli: Cli, tmp_path: Path, arguments: tuple[str, ...], sentence: str
    ) -> None:
        (tmp_path / "fake.tape.zst").write_bytes(b"")
        result = cli("redecode", *arguments)
        assert (result.code, result.out, result.err) == (2, "", f"agent-step-log: {sentence}\n")

    def test_a_tape_cut_anywhere_gives_whole_records(self, cli: Cli, tmp_path: Path) -> None:
        whole = write_tape(tmp_path / "a", *whole_run()).read_bytes()
        tape = tmp_path / "b.tape.zst"
        for size in range(200, len(whole), 211):
            tape.write_bytes(whole[:size])
            result = cli("redecode", tape)
            assert result.code in (0, 2)
            for line in result.out.splitlines():
                json.loads(line)
