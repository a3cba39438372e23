"""``agent-step-log``, ``python -m agent_stack`` and ``agenttap``."""

from __future__ import annotations

import sys
from importlib import import_module

__all__ = ["agenttap_main", "main"]

_NEEDED = ("click", "rich")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status. Without click and rich, say how to get them."""
    return _run("agent_stack._cli", arguments)


def agenttap_main(arguments: list[str] | None = None) -> int:
    """Run ``agenttap``, the commands that read tapes; as `main`."""
    return _run("agent_stack._tap_cli", arguments)


def _run(module: str, arguments: list[str] | None) -> int:
    try:
        status: int = import_module(module).run(arguments)
        return status
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _NEEDED:
            raise
        print("The command line needs click and rich: pip install 'agent-step-log[cli]'", file=sys.stderr)  # noqa: T201
        return 2


if __name__ == "__main__":
    sys.exit(main())
