"""What crossed the wire: every exchange with a model, captured in this process with the stream left alone.

    import agenttap
    agenttap.install("./logs/")          # or: with agenttap.Tap("./logs/"): ...

Nothing here imports an HTTP library; each is hooked when the agent imports it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agenttap._redact import Redactor
    from agenttap._scan import Finding, Scan, Unread, scan
    from agenttap._tap import Tap, install, uninstall
    from agenttap._tape_reader import Tape, TapedExchange, tapes_of
    from agenttap._transport import TapTransport
    from agenttap.errors import TapWarning

__all__ = [
    "Finding",
    "Redactor",
    "Scan",
    "Tap",
    "TapTransport",
    "TapWarning",
    "Tape",
    "TapedExchange",
    "Unread",
    "install",
    "scan",
    "tapes_of",
    "uninstall",
]

_HOMES = {
    "Finding": "_scan",
    "Redactor": "_redact",
    "Scan": "_scan",
    "Tap": "_tap",
    "TapTransport": "_transport",
    "TapWarning": "errors",
    "Tape": "_tape_reader",
    "TapedExchange": "_tape_reader",
    "Unread": "_scan",
    "install": "_tap",
    "scan": "_scan",
    "tapes_of": "_tape_reader",
    "uninstall": "_tap",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
