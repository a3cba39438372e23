"""`agent-step-log replay`: batches and prompts on real imported runs, their exit status, and hostile logs."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agent_stack._replay_session import _typed
from tests.agent_stack.conftest import RUN_START, SOURCES, T0
from tests.agent_stack.wire_tapes import whole_run, write_tape

if TYPE_CHECKING:
    from tests.agent_stack.conftest import Cli, Result, WriteLog

ROOT = Path(__file__).parents[2]
TRANSCRIPTS = ROOT / "tests" / "data" / "transcripts"
GUIDE = (ROOT / "docs" / "replay.md").read_text(encoding="utf-8")


@pytest.fixture
def imported(cli: Cli, tmp_path: Path) -> Any:
    """Import a transcript, or a directory of them, and return one of the logs."""

    def run(kind: str, pattern: str, log: str = "*.jsonl") -> Path:
        (source,) = (TRANSCRIPTS / kind).glob(pattern)
        into = tmp_path / "imported"
        result = cli("import", kind, source, "--into", into)
        assert result.code == 0, result.err
        (found,) = into.glob(log)
        return found

    return run


def objects(result: Result) -> list[Any]:
    assert result.err == ""
    return result.json_lines()


class TestRealRuns:
    def test_the_first_failing_tool_and_what_the_model_saw_before_it(self, cli: Cli, imported: Any) -> None:
        log = imported("claude-code", "claude-code-transcripts/sample_session.json")

        result = cli("replay", log, "-x", "catch error; c; p error; ctx -d; files", "--json")

        assert result.code == 1
        _, stopped, error, context, files = objects(result)
        assert (stopped["end"], stopped["row"]["step"], stopped["row"]["name"]) == ("stopped", 21, "Bash")
        assert stopped["hits"][0]["detail"] == "tool_error"
        assert error["value"].endswith("test_subtract - AssertionError: expected 5 but got None")
        assert (context["row"]["step"], context["source"], context["added"]) == (20, "steps", 3)
        assert [message["role"] for message in context["messages"]] == ["assistant", "tool", "user"]
        assert context["messages"][-1]["content"] == "Run the tests again"
        assert [(touch["path"], touch["how"]) for touch in files["files"]] == [
            ("/project/math_utils.py", "written"),
            ("/project", "named"),
        ]

    def test_from_a_failure_to_the_call_that_asked_for_it_and_back(self, cli: Cli, imported: Any) -> None:
        log = imported("claude-code", "entireio-cli", "*-agent-a9b60a9.jsonl")

        result = cli("replay", log, "-x", "e; runtil model; e; e; e; re 9; list 3", "--json")

        assert result.code == 0
        moves = [each for each in objects(result) if each["outcome"] == "moved"]
        first, asked, again, second, third, earliest = moves
        assert first["row"]["status"] == "error"
        assert asked["row"]["type"] == "llm_call"
        assert again["row"] == first["row"]
        assert (second["row"]["step"], third["row"]["step"]) == (
            first["row"]["step"] + 1,
            first["row"]["step"] + 2,
        )
        assert earliest["row"] == first["row"]
        assert (earliest["end"], earliest["message"]) == ("nowhere", "There is no earlier step that failed.")

    def test_a_condition_nothing_meets_leaves_the_gate_open(self, cli: Cli, imported: Any) -> None:
        log = imported("codex", "codemie/*019b7f95-0000*.jsonl")

        open_gate = cli("replay", log, "-x", "break at tool:shell if ms > 1h", "-x", "c")
        shut_gate = cli("replay", log, "-x", 'break if error contains "No such file"', "-x", "c")

        assert (open_gate.code, shut_gate.code) == (0, 1)
        assert "This is the last step." in open_gate.out
        assert "■ break 1" in shut_gate.out

    def test_the_walk_of_the_guide_answers_as_it_says(self, cli: Cli, imported: Any) -> None:
        log = imported("codex", "codemie/*019e1625*.jsonl")
        walk = re.findall(r"^```console\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)[0]
        commands = re.findall(r"^> (.*)$", walk, re.MULTILINE)
        assert len(commands) < 10

        out = cli("replay", log, "-x", "\n".join(commands), columns=110).out

        shown = [text.rstrip() for text in out.splitlines()]
        for text in walk.splitlines():
            if not text.startswith("> "):
                assert text.rstrip() in shown
                # The answers stand in the order of the commands.
                shown = shown[shown.index(text.rstrip()) :]

    def test_the_gate_of_the_guide_works_in_a_shell(self, logs: Path, tmp_path: Path) -> None:
        (gate,) = re.findall(r"^```bash\n(agent-step-log replay .*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
        program = f"{sys.executable} -m agent_stack"
        script = tmp_path / "gate.sh"
        script.write_text(gate.replace("agent-step-log", program), encoding="utf-8")
        statuses = []
        for kept in ("a.jsonl", "b.jsonl"):
            shutil.rmtree(tmp_path / "work", ignore_errors=True)
            (tmp_path / "work" / "logs").mkdir(parents=True)
            shutil.copy(logs / kept, tmp_path / "work" / "logs")
            done = subprocess.run(
                ["bash", script],
                cwd=tmp_path / "work",
                env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": SOURCES},
                capture_output=True,
                text=True,
            )
            assert done.stderr == ""
            statuses.append(done.returncode)

        assert statuses == [1, 0]


class TestBatch:
    def test_shows_each_outcome(self, cli: Cli, logs: Path) -> None:
        lines = "error; where; list 3; p error_frames[0].line"
        out = cli("replay", logs, "aaaa0001", "-x", lines, columns=80).out

        failed = "▶     3 ✗ read_file  MissingFileError: No such file: 'x.py'  path=x.py    3.5 ms"
        assert out.splitlines() == [
            failed,
            failed,
            "      2 ◆ claude-x  asks for read_file  “Opening it.”        1.2k → 84    900 ms",
            failed,
            "      4 ▾ helper  look around  → it is w.py                               900 ms",
            "error_frames[0].line = 88",
        ]

    def test_every_command_has_words_and_json(self, cli: Cli, logs: Path) -> None:
        write_tape(logs, *whole_run())
        lines = (
            "n; rn; s; rs; in; up; fin; until error; goto 4; turn; peer; e; back; forward; /read; ?read;"
            "mark a; 'a; marks; break at tool if ms > 1ms; tbreak 3; watch model; catch gap 5s; ignore 1 1;"
            "cond 1; disable; enable; info; c; rc; delete; info; p tool; pp input; log tool, ms; list; bt;"
            "ctx; ctx -d --full; diff; diff 3; cmd;"
            "wire; wire resp; wire sse; files; state; display ms; display; n; undisplay;"
            "help; help fields; help catch; help zz; q; n"
        )
        words = cli("replay", logs, "aaaa0001", "-x", lines)
        told = cli("replay", logs, "aaaa0001", "-x", lines, "--json")

        assert (words.err, told.err) == ("", "")
        assert (words.code, told.code) == (1, 1)
        kinds = [each["outcome"] for each in told.json_lines()]
        assert kinds[-1] == "quit"
        assert set(kinds) == {
            *(
                "moved",
                "marks",
                "stops",
                "value",
                "table",
                "rows",
                "where",
                "context",
                "wire",
                "changes",
                "files",
                "state",
            ),
            *("note", "help", "quit"),
        }

    def test_shows_what_differs_between_two_steps(self, cli: Cli, write_log: WriteLog) -> None:
        first = tool(1, input={"command": "make a"}, output="2 of 9 failed")
        path = write_log(
            "run.jsonl", RUN_START, first, tool(2, input={"command": "make b"}, output="9 passed")
        )

        out = cli("replay", path, "-x", "2; diff; 1; diff", columns=60).out

        assert [line.strip() for line in out.splitlines()[1:]] == [
            "step 1 → 2  bash",
            "input.command",
            "- make a",
            "+ make b",
            "output",
            "- 2 of 9 failed",
            "+ 9 passed",
            '▶     1 ● bash  command="make a"  → 2 of 9 failed     1.0 ms',
            "There is no earlier step of the same type and name.",
        ]

    def test_shows_the_wire(self, cli: Cli, logs: Path) -> None:
        write_tape(logs, *({**each, "step": 2} if "step" in each else each for each in whole_run()[1:2]))
        out = cli("replay", logs, "aaaa0001", "-x", "goto 2; wire; wire resp; ctx", columns=100).out

        assert "POST https://api.anthropic.com/v1/messages  200" in out
        assert "Why does the nightly job fail?" in out
        assert "● read_file  path=nightly.txt" in out
        assert "(as it was sent)" in out

    def test_a_command_that_cannot_be_understood_points_at_the_place(self, cli: Cli, logs: Path) -> None:
        result = cli("replay", logs, "-x", "n; break if eror")

        assert (result.code, result.out) == (2, "")
        assert result.err.splitlines() == [
            "n; break if eror",
            "            ^",
            "There is no field 'eror'; did you mean error or record?",
        ]

    def test_a_command_that_cannot_be_done_is_one_sentence(self, cli: Cli, logs: Path) -> None:
        result = cli("replay", logs, "-x", "delete 4")

        assert result.code == 2
        assert result.err == "agent-step-log: There is no stop 4; `info` lists those there are.\n"

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["logs", "zzzz"], "logs: there is no run 'zzzz' in it."),
            (
                ["logs", "bbbb0003"],
                "logs: there is no run 'bbbb0003' in it; the nearest: run_0193e2a51c4b7d3f9a6be1d2bbbb0002.",
            ),
            (["nowhere.jsonl"], "nowhere.jsonl: no such file or directory."),
            (["run.tape.zst"], "the log of that run is not beside it"),
        ],
    )
    def test_a_run_that_is_not_there(
        self, cli: Cli, logs: Path, tmp_path: Path, arguments: list[str], sentence: str
    ) -> None:
        write_tape(tmp_path, *whole_run(), name="run.tape.zst", run_id="run_of_nobody")
        result = cli("replay", *arguments, "-x", "n")

        assert result.code == 2
        assert sentence in result.err
        assert len(result.err.splitlines()) == 1

    def test_one_argument_that_is_no_path_is_a_run(self, cli: Cli, logs: Path) -> None:
        assert cli("replay", "aaaa0001", "-x", "p step").out == "step = 1\n"

    def test_damage_is_counted_on_stderr(self, cli: Cli, logs: Path) -> None:
        path = logs / "b.jsonl"
        path.write_bytes(b"garbage\n" + path.read_bytes())
        result = cli("replay", path, "-x", "p step")

        assert (result.code, result.out) == (0, "step = 1\n")
        assert "1 stretch" in result.err or "damage" in result.err

    def test_a_run_without_steps(self, cli: Cli, logs: Path) -> None:
        result = cli("replay", logs / "c.jsonl", "-x", "catch error; c; n; list; state")

        assert (result.code, result.err) == (0, "")
        assert "The run has no steps yet." in result.out


class TestPrompt:
    def prompt(self, cli: Cli, monkeypatch: pytest.MonkeyPatch, lines: str, *arguments: object) -> Result:
        monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
        return cli("replay", *map(str, arguments), "--repl", columns=80)

    def test_reads_lines_from_a_pipe(self, cli: Cli, logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        result = self.prompt(cli, monkeypatch, "# a remark\n\ne\np error\nq\nn\n", logs, "aaaa0001")

        assert (result.code, result.err) == (0, "")
        title, first, *rest = result.out.splitlines()
        assert title.startswith("researcher  run_0193e2a51c4b7d3f9a6be1d2aaaa0001")
        assert "user_message" in first
        assert rest[0].startswith("▶     3 ✗ read_file")
        assert rest[1:] == ["error = \"No such file: 'x.py'\""]

    def test_goes_on_after_an_error_and_says_so_at_the_end(
        self, cli: Cli, logs: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        result = self.prompt(cli, monkeypatch, "brek\np step\n", logs, "aaaa0001")

        assert result.code == 2
        assert (
            "  brek\n  ^\n  There is no command 'brek'; did you mean break or tbreak?\nstep = 1\n"
            in result.out
        )

    def test_at_a_terminal_an_empty_line_repeats_the_last(self, logs: Path) -> None:
        master, terminal = pty.openpty()
        code = "import sys; from agent_stack.__main__ import main; sys.exit(main())"
        child = subprocess.Popen(
            [sys.executable, "-c", code, "replay", str(logs), "aaaa0001", "--repl", "--color", "never"],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": SOURCES, "TERM": "dumb", "PYTHONUTF8": "1"},
        )
        os.close(terminal)
        said = ""

        def answer(awaited: str, typed: str) -> None:
            nonlocal said
            while awaited not in said:
                said += os.read(master, 4096).decode("utf-8", "replace")
            said = said.partition(awaited)[2]
            os.write(master, typed.encode())

        answer("(1) ", "s\n")
        answer("(2) ", "\n")
        answer("(3) ", "p foo\n")
        answer("lists them", "")
        answer("(3) ", "\x04")
        with suppress(OSError):  # the terminal is gone with the child
            while os.read(master, 4096):
                pass
        os.close(master)

        assert child.wait() == 0

    def test_an_interrupt_gives_the_prompt_again_and_the_end_of_input_leaves(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        typed: list[Any] = ["s", KeyboardInterrupt(), "n", EOFError()]

        def type_in(prompt: str) -> str:
            assert prompt == "(1) "
            following = typed.pop(0)
            if isinstance(following, BaseException):
                raise following
            return str(following)

        monkeypatch.setattr("builtins.input", type_in)

        assert list(_typed(lambda: "(1) ")) == ["s", "n"]

    def test_goes_into_the_run_a_step_started(
        self, cli: Cli, write_log: WriteLog, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_log("logs/main.jsonl", RUN_START, tool(1), run_id="main")
        child = {**RUN_START, "agent": "helper", "parent_run_id": "main", "parent_step": 1}
        write_log("logs/child.jsonl", child, tool(1, tool="grep"), run_id="child")

        out = self.prompt(cli, monkeypatch, "bt\nin\nup\n", "logs", "main").out

        assert out.splitlines()[3:] == [
            "  ↳ in  helper  child",
            "This is run child, started by step 1; `up` leads back.",
            "▶     1 ● grep  → x                                                       1.0 ms",
            "Back in run main.",
            "▶     1 ● bash  → x                                                       1.0 ms",
        ]

    def test_chooses_among_the_runs_a_step_started(
        self, cli: Cli, write_log: WriteLog, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_log("logs/main.jsonl", RUN_START, tool(1), run_id="main")
        child = {**RUN_START, "agent": "helper", "parent_run_id": "main", "parent_step": 1}
        for name in ("one", "two"):
            write_log(f"logs/{name}.jsonl", child, tool(1, tool=name), run_id=name)

        out = self.prompt(cli, monkeypatch, "bt\nin 2\n", "logs", "main").out

        assert out.splitlines()[3:] == [
            "  ↳ in 1  helper  one",
            "  ↳ in 2  helper  two",
            "Run 2 of 2 that step 1 started: `up` leads back, `up; in 1` to another. It is two.",
            "▶     1 ● two  → x                                                        1.0 ms",
        ]
        told = cli("replay", "logs", "main", "-x", "where; in 2", "--json").out.splitlines()
        where, moved = map(json.loads, told)
        assert [each["run_id"] for each in where["children"]] == ["one", "two"]
        assert moved["run_id"] == "two"

    def test_speaks_json(self, cli: Cli, logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        result = self.prompt(cli, monkeypatch, "n; p step\nbrek\n", logs, "aaaa0001", "--json")

        assert [each["outcome"] for each in result.json_lines()] == ["moved", "value", "error"]

    def test_sees_what_the_log_gains_while_it_is_open(
        self, cli: Cli, write_log: WriteLog, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = write_log("run.jsonl", RUN_START, tool(1))

        class Typing(io.StringIO):
            """Lines between which the log is written to."""

            def __iter__(self) -> Any:
                yield "p step\n"
                with path.open("a", encoding="utf-8") as file:
                    head = {"run_id": "run-a", "step": 2, "type": "tool_call", "ts": T0 + 2}
                    file.write(json.dumps({**head, **tool(2)}) + "\n")
                yield "s\n"
                path.write_text(path.read_text(encoding="utf-8").rpartition('{"run_id"')[0], encoding="utf-8")
                yield "p step\n"
                path.unlink()
                yield "list\n"
                yield "list\n"

        monkeypatch.setattr(sys, "stdin", Typing())
        result = cli("replay", path, "--repl", columns=80)

        assert result.code == 0
        said = [text for text in result.out.splitlines() if not text.startswith((" ", "▶", "step"))]
        assert said[1:] == [
            "1 more row since.",
            "The log got shorter; it was read again.",
            "The log is not there any more; what was read stays.",
        ]


def tool(step: int, **more: Any) -> dict[str, Any]:
    return {
        "type": "tool_call",
        "step": step,
        "tool": "bash",
        "input": None,
        "output": "x",
        "error": None,
        "duration_ms": 1,
        **more,
    }


EVIL = "\x1b]0;owned\x07\x1b[2J\x1b[31m\u202egnp.exe\u2066 \x9b5A\r\n\x00"


class TestHostileLogs:
    LINES = (
        "list; p tool; p output; pp output; p error; log tool, output, error; where; ctx; files; state; "
        "/owned; watch output; break at tool; c; c; display output; n; rn; mark m; marks; goto zz"
    )

    def check(self, result: Result) -> None:
        assert result.code in (0, 1)
        for char in result.out.replace("\n", "") + result.err.replace("\n", ""):
            assert char >= " ", repr(char)
            assert not 0x7F <= ord(char) <= 0x9F, repr(char)
            assert char not in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069", repr(char)

    def test_cannot_move_the_cursor_whatever_is_shown(self, cli: Cli, write_log: WriteLog) -> None:
        path = write_log(
            "run.jsonl",
            {**RUN_START, "agent": EVIL},
            tool(1, tool=EVIL, input={EVIL: EVIL, "file_path": EVIL[:8]}, output=EVIL * 3, writer=EVIL),
            tool(2, tool=EVIL, output={EVIL: [EVIL]}, error=EVIL, error_type=EVIL),
            {"type": "event", "step": 3, "name": EVIL, "data": EVIL},
            {
                "type": "llm_call",
                "step": 4,
                "model": EVIL,
                "stop_reason": EVIL,
                "output": EVIL,
                "input": EVIL,
            },
            run_id=EVIL,
        )

        self.check(cli("replay", path, "-x", self.LINES))
        self.check(cli("replay", path, "-x", self.LINES, "--json"))
        self.check(cli("replay", path, "-x", f"until tool == 'x{EVIL[:3]}'"))

    def test_what_was_typed_comes_back_safe(self, cli: Cli, logs: Path) -> None:
        result = cli("replay", logs, "-x", f"/{EVIL[:9]}; p '\x1b[31m'; break\x1b if x")

        assert result.code == 2
        assert "\x1b" not in result.out + result.err

    def test_a_line_of_50_megabytes_is_shown_in_its_beginning(self, cli: Cli, write_log: WriteLog) -> None:
        path = write_log("run.jsonl", RUN_START, tool(1, output="é\u202e" * 12_000_000), tool(2))

        result = cli("replay", path, "-x", "list; p output; log output; s; rs; /zzz", columns=100)

        self.check(result)
        assert len(result.out) < 20_000

    def test_deep_json_is_cut_and_not_a_traceback(
        self, cli: Cli, write_log: WriteLog, tmp_path: Path
    ) -> None:
        path = write_log("run.jsonl", RUN_START, tool(1))
        deep = '{"a":' * 3_000 + "1" + "}" * 3_000
        text = path.read_text(encoding="utf-8").replace('"output":"x"', f'"output":{deep}')
        path.write_text(text, encoding="utf-8")

        result = cli(
            "replay",
            path,
            "-x",
            "list; p output; pp output; p output.a.a.a is missing; log output; /zz; state",
        )

        self.check(result)
        assert "Traceback" not in result.err

    @pytest.mark.parametrize("command", ["ctx", "ctx -d", "ctx --full"])
    def test_what_a_tool_brought_is_not_laid_out_without_end(
        self, cli: Cli, write_log: WriteLog, command: str
    ) -> None:
        path = write_log(
            "run.jsonl",
            RUN_START,
            tool(1, output=list(range(300_000))),
            tool(2, output="e\n" * 3_000_000),
            tool(3, output={f"k{n}": n for n in range(100_000)}),
            {"type": "llm_call", "step": 4, "model": "m"},
        )

        result = cli("replay", path, "-x", f"goto 4; {command}")

        self.check(result)
        assert "0," in result.out
        assert len(result.out.splitlines()) < (210_000 if "full" in command else 40)
        if "full" in command:
            assert "… 5,600,000 more characters (--json prints them)" in result.out
            assert "… 298,000 more items (--json prints them)" in result.out


class TestTapesOutOfPlace:
    @pytest.fixture
    def taped(self, logs: Path) -> Path:
        """A log whose step 2 is on a tape beside it."""
        path = logs / "a.jsonl"
        text = path.read_text(encoding="utf-8")
        place = '"type":"llm_call",'
        text = text.replace(place, place + '"exchange":{"tape":"a.tape.zst","n":1},', 1)
        path.write_text(text, encoding="utf-8")
        return path

    def test_one_that_is_gone_is_named(self, cli: Cli, taped: Path) -> None:
        out = cli("replay", taped, "-x", "goto 2; wire").out
        assert out.splitlines()[-1] == "The tape of step 2 is not beside the log: a.tape.zst."

    @pytest.mark.parametrize("content", [b"", b"\x28\xb5\x2f\xfd torn", b"no tape at all\n"])
    def test_one_that_is_damaged_is_named(self, cli: Cli, taped: Path, content: bytes) -> None:
        (taped.parent / "a.tape.zst").write_bytes(content)
        told = cli("replay", taped, "-x", "goto 2; wire", "--json").json_lines()[-1]
        assert told["exchange"] is None
        assert told["message"] == (
            "Step 2 cannot be read on its tape, a.tape.zst; `agent-step-log wire` tells what is left of it."
        )

    def test_a_directory_of_tapes_alone_says_so(self, cli: Cli, tmp_path: Path) -> None:
        (tmp_path / "tapes").mkdir()
        write_tape(tmp_path / "tapes", *whole_run(), name="run.tape.zst", run_id="run_of_nobody")
        result = cli("replay", "tapes", "-x", "list")
        assert result.code == 2
        assert "the log of that run is not beside it; `agent-step-log wire` reads a tape alone" in result.err


class TestStrangeStreams:
    def test_without_any_stdin_there_are_no_commands(
        self, cli: Cli, logs: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "stdin", None)
        for arguments in (["--repl"], []):
            result = cli("replay", logs, "aaaa0001", *arguments)
            assert (result.code, result.err) == (0, "")

    def test_bytes_that_are_no_text_are_no_command(
        self, cli: Cli, logs: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lines = io.TextIOWrapper(
            io.BytesIO(b"/\xff\xfe\ng \xff\n\x80\x81\np '\xff'\n"), encoding="utf-8", errors="surrogateescape"
        )
        monkeypatch.setattr(sys, "stdin", lines)
        result = cli("replay", logs, "aaaa0001", "--repl")
        assert result.code == 2
        assert "There is no later step that holds" in result.out
        assert "There is no command" in result.out

    def test_a_reader_that_leaves_early_ends_it_quietly(self, logs: Path) -> None:
        program = [sys.executable, "-m", "agent_stack", "replay", str(logs), "aaaa0001", "--repl"]
        environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": SOURCES, "PYTHONUTF8": "1"}
        child = subprocess.Popen(
            program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
        )
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        with suppress(BrokenPipeError):
            child.stdin.write(b"list 50\n" * 1_000)
            child.stdin.close()
        assert child.wait() == 141
        assert child.stderr.read() == b""
        child.stderr.close()

    def test_on_an_ascii_terminal_of_few_columns(self, logs: Path) -> None:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "agent_stack",
                "replay",
                str(logs),
                "aaaa0001",
                "-x",
                "list 9; state; ctx",
            ],
            env={
                "PATH": "/usr/bin:/bin",
                "PYTHONPATH": SOURCES,
                "PYTHONIOENCODING": "ascii",
                "NO_COLOR": "1",
                "COLUMNS": "20",
                "TERM": "dumb",
            },
            capture_output=True,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.isascii()
        assert b"?" not in done.stdout.replace(b"? ", b"")
