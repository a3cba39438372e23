"""The commands of the debugger as data: what a line of text, a key or a program asks of the navigator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from agent_debug_replay._expr import Expression

__all__ = [
    "CATCHES",
    "AddBreak",
    "AddCatch",
    "AddWatch",
    "AtPlace",
    "Command",
    "CompareSteps",
    "EnterRun",
    "Export",
    "Find",
    "Go",
    "GoMark",
    "KeepIn",
    "Look",
    "Play",
    "Print",
    "SetMark",
    "SetNote",
    "SetStop",
    "Show",
    "Tabulate",
    "Target",
    "Until",
    "Walk",
]

#: What `catch` knows, and what its argument is by default.
CATCHES: dict[str, str] = {
    "error": "a step that failed",
    "retry": "a model call that was not the first attempt, or an event that tells of one",
    "loop": "the same call of a tool for the third time in a row, or the same output (catch loop 5)",
    "truncation": "an answer that ended at a limit",
    "refusal": "an answer that was refused or filtered",
    "compaction": "the history was cut or summarised",
    "budget": "tokens so far pass a limit (catch budget 100k), or cost (catch budget cost 0.5)",
    "gap": "nothing happened for so long before the step (catch gap 30s; default 60s)",
}


@dataclass(frozen=True)
class Target:
    """Where `goto` goes.

    Attributes:
        kind: step (number, maybe of a writer), row (place in the list, from 0), percent (of the rows), time
            (seconds after the run began), clock (Unix seconds), start, end, or id (of a call).
        value: The number, or the text.
        writer: Of a step.
    """

    kind: Literal["step", "row", "percent", "time", "clock", "start", "end", "id"]
    value: float | str = 0
    writer: str | None = None


@dataclass(frozen=True)
class AtPlace:
    """Which steps a breakpoint is at: of a type, of a name (``*`` stands for any characters), or both."""

    type: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class Walk:
    """A move by count. *is_reverse* goes the other way.

    next: the following step beside this one. step: the following row, whatever its depth. in: the
    first step below (reverse: the step above). out: the step above. finish: behind the step this one
    is in. turn, peer, error: the following turn of the dialogue, step of the same type and name, step
    that failed. continue: to the next stop. back, forward: in the history of visits.
    """

    move: Literal[
        "next", "step", "in", "out", "finish", "turn", "peer", "error", "continue", "back", "forward"
    ]
    count: int = 1
    is_reverse: bool = False


@dataclass(frozen=True)
class EnterRun:
    """Go into a run that the step at the cursor started: the first, the second, counted from 1."""

    number: int = 1


@dataclass(frozen=True)
class Until:
    """Go to the following row where a condition holds."""

    condition: Expression
    is_reverse: bool = False


@dataclass(frozen=True)
class Go:
    """Go to a place."""

    target: Target


@dataclass(frozen=True)
class AddBreak:
    """Stop at steps of a place, where a condition holds."""

    place: AtPlace | None = None
    condition: Expression | None = None
    is_temporary: bool = False
    step: Target | None = None


@dataclass(frozen=True)
class AddWatch:
    """Stop where a value is not what it was the last time a step had it."""

    expression: Expression


@dataclass(frozen=True)
class AddCatch:
    """Stop at what goes wrong; see `CATCHES`."""

    kind: str
    limit: float | None = None
    of: Literal["tokens", "cost"] = "tokens"


@dataclass(frozen=True)
class SetStop:
    """Change stops: enable, disable, delete, ignore (so many hits), condition (another one, or none)."""

    action: Literal["enable", "disable", "delete", "ignore", "condition"]
    numbers: tuple[int, ...] = ()
    count: int = 0
    condition: Expression | None = None


@dataclass(frozen=True)
class Find:
    """Go to the next step whose records hold a text, case aside; None: the text looked for last."""

    text: str | None
    is_reverse: bool = False


@dataclass(frozen=True)
class SetMark:
    """Give the step at the cursor a name."""

    name: str


@dataclass(frozen=True)
class SetNote:
    """Write a text beside the step at the cursor, for whoever looks; None: take it away."""

    text: str | None


@dataclass(frozen=True)
class KeepIn:
    """Write the marks and notes there are to a file, or take over those it has."""

    action: Literal["save", "load"]
    path: str


@dataclass(frozen=True)
class Export:
    """Write the lines of steps to a new file.

    Attributes:
        path: The file.
        first, last: From where to where, or marks by their names; None: from the start, or to the end.
        condition: Only steps where it holds.
    """

    path: str
    first: Target | None = None
    last: Target | None = None
    condition: Expression | None = None


@dataclass(frozen=True)
class Play:
    """Go on to the next stop at the pace the run had, *speed* times as fast; only a screen waits."""

    speed: float = 1.0


@dataclass(frozen=True)
class GoMark:
    """Go to a mark."""

    name: str


@dataclass(frozen=True)
class Print:
    """Tell what an expression is at the cursor; *is_whole*: all of it. *is_kept*: after every stop."""

    expression: Expression
    is_whole: bool = False
    is_kept: bool = False


@dataclass(frozen=True)
class Tabulate:
    """Tell what expressions are on every step where a condition holds."""

    expressions: tuple[Expression, ...]
    condition: Expression | None = None


@dataclass(frozen=True)
class Look:
    """Look at the surroundings of the cursor.

    list (*count* rows), where, context (*is_difference*: what was added since the call before), wire
    (*part*), files, state. *is_whole*: nothing of it is cut.
    """

    what: Literal["list", "where", "context", "wire", "files", "state"]
    count: int = 0
    is_difference: bool = False
    part: Literal["request", "response", "events"] = "request"
    is_whole: bool = False


@dataclass(frozen=True)
class CompareSteps:
    """Tell what differs between a step and that at the cursor; None: the one before of its type and name."""

    target: Target | None = None


@dataclass(frozen=True)
class Show:
    """Show what the session has: its stops, marks and notes, help on a topic, what `display` keeps, the
    command line that leads here; or end it.
    """

    what: Literal["stops", "marks", "notes", "help", "displays", "undisplay", "command", "quit"]
    topic: str = ""


Command: TypeAlias = (
    Walk
    | EnterRun
    | Until
    | Go
    | AddBreak
    | AddWatch
    | AddCatch
    | SetStop
    | Find
    | SetMark
    | SetNote
    | KeepIn
    | Export
    | Play
    | GoMark
    | Print
    | Tabulate
    | Look
    | CompareSteps
    | Show
)
