"""A process that is tapped, and what its agent sends."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from agenttap import Tap
from agenttap._recorder import RunRecorder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agenttap._capture import Capture

__all__ = ["history", "tapped"]


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
