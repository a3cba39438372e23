"""`agent-step-log scan`: exits 1 on a find, names it, and never shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.agent_stack.test_cli_hostile import acting
from tests.agent_stack.wire_tapes import request, whole_run, write_tape

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent_stack.conftest import Cli, WriteLog

KEY = "sk-ant-api03-" + "Ab3dEf6hIj9kLm2nOp5q" * 4


class TestScan:
    def test_a_clean_directory_is_0(self, cli: Cli, logs: Path) -> None:
        write_tape(logs, *whole_run())
        result = cli("scan", logs)
        assert (result.code, result.err) == (0, "")
        assert result.out.startswith("✓ no secret in 4 files, ")

    def test_a_find_is_1_and_says_where_but_not_what(
        self, cli: Cli, tmp_path: Path, write_log: WriteLog
    ) -> None:
        body = request([{"role": "user", "content": f"my key is {KEY}"}])
        tape = write_tape(tmp_path / "logs", {"body": body})
        log = write_log(
            "logs/a.jsonl",
            {"type": "event", "step": 1, "name": "n"},
            {"type": "event", "step": 2, "name": KEY},
        )
        result = cli("scan")
        assert result.code == 1
        assert f"logs/{log.name}:2  anthropic" in result.out
        assert f"logs/{tape.name}:3  anthropic" in result.out
        assert result.out.splitlines()[-1].startswith("✗ 2 secrets in 2 files, ")
        assert KEY[20:] not in result.out

    def test_json_has_each_find(self, cli: Cli, write_log: WriteLog) -> None:
        log = write_log("a.jsonl", {"type": "event", "step": 1, "name": KEY})
        result = cli("scan", log, "--json")
        shape = result.json()
        assert (result.code, shape["files"], shape["lines"], shape["unread"]) == (1, 1, 1, [])
        (found,) = shape["findings"]
        assert (found["path"], found["line"], found["where"]) == (str(log), 1, "$.name")
        assert KEY[20:] not in result.out

    def test_what_cannot_be_read_is_2(self, cli: Cli, tmp_path: Path) -> None:
        path = write_tape(tmp_path, *whole_run())
        path.write_bytes(b"\x28\xb5\x2f\xfd" + b"\xff" * 99)
        result = cli("scan", path)
        assert result.code == 2
        assert result.err.startswith(str(path))
        assert result.err.count("\n") == 1

    def test_no_such_path_is_one_sentence(self, cli: Cli) -> None:
        result = cli("scan", "nowhere")
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith("agent-step-log: nowhere: no such file or directory")

    def test_hostile_names_do_not_act(self, cli: Cli, tmp_path: Path) -> None:
        path = tmp_path / "a\x1b[2J\u202e.jsonl"
        path.write_text(f'{{"run_id":"r","step":1,"type":"event","ts":1,"name":"{KEY}","\x7f":1}}\nno json\n')
        for options in ((), ("--json",), ("--deep",)):
            result = cli("scan", tmp_path, *options)
            assert result.code == 1
            assert not acting(result.out + result.err)

    def test_is_the_same_under_the_taps_own_name(self, logs: Path) -> None:
        from agent_stack.__main__ import agenttap_main

        assert agenttap_main(["scan", str(logs)]) == 0
