"""A clean copy of a damaged log: every whole record, byte for byte, and nothing else."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from agent_step_log._reader import read_file
from agent_step_log.errors import LogSourceError

if TYPE_CHECKING:
    from agent_step_log._reader import Damage

__all__ = ["RepairReport", "repair"]


@dataclass
class RepairReport:
    """What `repair` did, or would do.

    Attributes:
        output: The clean copy; None when only asked.
        kept: Records in it.
        dropped: The stretches left out, an unfinished last line among them.
    """

    output: Path | None
    kept: int = 0
    dropped: list[Damage] = field(default_factory=list)

    @property
    def dropped_bytes(self) -> int:
        """Bytes left out."""
        return sum(damage.length for damage in self.dropped)


def repair(
    source: str | os.PathLike[str], output: str | os.PathLike[str] | None, *, replace: bool = False
) -> RepairReport:
    """Write the whole records of the log at *source* to *output*; the original is not touched.

    Args:
        source: One log file; ``.gz`` and ``.zst`` too.
        output: The copy, mode 0600, plain text. None: only tell what would be dropped.
        replace: Whether an existing *output* may be replaced. Default: no.

    Raises:
        LogSourceError: There is no such file, *output* exists, or it is *source* itself.
        LogFormatError, LogTooNewError, OSError: as `read_log`.
    """
    path = Path(source)
    if not path.is_file():
        raise LogSourceError(path, "not a file; repair takes one log at a time")
    report = RepairReport(Path(output) if output is not None else None)
    if report.output is None:
        for _ in read_file(path, on_damage=report.dropped.append, report_unfinished=True):
            report.kept += 1
        return report
    if report.output.exists() and report.output.samefile(path):
        raise LogSourceError(report.output, "is the log itself; name another file for the copy")
    if report.output.exists() and not replace:
        raise LogSourceError(report.output, "exists already; name another file for the copy")
    # Written beside and renamed: a copy cut short must never look like a whole one.
    unfinished = report.output.with_name(f".{report.output.name}.{os.getpid()}.part")
    try:
        fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            for record in read_file(path, on_damage=report.dropped.append, report_unfinished=True):
                file.write(record.line + b"\n")
                report.kept += 1
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(report.output)
    finally:
        unfinished.unlink(missing_ok=True)
    return report
