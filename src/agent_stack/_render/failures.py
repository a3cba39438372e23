"""``errors``: each group of errors with its last message and where that was raised."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent_stack import _safe
from agent_stack._render.figures import clock, many
from agent_stack._render.lines import Line
from agent_stack._render.notes import short_ids
from agent_stack._render.preview import preview
from agent_stack._render.words import GLYPHS, frames_text, short_class

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent_stack._queries.failures import FailureGroup

__all__ = ["render_failures"]

_MOST = 50  # groups shown; --json has all of them
_LINES = 3  # of a message


def render_failures(groups: Sequence[FailureGroup], width: int, *, now: float) -> Iterator[Line]:
    """Yield for each group a line, its last message, and the frames, the one that raised first."""
    names = short_ids([group.run_id for group in groups])
    for group in groups[:_MOST]:
        yield _head(group, names[group.run_id], width, now)
        for text in _safe.wrap(preview(group.message), width - 4, _LINES):
            yield Line("    ").add(text)
        frames = frames_text(group.frames)
        if frames:
            yield Line("    ").add(frames, "dim", width - 4)
    if len(groups) > _MOST:
        yield Line("  ").add(f"… {len(groups) - _MOST:,} more kinds of error (--json)", "note")


def _head(group: FailureGroup, run: str, width: int, now: float) -> Line:
    glyph, style = GLYPHS.get(group.type, ("▲", "warn"))
    line = Line("✗ ", "error").add(short_class(group.error_type) or "error", "error_bold", width // 4)
    line.add("  ").add(glyph, style).add(" ")
    line.add("the run itself" if group.type == "run" else group.name or "?", "bold", width // 5)
    step = f":{group.writer}" if group.writer else ""
    step = f" step {group.step}{step}" if group.step else ""
    when = clock(group.last_ts, today=now, is_narrow=width < 100)
    where = Line().add(f"last {when} in " if width >= 100 else f"{when} in ", "dim")
    where.add(run, "", 20).add(step, "dim")
    times = f"{group.errors:,}× in {many(group.runs, 'run')}" if group.errors > 1 else "once"  # noqa: RUF001
    messages = f", {group.messages:,} messages" if group.messages > 1 and width >= 100 else ""
    line.add("  ").add(times + messages, "dim", max(4, width - line.width - where.width - 4))
    return line.right(where, width)
