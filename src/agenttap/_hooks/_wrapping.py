"""Putting a wrapper in the place of a method, and taking it away again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from agenttap._capture import How

__all__ = ["how_of", "is_ours", "replace"]

_MARK = "_agenttap_wrapper"


def is_ours(function: object) -> bool:
    """Whether *function* is a wrapper put there by `replace`; one that wraps ours in turn is not."""
    return getattr(function, _MARK, None) is function


def replace(owner: Any, name: str, wrapper: Any) -> Callable[[], None]:
    """Set attribute *name* of *owner* (a class or module) to *wrapper*; return what puts the old one back.

    The old one is put back only where *wrapper* still stands: who has wrapped it
    since keeps it, and a wrapper without a tap passes everything through.
    """
    original = vars(owner)[name]
    # `functools.wraps` copies attributes, so being marked is not enough: the mark names its bearer.
    setattr(wrapper, _MARK, wrapper)
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
