"""A text over the whole screen, to scroll and to close."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.screen import Screen

from agent_stack._render.lines import Line
from agent_stack._tui._bars import LineBar
from agent_stack._tui._pane import TextPane

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from textual import events
    from textual.app import ComposeResult

__all__ = ["Sheet"]


class Sheet(Screen[None]):
    """Shows the lines that *lay_out* gives for a width."""

    CSS: ClassVar[str] = """
    Sheet { layout: vertical; }
    Sheet LineBar { height: 1; }
    Sheet TextPane { height: 1fr; padding: 0 1; scrollbar-size-vertical: 1; }
    """

    def __init__(self, title: str, lay_out: Callable[[int], Iterable[Line]]) -> None:
        super().__init__()
        self._title = title
        self._lay_out_lines = lay_out

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield LineBar(id="sheet-head")
        yield TextPane(id="sheet")
        yield LineBar(id="sheet-hints")

    def on_mount(self) -> None:
        """Fill it."""
        self.query_one("#sheet-head", LineBar).show(Line(f" {self._title}", "title"))
        self.query_one("#sheet-hints", LineBar).show(
            Line(" j/k", "bold").add(" scroll  ", "dim").add("esc", "bold").add(" close", "dim")
        )
        self.query_one(TextPane).focus()

    def on_resize(self, event: events.Resize) -> None:
        """Lay the lines out for the width there is."""
        self.query_one(TextPane).show(list(self._lay_out_lines(max(event.size.width - 3, 20))))

    def on_key(self, event: events.Key) -> None:
        """Scroll, or close."""
        event.stop()
        event.prevent_default()
        pane = self.query_one(TextPane)
        rows = {
            "j": 1,
            "down": 1,
            "k": -1,
            "up": -1,
            "g": -pane.count,
            "home": -pane.count,
            "G": pane.count,
            "end": pane.count,
            "pagedown": pane.page,
            "space": pane.page,
            "ctrl+d": pane.page,
            "ctrl+u": -pane.page,
            "pageup": -pane.page,
        }
        if event.key in rows:
            pane.move(rows[event.key])
        elif event.key in ("escape", "q", "question_mark", "enter"):
            self.dismiss()
        elif event.key == "ctrl+c":
            self.app.exit(0)
