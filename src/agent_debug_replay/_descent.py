"""From a run into the runs its steps started, and out again.

with Replay.open("logs") as replay, Descent(replay) as descent:
    for command, outcome in descent.run("until tool == 'Task'; in; error; up"):
        print(descent.navigator.replay.run_id, outcome)
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Self

from agent_debug_replay._child_runs import ChildRun, child_runs
from agent_debug_replay._commands import EnterRun, Walk
from agent_debug_replay._navigator import Navigator
from agent_debug_replay._outcomes import Moved, Where
from agent_debug_replay._replay import Replay
from agent_debug_replay.errors import ReplayError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent_debug_replay._commands import Command
    from agent_debug_replay._outcomes import Outcome

__all__ = ["Descent"]


class Descent:
    """A navigator for each run on the way down; commands are for the lowest.

    Where there is no step below, ``in`` goes into the run that the step started, and ``up`` from a step
    that is in no other leads back to that step; ``finish`` behind it. Stops, displays and the
    text looked for are those of all of them; a breakpoint at a step is one of its run alone, as marks and
    the history are. Of several runs that a step started ``in`` takes the one begun first; ``in 2`` is the
    second. One thread at a time.

    Args:
        replay: The run to begin with; whoever opened it closes it.
        wait: Whether to read all of a run before it is gone into; as `Replay.open`.
    """

    def __init__(self, replay: Replay, *, wait: bool = True) -> None:
        self._wait = wait
        self._levels = [Navigator(replay)]
        self._children: dict[tuple[str, int], list[ChildRun]] = {}

    @property
    def navigator(self) -> Navigator:
        """That of the run the cursor is in."""
        return self._levels[-1]

    @property
    def navigators(self) -> tuple[Navigator, ...]:
        """That of every run on the way, the first to the lowest."""
        return tuple(self._levels)

    @property
    def depth(self) -> int:
        """How many runs were gone into."""
        return len(self._levels) - 1

    def close(self) -> None:
        """Close the runs that were gone into."""
        while self.depth:
            self._levels.pop().replay.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def children(self) -> list[ChildRun]:
        """Return the runs that the step at the cursor started, the first begun first; reads heads of logs."""
        row = self.navigator.row
        return self._started().get(row.step, []) if row is not None else []

    def parents(self) -> set[int]:
        """Return the numbers of the steps of this run that started runs; reads heads of logs."""
        return set(self._started())

    def _started(self) -> dict[int, list[ChildRun]]:
        """Return the runs started by the run the cursor is in, by the number of their step."""
        replay = self.navigator.replay
        key = (replay.run_id, replay.version)
        if key not in self._children:
            self._children = {key: child_runs(replay)}
        inside = {navigator.replay.run_id for navigator in self._levels}  # a ring of parents has no end
        found: dict[int, list[ChildRun]] = {}
        for each in self._children[key]:
            if each.step is not None and each.run_id not in inside:
                found.setdefault(each.step, []).append(each)
        return found

    def run(self, text: str) -> Iterator[tuple[Command, Outcome]]:
        """Do the commands of *text*, as `Navigator.run`."""
        from agent_debug_replay._grammar import parse_commands

        commands = parse_commands(text)
        return ((command, self.do(command)) for command in commands)

    def do(self, command: Command) -> Outcome:
        """Do one command, as `Navigator.do`."""
        return self.cross(command, self.navigator.do(command))

    def leads_in(self, command: Command, outcome: Outcome) -> bool:
        """Whether a run that the step at the cursor started is to be gone into, if there is one.

        Args:
            command: One that the navigator has done.
            outcome: What it came to.
        """
        if isinstance(command, EnterRun):
            return True
        is_in = isinstance(command, Walk) and command.move == ("out" if command.is_reverse else "in")
        return is_in and isinstance(outcome, Moved) and outcome.end == "nowhere"

    def leads_out(self, command: Command, outcome: Outcome) -> bool:
        """Whether the run is to be left for the one whose step started it; see `leads_in`."""
        if not isinstance(command, Walk) or not isinstance(outcome, Moved) or not self.depth:
            return False
        if command.move == "finish":
            return outcome.end in ("end", "nowhere")
        is_out = command.move == ("in" if command.is_reverse else "out")
        return is_out and outcome.end == "nowhere" and not outcome.is_moved

    def cross(self, command: Command, outcome: Outcome) -> Outcome:
        """Go into another run, or back, where *command* leads there: the second half of `do`.

        Args:
            command: One that the navigator has done.
            outcome: What it came to; returned where it leads nowhere else.
        """
        if isinstance(outcome, Where):
            return replace(outcome, children=tuple(self.children()))
        if isinstance(command, EnterRun):
            return self._enter(command.number)
        if self.leads_in(command, outcome):
            return self._enter() if self.children() else outcome
        if not self.leads_out(command, outcome):
            return outcome
        left = self._leave()
        if isinstance(command, Walk) and command.move == "finish" and not command.is_reverse:
            return replace(self.navigator.next(), message=left.message)
        return left

    def _enter(self, number: int = 1) -> Moved:
        found, above = self.children(), self.navigator
        label = above.row.label if above.row is not None else "?"
        if number > len(found):
            here = above.position
            return Moved(here, here, "nowhere", (), _too_few(label, len(found)))
        child = found[number - 1]
        try:
            replay = Replay.open(child.path, child.run_id, wait=self._wait)
        except OSError as error:
            why = error.strerror or error
            raise ReplayError(
                f"{child.path}, the log of run {child.run_id}, cannot be read: {why}."
            ) from error
        self._levels.append(Navigator(replay, like=above))
        if len(found) == 1:
            message = f"This is run {child.run_id}, started by step {label}; `up` leads back."
        else:  # the id last, as it may be long
            other = number + 1 if number < len(found) else 1
            message = f"Run {number} of {len(found)} that step {label} started: `up` leads back, "
            message += f"`up; in {other}` to another. It is {child.run_id}."
        at = self.navigator.position
        return Moved(at, None, "arrived" if at is not None else "nowhere", (), message)

    def _leave(self) -> Moved:
        left = self._levels.pop().replay
        left.close()
        at = self.navigator.position
        return Moved(at, None, "arrived", (), f"Back in run {self.navigator.replay.run_id}.")


def _too_few(label: str, count: int) -> str:
    if not count:
        return f"Step {label} started no run that is at hand."
    return f"Step {label} started {count} {'run' if count == 1 else 'runs'}; `where` lists them."
