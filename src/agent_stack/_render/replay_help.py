"""Help on the commands and fields of the debugger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent_stack._render.lines import Line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent_debug_replay import Topic

__all__ = ["render_help"]

_GROUPS = {"move": "Moving", "stop": "Stopping", "look": "Looking", "keep": "Keeping", "session": "Session"}
_LEFT = 40


def render_help(topic: str, width: int) -> Iterator[Line]:
    """Yield help: all commands, one of them, or ``fields``."""
    from agent_debug_replay import CATCHES, FIELDS, TOPICS

    if topic in ("fields", "expressions"):
        yield Line("Fields of an expression", "head")
        for info in FIELDS.values():
            name = info.name + (".PATH" if info.has_paths else "")
            yield from _entry(name, info.meaning, width, 22)
        yield Line("  ").add(
            "== != < <= > >=  contains  ~ !~ (regular expression)  is missing  and or not  + - * / %",
            "dim",
            width - 2,
        )
        yield Line("  ").add(
            "5s 250ms 2m 10k 1.5M 5%  text(...)  a comparison with something missing is false",
            "dim",
            width - 2,
        )
        return
    if topic:
        found = [each for each in TOPICS if topic in each.names or topic == each.reverse]
        if not found:
            yield Line().add(f"There is no command {topic!r}; `help` lists them.", "warn", width)
            return
        for each in found:
            yield from _one(each, width)
        if "catch" in found[0].names:
            for kind, meaning in CATCHES.items():
                yield from _entry(kind, meaning, width, 14)
        return
    for group, title in _GROUPS.items():
        yield Line(title, "head")
        for each in TOPICS:
            if each.group == group:
                yield from _one(each, width)
    yield Line("  ").add(
        "help fields lists what expressions know. `;` separates commands; Enter repeats the last.",
        "dim",
        width - 2,
    )


def _one(topic: Topic, width: int) -> Iterator[Line]:
    left = ", ".join(topic.names) + (f" {topic.argument}" if topic.argument else "")
    reverse = f"  (reverse: {topic.reverse})" if topic.reverse else ""
    yield from _entry(left, topic.meaning + reverse, width, _LEFT)


def _entry(left: str, right: str, width: int, column: int) -> Iterator[Line]:
    from agent_stack import _safe

    line = Line("  ").add(left, "command", max(width - 4, 10))
    room = max(width - column - 2, 30)
    if line.width > column:
        yield line
        line = Line()
    for text in _safe.wrap(right, room, 6):
        yield line.pad(column + 2).add(text)
        line = Line()
