"""One run being put together from a transcript, numbered, and written as a step log.

A transcript is read as a whole before its run is written, so steps get their
numbers from the line they *started* on while the records stand in the order in
which they *ended*, exactly as a recorder would have written them. Every time in
a run comes from the transcript; the same transcript gives the same bytes.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from agent_step_log._records import FORMAT_VERSION, Event, LlmCall, RunEnd, RunStart, StepStart, ToolCall
from agent_step_log._values import encode_record
from agent_step_log._version import __version__
from agent_step_log.errors import ImportSourceError
from agent_step_log.importers._report import merged_bounds

if TYPE_CHECKING:
    from collections.abc import Iterable

    from msgspec import Struct

StepRecord: TypeAlias = StepStart | LlmCall | ToolCall | Event

#: The sums a run_end carries, and the field of an llm_call each one is the sum of.
TOKEN_FIELDS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)
_ERROR_LIMIT = 2000


@dataclass(slots=True)
class _Placed:
    """A record and the lines it started and ended on."""

    start: int
    end: int
    record: StepRecord


@dataclass(slots=True)
class Run:
    """The records of one run, in whatever order they were found."""

    run_id: str
    placed: list[_Placed] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    #: bounds of the run's sums that no single call shows, such as a missing subagent
    bounds: dict[str, str] = field(default_factory=dict)

    def add(self, record: StepRecord, start: int, end: int | None = None) -> None:
        """Take *record*, which began on line *start* and ended on line *end*."""
        self.placed.append(_Placed(start, start if end is None else end, record))

    def add_event(self, name: str, data: Any, *, ts: float, line: int) -> None:
        """Take an event noted on *line*."""
        self.add(Event(self.run_id, 0, "event", ts, name, data, attrs=at_line(line)), line)

    def models(self) -> list[str]:
        """Return the models that answered, each once."""
        return sorted({call.model for call in self._calls() if call.model})

    def _calls(self) -> list[LlmCall]:
        return [placed.record for placed in self.placed if isinstance(placed.record, LlmCall)]

    def note(self, text: str) -> None:
        """Say *text* in the report, once."""
        if text not in self.notes:
            self.notes.append(text)

    def numbered(self) -> list[StepRecord]:
        """Number the steps in the order they started and return them in the order they ended."""
        by_start = sorted(self.placed, key=lambda placed: placed.start)
        for step, placed in enumerate(by_start, 1):
            placed.record.step = step
        return [placed.record for placed in sorted(by_start, key=lambda placed: placed.end)]


def at_line(line: int, **more: Any) -> dict[str, Any]:
    """Return the ``attrs`` that say where in the transcript a record comes from."""
    return {"source": {"line": line}, **{key: value for key, value in more.items() if value is not None}}


def error_message(text: str | None, fallback: str) -> str:
    """Return *text* as the message of an error: never empty, never a whole output."""
    stripped = (text or "").strip() or fallback
    return stripped if len(stripped) <= _ERROR_LIMIT else stripped[: _ERROR_LIMIT - 1] + "…"


def run_id_for(tool: str, *names: str) -> str:
    """Return the id of the run that *names* (a session, a subagent) stand for; always the same one."""
    name = "-".join(names)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}", name):
        name = sha256(name.encode("utf-8", "replace")).hexdigest()[:32]
    return f"{tool}-{name}"


def event_name(tool: str, kind: str) -> str:
    """Return the name under which a record of a type nobody knows is kept."""
    return f"{tool}.{re.sub(r'[^A-Za-z0-9_.-]', '_', kind)[:64]}"


# Sums ---------------------------------------------------------------------------------


def sums_of(records: Iterable[StepRecord], bounds: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the totals of a run and which of them are only bounds.

    A sum of nothing known is left out. One that misses the count of some call is
    a lower bound.
    """
    steps = [record for record in records if isinstance(record, LlmCall | ToolCall)]
    calls = [record for record in steps if isinstance(record, LlmCall)]
    totals: dict[str, Any] = {
        "llm_call_count": len(calls),
        "tool_call_count": len(steps) - len(calls),
        "error_count": sum(record.error is not None for record in steps),
    }
    parts = [bounds, *(call.bounds or {} for call in calls)]
    for name in TOKEN_FIELDS:
        known = [count for call in calls if (count := getattr(call, name)) is not None]
        if known:
            totals[name] = sum(known)
        if known and len(known) < len(calls) and name in ("input_tokens", "output_tokens"):
            parts.append({name: "lower"})
    merged = merged_bounds(parts)
    return totals, {name: side for name, side in merged.items() if name in totals}


# Head and tail ------------------------------------------------------------------------


def run_start(run_id: str, *, agent: str, ts: float, facts: dict[str, Any], **more: Any) -> RunStart:
    """Return the header of an imported run; a fact that is None is left out."""
    return RunStart(
        run_id,
        0,
        "run_start",
        ts,
        FORMAT_VERSION,
        agent=agent,
        metadata={key: value for key, value in facts.items() if value is not None},
        recorder={"name": "agent-step-log", "version": __version__},
        **more,
    )


def run_end(
    run_id: str,
    *,
    ts: float,
    status: str,
    error: str | None,
    error_type: str = "api_error",
    totals: dict[str, Any],
    bounds: dict[str, str],
) -> RunEnd:
    """Return the end of a run whose transcript does not say when it ended."""
    sums = {**totals, "bounds": bounds} if bounds else totals
    kind = error_type if error is not None else None
    return RunEnd(
        run_id,
        0,
        "run_end",
        ts,
        status,
        error=error,
        error_type=kind,
        totals=sums,
        attrs={"inferred": True},
    )


# Files --------------------------------------------------------------------------------


def open_folder(into: str | os.PathLike[str]) -> Path:
    """Return the directory imported logs go to, made if need be.

    Raises:
        ImportSourceError: *into* is a file, or cannot be made.
    """
    folder = Path(into)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ImportSourceError(folder, f"imported logs need a directory here ({reason})") from None
    return folder


def write_log(path: Path, records: Iterable[Struct]) -> str:
    """Replace the log at *path* by *records* unless it holds them already.

    Returns:
        ``written`` or ``unchanged``.

    Raises:
        OSError: The directory cannot be written to.
    """
    content = b"".join(encode_record(record) for record in records)
    if _holds(path, content):
        return "unchanged"
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        # 0o600: a transcript holds prompts and tool output; other users have no business in it.
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise
    return "written"


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.stat().st_size == len(content) and path.read_bytes() == content
    except OSError:
        return False
