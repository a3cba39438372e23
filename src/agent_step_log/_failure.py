"""Structured error context: what a record says of the exception that ended a step.

    error         the message, as a traceback would show it
    error_type    module.QualifiedName of the class (no module for builtins)
    error_frames  the three outermost frames, outermost first, and the frame that
                  raised if it is not among them: {file, line, function, code}

Frames of this package are left out: the recorder is not part of the story.
"""

from __future__ import annotations

import linecache
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from agent_step_log._values import error_text, type_name

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Failure", "failure_of"]

_OUTER_FRAMES = 3
_OWN_FILES = os.path.join(os.path.dirname(__file__), "")  # noqa: PTH118, PTH120  compared as text
_MAX_CODE = 200  # characters kept of a source line


class Failure(NamedTuple):
    """The three error keys of a record."""

    error: str
    error_type: str | None = None
    error_frames: list[dict[str, Any]] | None = None


def failure_of(error: object) -> Failure:
    """Describe *error*: an exception in full, anything else as its message alone. Never raises."""
    if type(error) is Failure:  # described already, by who knew more than an exception tells
        return error
    if not isinstance(error, BaseException):
        return Failure(error if type(error) is str else f"<{type_name(type(error))}>")
    kind = type_name(type(error))
    # An exception without a message still has to read as an error.
    return Failure(error_text(error) or kind, kind, _frames(error.__traceback__))


def _frames(traceback: TracebackType | None) -> list[dict[str, Any]] | None:
    outer: list[TracebackType] = []
    last: TracebackType | None = None
    while traceback is not None:
        if not traceback.tb_frame.f_code.co_filename.startswith(_OWN_FILES):
            if len(outer) < _OUTER_FRAMES:
                outer.append(traceback)
            last = traceback
        traceback = traceback.tb_next
    if last is None:
        return None
    if last is not outer[-1]:
        outer.append(last)
    return [_frame(entry) for entry in outer]


def _frame(entry: TracebackType) -> dict[str, Any]:
    code = entry.tb_frame.f_code
    try:
        # Without the frame's globals: with them, linecache would ask a loader of the user's.
        source = linecache.getline(code.co_filename, entry.tb_lineno).strip()
    except Exception:  # noqa: BLE001  no source is no reason to lose the frame
        source = ""
    return {
        "file": code.co_filename,
        "line": entry.tb_lineno,
        "function": code.co_qualname,
        "code": source[:_MAX_CODE] or None,
    }
