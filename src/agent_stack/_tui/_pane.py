"""A pane: a line of tabs over a text that scrolls, some lines of which may lead to a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.message import Message
from textual.strip import Strip

from agent_stack._render.lines import Line
from agent_stack._tui._details import TABS
from agent_stack._tui._painted import Direct, Painted, rich_style

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from textual import events

__all__ = ["TabBar", "TextPane"]


class TextPane(Painted):
    """Lines laid out; where some lead to rows, there is a cursor to choose one."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.lines: Sequence[Line] = ()
        self.targets: Mapping[int, int | str] = {}

    @property
    def has_targets(self) -> bool:
        """Whether a line leads somewhere."""
        return bool(self.targets)

    def show(
        self, lines: Sequence[Line], targets: Mapping[int, int | str] | None = None, *, keep: bool = False
    ) -> None:
        """Show *lines*.

        Args:
            lines: All of them.
            targets: The row or commands some lead to, by their places, ascending.
            keep: Whether it stays where it is scrolled to.
        """
        self.lines, self.targets = lines, targets or {}
        self.cursor = next(iter(self.targets), None)
        self.has_cursor = self.has_targets
        if not keep:
            self.scroll_to(y=0, animate=False, force=True, immediate=True)
        self.set_count(len(lines))

    def paint(self, place: int, width: int) -> Line:
        """Return a line, cut at the edge."""
        line = self.lines[place]
        if line.width <= width:
            return line
        shown = Line()
        for text, style in line.pieces:
            if shown.width < width:
                shown.add(text, style, width - shown.width)
        return shown


class TabBar(Direct):
    """The names of the panes, the open one in reverse."""

    class Chosen(Message):
        """A tab was clicked."""

        def __init__(self, tab: int) -> None:
            self.tab = tab
            super().__init__()

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.tab = 0
        self.result = ""
        self._ends: list[int] = []

    def show(self, tab: int, result: str = "") -> None:
        """Open *tab*; or *result*, the name of what came of a command."""
        if (tab, result) != (self.tab, self.result):
            self.tab, self.result = tab, result
            self.refresh()

    def render_line(self, y: int) -> Strip:  # noqa: ARG002  the toolkit's
        """Draw the names."""
        from rich.segment import Segment

        width = self.size.width
        wide = [f" {number} {names[0]} " for number, names in enumerate(TABS, 1)]
        narrow = [f" {number} {names[1]} " for number, names in enumerate(TABS, 1)]
        extra = f" {self.result} " if self.result else ""
        texts = next(
            (each for each in (wide, narrow) if sum(map(len, each)) + len(extra) <= width),
            [f"{number}{names[1]} " for number, names in enumerate(TABS, 1)],
        )
        pieces: list[Segment] = []
        self._ends = []
        at = 0
        if extra:
            pieces.append(Segment(extra, rich_style("reverse")))
            at = len(extra)
        for tab, text in enumerate(texts):
            is_open = tab == self.tab and not self.result
            pieces.append(Segment(text, rich_style("bold reverse" if is_open else "dim")))
            at += len(text)
            self._ends.append(at)
        return Strip(pieces, at).adjust_cell_length(width)

    def on_click(self, event: events.Click) -> None:
        """Tell which name was clicked."""
        tab = next((tab for tab, end in enumerate(self._ends) if event.x < end), None)
        if tab is not None:
            self.post_message(self.Chosen(tab))
