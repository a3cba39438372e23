"""`install`: one line that wires run id, step log, tap and bus."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from agent_run_id import RunContext, current_run
from agent_step_log import StepLog
from agenttap import Tap

if TYPE_CHECKING:
    from types import TracebackType

    from agent_event_bus import EventBus
    from agentsnap import Budget, Budgets

__all__ = ["Recording", "install"]


class Recording:
    """What `install` has switched on.

    Attributes:
        run: The run of this process.
        log: Its step log.
        tap: What captures the wire.
        bus: Gets every record after it has been written, or None.
        budget: What may be spent, or None.
    """

    def __init__(
        self,
        run: RunContext,
        log: StepLog,
        tap: Tap,
        bus: EventBus | None,
        budget: Budget | Budgets | None = None,
    ) -> None:
        self.run, self.log, self.tap, self.bus, self.budget = run, log, tap, bus, budget

    def close(
        self,
        status: Literal["ok", "error", "cancelled"] = "ok",
        error: BaseException | str | None = None,
    ) -> None:
        """Take the hooks out, end the run and close its files. Does nothing the second time."""
        self.tap.close(status, error)
        # The tap ends the logs it was asked for; where no request was made, it was not.
        self.log.close(status, error)
        self.run.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close("ok" if error is None else "error", error)


def install(
    path: str | os.PathLike[str] = "logs/",
    *,
    agent: str | None = None,
    run_id: str | None = None,
    agent_version: str | None = None,
    task_type: str | None = None,
    environment: str | None = None,
    metadata: dict[str, Any] | None = None,
    bus: EventBus | None = None,
    budget: Budget | Budgets | None = None,
    **tap_settings: Any,
) -> Recording:
    """Record this process: its run, every call of a model it makes, and the tools between them.

    Starts a run (or takes the current one), opens its step log, and switches a tap on. At the
    end of the process everything is closed by itself. A run that is started later
    (`agent_run_id.RunContext.start`) gets a log and a tape of its own at its first request.

    Args:
        path: A directory (default: ``logs/``), where each run gets files of its own; or one
            log, a name with a suffix such as ``.jsonl``, with the tapes beside it.
        agent, run_id: The run's; see `agent_run_id.RunContext.start`.
        agent_version, task_type, environment, metadata: The run's header; see `StepLog`.
        bus: Gets every record after it has been written.
        budget: What may be spent: an `agentsnap.Budget`, or several. Beyond it a step does not begin and
            a request to a model is not sent: `agentsnap.errors.BudgetExceeded`.
        tap_settings: `capture`, `content`, `redact`, ...; see `agenttap.Tap`.

    Returns:
        What was switched on; ``with install() as recording:`` switches it off at the end.

    Raises:
        MissingExtraError: zstandard is not installed.
        OSError: The log cannot be opened.
    """
    where = Path(os.path.abspath(path))  # noqa: PTH100
    is_file = bool(where.suffix) and not where.is_dir() and not os.fspath(path).endswith(os.sep)
    target = os.fspath(where) if is_file else os.path.join(where, "")  # noqa: PTH118
    tap = Tap(where.parent if is_file else where, log=lambda run: log_of(run), **tap_settings)
    run = current_run()
    if run is None or (run_id is not None and run.run_id != run_id):
        run = RunContext.start(agent, run_id=run_id)
    log = StepLog(
        target,
        run.run_id,
        agent=agent,
        agent_version=agent_version,
        task_type=task_type,
        environment=environment,
        metadata=metadata,
        bus=bus,
        guard=budget,
    )

    def log_of(other: RunContext) -> StepLog:
        if other.run_id == log.run_id:
            return log
        return StepLog(
            target,
            other.run_id,
            agent_version=agent_version,
            task_type=task_type,
            environment=environment,
            bus=bus,
            guard=budget,
        )

    return Recording(run, log, tap.start(), bus, budget)
