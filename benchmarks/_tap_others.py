"""The same calls recorded by the tap and by others that can, each run in a fresh process.

    python -m benchmarks._tap_others RECORDER CLIENT URL TURNS    prints one JSON object

The tap keeps what passed and when; vcrpy keeps request and response for tests to be
answered from, reeltime keeps a run for replaying it. So their files differ in what is in them: each
has the bodies of both sides.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING, Any

import msgspec

from benchmarks._tap_clients import CLIENTS, REQUEST

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["RECORDERS", "measure"]

RECORDERS = ("none", "agenttap", "vcrpy", "reeltime")

_GAP_MS, _GAPS = 10, 50


def measure(
    client: str, url: str, requests: Path, *, chunks: int, rounds: int
) -> dict[str, dict[str, float]]:
    """Return for each recorder the medians of `_measure_one`'s figures over *rounds* fresh processes in turn.

    Args:
        client: One of `CLIENTS`.
        url: Of `_tap_server`, started with the answers to *requests*.
        requests: msgpack, the request bodies of one dialogue.
        chunks: Of the long stream.
        rounds: How often.
    """
    figures: dict[str, list[dict[str, float]]] = {recorder: [] for recorder in RECORDERS}
    for _ in range(rounds):
        for recorder in RECORDERS:
            command = [sys.executable, "-m", "benchmarks._tap_others", recorder, client, url, str(requests)]
            run = subprocess.run([*command, str(chunks)], capture_output=True, text=True, check=False)
            if run.returncode:
                raise RuntimeError(f"{recorder}, {client}: {run.stderr[-2000:]}")
            figures[recorder].append(json.loads(run.stdout.splitlines()[-1]))
    return {
        recorder: {key: statistics.median(one[key] for one in found) for key in found[0]}
        for recorder, found in figures.items()
    }


@contextmanager
def _recording(recorder: str, directory: Path) -> Iterator[None]:
    if recorder == "agenttap":
        from agenttap import Tap

        with Tap(directory):
            yield
    elif recorder == "vcrpy":
        import vcr

        with vcr.use_cassette(str(directory / "cassette.yaml"), record_mode="all"):
            yield
    elif recorder == "reeltime":
        import reeltime

        # Of what it can record, the HTTP traffic.
        with reeltime.session(tape_dir=directory, patch="none", collect_git=False):
            yield
    else:
        yield


def _measure_one(recorder: str, name: str, url: str, requests: Path, chunks: int) -> dict[str, float]:
    """Return the figures of one recorder.

    first_ms  to the first chunk of a stream that takes half a second
    cpu_us    for each chunk of a long stream, with all that is done to save it
    bytes     of the files of a dialogue
    """
    client = CLIENTS[name]()
    with tempfile.TemporaryDirectory(prefix="bench-") as made:
        root = Path(made)
        with _recording(recorder, root / "warm"):
            client.read(f"{url}?events=10", REQUEST)
        with _recording(recorder, root / "first"):
            client.read(f"{url}?events=10", REQUEST)
            slow = [client.read(f"{url}?events={_GAPS}&gap_ms={_GAP_MS}", REQUEST).first_s for _ in range(3)]
        cpu = process_time()
        with _recording(recorder, root / "long"):
            client.read(f"{url}?events={chunks}", REQUEST)
        cpu = process_time() - cpu
        bodies: list[bytes] = msgspec.msgpack.decode(requests.read_bytes(), type=list[bytes])
        with _recording(recorder, root / "dialogue"):
            for turn, body in enumerate(bodies):
                client.read(f"{url}?turn={turn}", body)
        size = sum(path.stat().st_size for path in (root / "dialogue").rglob("*") if path.is_file())
        client.close()
    return {"first_ms": statistics.median(slow) * 1e3, "cpu_us": cpu / chunks * 1e6, "bytes": size}


def _main() -> None:
    recorder, client, url, requests, chunks = sys.argv[1:]
    figures: dict[str, Any] = _measure_one(recorder, client, url, Path(requests), int(chunks))
    print(json.dumps(figures))


if __name__ == "__main__":
    _main()
