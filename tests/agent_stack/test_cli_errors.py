"""Bad input: one sentence on stderr and exit status 2, whatever the command."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.agent_stack.conftest import Cli, Result, WriteLog

READING = (
    ("ls",),
    ("show",),
    ("stats",),
    ("tail",),
    ("verify",),
    ("find", "text"),
    ("slow",),
    ("errors",),
    ("truncated",),
    ("sql", "FROM runs"),
)


@contextmanager
def as_nobody() -> Any:
    """Give up root's right to read everything, if we have it."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@pytest.fixture
def not_ours() -> Any:
    """A log nobody else may read, in a directory open to all; ``ours.jsonl`` beside it may be read."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        for file, mode in (("theirs.jsonl", 0o000), ("ours.jsonl", 0o644)):
            (folder / file).write_text('{"run_id":"r","step":0,"type":"run_start","ts":1.0,"format":1}\n')
            (folder / file).chmod(mode)
        yield folder / "theirs.jsonl"


@pytest.mark.parametrize("command", READING, ids=lambda command: command[0])
class TestReadingCommands:
    def check(self, result: Result, sentence: str) -> None:
        # The engine of queries names a file by its whole path.
        told = result.err.replace(f"{Path.cwd()}/", "")
        assert (result.code, result.out, told) == (2, "", f"agent-step-log: {sentence}\n")

    def test_no_such_path(self, cli: Cli, command: tuple[str, ...]) -> None:
        self.check(cli(*command, "nope.jsonl"), "nope.jsonl: no such file or directory.")

    def test_no_default(self, cli: Cli, command: tuple[str, ...]) -> None:
        self.check(
            cli(*command),
            "There are no logs in logs yet: name a log or a directory, or set AGENT_STEP_LOG_DIR "
            "(`agent-step-log demo` makes some to look at).",
        )

    def test_directory_without_logs(self, cli: Cli, command: tuple[str, ...], tmp_path: Path) -> None:
        (tmp_path / "d").mkdir()
        sentence = "d: no log in this directory (looked for *.jsonl, *.jsonl.gz, *.jsonl.zst)."
        self.check(cli(*command, "d"), sentence)

    def test_pattern_that_matches_nothing(self, cli: Cli, command: tuple[str, ...]) -> None:
        self.check(cli(*command, "x*.jsonl"), "x*.jsonl: no file matches this pattern.")

    def test_file_that_is_no_log(self, cli: Cli, command: tuple[str, ...], tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("to do: nothing\n")
        self.check(cli(*command, "notes.txt"), "notes.txt is not a step log.")

    def test_later_format(self, cli: Cli, command: tuple[str, ...], write_log: WriteLog) -> None:
        write_log("new.jsonl", {"type": "run_start", "format": 99})
        self.check(
            cli(*command, "new.jsonl"),
            "new.jsonl is in format 99; this version reads up to 1. "
            "Upgrade with: pip install -U agent-step-log.",
        )

    def test_file_of_another_user(self, cli: Cli, command: tuple[str, ...], not_ours: Path) -> None:
        cli(*command, not_ours.with_name("ours.jsonl"))  # imports what root alone may be able to read
        with as_nobody():
            result = cli(*command, not_ours)
        self.check(result, f"{not_ours}: Permission denied.")

    def test_unknown_option(self, cli: Cli, command: tuple[str, ...]) -> None:
        self.check(
            cli(*command, "--zzz"),
            f"No such option '--zzz'. See agent-step-log {command[0]} --help.",
        )

    def test_unknown_choice(self, cli: Cli, command: tuple[str, ...]) -> None:
        self.check(
            cli(*command, "--color", "pink"),
            "Invalid value for '--color': 'pink' is not one of 'auto', 'always', 'never'. "
            f"See agent-step-log {command[0]} --help.",
        )


class TestCommandLine:
    def test_alone_prints_help(self, cli: Cli) -> None:
        result = cli()
        assert result.code == 0
        assert result.out.startswith("Usage: agent-step-log [OPTIONS] [COMMAND]")

    def test_unknown_command(self, cli: Cli) -> None:
        result = cli("frobnicate")
        assert (result.code, result.err) == (
            2,
            "agent-step-log: No such command 'frobnicate'. See agent-step-log --help.\n",
        )

    def test_version(self, cli: Cli) -> None:
        from agent_step_log import __version__

        result = cli("--version")
        assert (result.code, result.out.split(" (")[0]) == (0, f"agent-step-log {__version__}")

    def test_ctrl_c_is_quiet(self, cli: Cli, logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupted(*_args: Any, **_more: Any) -> Any:
            raise KeyboardInterrupt

        monkeypatch.setattr("agent_step_log.list_runs", interrupted)
        result = cli("ls", logs)
        assert (result.code, result.out, result.err) == (130, "", "")

    def test_a_bug_of_ours_keeps_its_traceback(
        self, cli: Cli, logs: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_args: Any, **_more: Any) -> Any:
            raise ZeroDivisionError

        monkeypatch.setattr("agent_step_log.list_runs", broken)
        with pytest.raises(ZeroDivisionError):
            cli("ls", logs)

    def test_what_a_path_holds_does_not_reach_the_terminal(self, cli: Cli) -> None:
        assert (
            cli("ls", "a\x1b]0;b.jsonl").err == "agent-step-log: a␛]0;b.jsonl: no such file or directory.\n"
        )

    def test_a_full_disk_is_a_sentence(self) -> None:
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [sys.executable, "-m", "agent_stack", "--help"],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert done.returncode == 2
        assert done.stderr.splitlines()[0] == "agent-step-log: No space left on device."
        assert "Traceback" not in done.stderr
