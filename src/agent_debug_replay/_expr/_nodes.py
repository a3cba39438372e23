"""The tree of an expression, and how it is written down again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from agent_debug_replay._expr._lexer import Path

__all__ = ["Binary", "Field", "Is", "Literal", "Node", "Not", "Text", "written"]


@dataclass(frozen=True)
class Literal:
    """A number, string, true, false or null."""

    value: float | str | bool | None


@dataclass(frozen=True)
class Field:
    """A field of the step, and a path into it."""

    name: str
    path: Path = ()


@dataclass(frozen=True)
class Text:
    """``text(...)``: what a value says, as one string."""

    inner: Node


@dataclass(frozen=True)
class Not:
    """The opposite."""

    inner: Node


@dataclass(frozen=True)
class Is:
    """``is missing``, or with *is_negated* ``is not missing``."""

    inner: Node
    is_negated: bool


@dataclass(frozen=True)
class Binary:
    """Two values and what is between them: or, and, a comparison, contains, ~, !~, +, -, *, /, %."""

    sign: str
    left: Node
    right: Node


Node: TypeAlias = Literal | Field | Text | Not | Is | Binary

_RANKS = {"or": 1, "and": 2, "not": 3, "compare": 4, "+": 5, "-": 5, "*": 6, "/": 6, "%": 6}


def written(node: Node) -> str:
    """Return *node* as text that parses to it again."""
    return _written(node, 0)


def _written(node: Node, outer: int) -> str:
    text, rank = _form(node)
    return f"({text})" if rank < outer else text


def _form(node: Node) -> tuple[str, int]:
    if isinstance(node, Literal):
        return _literal(node.value)
    if isinstance(node, Field):
        return node.name + "".join(map(_step, node.path)), 9
    if isinstance(node, Text):
        return f"text({_written(node.inner, 0)})", 9
    if isinstance(node, Not):
        return f"not {_written(node.inner, 3)}", 3
    if isinstance(node, Is):
        return f"{_written(node.inner, 5)} is {'not ' if node.is_negated else ''}missing", 4
    rank = _RANKS.get(node.sign, 4)
    # A comparison holds no comparison; the others are read from the left.
    left = _written(node.left, 5 if rank == 4 else rank)
    return f"{left} {node.sign} {_written(node.right, rank + 1)}", rank


def _literal(value: float | str | bool | None) -> tuple[str, int]:
    if value is None:
        return "null", 9
    if isinstance(value, bool):
        return ("true" if value else "false"), 9
    if isinstance(value, str):
        return quoted(value), 9
    return repr(value), 9


def quoted(text: str) -> str:
    """Return *text* as a string of an expression."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return '"' + escaped.replace("\r", "\\r") + '"'


def _step(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    is_plain = part != "" and part.isascii() and part.replace("_", "a").replace("-", "a").isalnum()
    return f".{part}" if is_plain else f".{quoted(part)}"
