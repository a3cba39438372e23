"""Logs made into an archive.

    our own reader  ->  lines the engine takes as they are  ->  Parquet  ->  read back and compared
                            |
                            +-- a part at a time: what it takes of memory and disk does not grow with the logs

The reader is the one of `read_log`, so what is damaged, glued together or of another maker's spelling is in
the archive as it reads. A directory is whole or not there.
"""

# ruff: noqa: S608  Its SQL is made of names of its own.

from __future__ import annotations

import errno
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from agent_step_log._reader import read_records
from agent_step_log.errors import MissingExtraError
from agent_step_log.query._archive import COLUMNS, EDGES, EDGES_SUFFIX, MARK, VERSION
from agent_step_log.query._columns import KEYS, NUMBERS, type_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import duckdb

    from agent_step_log._reader import OnDamage, Source
    from agent_step_log._record import Record

__all__ = ["Compacted", "compact"]

_PART_BYTES = 64 * 1024 * 1024
_OBJECT_BYTES = 16 * 1024 * 1024  # the engine's buffers are a multiple of it: no larger than need be
_WHOLE_DOUBLES = 2**53 - 1  # beyond it a DOUBLE may stand for several whole numbers
_TYPES = {
    "text": (str,),
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "object": (dict,),
    "array": (list,),
    "value": (str, int, float, bool, dict, list),
}
_JSON = ("value", "object", "array")
#: Each key with the types of values its column holds; null as no value at all.
_TOLD = frozenset((key, type_) for key, kind in KEYS.items() for type_ in (*_TYPES[kind], type(None)))
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_decode_raw = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Compacted(NamedTuple):
    """What `compact` made.

    Attributes:
        records: How many the archive holds.
        log_bytes: What they took in the logs, decompressed.
        archive_bytes: What the archive takes.
        files: Those of its files that hold them, sorted.
    """

    records: int
    log_bytes: int
    archive_bytes: int
    files: list[Path]


def compact(
    source: Source | Sequence[Source],
    directory: str | os.PathLike[str],
    *,
    on_damage: OnDamage | None = None,
) -> Compacted:
    """Write the records of *source* into *directory*, as an archive that `open_logs` reads.

    Each part is read back and compared before the next; *directory* is there when all are. The logs stay.

    Args:
        source: A file, directory or pattern, ``.gz`` and ``.zst`` too; or several of them.
        directory: Where; it does not exist yet, or is empty.
        on_damage: Called once for each stretch of the logs that is no record; see `read_log`.

    Raises:
        LogSourceError, LogFormatError, LogTooNewError: as `read_log`.
        MissingExtraError: duckdb is not installed.
        OSError: *directory* holds something, a file cannot be read or written, or what was read back is
            not what was written.
    """
    directory = Path(directory)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise FileExistsError(
            errno.EEXIST, "there is something here already; name a new directory", str(directory)
        )
    _require_duckdb()
    sources = [source] if isinstance(source, (str, os.PathLike)) else list(source)
    directory.parent.mkdir(parents=True, exist_ok=True)
    # Only its user may enter it: it holds what the logs hold.
    with TemporaryDirectory(prefix=f".{directory.name}-", dir=directory.parent) as place:
        work = Path(place)
        made = work / "archive"
        made.mkdir(mode=0o700)
        try:
            records, log_bytes = _write_parts(sources, work, made, on_damage)
        except OSError as error:
            if error.filename is None:  # a write that fails does not say where
                raise OSError(error.errno, error.strerror, str(directory)) from error
            raise
        archive_bytes = 0
        for path in made.glob("day=*/*"):
            path.chmod(0o600)
            archive_bytes += path.stat().st_size
        files = sorted(made.glob("day=*/*.parquet"))
        made.rename(directory)
    return Compacted(
        records, log_bytes, archive_bytes, [directory / path.relative_to(made) for path in files]
    )


def _require_duckdb() -> None:
    try:
        import duckdb  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "duckdb":
            raise
        message = "An archive needs 'duckdb': pip install 'agent-step-log[query]'"
        raise MissingExtraError(message) from None


# -- lines -----------------------------------------------------------------------


class _Part(NamedTuple):
    """A file of lines for the engine: how many, their bytes in the logs, and those of the longest."""

    path: Path
    records: int
    bytes: int
    longest: int


def _parts(sources: list[Source], work: Path, on_damage: OnDamage | None) -> Iterator[_Part]:
    path = work / "lines"  # not the name of a log: after a kill nobody is to read it as one
    records = _records(sources, on_damage)
    while True:
        part = _filled(path, records)
        if not part.records:
            return
        yield part


def _records(sources: list[Source], on_damage: OnDamage | None) -> Iterator[tuple[Path, Record]]:
    for source in sources:
        yield from read_records(source, on_damage=on_damage)


def _filled(place: Path, records: Iterator[tuple[Path, Record]]) -> _Part:
    count = size = longest = 0
    last, tail = None, b""
    with place.open("wb") as file:
        for path, record in records:
            if path is not last:
                name = os.fsencode(os.path.abspath(path)).decode(errors="replace")  # noqa: PTH100
                last, tail = path, b"," + _encode({"path": name})[1:] + b"\n"
            line = _line(record)
            file.write(line[:-1])
            file.write(tail)
            count, size, longest = count + 1, size + len(record.line) + 1, max(longest, len(line) + len(tail))
            if size >= _PART_BYTES:
                break
    return _Part(place, count, size, longest)


