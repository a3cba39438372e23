"""Reading a log back: all of it against the standard library's loop, and one step out of a gigabyte."""

from __future__ import annotations

import json
import random
import shutil
import statistics
import time
from typing import TYPE_CHECKING

from agent_step_log import LogIndex, StepLog, read_log
from benchmarks._recorders import RUN_ID, SMALL

if TYPE_CHECKING:
    from pathlib import Path


def write_log(path: Path, records: int) -> None:
    """Write *records* steps, two thirds model calls and one third tool calls of half a kilobyte."""
    log = StepLog(path, RUN_ID, on_error="raise")
    output = {"results": [{"title": "Q3 report", "text": "revenue grew " * 30}]}
    for number in range(records):
        if number % 3 == 2:
            log.record_tool_call("search_documents", {"query": "Q3 revenue"}, output, 12.5)
        else:
            log.record_llm_call(**SMALL.fields)
    log.close()


def write_large(path: Path, size: int) -> int:
    """Write one run of at least *size* bytes; return its number of steps."""
    part = path.with_suffix(".part")
    write_log(part, 200_000)
    steps = 0
    with path.open("wb") as file, part.open("rb") as source:
        lines = [line for line in source if b'"step":0' not in line]
        heads = [line.partition(b',"type"') for line in lines]
        prefix = heads[0][0].rpartition(b":")[0] + b":"
        while file.tell() < size:
            # The same steps again under higher numbers: what is measured is finding a number.
            block = [b"%b%d%b%b" % (prefix, steps + i + 1, *head[1:]) for i, head in enumerate(heads)]
            file.write(b"".join(block))
            steps += len(block)
    part.unlink()
    return steps


def reading(path: Path, rounds: int) -> dict[str, list[float]]:
    """Return seconds to read *path* through, with the standard library and with us."""

    def stdlib() -> None:
        with path.open(encoding="utf-8") as file:
            for line in file:
                json.loads(line)

    def ours() -> None:
        for _ in read_log(path):
            pass

    figures: dict[str, list[float]] = {"json": [], "read_log": []}
    for _ in range(rounds):
        for name, function in (("json", stdlib), ("read_log", ours)):
            start = time.process_time()
            function()
            figures[name].append(time.process_time() - start)
    return figures


def step_access(path: Path, steps: int, times: int) -> tuple[float, float]:
    """Return the median and 99th percentile of microseconds to fetch a random step, no index built."""
    chance = random.Random(7)
    figures = []
    with LogIndex(path) as index:
        for _ in range(times):
            number = chance.randint(1, steps)
            start = time.perf_counter()
            found = index.step(number)
            figures.append((time.perf_counter() - start) * 1e6)
            assert found
            assert found[0].step == number
    figures.sort()
    return statistics.median(figures), figures[int(len(figures) * 0.99)]


def remove(directory: Path) -> None:
    """Remove what was written."""
    shutil.rmtree(directory, ignore_errors=True)
