"""The guard of a log: who is asked before a measured step begins, and may refuse it.

    guard(ahead)                  called with a `StepAhead`; what it returns is ignored
    raises CallRefusedError       the step does not begin, the log gets an event that says so,
                                  and the exception goes on to the agent
    raises any other Exception    the guard's own failure: counted, and the step begins
    guard.emit(topic, record)     where there is one, it is told every record, as a bus is

Nothing is held while a guard runs: it may record, ask the log, or wait.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from agent_step_log._interrupts import is_from_signal
from agent_step_log.errors import CallRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent_step_log._steplog import StepLog
    from agent_step_log._typing import Bus

__all__ = ["Buses", "StepAhead", "ask"]


class StepAhead(Struct, frozen=True):
    """A step that is about to begin.

    Attributes:
        type: llm_call, tool_call or agent_call.
        name: The model, tool or agent asked for; None where nobody has said.
        run_id: The run it would belong to.
        root_run_id: The outermost run known above that one; *run_id* itself for a root.
        agent: The agent whose step it would be: the scope's, else the run's; or None.
        log: Where it would be recorded, for events of the guard's own. None for a request that
            only goes to a tape.
        parent: The enclosing step's number, as it was given; None: the scope's.
    """

    type: str
    name: str | None
    run_id: str
    root_run_id: str
    agent: str | None = None
    log: StepLog | None = None
    parent: int | None = None


def ask(
    guard: Callable[[StepAhead], object], ahead: StepAhead, failed: Callable[[BaseException], None]
) -> None:
    """Ask *guard* whether *ahead* may begin; returns when it may.

    Args:
        guard: See the module.
        ahead: What is about to begin.
        failed: Told what went wrong in the guard itself.

    Raises:
        CallRefusedError: It may not.
    """
    try:
        guard(ahead)
    except CallRefusedError as refusal:
        if ahead.log is not None:
            told = {"of": ahead.type, "name": ahead.name, **refusal.facts}
            ahead.log.event(refusal.event, told, parent=ahead.parent)
        raise
    except Exception as error:  # a guard that is broken must not break the agent
        if is_from_signal(error):
            raise
        failed(error)


class Buses:
    """Several buses told as one, each safe from the others."""

    def __init__(self, *buses: Bus) -> None:
        self._buses = buses

    def emit(self, topic: str, payload: Any) -> None:
        """Tell each of them."""
        for bus in self._buses:
            with suppress(Exception):
                bus.emit(topic, payload)
