r"""Which end of an unfinished text may still grow into a secret.

Held back are, from the earliest on:

    the last word           up to 512 characters without white space or quotes: it may be any key's beginning
    an open form            a JWT, a PEM key, a label such as ``Authorization:`` or ``"password": "`` whose
                            secret has begun or may follow: up to `MAX_SECRET` characters

All else is decided. Prose is held for a word, so for as long as the next one takes.
"""

from __future__ import annotations

import re

from agenttap._escapes import ESCAPED, plain_and_offsets
from agenttap._patterns import MAX_SECRET, is_secret_name

__all__ = ["decided"]

_WORD = 512
# Ends a word that may be a key or a connection string.
_BREAK = re.compile(r"[\s\"'<>`]", re.ASCII)
_BREAKS = " \n\t\r\"'<>`"

_JWT = re.compile(
    r"eyJ[A-Za-z0-9_-]{0,2048}(?:\.(?:e?|ey?|eyJ[A-Za-z0-9_-]{0,4096}(?:\.[A-Za-z0-9_-]{0,1024})?))?\Z"
)
_PEM = re.compile(r"-----BEGIN [A-Z0-9 ]{0,80}-{0,5}")
_PEM_OPEN = re.compile(
    r"-----BEGIN (?:[A-Z0-9 ]{0,80}\Z|[A-Z0-9 ]{0,80}-{1,4}\Z|(?:[A-Z0-9]{1,16} ){0,4}PRIVATE KEY(?: BLOCK)?-----)"
)
_PEM_END = re.compile(r"-----END (?:[A-Z0-9]{1,16} ){0,4}PRIVATE KEY(?: BLOCK)?-----")
# A label, and then no more than could lead to its secret.
_AUTHORIZATION = re.compile(
    r"authorization[\\\"']{0,8}[ \t]{0,4}(?:[:=][ \t]{0,4}\[?[\\\"']{0,8}"
    r"(?:[A-Za-z]{0,6}|(?:bearer|basic|token)[ \t+]{1,4}(?:[A-Za-z0-9._~+=-]|\\?/?){0,4096}))?\Z",
    re.IGNORECASE | re.ASCII,
)
_AWS = re.compile(
    r"secret_?access_?key[\\\"']{0,8}[ \t]{0,4}(?:[:=][ \t]{0,4}[\\\"']{0,8}(?:[A-Za-z0-9+]|\\?/?){0,41})?\Z",
    re.IGNORECASE | re.ASCII,
)
_LABEL = re.compile(r"authorization|secret_?access_?key", re.IGNORECASE)
# A name's opening quote, the name, and what of the rest has come.
_NAME = re.compile(
    r'(\\{0,15})"([A-Za-z0-9_. -]{0,64})(?:(\\{0,16})\Z|(\\{0,15})"[ \t\r\n]{0,8}(?::[ \t\r\n]{0,8}(?:\\{0,15}"?)?)?)'
)
_NAME_OPEN = re.compile(r'(\\{0,15})"([A-Za-z0-9_. -]{1,64})\1"[ \t\r\n]{0,8}:[ \t\r\n]{0,8}\1"')
_NAME_BEGUN = re.compile(
    r'\\{0,15}"[A-Za-z0-9_. -]{0,64}(?:\\{0,15}"(?:[ \t\r\n]{0,8}:)?[ \t\r\n]{0,8})?\\{0,15}\Z'
)


def decided(text: str) -> int:
    """Return how much of *text* cannot become part of a secret any more, whatever follows."""
    if "\\u00" in text and ESCAPED.search(text):
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
        if not _PEM_END.search(text, begin.end()):
            return begin.start()
    return None


def _open_label(text: str) -> int | None:
    for label in _LABEL.finditer(text):
        if _AUTHORIZATION.match(text, label.start()) or _AWS.match(text, label.start()):
            return label.start()
    return None


def _open_name(text: str) -> int | None:
    begun = _NAME_BEGUN.search(text, max(0, len(text) - 128))
    earliest = begun.start() if begun else None
    for name in _NAME_OPEN.finditer(text):
        if is_secret_name(name[2]) and not _is_closed(text, name.end(), len(name[1])):
            return name.start() if earliest is None else min(earliest, name.start())
    return earliest


def _is_closed(text: str, start: int, escape: int) -> bool:
    quote = text.find('"', start)
    while quote >= 0:
        slashes = quote
        while slashes > start and text[slashes - 1] == "\\":
            slashes -= 1
        slashes = quote - slashes
        if slashes < escape or (slashes - escape) % (2 * (escape + 1)) == 0:
            return True
        quote = text.find('"', quote + 1)
    return False
