"""What a command of the debugger came to, for the line prompt and for batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent_stack._render.figures import count, duration, many
from agent_stack._render.lines import Line
from agent_stack._render.replay_rows import render_row
from agent_stack._render.replay_values import render_value, trimmed, value_cell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent_debug_replay import (
        ChildRun,
        Context,
        Files,
        Marks,
        Moved,
        Navigator,
        Notes,
        Outcome,
        State,
        StopInfo,
        Tabulated,
        Wire,
    )

__all__ = ["render_outcome"]

_MOST_LOGGED = 200  # rows of a table; --json prints all
_MESSAGE = 240  # cells
_HOW = {"written": ("w", "warn"), "read": ("r", "dim"), "named": ("·", "dim")}


def render_outcome(navigator: Navigator, outcome: Outcome, width: int) -> Iterator[Line]:
    """Yield the lines that tell *outcome*."""
    import agent_debug_replay as replay

    if isinstance(outcome, replay.Moved):
        yield from _moved(navigator, outcome, width)
    elif isinstance(outcome, replay.Value):
        yield from render_value(
            outcome.expression,
            outcome.value,
            is_missing=outcome.is_missing,
            is_whole=outcome.is_whole,
            width=width,
        )
    elif isinstance(outcome, replay.Listing):
        for row in outcome.rows:
            yield render_row(navigator.replay, row, width, is_here=row.row == outcome.row)
    elif isinstance(outcome, replay.Where):
        here = len(outcome.rows) - 1
        for place, row in enumerate(outcome.rows):
            yield render_row(navigator.replay, row, width, is_here=place == here)
        yield from _children(outcome.children, width)
    elif isinstance(outcome, replay.Stops):
        yield from _stops(outcome.stops, width)
    elif isinstance(outcome, replay.Tabulated):
        yield from _table(outcome, width)
    elif isinstance(outcome, replay.Context):
        yield from _context(outcome, width)
    elif isinstance(outcome, replay.Wire):
        yield from _wire(outcome, width)
    elif isinstance(outcome, replay.Changes):
        from agent_stack._render.replay_changes import render_changes

        yield from render_changes(outcome, width)
    elif isinstance(outcome, replay.Files):
        yield from _files(navigator, outcome, width)
    elif isinstance(outcome, replay.StateShown):
        yield from _state(navigator, outcome.state, width) if outcome.state is not None else ()
    elif isinstance(outcome, replay.Marks):
        yield from _marks(navigator, outcome, width)
    elif isinstance(outcome, replay.Notes):
        yield from _notes(navigator, outcome, width)
    elif isinstance(outcome, replay.Help):
        from agent_stack._render.replay_help import render_help

        yield from render_help(outcome.topic, width)
    elif isinstance(outcome, replay.Note):
        # A command line to copy is of no use cut.
        yield Line().add(outcome.text, "dim", max(width, 4_000))


def _children(children: tuple[ChildRun, ...], width: int) -> Iterator[Line]:
    for number, child in enumerate(children, 1):
        # The command first, as an id may be long.
        line = Line("  ").add("↳ ", "note").add("in" if len(children) == 1 else f"in {number}", "command")
        line.add(f"  {child.agent or 'run'}", "agent", 30)
        yield line.add(f"  {child.run_id}", "", max(width - line.width, 12))


def _moved(navigator: Navigator, moved: Moved, width: int) -> Iterator[Line]:
    for hit in moved.hits:
        line = (
            Line()
            .add("■ ", "note")
            .add(f"{hit.kind} {hit.stop}", "bold")
            .add(f"  {hit.text}", "dim", width // 2)
        )
        yield line.add(f"  {hit.detail}", "warn", max(width - line.width, 10)) if hit.detail else line
    if moved.message:
        # One with the ids of runs in it says more than fits a narrow line, and ends with what to do.
        style = "warn" if moved.end == "nowhere" else "dim"
        yield Line().add(moved.message, style, max(width, _MESSAGE))
    if moved.row is not None:
        yield render_row(navigator.replay, navigator.replay.row(moved.row), width, is_here=True)
        note = navigator.note_at(moved.row)
        if note is not None:
            yield _note(note, width)
    for expression in navigator.displays:
        yield from _display(navigator, expression.text, width)


def _display(navigator: Navigator, expression: str, width: int) -> Iterator[Line]:
    from agent_debug_replay import MISSING

    value = navigator.value(expression)
    line = Line("  ").add(expression, "note", width // 3).add(" = ", "dim")
    cell = value_cell(expression, value, is_missing=value is MISSING)
    yield line.add(cell, "", max(width - line.width, 10))


def _stops(stops: tuple[StopInfo, ...], width: int) -> Iterator[Line]:
    if not stops:
        yield Line("There are no stops. break, watch and catch set some.", "dim")
    for stop in stops:
        line = (
            Line()
            .add(f"{stop.number:>3} ", "number")
            .add(stop.text, "" if stop.is_enabled else "dim", width - 4)
        )
        notes = [
            *([] if stop.is_enabled else ["disabled"]),
            *(["temporary"] if stop.is_temporary else []),
            *([f"hit {many(stop.hits, 'time')}"] if stop.hits else []),
            *([f"passes over {stop.ignore} more"] if stop.ignore else []),
        ]
        yield line.add(f"  {', '.join(notes)}", "dim", max(width - line.width, 10)) if notes else line


def _table(table: Tabulated, width: int) -> Iterator[Line]:
    from agent_debug_replay import MISSING
    from agent_stack._render.table import Column, render_table

    if not table.rows:
        yield Line("No step matches.", "dim")
        return
    shown = table.rows[:_MOST_LOGGED]
    columns = [Column("step", is_right=True), Column("name", least=8, most=32)]
    columns += [Column(expression, least=6, most=80) for expression in table.columns]
    cells = [
        [
            (row.label, "number"),
            (row.name or "?", "error" if row.is_error else ""),
            *(
                (value_cell(expression, value, is_missing=value is MISSING), "")
                for expression, value in zip(table.columns, values, strict=True)
            ),
        ]
        for row, values in shown
    ]
    for lines in render_table(columns, cells, width):
        yield from lines
    hidden = len(table.rows) - len(shown) + table.left_out
    if hidden:
        yield Line("  ").add(f"… {many(hidden, 'more step')} (--json prints them)", "dim")


def _context(context: Context, width: int) -> Iterator[Line]:
    from agent_stack._conversation import Message
    from agent_stack._render.wire_exchange import render_messages

    if context.row is None:
        yield Line("No model was called up to here.", "dim")
        return
    where = {
        "tape": "as it was sent",
        "record": "as the step log has it",
        "steps": "put together from the steps before",
        "none": "nothing is recorded of it",
    }
    head = Line().add(f"step {context.row.label}", "bold").add(f"  {context.row.name or '?'}", "llm")
    if context.is_difference:
        words = f"  {many(context.added or 0, 'message')} added"
        words += f", {context.dropped:,} dropped" if context.dropped else ""
        head.add(words)
    else:
        head.add(f"  {many(len(context.messages), 'message')}")
    yield head.add(f"  ({where[context.source]})", "dim")
    contents = (trimmed(each.content, is_whole=context.is_whole) for each in context.messages)
    messages = [
        Message(each.role, content, plain=content)
        for each, content in zip(context.messages, contents, strict=True)
    ]
    yield from render_messages(messages, width, full=context.is_whole)


def _wire(wire: Wire, width: int) -> Iterator[Line]:
    exchange = wire.exchange
    if wire.row is None or exchange is None:
        yield Line().add(wire.message, "dim", 400)
        return
    status = str(exchange.status) if exchange.status is not None else exchange.state
    head = (
        Line()
        .add(f"step {wire.row.label}", "bold")
        .add(f"  {exchange.method} ", "")
        .add(exchange.url, "", width // 2)
    )
    took = exchange.times.get("end_ms")
    yield head.add(f"  {status}", "error" if exchange.error or (exchange.status or 0) >= 400 else "ok").add(
        f"  {duration(took)}" if took is not None else "", "dim"
    )
    if wire.part == "events":
        from agent_stack._render.wire_exchange import render_events

        yield from render_events(exchange, width, full=wire.is_whole)
    elif wire.part == "request":
        yield from _request(wire, width)
    else:
        yield from _response(wire, width)


def _request(wire: Wire, width: int) -> Iterator[Line]:
    from agent_stack._conversation import conversation_of
    from agent_stack._render.wire_exchange import render_messages

    exchange = wire.exchange
    assert exchange is not None  # asked for only with one
    found = conversation_of(exchange.api, exchange.request_json(), exchange.url)
    for name, value in found.settings.items():
        yield (
            Line("  ")
            .add(name, "dim", 24)
            .add(" ")
            .add(value_cell(name, value, is_missing=False), "", width - 30)
        )
    if found.tools:
        names = ", ".join(name for name, _ in found.tools)
        yield Line("  ").add("tools", "dim").add(f" {len(found.tools)}: {names}", "", width - 8)
    yield from render_messages([*found.system, *found.messages], width, full=wire.is_whole)


def _response(wire: Wire, width: int) -> Iterator[Line]:
    exchange = wire.exchange
    assert exchange is not None  # asked for only with one
    facts = exchange.facts()
    is_told = False
    for name, text in (("thinking", facts.thinking), ("text", facts.text), ("error", facts.error or "")):
        if text:
            is_told = True
            yield from render_value(name, text, is_missing=False, is_whole=wire.is_whole, width=width)
    for call in facts.calls:
        is_told = True
        line = Line("  ").add("● ", "tool").add(call.name or "?", "tool", 40)
        yield line.add(f"  {value_cell('', call.arguments, is_missing=False)}", "", width - line.width)
    for name in ("stop_reason", "input_tokens", "output_tokens", "cache_read_tokens"):
        if facts.fields.get(name) is not None:
            yield Line("  ").add(f"{name} ", "dim").add(str(facts.fields[name]), "", width - 24)
    if not is_told:
        text = exchange.body[:4000].decode("utf-8", "replace")
        yield from render_value("body", text, is_missing=False, is_whole=False, width=width)


def _files(navigator: Navigator, files: Files, width: int) -> Iterator[Line]:
    if not files.files:
        yield Line("No tool named a file up to here.", "dim")
    for touch in files.files:
        sign, style = _HOW[touch.how]
        times = f"  {touch.times} times" if touch.times > 1 else ""
        line = Line("  ").add(sign, style).add(" ").add(touch.path, "", max(width - 30, 20))
        label = navigator.replay.row(touch.row).label
        yield line.add(f"  step {label}{times}", "dim")


def _state(navigator: Navigator, state: State, width: int) -> Iterator[Line]:
    totals = state.totals
    calls = f"{many(totals.llm_calls, 'model call')}, {many(totals.tool_calls, 'tool call')}"
    errors = f", {many(totals.errors, 'error')}" if totals.errors else ""
    yield _fact("so far", f"{many(totals.steps, 'step')}: {calls}{errors}", width)
    into, out = (
        _at_least(number, is_all=totals.tokens_known)
        for number in (totals.input_tokens, totals.output_tokens)
    )
    yield _fact("tokens", f"{into} in, {out} out", width)
    if totals.cost_usd is not None:
        yield _fact("cost", f"{'' if totals.is_cost_whole else '≥'}${totals.cost_usd:,.4f}", width)
    yield _fact("time", duration(totals.elapsed_ms), width)
    size = state.context
    parts = [
        f"{count(value)} {name.replace('_', ' ')}"
        for name in ("system", "tools", "user", "assistant", "tool_output", "other")
        if (value := getattr(size, name))
    ]
    if parts:
        note = "" if state.source == "tape" else f" (from {state.source})"
        yield _fact("context", f"{count(size.total)} characters: {', '.join(parts)}{note}", width)
    if state.files:
        written = sum(touch.how == "written" for touch in state.files)
        yield _fact("files", f"{many(len(state.files), 'file')}, {written} written", width)
    if state.last_error is not None:
        yield _fact("last error", "", width)
        yield render_row(navigator.replay, navigator.replay.row(state.last_error), width)


def _at_least(number: int, *, is_all: bool) -> str:
    """Return a sum of what is known: ``?`` when that is nothing, and with ≥ when it is not all."""
    if is_all:
        return count(number)
    return f"≥{count(number)}" if number else "?"


def _fact(label: str, text: str, width: int) -> Line:
    return Line("  ").add(label, "dim").pad(14).add(text, "", max(width - 14, 10))


def _marks(navigator: Navigator, marks: Marks, width: int) -> Iterator[Line]:
    if not marks.marks:
        yield Line("There are no marks. mark NAME makes one.", "dim")
    for name, row in marks.marks.items():
        yield Line().add(f"'{name}", "note", 20)
        yield render_row(navigator.replay, row, width)


def _notes(navigator: Navigator, notes: Notes, width: int) -> Iterator[Line]:
    if not notes.notes:
        yield Line("There are no notes. note TEXT makes one.", "dim")
    for row, text in notes.notes:
        yield render_row(navigator.replay, row, width)
        yield _note(text, width)


def _note(text: str, width: int) -> Line:
    # One that a person wrote is of no use cut.
    return Line("  ✎ ", "note").add(text, "", max(width - 4, _MESSAGE))
