"""Expressions read into a tree.

expression  := conjunction ("or" conjunction)*
conjunction := negation ("and" negation)*
negation    := "not" negation | comparison
comparison  := sum [ (== = != < <= > >=) sum | ["not"] "contains" sum | (~ !~) sum
                   | "is" ["not"] ("missing" | "null") ]
sum         := product (("+" | "-") product)*
product     := unary (("*" | "/" | "%") unary)*
unary       := "-" unary | value
value       := number | string | "true" | "false" | "null" | field | "text" "(" expression ")"
             | "(" expression ")"
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from agent_debug_replay._expr._lexer import words_of
from agent_debug_replay._expr._nodes import Binary, Field, Is, Literal, Node, Not, Text
from agent_debug_replay._expr._pattern import PatternError, compile_pattern
from agent_debug_replay.errors import ExpressionError

if TYPE_CHECKING:
    from collections.abc import Collection

    from agent_debug_replay._expr._lexer import Word

__all__ = ["parse"]

_DEEPEST = 50
_COMPARISONS = frozenset({"==", "=", "!=", "<", "<=", ">", ">=", "~", "!~"})
_WORDS = frozenset({"and", "or", "not", "contains", "is", "missing", "null", "true", "false"})


def parse(
    text: str, fields: Collection[str], paths: Collection[str], *, hint: str = "`help fields` lists them"
) -> Node:
    """Return the tree of *text*.

    Args:
        fields: The names of all fields.
        paths: Those of them a path may lead into.
        hint: What to say of a name that is near to none.

    Raises:
        ExpressionError: It cannot be understood; says where and, of a name, the nearest.
    """
    return _Parser(text, fields, paths, hint).whole()


class _Parser:
    def __init__(self, text: str, fields: Collection[str], paths: Collection[str], hint: str) -> None:
        self._text = text
        self._fields, self._paths, self._hint = fields, paths, hint
        self._words = words_of(text)
        self._at = 0
        self._depth = 0

    def whole(self) -> Node:
        if self._word.kind == "end":
            raise self._wrong("An expression is missing")
        node = self._or()
        if self._word.kind != "end":
            raise self._wrong(f"{self._word.text!r} is not expected here")
        return node

    @property
    def _word(self) -> Word:
        return self._words[self._at]

    def _next(self) -> Word:
        word = self._word
        self._at += word.kind != "end"
        return word

    def _takes(self, *texts: str) -> str | None:
        """Take the next word if it is one of *texts*."""
        word = self._word
        if word.kind in ("sign", "name") and not word.path and word.text in texts:
            self._at += 1
            return word.text
        return None

    def _wrong(self, why: str, word: Word | None = None) -> ExpressionError:
        return ExpressionError(self._text, (word or self._word).column, why)

    def _or(self) -> Node:
        # All recursion passes through here or through the two below.
        self._deeper()
        node = self._and()
        while self._takes("or"):
            node = Binary("or", node, self._and())
        self._depth -= 1
        return node

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._wrong(f"Nested more than {_DEEPEST} deep")

    def _and(self) -> Node:
        node = self._not()
        while self._takes("and"):
            node = Binary("and", node, self._not())
        return node

    def _not(self) -> Node:
        if not self._takes("not"):
            return self._comparison()
        self._deeper()
        node = Not(self._not())
        self._depth -= 1
        return node

    def _comparison(self) -> Node:
        start = self._word.column
        left = self._sum()
        if self._word.kind == "name" and self._word.text == "in":
            raise self._other_way_round(start)
        if self._takes("is"):
            is_negated = self._takes("not") is not None
            if self._takes("missing"):
                return Is(left, is_negated)
            if self._takes("null"):
                same = Binary("==", left, Literal(None))
                return Not(same) if is_negated else same
            raise self._wrong("Write 'is missing' or 'is not missing'")
        if self._takes("contains"):
            return Binary("contains", left, self._sum())
        if (
            self._word.text == "not"
            and self._words[self._at + 1 : self._at + 2]
            and (self._words[self._at + 1].text == "contains")
        ):
            self._at += 2
            return Not(Binary("contains", left, self._sum()))
        sign = self._takes(*_COMPARISONS)
        if sign is None:
            return left
        word = self._word
        right = self._sum()
        if sign in ("~", "!~"):
            self._check_pattern(right, word)
        node = Binary("==" if sign == "=" else sign, left, right)
        if self._takes(*_COMPARISONS):
            self._at -= 1
            raise self._wrong("Join comparisons with 'and'")
        return node

    def _other_way_round(self, start: int) -> ExpressionError:
        word = self._next()
        needle = self._text[start : word.column].strip()
        behind = self._word.column
        self._sum()
        whole = self._text[behind : self._word.column].strip()
        return self._wrong(f"Write it the other way round: {whole} contains {needle}", word)

    def _check_pattern(self, node: Node, word: Word) -> None:
        if not isinstance(node, Literal) or not isinstance(node.value, str):
            raise self._wrong('A regular expression is a string: tool ~ "^read"', word)
        try:
            compile_pattern(node.value)
        except PatternError as error:
            column = word.column + 1 + (error.column if "\\" not in word.text else 0)
            raise ExpressionError(self._text, column, str(error)) from None

    def _sum(self) -> Node:
        node = self._product()
        while sign := self._takes("+", "-"):
            node = Binary(sign, node, self._product())
        return node

    def _product(self) -> Node:
        node = self._unary()
        while sign := self._takes("*", "/", "%"):
            node = Binary(sign, node, self._unary())
        return node

    def _unary(self) -> Node:
        if not self._takes("-"):
            return self._value()
        self._deeper()
        node = self._unary()
        self._depth -= 1
        if isinstance(node, Literal) and type(node.value) in (int, float):
            return Literal(-node.value)  # type: ignore[operator]  # a number, and no bool
        return Binary("-", Literal(0), node)

    def _value(self) -> Node:
        word = self._next()
        if word.kind in ("number", "string"):
            return Literal(word.value)
        if word.kind == "sign" and word.text == "(":
            node = self._or()
            if not self._takes(")"):
                raise self._wrong("A ')' is missing")
            return node
        if word.kind != "name":
            raise self._wrong(
                "A value is missing" if word.kind == "end" else f"{word.text!r} is no value", word
            )
        return self._named(word)

    def _named(self, word: Word) -> Node:
        name = word.text
        if not word.path and name in ("true", "false", "null"):
            return Literal({"true": True, "false": False, "null": None}[name])
        if name == "text" and not word.path and self._takes("("):
            node = self._or()
            if not self._takes(")"):
                raise self._wrong("A ')' is missing")
            return Text(node)
        if name in _WORDS:
            raise self._wrong(f"{name!r} is no value", word)
        if name not in self._fields:
            near = difflib.get_close_matches(name.lower(), sorted(self._fields), 3, 0.6)
            hint = f"; did you mean {' or '.join(near)}?" if near else f"; {self._hint}"
            raise self._wrong(f"There is no field {name!r}{hint}", word)
        if word.path and name not in self._paths:
            raise self._wrong(
                f"{name!r} has no parts; paths lead into {', '.join(sorted(self._paths))}", word
            )
        return Field(name, word.path)
