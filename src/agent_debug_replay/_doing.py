"""Commands done: each handed to the method of the navigator it is about."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent_debug_replay._commands import (
    AddBreak,
    AddCatch,
    AddWatch,
    Command,
    CompareSteps,
    EnterRun,
    Export,
    Find,
    Go,
    GoMark,
    KeepIn,
    Look,
    Play,
    Print,
    SetMark,
    SetNote,
    SetStop,
    Show,
    Tabulate,
    Until,
    Walk,
)
from agent_debug_replay._expr import MISSING
from agent_debug_replay._outcomes import Help, Moved, Note, Quit, Stops, Value

if TYPE_CHECKING:
    from agent_debug_replay._navigator import Navigator
    from agent_debug_replay._outcomes import Outcome

__all__ = ["do"]


def do(navigator: Navigator, command: Command) -> Outcome:
    """Do *command*; see `Navigator.do`."""
    if isinstance(command, Walk):
        return _walk(navigator, command)
    if isinstance(command, EnterRun):
        here = navigator.position  # a navigator is of one run; `Descent` goes into others
        return Moved(here, here, "nowhere", (), "No run that this step started is at hand.")
    if isinstance(command, Until):
        return navigator.until(command.condition, reverse=command.is_reverse)
    if isinstance(command, Go):
        return navigator.seek(command.target)
    if isinstance(command, Find):
        return navigator.find(command.text, reverse=command.is_reverse)
    if isinstance(command, SetMark):
        return navigator.mark(command.name)
    if isinstance(command, GoMark):
        return navigator.go_to_mark(command.name)
    if isinstance(command, SetNote):
        return navigator.note(command.text)
    if isinstance(command, KeepIn):
        keep = navigator.save if command.action == "save" else navigator.load
        return Note(keep(command.path))
    if isinstance(command, Export):
        return Note(
            navigator.export(
                command.path, first=command.first, last=command.last, condition=command.condition
            )
        )
    if isinstance(command, Play):
        return navigator.resume()
    if isinstance(command, AddBreak | AddWatch | AddCatch):
        return Stops((navigator.add(command),))
    if isinstance(command, SetStop):
        return Stops(
            navigator.change(
                command.action, command.numbers, count=command.count, condition=command.condition
            )
        )
    if isinstance(command, Print):
        return _print(navigator, command)
    if isinstance(command, Tabulate):
        return navigator.tabulate(command.expressions, command.condition)
    if isinstance(command, CompareSteps):
        return navigator.changes(command.target)
    return _look(navigator, command) if isinstance(command, Look) else _show(navigator, command)


def _walk(navigator: Navigator, walk: Walk) -> Moved:
    count = -walk.count if walk.is_reverse else walk.count
    if walk.move == "continue":
        return navigator.resume(reverse=walk.is_reverse)
    if walk.move == "in":
        return navigator.out() if walk.is_reverse else navigator.step_in()
    if walk.move == "out":
        return navigator.step_in() if walk.is_reverse else navigator.out(walk.count)
    if walk.move == "finish":
        return navigator.out() if walk.is_reverse else navigator.finish()
    moves = {
        "next": navigator.next,
        "step": navigator.step,
        "turn": navigator.turn,
        "peer": navigator.peer,
        "error": navigator.error,
        "back": navigator.back,
        "forward": navigator.forward,
    }
    return moves[walk.move](count)


def _print(navigator: Navigator, command: Print) -> Value:
    if command.is_kept:
        navigator.keep_display(command.expression)
    value = navigator.value(command.expression)
    is_missing = value is MISSING
    return Value(command.expression.text, None if is_missing else value, is_missing, command.is_whole)


def _look(navigator: Navigator, look: Look) -> Outcome:
    if look.what == "list":
        return navigator.listing(look.count)
    if look.what == "context":
        return replace(navigator.context(difference=look.is_difference), is_whole=look.is_whole)
    if look.what == "wire":
        return replace(navigator.wire(look.part), is_whole=look.is_whole)
    if look.what == "where":
        return navigator.where()
    return navigator.files() if look.what == "files" else navigator.state()


def _show(navigator: Navigator, show: Show) -> Outcome:
    if show.what == "stops":
        return Stops(navigator.stops)
    if show.what == "marks":
        return navigator.marks
    if show.what == "notes":
        return navigator.notes
    if show.what == "help":
        return Help(show.topic)
    if show.what == "quit":
        return Quit()
    if show.what == "command":
        return Note(navigator.command_line())
    if show.what == "undisplay":
        navigator.drop_displays()
        return Note("Nothing is shown after moves now.")
    shown = ", ".join(expression.text for expression in navigator.displays)
    return Note(f"Shown after moves: {shown}." if shown else "Nothing is shown after moves.")
