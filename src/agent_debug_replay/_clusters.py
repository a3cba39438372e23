"""Runs that failed, brought together by where and how they failed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent_debug_replay._failures import RunFailure

__all__ = ["FailureCluster", "cluster_failures", "message_shape"]

_SHAPE = 120  # characters of a message that tell it from another
_LOOKED_AT = 1_000  # characters of a message that are looked at; what is quoted or a path may be long

# In this order: a path may stand in quotes, and a number in a path.
_VARIES = (
    # A quote inside of a word is an apostrophe.
    (re.compile(r"(?<!\w)'[^'\n]{0,300}'(?!\w)|\"[^\"\n]{0,300}\"|`[^`\n]{0,300}`|“[^”\n]{0,300}”"), "…"),
    (re.compile(r"\b[a-z][a-z0-9+.-]{1,15}://[^\s\"'<>)]{1,300}", re.IGNORECASE), "URL"),
    (re.compile(r"(?<![\w.])(?:[A-Za-z]:\\|~?/|\.{1,2}/)[\w.@+~\\/-]{0,300}"), "PATH"),
    (re.compile(r"(?<![\w/])[\w.-]{1,80}(?:/[\w.-]{1,80}){1,20}"), "PATH"),
    (re.compile(r"\b0x[0-9a-f]{1,40}\b", re.IGNORECASE), "N"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE), "ID"),
    # Letters and digits mixed, and too long for a word: toolu_01AbC…, 5f3a9c21.
    (re.compile(r"\b(?=[\w-]{0,80}\d)(?=[\w-]{0,80}[A-Za-z])[\w-]{8,80}\b"), "ID"),
    (re.compile(r"\d+(?:[.,:]\d+)*"), "N"),
)


@dataclass
class FailureCluster:
    """Runs that failed the same way.

    Attributes:
        status, error_type, frames, in_flight: As in `RunFailure`, and the same for all of them.
        message, last_tool: Of the first of them.
        run_ids: Them, in the order they started.
        versions: Of the agent, each once, in the order they first failed so.
        first_ts, last_ts: When the first and the last of them started, Unix seconds; None if unknown.
    """

    status: str
    error_type: str | None
    frames: tuple[tuple[str, str], ...]
    in_flight: tuple[str, str] | None
    last_tool: str | None
    message: str | None
    run_ids: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    first_ts: float | None = None
    last_ts: float | None = None

    @property
    def size(self) -> int:
        """How many runs are in it."""
        return len(self.run_ids)


def cluster_failures(failures: Iterable[RunFailure]) -> list[FailureCluster]:
    """Return *failures* in clusters, the biggest first, of equals the latest; their order does not matter.

    Two runs failed the same way if they ended with the same status and

    - where frames were recorded: in the same class of error, raised in the same functions. Line numbers
      do not count, so an edit above the place does not part them, and neither does the message;
    - where none were: in the same class of error with the same message (see `message_shape`), and the
      same last tool;
    - where a run was interrupted: in the middle of the same kind of step with the same name, else after
      the same last tool.
    """
    clusters: dict[Any, FailureCluster] = {}
    for found in sorted(failures, key=lambda each: (each.started is None, each.started or 0.0, each.run_id)):
        key = _key(found)
        cluster = clusters.get(key)
        if cluster is None:
            cluster = clusters[key] = FailureCluster(
                found.status,
                found.error_type,
                found.frames,
                found.in_flight,
                found.last_tool,
                found.message,
                first_ts=found.started,
            )
        cluster.run_ids.append(found.run_id)
        if found.version is not None and found.version not in cluster.versions:
            cluster.versions.append(found.version)
        if found.started is not None:
            cluster.last_ts = found.started
    return sorted(clusters.values(), key=lambda each: (-each.size, -(each.last_ts or 0.0), each.run_ids))


def _key(found: RunFailure) -> tuple[Any, ...]:
    # The first word keeps keys of different kinds apart.
    if found.in_flight is not None:
        return "in flight", found.status, found.in_flight, found.error_type, found.frames
    if found.frames:
        return "frames", found.status, found.error_type, found.frames
    shape = None if found.message is None else message_shape(found.message)
    return "message", found.status, found.error_type, shape, found.last_tool


def message_shape(message: str) -> str:
    """Return what of *message* is the same whenever this goes wrong, in at most 120 characters.

    What is quoted becomes ``…``; addresses ``URL``; paths ``PATH``; ids (UUIDs, hexadecimal or mixed words of
    eight characters or more) ``ID``; numbers ``N``. Only the first 1,000 characters are looked at.
    """
    text = message[:_LOOKED_AT]
    for pattern, name in _VARIES:
        text = pattern.sub(name, text)
    return " ".join(text.split())[:_SHAPE]
