"""The application: what every key, click and typed line comes to.

It stands on its parts, each of which knows of those before it: `Frame` (what is on the screen), `Working`
(work beside it), `Cursor`, `Filtering`, `Growing` (a run that goes on), `Commanding`.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING

from textual import events

from agent_stack._render.figures import many
from agent_stack._render.lines import Line
from agent_stack._tui._bars import Prompt
from agent_stack._tui._commanding import Commanding
from agent_stack._tui._cursor import IDLE_S
from agent_stack._tui._keymap import ACTIONS
from agent_step_log.errors import StepLogError

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.widgets import Input

    from agent_debug_replay import Replay
    from agent_stack._tui._keymap import Keymap
    from agent_stack._tui._painted import Painted

__all__ = ["ReplayApp"]

_COPIED = 100_000  # characters: terminals take no more
#: Actions that leave the cursor of the run where it is; the first only when the pane has the focus.
_SCROLLS = {"down", "up", "page-down", "page-up", "first", "last"}
_LOOKS = {"next-pane", "previous-pane", "open", "wire", "cancel", "help", "quit"}
_PROMPTS = {"command": ":", "find": "/", "filter": "filter: ", "run": "compare with RUN or FILE[:RUN]: "}


class ReplayApp(Commanding):
    """The debugger on one run, and those its steps started.

    Args:
        replay: The run; may still be being read.
        keymap: Key to action or line of commands.
        on_loaded: Called when more has been loaded that stays as long as the screen. Default: nothing is.
    """

    def __init__(
        self, replay: Replay, keymap: Keymap, *, on_loaded: Callable[[], None] | None = None
    ) -> None:
        super().__init__(replay, keymap, on_loaded=on_loaded)
        self._pending = ""  # what the next key is for
        self._is_up = False

    def on_mount(self) -> None:
        """Show the run, and begin to look after it."""
        self.find_parts()
        self._is_up = True
        self._lay_out(self.size.width, self.size.height)
        self.screen.set_focus(self.steps)
        self._show_hints()
        self._follow_cursor()
        self.look_after_run()

    def on_resize(self, event: events.Resize) -> None:
        """Put the parts where there is room for them."""
        if self._is_up:
            self._lay_out(event.size.width, event.size.height)
            self._show_head()
            self._show_hints()
            # Only then the pane has its new width.
            self.call_after_refresh(self._refill)

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
        self._idle = perf_counter() + IDLE_S
        self._is_tidy = False
        if not meaning:
            return True
        if self._is_playing and meaning == "play":
            self._cancel()
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
            self._ask(name, self.view.filter if name == "filter" else "")
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

    async def on_painted_picked(self, message: Painted.Picked) -> None:
        """Go to what was clicked."""
        await self._stop_commands()
        if message.clicked is self.steps:
            self._show_moved(self.navigator.seek(self.view.shown.row_at(message.place)))
        elif message.clicked is self.growth:
            self.growth.put_cursor(message.place)
        elif message.clicked is self.pane:
            self.pane.put_cursor(message.place)

    def _enter(self) -> None:
        if self.focused is self.pane:
            target = self.pane.targets.get(self.pane.cursor or 0) if self.pane.has_targets else None
            if isinstance(target, str):
                self._do_line_beside(target)
            elif target is not None:
                result, lines, targets = self._result, self.pane.lines, self.pane.targets
                cursor = self.pane.cursor
                self._show_moved(self.navigator.seek(target))
                # The hits stay, to go on to the next of them.
                self._show_lines(result, lines, targets)
                self.pane.put_cursor(cursor)
            return
        if self._is_growth:
            row = self.growth.row
            self._toggle_growth()
            if row is not None:
                self._show_moved(self.navigator.seek(row))
            return
        self._switch_pane()

    def _switch_pane(self) -> None:
        if self.focused is self.pane:
            self._focus_list()
        else:
            self._focus_pane()

    def _cancel(self) -> None:
        if self._is_playing:
            self.workers.cancel_group(self, "scan")
            self.tell("stopped", "dim")
            return
        if self._doing is not None:
            self.view.beside.stop()
            return
        if self._result:
            self._result = ""
            self._refill()
            self._focus_list()
        elif self.focused is self.pane:
            self._focus_list()
        elif self._is_growth:
            self._toggle_growth()
        elif self.view.shown.is_filtered:
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
