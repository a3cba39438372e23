"""The process that the demo kills: ``python -m agent_stack._demo.killed FOLDER``.

Its last tool waits on standard input, which nobody writes to. Were the demo to die
first, the input would end and this process with it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from agent_stack._demo.agent import record_deployer

__all__: list[str] = []


def _wait_for_build(build: str, target: str) -> str:
    return f"{build} {target}: {sys.stdin.read() or 'cancelled'}"


if __name__ == "__main__":
    record_deployer(Path(sys.argv[1]), _wait_for_build)
