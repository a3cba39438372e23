r"""Which end of an unfinished text may still grow into a secret.

Held back are, from the earliest on:

    the last word           up to 512 characters without white space or quotes: it may be any key's beginning
    an open form            a JWT, a PEM key, a label such as ``Authorization:`` or ``"password": "`` whose
                            secret has begun or may follow: up to `MAX_SECRET` characters

All else is decided. Prose is held for a word, so for as long as the next one takes.
"""

from __future__ import annotations

import re

from agenttap._escapes import has_escaped, plain_and_offsets
from agenttap._patterns import MAX_SECRET, PEM_END, is_secret_name, string_end

__all__ = ["decided"]

_WORD = 512
#: What ends a word that may be a key or a connection string.
_BREAKS = " \n\t\r\f\v\"'<>`"

_JWT = re.compile(
    r"eyJ[A-Za-z0-9_-]{0,2048}(?:\.(?:e?|ey?|eyJ[A-Za-z0-9_-]{0,4096}(?:\.[A-Za-z0-9_-]{0,1024})?))?\Z"
)
_PEM_OPEN = re.compile(
    r"-----BEGIN (?:[A-Z0-9 ]{0,80}-{0,4}\Z|(?:[A-Z0-9]{1,16} ){0,4}PRIVATE KEY(?: BLOCK)?-----)"
)
# A label, and then no more than could lead to its secret.
_AUTHORIZATION = re.compile(
    r"authorization[\\\"']{0,8}[ \t]{0,4}(?:[:=][ \t]{0,4}\[?[\\\"']{0,8}"
    r"(?:[A-Za-z]{0,6}|(?:bearer|basic|token)[ \t+]{1,4}(?:[A-Za-z0-9._~+=-]|\\?/|\\\Z){0,4096}))?\Z",
    re.IGNORECASE | re.ASCII,
)
_AWS = re.compile(
    r"secret_?access_?key[\\\"']{0,8}[ \t]{0,4}"
    r"(?:[:=][ \t]{0,4}[\\\"']{0,8}(?:[A-Za-z0-9+]|\\?/|\\\Z){0,41})?\Z",
    re.IGNORECASE | re.ASCII,
)
_LABEL = re.compile(r"authorization|secret_?access_?key", re.IGNORECASE)
# A name and the quote that opens its string; and what may become one.
_NAME_OPEN = re.compile(r'(\\{0,15})"([A-Za-z0-9_. -]{1,64})\1"[ \t\r\n]{0,8}:[ \t\r\n]{0,8}\1"')
_NAME_BEGUN = re.compile(
    r'\\{0,15}"[A-Za-z0-9_. -]{0,64}(?:\\{0,15}"(?:[ \t\r\n]{0,8}:)?[ \t\r\n]{0,8})?\\{0,15}\Z'
)
_NAME_REACH = 128


def decided(text: str) -> int:
    """Return how much of *text* cannot become part of a secret any more, whatever follows."""
    if has_escaped(text):
        plain, original = plain_and_offsets(text)
        return original(_decided(plain))
    return _decided(text)


def _decided(text: str) -> int:
    end = len(text)
    low = max(0, end - _WORD)
    place = max(map(text[low:].rfind, _BREAKS)) + 1
    place += low
    low = max(0, end - MAX_SECRET)
    recent = text[low:] if low else text
    for found in (_open_jwt(recent), _open_pem(recent), _open_label(recent), _open_name(recent)):
        if found is not None:
            place = min(place, low + found)
    return place


def _open_jwt(text: str) -> int | None:
    at = text.find("eyJ")
    while at >= 0:
        if _JWT.match(text, at):
            return at
        at = text.find("eyJ", at + 3)
    return None


def _open_pem(text: str) -> int | None:
    for begin in _PEM_OPEN.finditer(text):
        if not PEM_END.search(text, begin.end()):
            return begin.start()
    return None


def _open_label(text: str) -> int | None:
    for label in _LABEL.finditer(text):
        if _AUTHORIZATION.match(text, label.start()) or _AWS.match(text, label.start()):
            return label.start()
    return None


def _open_name(text: str) -> int | None:
    begun = _NAME_BEGUN.search(text, max(0, len(text) - _NAME_REACH))
    for name in _NAME_OPEN.finditer(text):
        if is_secret_name(name[2]) and string_end(text, name.end(), len(name[1])) == len(text):
            return name.start() if begun is None else min(begun.start(), name.start())
    return begun.start() if begun else None
