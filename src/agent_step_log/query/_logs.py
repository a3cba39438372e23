"""Logs opened for questions: the engine, the files, and what each query needs of both.

    query  ->  files looked up  ->  views as lean as can be  ->  the engine
                                          ^                       |  fails on what it lacks
                                          +---- that is made -----+

A query that meets a line the engine cannot read as `read_log` does, or a row that needs what has not been
worked out, fails at once inside the engine; what it needs is made ready and it is asked again. On logs
without damage that costs nothing. What has been made is kept until a file changes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from threading import Lock
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from agent_step_log._reader import MAX_LINE_BYTES, read_file
from agent_step_log._runs import SILENT_S
from agent_step_log._sources import is_compressed, log_files
from agent_step_log.errors import LogTooNewError, MissingExtraError
from agent_step_log.query import _views
from agent_step_log.query._archive import archive_files, check_archive, edge_files, is_archived
from agent_step_log.query._columns import VIEWS
from agent_step_log.query._copies import Examined, examine
from agent_step_log.query._lines import Need, Reading, with_lines
from agent_step_log.query._live import this_machine
from agent_step_log.query._queries import checked, explained
from agent_step_log.query._result import Result
from agent_step_log.query.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import duckdb

    from agent_step_log import Damage
    from agent_step_log._reader import Source

__all__ = ["Logs", "open_logs"]

_FAULT = re.compile(r'(?:JSON transform error|Malformed JSON) in file "(?P<file>[^"\n]*)"')
_DUPLICATE = "duplicate key"
_NO_NUMBER = "Failed to cast value to numerical"
_TOO_LONG = "maximum_object_size"
# Larger than any line a writer makes. The engine's buffers are a multiple of it, and with a large one a
# file is read by one thread; so the longest a reader takes is allowed for only where there is such a line.
_OBJECT_BYTES = 16 * 1024 * 1024 + 1024
_LARGEST_OBJECT_BYTES = MAX_LINE_BYTES + 1024
_MAGIC = re.compile(r"[*?\[\]{}]")  # the engine would take these for a pattern


class _Identity(NamedTuple):
    """What tells that a file is as it was."""

    inode: tuple[int, int]
    size: int
    mtime_ns: int


class _Copy(NamedTuple):
    """A file and what stands in for it."""

    identity: _Identity
    path: Path
    damage: list[Damage]
    is_anew: bool


def open_logs(
    source: Source | Sequence[Source], *, outside: bool = False, memory_mb: int | None = None
) -> Logs:
    """Open logs for questions in SQL; see `Logs`.

    Args:
        source: A file, directory or pattern, ``.gz`` and ``.zst`` too; an archive that `compact` made; or
            several of them.
        outside: Whether SQL may read and write files, load extensions and use the network. Default: it sees
            the logs and nothing else.
        memory_mb: What the engine may hold, in megabytes; more goes to disk. Default: 80 % of
            the memory there is.

    Raises:
        LogSourceError: There is nothing at a source.
        LogFormatError, LogTooNewError: The only file is no log, or a later version wrote it.
        MissingExtraError: duckdb is not installed.
        OSError: A file cannot be read.
    """
    sources = [source] if isinstance(source, (str, os.PathLike)) else list(source)
    return Logs(sources, outside=outside, memory_mb=memory_mb)


class Logs:
    """Logs opened by `open_logs`. Close them, or use ``with``.

    Each query sees the files as they are when it is asked, new ones too.
    Thread-safe; one query runs at a time.
    """

    def __init__(
        self, sources: Sequence[Source], *, outside: bool = False, memory_mb: int | None = None
    ) -> None:
        self._sources = sources
        self._outside = outside
        self._memory_mb = memory_mb
        # One engine, and tables that belong to one state of the files.
        self._lock = Lock()
        self._engine: duckdb.DuckDBPyConnection | None = None
        self._folder = TemporaryDirectory(prefix="agent-step-log-")
        self._files: dict[Path, _Identity] = {}
        self._edges: list[Path] = []  # of the archives, where there is nothing else
        self._copies: dict[Path, _Copy] = {}
        self._examined: dict[Path, tuple[_Identity, Examined]] = {}
        self._object_bytes = _OBJECT_BYTES
        self._is_exact = False
        self._copy_count = 0
        self._filled: set[Need] = set()  # tables that hold what the files now say
        self._is_closed = False
        try:
            _require_duckdb()
            self._look()
            if len(self._files) == 1 and not self._archived():
                _begin_reading(next(iter(self._files)))
        except BaseException:
            self._folder.cleanup()
            raise

    def close(self) -> None:
        """Close the engine and delete what was copied. Results already given stay whole."""
        with self._lock:
            self._is_closed = True
            # Not close(): it would end the results given, which hold the engine until they are gone.
            self._engine = None
            self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def sql(self, query: str, params: Sequence[Any] | Mapping[str, Any] | None = None) -> Result:
        """Answer *query*: one SELECT (or FROM, VALUES, DESCRIBE, SHOW, SUMMARIZE, EXPLAIN) in DuckDB's SQL.

        Args:
            query: The SQL, over the views of `VIEWS`.
            params: Values for ``?`` or ``$1`` (a sequence), or for ``$name`` (a mapping). Default: none.

        Raises:
            QueryError: The query is not one that can be answered; it says where.
            LogSourceError: There is no log left at a source.
            LogTooNewError: A later version wrote the only file.
            OSError: A file cannot be read.
        """
        with self._lock:
            if self._is_closed:
                raise ValueError("These logs are closed.")
            checked(query, outside=self._outside)
            self._look()
            return self._answer(query, params)

    @property
    def damage(self) -> list[Damage]:
        """What of the files is no record, as `read_log` reports it.

        Reads every file once, and again what has changed.
        """
        with self._lock:
            self._look()
            found: list[Damage] = []
            for path in self._logs():
                identity, known = self._files[path], self._examined.get(path)
                if known is None or known[0] != identity:
                    known = self._examined[path] = identity, examine(path)
                found += known[1].damage
            return found

    @property
    def known_damage(self) -> list[Damage]:
        """That part of `damage` the queries so far have met: for what it costs nothing to tell."""
        with self._lock:
            # In reading order: which file the engine stumbles over first is chance.
            return [
                damage
                for path, identity in self._files.items()
                if (known := self._examined.get(path)) is not None and known[0] == identity
                for damage in known[1].damage
            ]

    @property
    def files(self) -> list[Path]:
        """The files of the last look, in reading order, absolute."""
        with self._lock:
            return list(self._files)

    # -- files -----------------------------------------------------------------

    def _look(self) -> None:
        """Look which files there are, and forget what is known of those that have changed."""
        files: dict[Path, _Identity] = {}
        edges: list[Path] | None = []
        for source in self._sources:
            archived = archive_files(source)
            found = edge_files(source, archived)
            edges = None if edges is None or not found or not all(map(_is_plain, found)) else edges + found
            for path in archived or log_files(source):
                status = path.stat()
                identity = _Identity((status.st_dev, status.st_ino), status.st_size, status.st_mtime_ns)
                files[Path(os.path.abspath(path))] = identity  # noqa: PTH100  not resolve(): links stay links
        if files == self._files:
            return
        if files.keys() != self._files.keys():
            self._engine = None  # what it may read was settled when it was made
        self._files = files
        self._edges = edges or []
        self._filled = set()
        self._is_exact = False
        for path in [path for path, copy in self._copies.items() if files.get(path) != copy.identity]:
            self._copies.pop(path).path.unlink(missing_ok=True)

    def _logs(self) -> list[Path]:
        return [path for path in self._files if not is_archived(path)]

    def _archived(self) -> list[Path]:
        return [path for path in self._files if is_archived(path)]

    def _reading(self) -> Reading:
        if not self._archived():
            return Reading.EXACT if self._is_exact else Reading.LEAN
        return Reading.BOTH if self._logs() else Reading.ARCHIVES

    def _copy(self, path: Path, *, anew: bool) -> None:
        """Have a copy stand in for *path* from now on."""
        old = self._copies.pop(path, None)
        if old is not None:
            old.path.unlink(missing_ok=True)
        # Told before it is read: what it gains meanwhile makes it another file at the next look.
        identity = self._files[path]
        self._copy_count += 1
        place = Path(self._folder.name) / f"{self._copy_count}.jsonl"
        examined = examine(path, place, anew=anew)
        if isinstance(examined.error, LogTooNewError) and len(self._files) == 1:
            raise examined.error
        self._examined[path] = identity, examined
        self._copies[path] = _Copy(identity, place, examined.damage, anew)

    def _link(self, path: Path) -> None:
        """Have a plain name stand in for *path*: a link, or a copy where the engine could not follow."""
        self._copy_count += 1
        ending = path.suffix if is_compressed(path) or is_archived(path) else ".jsonl"
        place = Path(self._folder.name) / f"{self._copy_count}{ending}"
        if _is_text(path):
            place.symlink_to(path)
        else:
            copyfile(path, place)
        self._copies[path] = _Copy(self._files[path], place, [], False)

    # -- the engine ------------------------------------------------------------

    def _answer(self, query: str, params: Sequence[Any] | Mapping[str, Any] | None) -> Result:
        import duckdb

        # As lean as can be each time: what the last query needed, this one may not.
        met = self._filled & {Need.OPEN}
        words = _words(query)
        if _is_about_all(query, words):
            met.add(Need.COLUMNS)
        names = _named_in(words)
        if "runs" in names and ("status" in words or Need.COLUMNS in met):
            met.add(Need.MACHINE)  # costs little, and hardly a log has no run that did not end
        while True:
            try:
                connection = self._ready(met, names, words)
                self._execute(connection, query, params)
            except duckdb.CatalogException as error:
                if names == list(VIEWS):
                    raise explained(error, query) from None
                names = list(VIEWS)
            except duckdb.Error as error:
                self._mend(error, met, query)
            except UnicodeDecodeError:
                # The engine tells of a value that is no number, and cuts it inside a character.
                if self._is_exact:
                    raise QueryError("A text in the logs cannot be converted as the query has it") from None
                self._is_exact = True
                self._filled = set()
            else:
                return Result(connection)

    def _execute(
        self,
        connection: duckdb.DuckDBPyConnection,
        query: str,
        params: Sequence[Any] | Mapping[str, Any] | None,
    ) -> None:
        import duckdb

        values = _literals(params)
        if values is not None and not self._outside:
            # To take values from Python the engine imports pandas where there is one: half a second.
            try:
                connection.execute(f"PREPARE _asked AS {query}")
            except duckdb.Error:
                pass  # said once more below, with the places of the query as it was given
            else:
                connection.execute(f"EXECUTE _asked{values}")
                return
        connection.execute(query, params)

    def _mend(self, error: duckdb.Error, met: set[Need], query: str) -> None:
        """Make ready what *error* says was missing, and note it in *met*.

        Raises:
            QueryError: It is the query that is wrong.
        """
        import duckdb

        text = str(error)
        if isinstance(error, duckdb.InvalidInputException):
            if Need.LATER_FORMAT in text:
                return self._copy_later_formats()
            if (Need.EXACT in text or _NO_NUMBER in text) and not self._is_exact:
                self._is_exact = True
                self._filled = set()
                return None
            for need in Need:
                if need in text and need not in met:
                    met.add(need)
                    return None
        if _TOO_LONG in text and self._object_bytes < _LARGEST_OBJECT_BYTES:
            self._object_bytes = _LARGEST_OBJECT_BYTES
            return None
        if archived := self._archived():
            check_archive({each: self._place(each) for each in archived}, duckdb.connect())
        path = self._named(text)
        if path is not None:
            return self._stand_in(path, is_duplicate=_DUPLICATE in text)
        raise explained(error, query) from None

    def _ready(self, met: set[Need], names: Iterable[str], words: set[str]) -> duckdb.DuckDBPyConnection:
        """Return a connection on which the views *names* stand, made ready for what is in *met*.

        Their columns that are not among *words* are left out, unless every column is needed.
        """
        if self._engine is None:
            self._engine = self._opened()
        connection = self._engine.cursor()
        self._set_files(connection)
        wanted = None if Need.COLUMNS in met else words
        statements = [*_machine()] if Need.MACHINE in met else []
        for need, table in ((Need.OPEN, _views.open_table), (Need.HEADERS, _views.headers_table)):
            if need in met and need not in self._filled:
                statements += table()
        statements += [_views.view(name, met, SILENT_S, wanted) for name in names]
        for statement in statements:
            connection.execute(
                with_lines(
                    statement,
                    object_bytes=self._object_bytes,
                    reading=self._reading(),
                    has_edges=bool(self._edges),
                )
            )
        self._filled |= met & {Need.OPEN, Need.HEADERS}
        return connection

    def _opened(self) -> duckdb.DuckDBPyConnection:
        import duckdb

        engine = duckdb.connect()
        self._filled = set()
        if archived := self._archived():
            # One, as each takes time; of the others an error makes us look at all.
            check_archive({path: self._place(path) for path in archived[:1]}, engine)
        engine.execute(f"SET temp_directory = {_text(self._folder.name)}")
        # Names in a query are views, never variables of the caller.
        engine.execute("SET python_enable_replacements = false")
        if self._memory_mb is not None:
            engine.execute(f"SET memory_limit = '{self._memory_mb}MB'")
        if not self._outside:
            files = ", ".join(_text(str(path)) for path in [*self._files, *self._edges] if _is_text(path))
            engine.execute(f"SET allowed_paths = [{files}]")
            engine.execute(f"SET allowed_directories = [{_text(self._folder.name)}]")
            engine.execute("; ".join(f"SET {setting}" for setting in _SHUT))
        return engine

    def _set_files(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Tell *connection* what to read: variables belong to a connection, tables to all."""
        places = self._places()
        read = ", ".join(_text(place) for place, _ in places)
        originals = ", ".join(f"{_text(place)}: {_text(path)}" for place, path in places if place != path)
        archives = ", ".join(_text(self._place(path)) for path in self._archived())
        edges = ", ".join(_text(os.path.abspath(path)) for path in self._edges)  # noqa: PTH100
        connection.execute(
            f"SET VARIABLE _files = [{read}]::VARCHAR[]; "
            f"SET VARIABLE _archives = [{archives}]::VARCHAR[]; "
            f"SET VARIABLE _edges = [{edges}]::VARCHAR[]; "
            f"SET VARIABLE _originals = MAP {{{originals}}}::MAP(VARCHAR, VARCHAR)"
        )

    def _places(self) -> tuple[tuple[str, str], ...]:
        """Return what the engine is to read, each with the file it stands for."""
        return tuple((self._place(path), os.fsencode(path).decode(errors="replace")) for path in self._logs())

    def _place(self, path: Path) -> str:
        """Return the name by which the engine is to find *path*, or what stands in for it."""
        if path not in self._copies and not _is_plain(path):
            self._link(path)
        return str(self._copies[path].path if path in self._copies else path)

    def _named(self, text: str) -> Path | None:
        """Return the file of ours that an error of the engine names."""
        places = {str(copy.path): path for path, copy in self._copies.items()}
        named = _FAULT.search(text)
        if named is not None:
            return places.get(
                named["file"], Path(named["file"]) if Path(named["file"]) in self._files else None
            )
        # Of a compressed file that is damaged the engine says what, not always where.
        compressed = [path for path in self._files if is_compressed(path)]
        for path in compressed:
            if str(path) in text:
                return path
        left = [path for path in compressed if path not in self._copies]
        return left[0] if left and _DECOMPRESSING.search(text) else None

    def _stand_in(self, path: Path, *, is_duplicate: bool) -> None:
        """Have a copy stand in for *path*, which the engine cannot read as we do, and for others like it."""
        if path in self._copies and not self._copies[path].path.is_symlink():
            if self._copies[path].is_anew:
                raise AssertionError(path)  # our own encoder's work
            self._copy(path, anew=True)
            return
        self._copy(path, anew=is_duplicate)
        if is_duplicate:
            return
        for each in self._told_by(_views.faulty(), otherwise=[]):
            if each != path:
                self._copy(each, anew=False)

    def _copy_later_formats(self) -> None:
        # What has been copied ends before the later format.
        left = [path for path in self._logs() if path not in self._copies]
        for path in self._told_by(_views.later_formats(), otherwise=left):
            self._copy(path, anew=False)

    def _told_by(self, statement: str, *, otherwise: list[Path]) -> list[Path]:
        """Return the files *statement* gives; *otherwise* where the engine cannot read them all."""
        import duckdb

        assert self._engine is not None  # it has been asked
        connection = self._engine.cursor()
        self._set_files(connection)
        files = {place: path for path, (place, _) in zip(self._logs(), self._places(), strict=True)}
        try:
            return [files[place] for (place,) in connection.execute(statement).fetchall() if place in files]
        except duckdb.Error:
            return otherwise


