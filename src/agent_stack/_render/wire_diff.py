"""Two requests side by side: whether the provider's cache still holds, then what became of each message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent_stack._conversation import MISSING
from agent_stack._render.figures import clock, count, many
from agent_stack._render.lines import Line
from agent_stack._render.preview import preview
from agent_stack._render.wire_exchange import INDENT, render_parts
from agent_stack._render.wire_words import size
from agent_stack._safe import fit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent_stack._conversation import Change, Diff, Message
    from agent_stack._tapes import Row
    from agent_stack._text_diff import DiffLine

__all__ = ["render_compared", "render_conversations", "render_diff", "verdict"]

_LABEL = 14
_DIFF_LINES = 16  # of one comparison
_TEXT_LINES = 5  # of an added or dropped message
_NEAR = 24  # characters of a long line shown around what changed
_SIGNS = {
    "added": ("+", "ok"),
    "dropped": ("-", "error"),
    "changed": ("~", "warn"),
    "extended": ("+", "ok"),
    "moved": ("↳", "note"),
    "same": ("=", "dim"),
}


def render_diff(diff: Diff, rows: Sequence[Row], width: int, *, run_id: str, full: bool) -> Iterator[Line]:
    """Yield the comparison.

    Args:
        diff: What to show.
        rows: The two exchanges.
        width: Cells in a line.
        run_id: Whose they are.
        full: Nothing is cut.
    """
    before, after = rows
    title = Line().add(f"exchange {before.name} → {after.name}", "title")
    yield title.right(Line().add(run_id, "dim", max(10, width - title.width - 2)), width)
    yield Line("─" * width, "guide")
    for row, conversation in zip(rows, (diff.before, diff.after), strict=True):
        line = Line("  ").add(row.name.rjust(4), "number").add(f"  {clock(row.ts, today=before.ts)}  ", "dim")
        line.add(f"{row.model or '?'}  ", "llm", 40)
        line.add(f"{many(len(conversation.messages), 'message')}, {size(row.request_bytes)}", "")
        yield line
    yield Line()
    yield from _verdict(diff, before, after, width)
    yield Line()
    yield from _parts(diff, width, full=full)
    yield from _messages(diff, width, full=full)


def render_conversations(diff: Diff, width: int, *, full: bool) -> Iterator[Line]:
    """Yield what became of settings, tools, system prompt and messages, and nothing of the cache."""
    yield from _parts(diff, width, full=full)
    yield from _messages(diff, width, full=full)


def render_compared(lines: Sequence[DiffLine], width: int, *, full: bool) -> Iterator[Line]:
    """Yield two texts compared, line by line, indented."""
    yield from _compared(lines, width, full=full)


# -- the cache --------------------------------------------------------------------


def verdict(diff: Diff, before: str, after: str) -> str:
    """Return in one sentence whether the second request begins with all of the first."""
    kept, total = diff.prefix, len(diff.after.messages)
    if diff.breaks is None:
        if not diff.changes:
            return f"cache kept: {after} is {before} again, all {many(total, 'message')} unchanged"
        goes_on = any(change.kind == "extended" for change in diff.changes)
        more = ", and the next goes on where it ended" if goes_on else ""
        return f"cache kept: {kept} of {many(total, 'message')} unchanged{more}"
    at = diff.breaks
    if at.part == "message":
        return f"cache breaks at message {at.number} ({at.role}): {at.what}"
    where = {"tools": "the tools", "system": "the system prompt", "settings": "the first message"}
    place = where.get(at.part, "its very beginning")
    return f"cache breaks at {place}: {at.what}"


def _verdict(diff: Diff, before: Row, after: Row, width: int) -> Iterator[Line]:
    is_kept = diff.breaks is None
    style = "ok" if is_kept else "warn_bold"
    yield Line("✓ " if is_kept else "▲ ", style).add(verdict(diff, before.name, after.name), style, width - 2)
    if not is_kept and diff.breaks is not None and diff.breaks.part == "message" and diff.after.messages:
        behind = len(diff.after.messages) - diff.prefix
        text = f"{many(diff.prefix, 'message')} before it can be read from the cache, {behind:,} cannot"
        yield Line("  ").add(text, "dim")
    read, whole = after.cache_read_tokens, after.input_tokens
    if read is not None and whole:
        share = f"{100 * read / whole:.0f} %" if read <= whole else "?"
        text = f"the provider read {count(read)} of {count(whole)} input tokens from its cache ({share})"
        yield Line("  ").add(text, "dim")


# -- settings, tools, system prompt -----------------------------------------------


def _parts(diff: Diff, width: int, *, full: bool) -> Iterator[Line]:
    yield from _settings(diff, width)
    yield from _tools(diff, width, full=full)
    yield from _system(diff, width, full=full)
    markers = (diff.before.markers, diff.after.markers)
    if markers[0] != markers[1]:
        words = " → ".join(", ".join(map(_marker, each)) or "none" for each in markers)
        yield _row("same", "cache markers").add(words, "dim", width - _LABEL - 4)


def _marker(place: int) -> str:
    return "system prompt" if place == 0 else f"message {place}"


def _settings(diff: Diff, width: int) -> Iterator[Line]:
    if not diff.settings:
        yield _row("same", "settings").add("unchanged", "dim")
    for place, (name, old, new) in enumerate(diff.settings):
        line = _row("changed", "settings" if place == 0 else "").add(f"{name} ", "bold", 40)
        room = max(12, (width - line.width - 3) // 2)
        line.add(_setting(old), "error" if old is not MISSING else "dim", room).add(" → ")
        yield line.add(_setting(new), "ok" if new is not MISSING else "dim", room)


def _setting(value: Any) -> str:
    return str(value) if value is MISSING else preview(value)


def _tools(diff: Diff, width: int, *, full: bool) -> Iterator[Line]:
    total = len(diff.after.tools)
    groups = (("added", diff.tools_added), ("dropped", diff.tools_dropped), ("changed", diff.tools_changed))
    if not any(names for _, names in groups):
        if diff.is_tool_order_changed:
            yield _row("moved", "tools").add("the same, in another order", "warn")
        elif total:
            yield _row("same", "tools").add(f"unchanged, {total}", "dim")
        return
    label = "tools"
    for kind, names in groups:
        for name in names:
            style = _SIGNS[kind][1]
            yield _row(kind, label).add(name, style, 60).add(f"  {kind}", "dim")
            label = ""
            if kind == "changed":
                yield from _compared(diff.tool_diff(name), width, full=full)


def _system(diff: Diff, width: int, *, full: bool) -> Iterator[Line]:
    lines = diff.after.system_lines
    about = f"{many(len(lines), 'line')}, {sum(map(len, lines)):,} characters"
    if diff.system == "same":
        if lines:
            yield _row("same", "system").add(f"unchanged, {about}", "dim")
        return
    yield _row(diff.system, "system").add(diff.system, _SIGNS[diff.system][1]).add(f", {about}", "dim")
    yield from _compared(diff.system_diff(), width, full=full)


# -- messages ---------------------------------------------------------------------


def _messages(diff: Diff, width: int, *, full: bool) -> Iterator[Line]:
    if diff.prefix:
        numbers = "1" if diff.prefix == 1 else f"1-{diff.prefix}"
        yield _row("same", numbers).add(f"{many(diff.prefix, 'message')} unchanged", "dim")
    at = diff.prefix
    for change in diff.changes:
        # What is the same between two changes is said, so that the numbers have no holes.
        if change.after is not None:
            yield from _between(at, change.after - 1)
            at = max(at, change.after)
        yield from _change(diff, change, width, full=full)
    if diff.changes:
        yield from _between(at, len(diff.after.messages))


def _between(at: int, end: int) -> Iterator[Line]:
    if end > at:
        numbers = str(end) if end == at + 1 else f"{at + 1}-{end}"
        yield _row("same", numbers).add(f"{many(end - at, 'message')} unchanged", "dim")


def _change(diff: Diff, change: Change, width: int, *, full: bool) -> Iterator[Line]:
    number = change.after if change.after is not None else change.before
    style = _SIGNS[change.kind][1]
    if change.kind in ("added", "dropped"):
        side = diff.after if change.after is not None else diff.before
        message = side.messages[(number or 1) - 1]
        words = "" if change.kind == "added" else f"dropped (was message {number})"
        yield from _whole(change, message, words, width, full=full)
        return
    line = _row(change.kind, f"{number} {change.role}")
    was = f" (was message {change.before})" if change.before != change.after else ""
    word = {"changed": "changed", "extended": "goes on", "moved": "moved"}[change.kind]
    yield line.add(word, style).add(was, "dim")
    if change.kind != "moved":
        yield from _compared(diff.lines(change), width, full=full)


def _whole(change: Change, message: Message, words: str, width: int, *, full: bool) -> Iterator[Line]:
    """Yield an added or dropped message: sign and role, then what it says, its sign at every line."""
    sign, style = _SIGNS[change.kind]
    number = change.after if change.after is not None else "·"
    lines = list(render_parts(message.parts, width - (_LABEL + 4 - INDENT), full=full, most=_TEXT_LINES))
    head = _row(change.kind, f"{number} {change.role}")
    if words:
        yield head.add(words, style)
    elif lines:
        yield _joined(head, lines.pop(0))
    else:
        yield head.add("(empty)", "dim")
    for line in lines:
        yield _joined(Line("  ").add(sign, style).pad(_LABEL + 4), line)


def _joined(head: Line, line: Line) -> Line:
    """Put the content of *line* behind *head*, in the place of its indent."""
    head.pad(_LABEL + 4)
    indent, *rest = line.pieces
    head.pieces += [(" " * max(0, len(indent[0]) - INDENT), ""), *rest]
    head.width += line.width - INDENT
    return head


def _row(kind: str, label: str) -> Line:
    sign, style = _SIGNS[kind]
    return Line("  ").add(sign, style).add(" ").add(label, style, _LABEL - 1).pad(_LABEL + 4)


# -- texts ------------------------------------------------------------------------


def _compared(lines: Sequence[DiffLine], width: int, *, full: bool) -> Iterator[Line]:
    shown = lines if full or len(lines) <= _DIFF_LINES + 1 else lines[:_DIFF_LINES]
    for line in shown:
        yield _diff_line(line, width, full=full)
    if len(shown) < len(lines):
        yield Line(" " * (_LABEL + 4)).add(f"… {len(lines) - len(shown):,} more lines (--full)", "dim")


def _diff_line(line: DiffLine, width: int, *, full: bool) -> Line:
    shown = Line(" " * (_LABEL + 4))
    if line.sign == "…":
        return shown.add(f"… {many(line.same, 'line')} the same", "dim")
    plain, strong = {"-": ("error", "error_bold"), "+": ("ok", "command")}.get(line.sign, ("dim", "dim"))
    shown.add(f"{line.sign} ", plain)
    is_partly = any(is_changed for _, is_changed in line.spans) and len(line.spans) > 1
    for place, (text, is_changed) in enumerate(line.spans):
        is_edge = (place == 0, place == len(line.spans) - 1)
        piece = text if full or is_changed or not is_partly else _near(text, *is_edge)
        style = strong if is_changed and is_partly else plain
        cells = None if full else max(0, width - shown.width)
        shown.add(piece if cells is None else fit(piece.replace("\t", " "), cells), style)
    return shown


def _near(text: str, is_first: bool, is_last: bool) -> str:
    """Return of a stretch that is the same only what is next to a change."""
    if len(text) <= 2 * _NEAR + 8:
        return text
    head = "" if is_first else text[:_NEAR]
    tail = "" if is_last else text[-_NEAR:]
    if is_first:
        # The beginning of a line says where one is.
        head = text[:_NEAR]
    return f"{head}…{tail}"
