"""Telling an error of our own from one that a signal handler raised in our middle.

An agent that sets itself a time limit does so with a signal handler that raises. When the
signal arrives during a record call, that exception comes out of whatever the recorder is
doing. It is the agent's: it must go on its way, and must not be taken for a value that
cannot be encoded or a disk that cannot be written to.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import CodeType

__all__ = ["is_from_signal", "pass_on"]

_OWN_FILES = os.path.join(os.path.dirname(__file__), "")  # noqa: PTH118, PTH120  compared as text


def is_from_signal(error: BaseException) -> bool:
    """Whether a signal handler of this process raised *error*, or what it called did."""
    codes: list[CodeType] = []
    trace = error.__traceback__
    while trace is not None:
        codes.append(trace.tb_frame.f_code)
        trace = trace.tb_next
    # On a full disk this is asked for every record, and asking for all handlers is slow.
    others = [code for code in codes if not code.co_filename.startswith(_OWN_FILES)]
    return bool(others) and not _handlers().isdisjoint(others)


def pass_on(error: BaseException) -> None:
    """Raise *error* again if a signal handler raised it."""
    if is_from_signal(error):
        raise error


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
