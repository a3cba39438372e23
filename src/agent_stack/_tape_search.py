"""Looking for a text in one exchange: as it stands, its escapes undone, and put together from a stream."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agenttap import TapedExchange

__all__ = ["places_in"]

_AROUND = 80  # characters shown before and after what was found
_DEEPEST = 100


def places_in(exchange: TapedExchange, text: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield ``(place, before, found, after)`` for the first place of each kind that holds *text*.

    Places are url, request, response, error. Case does not matter.
    """
    wanted = re.compile(re.escape(text), re.IGNORECASE)
    for place, content in _texts(exchange):
        found = wanted.search(content)
        if found is not None:
            start, end = found.span()
            yield place, content[max(0, start - _AROUND) : start], found[0], content[end : end + _AROUND]


def _texts(exchange: TapedExchange) -> Iterator[tuple[str, str]]:
    yield "url", exchange.url
    yield "request", _said(exchange.request_json()) + "\n" + exchange.request_body.decode(errors="replace")
    facts = exchange.facts()
    put_together = "\n".join([facts.text, facts.thinking, *(_said(call.arguments) for call in facts.calls)])
    yield "response", put_together + "\n" + exchange.body.decode(errors="replace")
    yield "error", exchange.error or ""


def _said(value: Any) -> str:
    """Return the strings of a JSON value, a line each."""
    found: list[str] = []
    waiting = [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        if isinstance(item, str):
            found.append(item)
        elif depth < _DEEPEST and isinstance(item, dict):
            waiting += [(each, depth + 1) for each in reversed(item.values())]
        elif depth < _DEEPEST and isinstance(item, list):
            waiting += [(each, depth + 1) for each in reversed(item)]
    return "\n".join(found)
