"""Lists of any length, drawn line by line as they come into sight.

A widget of the toolkit for each row, or a row of a table filled in before, takes seconds for a
hundred thousand; here a row costs nothing until it is seen.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from agent_stack._screen import STYLES
from agent_stack._tui._scrollbar import draw_directly

if TYPE_CHECKING:
    from textual import events

    from agent_stack._render.lines import Line

__all__ = ["Direct", "Painted", "rich_style"]

_KEPT = 600  # strips: some screens' worth
_BEHIND = frozenset(name for name, words in STYLES.items() if "reverse" in words or "on " in words)


@lru_cache(maxsize=256)
def rich_style(name: str) -> Style:
    """Return a style of `_screen.STYLES`; the terminal's own colours."""
    return Style.parse(STYLES.get(name, name) or "none")


class Direct(Widget):
    """A widget whose lines are on the screen as `render_line` gives them.

    The toolkit lays borders, tints and backgrounds over every line; there are none here, and most of what a
    key costs went into laying them.
    """

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the lines of *crop*."""
        if any(self.styles.gutter):
            return super().render_lines(crop)
        width = self.region.width
        strips = [self.render_line(y).adjust_cell_length(width) for y in crop.line_range]
        for each in self.get_line_filters():
            background = self.background_colors[1]
            strips = [strip.apply_filter(each, background) for strip in strips]
        if crop.column_span != (0, width):
            strips = [strip.crop(*crop.column_span) for strip in strips]
        return strips


class Painted(ScrollView, Direct, inherit_bindings=False, can_focus=True):
    """Rows by number, of which one may be the cursor's. Subclasses say what a row looks like.

    Attributes:
        count: Rows there are.
        cursor: The row the cursor is on; None for a text to scroll.
    """

    class Picked(Message):
        """A row of *clicked* was clicked."""

        def __init__(self, clicked: Painted, place: int) -> None:
            self.clicked, self.place = clicked, place
            super().__init__()

    #: Whether a row is the cursor's; without one the keys scroll.
    has_cursor = True

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.count = 0
        self.cursor: int | None = None
        self.painted = 0
        self._drawn_size = Size()
        self._frame: tuple[int, int, bool] | None = None
        self._strips: OrderedDict[tuple[int, int, int], Strip] = OrderedDict()
        draw_directly(self.vertical_scrollbar)

    def paint(self, place: int, width: int) -> Line:
        """Return row *place* in *width* cells."""
        raise NotImplementedError

    # -- what is there --------------------------------------------------------------

    def set_count(self, count: int, *, keep: bool = False) -> None:
        """There are *count* rows now, and all of them are drawn anew; *keep*: only those there were not."""
        before, self.count = self.count, count
        if self.cursor is not None:
            self.cursor = min(self.cursor, count - 1) if count else None
        self.virtual_size = Size(self.cells, count)
        if not keep:
            self.repaint_all()
        elif before < self.scroll_offset.y + self.size.height:
            self.refresh()

    def repaint_all(self) -> None:
        """Forget how rows looked."""
        self._strips.clear()
        self.refresh()

    def repaint(self, place: int) -> None:
        """Forget how one row looked."""
        for key in [key for key in self._strips if key[0] == place]:
            del self._strips[key]
        y = place - self.scroll_offset.y
        if 0 <= y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    # -- where it is ----------------------------------------------------------------

    @property
    def cells(self) -> int:
        """Cells of a row, beside the scrollbar."""
        return self.scrollable_content_region.width

    @property
    def page(self) -> int:
        """Rows in sight, less one to hold on to."""
        return max(self.size.height - 1, 1)

    def put_cursor(self, place: int | None) -> None:
        """Put the cursor on a row and bring it into sight."""
        before, self.cursor = self.cursor, place
        if place is None:
            return
        for changed in {before, place} - {None}:
            assert changed is not None
            self.repaint(changed)
        self.bring_into_sight(place)

    def bring_into_sight(self, place: int) -> None:
        """Scroll no further than it takes to see a row, with one more beyond it; far: to the middle."""
        top, height = self.scroll_offset.y, max(self.size.height, 1)
        margin = 1 if height > 4 else 0
        if top + margin <= place < top + height - margin:
            return
        if top - height < place < top + 2 * height:
            target = place - margin if place < top + margin else place - height + 1 + margin
        else:
            target = place - height // 2
        self.scroll_to(y=max(0, min(target, self.count - height)), animate=False, force=True, immediate=True)

    def move(self, rows: int) -> None:
        """Scroll by so many rows."""
        self.scroll_to(y=self.scroll_offset.y + rows, animate=False, force=True, immediate=True)

    # -- drawing --------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen."""
        top, width, has_focus = self._frame or self._framed()
        place = top + y
        if place >= self.count:
            return Strip.blank(width)
        is_here = place == self.cursor
        key = (place, width, 2 * is_here + (is_here and has_focus))
        strip = self._strips.get(key)
        if strip is None:
            strip = self._strips[key] = _drawn(self.paint(place, width), width, self._look(is_here=is_here))
            self.painted += 1
            if len(self._strips) > _KEPT:
                self._strips.popitem(last=False)
        return strip

    def _look(self, *, is_here: bool) -> Style | None:
        """Return how a whole row looks; None: as its pieces do."""
        # The whole row in reverse is seen in every theme of a terminal, and without colours.
        return rich_style("reverse" if self.has_focus else "bold") if is_here else None

    def render_lines(self, crop: Region) -> list[Strip]:
        """Draw some lines of the screen."""
        self._frame = self._framed()
        try:
            return super().render_lines(crop)
        finally:
            self._frame = None

    def _framed(self) -> tuple[int, int, bool]:
        """Return what is the same for all lines, and long to find: the first row in sight, cells, focus."""
        return self.scroll_offset.y, self.cells, self.has_focus

    # -- events ---------------------------------------------------------------------

    def on_resize(self, event: events.Resize) -> None:
        """Rows are as wide as the list."""
        if event.size == self._drawn_size:  # only the number of rows is another
            return
        self._drawn_size = event.size
        self.virtual_size = Size(self.cells, self.count)
        self.repaint_all()
        if self.cursor is not None:
            self.bring_into_sight(self.cursor)

    def on_focus(self) -> None:
        """The cursor looks different."""
        if self.cursor is not None:
            self.repaint(self.cursor)

    def on_blur(self) -> None:
        """The cursor looks different."""
        if self.cursor is not None:
            self.repaint(self.cursor)

    def on_click(self, event: events.Click) -> None:
        """Tell which row was clicked."""
        place = self.scroll_offset.y + event.y
        if self.has_cursor and 0 <= place < self.count:
            self.post_message(self.Picked(self, place))


def _drawn(line: Line, width: int, style: Style | None) -> Strip:
    """Return *line* in as few segments as it takes: each costs on every way over the screen."""
    if style is not None:
        whole = "".join(text for text, _ in line.pieces)
        return Strip([Segment(whole, style)], line.width).adjust_cell_length(width, style)
    texts: list[str] = []
    names: list[str] = []
    for text, name in line.pieces:
        # Spaces look the same in every style that puts nothing behind them.
        if names and (name == names[-1] or (not name and text.isspace() and names[-1] not in _BEHIND)):
            texts[-1] += text
        else:
            texts.append(text)
            names.append(name)
    pieces = [Segment(text, rich_style(name)) for text, name in zip(texts, names, strict=True)]
    return Strip(pieces, line.width).adjust_cell_length(width)
