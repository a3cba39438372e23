"""The frame of the screen: its parts, where they stand, which of them has the focus, and its bars."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import App
from textual.containers import Container

from agent_debug_replay import Descent
from agent_stack._render.lines import Line
from agent_stack._tui._bars import LineBar, Prompt
from agent_stack._tui._growth import GrowthView, legend
from agent_stack._tui._head import head_line, hint_line
from agent_stack._tui._pane import TabBar, TextPane
from agent_stack._tui._steps import StepList
from agent_stack._tui._view import RunView

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from agent_debug_replay import Navigator, Replay
    from agent_stack._tui._painted import Painted
    from agent_stack._tui._shown import ShownRows

__all__ = ["Frame"]

_WIDE = 110  # cells from which the details stand beside the list


class Room(Container):
    """Holds other widgets, and draws nothing itself."""

    BLANK = True


class Frame(App[int]):
    """The parts of the screen.

    Args:
        replay: The run to begin with; may still be being read.

    Attributes:
        descent: The runs on the way down from it.
        views: What is shown of each of them; the last is on the screen.
        message: The message at the bottom.
    """

    ENABLE_COMMAND_PALETTE = False
    TITLE = "agent-step-log replay"
    CSS: ClassVar[str] = """
    Screen { layout: vertical; }
    LineBar, TabBar { height: 1; }
    #body { height: 1fr; layout: vertical; }
    #left { height: 1fr; layout: vertical; }
    #right { height: 1fr; layout: vertical; }
    #body.-wide { layout: horizontal; }
    #body.-wide #left { width: 55%; height: 100%; padding-right: 1; }
    #body.-wide #right { width: 45%; height: 100%; border-left: solid ansi_bright_black; padding-left: 1; }
    #body.-tall #right { border-top: solid ansi_bright_black; }
    #body.-tall.-reading #right { height: 3fr; }
    StepList, TextPane, GrowthView { height: 1fr; scrollbar-size-vertical: 1; scrollbar-gutter: stable; }
    #growth, #legend { display: none; }
    #left.-growth #growth, #left.-growth #legend { display: block; }
    #left.-growth #steps { display: none; }
    #asking { height: 1; display: none; layout: horizontal; }
    #asking.-open { display: block; }
    #asking.-open #label { width: auto; }
    #hints.-asking { display: none; }
    Prompt { width: 1fr; }
    """

    def __init__(self, replay: Replay) -> None:
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark"
        self.animation_level = "none"
        self.descent = Descent(replay, wait=False)
        self.views = [RunView(self.descent.navigator)]
        self.message = ""

    @property
    def view(self) -> RunView:
        """What is shown of the run on the screen."""
        return self.views[-1]

    @property
    def navigator(self) -> Navigator:
        """The cursor in the run on the screen."""
        return self.view.navigator

    @property
    def replay(self) -> Replay:
        """The run on the screen."""
        return self.view.navigator.replay

    @property
    def shown(self) -> ShownRows:
        """The rows in the list."""
        return self.view.shown

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield LineBar(id="head")
        with Room(id="body"):
            with Room(id="left"):
                yield StepList(self.replay, self.shown, id="steps")
                yield LineBar(id="legend")
                yield GrowthView(self.replay, id="growth")
            with Container(id="right"):
                yield TabBar(id="tabs")
                yield TextPane(id="pane")
        yield LineBar(id="message")
        yield LineBar(id="hints")
        with Room(id="asking"):
            yield LineBar(id="label")
            yield Prompt(id="prompt")

    def find_parts(self) -> None:
        """Keep the parts, as a timer may still go off while the screen is taken down."""
        self._body, self._left, self._right = (
            self.query_one(f"#{name}") for name in ("body", "left", "right")
        )
        self._asking = self.query_one("#asking")
        self.steps = self.query_one("#steps", StepList)
        self.growth = self.query_one("#growth", GrowthView)
        self.pane = self.query_one("#pane", TextPane)
        self.tabs = self.query_one("#tabs", TabBar)
        self.prompt = self.query_one("#prompt", Prompt)
        self.bars = {
            name: self.query_one(f"#{name}", LineBar) for name in ("head", "message", "hints", "label")
        }
        self.query_one("#legend", LineBar).show(legend())

    # -- where they stand -----------------------------------------------------------

    def _lay_out(self, width: int, height: int) -> None:
        body = self._body
        is_small = width < _WIDE and (height < 16 or width < 60)
        body.set_class(width >= _WIDE, "-wide")
        body.set_class(width < _WIDE and not is_small, "-tall")
        body.set_class(is_small, "-small")
        self._set_reading()

    @property
    def _is_growth(self) -> bool:
        return self._left.has_class("-growth")

    def _moved_list(self) -> Painted:
        """Return what the keys of moving are for: the pane when it has the focus, or else the list."""
        if self.focused is self.pane:
            return self.pane
        return self.growth if self._is_growth else self.steps

    def _set_reading(self, *, is_reading: bool | None = None) -> None:
        """Give the pane more room while it is read; where there is room for one of the two, all of it."""
        body = self._body
        if is_reading is None:
            is_reading = self.screen.focused is self.pane
        is_small = body.has_class("-small")
        body.set_class(is_reading, "-reading")
        self._right.display = is_reading or not is_small
        self._left.display = not is_reading or not is_small
        self._show_hints()

    def _focus_pane(self) -> None:
        self._set_reading(is_reading=True)  # what is not displayed cannot have the focus
        self.screen.set_focus(self.pane)
        self._set_reading()

    def _focus_list(self) -> None:
        self._set_reading(is_reading=False)
        self.screen.set_focus(self.growth if self._is_growth else self.steps)
        self._set_reading()

    # -- the bars -------------------------------------------------------------------

    def tell(self, text: str, style: str = "") -> None:
        """Show one message until the next key."""
        self.message = text
        self.bars["message"].show(Line().add(text, style, max(self.size.width, 20)))

    def _show_marks(self) -> None:
        marks = {row.row: name for name, row in self.navigator.marks.marks.items()}
        noted = {row.row for row, _ in self.navigator.notes.notes}
        if (marks, noted) != (self.steps.marks, self.steps.noted):
            self.steps.marks, self.steps.noted = marks, noted
            self.steps.repaint_all()

    def _show_head(self) -> None:
        self.bars["head"].show(head_line(self.views), Line().add(self.replay.run_id, "dim", 40).add(" "))

    def _show_hints(self) -> None:
        place = "pane" if self.screen.focused is self.pane else "growth" if self._is_growth else "steps"
        self.bars["hints"].show(hint_line(place, self.size.width))
