"""The last records of a source, and those it gains: one file, or all logs of a directory or pattern.

A log of a directory gets a thread of its own once it grows or appears, so old logs
cost nothing but a look at their size. Records come out as they are met; those of one
file in its order.
"""

from __future__ import annotations

import glob
import queue
import re
import threading
from collections import deque
from pathlib import Path
from time import time
from typing import TYPE_CHECKING

from agent_step_log import read_log
from agent_step_log.errors import StepLogError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent_step_log import Damage, Record

__all__ = ["Tail"]

_LOOK_S = 0.25  # between two looks at which logs there are
_SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst")
_ROTATED = re.compile(r"(.*)\.\d{6}(\.jsonl)$")


class Tail:
    """Reads the end of *source*; see the module.

    Args:
        source: A file, directory or pattern.
        run: Only records of the run with this id, or whose id begins or ends so.
        on_damage: Called once for each stretch skipped.
    """

    def __init__(self, source: str, *, run: str | None, on_damage: Callable[[Damage], None]) -> None:
        self.source = source
        self._run = run
        self._on_damage = on_damage
        self._stop = threading.Event()
        self._queue: queue.Queue[Record] = queue.Queue(maxsize=1000)
        self._began = time()
        self._is_one = not (Path(source).is_dir() or (glob.has_magic(source) and not Path(source).exists()))
        #: records of each log that was read already, and the size of each that was there
        self._read: dict[Path, int] = {}
        self._sizes = dict(self._logs())
        self._followers: dict[Path, threading.Thread] = {}

    @property
    def is_waiting(self) -> bool:
        """Whether there is a directory and no log in it yet."""
        return not self._sizes and Path(self.source).is_dir()

    def last(self, number: int) -> list[Record]:
        """Return the last *number* records, oldest first.

        Raises:
            LogSourceError, LogFormatError, LogTooNewError, OSError: as `read_log`.
        """
        if self._is_one:
            return list(self._last_of(Path(self.source), number))
        newest = sorted(self._sizes, key=_written_at, reverse=True)
        if not newest:
            list(read_log(self.source))  # says in its own words that there is no log
        found: list[Record] = []
        for path in newest:
            if number == 0 or (len(found) >= number and _written_at(path) < found[-number].ts):
                break
            try:
                found = sorted([*found, *self._last_of(path, number)], key=lambda record: record.ts)
            except StepLogError:
                continue  # one of many; `verify` names it
        return found[-number:] if number else []

    def follow(self) -> Iterator[Record]:
        """Yield records as they are written, until `stop`."""
        looked = 0.0
        while not self._stop.is_set():
            now = time()
            if now - looked > _LOOK_S or now < looked:
                looked = now
                self._look()
            try:
                yield self._queue.get(timeout=0.05)
            except queue.Empty:
                continue

    def stop(self) -> None:
        """End following."""
        self._stop.set()

    # -- inside ----------------------------------------------------------------

    def _last_of(self, path: Path, number: int) -> deque[Record]:
        kept: deque[Record] = deque(maxlen=number)
        count = 0
        for record in read_log(path, on_damage=self._on_damage):
            count += 1
            if self._is_wanted(record):
                kept.append(record)
        self._read[path] = count
        return kept

    def _is_wanted(self, record: Record) -> bool:
        run = self._run
        return run is None or record.run_id.startswith(run) or record.run_id.endswith(run)

    def _logs(self) -> list[tuple[Path, int]]:
        """The logs there are now, with their sizes; a rotated part belongs to its log."""
        found = []
        for path in self._paths():
            try:
                found.append((path, path.stat().st_size))
            except OSError:
                continue
        return found

    def _paths(self) -> list[Path]:
        source = Path(self.source)
        if self._is_one:
            return [source]
        if source.is_dir():
            paths = [
                path for path in source.rglob("*.jsonl*") if path.name.endswith(_SUFFIXES) and path.is_file()
            ]
        else:
            paths = [Path(name) for name in glob.glob(self.source, recursive=True)]  # noqa: PTH207
        names = {str(path) for path in paths}
        return [
            path
            for path in paths
            if not ((match := _ROTATED.match(str(path))) and match[1] + match[2] in names)
        ]

    def _look(self) -> None:
        for path, size in self._logs():
            is_new = path not in self._sizes
            if path not in self._followers and (self._is_one or is_new or size != self._sizes[path]):
                self._sizes[path] = size
                thread = threading.Thread(target=self._follow, args=(path, is_new), daemon=True)
                self._followers[path] = thread
                thread.start()

    def _follow(self, path: Path, is_new: bool) -> None:
        skip = self._read.get(path, 0)
        since = 0.0 if is_new or path in self._read else self._began
        try:
            for record in read_log(path, follow=True, stop=self._stop, on_damage=self._on_damage):
                if skip:
                    skip -= 1
                elif record.ts >= since and self._is_wanted(record):
                    self._put(record)
        except (StepLogError, OSError):
            self._followers.pop(path, None)  # gone, or no log; looked at again when its size changes

    def _put(self, record: Record) -> None:
        while not self._stop.is_set():
            try:
                return self._queue.put(record, timeout=0.2)
            except queue.Full:
                continue
        return None


def _written_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
