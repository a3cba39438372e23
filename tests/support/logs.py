"""What a log really holds, counted without the package's own reader."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["damaged_lines", "lines_of", "steps_of"]


def lines_of(*paths: Path) -> list[dict[str, Any]]:
    """Return every line of *paths* that is JSON, decoded by the standard library."""
    return [record for path in paths for record in map(_decoded, path.read_bytes().split(b"\n")) if record]


def damaged_lines(path: Path) -> list[bytes]:
    """Return every line that is neither JSON nor empty."""
    return [line for line in path.read_bytes().split(b"\n") if line and not _decoded(line)]


def steps_of(*paths: Path, writer: str | None = None) -> list[int]:
    """Return the numbers of the steps and events of one writer, in file order."""
    lines = [record for record in lines_of(*paths) if record.get("writer") == writer]
    return [record["step"] for record in lines if record["step"]]


def _decoded(line: bytes) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return record
