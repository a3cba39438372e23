"""One record in one line, for following a log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent_stack._render.figures import SIGNS, clock, duration, tokens
from agent_stack._render.lines import Line
from agent_stack._render.preview import preview
from agent_stack._render.words import CUT_OFF, GLYPHS, asked_for, error_text

if TYPE_CHECKING:
    from agent_step_log import Record

__all__ = ["render_record"]

_RUN = 8


def render_record(record: Record, width: int) -> Line:
    """Return *record* as time, run, number, what it is, and what it says."""
    line = Line().add(clock(record.ts), "dim").add(" ")
    line.add(record.run_id[-_RUN:], "dim", _RUN).pad(18)
    number = "" if record.step <= 0 else str(record.step)
    writer = f"{record.writer[:4]}:" if record.writer else ""
    label = Line().add(writer + number, "number", 11)
    line.pad(max(18, 23 - label.width)).extend(label).add(" ")
    figures = _figures(record)
    _what(line, record, width - figures.width - 2)
    return line.right(figures, width) if figures.width else line


def _what(line: Line, record: Record, until: int) -> None:
    sign, style, words = _words(record)
    line.add(sign, style).add(" ")
    for text, piece_style in words:
        room = until - line.width
        if room > 1:
            line.add(text, piece_style, room)


def _words(record: Record) -> tuple[str, str, list[tuple[str, str]]]:
    """Return the glyph, its style, and the words of a record by its type."""
    kind = record.type
    if kind == "run_start":
        title = " ".join(part for part in (record.agent, record.agent_version) if part)
        return (
            "▶",
            "note",
            [("run starts", "bold"), (f"  {title}", "title"), (f"  {preview(record.metadata or {})}", "dim")],
        )
    if kind == "run_end":
        sign, style = SIGNS.get(record.status or "", ("?", "dim"))
        error = f"  {error_text(record)}" if record.error else ""
        return sign, style, [("run ends", "bold"), (f"  {record.status or '?'}", style), (error, "error")]
    if kind == "step_start":
        return "…", "dim", [(_name(record), "dim"), (_given(record), "dim"), ("  begins", "dim")]
    glyph, style = GLYPHS.get(kind, ("◇", "note"))
    if kind == "event":
        return (
            glyph,
            style,
            [(_name(record), ""), (f"  {preview(record.data)}" if record.data is not None else "", "dim")],
        )
    if record.error is not None:
        words = [(_name(record), "error_bold"), (f"  {error_text(record)}", "error"), (_given(record), "dim")]
        return "✗", "error", words
    return glyph, style, [(_name(record), style), (_given(record), ""), *_came_out(record)]


def _name(record: Record) -> str:
    return record.tool or record.model or record.name or record.agent or record.type


def _given(record: Record) -> str:
    if record.input in (None, {}, "") or record.of == "llm_call" or record.type == "llm_call":
        return ""
    return f"  {preview(record.input)}"


def _came_out(record: Record) -> list[tuple[str, str]]:
    if record.type == "llm_call":
        asked = asked_for(record)
        if asked:
            return [("  asks for ", "dim"), (asked, "tool")]
        words = [(f"  {preview(record.output)}", "dim")] if record.output is not None else []
        if record.stop_reason in CUT_OFF:
            return [*words, (f"  ▲ {record.stop_reason}", "warn")]
        return words or [(f"  {record.stop_reason or ''}", "dim")]
    return [(" → ", "dim"), (preview(record.output), "dim")] if record.output is not None else []


def _figures(record: Record) -> Line:
    line = Line()
    if record.type == "llm_call":
        bounds = record.bounds or {}
        line.add(tokens(record.input_tokens, bounds.get("input_tokens"))).add(" → ", "dim")
        line.add(tokens(record.output_tokens, bounds.get("output_tokens")))
    if record.duration_ms is not None:
        time = duration(record.duration_ms)
        line.add("  " if line.width else "").add(" " * max(0, 8 - len(time))).add(time)
    return line
