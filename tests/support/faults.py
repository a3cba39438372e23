"""Disks that fail, handed to the writer in the place of its `os` module."""

from __future__ import annotations

import errno
import os
from collections import Counter
from typing import TYPE_CHECKING, Any

from agent_step_log import _writer

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

__all__ = ["BrokenDisk", "Disk", "FullDisk", "ShortWriter"]


class Disk:
    """The `os` module as the writer sees it; counts what is asked of it. Made before the log is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: Counter[str] = Counter()
        self.is_faulty = False
        monkeypatch.setattr(_writer, "os", self)
        # The test runner may have threads: with them the writer would pass by `os.write`.
        monkeypatch.setattr(_writer, "other_threads", lambda: 0)

    def write(self, fd: int, data: bytes) -> int:
        self.calls["write"] += 1
        return self.fail(fd, data) if self.is_faulty else os.write(fd, data)

    def fail(self, fd: int, data: bytes) -> int:
        raise NotImplementedError

    def __getattr__(self, name: str) -> Any:
        found = getattr(os, name)
        return self._counted(name, found) if callable(found) else found

    def _counted(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls[name] += 1
            return function(*args, **kwargs)

        return call


class BrokenDisk(Disk):
    """Every write fails with EIO."""

    def fail(self, fd: int, data: bytes) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))


class FullDisk(Disk):
    """Writes fail with ENOSPC."""

    def fail(self, fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class ShortWriter(Disk):
    """The next write takes the first half of a line, and those after it fail with ENOSPC, until mended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(monkeypatch)
        self._has_room = True

    def fail(self, fd: int, data: bytes) -> int:
        if not self._has_room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._has_room = False
        return os.write(fd, data[: len(data) // 2])
