"""Trajectories of benchmarks and evaluations as step logs: one run for each."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent_step_log.errors import ImportSourceError
from agent_step_log.importers import (
    _trajectory_atif,
    _trajectory_inspect,
    _trajectory_mini,
    _trajectory_swe_agent,
    _trajectory_tau,
)
from agent_step_log.importers._report import ImportReport, SkippedFile
from agent_step_log.importers._runs import open_folder
from agent_step_log.importers._saving import FinishedRun, save_run
from agent_step_log.importers._sources import NOT_A_TRANSCRIPT, cannot_read
from agent_step_log.importers._trajectory_files import Document, read_document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent_step_log.importers._trajectory_build import Trajectory

__all__ = ["TRAJECTORY_FORMATS", "import_trajectory"]

_SUFFIXES = (".json", ".traj", ".eval")
_NO_RUN = "holds no run"


@dataclass(frozen=True, slots=True)
class _Format:
    is_it: Callable[[Any], bool]
    runs_of: Callable[[Document], Iterator[Trajectory]]


#: In the order they are asked whether a document is theirs.
_FORMATS = {
    "inspect": _Format(_trajectory_inspect.is_it, _trajectory_inspect.runs_of),
    "atif": _Format(_trajectory_atif.is_it, _trajectory_atif.runs_of),
    "tau2": _Format(_trajectory_tau.is_tau2, _trajectory_tau.tau2_runs),
    "tau-bench": _Format(_trajectory_tau.is_tau_bench, _trajectory_tau.tau_bench_runs),
    "mini-swe-agent": _Format(_trajectory_mini.is_it, _trajectory_mini.runs_of),
    "swe-agent": _Format(_trajectory_swe_agent.is_it, _trajectory_swe_agent.runs_of),
}

#: The formats `import_trajectory` knows.
TRAJECTORY_FORMATS = ("swe-agent", "mini-swe-agent", "tau-bench", "tau2", "inspect", "atif")


def import_trajectory(
    source: str | os.PathLike[str], into: str | os.PathLike[str], *, format_name: str | None = None
) -> ImportReport:
    """Import trajectories of benchmarks and evaluations as step logs, one file for each run.

    Importing again changes nothing but the logs of runs that have changed.

    Args:
        source: A file, or a directory: every `.json`, `.traj` and `.eval` below it.
        into: The directory of the logs; made if need be.
        format_name: One of `TRAJECTORY_FORMATS`. Default: told from each file.

    Raises:
        ImportSourceError: There is nothing at *source*, or the file named is not a trajectory (of this
            format), or it is damaged or holds no run.
        MissingExtraError: An `.eval` is packed with zstd, and zstandard is not installed.
        OSError: A log cannot be written.
        ValueError: There is no such format.
    """
    if format_name is not None and format_name not in _FORMATS:
        raise ValueError(f"{format_name!r} is no format of trajectories: {', '.join(TRAJECTORY_FORMATS)}")
    report = ImportReport("trajectory")
    path = Path(source)
    if path.is_file():
        files, is_named = [path], True
    elif path.is_dir():
        files, is_named = _walk(path, report), False
    else:
        raise ImportSourceError(path, "no such file or directory, or not one that can be read")
    folder = open_folder(into)
    for file in files:
        try:
            _import(file, folder, report, format_name)
        except ImportSourceError as error:
            if is_named:
                raise
            report.skipped_files.append(SkippedFile(file, error.why))
        except OSError as error:
            if error.filename != str(file):
                raise  # the log could not be written
            if is_named:
                raise ImportSourceError(file, cannot_read(error)) from None
            report.skipped_files.append(SkippedFile(file, cannot_read(error)))
    return report


def _walk(root: Path, report: ImportReport) -> list[Path]:
    found: list[Path] = []
    for folder, folders, names in os.walk(root):
        folders.sort()
        for path in (Path(folder, name) for name in sorted(names)):
            if path.suffix in _SUFFIXES and path.is_file():
                found.append(path)
            else:
                report.skipped_files.append(SkippedFile(path, NOT_A_TRANSCRIPT))
    return found


def _import(path: Path, folder: Path, report: ImportReport, wanted: str | None) -> None:
    document = read_document(path)
    name = _format_of(document, wanted)
    if name is None:
        kind = f"{wanted} trajectory" if wanted is not None else "trajectory of a known format"
        raise ImportSourceError(path, f"is not a {kind}")
    # All of them before the first is written: a damaged file leaves nothing behind.
    runs = list(_FORMATS[name].runs_of(document))
    if not runs:
        raise ImportSourceError(path, _NO_RUN)
    for place, run in enumerate(runs):
        _save(run, name, document, folder, report, is_first=place == 0)


def _format_of(document: Document, wanted: str | None) -> str | None:
    if document.archive is not None:
        is_eval = _trajectory_inspect.is_archive(document) and wanted in (None, "inspect")
        return "inspect" if is_eval else None
    names = _FORMATS if wanted is None else (wanted,)
    return next((name for name in names if _FORMATS[name].is_it(document.value)), None)


def _save(
    found: Trajectory, name: str, document: Document, folder: Path, report: ImportReport, *, is_first: bool
) -> None:
    found.finish()
    source = {"format": name, "file": document.path.name, "sha256": document.reading.sha256}
    done = FinishedRun(
        found.run,
        found.run.numbered(),
        found.agent,
        source=document.path,
        reading=document.reading,
        first_ts=found.first_ts,
        last_ts=found.last_ts,
        facts={**found.facts, "models": found.run.models() or None, "source": source},
        head={"agent_version": found.agent_version, "task_type": found.task_type},
        status=found.status or "ok",
        error=found.error,
        is_open=found.status is None,
        tells_damage=is_first,
        error_type=found.error_type,
    )
    save_run(report, folder, done)
