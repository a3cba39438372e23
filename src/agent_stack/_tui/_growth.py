"""How the context grew: a bar for every model call, in parts by who wrote what it was sent."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from agent_stack._render.figures import count
from agent_stack._render.lines import Line
from agent_stack._tui._painted import Painted
from agent_stack._tui._steps import LARGE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent_debug_replay import ContextSize, GrowthPoint, Replay

__all__ = ["PARTS", "GrowthView", "legend", "with_largest"]

#: Part of a context to its sign, style and words: each sign is another, so that colour is not needed.
PARTS = {
    "system": ("█", "note", "system"),
    "tools": ("▓", "llm", "tools"),
    "user": ("▒", "ok", "user"),
    "assistant": ("░", "agent", "assistant"),
    "tool_output": ("▞", "warn", "tool output"),
    "other": ("·", "dim", "other"),
}
_RIGHT = 24


def legend() -> Line:
    """Return what the signs mean."""
    line = Line(" ")
    for sign, style, words in PARTS.values():
        line.add(sign * 2, style).add(f" {words}  ", "dim")
    return line


class GrowthView(Painted):
    """The model calls of a run, by place."""

    def __init__(self, replay: Replay, **options: Any) -> None:
        super().__init__(**options)
        self._replay = replay
        self.points: Sequence[GrowthPoint] = ()
        self.sizes: dict[int, ContextSize] = {}
        self._largest = 1

    def show_run(self, replay: Replay) -> None:
        """Show another run, once its calls are loaded."""
        self._replay = replay
        self.load((), 0, None)

    def load(self, points: Sequence[GrowthPoint], largest: int, row: int | None) -> None:
        """Show these calls, and put the cursor on the one at *row* or before it.

        Args:
            points: The calls.
            largest: Tokens of the largest prompt among them.
            row: Of the run.
        """
        self.points, self._largest = points, largest
        self.sizes.clear()
        self.set_count(len(self.points))
        place = bisect_right(self.points, -1 if row is None else row, key=lambda point: point.row)
        self.put_cursor(max(place - 1, 0) if self.points else None)

    @property
    def row(self) -> int | None:
        """The row of the call at the cursor."""
        return self.points[self.cursor].row if self.cursor is not None and self.points else None

    def measure_next(self) -> bool:
        """Find the parts of one call in sight that are not known yet; return whether there was one."""
        top = self.scroll_offset.y
        for place in range(top, min(top + self.size.height, self.count)):
            row = self.points[place].row
            if row not in self.sizes:
                self.sizes[row] = self._measured(row)
                self.repaint(place) if self._largest else self.repaint_all()
                return True
        return False

    def _measured(self, row: int) -> ContextSize:
        from agent_debug_replay import ContextSize
        from agent_step_log.errors import StepLogError

        if self._replay.row(row).size_bytes > LARGE:
            return ContextSize()
        try:
            return self._replay.context_size(row)
        except StepLogError:
            return ContextSize()

    def paint(self, place: int, width: int) -> Line:
        """Return a call: its number, its bar, tokens, and whether the history was cut before it."""
        point = self.points[place]
        row = self._replay.row(point.row)
        parts = self.sizes.get(point.row)
        line = Line("▶" if place == self.cursor else " ", "note").add(row.label.rjust(6), "number", 12)
        line.add(" ✂ " if point.is_compacted else "   ", "warn_bold")
        room = max(width - line.width - _RIGHT, 8)
        line.extend(_bar(parts, self._cells(point, parts, room)))
        return line.right(_figures(point, parts, is_wide=width >= 60), width)

    def _cells(self, point: GrowthPoint, parts: ContextSize | None, room: int) -> int:
        if self._largest:
            share = (point.input_tokens or 0) / self._largest
        else:  # nobody counted tokens: characters, then
            most = max((each.total for each in self.sizes.values()), default=0)
            share = parts.total / most if parts is not None and most else 0.0
        return round(share * room) or (1 if share else 0)


def with_largest(points: list[GrowthPoint]) -> tuple[list[GrowthPoint], int]:
    """Return *points* and the tokens of the largest prompt among them, which takes long in a long run."""
    return points, max((point.input_tokens or 0 for point in points), default=0)


def _bar(parts: ContextSize | None, cells: int) -> Line:
    if parts is None or not parts.total:
        return Line("─" * cells, "dim")
    line = Line()
    done = 0
    for name, (sign, style, _) in PARTS.items():
        done += getattr(parts, name)
        # Ends are rounded and not lengths, so that the parts add up to the whole.
        line.add(sign * (round(done / parts.total * cells) - line.width), style)
    return line


def _figures(point: GrowthPoint, parts: ContextSize | None, *, is_wide: bool) -> Line:
    if point.input_tokens is None:
        if parts is None or not parts.total:
            return Line("? tokens", "dim")
        return Line(f"{count(parts.total)} characters", "dim")
    line = Line(count(point.input_tokens))
    if is_wide and point.cache_read_tokens is not None and point.input_tokens:
        share = min(point.cache_read_tokens / point.input_tokens, 1.0)
        line.add(f"  {share:4.0%} cached", "dim")
    if point.is_compacted:
        line.add(" cut", "warn")
    return line
