"""What a tap adds to each chunk of a long stream: fresh processes that take turns, stream by stream.

    python -m benchmarks._tap_chunks KIND CLIENT URL    reads a stream for each line of its input

Each process is as an agent's is: its tap, if it has one, is on from the beginning. One is faster than
another for all its life, by where its objects happen to lie, so there are several of each kind.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from contextlib import ExitStack, nullcontext
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import IO

__all__ = ["Added", "PerChunk", "per_chunk"]

_KINDS = ("bare", "passing", "all in")


class Added(NamedTuple):
    """CPU microseconds per chunk that a tap adds.

    The difference to a process without a tap is taken in each round; its median stands for the two processes.

    Attributes:
        median, low, high: Of these medians.
    """

    median: float
    low: float
    high: float


class PerChunk(NamedTuple):
    """CPU microseconds per chunk.

    Attributes:
        bare: Without a tap, median.
        passing: From the first chunk to the last: the hook and `Capture`; nothing is done with the bytes.
        all_in: Of the whole call: redacted, decoded, compressed and written too.
    """

    bare: float
    passing: Added
    all_in: Added


def per_chunk(client: str, url: str, *, chunks: int, rounds: int, processes: int) -> PerChunk:
    """Return what one chunk costs.

    Args:
        client: One of `CLIENTS`.
        url: Of the streams.
        chunks: Of a stream.
        rounds: Streams that each process reads.
        processes: Of each kind.
    """
    # A moment to think, as a provider takes: what is done with the request is no part of this.
    url = f"{url}?events={chunks}&wait_ms=10"
    bare: list[float] = []
    passing, all_in = [], []
    for _ in range(processes):
        figures = _take_turns(client, url, rounds)
        bare += [stream for stream, _ in figures["bare"]]
        passing.append(_added(figures, "passing", 0))
        all_in.append(_added(figures, "all in", 1))
    return PerChunk(
        statistics.median(bare),
        *(Added(statistics.median(each), min(each), max(each)) for each in (passing, all_in)),
    )


def _added(figures: dict[str, list[tuple[float, float]]], kind: str, which: int) -> float:
    return statistics.median(
        with_tap[which] - without[which]
        for with_tap, without in zip(figures[kind], figures["bare"], strict=True)
    )


def _take_turns(client: str, url: str, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Return for each kind, by rounds, CPU microseconds per chunk: from first to last, and of the call."""
    figures: dict[str, list[tuple[float, float]]] = {kind: [] for kind in _KINDS}
    with ExitStack() as stack:
        readers = {kind: stack.enter_context(_started(kind, client, url)) for kind in _KINDS}
        for number in range(rounds + 1):
            for kind in _KINDS[:: 1 if number % 2 else -1]:
                stdin, stdout = _pipes(readers[kind])
                print(file=stdin, flush=True)
                stream, whole = map(float, stdout.readline().split())
                if number:  # the first makes the connection and the tape
                    figures[kind].append((stream, whole))
        for reader in readers.values():
            _pipes(reader)[0].close()
            if reader.wait(60):
                raise RuntimeError("the tap did not work")
    return figures


def _started(kind: str, client: str, url: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks._tap_chunks", kind, client, url]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


def _main() -> None:
    from benchmarks._tap_clients import CLIENTS, REQUEST
    from benchmarks._tap_passing import tapped

    kind, name, url = sys.argv[1:]
    client = CLIENTS[name]()
    with nullcontext() if kind == "bare" else tapped(only_passing=kind == "passing"):
        for _ in sys.stdin:
            read = client.read(url, REQUEST)
            print(read.stream_s / read.chunks * 1e6, read.cpu_s / read.chunks * 1e6, flush=True)
    client.close()


if __name__ == "__main__":
    _main()
