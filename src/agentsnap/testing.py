"""For the tests of agents: a run held to the one that is kept beside the test. A plugin of pytest.

def test_agent_answers(run_snapshot, tmp_path):
    with StepLog(tmp_path / "run.jsonl") as log:
        my_agent(log)
    run_snapshot.check(log)

It is kept in ``__snapshots__/`` beside the test's file. One that is missing is written, but not
where ``CI`` is set: there it fails. ``pytest --update-run-snapshots`` writes those that have changed.
"""

from __future__ import annotations

import os
import re
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Collection

    from agent_step_log import Run, StepLog
    from agentsnap._compare import ChangeKind
    from agentsnap._snapshot import Normalize, Snapshot

__all__ = ["RunSnapshot", "run_snapshot"]

OPTION = "--update-run-snapshots"
_DIRECTORY = "__snapshots__"
#: What a file system takes for a name, and room for what `save` puts before and behind it.
_LONGEST = 120


class RunSnapshot:
    """What the fixture `run_snapshot` gives: for one test."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._node = request.node
        self._is_updating: bool = request.config.getoption(OPTION)
        self._root = request.config.rootpath
        self._names: set[str] = set()

    def path(self, name: str | None = None) -> Path:
        """Return where the snapshot of *name* is kept, whether it is there or not."""
        module = Path(self._node.path)
        test = str(self._node.nodeid).partition("::")[2] or str(self._node.name)
        whole = f"{module.stem}.{test}{f'.{name}' if name else ''}"
        file = re.sub(r"[^\w.-]+", ".", whole.replace("::", ".")).strip(".")
        if len(file) > _LONGEST or file != whole.replace("::", "."):
            # Another test's name may come out the same.
            file = f"{file[:_LONGEST]}-{sha256(whole.encode()).hexdigest()[:8]}"
        return module.parent / _DIRECTORY / f"{file}.run.json"

    def check(
        self,
        run: Run | StepLog | Snapshot | str | os.PathLike[str],
        name: str | None = None,
        *,
        normalize: Normalize | None = None,
        ignore: Collection[ChangeKind] = (),
    ) -> None:
        """Fail unless *run* is like the one that is kept; with the option, keep this one.

        Args:
            run: What `agentsnap.snapshot` takes (of a log, its last run), or a snapshot.
            name: Tells several of one test apart. Default: none.
            normalize: See `agentsnap.snapshot`.
            ignore: Kinds of changes that do not matter; see `agentsnap.compare`.

        Raises:
            ValueError: *name* has been checked in this test before.
        """
        # Here, not above: a plugin is imported by every run of pytest, whatever it tests.
        from agentsnap._compare import compare
        from agentsnap._snapshot import Snapshot, snapshot
        from agentsnap.errors import SnapshotError

        __tracebackhide__ = True
        if (name or "") in self._names:
            raise ValueError(f"this test has checked {name!r} already: give each run a name of its own")
        self._names.add(name or "")
        new = run if isinstance(run, Snapshot) else snapshot(run, normalize=normalize)
        path = self.path(name)
        try:
            old = Snapshot.load(path)
        except FileNotFoundError:
            if not self._is_updating and os.environ.get("CI", "").lower() not in ("", "0", "false"):
                pytest.fail(f"There is no snapshot at {self._shown(path)}.\n{self._advice()}", pytrace=False)
            self._keep(new, path)
            return
        except SnapshotError as error:
            if not self._is_updating:
                pytest.fail(f"{error}\n{self._advice()}", pytrace=False)
            self._keep(new, path)
            return
        changes = compare(old, new, ignore=ignore)
        if not changes:
            return
        if self._is_updating:
            self._keep(new, path)
            return
        pytest.fail(
            f"The run is not the one in {self._shown(path)}:\n{changes.report()}\n{self._advice()}",
            pytrace=False,
        )

    def _keep(self, new: Snapshot, path: Path) -> None:
        new.save(path)
        # Travels with the test's report, from an xdist worker too.
        self._node.user_properties.append(("run_snapshot", self._shown(path)))

    def _shown(self, path: Path) -> str:
        return str(path.relative_to(self._root)) if path.is_relative_to(self._root) else str(path)

    def _advice(self) -> str:
        return f"If it is meant to be like this, keep it: pytest {OPTION} {self._node.nodeid!r}"


@pytest.fixture
def run_snapshot(request: pytest.FixtureRequest) -> RunSnapshot:
    """Hold a run to the one kept beside the test: ``run_snapshot.check(log)``."""
    return RunSnapshot(request)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.getgroup("agentsnap").addoption(
        OPTION,
        action="store_true",
        default=False,
        help="write the snapshots of runs that have changed or are missing (fixture run_snapshot)",
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the snapshots that were written."""
    written = sorted(
        {
            str(path)
            for reports in terminalreporter.stats.values()
            for report in reports
            for kind, path in getattr(report, "user_properties", ())
            if kind == "run_snapshot"
        }
    )
    if written:
        terminalreporter.section("run snapshots written")
        for path in written:
            terminalreporter.write_line(path)
