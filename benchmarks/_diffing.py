"""Two runs of a hundred thousand steps compared: beyond reading them, and the whole command."""

from __future__ import annotations

import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from difflib import SequenceMatcher
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest import mock

import msgspec

from agent_debug_replay import _diff, diff
from agent_debug_replay._diff_read import read_source
from agent_step_log import Step, read_run
from benchmarks._generate import write_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.__main__ import Report

__all__ = ["SHAPES", "Pair", "run", "write_pair"]

#: What the second run is, beside the first.
SHAPES = (
    "the same",
    "1 % of records changed",
    "10 % of records changed",
    "every record changed",
    "another run",
    "two tools, one input",
)
_PROGRAM = [sys.executable, "-m", "agent_stack", "diff"]


class Pair(NamedTuple):
    """Two logs of one run each."""

    one: Path
    other: Path


def run(report: Report, *, quick: bool) -> None:
    """Measure and tell."""
    steps, rounds = (5_000, 1) if quick else (100_000, 3)
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        rows = []
        for shape in SHAPES:
            pair = write_pair(folder, shape, steps)
            rows.append([shape, *_measured(pair, rounds)])
            for path in set(pair):
                path.unlink()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report.table(
        f"Debugger: two runs of {steps:,} steps compared (CPU seconds)",
        [
            "the second run",
            "`read_run`, both",
            "`diff` of the logs",
            "of that, beyond reading them",
            "`diff` of runs read",
            "command, with costs",
            "difflib, same keys",
            "pairs not the same",
        ],
        rows,
    )
    report.say(
        "\nMedians. `diff` reads a log once, and takes of each record what it compares while the record is "
        "at hand: that is in its reading, and makes up most of the time with runs that were read before. All "
        "that the command shows is asked for."
    )


def _measured(pair: Pair, rounds: int) -> list[str]:
    figures: dict[str, list[float]] = {
        name: [] for name in ("read", "logs", "beyond", "runs", "command", "difflib")
    }
    different = 0
    for number in range(rounds):
        runs, taken = _timed(lambda: tuple(map(read_run, pair)))
        figures["read"].append(taken)
        found, taken = _timed(partial(_compared, *runs))
        figures["runs"].append(taken)
        different = len(found.pairs) - found.counts["same"]
        if number == 0:
            figures["difflib"].append(_difflib(found.a_steps, found.b_steps))
        del runs, found
        reading = _Reading()
        with mock.patch.object(_diff, "read_source", reading):
            _, taken = _timed(partial(_compared, *pair))
        figures["logs"].append(taken)
        figures["beyond"].append(taken - reading.seconds)
        figures["command"].append(_command(pair))
    middle = {name: statistics.median(taken) for name, taken in figures.items()}
    return [
        *(f"{middle[name]:.2f}" for name in ("read", "logs", "beyond", "runs", "command")),
        "-" if middle["difflib"] < 0 else f"{middle['difflib']:.2f}",
        f"{different:,}",
    ]


class _Reading:
    """Reads the runs for `diff`, and keeps the CPU seconds that takes."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self, source: Any) -> Any:
        read, seconds = _timed(lambda: read_source(source))
        self.seconds += seconds
        return read


def _compared(one: Any, other: Any) -> Any:
    """Compare, and ask for all that the command shows but the costs."""
    found = diff(one, other)
    assert found.totals
    assert found.is_same == (found.first is None)
    return found


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    result = call()
    return result, time.process_time() - start


def _command(pair: Pair) -> float:
    """Return the CPU seconds of the command in a process of its own."""
    before = os.times()
    subprocess.run([*_PROGRAM, *map(str, pair)], stdout=subprocess.DEVNULL, check=False)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


# -- the standard library -----------------------------------------------------------

_PATIENCE_S = 20


def _difflib(one: Any, other: Any) -> float:
    """Return what the standard library takes to align the same steps; -1: it did not end in `_PATIENCE_S`."""
    keys = [[hash(_key(step)) for step in side] for side in (one, other)]
    child = os.fork()
    if child == 0:
        os._exit(_ended_in_time(keys))
    before = os.times()
    _, status = os.waitpid(child, 0)
    after = os.times()
    taken = after.children_user - before.children_user
    return taken if os.waitstatus_to_exitcode(status) == 0 else -1.0


def _ended_in_time(keys: list[list[int]]) -> int:
    import resource

    resource.setrlimit(resource.RLIMIT_CPU, (_PATIENCE_S, _PATIENCE_S))
    SequenceMatcher(None, keys[0], keys[1], autojunk=False).get_matching_blocks()
    return 0


def _key(step: Step) -> tuple[Any, ...]:
    record = step.record
    told = (record.input_tokens, record.output_tokens) if step.type == "llm_call" else ()
    return step.type, step.name, bytes(record.input_json), bytes(record.output_json), told


# -- the logs -----------------------------------------------------------------------


def write_pair(folder: Path, shape: str, steps: int) -> Pair:
    """Write two logs of one run each to *folder*; *shape* is one of `SHAPES`."""
    one, other = folder / "one.jsonl", folder / "other.jsonl"
    write_run(one, steps, seed=1)
    if shape == "the same":
        return Pair(one, one)
    if shape == "another run":
        write_run(other, steps, seed=2)
    elif shape == "two tools, one input":
        for path, seed in ((other, 2), (one, 1)):
            _rewrite(one, path, _alike(random.Random(seed)))
    else:
        share = {"1": 0.01, "10": 0.1, "every": 1.0}[shape.split()[0]]
        _rewrite(one, other, _edited(random.Random(7), share))
    return Pair(one, other)


def _rewrite(source: Path, target: Path, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> None:
    def lines() -> Iterator[bytes]:
        for line in source.read_bytes().splitlines():
            record = msgspec.json.decode(line)
            changed = record if record["type"] in ("run_start", "run_end") else change(record)
            if changed is not None:
                yield (
                    line if changed is record else json.dumps(changed, separators=(",", ":")).encode()
                ) + b"\n"

    text = b"".join(lines())
    target.write_bytes(text)


def _edited(chance: random.Random, share: float) -> Callable[[dict[str, Any]], dict[str, Any] | None]:
    """Of a share of the records drop a fifth, and give the others another output, input or neither."""

    def change(record: dict[str, Any]) -> dict[str, Any] | None:
        if chance.random() >= share:
            return record
        what = chance.random()
        if what < 0.2:
            return None
        if what < 0.6:
            return {**record, "output": {"edited": chance.random()}}
        return {**record, "input": {"edited": chance.random()}} if what < 0.9 else record

    return change


def _alike(chance: random.Random) -> Callable[[dict[str, Any]], dict[str, Any] | None]:
    """Make every step one of two tools, called with the same and coming to the same."""

    def change(record: dict[str, Any]) -> dict[str, Any] | None:
        if record["type"] == "step_start":
            return None
        head = {key: record[key] for key in ("run_id", "step")}
        body = {"tool": chance.choice("ab"), "input": {"q": 1}, "output": "ok", "error": None}
        return {**head, "type": "tool_call", "ts": record["ts"], **body, "duration_ms": 1.0}

    return change
