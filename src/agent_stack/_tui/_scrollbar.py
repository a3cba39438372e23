"""Scrollbars drawn line by line, as the lists beside them, with marks where there is something to go to."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.scrollbar import ScrollBarRender
from textual.strip import Strip

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from textual.geometry import Region
    from textual.scrollbar import ScrollBar

__all__ = ["MARK", "draw_directly"]

#: A sign of its own, so that it is seen without colours, too.
MARK = "◂"


def draw_directly(bar: ScrollBar, marks: Callable[[int], Collection[int]] | None = None) -> None:
    """Draw *bar* as it is, without all that the toolkit lays over a widget: a list scrolls with every key.

    Args:
        bar: A vertical one.
        marks: Tells, for as many cells as it is long, in which of them there is a mark. Default: none.
    """
    bar.render_lines = partial(_lines, bar, marks)  # type: ignore[method-assign]


def _lines(bar: ScrollBar, marks: Callable[[int], Collection[int]] | None, crop: Region) -> list[Strip]:
    """Return the lines of *crop*."""
    width, height = bar.region.size
    looks = bar.render()
    assert isinstance(looks, ScrollBarRender)
    style = Style() if isinstance(looks.style, str) else looks.style
    drawn = looks.render_bar(
        size=height,
        virtual_size=looks.virtual_size,
        window_size=looks.window_size,
        position=looks.position,
        thickness=width,
        back_color=style.bgcolor or Color.default(),
        bar_color=style.color or Color.default(),
    )
    segments = list(drawn.segments)
    for cell in marks(height) if marks is not None else ():
        if cell < len(segments):
            segments[cell] = _marked(segments[cell])
    strips = [Strip([segment], width) for segment in segments]
    for each in bar.get_line_filters():
        strips = [strip.apply_filter(each, bar.background_colors[1]) for strip in strips]
    strips = strips[crop.y : crop.bottom]
    return strips if crop.column_span == (0, width) else [strip.crop(*crop.column_span) for strip in strips]


def _marked(segment: Segment) -> Segment:
    """Return a cell of the bar with the mark on it; clicks on it do what they did."""
    style = segment.style or Style()
    behind = style.color if style.reverse else style.bgcolor
    mark = Style(color="red", bgcolor=behind, bold=True, meta=style.meta)
    return Segment(MARK, mark)
