"""Expressions cut into words, each with its column.

number    12, 1.5, 5s, 250ms, 3m, 2h, 2k, 1.5M, 3G, 10%    durations become milliseconds
string    "..." or '...', with \\" \\' \\\\ \\n \\t
name      letters, digits, _ and the dots and brackets of a path: input.command, output[0].text,
          attrs."odd key"
sign      == != <= >= < > = ~ !~ ( ) , + - * / %
"""

from __future__ import annotations

import re
from typing import NamedTuple

from agent_debug_replay.errors import ExpressionError

__all__ = ["MAX_LENGTH", "Path", "Word", "words_of"]

#: Characters an expression may have: nobody's condition is longer, and a forged one costs nothing.
MAX_LENGTH = 4_000

#: What follows the first name of a path: keys and places in lists.
Path = tuple[str | int, ...]

_BLANK = re.compile(r"\s+")
_NUMBER = re.compile(r"(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(ms|s|m|h|d|k|K|M|G|B|%)?(?![\w.])")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_INDEX = re.compile(r"\[(-?\d{1,9})\]")
_SIGN = re.compile(r"==|!=|!~|<=|>=|[<>=~(),+\-*/%]")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}

_UNITS = {
    None: 1,
    "ms": 1,
    "s": 1_000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "k": 1_000,
    "K": 1_000,
    "M": 1_000_000,
    "G": 1_000_000_000,
    "B": 1_000_000_000,
    "%": 0.01,
}


class Word(NamedTuple):
    """One word.

    Attributes:
        kind: number, string, name, sign or end.
        text: As it was written.
        column: Where it begins, from 0.
        value: Of a number or string.
        path: Of a name, what comes behind its first part.
    """

    kind: str
    text: str
    column: int
    value: float | str = 0
    path: Path = ()


def words_of(text: str) -> list[Word]:
    """Return the words of *text*, and one that is its end.

    Raises:
        ExpressionError: There is something in it that is no word.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(text, MAX_LENGTH, f"An expression has at most {MAX_LENGTH:,} characters")
    words: list[Word] = []
    at = 0
    while at < len(text):
        blank = _BLANK.match(text, at)
        if blank:
            at = blank.end()
            continue
        word, at = _word(text, at)
        words.append(word)
    words.append(Word("end", "", len(text)))
    return words


def _word(text: str, at: int) -> tuple[Word, int]:
    char = text[at]
    if char in "\"'":
        value, end = string_at(text, at)
        return Word("string", text[at:end], at, value), end
    if number := _NUMBER.match(text, at):
        value_number = float(number[1]) * _UNITS[number[2]]
        # Whole numbers stay whole, so that large ones keep their digits.
        whole = int(value_number) if value_number.is_integer() and abs(value_number) < 2**53 else value_number
        return Word("number", number[0], at, whole), number.end()
    if char.isdigit():
        raise ExpressionError(text, at, "This is no number; units are ms s m h d, k M G and %")
    if name := _NAME.match(text, at):
        path, end = _path(text, name.end())
        return Word("name", name[0], at, path=path), end
    if sign := _SIGN.match(text, at):
        return Word("sign", sign[0], at), sign.end()
    if char in "&|!":
        hint = {"&": "and", "|": "or", "!": "not"}[char]
        raise ExpressionError(text, at, f"Write {hint!r}")
    raise ExpressionError(text, at, f"{char!r} means nothing here")


def _path(text: str, at: int) -> tuple[Path, int]:
    parts: list[str | int] = []
    while at < len(text):
        if index := _INDEX.match(text, at):
            parts.append(int(index[1]))
            at = index.end()
        elif text[at] == "." and text[at + 1 : at + 2] in ('"', "'") and at + 1 < len(text):
            key, at = string_at(text, at + 1)
            parts.append(key)
        elif text[at] == "." and (key_match := re.compile(r"[A-Za-z0-9_-]+").match(text, at + 1)):
            parts.append(key_match[0])
            at = key_match.end()
        elif text[at] in ".[":
            raise ExpressionError(text, at, 'A path goes on with .key, ."key" or [0]')
        else:
            break
    return tuple(parts), at


def string_at(text: str, at: int) -> tuple[str, int]:
    """Return the string whose opening quote stands at *at*, and where it ends.

    Raises:
        ExpressionError: It has no end, or an escape nobody knows.
    """
    quote = text[at]
    pieces: list[str] = []
    place = at + 1
    while place < len(text):
        char = text[place]
        if char == quote:
            return "".join(pieces), place + 1
        if char == "\\":
            escape = text[place + 1 : place + 2]
            # A backslash before anything else stays: regular expressions are full of them.
            pieces.append(_ESCAPES.get(escape, "\\" + escape))
            place += 2
        else:
            pieces.append(char)
            place += 1
    raise ExpressionError(text, at, "This string has no end")
