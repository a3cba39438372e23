"""`@log.tool`: one wrapper for each kind of function a tool can be."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent_step_log._steplog import StepLog
    from agent_step_log._steps import ToolStep

__all__ = ["decorate"]


def decorate(log: StepLog, function: Callable[..., Any], name: str | None) -> Callable[..., Any]:
    """Return *function* measured as a tool call of *log* named *name* (default: its own)."""
    tool = name if name is not None else getattr(function, "__name__", type(function).__name__)
    arguments = _Arguments(function)

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def measured_coroutine(*args: Any, **kwargs: Any) -> Any:
            with log.tool_call(tool, arguments.named(args, kwargs)) as call:
                call.output = await function(*args, **kwargs)
                return call.output

        return measured_coroutine

    @functools.wraps(function)
    def measured(*args: Any, **kwargs: Any) -> Any:
        with log.tool_call(tool, arguments.named(args, kwargs)) as call:
            return _followed(call, function(*args, **kwargs))

    return measured


def _followed(call: ToolStep, result: Any) -> Any:
    """Take *result* as the output, or follow it to its end when it only begins here."""
    if isinstance(result, Generator):
        return call.stream(result)
    if isinstance(result, AsyncGenerator):
        return call.astream(result)
    call.output = result
    return result


class _Arguments:
    """Names the arguments of a call; a call that does not fit is named by position."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._signature: inspect.Signature | None
        try:
            self._signature = inspect.signature(function)
        except (TypeError, ValueError):
            self._signature = None

    def named(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        if not args:
            return kwargs
        if self._signature is None:
            return {"args": list(args), **kwargs}
        try:
            bound = dict(self._signature.bind(*args, **kwargs).arguments)
        except TypeError:  # the call itself will say so
            return {"args": list(args), **kwargs}
        for first in ("self", "cls"):
            if next(iter(bound), None) == first:
                del bound[first]
        return bound
