"""What the tests of the command line share: a runner, and logs with fixed times."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import agent_stack
from agent_stack.__main__ import main

SOURCES = str(Path(agent_stack.__file__).resolve().parent.parent)
T0 = 1_700_000_000.0  # 2023-11-14 22:13:20 UTC


@dataclass
class Result:
    """What one command line came to."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """The one JSON object on stdout."""
        return json.loads(self.out)

    def json_lines(self) -> list[Any]:
        """The JSON objects on stdout, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]


Cli = Callable[..., Result]
WriteLog = Callable[..., Path]


@pytest.fixture(autouse=True)
def _plain_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in ("AGENT_STEP_LOG_DIR", "NO_COLOR", "COLUMNS", "CLAUDE_CONFIG_DIR", "CODEX_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    # A child process in another directory imports the same sources, installed or not.
    monkeypatch.setenv("PYTHONPATH", SOURCES)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.chdir(tmp_path)
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Run a command line in this process: ``cli("ls", "logs", columns=80)``."""

    def run(*arguments: str | os.PathLike[str], columns: int | None = None) -> Result:
        if columns is not None:
            monkeypatch.setenv("COLUMNS", str(columns))
        capsys.readouterr()
        code = main([os.fspath(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run


@pytest.fixture
def write_log(tmp_path: Path) -> WriteLog:
    """Write records as a log: the head is filled in, ``at`` is seconds after `T0`."""

    def write(name: str, *records: dict[str, Any], run_id: str = "run-a") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = []
        for record in records:
            keys = dict(record)
            head = {
                "run_id": keys.pop("run_id", run_id),
                "step": keys.pop("step", 0),
                "type": keys.pop("type"),
                "ts": T0 + keys.pop("at", 0.0),
            }
            lines.append(json.dumps({**head, **keys}, separators=(",", ":")))
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


#: A process on a machine that is not this one, silent for years: its run is interrupted.
GONE = {"pid": 4242, "host": "elsewhere", "boot_id": "b", "started": 1.0}

FRAMES = [
    {"file": "/home/ann/app/agent.py", "line": 88, "function": "act", "code": "tool(**given)"},
    {"file": "/home/ann/app/tools.py", "line": 41, "function": "read_file", "code": "open(path)"},
]

RUN_START = {
    "type": "run_start",
    "format": 1,
    "agent": "researcher",
    "agent_version": "1.2.0",
    "task_type": "explore",
    "environment": "test",
    "metadata": {"ticket": "T-7"},
    "process": GONE,
}

WHOLE_RUN: list[dict[str, Any]] = [
    RUN_START,
    {"type": "event", "step": 1, "at": 0.1, "name": "user_message", "data": {"text": "Find the writer"}},
    {"type": "step_start", "step": 2, "at": 0.1, "of": "llm_call", "model": "claude-x"},
    {
        "type": "llm_call",
        "step": 2,
        "at": 1.0,
        "model": "claude-x",
        "input_tokens": 1200,
        "output_tokens": 84,
        "stop_reason": "tool_use",
        "duration_ms": 900.0,
        "cache_read_tokens": 1000,
        "tool_calls": [{"id": "t1", "name": "read_file"}],
        "output": [{"type": "text", "text": "Opening it."}],
    },
    {
        "type": "step_start",
        "step": 3,
        "at": 1.0,
        "of": "tool_call",
        "tool": "read_file",
        "input": {"path": "x.py"},
    },
    {
        "type": "tool_call",
        "step": 3,
        "at": 1.1,
        "tool": "read_file",
        "input": {"path": "x.py"},
        "output": None,
        "error": "No such file: 'x.py'",
        "duration_ms": 3.5,
        "error_type": "app.errors.MissingFileError",
        "error_frames": FRAMES,
    },
    {
        "type": "step_start",
        "step": 4,
        "at": 1.2,
        "of": "agent_call",
        "agent": "helper",
        "input": "look around",
    },
    {
        "type": "step_start",
        "step": 5,
        "at": 1.2,
        "of": "tool_call",
        "tool": "grep",
        "parent": 4,
        "agent": "helper",
    },
    {
        "type": "step_start",
        "step": 6,
        "at": 1.25,
        "of": "tool_call",
        "tool": "list",
        "parent": 4,
        "agent": "helper",
    },
    {
        "type": "tool_call",
        "step": 5,
        "at": 1.5,
        "tool": "grep",
        "input": {"text": "write"},
        "output": "w.py:3",
        "error": None,
        "duration_ms": 300.0,
        "parent": 4,
        "agent": "helper",
    },
    {
        "type": "tool_call",
        "step": 6,
        "at": 1.6,
        "tool": "list",
        "input": {"folder": "."},
        "output": ["w.py"],
        "error": None,
        "duration_ms": 350.0,
        "parent": 4,
        "agent": "helper",
    },
    {
        "type": "llm_call",
        "step": 7,
        "at": 2.0,
        "model": "claude-x",
        "input_tokens": None,
        "output_tokens": None,
        "stop_reason": "max_tokens",
        "duration_ms": 250.0,
        "parent": 4,
        "agent": "helper",
    },
    {
        "type": "agent_call",
        "step": 4,
        "at": 2.1,
        "agent": "helper",
        "input": "look around",
        "output": "it is w.py",
        "error": None,
        "duration_ms": 900.0,
    },
    {"type": "run_end", "at": 2.2, "status": "ok"},
]

KILLED_RUN: list[dict[str, Any]] = [
    {"type": "run_start", "format": 1, "agent": "deployer", "process": GONE, "at": 10.0},
    {
        "type": "llm_call",
        "step": 1,
        "at": 10.5,
        "model": "claude-x",
        "input_tokens": 10,
        "output_tokens": 2,
        "stop_reason": "tool_use",
        "duration_ms": 400.0,
    },
    {
        "type": "step_start",
        "step": 2,
        "at": 11.0,
        "of": "tool_call",
        "tool": "deploy",
        "input": {"to": "prod"},
    },
]

FAILED_RUN: list[dict[str, Any]] = [
    {"type": "run_start", "format": 1, "agent": "researcher", "process": GONE, "at": 20.0},
    {"type": "run_end", "at": 20.5, "status": "error", "error": "no key", "error_type": "app.AuthError"},
]


@pytest.fixture
def logs(write_log: WriteLog, tmp_path: Path) -> Path:
    """A directory with three runs: one whole, one killed in mid-tool, one that failed."""
    write_log("logs/a.jsonl", *WHOLE_RUN, run_id="run_0193e2a51c4b7d3f9a6be1d2aaaa0001")
    write_log("logs/b.jsonl", *KILLED_RUN, run_id="run_0193e2a51c4b7d3f9a6be1d2bbbb0002")
    write_log("logs/c.jsonl", *FAILED_RUN, run_id="nightly-eval/support-4711")
    return tmp_path / "logs"
