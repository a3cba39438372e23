"""Short remarks that several views share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent_stack._render.figures import many
from agent_stack._render.lines import Line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent_step_log import Damage

__all__ = ["render_damage", "render_hint", "short_ids"]

_SHORT = 8
_SEPARATORS = "-_.:/"


def render_damage(damage: Sequence[Damage], *, hint: str = "agent-step-log verify") -> Iterator[Line]:
    """Yield one line that sums up what was skipped; none when nothing was."""
    if not damage:
        return
    size = sum(each.length for each in damage)
    files = len({each.path for each in damage})
    text = f"{many(len(damage), 'stretch', 'stretches')} of {many(files, 'file')} skipped: "
    text += f"{size:,} bytes that are no record ({_reasons(damage)}). {hint} lists them."
    yield Line("▲ ", "warn").add(text, "warn")


def render_hint(label: str, command: str) -> Line:
    """Return a line with a command to type next."""
    return Line("  ").add(f"{label}  ", "dim").add(command, "command")


def short_ids(run_ids: Sequence[str]) -> dict[str, str]:
    """Return a short name for each run id: the end of it, as long as it takes to be the only one.

    The end, because ids begin with their time. `show` takes it back.
    """
    distinct = list(dict.fromkeys(run_ids))
    lengths = {run_id: _length(run_id) for run_id in distinct}
    while True:
        names = {run_id: run_id[-length:] for run_id, length in lengths.items()}
        seen: dict[str, list[str]] = {}
        for run_id, name in names.items():
            seen.setdefault(name, []).append(run_id)
        clashes = [run_id for same in seen.values() if len(same) > 1 for run_id in same]
        if not clashes or all(lengths[run_id] >= len(run_id) for run_id in clashes):
            return names
        for run_id in clashes:
            lengths[run_id] = min(len(run_id), lengths[run_id] * 2)


def _length(run_id: str) -> int:
    """Eight characters of a hexadecimal id; of another, from a separator on: "support-4711"."""
    if len(run_id) <= 2 * _SHORT:
        return max(1, len(run_id))
    if not run_id[-_SHORT:].strip("0123456789abcdef"):
        return _SHORT
    for length in range(_SHORT, 2 * _SHORT + 1):
        if run_id[-length - 1] in _SEPARATORS:
            return length
    return _SHORT


def _reasons(damage: Sequence[Damage]) -> str:
    return ", ".join(dict.fromkeys(each.reason for each in damage))