_SHUT = (
    "enable_external_access = false",
    "autoinstall_known_extensions = false",
    "autoload_known_extensions = false",
    "allow_community_extensions = false",
    "lock_configuration = true",
)
_STAR = re.compile(r"(?:\b(?:select|distinct)|[,.])\s*\*", re.IGNORECASE)
_DECOMPRESSING = re.compile(r"gzip|zstd|compress|frame|checksum|corrupt", re.IGNORECASE)


def _words(query: str) -> set[str]:
    return set(re.findall(r"\w+", query.lower()))


def _named_in(words: set[str]) -> list[str]:
    """Return the views a query of *words* names, or all when it asks which there are."""
    asks = words & {"show", "information_schema"} or any(
        word.startswith(("duckdb_", "pragma_")) for word in words
    )
    return list(VIEWS) if asks else [name for name in VIEWS if name in words]


def _is_about_all(query: str, words: set[str]) -> bool:
    """Whether *query* looks as if it were about every column; a wrong no costs a second try."""
    return _STAR.search(query) is not None or "select" not in words or "columns" in words


def _machine() -> Iterable[str]:
    """Yield SQL that tells a connection which processes are alive."""
    machine = this_machine()
    boot = "NULL" if machine.boot_id is None else _text(machine.boot_id)
    yield f"SET VARIABLE _host = {_text(machine.host)}"
    yield f"SET VARIABLE _boot = {boot}"
    yield f"SET VARIABLE _now = {time()!r}::DOUBLE"
    alive = ", ".join(
        f"{pid}={-1.0 if since is None else since!r}" for pid, since in machine.processes.items()
    )
    # As one text: the engine takes longer over as many values of an expression.
    yield f"SET VARIABLE _processes = '{{{alive}}}'::MAP(BIGINT, DOUBLE)"


