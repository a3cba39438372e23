"""Which logs a command reads, and the runs in them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from agent_stack.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent_step_log import Damage, RunInfo

__all__ = ["default_source", "is_path", "is_plain_file", "runs_of", "source_of", "sources_of"]


def default_source() -> str:
    """Return where commands look when no SOURCE is given: ``$AGENT_STEP_LOG_DIR``, else ``logs``."""
    return os.environ.get("AGENT_STEP_LOG_DIR") or "logs"


def source_of(named: str | None) -> str:
    """Return *named*, or the default if it is there.

    Raises:
        CommandError: Nothing was named, and there is nothing at the default.
    """
    if named is not None:
        return named
    default = default_source()
    if not Path(default).exists():
        raise CommandError(
            f"There are no logs in {default} yet: name a log or a directory, or set AGENT_STEP_LOG_DIR "
            "(`agent-step-log demo` makes some to look at)."
        )
    return default


def sources_of(named: Sequence[str]) -> list[str]:
    """Return *named*, or the default alone; see `source_of`."""
    return list(named) or [source_of(None)]


def is_path(text: str) -> bool:
    """Whether *text* can only be meant as a place of logs, and not as the id of a run."""
    return os.path.lexists(text) or os.sep in text or any(char in text for char in "*?[") or ".jsonl" in text


def is_plain_file(source: str) -> bool:
    """Whether *source* is one file that can be read at any offset."""
    return Path(source).is_file() and not source.endswith((".gz", ".zst"))


def runs_of(sources: Sequence[str], on_damage: Callable[[Damage], None]) -> list[RunInfo]:
    """Return the runs of all *sources*, in the order they started.

    A shell that expands ``logs/*.jsonl`` names a rotated log and its parts beside each other,
    and the log alone brings its parts with it: such a run is taken once.
    """
    from agent_step_log import list_runs

    found: list[RunInfo] = []
    for source in sources:
        for info in list_runs(source, on_damage=on_damage):
            known = [other for other in found if other.run_id == info.run_id]
            if any(set(info.paths) <= set(other.paths) for other in known):
                continue
            found = [
                other for other in found if other not in known or not set(other.paths) <= set(info.paths)
            ]
            found.append(info)
    return sorted(found, key=lambda info: info.fold.first_ts or 0.0) if len(sources) > 1 else found
