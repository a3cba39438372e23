"""What holds for every test: no skips where it counts, no deadlines, no settings from outside."""

from __future__ import annotations

import os
import sys

import pytest
from hypothesis import HealthCheck, settings

# Deadlines are seconds, and the machines are shared: cost is tested by counting, elsewhere.
settings.register_profile(
    "default", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
# A change is judged by the same examples however often it is tried; new ones are looked for everywhere else.
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

for _name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "AGENT_STEP_LOG_DIR", "TRACEPARENT", "BAGGAGE"):
    os.environ.pop(_name, None)


def pytest_collection_finish() -> None:
    """Have clients whose tests say nothing of it wait for two minutes, not for five seconds."""
    for name in ("httpx", "httpx2"):
        module = sys.modules.get(name)
        if module is not None:
            patience = module._config.DEFAULT_TIMEOUT_CONFIG
            patience.connect = patience.read = patience.write = patience.pool = 120.0


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a run on CI that left anything out."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True)
def _no_current_run() -> object:
    """Give each test a context of its own: a bare ``RunContext.start()`` stays current for ever."""
    from agent_run_id import use_run

    with use_run(None):
        yield
