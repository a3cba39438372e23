"""One run as a tree: what it is, then every step with its place, name, figures and errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent_stack import _safe
from agent_stack._render.figures import SIGNS, bound_sign, duration, many, moment, tokens
from agent_stack._render.lines import Line
from agent_stack._render.notes import render_damage, short_ids
from agent_stack._render.preview import preview
from agent_stack._render.rows import TreeOptions, label_of, rows_of, shortened, tokens_below
from agent_stack._render.run_header import render_header
from agent_stack._render.words import GLYPHS, answer_words, content_lines, error_text, frames_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent_stack._facts import RunFacts
    from agent_stack._render.rows import Row, Used
    from agent_stack._render.words import Words
    from agent_step_log import Run, Step

__all__ = ["TreeOptions", "render_run"]

_TIME = 11  # cells of the durations' column, the gap before it included
_MESSAGE_LINES = 3  # of an error in the tree


def render_run(
    run: Run, facts: RunFacts, children: Sequence[RunFacts], width: int, options: TreeOptions
) -> Iterator[Line]:
    """Yield a run whole: header, steps, and remarks below."""
    yield from render_header(facts, width, writers=len({header.writer for header in run.info.headers}))
    yield Line()
    rows = rows_of(run, options)
    gutter = max((len(label_of(row)) for row in rows), default=1)
    view = _View(facts, gutter, width, options, tokens_below(run))
    for row in shortened(rows, options):
        if isinstance(row, str):
            yield Line("   ┄ ", "guide").add(row, "note")
        else:
            yield from view.row(row)
    if not rows:
        yield Line("  ").add("no errors in this run" if options.only_errors else "no steps yet", "dim")
    yield from _footer(run, children, rows, width)


class _View:
    """Draws the rows of one run."""

    def __init__(
        self,
        facts: RunFacts,
        gutter: int,
        width: int,
        options: TreeOptions,
        below: dict[int, Used],
    ) -> None:
        self.facts = facts
        self.below = below
        self.gutter = min(gutter, 14)
        self.width = width
        self.options = options
        self.is_wide = width >= 100

    def row(self, row: Row) -> Iterator[Line]:
        """Yield the line of one step, and what stands below it."""
        step = row.step
        line = self._start(row)
        figures = self._figures(row)
        room = self.width - line.width - figures.width - 2
        name_cells = max(8, min(32 if self.is_wide else 20, room))
        line.add(step.name, self._name_style(step), name_cells)
        if row.same > 1:
            line.add(f" ×{row.same}", "dim")  # noqa: RUF001  a multiplication, meant
        self._preview(line, row, self.width - figures.width - 2)
        yield line.right(figures, self.width) if figures.pieces else line
        yield from self._below(row)

    def _start(self, row: Row) -> Line:
        step = row.step
        glyph, style = GLYPHS.get(step.type, ("◇", "note"))
        if step.type != "event" and step.status != "ok":
            glyph, style = SIGNS[step.status]
        label = label_of(row)
        line = Line(" " * max(0, self.gutter - len(label))).add(label, "number", self.gutter)
        line.add("‖" if row.parallel else " ", "note")
        return line.add(row.guides, "guide").add(glyph, style).add(" ")

    def _name_style(self, step: Step) -> str:
        if step.type == "event":
            return "dim"
        wrong = {"error": "error_bold", "unfinished": "warn_bold"}
        return wrong.get(step.status) or GLYPHS.get(step.type, ("", "bold"))[1]

    def _figures(self, row: Row) -> Line:
        """Tokens and duration, in columns of their own at the right."""
        step = row.step
        if step.type == "event":
            return Line()
        record = step.record
        used = Line()
        if step.type == "llm_call" and step.end is not None:
            bounds = record.bounds or {}
            used.add(tokens(record.input_tokens, bounds.get("input_tokens")))
            used.add(" → ", "dim").add(tokens(record.output_tokens, bounds.get("output_tokens")))
        elif step.type == "agent_call" and id(step) in self.below:
            below = self.below[id(step)]
            used.add(f"{tokens(*below.into)} → {tokens(*below.out)}", "dim")
        lasted = "" if step.end is None else duration(step.duration_ms)
        bound = bound_sign((record.bounds or {}).get("duration_ms")) if lasted else ""
        time = Line(bound + lasted, "" if step.status == "ok" else "dim")
        if not used.width:
            return time
        return used.pad(used.width + max(2, _TIME - time.width)).extend(time)

    def _preview(self, line: Line, row: Row, until: int) -> None:
        if until - line.width < 6:
            return
        parts = _story(row.step)
        if parts:
            line.add("  ")
        for text, style in parts:
            room = until - line.width
            if room > 1:
                line.add(text, style, room)

    def _below(self, row: Row) -> Iterator[Line]:
        step = row.step
        stem = " " * (self.gutter + 1)
        inside = row.below + ("│ " if step.children and self.options.with_events else "  ")
        if step.status == "unfinished" and step.type != "event":
            yield Line(stem).add(inside, "guide").add(self._unfinished(step), "warn_bold")
        if step.end is not None and step.end.error is not None:
            yield from self._error(step, stem, inside)
        if self.options.full:
            yield from self._contents(step, stem, inside)

    def _unfinished(self, step: Step) -> str:
        begun = f"begun {moment(step.started_at)[11:]}"
        if self.facts.status == "interrupted":
            return f"◌ in flight when the process died ({begun})"
        if self.facts.status == "running":
            return f"▶ in flight now ({begun})"
        return f"◌ never ended ({begun})"

    def _error(self, step: Step, stem: str, inside: str) -> Iterator[Line]:
        record = step.record
        room = max(20, self.width - len(stem) - len(inside))
        for text in _safe.wrap(error_text(record), room, _MESSAGE_LINES):
            yield Line(stem).add(inside, "guide").add(text, "error")
        frames = frames_text(record.error_frames)
        if frames:
            yield Line(stem).add(inside, "guide").add(f"at {frames}", "dim", room)

    def _contents(self, step: Step, stem: str, inside: str) -> Iterator[Line]:
        record = step.record
        for label, value in (("input", record.input), ("output", record.output), ("data", record.data)):
            if value is None:
                continue
            yield Line(stem).add(inside, "guide").add(label, "dim")
            for text in content_lines(value):
                yield Line(stem).add(inside + "  ", "guide").add(text)


def _story(step: Step) -> Words:
    """Return the short story of a step: what went in → what came out, in words."""
    record = step.record
    if step.type == "event":
        return [(preview(record.data), "dim")] if record.data is not None else []
    if step.type == "llm_call":
        return answer_words(record)
    parts: Words = []
    given = record.input
    if given is None and step.start is not None:
        given = step.start.input
    if given not in (None, {}, ""):
        parts.append((preview(given), ""))
    if step.end is not None and step.end.error is None and record.output is not None:
        parts.append((" → " if parts else "→ ", "dim"))
        parts.append((preview(record.output), "dim"))
    return parts


def _footer(run: Run, children: Sequence[RunFacts], rows: list[Row], width: int) -> Iterator[Line]:
    notes = list(_footer_notes(run, children, rows, width))
    if notes:
        yield Line()
        yield from notes


def _footer_notes(run: Run, children: Sequence[RunFacts], rows: list[Row], width: int) -> Iterator[Line]:
    if any(row.parallel for row in rows):
        yield Line("  ‖ ", "note").add("ran beside another step", "dim")
    if any(row.has_writer for row in rows):
        yield Line("  ab12:3 ", "number").add(
            "step 3 of another process that wrote to this run (its writer id)", "dim"
        )
    names = short_ids([child.run_id for child in children])
    for child in children:
        sign, style = SIGNS.get(child.status, ("?", "dim"))
        step = f" (from step {child.parent_step})" if child.parent_step is not None else ""
        line = (
            Line("  ↳ ", "note")
            .add("child run ", "dim")
            .add(names[child.run_id], "bold", 36)
            .add(f" {sign} ", style)
        )
        text = f"{child.agent or ''} · {many(child.summary.total_steps, 'step')}{step}".strip(" ·")
        yield line.add(text, "dim", max(10, width - line.width))
    yield from render_damage(run.damage)
