"""`agent-step-log wire`: the list, one exchange, its bytes, and how runs and exchanges are named."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from agent_stack import _safe
from tests.agent_stack.test_cli_hostile import HOSTILE, acting
from tests.agent_stack.wire_tapes import (
    ASK,
    CALL,
    RUN,
    T0,
    request,
    stream,
    whole_run,
    write_tape,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent_stack.conftest import Cli, WriteLog


@pytest.fixture
def tapes(tmp_path: Path) -> Path:
    write_tape(tmp_path / "logs", *whole_run())
    return tmp_path / "logs"


class TestList:
    def test_has_a_row_for_each_exchange_and_what_went_wrong_below_it(self, cli: Cli, tapes: Path) -> None:
        lines = cli("wire", tapes, columns=130).out.splitlines()

        assert lines[0].startswith("wire  4 exchanges")
        assert lines[0].endswith(RUN)
        rows = [line.split() for line in lines[5:10]]
        assert rows[0][:2] == ["1", "✗"]
        assert rows[0][-2:] == ["1", "(1/2)"]
        assert " ".join(rows[1]) == "overloaded_error: Overloaded"
        assert rows[2][:2] == ["2", "✓"]
        assert rows[2][-4:] == ["20", "1", "(2/2)", "read_file"]
        assert rows[3][:2] == ["3", "✓"]
        assert rows[3][-1] == "(end_turn)"
        assert rows[4][:2] == ["4", "◌"]
        assert "unfinished" in rows[4]

    def test_json_has_what_is_known_and_null_for_what_is_not(self, cli: Cli, tapes: Path) -> None:
        shape = cli("wire", tapes, "--json").json()

        assert (shape["run_id"], shape["damage"]) == (RUN, [])
        first, second, third, fourth = shape["exchanges"]
        assert (first["status"], first["error_type"], first["attempt"], first["attempts"]) == (
            529,
            "overloaded_error",
            1,
            2,
        )
        assert (second["tools"], second["stop_reason"], second["input_tokens"]) == (
            ["read_file"],
            "tool_use",
            100,
        )
        assert (third["input_tokens"], third["cache_read_tokens"], third["output_tokens"]) == (400, 300, 20)
        assert (fourth["state"], fourth["status"], fourth["output_tokens"], fourth["end_ms"]) == (
            "unfinished",
            None,
            None,
            None,
        )

    def test_exchanges_that_are_no_call_of_a_model_are_named_by_their_url(
        self, cli: Cli, tmp_path: Path
    ) -> None:
        other = {"api": None, "method": "GET", "url": "http://x/health", "answer": b"ok"}
        write_tape(tmp_path / "logs", other)

        assert "GET http://x/health" in cli("wire", columns=160).out

    def test_tokens_come_from_the_log_where_the_tape_has_no_content(
        self, cli: Cli, tmp_path: Path, write_log: WriteLog
    ) -> None:
        tape = write_tape(tmp_path / "logs", {**whole_run()[1], "step": 1}, content=False)
        write_log(
            "logs/a.jsonl",
            {
                "type": "llm_call",
                "step": 1,
                "model": "claude-x",
                "input_tokens": 77,
                "output_tokens": 5,
                "stop_reason": "tool_use",
                "tool_calls": [{"id": "t", "name": "grep"}],
                "exchange": {"tape": tape.name, "n": 1},
            },
            run_id=RUN,
        )

        (row,) = cli("wire", "--json").json()["exchanges"]
        assert (row["input_tokens"], row["output_tokens"], row["tools"]) == (77, 5, ["grep"])
        assert "recorded without content" in cli("wire", "1").out


class TestNames:
    @pytest.mark.parametrize(
        "arguments",
        [
            (),
            ("aaaa0001",),
            ("run_0193",),
            ("logs",),
            ("logs", "aaaa0001"),
            (f"logs/{RUN}.0a1b2c3d.tape.zst",),
        ],
    )
    def test_runs_are_named_as_for_show(self, cli: Cli, tapes: Path, arguments: tuple[str, ...]) -> None:
        for number in ([], ["2"]):
            result = cli("wire", *arguments, *number, "--json")
            assert (result.code, result.json()["run_id"]) == (0, RUN)

    def test_a_log_brings_the_tapes_of_its_runs(self, cli: Cli, tapes: Path, write_log: WriteLog) -> None:
        write_tape(tapes, *whole_run(), run_id="another", writer="beef0000")
        log = write_log("logs/a.jsonl", {"type": "run_start", "format": 1}, run_id=RUN)

        assert cli("wire", log, "--json").json()["run_id"] == RUN
        assert (
            cli("wire", log, "another").err
            == f"agent-step-log: There is no tape of a run another in {log}.\n"
        )

    def test_without_a_run_it_is_the_one_that_began_last(self, cli: Cli, tapes: Path) -> None:
        write_tape(tapes, {**whole_run()[1], "at": 999}, run_id="later")

        assert cli("wire", "--json").json()["run_id"] == "later"

    def test_exchanges_of_a_second_process_have_its_name_before_their_number(
        self, cli: Cli, tapes: Path
    ) -> None:
        write_tape(tapes, {**whole_run()[1], "at": 3}, writer="ffee0011")

        names = [row["name"] for row in cli("wire", "--json").json()["exchanges"]]
        assert names == ["1", "2", "ffee:1", "3", "4"]
        assert cli("wire", "ffee:1", "--json").json()["ts"] == T0 + 3
        assert cli("wire", "1", "--json").json()["ts"] == T0
        assert "▲" in cli("wire", "--diff", "3", "ffee:1").out

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (("99",), f"Run {RUN} has no exchange 99."),
            (("--diff", "1", "x"), "N is a number, or WRITER:NUMBER, and not 'x'."),
            (("logs", "aaaa0001", "x"), "N is a number, or WRITER:NUMBER, and not 'x'."),
            (("a", "b", "1", "2"), "Give SOURCE, RUN and N at most. See agent-step-log wire --help."),
            (("--events",), "--events needs N, the number of an exchange."),
            (("1", "--raw", "request", "--curl"), "--raw and --curl do not go together."),
            (("--find", ""), "--find needs a text to look for."),
            (("nobody",), "There is no tape of a run nobody in logs."),
            (("no.tape.zst",), "no.tape.zst: no such file or directory."),
            (("empty",), "There is no tape in empty: agenttap.install() makes one."),
            (("fake.tape.zst",), "fake.tape.zst: is no tape, or nothing has been written to it yet."),
            (("run_",), "2 runs of logs match 'run_'; give more of the id."),
        ],
    )
    def test_what_can_be_mended_is_one_sentence(
        self, cli: Cli, tapes: Path, tmp_path: Path, arguments: tuple[str, ...], sentence: str
    ) -> None:
        (tmp_path / "empty").mkdir()
        (tmp_path / "fake.tape.zst").write_bytes(b"")
        write_tape(tapes, *whole_run(), run_id="run_b", writer="beef0000")

        result = cli("wire", *arguments)
        if arguments == ("99",):
            sentence = sentence.replace(RUN, "run_b") if "run_b" in result.err else sentence
        assert (result.code, result.out, result.err) == (2, "", f"agent-step-log: {sentence}\n")

    def test_a_run_without_a_tape_is_told_apart_from_no_run(
        self, cli: Cli, tapes: Path, write_log: WriteLog
    ) -> None:
        write_log("logs/a.jsonl", {"type": "run_start", "format": 1}, run_id="plain")

        err = cli("wire", "plain").err
        assert err == "agent-step-log: Run plain has no tape: it was recorded without agenttap.\n"


class TestOneExchange:
    def test_shows_the_request_as_a_conversation_and_the_response_put_together(
        self, cli: Cli, tapes: Path
    ) -> None:
        out = cli("wire", "3", columns=100).out

        for line in (
            "  2 tools       read_file, grep",
            "  system        Be brief.",
            "  1 user        Why does the nightly job fail?",
            "  2 assistant   (thinking) The log first.",
            "                ● read_file  path=nightly.txt",
            "  3 user        → toolu_01",
            "                  ERROR disk full",
            "  text          The disk is full.",
            "  stopped       end_turn",
            "             400  in",
            "             300    read from cache",
        ):
            assert line in out.splitlines(), line
        assert "first content 240 ms · end 900 ms" in out

    def test_tool_calls_of_a_stream_have_their_arguments(self, cli: Cli, tapes: Path) -> None:
        out = cli("wire", "2").out
        assert "thinking      The log first." in out
        assert "● read_file  toolu_01" in out
        assert '"path": "nightly.txt"' in out

    def test_of_one_that_never_ended_there_is_no_response_yet(self, cli: Cli, tapes: Path) -> None:
        out = cli("wire", "4").out
        assert out.splitlines()[0].startswith("◌ exchange 4")
        assert out.endswith("none yet\n")

    def test_json_has_bodies_messages_and_facts(self, cli: Cli, tapes: Path) -> None:
        shape = cli("wire", "2", "--json", "--events").json()

        assert shape["request"]["body"] == request([ASK])
        assert shape["request"]["messages"] == [{"role": "user", "content": ASK["content"]}]
        calls = [{"id": "toolu_01", "name": "read_file", "arguments": {"path": "nightly.txt"}}]
        assert shape["response"]["tool_calls"] == calls
        assert (shape["attempt"], shape["attempts"]) == (2, 2)
        raw = "".join(event["raw"] for event in shape["response"]["events"])
        assert raw.encode() == stream(CALL, "tool_use")

    def test_events_are_listed_with_their_times(self, cli: Cli, tapes: Path) -> None:
        lines = cli("wire", "2", "--events", columns=100).out.splitlines()
        assert lines[0].split()[:4] == ["1", "110.0", "ms", "message_start"]
        assert lines[-1].split()[:5] == [str(len(lines)), "900.0", "ms", "+0.0", "message_stop"]

    def test_headers_are_shown_when_asked_for(self, cli: Cli, tapes: Path) -> None:
        assert "x-api-key: <redacted:header:0a1b2c3d>" in cli("wire", "2", "--headers").out
        assert "x-api-key" not in cli("wire", "2").out

    def test_long_texts_and_histories_are_cut_and_full_shows_them(self, cli: Cli, tmp_path: Path) -> None:
        text = "\n".join(f"line {number}" for number in range(50))
        messages = [{"role": "user", "content": f"message {number}\n{text}"} for number in range(40)]
        write_tape(tmp_path / "logs", {"body": request(messages)})

        short, full = cli("wire", "1").out, cli("wire", "1", "--full").out
        assert "… 51 lines (--full)" in short
        assert "… 25 more messages (--full)" in short
        assert "message 20" not in short
        assert "--full" not in full
        assert full.count("line 49") == 40

    @pytest.mark.parametrize("which", ["request", "response"])
    def test_raw_writes_the_very_bytes(self, tmp_path: Path, which: str) -> None:
        import subprocess
        import sys

        body = bytes(range(256))
        write_tape(tmp_path / "logs", {"api": None, "body": body, "answer": body[::-1]})
        command = [sys.executable, "-m", "agent_stack", "wire", "1", "--raw", which]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=240)
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout == (body if which == "request" else body[::-1])


class TestShapes:
    @pytest.mark.parametrize(
        ("api", "url", "body", "answer", "words"),
        [
            (
                "openai.chat",
                "https://api.openai.com/v1/chat/completions",
                {
                    "model": "gpt",
                    "messages": [
                        {"role": "system", "content": "Be brief."},
                        {
                            "role": "assistant",
                            "content": None,
                            "tool_calls": [
                                {"id": "c1", "function": {"name": "grep", "arguments": '{"a": 1}'}}
                            ],
                        },
                        {"role": "tool", "tool_call_id": "c1", "content": "found"},
                    ],
                },
                {"choices": [{"message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}]},
                ["system        Be brief.", "● grep  a=1", "→ c1", "found", "text          Hi."],
            ),
            (
                "gemini.generate_content",
                "https://generativelanguage.googleapis.com/v1/models/g:generateContent",
                {
                    "contents": [
                        {"role": "user", "parts": [{"text": "Look."}]},
                        {"role": "model", "parts": [{"functionCall": {"name": "grep", "args": {"a": 1}}}]},
                        {"parts": [{"functionResponse": {"name": "grep", "response": {"r": "found"}}}]},
                    ],
                    "generationConfig": {"temperature": 0},
                },
                {"candidates": [{"content": {"parts": [{"text": "Hi."}]}, "finishReason": "STOP"}]},
                [
                    "generationConfig.temperature=0",
                    "1 user        Look.",
                    "● grep  a=1",
                    "→ grep",
                    '"r": "found"',
                ],
            ),
            (
                "bedrock.converse",
                "https://bedrock-runtime.eu-west-1.amazonaws.com/model/m/converse",
                {
                    "system": [{"text": "Be brief."}, {"cachePoint": {"type": "default"}}],
                    "messages": [
                        {
                            "role": "user",
                            "content": [
                                {
                                    "toolResult": {
                                        "toolUseId": "t1",
                                        "content": [{"json": {"r": 1}}],
                                        "status": "error",
                                    }
                                }
                            ],
                        }
                    ],
                },
                {"output": {"message": {"content": [{"text": "Hi."}]}}, "stopReason": "end_turn"},
                ["system        Be brief.", "→ t1  error", '"r": 1', "text          Hi."],
            ),
            (
                "unknown",
                "http://x/llm",
                {"what": ["ever"]},
                {"also": 1},
                ['{"what": ["ever"]}', '{"also": 1}'],
            ),
        ],
    )
    def test_every_providers_messages_are_readable(
        self, cli: Cli, tmp_path: Path, api: str, url: str, body: Any, answer: Any, words: list[str]
    ) -> None:
        headers = [["content-type", "application/json"]]
        write_tape(
            tmp_path / "logs",
            {"api": api, "url": url, "body": body, "answer": json.dumps(answer).encode(), "headers": headers},
        )
        out = cli("wire", "1", columns=120).out
        for word in words:
            assert word in out, word


class TestFind:
    def test_finds_what_a_stream_brought_in_pieces(self, cli: Cli, tapes: Path) -> None:
        hits = cli("wire", "--find", "THE LOG FIRST", "--json").json_lines()
        assert [(hit["name"], hit["place"]) for hit in hits] == [
            ("2", "response"),
            ("3", "request"),
            ("4", "request"),
        ]
        assert hits[0]["found"] == "The log first"

    def test_what_is_sent_again_is_one_line(self, cli: Cli, tapes: Path) -> None:
        lines = cli("wire", "--find", "ERROR disk", columns=100).out.splitlines()
        assert len(lines) == 1
        assert lines[0].startswith("  3  request")
        assert lines[0].endswith("and 1 later")

    def test_nothing_found_is_a_remark(self, cli: Cli, tapes: Path) -> None:
        result = cli("wire", "--find", "nowhere\x1b")
        assert (result.code, result.out) == (0, "")
        assert result.err == f"No exchange of run {RUN} holds 'nowhere\\x1b'.\n"


class TestBrokenTapes:
    def test_a_tape_cut_anywhere_shows_what_was_before(self, cli: Cli, tmp_path: Path) -> None:
        whole = write_tape(tmp_path / "a", *whole_run()).read_bytes()
        tape = tmp_path / "b.tape.zst"
        shown = []
        for size in range(0, len(whole), 97):
            tape.write_bytes(whole[:size])
            result = cli("wire", tape, "--json")
            assert result.code in (0, 2)
            shown.append(len(result.json()["exchanges"]) if result.code == 0 else 0)
        assert shown == sorted(shown)
        assert shown[-1] == 4

    def test_damage_is_said_beside_what_could_be_read(self, cli: Cli, tmp_path: Path) -> None:
        path = write_tape(tmp_path / "logs", *whole_run())
        with path.open("ab") as file:
            file.write(b"\x28\xb5\x2f\xfd" + b"\xff" * 40)
        result = cli("wire")
        assert result.code == 0
        assert "4 exchanges" in result.out
        assert result.err.startswith(f"{path.name}, from byte ")


class TestHostile:
    @pytest.mark.parametrize("kind", HOSTILE)
    def test_nothing_on_a_tape_acts_on_the_terminal(self, cli: Cli, tmp_path: Path, kind: str) -> None:
        text = HOSTILE[kind][:10_000]  # it stands in two dozen places at once
        block = {"type": "tool_use", "id": text, "name": text, "input": {text: [text]}}
        result = {"type": "tool_result", "tool_use_id": text, "content": text, "is_error": True}
        messages: list[dict[str, Any]] = [
            {"role": text, "content": text},
            {
                "role": "assistant",
                "content": [block, {"type": text, text: text}, {"type": "text", "text": text}],
            },
            {
                "role": "user",
                "content": [result, {"type": "image", "source": {"media_type": text, "data": text}}],
            },
        ]
        tools = [{"name": text, "description": text}]
        first = request(messages[:2], system=text, tools=tools, model=text, temperature=text)
        second = request(
            messages, system=text + text, tools=[{**tools[0], "description": "b"}], metadata=text
        )
        usual: dict[str, Any] = {
            "url": f"https://x/{text}",
            "client": text,
            "error": text,
            "error_type": text,
            "attribution": text,
            "headers": [[text, text], ["x-a", text]],
        }
        answer = stream([block, {"type": "text", "text": text}], text)
        write_tape(
            tmp_path / "logs",
            {**usual, "body": first, "answer": answer},
            {**usual, "body": second, "answer": b"event: " + text.encode() + b"\ndata: {}\n\n"},
            run_id=f"run-{text[:40]}",
            name="a.tape.zst",
        )
        for options in (
            (),
            ("1",),
            ("1", "--full", "--headers"),
            ("2", "--events"),
            ("2", "--events", "--full"),
            ("1", "--curl"),
            ("--diff", "1", "2"),
            ("--diff", "2", "1", "--full"),
            ("--find", "a"),
            ("--find", text),
        ):
            for color in ("never", "always"):
                shown = cli("wire", *options, "--color", color, columns=100)
                assert shown.code == 0, options
                assert not acting(shown.out), options
                assert not acting(shown.err), options
                is_view = options in ((), ("1",), ("2", "--events"), ("--diff", "1", "2"), ("--find", "a"))
                if is_view and color == "never":
                    wide = [line for line in shown.out.splitlines() if _safe.width(line) > 100]
                    assert wide == []
            if "--curl" not in options:
                as_json = cli("wire", *options, "--json").out
                assert as_json.isascii()
                assert not acting(as_json)
                for line in as_json.splitlines():
                    json.loads(line)

    @pytest.mark.parametrize("depth", [100, 900, 5000])
    def test_deep_bodies_have_an_answer(self, cli: Cli, tmp_path: Path, depth: int) -> None:
        deep = "[" * depth + "]" * depth
        body = '{"model":"m","messages":[{"role":"user","content":' + deep + '}],"x":' + deep + "}"
        write_tape(
            tmp_path / "logs", {"body": body.encode(), "answer": body.encode()}, {"body": body.encode()}
        )
        for options in ((), ("1",), ("1", "--full"), ("--diff", "1", "2"), ("--find", "m"), ("1", "--curl")):
            for as_json in ((), ("--json",)):
                assert cli("wire", *options, *as_json).code == 0, options


class TestAgenttap:
    def test_is_the_same_under_the_taps_own_name(
        self, tapes: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        from agent_stack.__main__ import agenttap_main

        assert agenttap_main(["wire", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["run_id"] == RUN
        assert agenttap_main(["ls"]) == 2
        assert capsys.readouterr().err == "agenttap: No such command 'ls'. See agenttap --help.\n"
        assert agenttap_main([]) == 0
        assert [line.split()[0] for line in capsys.readouterr().out.splitlines() if line[:2] == "  "][-4:]
