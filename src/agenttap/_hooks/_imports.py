"""Being told when a library has been imported, without importing it.

A finder in front of all others lets the usual ones find the module and adds one
step behind its execution. The module's own loader is put back before anyone can
ask for it; nothing of the finder stays on the module.
"""

from __future__ import annotations

import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.util import find_spec
from threading import local
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

__all__ = ["ImportWatch"]


class ImportWatch(MetaPathFinder):
    """Calls *on_import* with each module of *names*, once it has been executed.

    Args:
        names: Top-level modules. One that is imported already is told at `start`.
        on_import: Must not raise. Called in the thread that imports.
    """

    def __init__(self, names: Iterable[str], on_import: Callable[[str, ModuleType], None]) -> None:
        self._names = frozenset(names)
        self._on_import = on_import
        self._searching = local()
        #: Modules that somebody was importing when `start` looked.
        self._half_done: set[str] = set()

    def start(self) -> None:
        """Begin to watch, and tell what is there."""
        sys.meta_path.insert(0, self)
        for name in self._names:
            module = sys.modules.get(name)
            if module is None:
                continue
            if _is_importing(module):
                self._half_done.add(name)
            else:
                self._on_import(name, module)

    def stop(self) -> None:
        """Watch no more."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002  the protocol's own
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Find one of the modules as the finders behind this one do; None for all others."""
        if self._half_done:
            self._look_again()
        if fullname not in self._names or getattr(self._searching, "name", None) == fullname:
            return None
        self._searching.name = fullname
        try:
            spec = find_spec(fullname)
        except (ImportError, ValueError):
            return None
        finally:
            self._searching.name = None
        if spec is not None and spec.loader is not None:
            spec.loader = _Telling(spec.loader, self._on_import)
        return spec

    def _look_again(self) -> None:
        for name in list(self._half_done):
            module = sys.modules.get(name)
            if module is None or not _is_importing(module):
                self._half_done.discard(name)
                if module is not None:
                    self._on_import(name, module)


class _Telling(Loader):
    """A loader that does what *loader* does, then tells."""

    def __init__(self, loader: Any, on_import: Callable[[str, ModuleType], None]) -> None:
        self._loader, self._on_import = loader, on_import

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._on_import(module.__name__, module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


def _is_importing(module: ModuleType) -> bool:
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))
