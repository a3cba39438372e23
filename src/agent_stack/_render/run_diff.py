"""Two runs side by side: what they came to, where they part, then their steps aligned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent_stack import _safe
from agent_stack._json import pretty_json
from agent_stack._render.figures import SIGNS, bound_sign, count, duration, many, moment
from agent_stack._render.lines import Line
from agent_stack._render.preview import preview
from agent_stack._render.wire_diff import render_compared, render_conversations
from agent_stack._render.words import GLYPHS, answer_words
from agent_stack._text_diff import diff_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent_debug_replay import Delta, Divergence, FieldChange, Pair, RunDiff
    from agent_stack._conversation import Diff
    from agent_step_log import RunInfo, Step

__all__ = ["DiffOptions", "render_run_diff"]

_ROWS = 200  # of the aligned list
_FIELDS = 12  # differences shown of one step
#: Characters of a text that are compared word by word, without ``--full`` and with it.
_LONG, _LONG_FULL = 20_000, 1_000_000
_LABEL = 14
#: Cells of the columns of the totals, label first, in a wide terminal and in a narrow one.
_WIDE, _NARROW = (16, 12, 12, 24), (11, 9, 9, 11)

#: Kind of pair to sign, style and words.
_KINDS = {
    "same": ("=", "dim", "same"),
    "output": ("~", "warn", "output drift"),
    "arguments": ("~", "warn_bold", "arguments changed"),
    "only_a": ("-", "error", "only in A"),
    "only_b": ("+", "ok", "only in B"),
    "reordered": ("↳", "note", "reordered"),
}
_NAMES = {
    "input_tokens": "tokens in",
    "output_tokens": "tokens out",
    "cache_read_tokens": "cache read",
    "cache_write_tokens": "cache write",
    "reasoning_tokens": "reasoning",
    "duration_ms": "time",
    "llm_ms": "in models",
    "tool_ms": "in tools",
}


@dataclass(frozen=True)
class DiffOptions:
    """What of a comparison is shown; `only` holds kinds of pairs, empty for all."""

    show_all: bool = False
    full: bool = False
    only: frozenset[str] = frozenset()


def render_run_diff(
    found: RunDiff, width: int, options: DiffOptions, *, costs: Any = None, messages: Diff | None = None
) -> Iterator[Line]:
    """Yield the comparison.

    Args:
        found: What to show.
        width: Cells in a line.
        options: How much of it.
        costs: What each run cost, as `RunDiff.costs`; None where nobody can tell.
        messages: The requests of the two model calls where the runs part, compared, where there are tapes.
    """
    for line in _parts(found, width, options, costs, messages):
        yield line if options.full or line.width <= width else _cut(line, width)


def _cut(line: Line, width: int) -> Line:
    shown = Line()
    for text, style in line.pieces:
        if shown.width < width:
            shown.add(text, style, width - shown.width)
    return shown


def _parts(
    found: RunDiff, width: int, options: DiffOptions, costs: Any, messages: Diff | None
) -> Iterator[Line]:
    yield from _heads(found, width)
    yield Line()
    yield from _totals(found, costs, width)
    yield Line()
    yield from _verdict(found, width)
    if found.first is not None:
        yield Line()
        yield from _divergence(found.first, width, options, messages)
    yield Line()
    yield from _list(found, width, options)


# -- what is compared -------------------------------------------------------------


def _heads(found: RunDiff, width: int) -> Iterator[Line]:
    yield _head("A", found.a_id, found.a_info, width)
    yield _head("B", found.b_id, found.b_info, width)
    yield Line("─" * width, "guide")
    for change in found.head_changes:
        words = f"{preview(change.before)} → {preview(change.after)}"
        yield (
            Line("  ")
            .add(change.path.replace("_", " "), "dim", _LABEL)
            .pad(_LABEL + 2)
            .add(words, "warn", width - _LABEL - 2)
        )


def _head(side: str, run_id: str | None, info: RunInfo | None, width: int) -> Line:
    line = Line(f"{side}  ", "bold")
    if info is None:
        return line.add(run_id or "records", "dim", width - 4)
    sign, style = SIGNS.get(info.status, ("?", "dim"))
    line.add(f"{sign} {info.status}", style, 24).add("  ")
    line.add((info.header.agent if info.header is not None else None) or "run", "title", 30)
    line.add(f"  {moment(info.fold.first_ts)}", "dim").add("  ")
    return line.add(run_id or "", "dim", max(8, width - line.width))


def _totals(found: RunDiff, costs: Any, width: int) -> Iterator[Line]:
    cells = _WIDE if width >= sum(_WIDE) else _NARROW
    yield _total(["", "A", "B", "difference"], cells, "dim", "dim")
    for delta in found.totals:
        if delta.a or delta.b or delta.name == "steps":
            name = _NAMES.get(delta.name, delta.name.replace("_", " "))
            figures = [_figure(delta, delta.a, delta.a_bound), _figure(delta, delta.b, delta.b_bound)]
            difference = _difference(delta, with_share=cells is _WIDE)
            yield _total([name, *figures, difference], cells, "", "dim" if difference == "0" else "warn")
    if costs is not None:
        from agentsnap import format_usd

        values = [amount.value for amount in costs]
        words = (
            "?" if None in values else _signed(values[1] - values[0], f"${abs(values[1] - values[0]):.4f}")
        )
        if not all(amount.exactness == "exact" for amount in costs) and words != "?":
            words = f"~{words}"
        shown = [format_usd(amount).replace(" ", "") for amount in costs]
        yield _total(["cost", *shown, words], cells, "", "dim" if words in ("0", "?") else "warn")


def _total(texts: list[str], cells: tuple[int, ...], style: str, last_style: str) -> Line:
    line = Line("  ").add(texts[0], "dim", cells[0] - 2).pad(cells[0])
    for text, size, name in zip(texts[1:], cells[1:], (style, style, last_style), strict=True):
        shown = Line().add(text, name, size - 1)
        line.pad(line.width + size - shown.width).extend(shown)
    return line


def _figure(delta: Delta, value: float | None, side: str | None) -> str:
    if value is None:
        return "?"
    if delta.name.endswith("_ms"):
        return bound_sign(side) + duration(value)
    return bound_sign(side) + (count(int(value)) if delta.name.endswith("_tokens") else f"{int(value):,}")


def _difference(delta: Delta, *, with_share: bool) -> str:
    value = delta.delta
    if value is None:
        return "?"
    # A difference of bounds is no bound of anything.
    about = "" if delta.is_exact else "~"
    words = about + _signed(value, _figure(delta, abs(value), None))
    if with_share and delta.a and value and abs(value) < 100 * delta.a:
        words += f" ({100 * value / delta.a:+.0f} %)"
    return words


def _signed(value: Any, words: str) -> str:
    return "0" if not value else ("+" if value > 0 else "-") + words


def _verdict(found: RunDiff, width: int) -> Iterator[Line]:
    parts = []
    for kind, number in found.counts.items():
        if number or kind == "same":
            parts.append(f"{number:,} {_KINDS[kind][2]}")
    if found.is_same:
        yield Line("✓ ", "ok").add("the runs did the same", "ok").add(f": {' · '.join(parts)}", "dim")
        return
    yield Line("▲ ", "warn").add("the runs differ", "warn_bold").add(f": {' · '.join(parts)}", "", width - 18)
    for change in found.end_changes:
        line = Line("  ").add(f"{change.path}: ", "dim")
        words = f"{preview(change.before or 'none')} → {preview(change.after or 'none')}"
        yield line.add(words, "error", width - line.width)


# -- where they part --------------------------------------------------------------


def _divergence(first: Divergence, width: int, options: DiffOptions, messages: Diff | None) -> Iterator[Line]:
    _, style, words = _KINDS[first.pair.kind]
    line = Line("first divergence", "head").add(f", {_after(first.common)}: ", "dim")
    yield line.add(words, style)
    for side, step in (("A", first.a), ("B", first.b)):
        line = Line(f"  {side} ", "bold")
        if step is None:
            yield line.add("was over", "dim")
        else:
            yield line.add(f"step {step.number}  ", "number").extend(_what(step, width - line.width))
    changes = first.pair.changes() if first.pair.kind != "reordered" else []
    yield from _changes(changes, width, options)
    if messages is not None:
        yield Line("  requests", "head")
        yield from render_conversations(messages, width, full=options.full)
    yield from _rest(first, width)


def _after(common: int) -> str:
    return "at the very beginning" if not common else f"after {many(common, 'step')} the same"


def _rest(first: Divergence, width: int) -> Iterator[Line]:
    """Yield what either run did from there on."""
    rest = {delta.name: delta for delta in first.after}
    units = {"input_tokens": " tokens in", "output_tokens": " out", "duration_ms": ""}
    for side in ("a", "b"):
        steps = rest["steps"].a if side == "a" else rest["steps"].b
        words = [many(int(steps or 0), "step")]
        for name, unit in units.items():
            delta = rest.get(name)
            value, bound = (None, None) if delta is None else _side(delta, side)
            if delta is not None and value:
                words.append(_figure(delta, value, bound) + unit)
        line = Line(f"  {side.upper()} ", "bold").add("from there: ", "dim")
        yield line.add(", ".join(words), "dim", width - line.width)


def _side(delta: Delta, side: str) -> tuple[float | None, str | None]:
    return (delta.a, delta.a_bound) if side == "a" else (delta.b, delta.b_bound)


def _changes(changes: list[FieldChange], width: int, options: DiffOptions) -> Iterator[Line]:
    shown = changes if options.full else changes[:_FIELDS]
    for change in shown:
        line = Line("    ").add(change.path, "note", width // 2)
        if change.kind == "changed":
            yield from _changed(line, change, width, options)
            continue
        sign, style = ("+", "ok") if change.kind == "added" else ("-", "error")
        value = change.after if change.kind == "added" else change.before
        yield line.add(f"  {sign} ", style).add(preview(value), style, max(8, width - line.width))
        if options.full:
            for text in _text(value):
                yield Line(" " * (_LABEL + 4)).add(f"{sign} {text}", style)
    if len(shown) < len(changes):
        yield Line("    ").add(f"… {many(len(changes) - len(shown), 'more field')} (--full)", "dim")


def _changed(line: Line, change: FieldChange, width: int, options: DiffOptions) -> Iterator[Line]:
    values = change.before, change.after
    if all(isinstance(value, int | float | bool) or value is None for value in values):
        words = " → ".join(preview(value) for value in values)
        yield line.add("  ").add(words, "", max(8, width - line.width))
        return
    yield line
    texts = _near_change(*map(_plain, values), most=_LONG_FULL if options.full else _LONG)
    yield from render_compared(diff_lines(*map(_safe.block, texts)), width, full=options.full)


def _near_change(before: str, after: str, *, most: int) -> tuple[str, str]:
    """Return of two texts of which one is longer than *most* what is around the first place they differ."""
    if max(len(before), len(after)) <= most:
        return before, after
    same, differs = 0, min(len(before), len(after)) + 1
    while differs - same > 1:  # as many slices as the length has binary digits, each compared at once
        middle = (same + differs) // 2
        if before[same:middle] == after[same:middle]:
            same = middle
        else:
            differs = middle
    begin = max(0, same - most // 8)
    head = "…" if begin else ""
    first, second = (
        head + text[begin : begin + most] + ("…" if len(text) > begin + most else "")
        for text in (before, after)
    )
    return first, second


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else pretty_json(value)


def _text(value: Any) -> list[str]:
    return _safe.block(_plain(value)[:_LONG_FULL])


def _what(step: Step, room: int) -> Line:
    """Return a step in a few words: its sign, its name, what went in."""
    glyph, style = GLYPHS.get(step.type, ("◇", "note"))
    line = Line(f"{glyph} ", style).add(step.name, style, min(32, max(8, room // 3)))
    record = step.record
    if step.status == "error":
        line.add(" ✗", "error")
    given = record.data if step.type == "event" else record.input
    if given is None and step.start is not None:
        given = step.start.input
    if step.type == "llm_call":
        words = answer_words(record)
    else:
        words = [(preview(given), "dim")] if given not in (None, {}, "") else []
    for place, (text, piece_style) in enumerate(words):
        if room - line.width > 4:
            line.add("  " if place == 0 else "").add(text, piece_style, max(1, room - line.width - 2))
    return line


# -- the steps, aligned -------------------------------------------------------------


def _list(found: RunDiff, width: int, options: DiffOptions) -> Iterator[Line]:
    chosen, left_out = _chosen(found, options)
    ends = (found.pairs[place] for begin, end, _ in chosen for place in (begin, end - 1))
    numbers = [step.number for pair in ends for step in (pair.a, pair.b) if step is not None]
    gutter = max(3, len(str(max(numbers, default=0))))
    yield Line("  ").add("A".rjust(gutter), "dim").add("B".rjust(gutter + 2), "dim")
    for begin, end, is_folded in chosen:
        if is_folded:
            yield _fold(found, begin, end, gutter)
            continue
        for place in range(begin, end):
            yield from _row(found.pairs[place], gutter, width, options)
    if left_out:
        yield Line("  ┄ ", "guide").add(f"{many(left_out, 'more row')} (--all)", "note")
    if not chosen:
        yield Line("  ").add("no such steps", "dim")


def _chosen(found: RunDiff, options: DiffOptions) -> tuple[list[tuple[int, int, bool]], int]:
    """Return the stretches of pairs to show, each with whether it is folded, and how many rows are not."""
    chosen: list[tuple[int, int, bool]] = []
    shown = left_out = 0
    for kind, begin, end in found.stretches():
        if options.only and kind not in options.only:
            continue
        if kind == "same" and not options.show_all and not options.only:
            # Beyond the last row it would tell of what is not there.
            if not left_out:
                chosen.append((begin, end, True))
            continue
        room = end - begin if options.show_all else min(end - begin, _ROWS - shown)
        if room:
            chosen.append((begin, begin + room, False))
        shown += room
        left_out += end - begin - room
    if left_out and chosen[-1][2]:
        chosen.pop()
    return chosen, left_out


def _fold(found: RunDiff, begin: int, end: int, gutter: int) -> Line:
    ends = [f"{pair.a.number}" for pair in (found.pairs[begin], found.pairs[end - 1]) if pair.a is not None]
    numbers = ends[0] if end - begin == 1 else " to ".join(ends)
    line = Line("  ").add(" " * max(0, gutter - 1)).add("┄ ", "guide")
    return line.add(f"{many(end - begin, 'step')} the same ({numbers} of A)", "dim")


def _row(pair: Pair, gutter: int, width: int, options: DiffOptions) -> Iterator[Line]:
    sign, style, words = _KINDS[pair.kind]
    line = Line("  ").add(_number(pair.a).rjust(gutter), "number", gutter)
    line.add(_number(pair.b).rjust(gutter + 2), "number", gutter + 2).add(f"  {sign} ", style)
    line.add("  " * min(pair.depth, 8))
    note = Line(words if pair.kind != "same" else "", style)
    if pair.is_different is False and pair.kind == "reordered":
        note.add(", ran in parallel", "dim")
    step = pair.a if pair.a is not None else pair.b
    if step is not None:
        line.extend(_what(step, width - line.width - note.width - 2))
    yield line.right(note, width) if note.width else line
    if options.full and pair.a is not None and pair.b is not None:
        yield from _changes(pair.changes(), width, options)


def _number(step: Step | None) -> str:
    return "·" if step is None else str(step.number)
