"""Remarks on figures of a log that cannot be: they are told, and in no sum."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent_stack._render.figures import count, many
from agent_stack._render.lines import Line
from agent_step_log.limits import MAX_TOKENS

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["render_doubts"]


def render_doubts(
    *, impossible: int = 0, backwards: int = 0, unknown: int = 0, bounded: int = 0
) -> Iterator[Line]:
    """Yield a line for each kind of doubt there is.

    Args:
        impossible: Model calls with a token count below 0 or above `MAX_TOKENS`.
        backwards: Steps with a duration below 0.
        unknown: Model calls that did not tell their usage.
        bounded: Records with figures that are bounds.
    """
    if unknown:
        did = "did not tell its" if unknown == 1 else "did not tell their"
        text = f"{many(unknown, 'model call')} {did} usage: token sums hold the others only."
        yield Line("  ? ", "warn").add(text, "dim")
    if bounded:
        text = f"{many(bounded, 'record')} with figures that are bounds: ≥ at least, ≤ at most, ~ either way."
        yield Line("  ≥ ", "warn").add(text, "dim")
    if impossible:
        text = f"{many(impossible, 'model call')} with impossible token counts: in no sum"
        yield Line("  ▲ ", "warn").add(f"{text} (below 0, or over {count(MAX_TOKENS)}).", "warn")
    if backwards:
        it, them = ("it", "it") if backwards == 1 else ("they", "them")
        text = f"{many(backwards, 'step')} that ended before {it} began: the clock was set back"
        yield Line("  ▲ ", "warn").add(f"{text}, and no quantile has {them}.", "warn")
