r"""Which end of an unfinished text may still grow into a secret.

Held back are, from the earliest on:

    the last word           up to 512 characters without white space or quotes: it may be any key's beginning
    an open form            a JWT, a PEM key, a label such as ``Authorization:`` or ``"password": "`` whose
                            secret has begun or may follow: up to `MAX_SECRET` characters

All else is decided. Prose is held for a word, so for as long as the next one takes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agenttap._escapes import has_escaped, plain_and_offsets
from agenttap._patterns import MAX_SECRET, PEM_END

if TYPE_CHECKING:
    from agenttap._patterns import Match

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
_LABELS = ("uthoriz", "UTHORIZ", "ecret_", "ECRET_", "ecretAcc")
# A name that may mean a secret, as far as the quote that opens its string.
_NAME_BEGUN = re.compile(
    r'\\{0,15}"[A-Za-z0-9_. -]{0,64}(?:\\{0,15}"(?:[ \t\r\n]{0,8}:)?[ \t\r\n]{0,8}(?:\\{0,15}"?)?)?\Z'
)
_NAME_REACH = 128


def decided(text: str, matches: list[Match]) -> int:
    """Return how much of *text*, which has *matches*, cannot become part of a secret, whatever follows."""
    if has_escaped(text):
        plain, original = plain_and_offsets(text)
        place = original(_decided(plain))
    else:
        place = _decided(text)
    for match in reversed(matches):
        if match.end > place or match.end == len(text):
            place = min(place, match.start)
    return place


def _decided(text: str) -> int:
    end = len(text)
    low = max(0, end - _WORD)
    last = text[low:]
    place = low + max(map(last.rfind, _BREAKS)) + 1
    begun = _NAME_BEGUN.search(text, max(0, end - _NAME_REACH))
    if begun:
        place = min(place, begun.start())
    low = max(0, end - MAX_SECRET)
    recent = text[low:] if low else text
    for found in (_open_jwt(recent), _open_pem(recent), _open_label(recent)):
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
    if "-----BEGIN " in text:
        for begin in _PEM_OPEN.finditer(text):
            if not PEM_END.search(text, begin.end()):
                return begin.start()
    return None


def _open_label(text: str) -> int | None:
    found = []
    for label in _LABELS:
        at = text.find(label)
        while at >= 0:
            begin = max(0, at - 1)
            if _AUTHORIZATION.match(text, begin) or _AWS.match(text, begin):
                found.append(begin)
                break
            at = text.find(label, at + len(label))
    return min(found, default=None)
