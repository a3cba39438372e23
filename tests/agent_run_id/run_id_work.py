"""Functions that child processes import by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent_run_id import RunContext, current_run_id

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue


def describe(item: int = 0) -> tuple[int, str | None, str | None, int | None, str]:
    """What a run started here says: item, current run before, parent, parent step, root."""
    before = current_run_id()
    with RunContext.start() as run:
        return item, before, run.parent_run_id, run.parent_step, run.root_run_id


def put_description(queue: SimpleQueue[Any]) -> None:
    queue.put(describe())


def put_current(queue: SimpleQueue[Any]) -> None:
    queue.put(current_run_id())
