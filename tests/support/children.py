"""Child processes for what only a process can show: its end, its limits, its forks.

A child that hangs is a failure, not a stuck test run: after a time limit its own process
group is killed, and nothing else.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import agent_step_log

__all__ = ["Ended", "run_child", "run_on_small_disk"]

SRC = str(Path(agent_step_log.__file__).parents[1])
_HANGS_S = 240.0
_PRELUDE = "import json, os, signal, sys, threading, time\nfrom agent_step_log import StepLog\n"


@dataclass(frozen=True)
class Ended:
    """How a child ended: its exit code (negative: the signal) and what it said."""

    code: int
    out: str
    err: str

    @property
    def told(self) -> Any:
        """The last line it printed, which is JSON."""
        assert self.code == 0, self.err
        return json.loads(self.out.splitlines()[-1])


def run_child(
    code: str, *arguments: object, command: tuple[str, ...] = (), options: tuple[str, ...] = ()
) -> Ended:
    """Run *code* in a new interpreter; `os`, `sys`, `signal`, `threading`, `StepLog` and others are there.

    Args:
        code: Python, indented as it pleases; its arguments are in ``sys.argv[1:]``.
        command: What to put before the interpreter.
        options: The interpreter's own options.
    """
    argv = [*command, sys.executable, *options, "-c", _PRELUDE + textwrap.dedent(code), *map(str, arguments)]
    child = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": SRC},
        start_new_session=True,
    )
    try:
        out, err = child.communicate(timeout=_HANGS_S)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        out, err = child.communicate()
        raise AssertionError(f"the child hangs after {_HANGS_S:g} s\n{out}\n{err}") from None
    return Ended(child.returncode, out, err)


def run_on_small_disk(code: str, place: Path, size_bytes: int) -> Ended:
    """Run *code* where *place* is a file system of *size_bytes*, or, failing that, files can be no longer.

    A file system of one's own takes a mount, which not every machine permits. There the
    limit is put on the length of a file, which the kernel enforces just as strictly.
    """
    mount = f'mount -t tmpfs -o size={size_bytes} none "$0" && exec "$@"'
    for options in ("-rm", "-m"):
        command = ("unshare", options, "sh", "-c", mount, str(place))
        try:
            possible = subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0
        except OSError:
            possible = False
        if possible:
            return run_child(code, place, "disk", command=command)
    limit = f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, ({size_bytes}, -1))\n"
    return run_child(limit + textwrap.dedent(code), place, "limit")
