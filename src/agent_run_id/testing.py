"""Doubles for the tests of programs that use runs.

    fixed_ids       known ids instead of new ones
    fresh_process   a block that sees what a process started with the given environment sees

Both change the whole process while their block lasts: not for tests that run at
the same time in threads.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from . import _context, _ids, _links

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["fixed_ids", "fresh_process"]


@contextmanager
def fixed_ids(at: float = 1_700_000_000.0) -> Iterator[None]:
    """Make :meth:`RunId.generate` give known ids: 1, 2, 3, ... with one start time.

    Args:
        at: The start time all of them tell, in Unix seconds. Default: 14 November 2023, 22:13:20 UTC.
    """
    number = 0

    def next_id() -> int:
        nonlocal number
        number += 1
        return int(at * 1000) << 80 | 0x7 << 76 | 0b10 << 62 | number

    real, _ids._new_uuid7 = _ids._new_uuid7, next_id
    try:
        yield
    finally:
        _ids._new_uuid7 = real


@contextmanager
def fresh_process(env: Mapping[str, str] | None = None) -> Iterator[None]:
    """Make a block without a current run or step, as in a process just started with *env*.

    Args:
        env: Only what :func:`agent_run_id.run_from_env` reads matters. Default: nothing set.
    """
    before = _links._process_link, _links._process_was_read
    carried = _context._carried_link.set(None)
    _links._process_link, _links._process_was_read = _links.run_from_env(env or {}), True
    try:
        with _context.use_run(None):
            yield
    finally:
        _context._carried_link.reset(carried)
        _links._process_link, _links._process_was_read = before
