"""Values that an expression gave: in one cell, in a few lines, or whole."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from agent_stack._json import pretty_json
from agent_stack._render.figures import duration
from agent_stack._render.lines import Line
from agent_stack._render.preview import preview

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["render_value", "trimmed", "value_cell"]

_LINES = 20  # of a value that was not asked for whole
_CHARACTERS = 4_000
_MOST_LINES = 5_000  # of one that was: what is longer is better read in a file
_MOST_CHARACTERS = 400_000
_MOST_ITEMS = 2_000  # of a list or an object of one that was
_ITEMS = 100
_DEEPEST = 200
_TIMES = frozenset({"duration", "ms", "gap", "time", "ttft"})


def render_value(
    expression: str, value: Any, *, is_missing: bool, is_whole: bool, width: int
) -> Iterator[Line]:
    """Yield what *expression* is: on its own line where it fits, else in a block below."""
    head = Line().add(expression, "note", max(width // 2, 20)).add(" = ", "dim")
    if is_missing:
        yield head.add("missing", "warn")
        return
    if isinstance(value, bool | int | float) or value is None:
        yield head.add(_plain(expression, value))
        return
    text, is_cut = _text(value, _MOST_CHARACTERS if is_whole else _CHARACTERS)
    lines = text.split("\n")
    if len(lines) == 1 and not is_cut and head.width + len(lines[0]) + 2 <= width:
        yield head.add(f'"{lines[0]}"' if isinstance(value, str) else lines[0])
        return
    yield head
    most = _MOST_LINES if is_whole else _LINES
    for line in lines[:most]:
        shown = line.replace("\t", "    ")
        yield Line("  ").add(shown) if is_whole else Line("  ").add(shown, "", max(width - 2, 10))
    hidden = len(lines) - most
    if hidden > 0 or is_cut:
        more = f"{hidden:,} more lines" if hidden > 0 and not is_cut else "more of it"
        hint = "--json prints all of it" if is_whole else "pp prints it"
        yield Line("  ").add(f"… {more} ({hint})", "dim")


def trimmed(value: Any, *, is_whole: bool, depth: int = 0) -> Any:
    """Return a message's content with no more in it than is worth laying out; what is left out is told.

    Args:
        value: Text, or blocks of it. A list that holds other things, such as numbers, becomes JSON.
        is_whole: Whether it was asked for whole; then a text is cut after 400,000 characters. Else whoever
            lays it out cuts it, and knows how long it was.
        depth: How deep *value* is in the content.
    """
    if isinstance(value, str):
        hidden = len(value) - _MOST_CHARACTERS if is_whole else 0
        return value if hidden <= 0 else value[:-hidden] + _more(hidden, "characters")
    items = _MOST_ITEMS if is_whole else _ITEMS
    if depth > _DEEPEST:
        return "…"
    if isinstance(value, dict):
        kept = islice(value.items(), items)
        short: Any = {key: trimmed(item, is_whole=is_whole, depth=depth + 1) for key, item in kept}
        return short if len(value) <= items else {**short, "…": _more(len(value) - items, "keys")}
    if isinstance(value, list):
        short = [trimmed(item, is_whole=is_whole, depth=depth + 1) for item in value[:items]]
        short += [_more(len(value) - items, "items")] if len(value) > items else []
        is_text = depth > 0 or all(isinstance(item, str | dict | list) for item in short)
        return short if is_text else pretty_json(short)
    return value


def _more(number: int, what: str) -> str:
    return f"… {number:,} more {what} (--json prints them)"


def value_cell(expression: str, value: Any, *, is_missing: bool) -> str:
    """Return a value in one line."""
    if is_missing:
        return "·"
    if isinstance(value, bool | int | float) or value is None:
        return _plain(expression, value)
    return preview(value)


def _plain(expression: str, value: float | bool | None) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if expression in _TIMES:
        return duration(float(value))
    if isinstance(value, int):
        return f"{value:,}" if abs(value) < 10**18 else f"{float(value):.6g}"
    return f"{value:,.6g}"


def _text(value: Any, most: int) -> tuple[str, bool]:
    text = value.replace("\r\n", "\n") if isinstance(value, str) else pretty_json(value)
    return text[:most], len(text) > most
