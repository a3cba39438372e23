"""Which files a run is in, which run is meant, and the rows read from them."""

from __future__ import annotations

import difflib
from contextlib import suppress
from pathlib import Path
from time import time
from typing import TYPE_CHECKING

from agent_debug_replay._peek import peek
from agent_debug_replay._scan import LogFile, decode_record, is_compressed
from agent_debug_replay._table import Strings, Table
from agent_debug_replay.errors import ReplayError, RunNotFoundError
from agent_step_log import RunInfo, list_runs
from agent_step_log.errors import LogFormatError, LogSourceError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence

    from agent_debug_replay._scan import Block
    from agent_debug_replay._sums import Sums
    from agent_debug_replay._table import Head

__all__ = [
    "LoadedRun",
    "Loader",
    "match_run",
    "open_run",
    "parts_since",
    "rotated_beside",
    "run_named",
    "unrotated",
]

_NEAREST = 3
_TRIES = 5  # to open the files of a run while none of them is moved aside
_TICK_S = 1.0  # by which a file's time may lag behind the clock


class LoadedRun:
    """One run as far as its files have been read.

    Attributes:
        info: Its headers and endings, for its status; not its totals.
        table: Its steps.
        changed: Rows that said something else before the last read.
        sums: Of its rows as they are; None until somebody asks.
    """

    def __init__(self, run_id: str) -> None:
        self.info = RunInfo(run_id)
        self.table = Table(Strings())
        self.changed: set[int] = set()
        self.sums: Sums | None = None

    def take(
        self, heads: Sequence[Head], block: Block, at: Sequence[int], number: int, file: LogFile
    ) -> None:
        """Take the records *heads*, which are those at places *at* of *block*."""
        fold = self.info.fold
        times = [head.ts for head in heads]
        fold.first_ts = min(times) if fold.first_ts is None else min(fold.first_ts, min(times))
        fold.last_ts = max(fold.last_ts, max(times))
        if file.path not in self.info.paths:
            self.info.paths.append(file.path)
        whole = heads
        places = at
        if min([head.step for head in heads]) <= 0:
            for head, place in zip(heads, at, strict=True):
                if head.step <= 0:
                    self._take_run_record(block.offsets[place], block.lengths[place], file)
            kept = [(head, place) for head, place in zip(heads, at, strict=True) if head.step > 0]
            whole, places = [head for head, _ in kept], [place for _, place in kept]
        if whole:
            is_all = len(places) == len(block.heads)
            offsets = block.offsets if is_all else [block.offsets[place] for place in places]
            lengths = block.lengths if is_all else [block.lengths[place] for place in places]
            self.changed.update(self.table.add(whole, number, offsets, lengths))

    def _take_run_record(self, offset: int, length: int, file: LogFile) -> None:
        record = decode_record(file.bytes_at(offset, length), file.path)
        # A last line without its newline is read once more when it has grown one.
        known = [*self.info.headers, *([self.info.end] if self.info.end is not None else [])]
        if all(record.line != other.line for other in known):
            self.info.add(record, file.path)


