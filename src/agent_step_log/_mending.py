"""Lines that are JSON and still do not decode: made readable, at the price of what cannot be held.

    a lone surrogate (``"\\ud800"``)             U+FFFD
    a number too large for a float, or of       its digits, as a string
    more than 4300 digits
    containers nested too deep                  "<cut: too deep>" in the place of what is deeper
                                                than `_MAX_DEPTH`

Other programs write such lines, and so did earlier writers: Python's json module
escapes lone surrogates and writes integers of any length.
"""

from __future__ import annotations

import re
from math import isinf

__all__ = ["mended"]

_MAX_DEPTH = 64
_MAX_DIGITS = 4300  # Python converts no longer ones
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}(?P<low>\\u[dD][c-fC-F][0-9a-fA-F]{2})?"
    rb"|(?P<alone>u[dD][c-fC-F][0-9a-fA-F]{2})|(?P<other>.))"
)
_HUGE = re.compile(rb"\d{300}|[eE]\+?\d{3}")
_NUMBER = re.compile(_STRING + rb"|-?\d++(?:\.\d++)?(?:[eE][+-]?\d++)?")
_BRACKET = re.compile(_STRING + rb"|[\[\]{}]")


def mended(line: bytes, *, is_deep: bool) -> bytes:
    """Return *line* with what the decoder cannot hold replaced; depth only if *is_deep*."""
    if b"\\ud" in line or b"\\uD" in line:
        line = _ESCAPE.sub(_paired, line)
    if _HUGE.search(line):
        line = _NUMBER.sub(_held, line)
    return _shallow(line) if is_deep else line


def _paired(match: re.Match[bytes]) -> bytes:
    is_lone = match["other"] is None and match["low"] is None
    return b"\\ufffd" if is_lone else match[0]


def _held(match: re.Match[bytes]) -> bytes:
    text = match[0]
    if text.startswith(b'"'):
        return text
    is_integer = not any(mark in text for mark in b".eE")
    if len(text) > _MAX_DIGITS if is_integer else isinf(float(text)):
        return b'"' + text + b'"'
    return text


def _shallow(line: bytes) -> bytes:
    depth, kept, parts = 0, 0, []
    for match in _BRACKET.finditer(line):
        token = match[0]
        if token in b"[{":
            depth += 1
            if depth == _MAX_DEPTH + 1:
                parts += [line[kept : match.start()], b'"<cut: too deep>"']
        elif token in b"]}":
            if depth == _MAX_DEPTH + 1:
                kept = match.end()
            depth -= 1
    return b"".join((*parts, line[kept:]))
