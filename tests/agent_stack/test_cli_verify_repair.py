"""`agent-step-log verify` and `repair`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent_stack.conftest import Cli, WriteLog


@pytest.fixture
def damaged(write_log: WriteLog, tmp_path: Path) -> Any:
    """A log of three steps, the second missing and garbage in its place."""
    step = {"type": "tool_call", "tool": "t", "input": None, "output": None, "error": None, "duration_ms": 1}
    path = write_log("a.jsonl", *[{**step, "step": number} for number in (1, 2, 3)])
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"garbage here\n" + lines[2])
    return path


class TestVerify:
    def test_whole_logs_exit_0_and_say_what_is_worth_a_note(self, cli: Cli, logs: Path) -> None:
        result = cli("verify", logs)
        assert result.code == 0
        assert result.out == (
            "✓ whole  19 records of 3 runs, 2 notes\n"
            "  · interrupted  the run was interrupted: its process is gone and wrote no run_end\n"
            f"                  run bbbb0002  {logs}/b.jsonl\n"
            "  · unfinished   tool_call deploy was in flight: it has a beginning and no end\n"
            f"                  run bbbb0002  step 2  {logs}/b.jsonl\n"
        )

    def test_errors_come_first_and_exit_1(self, cli: Cli, damaged: Path) -> None:
        result = cli("verify", damaged)
        assert result.code == 1
        lines = result.out.splitlines()
        assert lines[0].startswith("✗ not whole  2 records of 1 run: 1 error")
        assert lines[1].startswith("  ✗ damage")
        assert "12 bytes at offset" in result.out
        assert "number 2 missing" in result.out

    def test_json_is_one_object(self, cli: Cli, damaged: Path) -> None:
        result = cli("verify", damaged, "--json")
        shape = result.json()
        assert (result.code, shape["ok"], shape["records"], shape["runs"]) == (1, False, 2, 1)
        assert {problem["kind"] for problem in shape["problems"]} == {"damage", "gap"}

    def test_several_sources_are_one_verdict(self, cli: Cli, logs: Path, damaged: Path) -> None:
        assert cli("verify", logs / "a.jsonl", damaged).code == 1

    def test_an_empty_log_is_whole(self, cli: Cli, tmp_path: Path) -> None:
        (tmp_path / "e.jsonl").touch()
        result = cli("verify", "e.jsonl")
        assert (result.code, result.out) == (0, "✓ whole  0 records of 0 runs\n")


class TestRepair:
    def test_copies_what_is_whole_and_says_what_it_dropped(self, cli: Cli, damaged: Path) -> None:
        before = damaged.read_bytes()
        result = cli("repair", damaged, "-o", "clean.jsonl")
        assert result.code == 0
        offset = before.index(b"garbage")
        assert result.out == (
            f"  ✗ offset {offset}  12 bytes  not JSON  dropped\n"
            "▲ 1 stretch (12 bytes) dropped, 2 whole records kept\n"
            "  copy      clean.jsonl\n"
            f"  original  {damaged} (untouched)\n"
        )
        assert damaged.read_bytes() == before
        assert (damaged.parent / "clean.jsonl").read_bytes() == before.replace(b"garbage here\n", b"")

    def test_dry_run_writes_nothing(self, cli: Cli, damaged: Path) -> None:
        result = cli("repair", damaged, "--dry-run")
        assert "1 stretch (12 bytes) would be dropped, 2 whole records kept" in result.out
        assert [path.name for path in damaged.parent.iterdir()] == ["a.jsonl"]

    def test_the_default_copy_is_passed_over_by_its_directory(self, cli: Cli, damaged: Path) -> None:
        cli("repair", damaged)
        assert damaged.with_name("a.jsonl.repaired").exists()
        assert len(cli("ls", damaged.parent, "--json").json_lines()) == 1
        assert cli("ls", damaged.parent, "--json").json_lines()[0]["tool_call_count"] == 2

    def test_a_whole_log_has_nothing_to_drop(self, cli: Cli, logs: Path) -> None:
        assert "✓ nothing to drop: 14 whole records" in cli("repair", logs / "a.jsonl", "--dry-run").out

    def test_json(self, cli: Cli, damaged: Path) -> None:
        shape = cli("repair", damaged, "--json").json()
        assert shape["output"] == f"{damaged}.repaired"
        assert (shape["kept"], shape["dropped_bytes"], shape["dropped"][0]["reason"]) == (2, 12, "not JSON")

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (("a.jsonl", "-o", "a.jsonl"), "a.jsonl: is the log itself; name another file for the copy."),
            (
                ("a.jsonl", "-o", "there.jsonl"),
                "there.jsonl: exists already; name another file for the copy.",
            ),
            ((".",), ".: not a file; repair takes one log at a time."),
            (("nope",), "nope: not a file; repair takes one log at a time."),
            ((), "Missing argument 'LOG'. See agent-step-log repair --help."),
        ],
    )
    def test_what_cannot_be_is_one_sentence(
        self, cli: Cli, damaged: Path, arguments: tuple[str, ...], sentence: str
    ) -> None:
        (damaged.parent / "there.jsonl").touch()
        result = cli("repair", *arguments)
        assert (result.code, result.out, result.err) == (2, "", f"agent-step-log: {sentence}\n")

    def test_replace_overwrites_the_copy(self, cli: Cli, damaged: Path) -> None:
        (damaged.parent / "there.jsonl").write_text("old")
        assert cli("repair", damaged, "-o", "there.jsonl", "--replace").code == 0
        assert "garbage" not in (damaged.parent / "there.jsonl").read_text()
