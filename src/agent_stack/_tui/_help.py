"""What the keys do, as they are now, and the commands of the prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent_stack import _safe
from agent_stack._render.lines import Line
from agent_stack._render.replay_help import render_help
from agent_stack._tui._keymap import ACTIONS, key_sign

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent_stack._tui._keymap import Keymap

__all__ = ["help_lines"]

_GROUPS = {"move": "Moving", "find": "Finding", "look": "Looking", "screen": "The screen"}
_LEFT = 16


def help_lines(keymap: Keymap, width: int) -> Iterator[Line]:
    """Yield help in *width* cells."""
    keys: dict[str, list[str]] = {}
    for key, meaning in keymap.items():
        keys.setdefault(meaning, []).append(key_sign(key))
    for group, title in _GROUPS.items():
        yield Line(title, "head")
        for name, action in ACTIONS.items():
            if action.group == group and name in keys:
                yield from _entry(" ".join(keys[name]), action.meaning, width)
    own = {meaning: signs for meaning, signs in keys.items() if meaning and meaning not in ACTIONS}
    if own:
        yield Line("Your own", "head")
        for meaning, signs in own.items():
            yield from _entry(" ".join(signs), f":{meaning}", width)
    yield Line()
    yield Line("Commands, after :", "title")
    yield from render_help("", width)
    yield Line()
    yield from render_help("fields", width)


def _entry(left: str, right: str, width: int) -> Iterator[Line]:
    line = Line("  ").add(left, "command", _LEFT)
    for text in _safe.wrap(right, max(width - _LEFT - 3, 20), 4):
        yield line.pad(_LEFT + 3).add(text)
        line = Line()
