"""Lines of commands: done at once or beside the screen, and what they come to shown."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from agent_debug_replay import (
    Changes,
    CommandLineError,
    CompareSteps,
    EnterRun,
    Export,
    Expression,
    ExpressionError,
    Find,
    Go,
    Help,
    Look,
    Moved,
    Note,
    Notes,
    Play,
    Quit,
    SetMark,
    SetNote,
    Stops,
    Tabulate,
    Until,
    Value,
    Walk,
    parse_commands,
)
from agent_stack._tui._playing import Playing
from agent_step_log.errors import StepLogError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent_debug_replay import Command, Outcome, Replay
    from agent_stack._tui._keymap import Keymap

__all__ = ["Commanding"]

_MANY = 100_000  # rows from which a walk over all of them is no longer done between two keys


class Commanding(Playing):
    """A list that takes the language of the debugger.

    Attributes:
        keymap: Key to action or line of commands.
    """

    def __init__(
        self, replay: Replay, keymap: Keymap, *, on_loaded: Callable[[], None] | None = None
    ) -> None:
        super().__init__(replay, on_loaded)
        self.keymap = keymap

    async def do_line(self, text: str) -> bool:
        """Do a line of commands; return whether it was understood."""
        try:
            commands = parse_commands(text)
        except (CommandLineError, ExpressionError) as error:
            self.tell(f"{error.why} (column {error.column + 1})", "error")
            return False
        if any(map(self._is_long, commands)):
            self._do_line_beside(text)
            return True
        try:
            for command in commands:
                self._show_done(command, await self._cross(command, self.navigator.do(command)))
        except StepLogError as error:
            self.tell(str(error), "error")
        return True

    def _do_line_beside(self, text: str) -> None:
        work = partial(self._do_beside, parse_commands(text))
        self._start(work, self._words_of(text), is_commanded=True)

    def _is_long(self, command: Command) -> bool:
        """Whether *command* may have to read many records, or to pass very many rows."""
        if isinstance(command, Find | Until | Tabulate | CompareSteps | EnterRun | Export | Play):
            return True
        if isinstance(command, Walk):
            row = self.navigator.row
            is_in = command.move == ("out" if command.is_reverse else "in")
            is_leaf = row is not None and not row.has_children  # the runs it started are looked for
            return command.move == "continue" or len(self.replay) > _MANY or (is_in and is_leaf)
        if isinstance(command, Go):
            return command.target.kind in ("id", "time", "clock") or len(self.replay) > _MANY
        return isinstance(command, Look) and command.what in ("files", "state", "context", "wire", "where")

    async def _do_beside(self, commands: list[Command]) -> None:
        try:
            for command in commands:
                if isinstance(command, Find):
                    await self._find_row(command.text or self._found, -1 if command.is_reverse else 1)
                elif isinstance(command, Play):
                    await self._play(command.speed)
                else:
                    if isinstance(command, Export) and command.condition is None and self.view.filter:
                        command = replace(command, condition=Expression(self.view.filter))
                    outcome = await self.view.beside.do(partial(self.navigator.do, command))
                    self._show_done(command, await self._cross(command, outcome))
        except StepLogError as error:
            self.tell(str(error), "error")

    def _show_done(self, command: Command, outcome: Outcome) -> None:
        if isinstance(command, SetMark):
            self._show_marks()
            self.tell(f"marked {command.name}", "note")
        elif isinstance(command, SetNote):
            self._show_marks()
            self.tell("The note was taken away." if command.text is None else f"✎ {command.text}", "note")
        else:
            self._show_outcome(outcome)

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
        if len(result.lines) == 1 and isinstance(outcome, Note | Notes | Value | Stops | Changes):
            self.bars["message"].show(result.lines[0])
            self.message = str(result.lines[0])
            if not isinstance(outcome, Value) or result.lines[0].width <= self.size.width:
                return
        self._show_lines(result.title, result.lines, result.targets)

    def _help(self) -> None:
        from agent_stack._tui._help import help_lines
        from agent_stack._tui._sheet import Sheet

        self.push_screen(Sheet("Keys and commands", lambda width: help_lines(self.keymap, width)))
