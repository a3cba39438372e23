"""The application: what is on the screen, and what every key comes to.

What follows the length of the run (a filter, a search, a command that goes on to the next stop) is done
on a thread beside the screen, one piece at a time; rows do not change meanwhile.
"""

from __future__ import annotations

import asyncio
from array import array
from bisect import bisect_left
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import App
from textual.containers import Container

from agent_debug_replay import (
    Changes,
    CommandLineError,
    CompareSteps,
    Expression,
    ExpressionError,
    Find,
    Go,
    Help,
    Look,
    Moved,
    Navigator,
    Note,
    Quit,
    SetMark,
    Stops,
    Tabulate,
    Until,
    Value,
    Walk,
    parse_commands,
)
from agent_stack._render.figures import SIGNS, count, duration, many
from agent_stack._render.lines import Line
from agent_stack._tui._bars import LineBar, Prompt
from agent_stack._tui._beside import Beside, Stopped
from agent_stack._tui._details import TABS, detail_lines
from agent_stack._tui._growth import GrowthView, legend
from agent_stack._tui._keymap import ACTIONS
from agent_stack._tui._pane import TabBar, TextPane
from agent_stack._tui._shown import ShownRows
from agent_stack._tui._steps import StepList
from agent_stack._tui._text import PORTIONS
from agent_step_log.errors import StepLogError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from textual.app import ComposeResult
    from textual.widgets import Input
    from textual.worker import Worker

    from agent_debug_replay import Change, Command, Outcome, Replay
    from agent_stack._tui._keymap import Keymap
    from agent_stack._tui._painted import Painted

__all__ = ["ReplayApp"]

_WIDE = 110  # cells from which the details stand beside the list
_LIVE_S = 0.25  # between looks at a log that is still written
_LOOK_S = 0.05  # between looks at what waits for a moment without keys
_READING_S = 0.15  # between looks at how far reading has come
_QUIET_S = 0.05  # without a key before a pane is filled that took long the last time
_IDLE_S = 0.15  # without a key before sums are made
_SLICE_S = 0.015  # of work done for want of keys, between which they are answered
_MANY = 100_000  # rows from which a walk over all of them is no longer done between two keys
_COPIED = 100_000  # characters: terminals take no more
_CHANGES = {
    "rotated": "The log was rotated; reading on in the new file.",
    "shrunk": "The log got shorter; it was read again.",
    "replaced": "Another log is in the place of this one; it was read.",
    "gone": "The log is not there any more; what was read stays.",
}
_HINTS = {
    "pane": (("j/k", "scroll"), ("1-7", "tabs"), ("o", "open full"), ("y", "copy"), ("esc", "back")),
    "growth": (("j/k", "call"), ("enter", "go to it"), ("v", "steps")),
    "steps": (
        *(
            ("j/k", "step"),
            ("J/K", "turn"),
            ("e/E", "error"),
            ("s/S", "peer"),
            ("/", "find"),
            ("f", "filter"),
        ),
        *(
            (":", "command"),
            ("tab", "details"),
            ("v", "context"),
            ("d", "diff"),
            ("h/l", "out/in"),
            ("x", "fold"),
        ),
    ),
}
#: Actions that leave the cursor of the run where it is; the first only when the pane has the focus.
_SCROLLS = {"down", "up", "page-down", "page-up", "first", "last"}
_LOOKS = {"next-pane", "previous-pane", "open", "wire", "cancel", "help", "quit"}
_PROMPTS = {"command": ":", "find": "/", "filter": "filter: ", "run": "compare with RUN or FILE[:RUN]: "}


class Room(Container):
    """Holds other widgets, and draws nothing itself."""

    BLANK = True


