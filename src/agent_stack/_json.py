"""JSON for other programs: one line, ASCII only, so that no terminal acts on it either."""

from __future__ import annotations

import json
import re
from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent_step_log import Record

__all__ = ["json_line", "pretty_json", "record_json"]

_NOT_PLAIN = re.compile(r"[^ -~]")


def json_line(value: Any) -> str:
    """Return *value* as one line of ASCII JSON; a number JSON has no form for is null."""
    try:
        text = json.dumps(value, ensure_ascii=True, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(value), ensure_ascii=True)
    return text.replace("\x7f", "\\u007f")


def record_json(record: Record | None) -> str:
    """Return the line *record* was read from, escaped to ASCII and otherwise untouched; null for None.

    Numbers keep their digits, and no nesting is too deep, as nothing is decoded.
    """
    if record is None:
        return "null"
    # A control character can only stand between tokens: inside a string the reader refuses it.
    return _NOT_PLAIN.sub(_escape, record.line.decode("utf-8", "replace"))


def pretty_json(value: Any) -> str:
    """Return *value* as indented JSON with its characters as they are; to be made safe line by line."""
    try:
        return json.dumps(value, ensure_ascii=False, indent=2)
    except RecursionError:
        return "(nested too deeply to lay out; --json prints it)"


def _finite(value: Any) -> Any:
    """Sums of forged figures overflow to infinity."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return " "
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
