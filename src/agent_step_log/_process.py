"""Which process this is, told so that a reader elsewhere can see whether it still lives.

A pid alone is not enough, as it is given again: `started` (seconds since boot when
the process started, from /proc) and `boot_id` make it one process for ever.
"""

from __future__ import annotations

import os
import platform
import sys
from typing import Any

__all__ = ["boot_id", "is_alive", "process_facts", "started"]


def boot_id() -> str | None:
    """Return the kernel's id of this boot; None where the system has none."""
    return _read("/proc/sys/kernel/random/boot_id")


def started(pid: int) -> float | None:
    """Return when *pid* started, in seconds since boot; None when there is no such process."""
    stat = _read(f"/proc/{pid}/stat")
    if stat is None:
        return None
    # proc(5): field 22, in clock ticks; field 2 is in parentheses and may hold spaces.
    fields = stat.rpartition(")")[2].split()
    if fields[0] in "ZX":
        return None  # it was killed, and its parent has not asked after it yet
    ticks = int(fields[19])
    return ticks / os.sysconf("SC_CLK_TCK")


def process_facts() -> dict[str, Any]:
    """Return the `process` object of a `run_start` record."""
    return {
        "pid": os.getpid(),
        "host": os.uname().nodename,
        "boot_id": boot_id(),
        "started": started(os.getpid()),
        "argv0": sys.argv[0] if sys.argv else None,
        "python": platform.python_version(),
    }


def is_alive(facts: dict[str, Any]) -> bool | None:
    """Whether the process of these facts still runs; None when this machine cannot tell."""
    if facts.get("host") != os.uname().nodename or facts.get("boot_id") != boot_id():
        # The same host after a restart has another boot id, and the process is gone with the old one.
        return False if facts.get("host") == os.uname().nodename else None
    pid = facts.get("pid")
    if type(pid) is not int or pid <= 0:
        return None
    since = started(pid)
    if since is None:
        return _exists(pid)
    return since == facts.get("started") or facts.get("started") is None


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's
    return not os.path.isdir("/proc/self")  # noqa: PTH112  with a /proc, it would have been there


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return file.read().strip()
    except OSError:
        return None
