"""The command that shows a step somebody may want to look at."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from agent_stack._render.notes import render_hint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent_stack._render.lines import Line

__all__ = ["render_look"]


def render_look(named: Sequence[str], run: str, step: str) -> Iterator[Line]:
    """Yield the command that shows *step* of *run*; nothing where several sources may hold the run.

    Args:
        named: The sources as they were typed; none for the default.
        run: The end of a run's id.
        step: Its number, or WRITER:NUMBER.
    """
    if len(named) < 2:
        words = ["agent-step-log", "show", *named, run, "--step", step]
        yield render_hint("look at one", " ".join(map(quote, words)))
