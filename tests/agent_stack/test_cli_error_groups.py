"""`agent-step-log errors`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.agent_stack.conftest import FRAMES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent_stack.conftest import Cli, WriteLog

AT_80 = """\
✗ AuthError  ▲ the run itself  once                   2023-11-14 in support-4711
    no key
✗ MissingFileError  ● read_file  once              2023-11-14 in aaaa0001 step 3
    No such file: 'x.py'
    app/tools.py:41 read_file ← app/agent.py:88 act
"""


def failed(step: int, error: str, kind: str | None, tool: str = "t", **more: Any) -> dict[str, Any]:
    keys = {"tool": tool, "input": None, "output": None, "error": error, "duration_ms": 1.0}
    return {"type": "tool_call", "step": step, "at": float(step), **keys, "error_type": kind, **more}


class TestErrors:
    def test_shows_each_group_with_its_last_message_and_frames(self, cli: Cli, logs: Path) -> None:
        result = cli("errors", logs, columns=80)
        assert (result.code, result.out, result.err) == (0, AT_80, "")

    def test_groups_by_type_and_by_what_failed_the_latest_first(self, cli: Cli, write_log: WriteLog) -> None:
        log = write_log(
            "a.jsonl",
            failed(1, "slow", "TimeoutError", "web"),
            failed(2, "no a", "OSError", "read"),
            failed(3, "no b", "OSError", "read", error_frames=FRAMES),
            failed(4, "no c", "OSError", "write"),
            failed(5, "odd", None, "write"),
        )
        groups = cli("errors", log, "--json").json_lines()
        assert [(each["error_type"], each["name"], each["errors"]) for each in groups] == [
            (None, "write", 1),
            ("OSError", "write", 1),
            ("OSError", "read", 2),
            ("TimeoutError", "web", 1),
        ]
        read = groups[2]
        assert (read["message"], read["step"], read["messages"], read["frames"]) == ("no b", 3, 2, FRAMES)
        assert read["last_ts"] - read["first_ts"] == 1

    def test_counts_runs(self, cli: Cli, write_log: WriteLog) -> None:
        for name in "ab":
            write_log(f"d/{name}.jsonl", failed(1, "x", "E"), failed(2, "x", "E"), run_id=f"run-{name}")
        assert "4× in 2 runs " in cli("errors", "d").out  # noqa: RUF001

    def test_selects_steps_and_runs(self, cli: Cli, logs: Path) -> None:
        def kinds(*arguments: str) -> list[str]:
            return [each["error_type"] for each in cli("errors", logs, *arguments, "--json").json_lines()]

        assert kinds("--where", "tool = 'read_file'") == ["app.errors.MissingFileError"]
        assert kinds("--where", "type = 'run' AND run.agent = 'researcher'") == ["app.AuthError"]
        result = cli("errors", logs, "--since", "1d")
        assert (result.code, result.out, result.err) == (0, "", f"No such error in {logs}.\n")

    def test_frames_of_another_shape_are_left_out(self, cli: Cli, write_log: WriteLog) -> None:
        log = write_log("a.jsonl", failed(1, "x", "E", error_frames=["no frame", {"file": 7}]))
        assert "7:? ?" in cli("errors", log).out

    def test_fits_the_screen_and_obeys_nothing(self, cli: Cli, write_log: WriteLog) -> None:
        log = write_log(
            "a.jsonl", failed(1, "\x1b[31m" + "日本 " * 300, "a." + "E" * 90, "t" * 90), run_id="r" * 90
        )
        from agent_stack._safe import width

        out = cli("errors", log, columns=80).out
        assert "\x1b" not in out
        assert max(map(width, out.splitlines())) <= 80
