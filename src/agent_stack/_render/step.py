"""One step in full: what it was, what went in, what came out, and why it failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent_stack._render.figures import SIGNS, bound_sign, duration, many, moment
from agent_stack._render.lines import Line
from agent_stack._render.words import GLYPHS, content_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent_step_log import Record

__all__ = ["render_step"]

_LABEL = 12
_PLAIN_FACTS = (
    ("provider", "provider"),
    ("asked for", "request_model"),
    ("stop reason", "stop_reason"),
    ("request id", "request_id"),
    ("call id", "tool_call_id"),
    ("attempt", "attempt"),
    ("writer", "writer"),
    ("degraded", "degraded"),
)
_CONTENTS = (
    ("input", "input"),
    ("output", "output"),
    ("data", "data"),
    ("tool calls", "tool_calls"),
    ("usage", "usage"),
    ("attrs", "attrs"),
)


def render_step(records: Sequence[Record], run_status: str | None, width: int) -> Iterator[Line]:
    """Yield one step, given the record it began with, the one that ended it, or both.

    Args:
        records: In file order.
        run_status: That of its run, which tells what an unfinished step means; None when not known.
        width: Cells in a line.
    """
    start = next((record for record in records if record.type == "step_start"), None)
    end = next((record for record in records if record.type != "step_start"), None)
    record = end or start
    if record is None:
        return
    yield from _title(start, end, record, run_status, width)
    yield from _facts(start, record)
    yield from _error(record)
    for label, name in _CONTENTS:
        value = getattr(record, name)
        if value is None and name == "input" and start is not None:
            value = start.input
        if value is not None:
            yield from _section(label, content_lines(value))
    extra = record.extra()
    if extra:
        yield from _section("other keys", content_lines(extra))


def _title(
    start: Record | None, end: Record | None, record: Record, run_status: str | None, width: int
) -> Iterator[Line]:
    kind = record.of or record.type
    status = "unfinished" if end is None else "error" if end.error is not None else "ok"
    sign, style = SIGNS[status]
    glyph, kind_style = GLYPHS.get(kind, ("◇", "note"))
    line = Line(f"{glyph} ", kind_style).add(f"step {record.step}", "bold").add(f"  {kind}  ", "dim", 40)
    name = record.tool or record.model or record.name or record.agent or "?"
    line.add(name, kind_style, max(8, width // 2))
    if kind != "event":
        line.add(f"  {sign} {status}", style)
    yield line
    yield Line("─" * width, "guide")
    if end is None and start is not None:
        word = "in flight when the process died" if run_status == "interrupted" else "no record of its end"
        yield Line("  ").add(word, "warn_bold")


def _facts(start: Record | None, record: Record) -> Iterator[Line]:
    yield _fact("run", record.run_id)
    begun = start.ts if start is not None else record.ts - max(record.duration_ms or 0.0, 0.0) / 1000
    lasted = f" · {duration(record.duration_ms)}" if record.duration_ms is not None else ""
    yield _fact("started", moment(begun) + lasted)
    if record.agent and record.type != "agent_call":
        yield _fact("agent", record.agent)
    if record.parent is not None:
        yield _fact("inside", f"step {record.parent}")
    if record.type == "llm_call":
        yield _fact("tokens", _tokens(record))
        if record.ttft_ms is not None:
            yield _fact("first token", f"after {duration(record.ttft_ms)}")
    for label, name in _PLAIN_FACTS:
        value = getattr(record, name)
        if value is not None:
            yield _fact(label, ", ".join(map(str, value)) if isinstance(value, list) else str(value))
    if record.inferred:
        yield _fact("inferred", "worked out afterwards, not observed")
    if record.bounds:
        yield _fact("not exact", ", ".join(f"{name} ({side} bound)" for name, side in record.bounds.items()))


def _tokens(record: Record) -> str:
    bounds = record.bounds or {}
    parts = []
    for name, word in (
        ("input_tokens", "in"),
        ("output_tokens", "out"),
        ("cache_read_tokens", "read from cache"),
        ("cache_write_tokens", "written to cache"),
        ("reasoning_tokens", "reasoning"),
    ):
        number = getattr(record, name)
        if number is not None or word in ("in", "out"):
            exact = f"{number:,}" if number is not None else "?"
            parts.append(f"{bound_sign(bounds.get(name))}{exact} {word}")
    return ", ".join(parts)


def _fact(label: str, value: str) -> Line:
    return Line("  ").add(label, "dim").pad(_LABEL + 2).add(value)


def _error(record: Record) -> Iterator[Line]:
    if record.error is None:
        return
    kind = f"{record.error_type}: " if record.error_type else ""
    yield Line()
    yield Line("error", "error_bold")
    for text in content_lines(f"{kind}{record.error}"):
        yield Line("  ").add(text, "error")
    frames = [frame for frame in record.error_frames or [] if isinstance(frame, dict)]
    if frames:
        yield Line("  ").add(f"{many(len(frames), 'frame')} of the traceback, outermost first", "dim")
    for frame in frames:
        yield from _frame(frame)


def _frame(frame: dict[str, Any]) -> Iterator[Line]:
    line = Line("    ").add(f"{frame.get('file', '?')}:{frame.get('line', '?')}", "note")
    yield line.add(f" in {frame.get('function', '?')}", "bold")
    if frame.get("code"):
        yield Line("      ").add(str(frame["code"]), "dim")


def _section(label: str, lines: list[str]) -> Iterator[Line]:
    yield Line()
    yield Line(label, "head")
    for text in lines:
        yield Line("  ").add(text)
