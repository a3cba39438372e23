"""Peak memory of a process that reads one long stream.

python -m benchmarks._tap_memory URL CLIENT [DIRECTORY]      with a directory: tapped
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["peaks"]

_EVENT_TEXT = 3800  # makes events of about 4,000 bytes


def peaks(url: str, client: str, megabytes: int) -> tuple[float, float]:
    """Return the peak of resident megabytes without and with a tap, each in a fresh process."""
    url = f"{url}?events={megabytes * 250}&size={_EVENT_TEXT}"
    command = [sys.executable, "-m", "benchmarks._tap_memory", url, client]
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        bare, tapped = (
            float(subprocess.run(arguments, capture_output=True, text=True, check=True).stdout)
            for arguments in (command, [*command, directory])
        )
    return bare, tapped


def _peak() -> float:
    # Not getrusage: its maximum is inherited from the process that started this one.
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError("no VmHWM")


def _main() -> None:
    from benchmarks._tap_clients import CLIENTS, REQUEST

    url, name, *directory = sys.argv[1:]
    client = CLIENTS[name]()
    if directory:
        from agenttap import Tap

        with Tap(directory[0]) as tap:
            client.read(url, REQUEST)
            taped = tap.tape_paths()
        if tap.errors or not taped:
            raise RuntimeError("the tap did not work") from tap.last_error
    else:
        client.read(url, REQUEST)
    print(_peak())


if __name__ == "__main__":
    _main()
