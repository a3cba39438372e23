"""Putting a wrapper in the place of a method, and taking it away again."""

from __future__ import annotations

from functools import wraps
from types import FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from agenttap._capture import How

__all__ = ["how_of", "is_ours", "replace", "unbound"]

_MARK = "_agenttap_wrapper"


def is_ours(function: object) -> bool:
    """Whether *function* is a wrapper put there by `replace`, or one that has been put around ours.

    Either way the calls pass ours, and a second one would see them twice. Wrappers show the
    attributes of what they wrap, so the mark is seen through them.
    """
    return hasattr(function, _MARK)


def unbound(method: Any) -> Any:
    """Return *method*, as it stands in its class, as a function that takes the instance first.

    Others put descriptors there that are more than functions (wrapt's do): called as
    they are, they take the instance for the first argument.
    """
    if type(method) is FunctionType:
        return method

    @wraps(method)
    def call(instance: Any, *args: Any, **kwargs: Any) -> Any:
        return method.__get__(instance, type(instance))(*args, **kwargs)

    return call


def replace(owner: Any, name: str, wrapper: Any) -> Callable[[], None]:
    """Set attribute *name* of *owner* (a class or module) to *wrapper*; return what puts the old one back.

    The old one is put back only where *wrapper* still stands: who has wrapped it
    since keeps it, and a wrapper without a tap passes everything through.
    """
    original = vars(owner)[name]
    setattr(wrapper, _MARK, True)
    setattr(owner, name, wrapper)

    def undo() -> None:
        if vars(owner).get(name) is wrapper:
            setattr(owner, name, original)

    return undo


def how_of(error: BaseException) -> How:
    """Return how an exchange ended that *error* ended."""
    if isinstance(error, GeneratorExit):
        return "closed"
    # By name: asyncio's, and those of trio and anyio, which need not be installed.
    if type(error).__name__ in ("CancelledError", "Cancelled"):
        return "cancelled"
    return "error"
