"""A run's tree as rows to draw: which steps are shown, where each hangs, what ran beside what.

Nothing here is text yet but the guides. Work and memory follow the number of steps,
however deep a forged log nests them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from agent_stack._facts import merged_side
from agent_stack._render.figures import many

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent_step_log import Run, Step

__all__ = ["Figure", "Row", "TreeOptions", "Used", "label_of", "rows_of", "shortened", "tokens_below"]

#: A number, None when it is not known, and which way it is a bound, None when it is exact.
Figure: TypeAlias = tuple[int | None, str | None]

HEAD, TAIL = 120, 60  # rows shown of a long run
LONG = 200  # rows from which it is one
DEEPEST = 12  # levels drawn; what is nested deeper stands at the last one


@dataclass(frozen=True)
class TreeOptions:
    """What of a run is shown."""

    show_all: bool = False
    full: bool = False
    only_errors: bool = False
    with_events: bool = True


@dataclass
class Row:
    """One step with its place in the drawing; several events of one name share a row."""

    step: Step
    guides: str  # before its glyph
    below: str  # before the lines under it
    parallel: bool = False
    same: int = 1  # events this row stands for ...
    last: int = 0  # ... and the number of the last of them
    has_writer: bool = False  # its number says nothing without who wrote it


class Used(NamedTuple):
    """Tokens in and out."""

    into: Figure
    out: Figure


def rows_of(run: Run, options: TreeOptions) -> list[Row]:
    """Return the steps to draw, parents before children, each with what is drawn before it."""
    wanted = _with_errors(run) if options.only_errors else None
    are_several = len({step.writer for _, step in run.walk()}) > 1
    rows: list[Row] = []
    waiting = [(step, "", True, 0) for step in reversed(_shown(run.roots, wanted, options))]
    parallel = _parallel(run.roots)
    while waiting:
        step, above, is_last, depth = waiting.pop()
        guides, below = _guides(above, is_last, depth)
        has_writer = are_several and step.writer is not None
        row = Row(step, guides, below, parallel=id(step) in parallel, has_writer=has_writer)
        if _joins(rows, row, options):
            rows[-1].same += 1
            rows[-1].last = step.number
            rows[-1].guides = guides
        else:
            rows.append(row)
        children = _shown(step.children, wanted, options)
        parallel |= _parallel(step.children)
        waiting.extend(
            (child, below, number == 0, depth + 1) for number, child in enumerate(reversed(children))
        )
    return rows


def _guides(above: str, is_last: bool, depth: int) -> tuple[str, str]:
    """Return what stands before a step and before the lines below it; a forged log may nest for ever."""
    if depth == 0:
        return "", ""
    if depth > DEEPEST:
        return above, above
    return above + ("└─" if is_last else "├─"), above + ("  " if is_last else "│ ")


def _shown(steps: list[Step], wanted: set[int] | None, options: TreeOptions) -> list[Step]:
    return [
        step
        for step in steps
        if (wanted is None or id(step) in wanted) and (options.with_events or step.type != "event")
    ]


def _with_errors(run: Run) -> set[int]:
    """The steps that failed or never ended, and those around them."""
    wanted: set[int] = set()
    path: list[Step] = []
    for depth, step in run.walk():
        del path[depth:]
        path.append(step)
        if step.type == "event" or step.status == "ok":
            continue
        for around in reversed(path):
            if id(around) in wanted:
                break
            wanted.add(id(around))
    return wanted


def _parallel(steps: list[Step]) -> set[int]:
    """The steps that ran beside a sibling: both measured, one begun before the other ended."""
    found: set[int] = set()
    latest: Step | None = None
    for step in steps:
        is_measured = step.start is not None or step.record.start_ts is not None
        if not is_measured or step.type == "event":
            continue
        if latest is not None and latest.end is not None and step.started_at < latest.end.ts:
            found |= {id(step), id(latest)}
        if latest is None or _end(step) > _end(latest):
            latest = step
    return found


def _end(step: Step) -> float:
    return step.end.ts if step.end is not None else step.started_at


def tokens_below(run: Run) -> dict[int, Used]:
    """Return what the model calls below each step used, by the `id` of the step; none where nobody told."""
    sums: dict[int, Used] = {}
    for _, step in reversed(list(run.walk())):
        used = [
            own for child in step.children for own in (sums.get(id(child)), _own(child)) if own is not None
        ]
        if used:
            sums[id(step)] = reduce(_added, used)
    return sums


def _own(step: Step) -> Used | None:
    """Return what one finished model call used."""
    if step.type != "llm_call" or step.end is None:
        return None
    bounds = step.end.bounds or {}
    into, out = step.end.input_tokens, step.end.output_tokens
    return Used((into, bounds.get("input_tokens")), (out, bounds.get("output_tokens")))


def _added(one: Used, other: Used) -> Used:
    return Used(*map(_sum, one, other))


def _sum(one: Figure, other: Figure) -> Figure:
    """Add two figures; with one of them unknown, the sum is at least the other."""
    if one[0] is None or other[0] is None:
        known = one if other[0] is None else other
        return (None, None) if known[0] is None else (known[0], merged_side(known[1], "lower"))
    return one[0] + other[0], merged_side(one[1], other[1])


def _joins(rows: list[Row], row: Row, options: TreeOptions) -> bool:
    """Whether *row* is one more event of the name just shown: transcripts note their hooks in dozens."""
    if options.full or options.show_all or not rows or row.step.type != "event":
        return False
    last = rows[-1]
    return (
        last.step.type == "event"
        and last.step.name == row.step.name
        and last.below == row.below
        and last.step.writer == row.step.writer
    )


def shortened(rows: list[Row], options: TreeOptions) -> Iterator[Row | str]:
    """Yield the rows of a run; of a long one its beginning, a sentence on what is left out, and its end."""
    if len(rows) <= LONG or options.show_all or options.only_errors or options.full:
        yield from rows
        return
    hidden = rows[HEAD:-TAIL]
    wrong = sum(row.step.type != "event" and row.step.status != "ok" for row in hidden)
    yield from rows[:HEAD]
    also = f", {wrong:,} of them with errors (--errors)" if wrong else ""
    yield f"… {many(len(hidden), 'step')} more{also} (--all)"
    yield from rows[-TAIL:]


def label_of(row: Row) -> str:
    """Return the number of a row: ``7``, ``7-9`` of events that share it, ``ab12:7`` with several writers."""
    step = row.step
    number = f"{step.number}" if row.same == 1 else f"{step.number}-{row.last}"
    return f"{step.writer[:4]}:{number}" if row.has_writer and step.writer else number
