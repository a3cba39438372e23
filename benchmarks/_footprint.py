"""What the recorder takes of a process: time to import, and memory over a million records."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile

_TIMED = "import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"

_SOAK = """
import gc, os, sys
from agent_step_log import StepLog

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

log = StepLog(sys.argv[1] + "/soak.jsonl", "soak")
def record(times):
    for number in range(times):
        if number % 3 == 2:
            log.record_tool_call("search", {"query": "x"}, {"text": "y" * 200}, 1.5)
        else:
            log.record_llm_call("model", 1200, 340, "end_turn", 812.5)
record(20_000)
gc.collect()
before = resident()
record(int(sys.argv[2]))
gc.collect()
print(resident() - before)
"""


def import_times(rounds: int) -> tuple[float, float, float]:
    """Return milliseconds to import msgspec, to import agent_step_log, and the median ratio."""
    base: list[float] = []
    ours: list[float] = []
    for _ in range(rounds):
        for module, figures in (("msgspec", base), ("agent_step_log", ours)):
            command = [sys.executable, "-c", _TIMED.format(module=module)]
            figures.append(float(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    ratio = statistics.median(b / a for a, b in zip(base, ours, strict=True))
    return statistics.median(base) * 1e3, statistics.median(ours) * 1e3, ratio


def memory_growth(records: int) -> float:
    """Return the megabytes by which a process grows over *records* records, after a warm-up."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        command = [sys.executable, "-c", _SOAK, directory, str(records)]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) / 1e6
