"""Who is running: ids of runs, the current run, and carrying it across threads, processes and HTTP."""

from __future__ import annotations

from ._context import RunContext, current_link, current_run, current_run_id, current_step, use_run
from ._ids import RunId, step_span_id
from ._links import RunLink, run_from_env

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._carry import carry, child_env, extract_headers, extract_meta, inject_headers, inject_meta
    from ._executors import ContextExecutor, ContextThreadPoolExecutor

__all__ = [
    "ContextExecutor",
    "ContextThreadPoolExecutor",
    "RunContext",
    "RunId",
    "RunLink",
    "carry",
    "child_env",
    "current_link",
    "current_run",
    "current_run_id",
    "current_step",
    "extract_headers",
    "extract_meta",
    "inject_headers",
    "inject_meta",
    "run_from_env",
    "step_span_id",
    "use_run",
]


def __getattr__(name: str) -> object:
    # Whoever only records a run pays for ids and the current run, not for what they do not use.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "_executors" if name.startswith("Context") else "_carry"
    value: object = getattr(__import__(f"{__name__}.{module}", fromlist=[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*(name for name in globals() if name.startswith("_")), *__all__})
