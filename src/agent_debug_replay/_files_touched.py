"""Which files tool calls name, and whether they wrote them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

from agent_debug_replay._context import FileTouch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent_debug_replay._replay import Replay

__all__ = ["FileLedger", "files_named"]

#: Arguments that are a path, in the tools of coding agents.
_PATH_KEYS = (
    "file_path",
    "path",
    "notebook_path",
    "filename",
    "file",
    "target_file",
    "filepath",
    "filePath",
    "absolute_path",
    "relative_path",
    "relative_workspace_path",
)
_WRITING = re.compile(r"write|edit|create|insert|replace|patch|append|save|delete|move|rename", re.IGNORECASE)
_READING = re.compile(r"read|view|open|cat|show|get", re.IGNORECASE)
_WRITING_COMMANDS = frozenset({"create", "str_replace", "insert", "undo_edit", "write", "edit"})
_PATCHED = re.compile(r"^\*\*\* (?:Add File|Update File|Delete File|Move to): (.+)$", re.MULTILINE)
_DIFFED = re.compile(r"^\+\+\+ (?:b/)?([^\t\n]+)", re.MULTILINE)
_LONGEST = 1_000  # characters of a path
_MOST = 200  # files of one call


class FileLedger:
    """The files touched, read once from the front as far as was asked."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._read_to = 0
        self._touches: list[tuple[int, str, Literal["written", "read", "named"]]] = []

    def up_to(self, index: int) -> tuple[FileTouch, ...]:
        """Return the files that rows up to *index* named, those touched last at the end."""
        table = self._replay.table
        tool = table.strings.find("tool_call")
        for row in range(self._read_to, index + 1):
            if table.kind[row] == tool:
                payload = self._replay.payload(row)
                given = payload.record.input
                if given is None and payload.begin is not None:
                    given = payload.begin.input
                name = table.strings.texts[table.name[row]] or ""
                self._touches += [(row, path, how) for path, how in files_named(name, given)]
        self._read_to = max(self._read_to, index + 1)
        found: dict[str, FileTouch] = {}
        for row, path, how in self._touches:
            if row > index:
                break
            before = found.pop(path, None)
            # Read after it was written, it is still a file that was written.
            if before is None:
                found[path] = FileTouch(path, how, row)
            else:
                kept = "written" if "written" in (before.how, how) else how
                found[path] = FileTouch(path, kept, row, before.times + 1)
        return tuple(found.values())


def files_named(tool: str, given: Any) -> Iterator[tuple[str, Literal["written", "read", "named"]]]:
    """Yield the files that the input of a call of *tool* names, and what was done to them."""
    if isinstance(given, dict):
        how = _how(tool, given)
        for key in _PATH_KEYS:
            value = given.get(key)
            if isinstance(value, str) and _is_path(value):
                yield value, how
        texts = [
            value for key, value in given.items() if key in ("input", "patch", "diff", "command", "content")
        ]
        for text in texts:
            if isinstance(text, list):
                yield from _patched("\n".join(item for item in text if isinstance(item, str)))
            elif isinstance(text, str):
                yield from _patched(text)
    elif isinstance(given, str):
        yield from _patched(given)


def _how(tool: str, given: dict[str, Any]) -> Literal["written", "read", "named"]:
    command = given.get("command")
    if isinstance(command, str) and command in _WRITING_COMMANDS:
        return "written"
    if command == "view":
        return "read"
    if _WRITING.search(tool):
        return "written"
    return "read" if _READING.search(tool) else "named"


def _patched(text: str) -> Iterator[tuple[str, Literal["written"]]]:
    """Yield the files of a patch, in the form of apply_patch or of diff."""
    if "*** Begin Patch" in text:
        for match in list(_PATCHED.finditer(text))[:_MOST]:
            if _is_path(match[1].strip()):
                yield match[1].strip(), "written"
    elif text.startswith(("--- ", "diff ")):
        for match in list(_DIFFED.finditer(text))[:_MOST]:
            if match[1] != "/dev/null" and _is_path(match[1]):
                yield match[1], "written"


def _is_path(text: str) -> bool:
    return 0 < len(text) <= _LONGEST and "\n" not in text and "\0" not in text
