"""For the tests of agents: a log of one's own, and what was recorded in it.

def test_agent_recovers(tmp_path):
    with recording(tmp_path) as run:
        my_agent(run.log)
    assert run.names("tool_call") == ["search", "search"]
    assert [step.error for step in run.steps("tool_call")] == ["timed out", None]
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent_step_log._reader import read_log
from agent_step_log._steplog import StepLog

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from agent_step_log._record import Record

__all__ = ["Recording", "recording"]


class Recording:
    """A log under test. What it tells is read back from the file each time it is asked.

    Attributes:
        log: The `StepLog` to hand to the code under test.
    """

    def __init__(self, log: StepLog) -> None:
        self.log = log

    def records(self, *types: str) -> list[Record]:
        """Return the records so far, of the given types or of all, in the order they were written."""
        found = read_log(self.log.path, run_id=self.log.run_id)
        return [record for record in found if not types or record.type in types]

    def steps(self, *types: str) -> list[Record]:
        """Return the steps that have ended, of the given types or of all."""
        return self.records(*(types or ("llm_call", "tool_call", "agent_call")))

    def names(self, *types: str) -> list[str | None]:
        """Return the tool, model or agent of each step that has ended."""
        return [
            record.tool if record.type == "tool_call" else record.model or record.agent
            for record in self.steps(*types)
        ]


@contextmanager
def recording(directory: str | os.PathLike[str], **options: Any) -> Iterator[Recording]:
    """Make a log in *directory* that raises when a record is lost; closed at the end of the block.

    Args:
        directory: Where the file goes, for instance pytest's ``tmp_path``.
        options: Further arguments of `StepLog`.
    """
    with StepLog(Path(directory) / "run.jsonl", **{"on_error": "raise", **options}) as log:
        yield Recording(log)
