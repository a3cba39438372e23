"""Recording from many threads, beside a busy one, and from many processes on one file."""

from __future__ import annotations

import multiprocessing
import shutil
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks._recorders import SMALL, article, bare_write, end_all, ours

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks._recorders import Case

_SLOW_S = 0.002


def throughput(recorder: Any, case: Case, threads: int, records: int) -> float:
    """Return records a second, all threads together, wall time."""
    directory = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        call = recorder(directory)(case)
        gate = threading.Barrier(threads + 1)

        def work() -> None:
            gate.wait()
            for _ in range(records // threads):
                call()

        workers = [threading.Thread(target=work) for _ in range(threads)]
        for worker in workers:
            worker.start()
        gate.wait()
        start = time.perf_counter()
        for worker in workers:
            worker.join()
        return records / (time.perf_counter() - start)
    finally:
        end_all()
        shutil.rmtree(directory, ignore_errors=True)


def throughputs(threads: int, records: int, rounds: int) -> dict[str, float]:
    """Return median records a second of the article's recorder and ours, measured in turn."""
    figures: dict[str, list[float]] = {"the article's": [], "agent-step-log": []}
    for _ in range(rounds):
        figures["the article's"].append(throughput(article, SMALL, threads, records // 10))
        figures["agent-step-log"].append(throughput(ours, SMALL, threads, records))
    ratios = [b / a for a, b in zip(*figures.values(), strict=True)]
    return {
        **{name: statistics.median(values) for name, values in figures.items()},
        "ratio": statistics.median(ratios),
    }


def slow_share(recorder: Any, case: Case, seconds: float) -> tuple[float, float]:
    """Return the share of calls over 2 ms, and the median in microseconds, beside a CPU-bound thread."""
    directory = Path(tempfile.mkdtemp(prefix="bench-"))
    stop = threading.Event()

    def spin() -> None:
        while not stop.is_set():
            sum(range(1000))

    busy = threading.Thread(target=spin, daemon=True)
    busy.start()
    try:
        call = recorder(directory)(case)
        times: list[float] = []
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
            # An agent does something between two steps, and so gives the GIL to the busy thread.
            time.sleep(0)
        return sum(t > _SLOW_S for t in times) / len(times), statistics.median(times) * 1e6
    finally:
        stop.set()
        busy.join()
        end_all()
        shutil.rmtree(directory, ignore_errors=True)


def _process(recorder: Any, path: str, records: int, gate: Any, done: Any) -> None:
    call = recorder(Path(path))(SMALL)
    gate.wait()
    start = time.perf_counter()
    for _ in range(records):
        call()
    done.put((time.perf_counter() - start) / records * 1e6)


def processes(recorder: Callable[..., Any], number: int, records: int) -> float:
    """Return the median wall microseconds per record of *number* processes on one file."""
    directory = tempfile.mkdtemp(prefix="bench-")
    context = multiprocessing.get_context("fork")
    gate, done = context.Barrier(number), context.Queue()
    workers = [
        context.Process(target=_process, args=(recorder, directory, records, gate, done))
        for _ in range(number)
    ]
    try:
        for worker in workers:
            worker.start()
        figures: list[float] = [done.get(timeout=120) for _ in workers]
        for worker in workers:
            worker.join()
        return statistics.median(figures)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


__all__ = ["bare_write", "processes", "slow_share", "throughputs"]
