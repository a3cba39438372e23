from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import agent_run_id
from agent_run_id.testing import fresh_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SRC = str(Path(agent_run_id.__file__).parents[1])


@pytest.fixture(autouse=True)
def _nothing_is_running() -> Iterator[None]:
    with fresh_process():
        yield


@pytest.fixture
def run_python() -> Callable[..., str]:
    """Run code in a new interpreter and return what it printed."""

    def run(code: str, env: dict[str, str] | None = None) -> str:
        env = {**(os.environ if env is None else env), "PYTHONPATH": SRC}
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run
