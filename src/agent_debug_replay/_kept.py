"""Marks and notes on the steps of runs: kept for a session, and written to a file when somebody asks for it.

    {"format": "agent-step-log notes 1",
     "runs": {RUN ID: {"marks": {NAME: STEP}, "notes": {STEP: TEXT}}}}

STEP is a number, or ``WRITER:NUMBER`` of another writer. The logs are never written to.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from agent_debug_replay._rows import StepKey
from agent_debug_replay.errors import ReplayError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Counts", "Kept", "load_kept", "save_kept"]

_MAX_BYTES = 64 * 1024 * 1024  # of a file of marks and notes


@dataclass
class Kept:
    """What is kept of one run: marks by name, notes by step."""

    marks: dict[str, StepKey] = field(default_factory=dict)
    notes: dict[StepKey, str] = field(default_factory=dict)

    @property
    def counts(self) -> Counts:
        """How many there are."""
        return Counts(len(self.marks), len(self.notes))


class Counts(NamedTuple):
    """So many marks and notes."""

    marks: int = 0
    notes: int = 0

    def __str__(self) -> str:
        parts = [(self.marks, "mark"), (self.notes, "note")]
        return " and ".join(f"{number:,} {word}{'' if number == 1 else 's'}" for number, word in parts)


class _Run(msgspec.Struct):
    marks: dict[str, str] = {}
    notes: dict[str, str] = {}


class _File(msgspec.Struct):
    format: Literal["agent-step-log notes 1"]
    runs: dict[str, _Run]


def save_kept(path: Path, kept: Mapping[str, Kept]) -> Counts:
    """Write what is kept of each run to *path*; other runs that it has something of stay in it.

    Raises:
        ReplayError: It cannot be written, or is there and is no file of marks and notes.
    """
    told = _read(path) if os.path.lexists(path) else _File("agent-step-log notes 1", {})
    total = Counts()
    for run_id, each in kept.items():
        marks = {name: str(key) for name, key in each.marks.items()}
        notes = {str(key): text for key, text in each.notes.items()}
        if marks or notes:
            told.runs[run_id] = _Run(marks, notes)
            total = Counts(total.marks + len(marks), total.notes + len(notes))
    data = msgspec.json.format(msgspec.json.encode(told), indent=1) + b"\n"
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        # 0o600: a note may say what a step holds; other users have no business in it.
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123
            file.write(data)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise ReplayError(f"{path} cannot be written: {error.strerror or error}.") from error
    return total


def load_kept(path: Path) -> dict[str, Kept]:
    """Return what is kept in *path*, by run.

    Raises:
        ReplayError: It cannot be read, or is no file of marks and notes.
    """
    return {
        run_id: Kept(
            {name: _key(path, label) for name, label in run.marks.items()},
            {_key(path, label): text for label, text in run.notes.items()},
        )
        for run_id, run in _read(path).runs.items()
    }


def _read(path: Path) -> _File:
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise _no_notes(path)
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES)
    except OSError as error:
        raise ReplayError(f"{path} cannot be read: {error.strerror or error}.") from error
    try:
        return msgspec.json.decode(data, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _no_notes(path) from None


def _key(path: Path, label: str) -> StepKey:
    writer, colon, number = label.rpartition(":")
    if not number.isascii() or not number.isdigit() or len(number) > 18:
        raise _no_notes(path)
    return StepKey(writer if colon else None, int(number))


def _no_notes(path: Path) -> ReplayError:
    return ReplayError(f"{path} is no file of marks and notes; `save` writes them to a new file.")
