"""Getting lines onto the disk: one descriptor, one write(2) a line, nothing else.

What every caller relies on:

    order      a line is in the kernel when `append` returns: SIGKILL cannot take it
    whole      the file is opened O_APPEND and a line is one write, so that lines of
               several threads and processes never mix
    no lock    and no thread: `append` may be called from a signal handler, from a
               finaliser, and beside a fork, and cannot deadlock
    no raise   unless on_error="raise"; what is not on disk is counted in `Health`

When a write fails or comes up short (ENOSPC, EIO, EFBIG, a closed descriptor), the
line is kept in a bounded buffer and tried again before the next one. A fragment left by
a short write is closed off with a newline, so it never swallows the record after it.
Once a second at most the path is looked at: a file that was deleted or moved away
is opened anew, and so is one whose descriptor is not ours any more.

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

from agent_step_log._interrupts import pass_on
from agent_step_log.errors import RecordLossWarning, RecordLostError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["Durability", "Health", "LogWriter", "OnError"]

Durability = Literal["process", "disk"]
OnError = Literal["warn", "raise", "ignore"]

_RETRY_RECORDS = 1000  # lines kept for another try
_RETRY_BYTES = 4 * 1024 * 1024  # of them together
_CHECK_S = 0.1  # between two looks at whether there are threads
_LOOK_S = 1.0  # between two at what the path names: each gives up the GIL, and may wait for it
_WARN_S = 60.0  # between two warnings of one log
_HELD_WRITE_BYTES = 1024 * 1024  # longer lines are written with the GIL released
_STALL_S = 0.02  # held writes slower than this, two in a row, met a stalled disk ...
_STALL_PAUSE_S = 2.0  # ... and writes give up the GIL for so long
_MIN_FD = 200  # the log's number is moved up here, see _high
_RESTING = 8  # numbers of closed logs kept back, see _retire


class Health(Struct, frozen=True):
    """The recorder's account of itself at one moment. All counts are of records.

    Attributes:
        written: In the file, or in files it was rotated into. A call broken off from outside
            (a signal handler that raised) is counted here whether it got that far or not.
        pending: Not in the file yet; tried again before the next record.
        dropped: Lost for good, and why is in `last_error`.
        degraded: Written, but with a value that had to give way (see docs/values.md).
        sync_failures: ``durability="disk"``: writes the disk did not confirm.
        reopened: Times the log was opened anew after it had been closed, moved or deleted.
        guard_errors: Times the guard failed, so that a step began unasked.
        last_error: Text of the last failure, None when there was none.
    """

    written: int = 0
    pending: int = 0
    dropped: int = 0
    degraded: int = 0
    sync_failures: int = 0
    reopened: int = 0
    guard_errors: int = 0
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

    for lowest in (_MIN_FD, _MIN_FD // 4):  # there may be a limit below _MIN_FD
        try:
            moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, lowest)
        except OSError as error:
            pass_on(error)
            continue
        os.close(fd)
        return moved
    return fd


_resting: deque[int] = deque()  # numbers of closed logs, not given back yet


def _retire(fd: int) -> None:
    """Close the file under *fd*, and give its number back only some closed logs later.

    Another thread may be about to write to that number. A file or socket the agent opens
    next must not get it: it would receive the line. Until then it is one that takes no bytes.
    """
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    os.dup2(nothing, fd, inheritable=False)
    os.close(nothing)
    _resting.append(fd)
    while len(_resting) > _RESTING:
        with suppress(IndexError):  # another thread was faster
            os.close(_resting.popleft())


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
        self.is_regular = True  # False for a pipe, a terminal, a device: nothing that can be read back
        self._durability = durability
        self._on_error = on_error
        self._rotate_bytes = rotate_bytes
        self._attentive = durability == "disk" or rotate_bytes is not None
        self._before_rotation = before_rotation
        self._held_write = _load_held_write()
        self._count_lines = count_lines  # lines handed in so far, as the caller counts them
        self._written_looked_at = 0  # of them written, at the last look at the path
        self._retry: deque[bytes] = deque()
        self._retry_bytes = 0  # of its lines together
        self._fragment = False  # the file may end inside a line
        self._dropped = self._sync_failures = self._reopened = 0
        self._last_error: str | None = None
        self._next_warning = 0.0
        self._was_slow = False  # the held write before
        self._held_from = 0.0  # monotonic seconds from which the GIL may be held again
        # Protects the move of the file aside against a second thread; never waited for.
        self._rotating = allocate_lock()
        self._flushes: Iterator[None] = self._flush_again_and_again()
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
        self._look_at = 0.0  # Unix seconds from which the path is to be looked at again
        self._real_fd = -1
        self._inodes: tuple[tuple[int, int], ...] = ()  # of the file under that number; two while it changes
        self._is_nameless = False  # that file was deleted, and no new one could be made yet
        try:
            self._open()
        except (OSError, ValueError) as error:
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
        except OSError as error:
            pass_on(error)
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
        # One may have been the machine's doing: a process that was not given a processor for a while.
        slow = end - start > _STALL_S
        if slow and self._was_slow:
            self._held_from = end + _STALL_PAUSE_S
        self._was_slow = slow
        return written

    def _write_nothing(self, _line: bytes) -> int:
        """Stands for `write` while something needs care, which sends every line to `care`."""
        return -1

    def _choose_write(self) -> None:
        """Set `write` to what fits the moment: the plain call, or the one for a process with threads."""
        if other_threads():
            self.write = self._write_held
        else:
            self.write = partial(os.write, self._real_fd)
        # Asked last: another thread in trouble first notes it and then swaps `write`, so that
        # whichever of the two comes later, the trouble wins.
        if self._real_fd < 0 or self.closed or self._fragment or self._retry or self._is_nameless:
            self.write = self._write_nothing

    # -- everything else -------------------------------------------------------

    @property
    def inode(self) -> tuple[int, int] | None:
        """Device and number of the file written to; None before it could be opened."""
        return self._inodes[0] if self._inodes else None

    @property
    def health(self) -> Health:
        """The account so far; see `Health`. ``degraded`` is left to whoever encodes."""
        pending, dropped = len(self._retry), self._dropped
        return Health(
            written=self._count_lines() - pending - dropped,
            pending=pending,
            dropped=dropped,
            sync_failures=self._sync_failures,
            reopened=self._reopened,
            last_error=self._last_error,
        )

    def flush(self) -> None:
        """Try once more what is pending. Never raises."""
        self._flush()
        self._choose_write()

    def close(self) -> None:
        """Try once more what is pending, then close. Lines appended later are dropped and counted."""
        if self.closed:
            return
        self._flush()
        try:
            if self._durability == "disk":
                self._sync()
        finally:
            self.closed = True
            fd, self._real_fd = self._real_fd, -1
            self._choose_write()
            self._give_up()
            self._close_number(fd)
            self._flushes = iter(())  # it held this object, and this object held it

    def _close_number(self, fd: int) -> None:
        try:
            if fd >= 0 and self._owns(fd):
                if other_threads():
                    _retire(fd)
                else:
                    os.close(fd)
        except OSError as error:
            self._note(error)

    def after_fork(self) -> None:
        """Make a copy inherited by a forked child the child's own. Its descriptor is shared, and may be."""
        self.created = False
        self._written_looked_at = 0
        self._retry_bytes = 0
        self._retry = deque()  # the parent still has them, and will write them
        self._dropped = self._sync_failures = self._reopened = 0
        self._rotating = allocate_lock()
        self._flushes = self._flush_again_and_again()
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
        status = os.fstat(fd)
        inode = (status.st_dev, status.st_ino)
        if not self._inodes:
            # A writer killed in the middle of a rotation leaves no file here, and its records beside it.
            self.created = created and not _was_rotated(self.path)
        if self._real_fd >= 0 and self._owns(self._real_fd):
            self._inodes = (inode, *self._inodes)  # another thread may look while it is the one or the other
            os.dup2(fd, self._real_fd, inheritable=False)
            os.close(fd)
            fd = self._real_fd
        else:
            fd = _high(fd)
        self._inodes = (inode,)
        self.is_regular = S_ISREG(status.st_mode)
        # A pipe's reader may be a thread of this process, waiting for the GIL.
        self._held_from = 0.0 if self.is_regular else inf
        self._real_fd = fd
        self._is_nameless = False
        self.opened_at = status.st_size
        self._fragment = _ends_inside_a_line(fd, status.st_size)
        self._plan_attending(time())
        self._choose_write()
        if self.closed:  # meanwhile, by another thread
            self._real_fd = -1
            self._close_number(fd)
        elif created and self._durability == "disk":
            _sync_directory(self.path.parent)

    def _open_existing(self, flags: int) -> int:
        try:
            return os.open(self.path, flags & ~os.O_CREAT)
        except FileNotFoundError:
            return os.open(self.path, flags)  # a link that leads to no file yet
        except PermissionError:
            # A log that may be appended but not read; a pipe or a terminal also lands here.
            return os.open(self.path, (flags & ~os.O_CREAT & ~os.O_RDWR) | os.O_WRONLY)

    def _owns(self, fd: int) -> bool:
        """Whether *fd* still is the file opened here; somebody may have closed it, and opened another."""
        try:
            status = os.fstat(fd)
        except OSError as error:
            pass_on(error)
            return False
        return (status.st_dev, status.st_ino) in self._inodes

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
        self.write = self._write_nothing
        # What waits comes first: records stand in the file as they were made, as far as that goes.
        if self._retry:
            self._flush()
        # This line in this very call: left to another thread's flush it would be acknowledged
        # while it still is in memory only.
        is_written = self._try(line)
        if not is_written:
            self._keep(line)
            self._flush()
        self._choose_write()
        if not is_written and self._retry:
            self._complain()

    def _flush(self) -> None:
        """Write what is pending, oldest first, as far as that goes now."""
        try:
            next(self._flushes)
        except ValueError:
            pass  # under way in another thread, or in the code this signal handler interrupted
        except StopIteration:
            if not self.closed:
                self._flushes = self._flush_again_and_again()
        if self.closed:  # by another thread, while this one had a line in hand
            self._give_up()

    def _flush_again_and_again(self) -> Iterator[None]:
        """One flush for each `next`.

        A generator is the lock here. It cannot be entered twice, it never makes anybody wait,
        and an interrupt in its middle ends it, where a lock would stay locked for ever.
        """
        try:
            while True:
                # Written first and taken off after: an interrupt in between repeats a line, and loses none.
                while self._retry and self._try(self._retry[0]):
                    self._forget_oldest()
                self._shrink()
                yield
        except GeneratorExit:
            raise  # nobody needs another
        except BaseException:
            self._flushes = self._flush_again_and_again()
            raise

    def _try(self, line: bytes) -> bool:
        """Write all of *line*. False when that cannot be done now; `_last_error` says why."""
        for _ in range(3):
            if self.closed:
                self._last_error = "the log is closed"
                return False
            fd = self._real_fd
            try:
                if fd < 0 or self._is_nameless:
                    self._open()
                    fd = self._real_fd
                whole = b"\n" + line if self._fragment else line
                written = os.write(fd, whole)
            except (OSError, ValueError) as error:
                self._note(error)
                if getattr(error, "errno", None) != errno.EBADF:
                    return False
                # Somebody closed our descriptor, or another thread has just opened a new one.
                if fd == self._real_fd and not self._owns(fd):
                    self._real_fd = -1
                    self._reopened += 1
                continue
            if written == len(whole):
                self._fragment = False
                return True
            self._fragment = self._fragment or written > 0
            # A short write: the disk has just filled up. The next one says why.
        return False

    def _give_up(self) -> None:
        """Drop what is pending: the log is closed."""
        while self._retry:
            with suppress(IndexError):  # another thread was faster
                self._forget_oldest()
                self._dropped += 1

    def _shrink(self) -> None:
        """Keep the retry buffer within its bounds; the oldest go first."""
        while len(self._retry) > _RETRY_RECORDS or self._retry_bytes > _RETRY_BYTES:
            self._forget_oldest()
            self._dropped += 1

    def _keep(self, line: bytes) -> None:
        size = len(line)
        self._retry.append(line)
        self._retry_bytes += size

    def _forget_oldest(self) -> None:
        size = len(self._retry.popleft())
        self._retry_bytes -= size

    def _drop(self, why: str) -> None:
        self._dropped += 1
        self._last_error = why
        self._complain()

    def _note(self, error: OSError | ValueError) -> None:
        pass_on(error)
        if isinstance(error, OSError):
            self._last_error = f"{errno.errorcode.get(error.errno or 0, 'error')}: {error.strerror}"
        else:
            self._last_error = f"the path cannot be used: {error}"  # it holds NUL, or no text of this system

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

    # -- now and then, or after every line where an option asks for it ---------

    def attend(self, now: float) -> None:
        """Do what is due after a write: sync, rotate, see to threads, and now and then to the path."""
        if self._durability == "disk":
            self._sync()
        if self._rotate_bytes is not None:
            self._rotate_if_large(self._rotate_bytes)
        # First, so that an interrupt cannot put off the next time.
        self.attend_at = 0.0 if self._attentive else now + _CHECK_S
        if now > self._look_at:
            self._look_at = now + _LOOK_S
            try:
                self._look_at_path()
            finally:
                self._written_looked_at = self._written()
        self._choose_write()

    def _plan_attending(self, now: float) -> None:
        self._look_at = now + _LOOK_S
        self.attend_at = 0.0 if self._attentive else now + _CHECK_S

    def _look_at_path(self) -> None:
        """Open the log anew when its path no longer names the file written to."""
        fd = self._real_fd
        if self.closed or fd < 0:
            return
        lost_to: str | None = None
        try:
            status = os.fstat(fd)
            if (status.st_dev, status.st_ino) not in self._inodes:
                lost_to = "the log's descriptor was closed, and its number given to another file"
            elif status.st_nlink == 0:
                lost_to = "the log was deleted while it was written to"
            elif self._is_named(status):
                return
        except OSError as error:
            pass_on(error)
            # Closed, and nothing under its number yet; it may soon be somebody's.
            self._real_fd = -1
        lost = self._written() - self._written_looked_at
        if lost_to is not None:
            self._is_nameless = True  # until a new file is open, nothing more goes there
        try:
            self._open()
            self._reopened += 1
        except (OSError, ValueError) as error:
            self._note(error)
        if lost_to is not None:
            # Lines since the last look went where no reader will find them.
            self._dropped += lost
            self._last_error = lost_to
            self._complain()

    def _is_named(self, status: os.stat_result) -> bool:
        try:
            there = self.path.stat()
        except OSError as error:
            pass_on(error)
            return False  # gone: opening makes it again
        return (there.st_dev, there.st_ino) == (status.st_dev, status.st_ino)

    def _written(self) -> int:
        return self._count_lines() - len(self._retry) - self._dropped

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
                self._note(error)
                self._sync_failures += 1
                self._complain()

    def _rotate_if_large(self, limit: int) -> None:
        fd = self._real_fd
        try:
            if fd < 0 or os.fstat(fd).st_size <= limit:
                return
        except OSError as error:
            self._note(error)
            return
        # Looked at before it is taken, so that it can be taken by `with`, which no interrupt leaves
        # locked. A second thread that gets here all the same waits for a rename.
        if self._rotating.locked():
            return
        with self._rotating:
            try:
                if os.fstat(fd).st_size > limit:
                    self._rotate(fd)
            except (OSError, ValueError) as error:
                self._note(error)

    def _rotate(self, fd: int) -> None:
        import fcntl

        # Not under the lock: reading opens and closes the file, and closing gives the lock up.
        if self._before_rotation is not None:
            self._before_rotation()
        try:
            # Another process may be about to do the same; whoever is second looks again later.
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            pass_on(error)
            return
        try:
            status = self.path.stat()
            if (status.st_dev, status.st_ino) in self._inodes:
                _move_aside(self.path)
            self._open()  # if it was moved by another: closing the old file gives its lock up
        finally:
            if self._owns(fd):
                fcntl.lockf(fd, fcntl.LOCK_UN)


