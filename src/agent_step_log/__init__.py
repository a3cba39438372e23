"""What happened: the record format, the recorder, and reading it back.

Recording is imported at once and is light; everything that reads is imported when
it is first named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent_step_log._steplog import StepLog
from agent_step_log._version import __version__

if TYPE_CHECKING:
    from agent_step_log._failure import Failure
    from agent_step_log._guard import StepAhead
    from agent_step_log._index import LogIndex
    from agent_step_log._reader import Damage, read_log
    from agent_step_log._record import Record
    from agent_step_log._records import FORMAT_VERSION
    from agent_step_log._repair import RepairReport, repair
    from agent_step_log._runs import Run, RunInfo, Step, list_runs, read_run
    from agent_step_log._steps import AgentStep, LlmStep, ToolStep
    from agent_step_log._summary import Summary, summarize
    from agent_step_log._verify import VerifyReport, verify
    from agent_step_log._writer import Health

__all__ = [
    "FORMAT_VERSION",
    "AgentStep",
    "Damage",
    "Failure",
    "Health",
    "LlmStep",
    "LogIndex",
    "Record",
    "RepairReport",
    "Run",
    "RunInfo",
    "Step",
    "StepAhead",
    "StepLog",
    "Summary",
    "ToolStep",
    "VerifyReport",
    "__version__",
    "list_runs",
    "read_log",
    "read_run",
    "repair",
    "summarize",
    "verify",
]

_HOMES = {
    "FORMAT_VERSION": "_records",
    "AgentStep": "_steps",
    "Damage": "_reader",
    "Failure": "_failure",
    "Health": "_writer",
    "LlmStep": "_steps",
    "LogIndex": "_index",
    "Record": "_record",
    "RepairReport": "_repair",
    "Run": "_runs",
    "RunInfo": "_runs",
    "Step": "_runs",
    "StepAhead": "_guard",
    "Summary": "_summary",
    "ToolStep": "_steps",
    "VerifyReport": "_verify",
    "list_runs": "_runs",
    "read_log": "_reader",
    "read_run": "_runs",
    "repair": "_repair",
    "summarize": "_summary",
    "verify": "_verify",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
