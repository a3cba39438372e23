"""Some steps of a run written to a new file: the lines of its log, as they stand there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from agent_debug_replay.errors import ReplayError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agent_debug_replay._replay import Replay

__all__ = ["Exported", "export_rows"]


class Exported(NamedTuple):
    """How much was written: steps, lines, bytes."""

    steps: int
    lines: int
    size_bytes: int


def export_rows(replay: Replay, rows: Sequence[int], path: Path) -> Exported:
    """Write the lines of *rows* to *path*, between the lines that begin and end the run.

    They stand in the order of the log, so that what is written is a log of these steps alone.

    Args:
        replay: The run.
        rows: Which, each once.
        path: A file that is not there yet.

    Raises:
        ReplayError: There is such a file, or it cannot be written.
    """
    table = replay.table
    # Begin and end of a step are two lines, maybe of two files; by where each stands, then.
    places = [(table.begin_file[row], table.begin_offset[row], row, 0) for row in rows]
    places += [(table.file[row], table.offset[row], row, -1) for row in rows]
    places = sorted(place for place in places if place[0] >= 0)
    info = replay.info
    written = size = 0
    try:
        # 0o600: a step holds prompts and tool output; other users have no business in it.
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise ReplayError(f"{path} is there already; name a file that is not.") from None
    except OSError as error:
        raise _unwritten(path, error) from error
    try:
        with open(fd, "wb") as file:  # noqa: PTH123  made above
            for record in info.headers:
                size += file.write(record.line + b"\n")
            for _, _, row, which in places:
                size += file.write(replay.lines(row)[which] + b"\n")
            if info.end is not None:
                size += file.write(info.end.line + b"\n")
        written = len(info.headers) + len(places) + (info.end is not None)
    except BaseException as error:
        path.unlink(missing_ok=True)  # half of it would pass for all
        if isinstance(error, OSError):
            raise _unwritten(path, error) from error
        raise
    return Exported(len(rows), written, size)


def _unwritten(path: Path, error: OSError) -> ReplayError:
    return ReplayError(f"{path} cannot be written: {error.strerror or error}.")
