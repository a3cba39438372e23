"""Every exception of agent_run_id.

    RunIdError                    base; also a ValueError
    ├── InvalidPrefixError        a prefix that could not stand in a file name
    └── InvalidTraceIdError       not a W3C trace id

Only making an id by hand raises. Starting, ending, carrying and reading back a
run do not: what cannot be carried is left out, what cannot be read is ignored.
"""

from __future__ import annotations

__all__ = ["InvalidPrefixError", "InvalidTraceIdError", "RunIdError"]


class RunIdError(ValueError):
    """Base of every error this package raises on purpose."""


class InvalidPrefixError(RunIdError):
    """*prefix* is empty, longer than 64 characters, or holds more than ASCII letters, digits, - and _."""

    def __init__(self, prefix: object) -> None:
        self.prefix = prefix
        super().__init__(
            "A run id prefix is 1 to 64 ASCII letters, digits, '-' or '_', beginning with a letter or digit."
        )


class InvalidTraceIdError(RunIdError):
    """*trace_id* is not what W3C Trace Context calls a trace id."""

    def __init__(self, trace_id: object) -> None:
        self.trace_id = trace_id
        super().__init__(
            "A W3C trace id is 32 lowercase hexadecimal digits (or a 128-bit integer), not all of them zero."
        )
