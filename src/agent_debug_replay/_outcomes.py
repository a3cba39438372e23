"""What a command of the navigator comes to: plain facts, which every front shows in its own way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from agent_debug_replay._child_runs import ChildRun
    from agent_debug_replay._context import FileTouch, Message, State
    from agent_debug_replay._diff_fields import FieldChange
    from agent_debug_replay._rows import StepRow
    from agenttap import TapedExchange

__all__ = [
    "Changes",
    "Context",
    "Files",
    "Help",
    "Hit",
    "Listing",
    "Marks",
    "MoveEnd",
    "Moved",
    "Note",
    "Notes",
    "Outcome",
    "Quit",
    "StateShown",
    "StopInfo",
    "Stops",
    "Tabulated",
    "Value",
    "Where",
    "Wire",
]

#: How a move ended: where it was going; at a stop; at the first or last row; or there is nothing such.
MoveEnd: TypeAlias = Literal["arrived", "stopped", "start", "end", "nowhere"]


@dataclass(frozen=True)
class Hit:
    """A stop that was hit.

    Attributes:
        stop: Its number.
        kind: break, watch or catch.
        text: The command that made it.
        detail: What happened, for eyes: ``model: "a" → "b"``.
    """

    stop: int
    kind: Literal["break", "watch", "catch"]
    text: str
    detail: str = ""


@dataclass(frozen=True)
class Moved:
    """The cursor was moved, or could not be.

    Attributes:
        row: Where it is now; None in a run without steps.
        before: Where it was.
        end: How the move ended.
        hits: The stops hit, when it stopped at some.
        message: One sentence when there is something to say, such as that this is the last step.
    """

    row: int | None
    before: int | None
    end: MoveEnd
    hits: tuple[Hit, ...] = ()
    message: str = ""

    @property
    def is_moved(self) -> bool:
        """Whether it is another row."""
        return self.row != self.before


@dataclass(frozen=True)
class StopInfo:
    """A breakpoint, watch or catch point as it stands.

    Attributes:
        number: As the other commands name it.
        kind: break, watch or catch.
        text: The command that makes it again.
        is_enabled: Whether it stops anything.
        is_temporary: It goes away when it is hit.
        ignore: So many hits to come are passed over.
        hits: How often it was hit, those passed over too.
    """

    number: int
    kind: Literal["break", "watch", "catch"]
    text: str
    is_enabled: bool = True
    is_temporary: bool = False
    ignore: int = 0
    hits: int = 0


@dataclass(frozen=True)
class Stops:
    """The stops there are, or, of a command that made or changed one, that one."""

    stops: tuple[StopInfo, ...]


@dataclass(frozen=True)
class Value:
    """What an expression is at the cursor.

    Attributes:
        expression: As it was written.
        value: Any value JSON has; None for null, and where *is_missing*.
        is_missing: The step does not have it.
        is_whole: Whether to show all of it (``pp``).
    """

    expression: str
    value: Any
    is_missing: bool = False
    is_whole: bool = False


@dataclass(frozen=True)
class Listing:
    """Rows around the cursor, in order."""

    rows: tuple[StepRow, ...]
    row: int | None


@dataclass(frozen=True)
class Where:
    """The steps the cursor is inside of, the outermost first, the cursor's own last.

    Attributes:
        rows: The steps.
        children: The runs that the cursor's own started, the first begun first; of a `Descent` alone.
    """

    rows: tuple[StepRow, ...]
    children: tuple[ChildRun, ...] = ()


@dataclass(frozen=True)
class Context:
    """The messages the model saw.

    Attributes:
        row: The model call they were sent with; None when there is none up to the cursor.
        messages: In order.
        source: tape (what was sent), record (as the step log has it), steps (put together from
            the steps before) or none.
        added: Of a difference: how many of the messages, counted from the end, are new since the call before.
        is_difference: Only what is new was asked for.
        dropped: Messages of the call before that are not there any more.
        is_whole: Whether to cut nothing.
    """

    row: StepRow | None
    messages: tuple[Message, ...]
    source: str
    added: int | None = None
    is_difference: bool = False
    dropped: int = 0
    is_whole: bool = False


@dataclass(frozen=True)
class Wire:
    """The exchange of a model call.

    Attributes:
        row: The model call.
        exchange: None when there is no tape, or the call is not on it.
        part: request, response or events.
        is_whole: Whether to cut nothing.
        message: Why there is none, in a sentence.
    """

    row: StepRow | None
    exchange: TapedExchange | None
    part: Literal["request", "response", "events"]
    is_whole: bool = False
    message: str = ""


@dataclass(frozen=True)
class Changes:
    """What differs between two steps.

    Attributes:
        before, after: The steps; None where there is no such step.
        changes: Field by field, at most 1,000.
        message: One sentence when they were not compared.
    """

    before: StepRow | None
    after: StepRow | None
    changes: tuple[FieldChange, ...] = ()
    message: str = ""


@dataclass(frozen=True)
class Files:
    """The files that steps up to the cursor named, in the order they were named last."""

    files: tuple[FileTouch, ...]


@dataclass(frozen=True)
class Tabulated:
    """What expressions are on every row that matches: printing put into the past.

    Attributes:
        columns: The expressions.
        rows: Each row's number, and the values; `agent_debug_replay.MISSING` where a step has none.
        left_out: Rows that matched beyond the most that are kept.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[StepRow, tuple[Any, ...]], ...]
    left_out: int = 0


@dataclass(frozen=True)
class StateShown:
    """The state at the cursor."""

    state: State | None


@dataclass(frozen=True)
class Marks:
    """The marks there are: name and row."""

    marks: dict[str, StepRow] = field(default_factory=dict)


@dataclass(frozen=True)
class Notes:
    """The notes there are, or, of a command that made one, that one: row and text, in the order of rows."""

    notes: tuple[tuple[StepRow, str], ...] = ()


@dataclass(frozen=True)
class Help:
    """Help on a topic; "" is the list of commands."""

    topic: str


@dataclass(frozen=True)
class Note:
    """A sentence, and nothing else."""

    text: str


@dataclass(frozen=True)
class Quit:
    """The end of the session was asked for."""


Outcome: TypeAlias = (
    Moved
    | Stops
    | Value
    | Listing
    | Where
    | Context
    | Wire
    | Changes
    | Files
    | Tabulated
    | StateShown
    | Marks
    | Notes
    | Help
    | Note
    | Quit
)