def _rotated_name(path: Path, number: int) -> Path:
    return path.with_name(f"{path.stem}.{number:06d}{path.suffix}")


def _was_rotated(path: Path) -> bool:
    """Whether there is a first file that *path* was rotated into; it may be compressed by now."""
    first = _rotated_name(path, 1)
    return any(first.with_name(first.name + suffix).exists() for suffix in ("", ".gz", ".zst"))


def _move_aside(path: Path) -> None:
    """Rename ``run.jsonl`` to the next of ``run.000001.jsonl``, ``run.000002.jsonl``, ...

    The next after the last, not the first free one: old ones may have been removed or compressed.
    At every moment each record has one name, so a reader beside a rotation, or after one that was
    killed, meets none twice.
    """
    start = f"{path.stem}."
    names = os.listdir(path.parent)  # noqa: PTH208  thousands of names need not become paths
    numbers = (name.removeprefix(start)[:6] for name in names if name.startswith(start))
    number = max((int(digits) for digits in numbers if digits.isdecimal()), default=0)
    while True:
        number += 1
        target = _rotated_name(path, number)
        try:
            # Reserves the name: rename would replace what another process has just put there.
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            continue
        path.rename(target)
        return


def _ends_inside_a_line(fd: int, size: int) -> bool:
    """Whether the last byte is something other than a newline: its writer was stopped there."""
    if size == 0:
        return False
    try:
        return os.pread(fd, 1, size - 1) not in (b"\n", b"")
    except OSError as error:
        pass_on(error)
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
