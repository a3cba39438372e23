"""Rows of a query in the forms other programs take: CSV, Markdown, JSON lines.

Each function takes one row at a time, so that a result of any size streams. What goes to
a terminal is made safe like everything else; a file or a pipe gets the text as it is.
"""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from agent_stack import _safe
from agent_stack._json import json_line
from agent_stack._render.grid import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["csv_lines", "json_lines", "markdown_lines"]


def csv_lines(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, is_terminal: bool = False
) -> Iterator[str]:
    """Yield RFC 4180 with a head, a line each without its end; NULL is an empty field."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="")
    yield _csv_line(writer, buffer, columns, is_terminal=is_terminal)
    for row in rows:
        yield _csv_line(writer, buffer, row, is_terminal=is_terminal)


def _csv_line(writer: Any, buffer: io.StringIO, row: Sequence[Any], *, is_terminal: bool) -> str:
    cells = [plain(value) for value in row]
    writer.writerow([_safe.line(cell) for cell in cells] if is_terminal else cells)
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


def markdown_lines(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Yield a table as GitHub and most others draw it."""
    yield "| " + " | ".join(_markdown(name) for name in columns) + " |"
    yield "|" + " --- |" * len(columns)
    for row in rows:
        yield "| " + " | ".join(_markdown(plain(value)) for value in row) + " |"


def _markdown(text: str) -> str:
    # What a page would take for markup is text here: a log's own HTML must not become the reader's.
    safe = _safe.line(" ".join(text.split()))
    for char, shown in (("&", "&amp;"), ("<", "&lt;"), ("\\", "\\\\"), ("|", "\\|"), ("`", "\\`")):
        safe = safe.replace(char, shown)
    return safe


def json_lines(
    columns: Sequence[str], json_columns: Iterable[int], rows: Iterable[Sequence[Any]]
) -> Iterator[str]:
    """Yield one object a row; the values of *json_columns* (places) are JSON text and become values."""
    nested = frozenset(json_columns)
    for row in rows:
        yield json_line(
            {
                name: _value(item, is_json=place in nested)
                for place, (name, item) in enumerate(zip(columns, row, strict=True))
            }
        )


def _value(value: Any, *, is_json: bool) -> Any:
    if is_json and isinstance(value, str):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, dict):
        return {str(key): _value(item, is_json=False) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_value(item, is_json=False) for item in value]
    return str(value)
