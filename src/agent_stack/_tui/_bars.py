"""One line of the screen: the head, the message, the hints; and the prompt that takes its place."""

from __future__ import annotations

from typing import Any

from rich.segment import Segment
from textual.strip import Strip
from textual.widgets import Input

from agent_stack._render.lines import Line
from agent_stack._tui._painted import Direct, rich_style

__all__ = ["LineBar", "Prompt"]


class LineBar(Direct):
    """One `Line`, with another at its right margin as long as both fit."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.line = Line()
        self.right = Line()

    def show(self, line: Line, right: Line | None = None) -> None:
        """Show *line* from now on; *right*: at the margin, None for what is there."""
        before = self.line.pieces, self.right.pieces
        self.line = line
        if right is not None:
            self.right = right
        # What did not change is not drawn: the toolkit goes through all that lies between what did.
        if before != (self.line.pieces, self.right.pieces):
            self.refresh()

    def show_right(self, right: Line) -> None:
        """Show *right* at the margin."""
        self.show(self.line, right)

    def render_line(self, y: int) -> Strip:  # noqa: ARG002  the toolkit's
        """Draw it."""
        width = self.size.width
        shown = Line()
        for text, style in self.line.pieces:
            if shown.width < width:
                shown.add(text, style, width - shown.width)
        if shown.width + self.right.width + 2 <= width:
            shown.right(self.right, width)
        pieces = [Segment(text, rich_style(style)) for text, style in shown.pieces]
        return Strip(pieces, shown.width).adjust_cell_length(width)


class Prompt(Input):
    """A line to type in, with the lines typed before at hand.

    Attributes:
        kind: What it is for: command, find, filter or run.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(compact=True, select_on_focus=False, **options)
        self.kind = ""
        self._typed: dict[str, list[str]] = {}
        self._at = 0

    def ask(self, kind: str, text: str = "") -> None:
        """Open for *kind*."""
        self.kind = kind
        self.value = text
        self.cursor_position = len(text)
        self._at = len(self._typed.get(kind, ()))

    def remember(self) -> None:
        """Keep what was typed."""
        typed = self._typed.setdefault(self.kind, [])
        if self.value and typed[-1:] != [self.value]:
            typed.append(self.value)

    def recall(self, way: int) -> None:
        """Show what was typed before, or after that."""
        typed = self._typed.get(self.kind, [])
        self._at = min(max(self._at + way, 0), len(typed))
        self.value = typed[self._at] if self._at < len(typed) else ""
        self.cursor_position = len(self.value)
