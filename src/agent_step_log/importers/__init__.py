"""Transcripts that coding agents already left on disk, as ordinary step logs."""

from __future__ import annotations

from agent_step_log.importers._claude_code import import_claude_code
from agent_step_log.importers._codex import import_codex
from agent_step_log.importers._report import ImportedSession, ImportReport, SkippedFile
from agent_step_log.importers._sources import find_claude_code, find_codex
from agent_step_log.importers._trajectory import TRAJECTORY_FORMATS, import_trajectory

__all__ = [
    "TRAJECTORY_FORMATS",
    "ImportReport",
    "ImportedSession",
    "SkippedFile",
    "find_claude_code",
    "find_codex",
    "import_claude_code",
    "import_codex",
    "import_trajectory",
]
