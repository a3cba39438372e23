"""What the views say of one record: its sign, what went in and came out, its error."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from agent_stack import _safe
from agent_stack._json import pretty_json
from agent_stack._render.figures import place
from agent_stack._render.preview import preview
from agent_step_log.limits import TRUNCATED

if TYPE_CHECKING:
    from agent_step_log import Record

__all__ = [
    "CUT_OFF",
    "GLYPHS",
    "Words",
    "answer_words",
    "asked_for",
    "content_lines",
    "error_text",
    "frames_text",
    "short_class",
]

#: ``(text, style)`` in order.
Words = list[tuple[str, str]]

#: Record type to sign and style.
GLYPHS = {
    "llm_call": ("◆", "llm"),
    "tool_call": ("●", "tool"),
    "agent_call": ("▾", "agent"),
    "event": ("·", "event"),
}

_TOOLS = 8  # names shown of those a model asked for
_FRAMES = 4

#: Stop reasons worth a warning in a row: the answer is not whole.
CUT_OFF = TRUNCATED | {"refusal", "content_filter", "SAFETY"}


def answer_words(record: Record) -> Words:
    """Return what a model answered: tools asked for, its words, and why it stopped if that matters."""
    parts: Words = []
    asked = asked_for(record)
    if asked:
        parts += [("asks for ", "dim"), (asked, "tool")]
    words = preview(record.output) if record.output is not None else ""
    if words:
        parts.append((f"  “{words}”" if parts else f"“{words}”", "dim"))
    if record.stop_reason in CUT_OFF:
        parts.append((f"{'  ' if parts else ''}▲ {record.stop_reason}", "warn"))
    elif not parts and record.stop_reason:
        parts.append((record.stop_reason, "dim"))
    return parts


def asked_for(record: Record) -> str:
    """Return the tools a model asked for, each name once with how often."""
    calls = [call for call in record.tool_calls or [] if isinstance(call, dict)]
    counts = Counter(str(call.get("name") or "?") for call in calls)
    names = [name if number == 1 else f"{name} ×{number}" for name, number in counts.items()]  # noqa: RUF001
    return ", ".join(names[:_TOOLS]) + (", …" if len(names) > _TOOLS else "")


def error_text(record: Record) -> str:
    """Return an error as ``Class: message``, its class without the module it is from."""
    message = preview(record.error)
    kind = short_class(record.error_type)
    return message if not kind or message in (kind, record.error_type) else f"{kind}: {message}"


def short_class(error_type: str | None) -> str:
    """Return the class of an error without the module it is from."""
    return (error_type or "").rpartition(".")[2]


def frames_text(frames: list[dict[str, Any]] | None) -> str:
    """Return the frames, the one that raised first: ``tools.py:41 read ← agent.py:88 act``."""
    shown = [
        f"{place(frame.get('file', '?'), frame.get('line', '?'))} {frame.get('function', '?')}"
        for frame in reversed(frames or [])
        if isinstance(frame, dict)
    ]
    return " ← ".join(shown[:_FRAMES])


def content_lines(value: Any) -> list[str]:
    """Return a recorded value in full: text as its lines, anything else as indented JSON."""
    if isinstance(value, str):
        return _safe.block(value)
    return _safe.block(pretty_json(value))
