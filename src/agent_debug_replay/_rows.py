"""What one row of a replay says, read from the table alone."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, NamedTuple

from agent_debug_replay._table import CUT_OFF, ERROR, IN_FLIGHT, RETRY, UNKNOWN

if TYPE_CHECKING:
    from agent_debug_replay._table import Table

__all__ = ["StepKey", "StepRow", "row_facts"]


class StepKey(NamedTuple):
    """What names a step for good: its writer (None: who created the log) and its number.

    The number of a row changes when a log that is still written turns out to be in another order.
    """

    writer: str | None
    step: int

    def __str__(self) -> str:
        return str(self.step) if self.writer is None else f"{self.writer}:{self.step}"


class StepRow(NamedTuple):
    """One step or event of a run, as a list shows it.

    Attributes:
        row: Its number.
        step, writer: Its place in the run; the pair is unique.
        type: llm_call, tool_call, agent_call, event, or a type of a later version.
        name: The model, tool, agent or event; None when the record does not say.
        agent: The agent whose step it is, its own or that of a step above it; None if nobody says.
        start: Unix seconds when it began; worked out from its ending where no beginning was recorded.
        duration_ms: As measured; None when nobody did, or it has not ended.
        depth: How many steps stand above it.
        parent: Row of the step it belongs to; None for a root.
        has_children: Whether the next row hangs below it.
        status: ok, error or in_flight.
        input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens: None: not known.
        stop_reason, error_type: As recorded.
        is_retry: It was not the first attempt.
        is_truncated: The answer ended at a limit.
        size_bytes: Of its lines in the log.
        is_alone: One writer wrote the whole run, so a number says it all.
    """

    row: int
    step: int
    writer: str | None
    type: str
    name: str | None
    agent: str | None
    start: float
    duration_ms: float | None
    depth: int
    parent: int | None
    has_children: bool
    status: str
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    stop_reason: str | None
    error_type: str | None
    is_retry: bool
    is_truncated: bool
    size_bytes: int
    is_alone: bool = False

    @property
    def key(self) -> StepKey:
        """What names it for good."""
        return StepKey(self.writer, self.step)

    @property
    def label(self) -> str:
        """Its number as a person reads it: ``7``, or ``ab12:7`` of one of several writers."""
        is_plain = self.writer is None or self.is_alone
        return str(self.step) if is_plain else f"{(self.writer or '')[:4]}:{self.step}"

    @property
    def end(self) -> float | None:
        """Unix seconds when it ended; None when that is not known."""
        return None if self.duration_ms is None else self.start + max(self.duration_ms, 0.0) / 1000

    @property
    def is_error(self) -> bool:
        """Whether it failed."""
        return self.status == "error"

    @property
    def is_in_flight(self) -> bool:
        """Whether its ending has not been recorded."""
        return self.status == "in_flight"


def row_facts(table: Table, row: int) -> StepRow:
    """Return the facts of *row*, a number that is one."""
    texts = table.strings.texts
    flags = table.flags[row]
    duration = table.duration[row]
    parent = table.parent[row]
    return StepRow(
        row,
        table.step[row],
        texts[table.writer[row]],
        texts[table.kind[row]] or "",
        texts[table.name[row]],
        texts[table.scope[row]],
        table.start[row],
        None if isnan(duration) else duration,
        table.depth[row],
        parent if parent >= 0 else None,
        row + 1 < len(table.parent) and table.parent[row + 1] == row,
        "error" if flags & ERROR else "in_flight" if flags & IN_FLIGHT else "ok",
        known(table.input_tokens[row]),
        known(table.output_tokens[row]),
        known(table.cache_read_tokens[row]),
        known(table.cache_write_tokens[row]),
        known(table.reasoning_tokens[row]),
        texts[table.stop_reason[row]],
        texts[table.error_type[row]],
        bool(flags & RETRY),
        bool(flags & CUT_OFF),
        max(table.length[row], 0) + max(table.begin_length[row], 0),
        table.is_of_one_writer,
    )


def known(count: int) -> int | None:
    """Return a count of a column; None where nobody told it."""
    return None if count == UNKNOWN else count
