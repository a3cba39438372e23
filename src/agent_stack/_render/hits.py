"""Where a text was found: the run, then a line for each field with the words around it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent_stack import _safe
from agent_stack._render.figures import clock, many
from agent_stack._render.lines import Line
from agent_stack._render.words import GLYPHS

if TYPE_CHECKING:
    from agent_stack._queries.texts import Hit

__all__ = ["render_hit", "render_hits_end", "render_hits_head"]

_STEP = 8
_NAME_AND_WHERE = ((100, 16, 18), (0, 11, 11))  # cells for them on a screen of at least so many
_FOUND = 60  # cells of the text itself
_LEAST = 12  # cells around it


def render_hits_head(hit: Hit, *, now: float) -> Line:
    """Return the line above the hits of one run."""
    return Line().add(hit.run_id, "bold").add(f"  {clock(hit.ts, today=now)}", "dim")


def render_hit(hit: Hit, width: int) -> Line:
    """Return number, name, field, and the words around what was found: what was found is «marked»."""
    number = str(hit.step) if hit.step else ""
    if hit.writer and hit.step and hit.exchange is None:
        number = f"{hit.writer[:4]}:{number}"
    glyph, style = GLYPHS.get(hit.type, (" ", ""))
    where = hit.where
    if hit.exchange is not None:
        glyph, style = "↔" if hit.step is None else "◆", "llm"
        where = f"#{hit.exchange} {where}"
    name_size, where_size = next(sizes for least, *sizes in _NAME_AND_WHERE if width >= least)
    line = Line().pad(_STEP - _safe.width(_safe.fit(number, _STEP))).add(number, "number", _STEP)
    line.add(" ").add(glyph, style).add(" ").add(hit.name or "", "", name_size).pad(_STEP + 4 + name_size)
    line.add(_where(where, where_size), "note").pad(_STEP + 4 + name_size + where_size).add("  ")
    again = Line().add(f"  ×{hit.matches:,}" if hit.matches > 1 else "", "dim")  # noqa: RUF001
    return _excerpt(line, hit, width - again.width).extend(again)


def render_hits_end(hits: int, runs: int) -> Line:
    """Return what the search came to."""
    return Line().add(f"{many(hits, 'place')} in {many(runs, 'run')}", "dim")


def _where(where: str, cells: int) -> str:
    """Shorten the way to a value: the field says most, then the key at the end."""
    field = re.split(r"[.\[]", where, maxsplit=1)[0]
    key = where.rpartition(".")[2]
    for text in (where, f"{field}…{key}", field):
        if len(text) <= cells:
            return text
    return _safe.fit(field, cells)


def _excerpt(line: Line, hit: Hit, width: int) -> Line:
    found = _safe.fit(_one_line(hit.found), _FOUND)
    room = max(_LEAST, width - line.width - _safe.width(found) - 2)
    after = _one_line(hit.after)
    before = _tail(_one_line(hit.before).lstrip(), max(room // 3, room - _safe.width(_safe.line(after))))
    line.add(before, "dim").add("«", "warn_bold").add(found, "warn_bold").add("»", "warn_bold")
    return line.add(after.rstrip(), "dim", max(0, width - line.width))


def _tail(text: str, cells: int) -> str:
    """Return the end of *text* in at most *cells* cells."""
    kept = text[-cells:] if cells > 0 else ""
    while kept and _safe.width(_safe.line(kept)) > cells - (len(kept) < len(text)):
        kept = kept[1:]
    return ("…" if len(kept) < len(text) and cells > 0 else "") + kept


def _one_line(text: str) -> str:
    return "".join(" " if char in "\n\r\t" else char for char in text)
