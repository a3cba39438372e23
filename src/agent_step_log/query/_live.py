"""Which processes of this machine are alive, in the form the view `runs` asks for it.

The rules are those of `agent_step_log.list_runs`: a pid alone is not enough, as it is given again.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from agent_step_log._process import boot_id, started

__all__ = ["Machine", "this_machine"]

_MOST_PIDS = 99_999  # where there is no /proc to list them


class Machine(NamedTuple):
    """This machine now.

    Attributes:
        processes: pid to its start, in seconds since boot; None where the system does not say.
    """

    host: str
    boot_id: str | None
    processes: dict[int, float | None]


def this_machine() -> Machine:
    """Return what runs here at the moment."""
    return Machine(os.uname().nodename, boot_id(), _processes())


def _processes() -> dict[int, float | None]:
    try:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208
    except OSError:
        return {pid: None for pid in range(1, _MOST_PIDS + 1) if _exists(pid)}
    return {pid: since for pid in pids if (since := started(pid)) is not None}


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's
    return True