class Loader:
    """Reads files into runs, from where it stopped the last time.

    Args:
        paths: The files in reading order.
        run_id: The only run wanted. Default: all of them are kept.
    """

    def __init__(self, paths: Sequence[Path], run_id: str | None = None) -> None:
        self.run_id = run_id
        self.files: list[LogFile] = []
        self.runs: dict[str, LoadedRun] = {}
        try:
            self.files += map(LogFile, paths)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the files."""
        for file in self.files:
            file.close()

    @property
    def progress(self) -> float:
        """How much of the files has been read, from 0 to 1."""
        total = sum(file.size for file in self.files)
        return min(sum(file.position for file in self.files) / total, 1.0) if total else 1.0

    def read(self, *, on_block: Callable[[], bool] | None = None) -> None:
        """Read what the files have beyond what was read before.

        Args:
            on_block: Called after every quarter of a megabyte; False stops.

        Raises:
            LogFormatError: The one file there is holds no record at all, and is not empty.
            LogTooNewError: A later version wrote it.
        """
        for number, file in enumerate(self.files):
            if file.is_compressed and file.position:
                continue
            for block in file.blocks():
                self._take(block, number, file)
                if on_block is not None and not on_block():
                    return
            if file.has_text and not file.is_log and len(self.files) == 1:
                raise LogFormatError(file.path)

    def _take(self, block: Block, number: int, file: LogFile) -> None:
        heads = block.heads
        ids = dict.fromkeys(head.run_id for head in heads)  # in the order they were met
        if len(ids) == 1:
            (run_id,) = ids
            if self.run_id in (None, run_id):
                self._run(run_id).take(heads, block, range(len(heads)), number, file)
            return
        for run_id in ids:
            if self.run_id not in (None, run_id):
                continue
            at = [place for place, head in enumerate(heads) if head.run_id == run_id]
            self._run(run_id).take([heads[place] for place in at], block, at, number, file)

    def _run(self, run_id: str) -> LoadedRun:
        found = self.runs.get(run_id)
        if found is None:
            found = self.runs[run_id] = LoadedRun(run_id)
        return found


def open_run(source: str | os.PathLike[str], run: str | None) -> Loader:
    """Open the files to read, all of them: also when one is rotated meanwhile.

    Raises:
        RunNotFoundError, ReplayError, LogSourceError, LogFormatError, LogTooNewError,
            OSError: as `Replay.open`.
    """
    for _ in range(_TRIES - 1):
        began = time() - _TICK_S
        try:
            loader = Loader(*run_named(source, run))
        except FileNotFoundError:
            continue  # moved aside, and the next one is not made yet
        if not _lacks_a_part(loader, began):
            return loader
        loader.close()
    return _open_all_parts(*run_named(source, run))


def _open_all_parts(paths: list[Path], run_id: str | None) -> Loader:
    """Open *paths*, and what was made of them since: to find a run takes longer than to rotate its log."""
    for _ in range(_TRIES):
        began = time() - _TICK_S
        logs = dict.fromkeys(unrotated(path) for path in paths if not is_compressed(path))
        parts = [part for log in logs for part in (*rotated_beside(log), log)]
        try:
            loader = Loader([*(path for path in paths if path not in parts), *parts], run_id)
        except FileNotFoundError:
            continue
        if not _lacks_a_part(loader, began):
            return loader
        loader.close()
    return Loader(paths, run_id)


def _lacks_a_part(loader: Loader, since: float) -> bool:
    """Whether a file was moved aside since, that what was opened then is not all there is."""
    known = {file.path for file in loader.files}
    for file in loader.files:
        with suppress(OSError):
            parts = [] if is_compressed(file.path) else rotated_beside(file.path)
            if parts and parts[-1] not in known and parts[-1].stat().st_mtime >= since:
                return True
    return False


def run_named(source: str | os.PathLike[str], run: str | None) -> tuple[list[Path], str | None]:
    """Return the files to read, and the run if it is known already.

    One file is read without a look at it first: the runs in it are known when it has been read.

    Raises:
        RunNotFoundError, ReplayError, LogSourceError, LogFormatError, LogTooNewError,
            OSError: as `Replay.open`.
    """
    path = Path(source)
    if path.name.endswith(".tape.zst"):
        return _log_of_tape(path, run)
    if path.is_file() and (is_compressed(path) or not rotated_beside(path)):
        return [path], None
    if path.is_dir() and (quick := peek(path)):
        try:
            chosen = match_run(source, run, {run_id: each.started_at for run_id, each in quick.items()})
        except RunNotFoundError as error:
            if error.matches:
                raise
        else:
            return quick[chosen].paths, chosen
    try:
        infos = list_runs(source, on_damage=_ignore)
    except LogSourceError:
        tape = next(iter(sorted(path.glob("*.tape.zst"))), None) if path.is_dir() else None
        if tape is None:
            raise
        return _log_of_tape(tape, run)
    chosen = match_run(source, run, {info.run_id: info.fold.first_ts or 0.0 for info in infos})
    return next(info.paths for info in infos if info.run_id == chosen), chosen


def match_run(source: object, run: str | None, runs: dict[str, float]) -> str:
    """Return which of *runs* (each with when it started) *run* means: an id, its beginning or its end.

    Raises:
        RunNotFoundError: None, or several.
    """
    if run is None:
        if not runs:
            raise RunNotFoundError(source, None)
        return sorted(runs, key=runs.__getitem__)[-1]  # of those started together, the last told
    close = [run] if run in runs else [name for name in runs if name.startswith(run) or name.endswith(run)]
    if len(close) == 1:
        return close[0]
    if close:
        raise RunNotFoundError(source, run, matches=close)
    raise RunNotFoundError(source, run, nearest=_nearest(run, runs))


def _nearest(run: str, runs: Iterable[str]) -> list[str]:
    """Return the ids most like *run*: as a whole, or by a part as long as it."""

    def likeness(name: str) -> float:
        begins = [
            0,
            max(len(name) - len(run), 0),
            *(place + 1 for place, char in enumerate(name) if char in "-_/"),
        ]
        parts = {name, *(name[begin : begin + len(run)] for begin in begins)}
        return max(difflib.SequenceMatcher(None, run, part, autojunk=False).ratio() for part in parts)

    rated = sorted(((likeness(name), name) for name in list(runs)[-2000:]), reverse=True)
    return [name for ratio, name in rated[:_NEAREST] if ratio >= 0.6]


def rotated_beside(path: Path) -> list[Path]:
    """Return the files *path* was rotated into, oldest first."""
    prefix, suffix = f"{path.stem}.", path.suffix
    return sorted(
        other
        for other in path.parent.iterdir()
        if other.name.startswith(prefix) and _is_part(other.name[len(prefix) :], suffix)
    )


def unrotated(path: Path) -> Path:
    """Return the path of the log that *path* is a part of; *path* where it is none."""
    name, _, number = path.stem.rpartition(".")
    is_part = name and _is_part(f"{number}{path.suffix}", path.suffix)
    return path.with_name(f"{name}{path.suffix}") if is_part else path


def parts_since(path: Path, status: os.stat_result) -> list[Path] | None:
    """Return the files *path* was rotated into after the one of *status*, oldest first; None if that is none.

    Those compressed since are left out.
    """
    from os.path import samestat

    found: list[Path] | None = None
    for part in rotated_beside(path):
        with suppress(OSError):
            if found is not None:
                found.append(part)
            elif samestat(part.stat(), status):
                found = []
    return found


def _is_part(rest: str, suffix: str) -> bool:
    """Whether *rest* is ``000001`` and the suffix, compressed since or not."""
    number, ending = rest[:6], rest[6:]
    return number.isdigit() and len(number) == 6 and ending in (suffix, f"{suffix}.gz", f"{suffix}.zst")


def _log_of_tape(path: Path, run: str | None) -> tuple[list[Path], str | None]:
    from agenttap import Tape

    run_id = Tape(path).run_id
    if run is not None and not (run_id.startswith(run) or run_id.endswith(run)):
        raise RunNotFoundError(path, run, nearest=[run_id])
    try:
        infos = list_runs(path.parent, on_damage=_ignore)
    except LogSourceError:
        infos = []
    for info in infos:
        if info.run_id == run_id:
            return info.paths, run_id
    raise ReplayError(
        f"{path} is the tape of run {run_id}, and the log of that run is not beside it; "
        "`agent-step-log wire` reads a tape alone."
    )


def _ignore(_damage: object) -> None:
    """Tell nobody: the run that is opened tells of its own files."""
