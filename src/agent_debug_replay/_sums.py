"""Sums over the rows up to one, by blocks: a block is added up once, and only when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from agent_debug_replay._table import ERROR, IN_FLIGHT, UNCOUNTED, UNKNOWN

if TYPE_CHECKING:
    from array import array

    from agent_debug_replay._table import Table

__all__ = ["Sum", "Sums"]

_BLOCK = 4096

_IS_ERROR = bytes(bool(flags & ERROR) for flags in range(256))
_IS_UNCOUNTED = bytes(bool(flags & UNCOUNTED) for flags in range(256))
_IS_OPEN = bytes(bool(flags & IN_FLIGHT) for flags in range(256))


class Sum(NamedTuple):
    """What some rows come to; *unknown*: model calls that ended and do not tell both counts of tokens."""

    steps: int = 0
    llm_calls: int = 0
    tool_calls: int = 0
    errors: int = 0
    in_flight: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    unknown: int = 0


class Sums:
    """Sums over the first rows of *table*, which must not change."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._kinds = tuple(table.strings.find(kind) for kind in ("llm_call", "tool_call", "event"))
        self._before = [Sum()]  # of all blocks before the one of that number

    def up_to(self, row: int) -> Sum:
        """Return the sums over the rows from the first to *row*."""
        block = row // _BLOCK
        for number in range(len(self._before) - 1, block):
            whole = self._of(number * _BLOCK, (number + 1) * _BLOCK)
            self._before.append(_added(self._before[-1], whole))
        return _added(self._before[block], self._of(block * _BLOCK, row + 1))

    def _of(self, begin: int, end: int) -> Sum:
        table = self._table
        call, tool, event = self._kinds
        kinds, flags = table.kind[begin:end], table.flags[begin:end].tobytes()
        return Sum(
            len(kinds) - (kinds.count(event) if event is not None else 0),
            kinds.count(call) if call is not None else 0,
            kinds.count(tool) if tool is not None else 0,
            flags.translate(_IS_ERROR).count(1),
            flags.translate(_IS_OPEN).count(1),
            _known(table.input_tokens[begin:end]),
            _known(table.output_tokens[begin:end]),
            _known(table.cache_read_tokens[begin:end]),
            flags.translate(_IS_UNCOUNTED).count(1),
        )


def _known(counts: array[int]) -> int:
    return sum(counts) - UNKNOWN * counts.count(UNKNOWN)


def _added(one: Sum, other: Sum) -> Sum:
    return Sum(*(left + right for left, right in zip(one, other, strict=True)))
