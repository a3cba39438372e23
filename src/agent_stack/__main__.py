"""``agent-step-log`` and ``python -m agent_stack``."""

from __future__ import annotations

import sys

__all__ = ["main"]

_NEEDED = ("click", "rich")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status. Without click and rich, say how to get them."""
    try:
        from agent_stack._cli import run

        return run(arguments)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _NEEDED:
            raise
        print("The command line needs click and rich: pip install 'agent-step-log[cli]'", file=sys.stderr)  # noqa: T201
        return 2


if __name__ == "__main__":
    sys.exit(main())
