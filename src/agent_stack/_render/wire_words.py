"""What the views of the wire share: sizes, how an exchange stands, texts cut to a few lines."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from agent_stack import _safe
from agent_stack._render.figures import SIGNS, duration
from agent_stack._render.lines import Line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent_stack._tapes import Damage, Row

__all__ = ["render_tape_damage", "render_text", "sign_of", "size", "stand", "times_words"]


def size(number: int | None) -> str:
    """Return 812 B, 12.3 kB, 1.2 MB; - when there was none."""
    if number is None:
        return "-"
    if number < 1000:
        return f"{number} B"
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= limit:
            value = number / limit
            return f"{value:.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"
    return f"{number} B"


def sign_of(row: Row) -> tuple[str, str]:
    """Return the sign of how an exchange ended, and its style."""
    if row.state == "unfinished":
        return SIGNS["unfinished"]
    if row.state in ("cut", "failed") or row.error is not None or (row.status or 0) >= 400:
        return SIGNS["error"]
    return SIGNS["cancelled"] if row.state in ("cancelled", "closed_early") else SIGNS["ok"]


def stand(row: Row) -> str:
    """Return how an exchange ended, in few words: its status, and what is not as it should be."""
    state = "" if row.state == "complete" else row.state.replace("_", " ")
    return (
        " ".join(part for part in (str(row.status) if row.status is not None else "", state) if part) or "?"
    )


def times_words(times: Sequence[tuple[str, float | None]]) -> str:
    """Return ``headers 120 ms · end 2.31 s``."""
    return " · ".join(f"{word} {duration(ms)}" for word, ms in times if ms is not None)


def render_text(text: str, width: int, *, indent: int, most: int | None, style: str = "") -> Iterator[Line]:
    """Yield *text* as lines, broken at *width*; at most *most* of them (None: all)."""
    cells = max(20, width - indent)
    # More than can be shown need not be looked at: a text may be megabytes.
    looked_at = text if most is None else text[: (most + 2) * cells * 2]
    pieces = (piece for line in _safe.block(looked_at) for piece in _broken(line, cells))
    lines = list(pieces if most is None else islice(pieces, most + 2))
    # A cut that leaves out one line takes as much room as the line.
    is_cut = most is not None and (len(lines) > most + 1 or len(looked_at) < len(text))
    for line in lines[:most] if is_cut else lines:
        yield Line(" " * indent).add(line, style)
    if is_cut:
        total = text.count("\n") + 1
        about = f"{total:,} lines" if total > 1 else f"{len(text):,} characters"
        yield Line(" " * indent).add(f"… {about} (--full)", "dim")


def _broken(line: str, cells: int) -> Iterator[str]:
    """Yield a line, already safe, in pieces of at most *cells* cells, broken at spaces if it can be."""
    start = 0
    while True:
        # A piece has no more characters than this; so the work follows the line's length.
        ahead = line[start : start + 5 * cells]
        if start + len(ahead) >= len(line) and _safe.width(ahead) <= cells:
            yield ahead
            return
        end = max(1, len(_safe.fit(ahead, cells + 1)) - 1)
        space = ahead.rfind(" ", end // 2, end + 1)
        end = space + 1 if space > 0 else end
        yield ahead[:end].rstrip(" ")
        start += end


def render_tape_damage(damage: Sequence[Damage]) -> Iterator[Line]:
    """Yield a line for each stretch of a tape that cannot be read."""
    for each in damage:
        yield Line("▲ ", "warn").add(f"{each.tape}, from byte {each.offset:,}: {each.reason}", "warn")
