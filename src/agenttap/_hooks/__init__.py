"""The hooks of this process: put in when the first tap is switched on, taken out with the last.

One module for each HTTP library; each offers ``patch(module)`` and gets the module
once somebody has imported it. Nothing here imports an HTTP library.
"""

from __future__ import annotations

import os
from importlib import import_module
from threading import RLock
from typing import TYPE_CHECKING

from agenttap._hooks._imports import ImportWatch

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

__all__ = ["hold", "release"]

#: Library -> the module here that hooks it.
HOOKS = {"httpx": "_httpx", "httpx2": "_httpx", "aiohttp": "_aiohttp", "urllib3": "_urllib3"}

# Protects the three below. Reentrant: patching may import, and an import tells us.
_lock = RLock()
_holders = 0
_watch: ImportWatch | None = None
_undo: list[Callable[[], None]] = []
_report: list[Callable[[str, str], None]] = []


def hold(report: Callable[[str, str], None]) -> None:
    """Put the hooks in, if they are not.

    Args:
        report: Told what is not seen: ``(kind, detail)``. Must not raise.
    """
    global _holders, _watch
    with _lock:
        _holders += 1
        _report.append(report)
        if _watch is None:
            from agenttap._hooks import _unseen

            _watch = ImportWatch({*HOOKS, *_unseen.WATCHED}, _on_import)
            _watch.start()


def release(report: Callable[[str, str], None]) -> None:
    """Take the hooks out, if nobody else holds them."""
    global _holders, _watch
    with _lock:
        if report in _report:
            _report.remove(report)
        _holders -= 1
        if _holders > 0 or _watch is None:
            return
        _watch.stop()
        _watch = None
        while _undo:
            _undo.pop()()


def _after_fork() -> None:
    global _lock
    _lock = RLock()


# A thread that imports while another one forks holds the lock, and does not come along.
os.register_at_fork(after_in_child=_after_fork)


def _on_import(name: str, module: ModuleType) -> None:
    from agenttap._hooks import _unseen

    with _lock:
        if _watch is None:
            return
        try:
            if name in HOOKS:
                hook = import_module(f"agenttap._hooks.{HOOKS[name]}")
                _undo.extend(hook.patch(module))
            if name in _unseen.WATCHED:
                _undo.extend(_unseen.watch(name, module, _tell))
        except Exception as error:  # noqa: BLE001  the agent is importing a library; that must work
            _tell("library", str(error))


def _tell(kind: str, detail: str) -> None:
    for report in tuple(_report):
        report(kind, detail)
