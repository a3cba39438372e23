"""Getting lines onto the disk: one descriptor, one write(2) a line, nothing else.

What every caller relies on:

    order      a line is in the kernel when `append` returns: SIGKILL cannot take it
    whole      the file is opened O_APPEND and a line is one write, so that lines of
               several threads and processes never mix
    no lock    and no thread: `append` may be called from a signal handler, from a
               finaliser, and beside a fork, and cannot deadlock
    no raise   unless on_error="raise"; what is not on disk is counted in `Health`

When a write fails or comes up short (ENOSPC, EIO, EFBIG, a closed descriptor), the
line is kept in a bounded buffer and tried again before the next one. A fragment
left by a short write is closed off with a newline, so it never swallows the record
after it. Ten times a second at most the path is looked at: a file that was deleted or
moved away is opened anew.

The descriptor keeps its number for life. Opening the log anew puts the new file
under the same number (dup2), so a thread in mid-append cannot hit a closed one.
"""

from __future__ import annotations

import errno
import os
import sys
import warnings
from _thread import RLock, allocate_lock
from _thread import _count as other_threads
from collections import deque
from contextlib import suppress
from functools import partial
from itertools import count
from math import inf
from stat import S_ISREG
from time import monotonic, time
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from agent_step_log.errors import RecordLossWarning, RecordLostError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Durability", "Health", "LogWriter", "OnError"]

Durability = Literal["process", "disk"]
OnError = Literal["warn", "raise", "ignore"]

_RETRY_RECORDS = 1000  # lines kept for another try
_RETRY_BYTES = 4 * 1024 * 1024  # of them together
_CHECK_S = 0.1  # between two looks at what the path names, and at whether there are threads
_WARN_S = 60.0  # between two warnings of one log
_HELD_WRITE_BYTES = 1024 * 1024  # longer lines are written with the GIL released
_STALL_S = 0.02  # a held write slower than this met a stalled disk ...
_STALL_PAUSE_S = 5.0  # ... and writes give up the GIL for so long
_MIN_FD = 200  # the log's number is moved up here, see _high


class Health(Struct, frozen=True):
    """The recorder's account of itself at one moment. All counts are of records.

    Attributes:
        written: In the file, or in files it was rotated into.
        pending: Not in the file yet; tried again before the next record.
        dropped: Lost for good, and why is in `last_error`.
        degraded: Written, but with a value that had to give way (see docs/values.md).
        sync_failures: ``durability="disk"``: writes the disk did not confirm.
        reopened: Times the log was opened anew after it had been closed, moved or deleted.
        last_error: Text of the last failure, None when there was none.
    """

    written: int = 0
    pending: int = 0
    dropped: int = 0
    degraded: int = 0
    sync_failures: int = 0
    reopened: int = 0
    last_error: str | None = None


def _load_held_write() -> Callable[[int, bytes, int], int]:
    """Return a write(2) that keeps the GIL.

    os.write gives the GIL up and, beside a CPU-bound thread, gets it back a switch
    interval (5 ms) later. A write into the page cache takes a microsecond, so that
    wait is all cost. Used only when other threads exist. No argtypes: declaring them
    makes a call slower by half; lengths stay far below a C int.
    """
    try:
        import ctypes

        held: Callable[[int, bytes, int], int] = ctypes.PyDLL(None).write
    except Exception:  # noqa: BLE001  no ctypes, or no libc to load: the plain way works everywhere
        return lambda fd, line, _size: os.write(fd, line)
    return held


def _high(fd: int) -> int:
    """Move *fd* to a number nobody else gets.

    A program that closes "all" descriptors and opens its own gets low numbers; with
    a low one of ours it would receive our lines in its file.
    """
    import fcntl

    try:
        moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _MIN_FD)
    except OSError:
        return fd  # a limit below _MIN_FD
    os.close(fd)
    return moved


