"""How small a tape is, against its bodies and against one compressed file for each of them."""

from __future__ import annotations

import gzip
import tempfile
from time import process_time
from typing import TYPE_CHECKING, NamedTuple

from zstandard import ZstdCompressor

from agenttap import Tap

if TYPE_CHECKING:
    from benchmarks._tap_dialogues import Dialogue

__all__ = ["Sizes", "sizes", "taped"]

_URLS = {
    "openai.chat": "https://api.openai.com/v1/chat/completions",
    "anthropic.messages": "https://api.anthropic.com/v1/messages",
}


class Sizes(NamedTuple):
    """Bytes of a dialogue's bodies, and of what keeps them.

    Attributes:
        bodies: As they were.
        tape: The tape: bodies, headers, times of all chunks.
        gzip_files, zstd_files: Each body compressed by itself (level 6; level 3), without anything else.
        cpu_s: CPU seconds to redact, decode and write them.
    """

    bodies: int
    tape: int
    gzip_files: int
    zstd_files: int
    cpu_s: float


def sizes(dialogue: Dialogue) -> Sizes:
    """Tape *dialogue* and compress its bodies one by one."""
    tape, cpu = taped(dialogue)
    bodies = [body for turn in dialogue.turns for body in (turn.request, b"".join(turn.events))]
    zstd = ZstdCompressor(level=3)
    return Sizes(
        dialogue.size,
        tape,
        sum(len(gzip.compress(body, 6)) for body in bodies),
        sum(len(zstd.compress(body)) for body in bodies),
        cpu,
    )


def taped(dialogue: Dialogue) -> tuple[int, float]:
    """Return the bytes of a tape of *dialogue*, and the CPU seconds it took."""
    headers = [("content-type", "application/json"), ("authorization", "Bearer sk-not-a-real-key")]
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        start = process_time()
        with Tap(directory) as tap:
            for turn in dialogue.turns:
                capture = tap.begin("httpx2", "POST", _URLS[dialogue.api], headers, turn.request)
                if capture is None:
                    raise RuntimeError("the tap wants none of it")
                capture.request_sent()
                capture.response(200, [("content-type", "text/event-stream"), ("request-id", "req_1")])
                # As `Capture.chunk` puts them, at the times of the dialogue.
                capture.chunks = [
                    (capture.t_request + at, event) for at, event in zip(turn.times, turn.events, strict=True)
                ]
                capture.end("eof")
            (path,) = tap.tape_paths()
        cpu = process_time() - start
        if tap.errors:
            raise RuntimeError("the tap did not work") from tap.last_error
        return path.stat().st_size, cpu
