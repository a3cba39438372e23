"""What a tap adds to the time a caller waits. With and without take turns."""

from __future__ import annotations

import shutil
import statistics
import tempfile
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from agenttap import Tap
from agenttap._recorder import RunRecorder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agenttap._capture import Capture
    from benchmarks._tap_clients import Client

__all__ = ["Waits", "history", "tapped", "waits"]


class Waits(NamedTuple):
    """Wall milliseconds from the call, but for the server's own; medians.

    *added* is the median of the differences inside a round.

    Attributes:
        first, added_first: Until the first chunk of the answer is in the caller's hands.
        whole, added_whole: Until the caller has all of it and has closed it.
    """

    first: float
    added_first: float
    whole: float
    added_whole: float


@contextmanager
def tapped(*, only_passing: bool = False) -> Iterator[Tap]:
    """Tap this process while the block runs; the tape is thrown away."""
    directory = tempfile.mkdtemp(prefix="bench-")
    kept = RunRecorder.part, RunRecorder.ended
    try:
        if only_passing:
            setattr(RunRecorder, "part", _let_go)  # noqa: B010  mypy, rightly, objects to the plain form
            setattr(RunRecorder, "ended", _let_go)  # noqa: B010
        with Tap(directory) as tap:
            yield tap
            taped = tap.tape_paths()
        if tap.errors or not taped:
            raise RuntimeError("the tap did not work") from tap.last_error
    finally:
        RunRecorder.part, RunRecorder.ended = kept  # type: ignore[method-assign]
        shutil.rmtree(directory, ignore_errors=True)


def _let_go(recorder: RunRecorder, capture: Capture) -> None:
    capture.chunks = []
    if capture.how is not None:
        recorder.open.discard(capture)


def waits(
    client: Client, url: str, bodies: list[bytes], *, wait_ms: float, gap_ms: float, rounds: int
) -> Waits:
    """Return how long the caller waits, and what a tap adds to it.

    Args:
        client: Sends one of *bodies* after the other over one connection.
        url: Of the streams.
        bodies: The requests of one round, as a dialogue sends them.
        wait_ms: Milliseconds the server thinks.
        gap_ms: Milliseconds between the chunks of its answer; 0: the answer comes in one piece.
        rounds: How often.
    """
    url = f"{url}?events=3&wait_ms={wait_ms}&gap_ms={gap_ms}"
    found: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    for number in range(rounds):
        for is_tapped in (False, True)[:: 1 if number % 2 else -1]:
            with tapped() if is_tapped else nullcontext():
                found[is_tapped].append(_waited(client, url, bodies))
    first, whole = (statistics.median(column) for column in zip(*found[False], strict=True))
    added = [
        (with_tap[0] - without[0], with_tap[1] - without[1])
        for without, with_tap in zip(found[False], found[True], strict=True)
    ]
    added_first, added_whole = (statistics.median(column) for column in zip(*added, strict=True))
    return Waits(first, added_first, whole, added_whole)


def _waited(client: Client, url: str, bodies: list[bytes]) -> tuple[float, float]:
    # The first makes the connection, the tape and its directory.
    client.read(url, bodies[0])
    reads = [client.read(url, body) for body in bodies[1:]]
    return (
        statistics.median(read.first_s for read in reads) * 1e3,
        statistics.median(read.whole_s for read in reads) * 1e3,
    )


def history(size: int, turns: int) -> list[bytes]:
    """Return the requests of a dialogue that is *size* bytes long already, one message more in each."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": "You are a careful engineer."}]
    number = 0
    while len(msgspec.json.encode(messages)) < size * 0.95:
        number += 1
        text = " ".join(
            f"line {number}.{place}: def f_{number * place % 97}(x): return x" for place in range(9)
        )
        messages.append({"role": ("user", "assistant")[number % 2], "content": text[:size]})
    bodies = []
    for turn in range(turns):
        messages.append({"role": "user", "content": f"And now step {turn}, please."})
        bodies.append(msgspec.json.encode({"model": "gpt-4o", "stream": True, "messages": messages}))
    return bodies
