from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import agent_event_bus

if TYPE_CHECKING:
    from collections.abc import Callable

SRC = str(Path(agent_event_bus.__file__).parents[1])


@pytest.fixture
def run_python() -> Callable[[str], str]:
    """Run code in a new interpreter and return what it printed."""

    def run(code: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": SRC},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run
