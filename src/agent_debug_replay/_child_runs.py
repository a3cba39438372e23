"""Runs that steps of a run started: a subagent often writes a log of its own beside its parent's.

A header says which run and which step it was started from; nothing else of a log is read.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from agent_debug_replay._peek import ends
from agent_step_log import list_runs
from agent_step_log.errors import StepLogError

if TYPE_CHECKING:
    from agent_debug_replay._replay import Replay

__all__ = ["ChildRun", "child_runs"]

_LONGEST_HEAD = 1024 * 1024  # bytes; a longer first line is no header


class ChildRun(NamedTuple):
    """A run that a step started.

    Attributes:
        run_id: The run.
        step: The number of the step; None where the header does not say.
        path: Its log.
    """

    run_id: str
    step: int | None
    path: Path


class _Head(msgspec.Struct):
    run_id: str
    type: str
    parent_run_id: str | None = None
    parent_step: int | None = None


_decode = msgspec.json.Decoder(_Head).decode


def child_runs(replay: Replay) -> list[ChildRun]:
    """Return the runs started by *replay*'s, in the order of their files.

    They are looked for in plain logs below its source where that is a directory, else beside its log,
    and in its own file where that begins with one run and ends with another.
    """
    own = replay.info.paths
    source = Path(replay.source)
    is_directory = source.is_dir()
    paths = source.rglob("*.jsonl") if is_directory else own[0].parent.glob("*.jsonl")
    found = {}
    for path in sorted(paths):
        head = _head(path)
        if head is not None and head.type == "run_start" and head.parent_run_id == replay.run_id:
            found[head.run_id] = ChildRun(head.run_id, head.parent_step, path)
    with suppress(StepLogError, OSError):
        for info in list_runs(own[0], on_damage=lambda _damage: None) if _holds_several(own[0]) else ():
            header = info.header
            if header is not None and header.parent_run_id == replay.run_id:
                found.setdefault(info.run_id, ChildRun(info.run_id, header.parent_step, own[0]))
    found.pop(replay.run_id, None)
    return list(found.values())


def _holds_several(path: Path) -> bool:
    """Whether the log begins with one run and ends with another; reading all of it may take long."""
    if path.suffix != ".jsonl":
        return False
    first, last = ends(path)
    return first is not None and last is not None and first.run_id != last.run_id


def _head(path: Path) -> _Head | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        line = os.pread(fd, 16 * 1024, 0)
        if b"\n" not in line:
            line = os.pread(fd, _LONGEST_HEAD, 0)
        return _decode(line.partition(b"\n")[0])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    finally:
        os.close(fd)
