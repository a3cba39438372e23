"""Looking at a history that is sent again only once.

An agent sends its whole history with each request, and a few messages more. So a body is compared with the
last few (a comparison is a hundred times cheaper than a search), and only the stretch between what both
begin with and what both end with is searched. That also holds where the tools or the settings stand behind
the messages.
"""

from __future__ import annotations

from typing import NamedTuple

from agenttap._patterns import MAX_SECRET, Match, find, merged

__all__ = ["History"]

_BODIES = 8
#: Smaller ones are searched at once.
_WORTHWHILE = 16 * 1024
#: A secret and its label reach no further than this into what is known.
_MARGIN = MAX_SECRET + 1024
#: A label, such as a name and its quotes, is no longer.
_LABEL = 256
_STEP = 64 * 1024


class _Body(NamedTuple):
    data: bytes
    is_json: bool
    matches: list[Match]


class History:
    """The bodies last seen, at most *limit* bytes, and where their secrets are.

    It has no lock: of two threads that come at the same time, one is forgotten.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # Replaced, never changed.
        self._bodies: tuple[_Body, ...] = ()

    def matches(self, data: bytes, text: str, *, is_json: bool) -> list[Match]:
        """Return the secrets of *data*; *text* is the same as latin-1."""
        if len(data) < _WORTHWHILE:
            return find(text, is_json=is_json)
        matches, known = self._search(data, text, is_json=is_json)
        self._keep(_Body(data, is_json, matches), known)
        return matches

    def _search(self, data: bytes, text: str, *, is_json: bool) -> tuple[list[Match], _Body | None]:
        best, start, end = None, 0, len(data)
        for body in self._bodies:
            if body.is_json is not is_json:
                continue
            same = _common_begin(body.data, data)
            same_end = _common_end(body.data, data, min(len(body.data), len(data)) - same)
            if same + len(data) - same_end > start + len(data) - end:
                best, start, end = body, same, len(data) - same_end
            if end - start < _WORTHWHILE:
                break
        if best is None:
            return find(text, is_json=is_json), None
        if start == len(data) == len(best.data):
            return best.matches, best
        shift = len(data) - len(best.data)
        start, end = max(0, start - _MARGIN), min(len(data), end + _MARGIN)
        # What reaches over an edge is searched whole, and from before its label.
        old = [each._replace(start=each.start + shift, end=each.end + shift) for each in best.matches]
        for each in reversed(best.matches):
            if each.start - _LABEL < start < each.end:
                start = max(0, each.start - _LABEL)
        for each in old:
            if each.start < end < each.end + _LABEL:
                end = each.end + _LABEL
        if end - start >= len(data):
            return find(text, is_json=is_json), best
        found = find(text, start, end, is_json=is_json)
        before = [each for each in best.matches if each.end <= start]
        behind = [each for each in old if each.start >= end]
        return merged([*before, *found, *behind]), best

    def _keep(self, body: _Body, known: _Body | None) -> None:
        if len(body.data) > self._limit // 2:
            return
        bodies = list(self._bodies)
        if known is not None and known.data in (body.data[: len(known.data)], body.data):
            # The same conversation, grown.
            bodies = [each for each in bodies if each is not known]
        bodies = [body, *bodies][:_BODIES]
        while sum(len(each.data) for each in bodies) > self._limit:
            bodies.pop()
        self._bodies = tuple(bodies)


def _common_begin(a: bytes, b: bytes) -> int:
    size = min(len(a), len(b))
    place = 0
    while place < size and a.startswith(b[place : place + _STEP], place):
        place += _STEP
    if place >= size:
        return size
    step = _STEP
    while step > 1:
        step //= 2
        if place + step <= size and a.startswith(b[place : place + step], place):
            place += step
    return place


def _common_end(a: bytes, b: bytes, size: int) -> int:
    """How many bytes, at most *size*, both end with."""
    same = 0
    step = _STEP
    while step:
        while (
            same + step <= size
            and a[len(a) - same - step : len(a) - same] == b[len(b) - same - step : len(b) - same]
        ):
            same += step
        step //= 2
    return same
