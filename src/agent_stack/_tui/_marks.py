"""Marks along a scrollbar: where in all of a list there is something to go to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.segment import Segment, Segments
from rich.style import Style
from textual.scrollbar import ScrollBarRender

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from textual.scrollbar import ScrollBar

__all__ = ["MARK", "mark_scrollbar"]

#: A sign of its own, so that it is seen without colours, too.
MARK = "◂"


def mark_scrollbar(bar: ScrollBar, marks: Callable[[int], Collection[int]]) -> None:
    """Show marks on *bar*: *marks* tells, for as many cells as it is long, in which of them."""

    class Marked(ScrollBarRender):
        @classmethod
        def render_bar(cls, size: int = 25, *arguments: Any, **options: Any) -> Segments:
            drawn = super().render_bar(size, *arguments, **options)
            segments = list(drawn.segments)
            for cell in marks(size):
                if cell < len(segments):
                    segments[cell] = _marked(segments[cell])
            return Segments(segments, new_lines=drawn.new_lines)

    bar.renderer = Marked  # type: ignore[misc]  # as the toolkit's documentation has it for one bar


def _marked(segment: Segment) -> Segment:
    """Return a cell of the bar with the mark on it; clicks on it do what they did."""
    style = segment.style or Style()
    behind = style.color if style.reverse else style.bgcolor
    mark = Style(color="red", bgcolor=behind, bold=True, meta=style.meta)
    return Segment(MARK, mark)
