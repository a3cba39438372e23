"""The same language over fields of the caller's own: those of a run in a list, for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent_debug_replay._expr._compile import decision, is_true, summed, text_of
from agent_debug_replay._expr._fields import MISSING, into
from agent_debug_replay._expr._nodes import Binary, Field, Is, Literal, Node, Not, Text, written
from agent_debug_replay._expr._parser import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Condition"]


class Condition:
    """A condition over named values, in the language of breakpoints. Immutable.

    Args:
        text: See docs/expressions.md.
        fields: The names it may use, and of each whether a path (``name.key``) may lead into it.

    Attributes:
        text: As it was given.
        names: The fields it uses.

    Raises:
        ExpressionError: It cannot be understood; says at which column, and what might be meant.
    """

    __slots__ = ("_node", "names", "text")

    def __init__(self, text: str, fields: Mapping[str, bool]) -> None:
        self.text = text.strip()
        paths = [name for name, has_paths in fields.items() if has_paths]
        self._node = parse(text, fields, paths, hint=f"there are {', '.join(fields)}")
        self.names = frozenset(_names(self._node))

    def holds(self, read: Callable[[str], Any]) -> bool:
        """Whether it holds, where *read* gives a field's value as JSON has them, or `MISSING`."""
        return is_true(_value(self._node, read))

    def __str__(self) -> str:
        return written(self._node)

    def __repr__(self) -> str:
        return f"Condition({str(self)!r})"


def _names(node: Node) -> list[str]:
    if isinstance(node, Field):
        return [node.name]
    if isinstance(node, Binary):
        return _names(node.left) + _names(node.right)
    return [] if isinstance(node, Literal) else _names(node.inner)


def _value(node: Node, read: Callable[[str], Any]) -> Any:
    if isinstance(node, Literal):
        return node.value
    if isinstance(node, Field):
        return into(read(node.name), node.path)
    if isinstance(node, Text):
        return text_of(_value(node.inner, read))
    if isinstance(node, Is):
        return (_value(node.inner, read) is MISSING) is not node.is_negated
    if isinstance(node, Not):
        return not is_true(_value(node.inner, read))
    left = _value(node.left, read)
    if node.sign in ("and", "or"):
        return is_true(_value(node.right, read)) if is_true(left) is (node.sign == "and") else is_true(left)
    right = _value(node.right, read)
    if node.sign in ("+", "-", "*", "/", "%"):
        return summed(node.sign, left, right)
    return decision(node.sign)(left, right)
