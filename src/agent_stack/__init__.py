"""The front door: `install`, the command line, and the demo.

The command line is reached through the command ``agent-step-log``; its commands, options
and ``--json`` shapes are what is promised (docs/cli.md), not the Python names behind them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent_stack._install import Recording, install

__all__ = ["Recording", "install"]


def __getattr__(name: str) -> Any:
    # The command line needs none of it, and starts faster without.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from agent_stack import _install

    value = globals()[name] = getattr(_install, name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
