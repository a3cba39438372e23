"""Following a stream of records so that every model call is counted once, and once only.

- Only leaves count: a model call inside which others were made is a wrapper of theirs, and so
  is an `agent_call`. Where a wrapper tells tokens of its own they are compared with the sum of
  its leaves, and so are the totals a run tells at its end with the sum of its calls.
- A log that is there twice (copied, or packed beside the plain one) begins with a header that was
  met before, of the same moment: of its records only those are counted that are new.
- A call that began and has no end (its writer was killed, or goes on) is one of unknown cost.

Memory follows the runs and the scopes still open, not the records.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agent_step_log import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MISSING", "UNFINISHED", "Ledger", "Problem", "RunState"]

_MOST_PROBLEMS = 1000
_NO_HEADER = -1.0
#: Of a run in `incomplete`.
MISSING = "calls of a run are missing, as it says itself"
#: Of a call that `unfinished` yields.
UNFINISHED = "it began and has no end: what it cost is not known"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a log that cannot be, or that does not add up.

    Attributes:
        step: 0 for the run as a whole.
        what: In words, with the figures.
    """

    run_id: str
    step: int
    what: str


@dataclass(slots=True)
class Scope:
    """What the leaves inside of one open step came to."""

    input_tokens: int = 0
    output_tokens: int = 0
    calls: int = 0
    is_whole: bool = True

    def add(self, other: Scope) -> None:
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.calls += other.calls
        self.is_whole = self.is_whole and other.is_whole


@dataclass(slots=True)
class RunState:
    """What is remembered of a run while its records pass.

    Attributes:
        agent, task_type, session_id, parent_run_id: From its header.
        tools: For each lane (writer and parent), the tools answered since the last model call.
    """

    agent: str | None = None
    task_type: str | None = None
    session_id: str | None = None
    parent_run_id: str | None = None
    tools: dict[tuple[str | None, int | None], set[str]] = field(default_factory=dict)
    scopes: dict[tuple[str | None, int], Scope] = field(default_factory=dict)
    total: Scope = field(default_factory=Scope)
    #: what each writer writes now: itself, and when its header says it began
    parts: dict[str | None, tuple[str | None, float]] = field(default_factory=dict)
    #: highest step met of each such part, and the step up to which a repeated header voids records
    reached: dict[tuple[str | None, float], int] = field(default_factory=dict)
    voided: dict[str | None, int] = field(default_factory=dict)
    #: model calls that have begun, without an end so far
    begun: dict[tuple[str | None, int], Record] = field(default_factory=dict)
    wrappers: int = 0
    #: the input of every call so far was told exactly
    is_input_whole: bool = True