def _line(record: Record) -> bytes:
    """Return an object in JSON that holds the columns of *record*, but for its path."""
    line = record.line
    if line[:1] == b"{" and line[-1:] == b"}":
        try:
            if _is_told(_decode(line)):
                return line
        except (msgspec.DecodeError, RecursionError):
            pass
    whole = record.to_dict()
    raw = _raw(line)
    told = {}
    for key, kind in KEYS.items():
        value = whole.get(key) if kind in _JSON else getattr(record, key)
        if kind == "float" and value is not None:
            value = float(value)
        if value is not None and _is_told({key: value}):
            told[key] = raw.get(key, value) if kind in _JSON else value
    return _encode({**told, "record": line.decode() if raw else _encode(whole).decode()})


def _raw(line: bytes) -> dict[str, msgspec.Raw]:
    """Return the keys of *line* with their values as they stand there; none if it has to be mended."""
    try:
        return _decode_raw(line)
    except (msgspec.DecodeError, RecursionError):
        return {}


def _is_told(keys: dict[str, Any]) -> bool:
    """Whether the columns hold all of *keys*."""
    return _TOLD.issuperset(zip(keys, map(type, keys.values()), strict=True)) and not any(
        not -_WHOLE_DOUBLES <= value <= _WHOLE_DOUBLES
        for key, value in keys.items()
        if type(value) is int and key in NUMBERS
    )


# -- the engine --------------------------------------------------------------------


def _write_parts(
    sources: list[Source], work: Path, made: Path, on_damage: OnDamage | None
) -> tuple[int, int]:
    """Write all there is, and return how many records, and their bytes in the logs."""
    import duckdb

    records = log_bytes = 0
    with duckdb.connect() as engine:
        engine.execute(f"SET temp_directory = {_text(str(work / 'spilt'))}")
        for number, part in enumerate(_parts(sources, work, on_damage), 1):
            try:
                _write(engine, part, made, number)
            except duckdb.IOException as error:
                code = errno.ENOSPC if os.strerror(errno.ENOSPC) in str(error) else errno.EIO
                raise OSError(code, os.strerror(code)) from error
            records, log_bytes = records + part.records, log_bytes + part.bytes
    return records, log_bytes


def _write(engine: duckdb.DuckDBPyConnection, part: _Part, made: Path, number: int) -> None:
    """Add the lines of *part* to the archive at *made*, and compare."""
    import duckdb

    lines = f"CREATE OR REPLACE TEMP TABLE part AS {_as_columns(part)}"
    try:
        engine.execute(lines)
    except duckdb.InvalidInputException as error:
        if "duplicate key" not in str(error):
            raise
        _encode_anew(part.path)
        engine.execute(lines)
    engine.execute(f"CREATE OR REPLACE TEMP VIEW edges AS {_EDGES}")
    for table, names, suffix in (("part", [*COLUMNS], ".parquet"), ("edges", [*EDGES], EDGES_SUFFIX)):
        engine.execute(
            f"COPY (SELECT {_quoted(names)}, {_DAY} AS day FROM {table}) TO {_text(str(made))} "
            f"(FORMAT parquet, COMPRESSION zstd, PARTITION_BY (day), FILENAME_PATTERN '{number:04d}-{{i}}', "
            f"FILE_EXTENSION '{suffix[1:]}', OVERWRITE_OR_IGNORE, KV_METADATA {{'{MARK}': '{VERSION}'}})"
        )
        files = _text(f"{made}/day=*/{number:04d}-*{suffix}")
        written = f"read_parquet({files}, hive_partitioning = false)"
        if _sum(engine, names, table) != _sum(engine, names, written):
            raise OSError(errno.EIO, "what was read back is not what was written")


_DAY = (
    "CASE WHEN ts BETWEEN -6e10 AND 2.5e11 "
    "THEN strftime(make_timestamp(CAST(ts * 1e6 AS BIGINT)), '%Y-%m-%d') ELSE 'unknown' END"
)
# Of each run, and day of it.
_EDGES = (
    "SELECT part.* FROM part "
    f"JOIN (SELECT run_id, {_DAY} AS day, min(ts) AS first, max(ts) AS last FROM part GROUP BY ALL) each "
    f"ON part.run_id = each.run_id AND {_DAY} = each.day "
    "WHERE type IN ('run_start', 'run_end') OR ts = first OR ts = last"
)


def _as_columns(part: _Part) -> str:
    types = ", ".join(f"\"{key}\": '{_read_as(key)}'" for key in COLUMNS)
    taken = ", ".join(f'"{key}"::{type_} AS "{key}"' for key, type_ in COLUMNS.items())
    return (
        f"SELECT {taken} FROM read_json({_text(str(part.path))}, format = 'newline_delimited', "
        f"maximum_object_size = {max(_OBJECT_BYTES, 2 * part.longest)}, columns = {{{types}}})"
    )


def _read_as(key: str) -> str:
    return type_of(key) if key in KEYS else "VARCHAR"


def _encode_anew(part: Path) -> None:
    """Leave of each key of a line the last, as our own reader does; the engine would have the first."""
    anew = part.with_suffix(".anew")
    with part.open("rb") as lines, anew.open("wb") as file:
        for line in lines:
            file.write(_encode(_decode(line)) + b"\n")
    anew.replace(part)


def _sum(engine: duckdb.DuckDBPyConnection, names: list[str], rows: str) -> Any:
    return engine.execute(f"SELECT count(*), sum(hash({_quoted(names)})::HUGEINT) FROM {rows}").fetchone()


def _quoted(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
