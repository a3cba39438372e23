"""What the bars at the top and the bottom say: the run, the sums so far, what keys there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent_stack._render.figures import SIGNS, count, duration, many
from agent_stack._render.lines import Line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent_debug_replay import Totals
    from agent_stack._tui._view import RunView

__all__ = ["head_line", "hint_line", "sums_line"]

_MOST_RUNS = 3  # on the way to the one on the screen
_HINTS = {
    "pane": (("j/k", "scroll"), ("1-7", "tabs"), ("o", "open full"), ("y", "copy"), ("esc", "back")),
    "growth": (("j/k", "call"), ("enter", "go to it"), ("v", "steps")),
    "steps": (
        *(
            ("j/k", "step"),
            ("J/K", "turn"),
            ("e/E", "error"),
            ("s/S", "peer"),
            ("/", "find"),
            ("f", "filter"),
        ),
        *(
            (":", "command"),
            ("tab", "details"),
            ("v", "context"),
            ("d", "diff"),
            ("h/l", "out/in"),
            ("x", "fold"),
        ),
    ),
}


def head_line(views: Sequence[RunView]) -> Line:
    """Return whose run it is, the runs on the way to it, how it ended, and what is shown of it."""
    view = views[-1]
    replay, row = view.navigator.replay, view.navigator.row
    header = replay.header
    sign, style = SIGNS.get(replay.status, ("?", "dim"))
    line = (
        Line(" ")
        .extend(_way(views[:-1]))
        .add(header.agent or "run" if header is not None else "run", "title", 30)
    )
    if view.is_read:  # how it ended stands at its end
        line.add(f"  {sign} {replay.status}", style)
    if row is not None:
        line.add(f"  row {row.row + 1:,} of {len(replay):,}{'' if view.is_read else ' so far'}", "")
    if not view.is_read:
        line.add(f"  reading {replay.progress:.0%}", "note")
    if view.filter:
        line.add("  filter ", "dim").add(view.filter, "note", 30).add(f" {len(view.shown):,} shown", "")
    if view.shown.folded:
        line.add(f"  {many(len(view.shown.folded), 'fold')}", "dim")
    if view.is_following:
        line.add("  ● following", "ok")
    elif view.is_watched:
        line.add("  ● live", "ok")
    if view.fresh:
        line.add(f"  {view.fresh:,} new", "warn_bold")
    if replay.damage:
        line.add(f"  ▲ {many(len(replay.damage), 'damaged stretch', 'damaged stretches')}", "warn")
    return line


def _way(views: Sequence[RunView]) -> Line:
    """Return the runs gone through, each with the step that started the next."""
    line = Line("… → ", "dim") if len(views) > _MOST_RUNS else Line()
    for view in views[-_MOST_RUNS:]:
        header, row = view.navigator.replay.header, view.navigator.row
        line.add((header.agent if header is not None else None) or "run", "dim", 20)
        line.add(f" {row.label} → " if row is not None else " → ", "dim")
    return line


def sums_line(totals: Totals) -> Line:
    """Return the sums so far."""
    bound = "" if totals.tokens_known else "≥"
    line = Line("so far ", "dim")
    line.add(f"{bound}{count(totals.input_tokens)} in, {bound}{count(totals.output_tokens)} out")
    if totals.cost_usd is not None:
        line.add(f"  {'' if totals.is_cost_whole else '≥'}${totals.cost_usd:,.4f}")
    if totals.errors:
        line.add(f"  ✗ {totals.errors:,}", "error")
    return line.add(f"  {duration(totals.elapsed_ms)} ", "dim")


def hint_line(place: str, width: int) -> Line:
    """Return some keys of a part of the screen: steps, pane or growth."""
    line = Line(" ")
    for key, words in _HINTS[place]:
        if line.width + len(key) + len(words) + 21 <= width:
            line.add(key, "bold").add(f" {words}  ", "dim")
    for key, words in (("?", "help"), ("q", "quit")):
        line.add(key, "bold").add(f" {words}  ", "dim")
    return line