class Ledger:
    """Yields the model calls of a stream of records that count, with the state of their run.

    Attributes:
        runs: State by run id.
        problems: What does not add up; at most 1,000, `problem_count` counts on.
        wrapper_count: Model calls that were not counted because others were made inside them.
        repeated_count: Records that were there twice.
        incomplete: Runs that say at their end that calls of theirs are missing in the log (a subagent
            whose transcript is gone).
    """

    def __init__(self, *, watches_tools: bool = False) -> None:
        self.runs: dict[str, RunState] = {}
        self.problems: list[Problem] = []
        self.problem_count = 0
        self.wrapper_count = 0
        self.repeated_count = 0
        self.incomplete: list[str] = []
        self._watches_tools = watches_tools

    def take(self, record: Record) -> RunState | None:
        """Take the next record; return its run's state if it is a model call that counts."""
        kind = record.type
        state = self.runs.get(record.run_id)
        if state is None:
            state = self.runs[record.run_id] = RunState()
        if kind == "run_start":
            self._begin(state, record)
            return None
        writer, step = record.writer, record.step
        if state.voided and step <= state.voided.get(writer, -1):
            self.repeated_count += kind == "llm_call"
            return None
        part = state.parts.get(writer)
        if part is None:
            part = state.parts[writer] = (writer, _NO_HEADER)
        if step > state.reached.get(part, 0):
            state.reached[part] = step
        if kind == "llm_call":
            if state.begun:
                state.begun.pop((writer, step), None)
            return state if self._counts(state, record) else None
        if kind == "agent_call":
            self._close(state, record)
        elif kind == "tool_call":
            if self._watches_tools:
                lane = (writer, record.parent)
                state.tools.setdefault(lane, set()).add(record.tool or "?")
        elif kind == "step_start":
            if record.of == "llm_call":
                state.begun[writer, step] = _as_call(record)
        elif kind == "run_end":
            self._end(state, record)
        return None

    def unfinished(self) -> Iterator[tuple[Record, RunState]]:
        """Yield the model calls that began and have no end, when all records have been taken."""
        for state in self.runs.values():
            for record in state.begun.values():
                yield record, state

    def tools_before(self, state: RunState, record: Record) -> str | None:
        """Return the tools answered since the last model call of the same scope, and forget them."""
        names = state.tools.pop((record.writer, record.parent), None)
        return " + ".join(sorted(names)) if names else None

    def tell(self, run_id: str, step: int, what: str) -> None:
        """Note a problem."""
        self.problem_count += 1
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(Problem(run_id, step, what))

    def root_of(self, run_id: str) -> str:
        """Return the run that started the run that started … *run_id*."""
        seen = {run_id}
        while True:
            state = self.runs.get(run_id)
            parent = state.parent_run_id if state is not None else None
            if parent is None or parent in seen:
                return run_id
            seen.add(parent)
            run_id = parent

    def descendants(self, run_id: str) -> Iterator[str]:
        """Yield the runs started from *run_id*, directly or not, itself left out."""
        for other in self.runs:
            current: str | None = other
            seen: set[str] = set()
            while current is not None and current not in seen:
                seen.add(current)
                state = self.runs.get(current)
                current = state.parent_run_id if state is not None else None
                if current == run_id:
                    yield other
                    break

    def _begin(self, state: RunState, record: Record) -> None:
        part = (record.writer, record.ts)
        state.parts[record.writer] = part
        if part in state.reached:
            state.voided[record.writer] = state.reached[part]
            return
        state.voided.pop(record.writer, None)
        state.reached[part] = 0
        metadata = record.metadata if type(record.metadata) is dict else {}
        session = metadata.get("session_id")
        state.agent = state.agent or record.agent
        state.task_type = state.task_type or record.task_type
        state.session_id = state.session_id or (session if type(session) is str else None)
        state.parent_run_id = state.parent_run_id or record.parent_run_id

    def _counts(self, state: RunState, record: Record) -> bool:
        inside = state.scopes.pop((record.writer, record.step), None) if state.scopes else None
        if inside is not None and inside.calls:
            state.wrappers += 1
            self.wrapper_count += 1
            self._compare(record, inside, "the calls inside it")
            self._hand_up(state, record, inside)
            return False
        put, out, total = record.input_tokens, record.output_tokens, state.total
        total.calls += 1
        if put is None or out is None:
            total.is_whole = False
        if put is None or record.bounds is not None:
            state.is_input_whole = False
        total.input_tokens += put or 0
        total.output_tokens += out or 0
        if record.parent is not None:
            self._hand_up(state, record, Scope(put or 0, out or 0, 1, put is not None and out is not None))
        return True

    def _close(self, state: RunState, record: Record) -> None:
        inside = state.scopes.pop((record.writer, record.step), None)
        if inside is not None:
            if record.input_tokens is not None or record.output_tokens is not None:
                self._compare(record, inside, "the model calls inside it")
            self._hand_up(state, record, inside)

    def _hand_up(self, state: RunState, record: Record, inside: Scope) -> None:
        if record.parent is None:
            return
        writer = record.writer
        if record.parent_writer is not None:
            writer = record.parent_writer or None
        key = (writer, record.parent)
        scope = state.scopes.get(key)
        if scope is None:
            scope = state.scopes[key] = Scope()
        scope.add(inside)

    def _compare(self, record: Record, inside: Scope, words: str) -> None:
        for name in ("input_tokens", "output_tokens"):
            said, found = getattr(record, name), getattr(inside, name)
            if said is None or said == found or (not inside.is_whole and said > found):
                continue
            label = name.replace("_", " ")
            self.tell(
                record.run_id, record.step, f"tells {said:,} {label}, {words} come to {found:,}: these count"
            )

    def _end(self, state: RunState, record: Record) -> None:
        state.tools.clear()
        totals = record.totals if type(record.totals) is dict else None
        bounds = totals.get("bounds") if totals is not None else None
        if type(bounds) is dict and bounds.get("input_tokens") == "lower" and state.is_input_whole:
            self.incomplete.append(record.run_id)
        # What a run of several writers came to, none of them may have been able to read.
        if totals is None or "bounds" in totals or state.wrappers or state.voided or len(state.reached) > 1:
            return
        said: dict[str, Any] = totals
        for name in ("input_tokens", "output_tokens"):
            told, found = said.get(name), getattr(state.total, name)
            if type(told) is int and told != found and said.get("llm_call_count") == state.total.calls:
                label = name.replace("_", " ")
                self.tell(
                    record.run_id,
                    0,
                    f"its end tells {told:,} {label}, its calls come to {found:,}: these count",
                )


def _as_call(begun: Record) -> Record:
    """Return the call as far as its beginning tells it; the block of bytes it stands in is let go."""
    return Record(
        begun.run_id,
        begun.step,
        "llm_call",
        begun.ts,
        model=begun.model,
        agent=begun.agent,
        parent=begun.parent,
        writer=begun.writer,
    )
