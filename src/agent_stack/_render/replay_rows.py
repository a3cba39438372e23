"""Rows of a replay: one line each, and the line that tells where the cursor is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent_stack._render.figures import duration, tokens
from agent_stack._render.lines import Line
from agent_stack._render.preview import preview
from agent_stack._render.words import GLYPHS, asked_for, error_text
from agent_step_log.errors import StepLogError

if TYPE_CHECKING:
    from agent_debug_replay import Payload, Replay, StepRow

__all__ = ["render_place", "render_row", "row_words"]

_DEEPEST = 12  # levels that are indented; deeper rows stand below each other
_NAME = 32


def render_row(replay: Replay, row: StepRow, width: int, *, is_here: bool = False) -> Line:
    """Return *row* as cursor, number, what it is and says, tokens and time."""
    line = Line().add("▶" if is_here else " ", "note").add(" ")
    label = Line().add(row.label, "number", 12)
    line.pad(max(2, 7 - label.width)).extend(label).add(" ")
    line.add("│ " * min(row.depth, _DEEPEST), "guide")
    glyph, style = GLYPHS.get(row.type, ("◇", "note"))
    if row.is_error:
        glyph, style = "✗", "error"
    elif row.is_in_flight:
        glyph, style = "◌", "warn"
    figures = _figures(row)
    line.add(glyph, style).add(" ").add(row.name or "?", "error_bold" if row.is_error else style, _NAME)
    if row.agent == "user" and row.type != "event":  # a user played by a model; see docs/importers.md
        line.add(" as user", "dim")
    for text, piece_style in row_words(replay, row):
        room = width - figures.width - 2 - line.width
        if room > 3 and text:
            line.add("  ").add(text, piece_style, room - 2)
    return line.right(figures, width) if figures.width else line


def render_place(replay: Replay, row: StepRow) -> Line:
    """Return where the cursor is among the rows: ``39 of 132``."""
    line = Line("  ").add(f"row {row.row + 1:,} of {len(replay):,}", "dim")
    if not replay.is_complete:
        line.add(f", {replay.progress:.0%} read", "dim")
    return line


def _figures(row: StepRow) -> Line:
    line = Line()
    if row.type == "llm_call" and not row.is_in_flight:
        line.add(tokens(row.input_tokens)).add(" → ", "dim").add(tokens(row.output_tokens))
    if row.is_in_flight:
        return line.add("  " if line.width else "").add("in flight", "warn")
    if row.duration_ms is not None:
        time = duration(row.duration_ms)
        line.add("  " if line.width else "").add(" " * max(0, 8 - len(time))).add(time)
    return line


def row_words(replay: Replay, row: StepRow) -> list[tuple[str, str]]:
    """Return what *row* says, in pieces with their styles; reads its payload."""
    try:
        payload = replay.payload(row.row)
    except StepLogError as error:
        return [(str(error), "error")]
    record = payload.record
    if row.is_error:
        return [(error_text(record), "error"), (_given(payload), "dim")]
    if row.type == "event":
        return [(preview(record.data) if record.data is not None else "", "dim")]
    if row.type == "llm_call":
        asked = asked_for(record)
        said = preview(record.output) if record.output is not None else ""
        stopped = [(f"▲ {row.stop_reason}", "warn")] if row.is_truncated else []
        if asked:
            return [("asks for " + asked, "tool"), (f"“{said}”" if said else "", "dim"), *stopped]
        return [(f"“{said}”" if said else row.stop_reason or "", "dim"), *stopped]
    return [
        (_given(payload), ""),
        (f"→ {preview(record.output)}" if record.output is not None else "", "dim"),
    ]


def _given(payload: Payload) -> str:
    given: Any = payload.record.input
    if given is None and payload.begin is not None:
        given = payload.begin.input
    return "" if given in (None, {}, "") else preview(given)
