"""The expression language: conditions of breakpoints, values to print, columns to tabulate.

`docs/expressions.md` states it in full. Nothing here evaluates Python.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent_debug_replay._expr._compile import condition_of, is_true, value_of
from agent_debug_replay._expr._fields import FIELDS, MISSING, PATHS, FieldInfo, Missing
from agent_debug_replay._expr._nodes import written
from agent_debug_replay._expr._parser import parse
from agent_debug_replay._expr._plain import Condition

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent_debug_replay._expr._nodes import Node
    from agent_debug_replay._replay import Replay

__all__ = ["FIELDS", "MISSING", "Condition", "Expression", "FieldInfo", "Missing", "is_true"]


class Expression:
    """One expression, parsed; equal to another that says the same. Immutable.

    Args:
        text: See docs/expressions.md.

    Attributes:
        text: As it was given.

    Raises:
        ExpressionError: It cannot be understood; says at which column, and what might be meant.
    """

    __slots__ = ("_node", "text")

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        self._node: Node = parse(text, FIELDS, PATHS)

    def condition(self, replay: Replay) -> Callable[[int], bool]:
        """Return what tells whether it holds on a row of *replay*; good until its `revision` changes."""
        return condition_of(self._node, replay)

    def value(self, replay: Replay) -> Callable[[int], Any]:
        """Return what gives its value on a row of *replay*, or `MISSING`; good as `condition`'s."""
        return value_of(self._node, replay)

    def __str__(self) -> str:
        return written(self._node)

    def __repr__(self) -> str:
        return f"Expression({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and other._node == self._node

    def __hash__(self) -> int:
        return hash(self._node)
