"""The records of logs and of transcripts alike: a transcript is imported into a folder that is thrown away.

A source is a log, a directory, a pattern, or a transcript of Claude Code or Codex; a directory
may hold both kinds. Transcripts go through `agent_step_log.importers`, so their rules of
accounting hold; nothing is left on the disk. Copies of a history are told apart among the files of one
source: name a directory rather than its files one by one.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeAlias

from agent_step_log import read_log
from agent_step_log.errors import ImportSourceError, LogFormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from agent_step_log import Damage, Record

    Source: TypeAlias = str | os.PathLike[str]
    Sources: TypeAlias = Source | Sequence[Source]
    OnDamage: TypeAlias = Callable[[Damage], None]

__all__ = ["read_records"]

_HEAD = b'{"run_id":'
_BLANK = b" \t\r\n"


def read_records(sources: Sources, on_damage: OnDamage) -> Iterator[Record]:
    """Yield the records of every source, one source after the other.

    Raises:
        LogSourceError: There is nothing at a source.
        LogFormatError: A file named outright is neither a log nor a transcript.
        MissingExtraError: A file is compressed and zstandard is not installed.
        OSError: A file cannot be read.
    """
    named = [sources] if isinstance(sources, str | os.PathLike) else list(sources)
    with ExitStack() as cleaning:
        for source in named:
            yield from _records_of(Path(source), source, on_damage, cleaning)


def _records_of(path: Path, source: Source, on_damage: OnDamage, cleaning: ExitStack) -> Iterator[Record]:
    if path.is_dir():
        others = _no_logs(path)
        folder = _imported(path, cleaning) if others else None
        if folder is None or not any(folder.iterdir()):
            yield from read_log(source, on_damage=on_damage)
            return
        yield from read_log(folder)
        if _has_logs(path, others):

            def tell(damage: Damage) -> None:
                if Path(damage.path) not in others:
                    on_damage(damage)

            yield from read_log(source, on_damage=tell)
    elif path.is_file() and not _may_be_log(path):
        folder = _imported(path, cleaning)
        if not any(folder.iterdir()):
            raise LogFormatError(source, "is neither a step log nor a transcript of Claude Code or Codex")
        yield from read_log(folder)
    else:
        yield from read_log(source, on_damage=on_damage)


def _no_logs(folder: Path) -> set[Path]:
    """Return the files of *folder* that are named like logs and are none, as transcripts are."""
    return {path for path in _named_like_logs(folder) if not _may_be_log(path)}


def _has_logs(folder: Path, others: set[Path]) -> bool:
    return any(path not in others for path in _named_like_logs(folder))


def _named_like_logs(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*.jsonl*"):
        if path.name.endswith((".jsonl", ".gz", ".zst")) and ".tape." not in path.name and path.is_file():
            yield path


def _may_be_log(path: Path) -> bool:
    """Whether the first bytes are those of a log; a compressed file is asked by reading it."""
    if path.name.endswith((".gz", ".zst")):
        try:
            return next(read_log(path), None) is not None
        except LogFormatError:
            return False
    with path.open("rb") as file:
        start = file.read(256).lstrip(_BLANK)
    return not start or start.startswith(_HEAD[: len(start)])


def _imported(source: Path, cleaning: ExitStack) -> Path:
    from agent_step_log.importers import import_claude_code, import_codex

    folder = Path(cleaning.enter_context(TemporaryDirectory(prefix="agent-step-log-")))
    for bring_in in (import_claude_code, import_codex):
        try:
            bring_in(source, folder)
        except ImportSourceError:
            continue  # none of this kind
    return folder
