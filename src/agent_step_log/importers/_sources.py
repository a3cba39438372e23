"""Where coding agents keep their transcripts, and which files to look at.

Only names given by the user, the environment, or a directory listing are ever
opened; a path named inside a transcript is text.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from agent_step_log.errors import ImportSourceError
from agent_step_log.importers._report import ImportReport, SkippedFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

NOT_A_TRANSCRIPT = "not a transcript"
Outlined = TypeVar("Outlined")

_SUFFIXES = (".jsonl", ".json", ".jsonl.zst")


def find_claude_code(environ: Mapping[str, str] | None = None, home: Path | None = None) -> list[Path]:
    """Return the directories that exist of those Claude Code keeps transcripts in.

    ``CLAUDE_CONFIG_DIR`` (several, with commas between) takes the place of
    ``~/.claude`` and ``~/.config/claude``; in each it is the folder ``projects``.
    """
    environ, home = _surroundings(environ, home)
    named = [part.strip() for part in environ.get("CLAUDE_CONFIG_DIR", "").split(",") if part.strip()]
    configs = [Path(part) for part in named] or [home / ".claude", home / ".config" / "claude"]
    roots = [config if config.name == "projects" else config / "projects" for config in configs]
    return [root for root in dict.fromkeys(roots) if root.is_dir()]


def find_codex(environ: Mapping[str, str] | None = None, home: Path | None = None) -> list[Path]:
    """Return the directories that exist of those Codex keeps rollouts in.

    They are ``sessions`` and ``archived_sessions`` of ``$CODEX_HOME``, or of ``~/.codex``.
    """
    environ, home = _surroundings(environ, home)
    base = Path(environ.get("CODEX_HOME") or home / ".codex")
    return [root for root in (base / "sessions", base / "archived_sessions") if root.is_dir()]


def _surroundings(environ: Mapping[str, str] | None, home: Path | None) -> tuple[Mapping[str, str], Path]:
    return os.environ if environ is None else environ, Path.home() if home is None else home


def gather(
    source: str | os.PathLike[str] | None, roots: Iterable[Path], tool: str, report: ImportReport
) -> tuple[list[Path], Path | None]:
    """Return the files to try, and the one file if the user named just one.

    Args:
        source: A file, a directory, or None for *roots*.
        roots: Where the tool keeps its transcripts.
        tool: Its name, for messages.
        report: Told of every file in a directory that cannot be a transcript.

    Raises:
        ImportSourceError: There is nothing at *source*, or no root exists.
    """
    if source is not None:
        path = Path(source)
        if _is_file(path):
            return [path], path
        if not path.is_dir():
            raise ImportSourceError(path, "no such file or directory, or not one that can be read")
        return _walk([path], report), None
    found = list(roots)
    if not found:
        raise ImportSourceError(tool, "no transcripts where it keeps them; name a file or a directory")
    return _walk(found, report), None


def survey(
    paths: Iterable[Path],
    named: Path | None,
    report: ImportReport,
    outline_of: Callable[[Path], Outlined | None],
    kind: str,
) -> list[Outlined]:
    """Return the outline of every path that is a transcript of this kind; the report is told of the others.

    Raises:
        ImportSourceError: The file the user *named* cannot be read, or is not a transcript.
    """
    outlines: list[Outlined] = []
    for path in paths:
        try:
            outline, reason = outline_of(path), NOT_A_TRANSCRIPT
        except OSError as error:
            outline, reason = None, cannot_read(error)
        if outline is not None:
            outlines.append(outline)
        elif path == named:
            raise ImportSourceError(path, f"is not a {kind}" if reason == NOT_A_TRANSCRIPT else reason)
        else:
            report.skipped_files.append(SkippedFile(path, reason))
    return outlines


def _walk(roots: Iterable[Path], report: ImportReport) -> list[Path]:
    candidates: list[Path] = []
    for root in roots:
        for folder, folders, names in os.walk(root):
            folders.sort()
            for path in (Path(folder, name) for name in sorted(names)):
                if path.name.endswith(_SUFFIXES) and _is_file(path):
                    candidates.append(path)
                else:
                    report.skipped_files.append(SkippedFile(path, NOT_A_TRANSCRIPT))
    return candidates


def _is_file(path: Path) -> bool:
    # Opening a pipe or a device would wait for its other end.
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def cannot_read(error: OSError) -> str:
    """Return why a file could not be read, in the words of the system."""
    return f"cannot be read: {error.strerror or type(error).__name__}"