class LogWriter:
    """Appends lines to the file at *path*. Thread-safe, fork-safe, re-entrant; see the module.

    Args:
        path: The file; missing directories are made. It is created with mode 0600.
        durability: "process": a line is in the kernel when `append` returns (default).
            "disk": it is on the disk (fdatasync); calls of several threads share one.
        on_error: "warn" (default; at most once a minute), "raise" `RecordLostError`, "ignore".
        rotate_bytes: Move the file aside once it is larger, as ``NAME.000001.jsonl`` and so on.
        before_rotation: Called with nothing just before the file is moved aside.
        count_lines: Tells how many lines were handed in so far. Counting is the caller's:
            it has numbers to give out anyway.
    """

    def __init__(
        self,
        path: Path,
        *,
        durability: Durability = "process",
        on_error: OnError = "warn",
        rotate_bytes: int | None = None,
        before_rotation: Callable[[], object] | None = None,
        count_lines: Callable[[], int],
    ) -> None:
        self.path = path
        self.created = False  # True when this writer made the file: O_EXCL tells
        self.opened_at = 0  # size of the file when it was opened
        self.closed = False
        self._durability = durability
        self._on_error = on_error
        self._rotate_bytes = rotate_bytes
        self._attentive = durability == "disk" or rotate_bytes is not None
        self._before_rotation = before_rotation
        self._held_write = _load_held_write()
        self._count_lines = count_lines  # lines handed in so far, as the caller counts them
        self._lines_looked_at = 0  # of them, at the last look at the path
        self._retry: deque[bytes] = deque()
        self._fragment = False  # the file may end inside a line
        self._dropped = self._sync_failures = self._reopened = 0
        self._last_error: str | None = None
        self._next_warning = 0.0
        self._held_from = 0.0  # monotonic seconds from which the GIL may be held again
        # Protects the move of the file aside against a second thread; never waited for.
        self._rotating = allocate_lock()
        # Protects the retry buffer's front while it is written out; never waited for either.
        self._flushing = allocate_lock()
        # One fdatasync at a time. Re-entrant: a signal handler may record in the middle of one.
        self._sync_lock = RLock()
        self._written_ticket = count(1)
        self._synced = 0
        #: One write(2) of a line; returns how much of it was written, -1 for nothing.
        #: Swapped whenever something needs care, so that the usual case pays for no check.
        self.write: Callable[[bytes], int] = self._write_nothing
        #: Called once before the next line is written; set after a fork.
        self.before_next: Callable[[], object] | None = None
        #: Unix seconds from which `attend` wants to be called after a write.
        self.attend_at = 0.0
        self._real_fd = -1
        self._inode: tuple[int, int] | None = None
        try:
            self._open()
        except OSError as error:
            self._note(error)

    # -- the hot path ----------------------------------------------------------

    def append(self, line: bytes, now: float) -> None:
        """Write one line (its newline included). *now* is Unix seconds.

        `StepLog` does the same inline for its two plain records: the call would be a
        tenth of their cost.

        Raises:
            RecordLostError: with on_error="raise", when the line is not in the file.
        """
        try:
            written = self.write(line)
        except OSError:
            written = -1
        if written != len(line):
            self.care(line, written)
        elif now > self.attend_at:
            self.attend(now)

    def _write_held(self, line: bytes) -> int:
        """Write with the GIL held; see `_load_held_write`."""
        start = monotonic()
        if start < self._held_from or len(line) > _HELD_WRITE_BYTES:
            return os.write(self._real_fd, line)
        written = self._held_write(self._real_fd, line, len(line))
        end = monotonic()
        if end - start > _STALL_S:
            self._held_from = end + _STALL_PAUSE_S
        return written

    def _write_nothing(self, _line: bytes) -> int:
        """Stands for `write` while something needs care, which sends every line to `care`."""
        return -1

    def _choose_write(self) -> None:
        """Set `write` to what fits the moment: the plain call, or the one for a process with threads."""
        if self._real_fd < 0 or self.closed or self._fragment or self._retry:
            self.write = self._write_nothing
        elif other_threads():
            self.write = self._write_held
        else:
            self.write = partial(os.write, self._real_fd)

    # -- everything else -------------------------------------------------------

    @property
    def health(self) -> Health:
        """The account so far; see `Health`. ``degraded`` is left to whoever encodes."""
        pending = len(self._retry)
        return Health(
            written=self._count_lines() - pending - self._dropped,
            pending=pending,
            dropped=self._dropped,
            sync_failures=self._sync_failures,
            reopened=self._reopened,
            last_error=self._last_error,
        )

    def close(self) -> None:
        """Try once more what is pending, then close. Lines appended later are dropped and counted."""
        if self.closed:
            return
        self._flush()
        if self._durability == "disk":
            self._sync()
        self.closed = True
        self.write = self._write_nothing
        self._dropped += len(self._retry)
        self._retry.clear()
        fd, self._real_fd = self._real_fd, -1
        self._choose_write()
        if fd >= 0:
            try:
                os.close(fd)
            except OSError as error:
                self._note(error)

    def after_fork(self) -> None:
        """Make a copy inherited by a forked child the child's own. Its descriptor is shared, and may be."""
        self.created = False
        self._lines_looked_at = 0
        self._retry = deque()  # the parent still has them, and will write them
        self._dropped = self._sync_failures = self._reopened = 0
        self._rotating = allocate_lock()
        self._flushing = allocate_lock()
        self._sync_lock = RLock()
        self._written_ticket = count(1)
        self._synced = 0
        self.write = self._write_nothing

    def _open(self) -> None:
        """Open the file under the number it keeps, and close off a torn last line."""
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_CREAT
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # 0o600: a step holds prompts and tool output; other users have no business in it.
            fd = os.open(self.path, flags | os.O_EXCL, 0o600)
            created = True
        except FileExistsError:
            fd = self._open_existing(flags)
            created = False
        if self._real_fd >= 0:
            os.dup2(fd, self._real_fd, inheritable=False)
            os.close(fd)
            fd = self._real_fd
        else:
            fd = _high(fd)
            self.created = created
        status = os.fstat(fd)
        self._inode = (status.st_dev, status.st_ino)
        if not S_ISREG(status.st_mode):
            # A pipe's reader may be a thread of this process, waiting for the GIL.
            self._held_from = inf
        self._real_fd = fd
        self.opened_at = status.st_size
        self._fragment = _ends_inside_a_line(fd, status.st_size)
        self._plan_attending(time())
        self._choose_write()
        if created and self._durability == "disk":
            _sync_directory(self.path.parent)

    def _open_existing(self, flags: int) -> int:
        try:
            return os.open(self.path, flags & ~os.O_CREAT)
        except PermissionError:
            # A log that may be appended but not read; a pipe or a terminal also lands here.
            return os.open(self.path, (flags & ~os.O_CREAT & ~os.O_RDWR) | os.O_WRONLY)

    def care(self, line: bytes, written: int) -> None:
        """Deal with a line of which only *written* bytes reached the file: keep it, and try to get it out.

        Raises:
            RecordLostError: with on_error="raise", when it still is not in the file.
        """
        if self.before_next is not None:
            write_first, self.before_next = self.before_next, None
            write_first()
        if written > 0:
            self._fragment = True
        if self.closed:
            self._drop("the log is closed")
            return
        self._retry.append(line)
        self.write = self._write_nothing
        if not self._flush():
            self._complain()

    def _flush(self) -> bool:
        """Write what is pending, oldest first. True when nothing is left."""
        # A second thread, or a signal handler inside the first one's flush, leaves its
        # line to the flush under way; the loop looks again after the lock is given up.
        while self._retry and self._flushing.acquire(blocking=False):
            try:
                # Written first and taken off after: an interrupt in between repeats a line, and loses none.
                while self._retry and self._try(self._retry[0]):
                    self._retry.popleft()
                if self._retry:
                    self._shrink()
                    return False
            finally:
                self._flushing.release()
        self._choose_write()
        return not self._retry

    def _try(self, line: bytes) -> bool:
        for _ in range(2):
            try:
                if self._real_fd < 0:
                    self._open()
                if self._fragment:
                    line = b"\n" + line.lstrip(b"\n")
                written = os.write(self._real_fd, line)
            except OSError as error:
                self._note(error)
                if error.errno != errno.EBADF:
                    return False
                # Somebody closed our descriptor. The number is free now: take a new one.
                self._real_fd = -1
                self._reopened += 1
                continue
            self._fragment = 0 < written < len(line)
            if written == len(line):
                return True
            # A short write: the disk has just filled up. The next one says why.
        return False

    def _shrink(self) -> None:
        """Keep the retry buffer within its bounds; the oldest go first."""
        size = sum(map(len, self._retry.copy()))
        while len(self._retry) > _RETRY_RECORDS or size > _RETRY_BYTES:
            size -= len(self._retry.popleft())
            self._dropped += 1

    def _drop(self, why: str) -> None:
        self._dropped += 1
        self._last_error = why
        self._complain()

    def _note(self, error: OSError) -> None:
        self._last_error = f"{errno.errorcode.get(error.errno or 0, 'error')}: {error.strerror}"

    def _complain(self) -> None:
        if self._on_error == "raise":
            raise RecordLostError(self.path, self._last_error or "unknown")
        now = monotonic()
        if self._on_error == "ignore" or now < self._next_warning:
            return
        self._next_warning = now + _WARN_S
        message = (
            f"{self.path}: {len(self._retry)} records wait to be written and {self._dropped} are lost "
            f"({self._last_error}). The agent goes on; see StepLog.health."
        )
        try:
            warnings.warn(message, RecordLossWarning, stacklevel=4)
        except Exception:  # noqa: BLE001  warnings turned into errors must not reach the agent
            _say(message)

    # -- ten times a second, or after every line where an option asks for it ---

    def attend(self, now: float) -> None:
        """Do what is due after a write: sync, rotate, and look at path and threads once in `_CHECK_S`."""
        if self._durability == "disk":
            self._sync()
        if self._rotate_bytes is not None:
            self._rotate_if_large(self._rotate_bytes)
        if now > self._look_at:
            self._look_at_path()
            self._lines_looked_at = self._count_lines()
            self._plan_attending(now)
            self._choose_write()

    def _plan_attending(self, now: float) -> None:
        self._look_at = now + _CHECK_S
        self.attend_at = 0.0 if self._attentive else self._look_at

    def _look_at_path(self) -> None:
        """Open the log anew when its path no longer names the file written to."""
        try:
            status = self.path.stat()
            if (status.st_dev, status.st_ino) == self._inode:
                return
        except OSError:
            pass  # gone: opening makes it again
        try:
            deleted = os.fstat(self._real_fd).st_nlink == 0
            self._open()
            self._reopened += 1
        except OSError as error:
            self._note(error)
            return
        if deleted:
            # Lines since the last look went into a file that has no name any more.
            self._dropped += self._count_lines() - self._lines_looked_at
            self._last_error = "the log was deleted while it was written to"
            self._complain()

    def _sync(self) -> None:
        """Return once all lines written before the call are on the disk: one fdatasync serves many."""
        ticket = next(self._written_ticket)
        with self._sync_lock:
            if self._synced >= ticket:
                return
            covers = int(repr(self._written_ticket)[6:-1]) - 1
            try:
                os.fdatasync(self._real_fd)
                self._synced = covers
            except OSError as error:
                self._sync_failures += 1
                self._note(error)
                self._complain()

    def _rotate_if_large(self, limit: int) -> None:
        if self._real_fd < 0 or not self._rotating.acquire(blocking=False):
            return
        try:
            if os.fstat(self._real_fd).st_size > limit:
                self._rotate()
        except OSError as error:
            self._note(error)
        finally:
            self._rotating.release()

    def _rotate(self) -> None:
        import fcntl

        try:
            # Another process may be about to do the same; whoever is second looks again later.
            fcntl.lockf(self._real_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return
        status = self.path.stat()
        if (status.st_dev, status.st_ino) != self._inode:
            self._open()  # it was moved by another; closing the old file gave its lock up
            return
        if self._before_rotation is not None:
            self._before_rotation()
        _move_aside(self.path)
        self._open()


def _move_aside(path: Path) -> None:
    """Rename ``run.jsonl`` to the first free of ``run.000001.jsonl``, ``run.000002.jsonl``, ..."""
    number = 1
    while True:
        target = path.with_name(f"{path.stem}.{number:06d}{path.suffix}")
        try:
            os.link(path, target)  # fails if it exists, where rename would replace
        except FileExistsError:
            number += 1
            continue
        path.unlink()
        return


def _ends_inside_a_line(fd: int, size: int) -> bool:
    """Whether the last byte is something other than a newline: its writer was stopped there."""
    if size == 0:
        return False
    try:
        return os.pread(fd, 1, size - 1) not in (b"\n", b"")
    except OSError:
        return False  # not a regular file, or not readable: nothing to close off


def _sync_directory(directory: Path) -> None:
    """Make the file's name durable too: without this a power cut can take the whole file."""
    fd = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _say(message: str) -> None:
    with suppress(Exception):  # there is nowhere left to say it
        sys.stderr.write(f"agent-step-log: {message}\n")