class ReplayApp(App[int]):
    """The debugger on one run.

    Args:
        replay: The run; may still be being read.
        keymap: Key to action or line of commands.
        on_loaded: Called when all that stays as long as the screen has been loaded. Default: nothing is.
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

    def __init__(
        self, replay: Replay, keymap: Keymap, *, on_loaded: Callable[[], None] | None = None
    ) -> None:
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark"
        self.animation_level = "none"
        self.replay = replay
        self.navigator = Navigator(replay)
        self.keymap = keymap
        self._on_loaded = on_loaded
        self.shown = ShownRows(replay)
        self.tab = 0
        self.message = ""
        self._portion = 0
        self._filter = ""
        self._found = ""
        self._result = ""
        self._pending = ""
        self._is_watched = False  # looked at again, for what it has gained
        self._following = False  # the cursor stays at the end
        self._fresh = 0
        self._is_read = False
        self._is_gone = False
        self._is_stale = False
        self._is_up = False
        self._is_priced = False
        self._idle = 0.0
        self._filling_s = 0.0
        self._summed: int | None = None
        self._beside = Beside(replay)
        self._filtered_to = 0  # rows the filter was asked about
        self._unfiltered: set[int] = set()  # of those, the ones that say something else since
        self._doing: Callable[[], str] | None = None  # what is done beside, in words
        self._is_commanded = False  # commands are done beside: they move the cursor
        self._begun = 0.0  # when
        self._looked = 0.0  # when it was looked how far reading has come

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

    def on_mount(self) -> None:
        """Find the parts, and begin to look after the run."""
        # Kept, as a timer may still go off while the screen is taken down.
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
        self._is_up = True
        self._is_read = self.replay.is_complete
        self._is_watched = self._is_read and self.replay.status == "running"
        self._lay_out(self.size.width, self.size.height)
        self.screen.set_focus(self.steps)
        self._show_hints()
        self._follow_cursor()
        self.set_interval(_LOOK_S, self._look_after)
        self.set_interval(_LIVE_S, self._look_again)

    def on_resize(self, event: events.Resize) -> None:
        """Put the parts where there is room for them."""
        if self._is_up:
            self._lay_out(event.size.width, event.size.height)
            self._show_head()
            self._show_hints()
            # Only then the pane has its new width.
            self.call_after_refresh(self._refill)

    def _lay_out(self, width: int, height: int) -> None:
        body = self._body
        is_small = width < _WIDE and (height < 16 or width < 60)
        body.set_class(width >= _WIDE, "-wide")
        body.set_class(width < _WIDE and not is_small, "-tall")
        body.set_class(is_small, "-small")
        self._set_reading()

    # -- keys -----------------------------------------------------------------------

    async def on_event(self, event: events.Event) -> None:
        """Take keys in the order they were typed.

        Sent to the focused widget and handled when it comes back, a key that opens the prompt would be
        behind those typed after it.
        """
        if (
            isinstance(event, events.Key)
            and not event.is_forwarded
            and not isinstance(self.focused, Prompt)
            and await self._do_key(event)
        ):
            return
        await super().on_event(event)

    async def on_key(self, event: events.Key) -> None:
        """Do what the key is for, which the prompt let through."""
        if await self._do_key(event):
            event.prevent_default()

    async def _do_key(self, event: events.Key) -> bool:
        """Do what the key is for; return whether it is for anything."""
        if self.screen is not self.screen_stack[0]:
            return False
        if isinstance(self.focused, Prompt):
            if event.key == "escape":
                self._close_prompt()
            elif event.key in ("up", "down"):
                self.prompt.recall(-1 if event.key == "up" else 1)
            return event.key in ("escape", "up", "down")
        if self._pending:
            await self._stop_commands()
            self._pended(event)
            return True
        meaning = self.keymap.get(event.key)
        if meaning is None:
            return False
        self._idle = perf_counter() + _IDLE_S
        if not meaning:
            return True
        if not self._is_look(meaning):
            await self._stop_commands()
        if self._doing is None:
            self.tell("")
        action = ACTIONS.get(meaning)
        if action is None or action.commands:
            await self.do_line(action.commands if action is not None else meaning)
        else:
            self._act(meaning)
        return True

    def _is_look(self, meaning: str) -> bool:
        """Whether what a key does leaves the cursor where it is, so that commands may go on meanwhile."""
        if meaning in _SCROLLS:
            return self.focused is self.pane and not self.pane.has_targets
        return meaning in _LOOKS or meaning.startswith("tab-")

    def _act(self, name: str) -> None:
        """Do one action of the screen."""
        moves = {"down": 1, "up": -1}
        if name in moves:
            self._step(moves[name])
        elif name in ("page-down", "page-up"):
            self._step(self._moved_list().page * (1 if name == "page-down" else -1))
        elif name in ("first", "last"):
            self._to_end(name == "last")
        elif name.startswith("tab-"):
            self._open_tab(int(name[4:]) - 1)
        elif name in ("next-pane", "previous-pane"):
            self._switch_pane()
        elif name in ("find", "filter", "command"):
            self._ask(name, self._filter if name == "filter" else "")
        elif name in ("find-next", "find-previous"):
            self._find(self._found, -1 if name == "find-previous" else 1)
        elif name in ("mark", "go-mark", "copy"):
            words = {"mark": "mark: a key names this step", "go-mark": "go to mark: its key; ' lists them"}
            words["copy"] = "copy: v value, p path, c command, l label"
            self._pending = name
            self.tell(words[name], "note")
        else:
            acts: dict[str, Callable[[], None]] = {
                "fold": self._fold,
                "fold-all": self._fold_all,
                "open": self._open,
                "wire": lambda: self._open_tab(3 if self.tab == 2 else 2),
                "compare-run": lambda: self._ask("run"),
                "growth": self._toggle_growth,
                "enter": self._enter,
                "follow": self._toggle_follow,
                "cancel": self._cancel,
                "help": self._help,
                "quit": lambda: self.exit(0),
            }
            acts[name]()

    def _pended(self, event: events.Key) -> None:
        pending, self._pending = self._pending, ""
        self.tell("")
        char = event.character or ""
        if event.key == "escape" or not char.isprintable() or not char:
            return
        if pending == "copy":
            self._copy(char)
        elif pending == "mark":
            self.navigator.mark(char)
            self._show_marks()
            self.tell(f"marked {char}", "note")
        elif char in "'`":
            self._show_outcome(self.navigator.marks)
        else:
            self._show_outcome(self.navigator.go_to_mark(char))

    # -- moving ---------------------------------------------------------------------

    @property
    def _is_growth(self) -> bool:
        return self._left.has_class("-growth")

    def _moved_list(self) -> Painted:
        """Return what the keys of moving are for: the pane when it has the focus, or else the list."""
        if self.focused is self.pane:
            return self.pane
        return self.growth if self._is_growth else self.steps

    def _step(self, rows: int) -> None:
        moved = self._moved_list()
        if not moved.has_cursor or (moved is self.pane and not self.pane.has_targets):
            moved.move(rows)
            return
        if moved.cursor is None:
            return
        place = min(max(moved.cursor + rows, 0), moved.count - 1)
        if moved is not self.steps:
            moved.put_cursor(place)
        elif place != moved.cursor:
            self._show_outcome(self.navigator.seek(self.shown.row_at(place)))
        elif not self._is_read and place == moved.count - 1:
            self.tell(f"The log is still being read: {self.replay.progress:.0%}; G goes to its end.")
        else:
            is_last = place == moved.count - 1
            hidden = " shown" if self.shown.is_filtered else ""
            self.tell(f"This is the {'last' if is_last else 'first'} step{hidden}.")

    def _to_end(self, is_last: bool) -> None:
        moved = self._moved_list()
        self._step(moved.count if is_last else -moved.count)
        if moved is self.steps and is_last and (self._is_watched or not self._is_read):
            self._follow()

    def _follow(self) -> None:
        """Keep the cursor at the end of what there is."""
        self._following = True
        self._fresh, self.steps.fresh_from = 0, None
        self.tell("following the end; any move to another step stops it", "dim")
        self._show_head()

    def _show_moved(self, moved: Moved) -> None:
        self._portion = 0
        if moved.row is not None and moved.row < len(self.replay) - 1:
            self._following = False
        self._result = ""
        parts = [f"■ {hit.kind} {hit.stop}: {hit.detail or hit.text}" for hit in moved.hits]
        parts += [moved.message] if moved.message else []
        parts += [f"{text} = {self._shown_value(text)}" for text in map(str, self.navigator.displays)]
        if moved.row is not None and self.shown.place_of(moved.row) is None:
            if self.shown.is_filtered:
                parts.append(f"Step {self.replay.row(moved.row).label} is not in the filter; esc shows all.")
            elif self.shown.unfold_to(moved.row):
                self._shown_changed()
        style = "warn" if moved.hits or moved.end == "nowhere" else "dim"
        self.tell("   ".join(parts), style)
        self._follow_cursor()

    def _shown_value(self, expression: str) -> str:
        from agent_debug_replay import MISSING
        from agent_stack._render.replay_values import value_cell

        value = self.navigator.value(expression)
        return value_cell(expression, value, is_missing=value is MISSING)[:200]

    def _follow_cursor(self) -> None:
        """Put the list's cursor where the navigator's is, and fill the pane once keys have been drawn."""
        at = self.navigator.position
        self.steps.put_cursor(None if at is None else self.shown.nearest(at))
        self._show_head()
        self._summed = None
        self._idle = perf_counter() + _IDLE_S
        if not self._is_stale:
            self._is_stale = True
            if self._filling_s < _SLICE_S:
                self.call_after_refresh(self._refill)
            # Else the pane waits for a moment without keys, so that the list keeps up with them.

    def _refill(self) -> None:
        """Fill the pane with the step at the cursor."""
        self._is_stale = False
        if self._result:
            return
        begin = perf_counter()
        self.tabs.show(self.tab)
        lines = detail_lines(self.navigator, self.tab, max(self.pane.cells, 20), self._portion)
        self.pane.show(lines, keep=self._portion > 0)
        self._filling_s = perf_counter() - begin

    async def on_painted_picked(self, message: Painted.Picked) -> None:
        """Go to what was clicked."""
        await self._stop_commands()
        if message.clicked is self.steps:
            self._show_outcome(self.navigator.seek(self.shown.row_at(message.place)))
        elif message.clicked is self.growth:
            self.growth.put_cursor(message.place)
        elif message.clicked is self.pane:
            self.pane.put_cursor(message.place)

    def on_tab_bar_chosen(self, message: TabBar.Chosen) -> None:
        """Open the tab that was clicked."""
        self._open_tab(message.tab)

    # -- commands -------------------------------------------------------------------

    async def do_line(self, text: str) -> bool:
        """Do a line of commands; return whether it was understood."""
        try:
            commands = parse_commands(text)
        except (CommandLineError, ExpressionError) as error:
            self.tell(f"{error.why} (column {error.column + 1})", "error")
            return False
        if any(map(self._is_long, commands)):
            self._start(partial(self._do_beside, commands), self._words_of(text), is_commanded=True)
            return True
        try:
            for command in commands:
                self._show_done(command, self.navigator.do(command))
        except StepLogError as error:
            self.tell(str(error), "error")
        return True

    def _is_long(self, command: Command) -> bool:
        """Whether *command* may have to read many records, or to pass very many rows."""
        if isinstance(command, Find | Until | Tabulate | CompareSteps):
            return True
        if isinstance(command, Walk):
            return command.move == "continue" or len(self.replay) > _MANY
        if isinstance(command, Go):
            return command.target.kind in ("id", "time", "clock") or len(self.replay) > _MANY
        return isinstance(command, Look) and command.what in ("files", "state", "context", "wire")

    async def _do_beside(self, commands: list[Command]) -> None:
        try:
            for command in commands:
                if isinstance(command, Find):
                    await self._find_row(command.text or self._found, -1 if command.is_reverse else 1)
                else:
                    outcome = await self._beside.do(partial(self.navigator.do, command))
                    self._show_done(command, outcome)
        except StepLogError as error:
            self.tell(str(error), "error")

    def _show_done(self, command: Command, outcome: Outcome) -> None:
        if isinstance(command, SetMark):
            self._show_marks()
            self.tell(f"marked {command.name}", "note")
        else:
            self._show_outcome(outcome)

    # -- work beside ----------------------------------------------------------------

    def _start(
        self, work: Callable[[], Awaitable[None]], words: Callable[[], str], *, is_commanded: bool = False
    ) -> None:
        """Have *work* done beside the screen; *words* say how far it is."""
        self._is_commanded = is_commanded
        self._doing = words
        self._begun = perf_counter()

        async def worked() -> None:
            try:
                await work()
            except Stopped:
                self.tell("stopped", "dim")
            finally:
                if self._doing is words:
                    self._doing, self._is_commanded = None, False

        # Not called here: work that is stopped before it began would be told as never awaited.
        _: Worker[None] = self.run_worker(worked, group="scan", exclusive=True)

    def _words_of(self, text: str) -> Callable[[], str]:
        return lambda: f"{text}{self._at_step()}; esc stops"

    def _at_step(self) -> str:
        row = self._beside.row
        return f": step {self.replay.row(row).label}" if row is not None else " …"

    async def _stop_commands(self) -> None:
        """Have commands that are done beside end where they are: the cursor is about to go elsewhere."""
        if self._is_commanded:
            self.workers.cancel_group(self, "scan")
            await self._beside.stopped()

    def _show_outcome(self, outcome: Outcome) -> None:
        if isinstance(outcome, Moved):
            self._show_moved(outcome)
        elif isinstance(outcome, Quit):
            self.exit(0)
        elif isinstance(outcome, Help) and not outcome.topic:
            self._help()
        else:
            self._show_result(outcome)

    def _show_result(self, outcome: Outcome) -> None:
        from agent_stack._tui._results import result_of

        self._show_marks()
        result = result_of(self.navigator, outcome, max(self.pane.cells, 20))
        if len(result.lines) == 1 and isinstance(outcome, Note | Value | Stops | Changes):
            self.bars["message"].show(result.lines[0])
            self.message = str(result.lines[0])
            if not isinstance(outcome, Value) or result.lines[0].width <= self.size.width:
                return
        self._show_lines(result.title, result.lines, result.targets)

    def _show_lines(self, title: str, lines: Iterable[Line], targets: dict[int, int] | None = None) -> None:
        """Show *lines* in the pane in the place of a tab."""
        from collections.abc import Sequence

        self._result = title
        self.tabs.show(self.tab, title)
        self.pane.show(lines if isinstance(lines, Sequence) else list(lines), targets)
        if self.pane.has_targets:
            self._focus_pane()
            self.tell(f"{title}: enter goes to the step, esc closes", "dim")

    # -- looking --------------------------------------------------------------------

    def _open_tab(self, tab: int) -> None:
        self.tab, self._portion, self._result = tab, 0, ""
        self._refill()

    def _open(self) -> None:
        if self._result:
            return
        if self._portion + 1 < len(PORTIONS):
            self._portion += 1
        self._refill()
        self._focus_pane()

    def _enter(self) -> None:
        if self.focused is self.pane:
            target = self.pane.targets.get(self.pane.cursor or 0) if self.pane.has_targets else None
            if target is not None:
                result, lines, targets = self._result, self.pane.lines, self.pane.targets
                cursor = self.pane.cursor
                self._show_outcome(self.navigator.seek(target))
                # The hits stay, to go on to the next of them.
                self._show_lines(result, lines, targets)
                self.pane.put_cursor(cursor)
            return
        if self._is_growth:
            row = self.growth.row
            self._toggle_growth()
            if row is not None:
                self._show_outcome(self.navigator.seek(row))
            return
        self._switch_pane()

    def _switch_pane(self) -> None:
        if self.focused is self.pane:
            self._focus_list()
        else:
            self._focus_pane()

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

    def _toggle_growth(self) -> None:
        self._left.toggle_class("-growth")
        if self._is_growth:
            self._start(self._load_growth, self._words_of("looking at every model call"))
        self._focus_list()

    async def _load_growth(self) -> None:
        points = await self._beside.do(self.replay.growth)
        self.growth.load(points, self.navigator.position)
        self.tell("enter goes to the call, v closes" if points else "No model was called.", "dim")

    def _fold(self) -> None:
        row = self.navigator.row
        if row is None or self.shown.is_filtered:
            self.tell("A filtered list has no folds; esc shows all steps.", "warn")
            return
        if not row.has_children and row.parent is not None:
            self.navigator.out()
            row = self.navigator.row
            assert row is not None
        if not row.has_children:
            self.tell("There is no step in this one.", "warn")
            return
        self.shown.fold(row.row)
        self._shown_changed()
        self._follow_cursor()

    def _fold_all(self) -> None:
        if self.shown.is_filtered:
            self.tell("A filtered list has no folds; esc shows all steps.", "warn")
            return
        if not self.shown.fold_all():
            self.tell("No step has any steps in it.", "warn")
            return
        row = self.navigator.row
        while row is not None and row.parent is not None and self.shown.place_of(row.row) is None:
            self.navigator.out()
            row = self.navigator.row
        self._shown_changed()
        self._follow_cursor()

    def _help(self) -> None:
        from agent_stack._tui._help import help_lines
        from agent_stack._tui._sheet import Sheet

        self.push_screen(Sheet("Keys and commands", lambda width: help_lines(self.keymap, width)))

    def _cancel(self) -> None:
        if self._doing is not None:
            self._beside.stop()
            return
        if self._result:
            self._result = ""
            self._refill()
            self._focus_list()
        elif self.focused is self.pane:
            self._focus_list()
        elif self._is_growth:
            self._toggle_growth()
        elif self.shown.is_filtered:
            self._set_filter("")

    def _copy(self, what: str) -> None:
        import shlex

        from agent_stack._tui._details import detail_text

        row = self.navigator.row
        if row is None:
            return
        try:
            text, path = detail_text(self.navigator, self.tab)
        except StepLogError as error:
            self.tell(str(error), "error")
            return
        words = ["agent-step-log", "replay", str(self.replay.source), self.replay.run_id]
        command = f"{shlex.join(words)} -x {shlex.quote(f'goto {row.key}; p {path}')}"
        texts = {"v": text, "p": path, "c": command, "l": row.label}
        if what not in texts:
            self.tell(f"There is nothing to copy by {what!r}: v value, p path, c command, l label.", "warn")
            return
        copied = texts[what][:_COPIED]
        self.copy_to_clipboard(copied)
        cut = " (the beginning)" if len(texts[what]) > _COPIED else ""
        self.tell(f"copied {many(len(copied), 'character')}{cut}", "ok")

    # -- the prompt -----------------------------------------------------------------

    def _ask(self, kind: str, text: str = "") -> None:
        self.bars["label"].show(Line(_PROMPTS[kind], "note"))
        self.bars["label"].styles.width = len(_PROMPTS[kind])
        self._asking.add_class("-open")
        self.bars["hints"].add_class("-asking")
        self.prompt.ask(kind, text)
        self.screen.set_focus(self.prompt)

    def _close_prompt(self) -> None:
        self._asking.remove_class("-open")
        self.bars["hints"].remove_class("-asking")
        self._focus_list()

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        """Do what was typed; what cannot be understood stays, to be mended."""
        event.stop()
        kind, text = self.prompt.kind, self.prompt.value.strip()
        self.prompt.remember()
        self.tell("")
        if kind == "filter":
            if not self._set_filter(text):
                return
            self._close_prompt()
            return
        if kind == "command" and text:
            self._close_prompt()
            if not await self.do_line(text):
                message, line = self.message, self.bars["message"].line
                self._ask("command", text)
                self.message = message
                self.bars["message"].show(line)
            return
        self._close_prompt()
        if kind == "find" and (text or self._found):
            self._find(text or self._found, 1)
        elif kind == "run" and text:
            self._compare_run(text)

    # -- filter and find ------------------------------------------------------------

    def _set_filter(self, text: str) -> bool:
        """Show only rows where *text* holds; "" shows all. Return whether it was understood."""
        if not text:
            self.workers.cancel_group(self, "scan")
            self._show_all()
            return True
        try:
            Expression(text)
        except ExpressionError as error:
            self.tell(f"{error.why} (column {error.column + 1})", "error")
            self.prompt.cursor_position = min(error.column, len(self.prompt.value))
            return False
        self._filter = text
        self._refilter()
        return True

    def _show_all(self) -> None:
        self._filter = ""
        self.shown.show_all()
        self._shown_changed()
        self._follow_cursor()

    def _refilter(self) -> None:
        """Look at every row for whether it is shown."""
        rows = array("I")

        def words() -> str:
            # Only now, as most filters are done before it: nobody wants to see the list empty.
            self.shown.filter(rows)
            self._shown_changed()
            return f"filter: {len(rows):,} so far{self._at_step()}; esc stops"

        self._filtered_to = 0
        self._unfiltered.clear()
        self._start(partial(self._filter_rows, rows), words)

    async def _filter_rows(self, rows: array[int]) -> None:
        """Put what the filter lets through into *rows*, and show it."""
        total = len(self.replay)
        condition = Expression(self._filter)

        def filter_rows() -> None:
            holds = condition.condition(self.replay)
            for row in range(total):
                if holds(row):
                    rows.append(row)
                if not row & 1023:
                    self._beside.check(row)

        try:
            await self._beside.do(filter_rows)
        except Stopped:
            self._show_all()
            raise
        self.shown.filter(rows)
        self._filtered_to = total
        self._shown_changed()
        at = self.navigator.position
        place = self.shown.nearest(at) if at is not None else None
        if place is not None and self.shown.place_of(at or 0) is None:
            self.navigator.seek(self.shown.row_at(place))
        self._portion = 0
        self._follow_cursor()
        none = (
            "no step matches; esc shows all"
            if not rows
            else f"{many(len(rows), 'step')} of {total:,}; esc shows all"
        )
        self.tell(none, "" if rows else "warn")

    @property
    def _has_unfiltered(self) -> bool:
        return self._filtered_to < len(self.replay) or bool(self._unfiltered)

    async def _filter_more(self) -> None:
        """Show what the filter lets through of what it was not asked about yet."""
        condition = Expression(self._filter)
        total = len(self.replay)
        looked_at = [*sorted(self._unfiltered), *range(self._filtered_to, total)]

        def filter_rows() -> list[bool]:
            holds = condition.condition(self.replay)
            verdicts = []
            for row in looked_at:
                self._beside.check(row)
                verdicts.append(holds(row))
            return verdicts

        try:
            verdicts = await self._beside.do(filter_rows)
        except Stopped:
            self._show_all()
            raise
        if not self.shown.is_filtered:  # another piece of work came before all was looked at
            self.shown.filter(array("I"))
        for row, is_shown in zip(looked_at, verdicts, strict=True):
            self.shown.put(row, is_shown=is_shown)
        self._filtered_to = total
        self._unfiltered.clear()
        self._shown_changed()
        self._stay_at_end()

    def _shown_changed(self, *, keep: bool = False) -> None:
        self.steps.set_count(len(self.shown), keep=keep)
        self._show_head()

    def _find(self, text: str, way: int) -> None:
        if not text:
            self.tell("There is nothing to look for yet: / asks for it.", "warn")
            return
        work = partial(self._find_row, text, way)
        self._start(work, lambda: f"looking for {text!r}{self._at_step()}; esc stops")

    async def _find_row(self, text: str, way: int) -> None:
        at = self.navigator.position
        if at is None:
            return
        if not text:
            self.tell("There is nothing to look for yet: / asks for it.", "warn")
            return
        self._found = text
        shown = self.shown.rows if self.shown.is_filtered else range(len(self.replay))
        place = bisect_left(shown, at)
        is_here = place < len(shown) and shown[place] == at
        rows = shown[place + is_here :] if way > 0 else shown[:place][::-1]

        def find_row() -> int | None:
            holds = self.replay.holds(text)
            return next((row for row in rows if holds(row)), None)

        found = await self._beside.do(find_row)
        if found is not None:
            self._show_outcome(self.navigator.seek(found))
            return
        self.tell(f"There is no {'later' if way > 0 else 'earlier'} step that holds {text!r}.", "warn")

    # -- another run ----------------------------------------------------------------

    def _compare_run(self, text: str) -> None:
        self.tell("comparing …", "dim")
        self.run_worker(self._diff(text), group="diff", exclusive=True)

    async def _diff(self, text: str) -> None:
        from agent_stack._tui._diff_screen import DiffScreen, compare_with

        try:
            found = await asyncio.to_thread(compare_with, str(self.replay.source), self.replay.run_id, text)
        except (StepLogError, OSError) as error:
            self.tell(str(error), "error")
            return
        self.tell("")
        self.push_screen(DiffScreen(found))

    # -- a run that goes on -----------------------------------------------------------

    def _look_after(self) -> None:
        """Say how far things have come, and do what waited for a moment without keys."""
        now = perf_counter()
        if now > self._looked + _READING_S:
            self._looked = now
            if self._doing is not None and now > self._begun + _IDLE_S:
                self.tell(self._doing(), "dim")
            elif self._doing is None and not self._is_read:
                self._look_again()
        if self._doing is None and self._filter and self._has_unfiltered:
            self._start(self._filter_more, lambda: f"filter: more steps{self._at_step()}; esc shows all")
        if self._is_stale and now > self._idle - _IDLE_S + _QUIET_S:
            self._refill()
        if now < self._idle or self._doing is not None or not self._is_read:
            return
        if self._is_growth:
            until = perf_counter() + _SLICE_S
            while perf_counter() < until and self.growth.measure_next():
                pass
        if self._summed is None:
            self._summed = self.navigator.position
            self.run_worker(self._sum_up(), group="sums", exclusive=True)
        elif not self._is_priced:
            self._is_priced = True
            self.run_worker(self._load_prices(), group="prices")

    async def _load_prices(self) -> None:
        """Show what calls cost, once the list of prices has been read beside."""
        if await asyncio.to_thread(_has_prices):
            self.steps.has_prices = True
            self.steps.repaint_all()
        if self._on_loaded is not None:
            self._on_loaded()

    def _look_again(self) -> None:
        """Take in what the run has gained; not while somebody looks at it beside."""
        if self._doing is not None or self._beside.is_busy or (self._is_read and not self._is_watched):
            return
        before, at = len(self.replay), self.navigator.position
        was_read = self._is_read
        try:
            change = self.navigator.refresh()
        except (StepLogError, OSError) as error:
            self._is_read, self._is_watched, self._following = True, False, False
            self.tell(f"The log cannot be read{' any more' if was_read else ''}: {error}", "error")
            self._show_head()
            return
        if change.added or change.changed or change.is_moved:
            if was_read and change.added and not self._following:
                if not self._fresh:
                    self.steps.fresh_from = before
                self._fresh += change.added
            self._take_in(change, before, is_first=at is None)
        words = self._change_words(change)
        if not was_read and self.replay.is_complete:
            self._is_read = True
            self._is_watched = self.replay.status == "running"
            self._stay_at_end()  # it was asked for while the log was read
            self._following &= self._is_watched
        if self._is_watched and self.replay.status != "running":
            self._is_watched = self._following = False
            words += f" The run has ended: {self.replay.status}."
        if words:
            self.tell(words.strip(), "warn" if change.kind in _CHANGES else "note")
        self._show_head()

    def _take_in(self, change: Change, before: int, *, is_first: bool) -> None:
        """Show what has come."""
        self.steps.forget_rows(change.changed)
        if change.is_moved:
            self.shown.folded.clear()
            self.steps.forget()
        if self._filter and change.is_moved:
            self._refilter()
        elif self._filter:
            self._unfiltered.update(change.changed)
        elif change.is_moved:
            self.shown.show_all()
        else:
            self.shown.grow(before)
        self._show_marks()
        is_wider = len(str(before)) != len(str(len(self.replay)))
        self._shown_changed(keep=not change.is_moved and not is_wider)
        at = self.navigator.position
        if is_first or change.is_moved or at in change.changed:
            self._follow_cursor()
        self._stay_at_end()

    def _stay_at_end(self) -> None:
        """Follow the end of what is shown."""
        if self._following and len(self.shown):
            row = self.shown.row_at(len(self.shown) - 1)
            if row != self.navigator.position:
                self.navigator.seek(row)
                self._follow_cursor()

    def _change_words(self, change: Change) -> str:
        """Return what became of the log, once."""
        is_known = change.kind == "gone" and self._is_gone
        self._is_gone = change.kind == "gone"
        return "" if is_known else _CHANGES.get(change.kind, "")

    def _toggle_follow(self) -> None:
        if self._following:
            self._following = False
            self.tell("not following any more", "dim")
            self._show_head()
            return
        self._is_watched |= self._is_read
        self._step(self.steps.count) if self._moved_list() is self.steps else None
        self._follow()
        self._stay_at_end()
        if self._is_read and self.replay.status != "running":
            self.tell(f"following; the run is not going on: {self.replay.status}", "dim")
        self.steps.repaint_all()

    # -- the bars -------------------------------------------------------------------

    def tell(self, text: str, style: str = "") -> None:
        """Show one message until the next key."""
        self.message = text
        self.bars["message"].show(Line().add(text, style, max(self.size.width, 20)))

    def _show_marks(self) -> None:
        marks = {row.row: name for name, row in self.navigator.marks.marks.items()}
        if marks != self.steps.marks:
            self.steps.marks = marks
            self.steps.repaint_all()

    def _show_head(self) -> None:
        replay, row = self.replay, self.navigator.row
        header = replay.header
        sign, style = SIGNS.get(replay.status, ("?", "dim"))
        line = Line(" ").add(header.agent or "run" if header is not None else "run", "title", 30)
        if self._is_read:  # how it ended stands at its end
            line.add(f"  {sign} {replay.status}", style)
        if row is not None:
            line.add(f"  row {row.row + 1:,} of {len(replay):,}{'' if self._is_read else ' so far'}", "")
        if not self._is_read:
            line.add(f"  reading {replay.progress:.0%}", "note")
        if self._filter:
            line.add("  filter ", "dim").add(self._filter, "note", 30).add(f" {len(self.shown):,} shown", "")
        if self.shown.folded:
            line.add(f"  {many(len(self.shown.folded), 'fold')}", "dim")
        if self._following:
            line.add("  ● following", "ok")
        elif self._is_watched:
            line.add("  ● live", "ok")
        if self._fresh:
            line.add(f"  {self._fresh:,} new", "warn_bold")
        if replay.damage:
            line.add(f"  ▲ {many(len(replay.damage), 'damaged stretch', 'damaged stretches')}", "warn")
        self.bars["head"].show(line, Line().add(replay.run_id, "dim", 40).add(" "))

    async def _sum_up(self) -> None:
        """Show the sums so far at the margin."""
        at = self.navigator.position
        if at is None:
            return
        try:
            totals = await self._beside.do(partial(self.replay.totals, at))
        except Stopped:
            if self._summed == at:
                self._summed = None
            return
        bound = "" if totals.tokens_known else "≥"
        line = Line("so far ", "dim")
        line.add(f"{bound}{count(totals.input_tokens)} in, {bound}{count(totals.output_tokens)} out")
        if totals.cost_usd is not None:
            line.add(f"  {'' if totals.is_cost_whole else '≥'}${totals.cost_usd:,.4f}")
        if totals.errors:
            line.add(f"  ✗ {totals.errors:,}", "error")
        self.bars["message"].show_right(line.add(f"  {duration(totals.elapsed_ms)} ", "dim"))

    def _show_hints(self) -> None:
        hints = _HINTS[
            "pane" if self.screen.focused is self.pane else "growth" if self._is_growth else "steps"
        ]
        line = Line(" ")
        for key, words in hints:
            if line.width + len(key) + len(words) + 21 <= self.size.width:
                line.add(key, "bold").add(f" {words}  ", "dim")
        for key, words in (("?", "help"), ("q", "quit")):
            line.add(key, "bold").add(f" {words}  ", "dim")
        self.bars["hints"].show(line)


def _has_prices() -> bool:
    """Read the list of prices; return whether there is one."""
    from agent_step_log.errors import MissingExtraError

    try:
        from agentsnap import Prices

        _ = Prices.load().version
    except MissingExtraError:
        return False
    return True


assert len(TABS) == 7  # keys 1 to 7
