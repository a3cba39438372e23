"""The user's own patterns, tried on every string: nothing is known of them that would make a search quick."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from agenttap._patterns import TOKEN, Match

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["UserPatterns"]

_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.", re.DOTALL
)
_KNOWN = 4096


class UserPatterns:
    """See the module.

    Raises:
        re.error: One of *patterns* is no regular expression.
    """

    def __init__(self, patterns: Mapping[str, str | re.Pattern[str]]) -> None:
        self._patterns = [(_kind(name), re.compile(pattern)) for name, pattern in patterns.items()]
        # What each string of the last bodies held: a history is sent again with every request.
        self._known: dict[str, tuple[Match, ...]] = {}

    def find(self, text: str) -> list[Match]:
        """Return the secrets of *text*."""
        found = []
        for kind, pattern in self._patterns:
            for match in pattern.finditer(text):
                start, end = _secret_span(match)
                if start < end and not TOKEN.fullmatch(text[start:end]):
                    found.append(Match(start, end, kind))
        return found

    def find_in_bytes(self, text: str, *, is_json: bool) -> list[Match]:
        """Return the secrets of *text*, bytes as latin-1; of a JSON document, string by string."""
        if not is_json:
            return [*self._in_string(text)]
        found: list[Match] = []
        for start, end in _strings(text):
            string = text[start:end]
            known = self._known.get(string)
            if known is None:
                known = tuple(self._in_string(string))
                if len(self._known) >= _KNOWN:
                    self._known = {}
                if len(string) <= _KNOWN:
                    self._known[string] = known
            found += [each._replace(start=each.start + start, end=each.end + start) for each in known]
        return found

    def _in_string(self, string: str) -> Iterator[Match]:
        plain = _decoded(string)
        matches = self.find(plain)
        if matches:
            places = _places(string)
            for match in matches:
                yield match._replace(start=places[match.start], end=places[match.end])


def _kind(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name)[:64] or "user"


def _secret_span(match: re.Match[str]) -> tuple[int, int]:
    if "secret" in match.re.groupindex:
        span = match.span("secret")
    elif match.re.groups:
        span = match.span(1)
    else:
        span = match.span()
    # A group that took no part leaves the whole match.
    return span if span[0] >= 0 else match.span()


def _strings(text: str) -> Iterator[tuple[int, int]]:
    """Where the strings of the JSON document *text* are, without their quotes."""
    place = text.find('"')
    while place >= 0:
        start = end = place + 1
        while True:
            end = text.find('"', end)
            if end < 0:
                yield start, len(text)
                return
            slashes = end
            while text[slashes - 1] == "\\":
                slashes -= 1
            if (end - slashes) % 2 == 0:
                break
            end += 1
        yield start, end
        place = text.find('"', end + 1)


def _utf8(text: str) -> str:
    return text if text.isascii() else text.encode("latin-1").decode("utf-8", "surrogateescape")


def _decoded(string: str) -> str:
    plain = _utf8(string)
    if "\\" not in plain:
        return plain
    return "".join(piece for piece, _ in _pieces(plain))


def _pieces(string: str) -> Iterator[tuple[str, int]]:
    """The characters of a JSON string's text, or stretches of plain ones, each with its length there."""
    taken = 0
    for escape in _ESCAPE.finditer(string):
        if escape.start() > taken:
            yield string[taken : escape.start()], escape.start() - taken
        try:
            yield json.loads(f'"{escape[0]}"'), len(escape[0])
        except ValueError:
            for character in escape[0]:
                yield character, 1
        taken = escape.end()
    if taken < len(string):
        yield string[taken:], len(string) - taken


def _places(string: str) -> list[int]:
    """For each character of `_decoded` (and its end) its byte in *string*."""
    places: list[int] = []
    at = 0
    for piece, length in _pieces(_utf8(string)):
        if len(piece) == length:
            for character in piece:
                places.append(at)
                at += len(character.encode("utf-8", "surrogateescape"))
        else:
            places.append(at)
            at += length
    places.append(at)
    return places
