"""Executors that carry the current run into the work they are given.

``ThreadPoolExecutor.submit`` and ``loop.run_in_executor`` start work without the
context variables of the caller, on every Python so far; ``asyncio.to_thread``
takes them along. These two make the first ones do so as well.

Imported on first use only: ``concurrent.futures`` is slow to import.
"""

from __future__ import annotations

from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from ._carry import carry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["ContextExecutor", "ContextThreadPoolExecutor"]

P = ParamSpec("P")
R = TypeVar("R")


class ContextExecutor(Executor):
    """*executor*, with each piece of work run in the context it was submitted from.

    Wraps any executor: ``loop.run_in_executor(ContextExecutor(pool), work)``. Over a
    ``ProcessPoolExecutor`` the link of the current run is carried, and runs started in the worker are
    its children. Shutting it down, or leaving its ``with`` block, shuts *executor* down. As safe to
    share between threads as *executor* is.
    """

    def __init__(self, executor: Executor) -> None:
        self.executor = executor

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Submit *fn* under the current run; otherwise as *executor* does."""
        return self.executor.submit(carry(fn), *args, **kwargs)

    def map(self, fn: Callable[..., R], *iterables: Iterable[Any], **options: Any) -> Iterator[R]:
        """Map *fn* under the current run; *options* are those of *executor*."""
        return self.executor.map(carry(fn), *iterables, **options)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Shut *executor* down."""
        self.executor.shutdown(wait=wait, cancel_futures=cancel_futures)


class ContextThreadPoolExecutor(ThreadPoolExecutor):
    """A thread pool that runs each piece of work in the context it was submitted from.

    Arguments are those of ``ThreadPoolExecutor``. After
    ``loop.set_default_executor(ContextThreadPoolExecutor())`` every
    ``loop.run_in_executor(None, work)`` carries the current run.
    """

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Submit *fn* under the current run; otherwise as ``ThreadPoolExecutor`` does."""
        return super().submit(carry(fn), *args, **kwargs)
