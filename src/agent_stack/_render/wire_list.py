"""The exchanges of a run as a table, and the places where a text was found."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from agent_stack._render.figures import clock, duration, many, moment, tokens
from agent_stack._render.lines import Line
from agent_stack._render.notes import render_hint
from agent_stack._render.preview import preview
from agent_stack._render.table import Cell, Column, render_table
from agent_stack._render.wire_words import sign_of, size, stand

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent_stack._tapes import Row, WireRun

__all__ = ["Hit", "render_exchanges", "render_hits", "render_wire_header"]

#: ``(row, place, words before, words found, words after)``.
Hit = tuple["Row", str, str, str, str]

_SAME = 16  # characters before two finds by which they are the same one

_COLUMNS = (
    Column("N", is_right=True),
    Column(""),
    Column("TIME", rank=3),
    Column("API", least=18, most=24, rank=5),
    Column("MODEL", least=12, most=32),
    Column("STATUS", least=8, most=24),
    Column("SENT", is_right=True, rank=4),
    Column("GOT", is_right=True, rank=4),
    Column("BYTE 1", is_right=True, rank=6),
    Column("WORD 1", is_right=True, rank=2),
    Column("END", is_right=True),
    Column("TOKENS", is_right=True, rank=1),
    Column("STEP", is_right=True, rank=5),
    Column("ASKS FOR", least=8, most=60, rank=1),
)


def render_wire_header(run: WireRun, rows: Sequence[Row], width: int) -> Iterator[Line]:
    """Yield the block above a listing: whose exchanges, how many, when."""
    title = Line().add("wire", "title").add(f"  {many(len(rows), 'exchange')}", "")
    if len(run.tapes) > 1:
        title.add(f" on {many(len(run.tapes), 'tape')}")
    run_id = Line().add(run.run_id, "dim", width)
    if title.width + 2 + run_id.width <= width:
        yield title.right(run_id, width)
    else:
        yield from (title, run_id)
    yield Line("─" * width, "guide")
    if rows:
        sent = sum(row.request_bytes or 0 for row in rows)
        got = sum(row.response_bytes or 0 for row in rows)
        models = len({row.step for row in rows if row.step is not None})
        text = f"{moment(rows[0].ts)} · {size(sent)} sent · {size(got)} received"
        yield Line("  ").add(text + (f" · {many(models, 'model call')}" if models else ""), "dim", width - 2)
        yield Line()


def render_exchanges(rows: Sequence[Row], width: int) -> Iterator[Line]:
    """Yield a row for each exchange; what went wrong stands below it."""
    if not rows:
        return
    today = rows[0].ts
    table = render_table(_COLUMNS, [_cells(row, today) for row in rows], width)
    yield from next(table)
    for row, lines in zip(rows, table, strict=True):
        yield from lines
        if row.error is not None:
            words = f"{row.error_type}: {preview(row.error)}" if row.error_type else preview(row.error)
            yield Line("       ").add(words, "error", width - 7)
    yield Line()
    last = rows[-1].name
    yield render_hint("one in full", f"agent-step-log wire … {last}")
    calls = [row.name for row in rows if row.api is not None]
    if len(calls) > 1:
        yield render_hint("what changed", f"agent-step-log wire … --diff {calls[-2]} {calls[-1]}")


def _cells(row: Row, today: float) -> list[Cell]:
    sign, style = sign_of(row)
    number = "" if row.step is None else str(row.step)
    if row.attempts > 1:
        number += f" ({row.attempt}/{row.attempts})"
    names = Counter(row.tools)
    asked = [name if number == 1 else f"{name} ×{number}" for name, number in names.items()]  # noqa: RUF001
    used = ""
    if row.api is not None and (row.input_tokens is not None or row.output_tokens is not None):
        used = f"{tokens(row.input_tokens)} → {tokens(row.output_tokens)}"
    return [
        (row.name, "number"),
        (sign, style),
        (clock(row.ts, today=today), "dim"),
        (row.api or f"{row.method} {row.url}", "dim"),
        (row.model or ("" if row.api is None else "?"), "llm"),
        (stand(row), "" if style == "ok" else style),
        (size(row.request_bytes), ""),
        (size(row.response_bytes), ""),
        (_ms(row.first_byte_ms), ""),
        (_ms(row.first_content_ms), ""),
        (_ms(row.end_ms), ""),
        (used, ""),
        (number, "dim"),
        (", ".join(asked) or (f"({row.stop_reason})" if row.stop_reason else ""), "tool" if asked else "dim"),
    ]


def _ms(value: float | None) -> str:
    return "" if value is None else duration(value)


def render_hits(hits: Sequence[Hit], width: int) -> Iterator[Line]:
    """Yield a line for each place where a text was found, with the words around it.

    What is said once is sent again with every later request: that stands behind the first.
    """
    groups: dict[tuple[str, str, str], list[Hit]] = {}
    for hit in hits:
        _, place, before, found, _ = hit
        groups.setdefault((place, before[-_SAME:], found), []).append(hit)
    longest = max((len(row.name) for row, *_ in hits), default=0)
    for (row, place, before, found, after), *again in groups.values():
        line = Line("  ").add(row.name.rjust(longest), "number").add("  ")
        line.add(place, "note").pad(longest + 14)
        later = Line().add(f"  and {len(again)} later" if again else "", "dim")
        room = max(10, width - line.width - later.width - min(len(found), 60) - 2)
        line.add(before[-(room // 2) :].replace("\n", " "), "dim", room // 2)
        line.add(found.replace("\n", " "), "warn_bold", 60)
        line.add(after.replace("\n", " "), "dim", max(0, width - later.width - line.width))
        yield line.extend(later)
