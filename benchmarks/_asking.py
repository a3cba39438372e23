"""The tables about questions: views against the engine alone, loops, jq and pandas; memory; the commands."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from agent_step_log import StepLog
from agent_step_log.query import compact
from benchmarks import _queries
from benchmarks._generate import write_logs

if TYPE_CHECKING:
    from benchmarks.__main__ import Report

__all__ = ["run"]

_MB = 10**6
_RUNS = 1000


def run(report: Report, *, quick: bool) -> None:
    """Measure and tell."""
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        for megabytes in (2,) if quick else (100, 1000):
            [path] = write_logs(folder / f"{megabytes}", megabytes * _MB)
            _compared(report, path, megabytes, rounds=1 if quick else 5)
            _archived(report, path, megabytes, rounds=1 if quick else 5)
            path.unlink()
        _commands(report, folder, rounds=1 if quick else 7)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _compared(report: Report, path: Path, megabytes: int, rounds: int) -> None:
    figures = _queries.compare(path, rounds)
    peaks = _queries.peaks(path)
    rows = []
    for question, taken in figures.items():
        middle = {name: statistics.median(seconds) for name, seconds in taken.items()}
        rows.append(
            [
                question,
                f"{middle['agent-step-log']:.2f}",
                f"{middle['bare engine']:.2f}",
                f"{_queries.median_ratio(taken, 'agent-step-log', 'bare engine'):.2f}",
                f"{middle['orjson loop']:.2f}",
                f"{middle['orjson loop'] / middle['agent-step-log']:.1f}",
                f"{peaks[question]:.0f}",
            ]
        )
    report.table(
        f"Questions: one log of {megabytes:,} MB",
        ["", "ours, s", "bare engine, s", "x bare", "orjson loop, s", "loop / ours", "our peak, MB"],
        rows,
    )
    if megabytes <= 100:
        ours = statistics.median(figures[_queries.QUESTIONS[0]]["agent-step-log"])
        others = {
            "jq (only picks the durations)": _queries.jq_seconds(path),
            "pandas.read_json": _queries.pandas_seconds(path),
        }
        report.table(
            f"Questions: the first one of {megabytes} MB, other tools",
            ["", "s", "x ours"],
            [[name, f"{taken:.2f}", f"{taken / ours:.0f}"] for name, taken in others.items() if taken],
        )


def _archived(report: Report, path: Path, megabytes: int, rounds: int) -> None:
    directory = path.parent / "archive"
    start = time.process_time()
    made = compact(path, directory)
    taken = time.process_time() - start
    rows = []
    for question, figures in _queries.archived(path, directory, rounds).items():
        log, archive = (statistics.median(figures[name]) for name in ("log", "archive"))
        ratio = _queries.median_ratio(figures, "log", "archive")
        rows.append([question, f"{log:.2f}", f"{archive:.3f}", f"{ratio:.1f}"])
    report.table(
        f"Questions: the same log of {megabytes:,} MB as an archive",
        ["", "log, s", "archive, s", "times faster"],
        rows,
    )
    report.say(
        f"\nWritten at {made.log_bytes / taken / _MB:.0f} MB of log a CPU second; "
        f"{made.log_bytes / made.archive_bytes:.0f} times smaller than the log."
    )


def _commands(report: Report, folder: Path, rounds: int) -> None:
    logs = folder / "runs"
    for number in range(_RUNS):
        with StepLog(f"{logs}/", f"run-{number:04d}", agent="worker", task_type="bench") as log:
            for _ in range(10):
                log.record_llm_call("m", 1200, 80, "tool_use", 900.0)
                log.record_tool_call("search", {"q": "Q3"}, {"found": 3}, 12.0)
    program = [sys.executable, "-m", "agent_stack"]
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "agent-step-log --help": [*program, "--help"],
        f"agent-step-log ls, {_RUNS:,} runs": [*program, "ls", str(logs)],
        f"agent-step-log stats, {_RUNS:,} runs": [*program, "stats", str(logs)],
        f"agent-step-log stats --by task, {_RUNS:,} runs": [*program, "stats", str(logs), "--by", "task"],
        f"agent-step-log cost, {_RUNS:,} runs": [*program, "cost", str(logs)],
    }
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            taken[name].append((time.perf_counter() - start) * 1000)
    report.table(
        "Questions: the commands, start-up included",
        ["", "wall ms", "fastest"],
        [[name, f"{statistics.median(each):.0f}", f"{min(each):.0f}"] for name, each in taken.items()],
    )
