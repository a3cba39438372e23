"""Runs that steps of a run started: a subagent often writes a log of its own beside its parent's.

A header says which run and which step it was started from; nothing else of a log is read.
"""

from __future__ import annotations

import os
import re
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import msgspec

from agent_debug_replay._peek import ends
from agent_step_log import list_runs, read_log
from agent_step_log.errors import StepLogError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from agent_debug_replay._replay import Replay
    from agent_step_log import Record

__all__ = ["ChildRun", "child_runs"]

_LONGEST_HEAD = 1024 * 1024  # bytes; a longer first line is no header
_PACKED = (".jsonl.gz", ".jsonl.zst")
_PART = re.compile(r"\.\d{6}(\.jsonl)(?:\.gz|\.zst)?$")  # a log was rotated into it


class ChildRun(NamedTuple):
    """A run that a step started.

    Attributes:
        run_id: The run.
        step: The number of the step; None where the header does not say.
        path: Its log.
        started_at: When it began, Unix seconds.
        agent: Whose run it is, where the header says so.
    """

    run_id: str
    step: int | None
    path: Path
    started_at: float = 0.0
    agent: str | None = None


class _Head(msgspec.Struct):
    run_id: str
    type: str
    ts: float = 0.0
    agent: str | None = None
    parent_run_id: str | None = None
    parent_step: int | None = None


_decode = msgspec.json.Decoder(_Head).decode


def child_runs(replay: Replay) -> list[ChildRun]:
    """Return the runs started by *replay*'s, the first begun first.

    They are looked for in logs, packed ones too, below its source where that is a directory, else beside
    its log, and in its own file where that may hold several.
    """
    own = replay.info.paths
    source = Path(replay.source)
    found: dict[str, ChildRun] = {}
    for path in _logs(source) if source.is_dir() else _logs(own[0].parent, is_deep=False):
        head = _head(path)
        if head is not None and head.type == "run_start" and head.parent_run_id == replay.run_id:
            child = ChildRun(head.run_id, head.parent_step, _whole(path), head.ts, head.agent)
            found.setdefault(head.run_id, child)
    with suppress(StepLogError, OSError):
        for info in list_runs(own[0], on_damage=lambda _damage: None) if _holds_several(own[0]) else ():
            header = info.header
            if header is not None and header.parent_run_id == replay.run_id:
                child = ChildRun(info.run_id, header.parent_step, own[0], header.ts, header.agent)
                found.setdefault(info.run_id, child)
    found.pop(replay.run_id, None)
    return sorted(found.values(), key=lambda child: (child.started_at, child.run_id))


def _logs(directory: Path, *, is_deep: bool = True) -> Iterator[Path]:
    """Yield the logs of *directory*, plain ones first: they are opened sooner than the same packed."""
    below = directory.rglob if is_deep else directory.glob
    yield from sorted(below("*.jsonl"))
    for ending in _PACKED:
        yield from sorted(path for path in below(f"*{ending}") if path.is_file())


def _whole(path: Path) -> Path:
    """Return what to open for the log *path* is of: that was rotated, perhaps, and goes on elsewhere."""
    plain = path.with_name(_PART.sub(r"\1", path.name))
    return plain if plain.is_file() else path


def _holds_several(path: Path) -> bool:
    """Whether the log begins with one run and ends with another; of a packed one only reading it tells."""
    if path.suffix != ".jsonl":
        return True
    first, last = ends(path)
    return first is not None and last is not None and first.run_id != last.run_id


def _head(path: Path) -> _Head | None:
    return _packed_head(path) if path.name.endswith(_PACKED) else _plain_head(path)


def _packed_head(path: Path) -> _Head | None:
    try:
        with closing(cast("Generator[Record]", read_log(path))) as records:
            record = next(records, None)
    except (StepLogError, OSError):
        return None
    if record is None:
        return None
    return _Head(
        record.run_id, record.type, record.ts, record.agent, record.parent_run_id, record.parent_step
    )


def _plain_head(path: Path) -> _Head | None:
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
