"""What a log holds cannot act on the terminal, through any command, in any field."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.agent_stack.conftest import Cli, WriteLog

CORPUS = Path(__file__).parents[1] / "conformance"

HOSTILE = {
    "title": "\x1b]0;owned\x07",
    "clear": "\x1b[2J\x1b[H\x1b[31m",
    "clipboard": "\x1b]52;c;ZXZpbA==\x1b\\",
    "link": "\x1b]8;;http://evil\x1b\\text\x1b]8;;\x1b\\",
    "c1": "\x9b31m\x9d0;x\x9c",
    "bidi": "\u202egnp.exe\u202c \u2066x\u2069 \u200e\u200f",
    "nul": "a\x00b\x7f\x08\x08",
    "lines": "a\nb\rc\u2028d\u2029e\x0bf\x0cg\x85h",
    "invisible": "\u200b\u2060\ufeff\U000e0041\u3164",
    "zalgo": "z" + "\u0337\u0317" * 400,
    "long": "x" * 100_000,
    "wide": "日本語" * 5000,
    "markup": "[bold red]not markup[/] :smile: [link=http://evil]",
}

COMMANDS = (
    ("ls",),
    ("show",),
    ("show", "--full"),
    ("show", "--errors"),
    ("show", "--step", "2"),
    ("stats",),
    ("tail", "-n", "99"),
    ("verify",),
    ("repair", "--dry-run"),
)


def hostile_records(text: str) -> Any:
    """A run with *text* in every place that takes text."""
    frame = {"file": f"/x/{text}", "line": 1, "function": text, "code": text}
    error = {"error": text, "error_type": text, "error_frames": [frame]}
    value = {text: [text, {text: text}]}
    own = {"writer": text, "agent": text, "attrs": {text: text}}
    header = {
        "agent_version": text,
        "task_type": text,
        "environment": text,
        "metadata": value,
        "parent_run_id": text,
    }
    return [
        {"type": "run_start", "format": 1, "agent": text, **header},
        {"type": "step_start", "step": 1, "of": "tool_call", "tool": text, "input": value},
        {
            "type": "tool_call",
            "step": 2,
            "tool": text,
            "input": value,
            "output": text,
            "duration_ms": 1,
            **error,
        },
        {
            "type": "llm_call",
            "step": 3,
            "model": text,
            "input_tokens": 1,
            "output_tokens": 1,
            "stop_reason": text,
            "duration_ms": 1,
            "provider": text,
            "request_id": text,
            "tool_calls": [{"id": text, "name": text}],
            "output": [{"type": "text", "text": text}],
            "bounds": {text: text},
        },
        {"type": "event", "step": 4, "name": text, "data": value},
        {"type": "agent_call", "step": 5, "input": text, "output": value, "duration_ms": 1, **own, **error},
        {"type": text, "step": 6, "tool": text},
        {"type": "run_end", "status": text, **error},
    ]


def acting(text: str) -> Any:
    """The characters of *text* that a terminal would act on, colours of ours and newlines apart."""
    bare = re.sub(r"\x1b\[[0-9;]*m", "", text).replace("\n", "")
    return {char for char in bare if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")}


def is_json(line: str) -> Any:
    try:
        # Numbers as text: Python's own limit on digits is not ours.
        json.loads(line, parse_int=str, parse_float=str)
    except RecursionError:
        return True  # too deep for this reader, and kept nevertheless
    except ValueError:
        return False
    return True


@pytest.fixture(params=HOSTILE, ids=str)
def hostile_log(request: pytest.FixtureRequest, write_log: WriteLog) -> Any:
    text = HOSTILE[request.param]
    return write_log("a.jsonl", *hostile_records(text), run_id=f"run-{text}")


class TestHostileText:
    @pytest.mark.parametrize("color", ["never", "always"])
    def test_nothing_acts_on_the_terminal(self, cli: Cli, hostile_log: Path, color: str) -> None:
        for name, *options in COMMANDS:
            result = cli(name, hostile_log, *options, "--color", color, columns=80)
            assert result.code in (0, 1, 2), name
            assert not acting(result.out), name
            assert not acting(result.err), name

    def test_no_line_of_a_view_outgrows_the_screen(self, cli: Cli, hostile_log: Path) -> None:
        from agent_stack import _safe

        for name, *options in (("ls",), ("show",), ("tail", "-n", "99")):
            lines = cli(name, hostile_log, *options, columns=100).out.splitlines()
            assert max(map(_safe.width, lines)) <= 100, name

    def test_json_is_ascii_and_keeps_what_was_written(self, cli: Cli, hostile_log: Path) -> None:
        written = [json.loads(line) for line in hostile_log.read_text(encoding="utf-8").split("\n") if line]
        for name, *options in (("ls",), ("show",), ("show", "--step", "2"), ("stats",), ("verify",)):
            result = cli(name, hostile_log, *options, "--json")
            assert not acting(result.out), name
            assert result.out.isascii(), name
            json.loads(result.out)
        assert cli("tail", hostile_log, "-n", "99", "--json").json_lines() == written

    def test_markup_is_text(self, cli: Cli, write_log: WriteLog) -> None:
        log = write_log("a.jsonl", *hostile_records(HOSTILE["markup"]))
        assert "[bold red]not markup[/] :smile:" in cli("show", log, "--color", "always", columns=200).out


class TestForgedFigures:
    def test_sums_that_overflow_are_null_in_json(self, cli: Cli, write_log: WriteLog) -> None:
        call = {"type": "tool_call", "tool": "t", "input": None, "output": None, "error": None}
        log = write_log("a.jsonl", *[{**call, "step": step, "duration_ms": 1.7e308} for step in (1, 2)])
        for name in ("ls", "stats"):
            assert "Infinity" not in cli(name, log, "--json").out
        assert cli("stats", log, "--json").json()["tools"]["t"]["mean_ms"] is None
        assert cli("stats", log).code == cli("show", log).code == 0


class TestDeepValues:
    def test_nesting_is_shown_as_far_as_it_fits(self, cli: Cli, tmp_path: Path) -> None:
        deep = "[" * 900 + "]" * 900
        head = '{"run_id":"r","step":1,"type":"event","ts":1.0,"name":"n","data":'
        (tmp_path / "a.jsonl").write_text(head + deep + "}\n")
        assert "[[[[…]]]]" in cli("show", "a.jsonl").out
        for options in (("--full",), ("--step", "1"), ("--json",), ("--step", "1", "--json")):
            assert cli("show", "a.jsonl", *options).code == 0
        assert deep in cli("tail", "a.jsonl", "--json").out


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.jsonl*")), ids=lambda path: path.name)
class TestCorpus:
    def test_every_command_has_an_answer_to_every_log_of_the_corpus(self, cli: Cli, path: Path) -> None:
        if path.name.endswith(".json"):
            return
        for name, *options in COMMANDS:
            result = cli(name, path, *options)
            assert result.code in (0, 1, 2), name
            assert not acting(result.out + result.err), name
            if result.code == 2:
                assert result.err.count("\n") == 1, name
        for name in ("ls", "show", "stats", "tail", "verify"):
            result = cli(name, path, "--json")
            assert all(is_json(line) for line in result.out.splitlines()), name
