"""Any recorded value in one short line, in time that does not follow its size."""

from __future__ import annotations

from itertools import islice
from typing import Any

__all__ = ["preview"]

_LIMIT = 400  # characters; more than any line of a screen shows
_DEPTH = 3  # of nested values looked into
_ITEMS = 12  # of a list or an object looked at

#: Keys of content blocks (of model answers and tool results) whose text is the content.
_BLOCK_TEXT = ("text", "thinking", "content", "output_text", "input_text")


def preview(value: Any) -> str:
    """Return *value* as a few words: text as it is, an object as ``key=value``, a list by its items."""
    return _short(value, 0)[:_LIMIT]


def _short(value: Any, depth: int) -> str:
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return _object(value, depth)
    if isinstance(value, list):
        return _list(value, depth)
    return _number(value)


def _text(text: str) -> str:
    # Cut before looking: a line of 100,000 characters is as quick as one of 100.
    return " ".join(text[: 4 * _LIMIT].split(None, _LIMIT))[:_LIMIT]


def _number(value: Any) -> str:
    try:
        return str(value)[:_LIMIT]
    except ValueError:  # more digits than Python will write out
        return "…"


def _object(value: dict[str, Any], depth: int) -> str:
    if depth >= _DEPTH:
        return "{…}" if value else "{}"
    block = _block_text(value) if len(value) > 1 else value.get("text")
    if isinstance(block, str):
        return _text(block)
    pairs = [f"{_text(key)}={_quoted(item, depth + 1)}" for key, item in islice(value.items(), _ITEMS)]
    more = " …" if len(value) > _ITEMS else ""
    joined = " ".join(pairs) + more
    return joined if depth == 0 else f"{{{joined}}}"


def _list(value: list[Any], depth: int) -> str:
    if depth >= _DEPTH:
        return "[…]" if value else "[]"
    blocks = [_block_text(item) if isinstance(item, dict) else None for item in value[:_ITEMS]]
    if value and all(block is not None for block in blocks):
        return _text(" ".join(block for block in blocks if block))
    items = ", ".join(_quoted(item, depth + 1) for item in value[:_ITEMS])
    return f"[{items}{', …' if len(value) > _ITEMS else ''}]"


def _quoted(value: Any, depth: int) -> str:
    text = _short(value, depth)
    return f'"{text}"' if isinstance(value, str) and (not text or " " in text or "=" in text) else text


def _block_text(value: dict[str, Any]) -> str | None:
    """Return the text of a content block, "" for a block without text; None if it is no block."""
    kind = value.get("type")
    if not isinstance(kind, str):
        return None
    for key in _BLOCK_TEXT:
        if isinstance(value.get(key), str):
            return str(value[key])
    return "" if kind in ("tool_use", "redacted_thinking") else None
