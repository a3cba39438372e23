"""What a tap adds to the time a caller waits: pairs of fresh processes that take turns, call by call.

    python -m benchmarks._tap_waits KIND CLIENT     reads a line for each call: URL, bytes of the dialogue

One of a pair has a tap from the beginning, as an agent's process has, and the other none. They call
the same server one right after the other, first the one and then the other first, so that what the
machine does besides meets both. No call is left out but the first of a kind, which makes the connection,
the tape and its directory.

A process is faster than another for all its life, by where its objects happen to lie. So the spread of the
pairs, not that of the calls, tells how well a figure is known.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from contextlib import ExitStack, nullcontext
from functools import lru_cache
from itertools import cycle
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import IO, TypeAlias

    Took: TypeAlias = tuple[float, float]

__all__ = ["Added", "Call", "Waits", "waits"]

_KINDS = ("bare", "tapped")
#: Calls after which a dialogue, a message longer in each, begins anew.
_DIALOGUE = 50


class Call(NamedTuple):
    """A kind of call.

    Attributes:
        size: Bytes of the dialogue that is sent, roughly.
        wait_ms: Milliseconds the server thinks.
        gap_ms: Milliseconds between the two chunks of its answer; 0: the answer comes in one piece.
    """

    size: int
    wait_ms: int
    gap_ms: int


class Added(NamedTuple):
    """Wall milliseconds.

    Attributes:
        bare: Without a tap, median.
        added: What a tap adds: the median of the differences inside a turn, of each pair; their mean.
        error: Its standard error, from the spread of the pairs.
    """

    bare: float
    added: float
    error: float

    def __str__(self) -> str:
        return f"{self.bare:.2f} + {self.added:.2f} (± {self.error:.2f})"


class Waits(NamedTuple):
    """From the call, but for the time the server says it took itself.

    Attributes:
        first: Until the first chunk of the answer is in the caller's hands.
        whole: Until the caller has all of it and has closed it.
    """

    first: Added
    whole: Added


def waits(client: str, url: str, calls: list[Call], *, turns: int, pairs: int) -> list[Waits]:
    """Return how long the caller waits in each of *calls*, and what a tap adds to it.

    Args:
        client: One of `CLIENTS`.
        url: Of the streams.
        calls: The kinds of call.
        turns: Calls of each kind that each process makes.
        pairs: Of processes; two at least.
    """
    found = [_take_turns(client, url, calls, turns) for _ in range(pairs)]
    return [
        Waits(
            *(
                _added([[(bare[which], tapped[which]) for bare, tapped in pair[place]] for pair in found])
                for which in range(2)
            )
        )
        for place in range(len(calls))
    ]


def _added(pairs: list[list[tuple[float, float]]]) -> Added:
    medians = [statistics.median(tapped - bare for bare, tapped in pair) for pair in pairs]
    bare = statistics.median(without for pair in pairs for without, _ in pair)
    return Added(bare, statistics.mean(medians), statistics.stdev(medians) / len(medians) ** 0.5)


def _take_turns(client: str, url: str, calls: list[Call], turns: int) -> list[list[tuple[Took, Took]]]:
    """Return for each kind of call, by turns, milliseconds to the first chunk and to the end, of both."""
    found: list[list[tuple[Took, Took]]] = [[] for _ in calls]
    with ExitStack() as stack:
        callers = {kind: stack.enter_context(_started(kind, client)) for kind in _KINDS}
        for place, call in enumerate(calls):
            for turn in range(turns + 1):
                took = {}
                for kind in _KINDS[:: 1 if turn % 2 else -1]:
                    stdin, stdout = _pipes(callers[kind])
                    query = f"events=1&wait_ms={call.wait_ms}&gap_ms={call.gap_ms}"
                    print(f"{url}?{query} {call.size}", file=stdin, flush=True)
                    first, whole = map(float, stdout.readline().split())
                    took[kind] = first, whole
                if turn:
                    found[place].append((took["bare"], took["tapped"]))
        for caller in callers.values():
            _pipes(caller)[0].close()
            if caller.wait(60):
                raise RuntimeError("the tap did not work")
    return found


def _started(kind: str, client: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks._tap_waits", kind, client]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


def _main() -> None:
    from benchmarks._tap_clients import CLIENTS
    from benchmarks._tap_passing import history, tapped

    kind, name = sys.argv[1:]
    bodies = lru_cache(None)(lambda size: cycle(history(size, _DIALOGUE)))
    client = CLIENTS[name]()
    with nullcontext() if kind == "bare" else tapped():
        for line in sys.stdin:
            url, size = line.split()
            read = client.read(url, next(bodies(int(size))))
            print(read.first_s * 1e3, read.whole_s * 1e3, flush=True)
    client.close()


if __name__ == "__main__":
    _main()