def _literals(params: Sequence[Any] | Mapping[str, Any] | None) -> str | None:
    """Return *params* in SQL, as a prepared query takes them; None if one of them has no plain form there."""
    if not params:
        return None
    if isinstance(params, Mapping):
        named = [(f"{name} := ", value) for name, value in params.items()]
    else:
        named = [("", value) for value in params]
    given: list[str] = []
    for name, value in named:
        literal = _literal(value)
        if literal is None:
            return None
        given.append(name + literal)
    return f"({', '.join(given)})"


def _literal(value: Any) -> str | None:
    if type(value) is float and isfinite(value):
        return f"{value!r}::DOUBLE"
    if type(value) is str and "\0" not in value:
        return _text(value)
    return repr(value) if type(value) in (int, bool) else None


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _is_plain(path: Path) -> bool:
    """Whether the engine takes this name for the file of that name."""
    return _MAGIC.search(str(path)) is None and _is_text(path)


def _is_text(path: Path) -> bool:
    return str(path).encode(errors="ignore").decode() == str(path)


def _require_duckdb() -> None:
    try:
        import duckdb  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "duckdb":
            raise
        message = "Queries need 'duckdb': pip install 'agent-step-log[query]'"
        raise MissingExtraError(message) from None


def _begin_reading(path: Path) -> None:
    """Read the beginning of the only file: what is no log should be said at once.

    Raises:
        LogFormatError, OSError: as `read_log`.
    """
    for _ in read_file(path, on_damage=lambda _: None):
        return
