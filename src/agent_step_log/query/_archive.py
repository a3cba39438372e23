"""The archive: the records of logs as Parquet, in columns typed as those of the views.

    day=2026-11-27/0001-0.parquet    the records of one day (UTC), of one part of what was compacted
    day=2026-11-27/0001-0.edges      of these, also in Parquet, the headers and ends of runs, and the first
                                     and last record of each: all that how a run went can be told from

A column to each key of `KEYS`, of its type; JSON stands as text, as not every reader of Parquet knows a type
for it. Then ``path``, the log a record was in, and ``record``, the whole of a record the columns do not tell
all of: one with a key they do not know, or a value that is not of the type of its key.
"""

# ruff: noqa: S608  Its SQL is made of names of its own.

from __future__ import annotations

import glob
import os
from pathlib import Path
from typing import TYPE_CHECKING

from agent_step_log.errors import LogFormatError, LogTooNewError
from agent_step_log.query._columns import KEYS, NAMES, NUMBERS, type_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import duckdb

    from agent_step_log._reader import Source

__all__ = [
    "COLUMNS",
    "EDGES",
    "EDGES_SUFFIX",
    "MARK",
    "VERSION",
    "archive_files",
    "archived_lines",
    "check_archive",
    "edge_files",
    "is_archived",
]

#: Of the key-value metadata of each file, and what it says.
MARK, VERSION = "agent-step-log-archive", 1
#: column -> its type in the files
COLUMNS = {key: "VARCHAR" if type_of(key) == "JSON" else type_of(key) for key in KEYS} | {
    "path": "VARCHAR",
    "record": "VARCHAR",
}
#: The columns of edges.
EDGES = (
    *("run_id", "step", "type", "ts", "writer", "agent", "agent_version", "task_type", "environment"),
    *("metadata", "parent_run_id", "parent_step", "forked_from", "process"),
    *("status", "error", "error_type", "error_frames", "path"),
)
_SUFFIX, EDGES_SUFFIX = ".parquet", ".edges"


def is_archived(path: Path) -> bool:
    """Whether *path*, by its name, is a file of an archive."""
    return path.suffix == _SUFFIX


def archive_files(source: Source) -> list[Path]:
    """Return the files of the archive *source* names, sorted; none if it names something else.

    An archive is named as itself, as a file of it, or as a pattern of such files. It is never found in a
    directory of logs: what it holds would be told twice.
    """
    path = Path(source)
    if path.is_dir():
        return sorted(path.glob(f"day=*/*{_SUFFIX}"))
    if not is_archived(path):
        return []
    if path.exists():
        return [path]
    return [Path(each) for each in sorted(glob.glob(os.fspath(source), recursive=True))]  # noqa: PTH207


def edge_files(source: Source, files: list[Path]) -> list[Path]:
    """Return the edges of the archive *source*, whose files are *files*: all of theirs, or none.

    Whoever throws a day away throws away its edges, but a file may be added or taken by hand.
    """
    edges = sorted(Path(source).glob(f"day=*/*{EDGES_SUFFIX}"))
    return edges if {_part_of(path) for path in edges} == {_part_of(path) for path in files} else []


def _part_of(path: Path) -> tuple[Path, str]:
    return path.parent, path.name.partition("-")[0]


def check_archive(files: Mapping[Path, str], connection: duckdb.DuckDBPyConnection) -> None:
    """Do nothing if all of *files* are of an archive this version can read.

    Args:
        files: Each with the name by which the engine is to find it.
        connection: Of an engine that may read them.

    Raises:
        LogFormatError: One is not.
        LogTooNewError: One is of a later version.
    """
    versions = _versions(files, connection)
    for path, name in files.items():
        version = versions.get(name)
        if version is None:
            raise LogFormatError(path, "is a Parquet file, but not of an archive of logs")
        if version > VERSION:
            raise LogTooNewError(path, found=version, supported=VERSION)


def _versions(files: Mapping[Path, str], connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    import duckdb

    # Not as parameters: to take those from Python the engine imports pandas where there is one.
    named = ", ".join("'" + name.replace("'", "''") + "'" for name in files.values())
    try:
        return dict(
            connection.execute(
                f"SELECT file_name, decode(value)::INTEGER FROM parquet_kv_metadata([{named}]) "
                f"WHERE decode(key) = '{MARK}'"
            ).fetchall()
        )
    except duckdb.Error:
        # It does not always say which.
        if len(files) > 1:
            for path, name in files.items():
                _versions({path: name}, connection)
        raise LogFormatError(next(iter(files)), "is no Parquet file, or not a whole one") from None


def archived_lines(keys: list[str], *, is_of_edges: bool = False) -> str:
    """Return SQL for *keys* of every record of the archives, or of edges, with ``_file`` besides.

    Names and numbers by their types, and the rest as JSON, as views find them in a log.
    """
    taken = ", ".join(f'{_as_in_a_log(key)} AS "{key}"' for key in keys)
    if is_of_edges:
        return f"(SELECT {taken}, path AS _file FROM {_parquet('_edges')})"
    step = "coalesce(\"step\"::VARCHAR, json_extract(record, '$.step')::VARCHAR)"
    return f"(SELECT {taken}, {step} AS _step, path AS _file FROM {_parquet('_archives')})"


def _parquet(variable: str) -> str:
    return f"read_parquet(getvariable('{variable}'), hive_partitioning = false)"


def _as_in_a_log(key: str) -> str:
    if key in NAMES or key in NUMBERS:
        return f'"{key}"'
    return f'"{key}"::JSON' if type_of(key) == "JSON" else f'to_json("{key}")'
