"""Telling an error of our own from one that a signal handler raised in our middle.

An agent that sets itself a time limit does so with a signal handler that raises. When the
signal arrives during a record call, that exception comes out of whatever the recorder is
doing. It is the agent's: it must go on its way, and must not be taken for a value that
cannot be encoded or a disk that cannot be written to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import CodeType

__all__ = ["is_from_signal"]


def is_from_signal(error: BaseException) -> bool:
    """Whether a signal handler of this process raised *error*, or what it called did."""
    trace = error.__traceback__
    handlers: set[CodeType] | None = None
    while trace is not None:
        if handlers is None:
            handlers = _handlers()
        if trace.tb_frame.f_code in handlers:
            return True
        trace = trace.tb_next
    return False


def _handlers() -> set[CodeType]:
    import signal

    found = map(signal.getsignal, signal.valid_signals())
    codes = map(_code_of, (handler for handler in found if callable(handler)))
    return {code for code in codes if code is not None}


def _code_of(handler: Any) -> CodeType | None:
    handler = getattr(handler, "func", handler)  # of a functools.partial
    handler = getattr(handler, "__func__", handler)  # of a bound method
    code: CodeType | None = getattr(handler, "__code__", None)
    if code is None:
        code = getattr(type(handler).__call__, "__code__", None)
    return code
