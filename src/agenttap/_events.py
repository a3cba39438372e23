"""One message of a response body: what the framing cuts a body into and the decoders read.

    raw          bytes   exactly what stood on the wire (content-encoding undone), delimiters included
    data         Any     the JSON in it; None where there is none
    name         str     the SSE ``event:`` or the event stream's ``:event-type``; None where there is none
    size         int     bytes of `raw` as it was on the wire
    is_redacted  bool    `raw` and `data` are not what was sent any more

The `raw` of all events of a body, joined, is the body. A body that is one JSON
document is one event.
"""

from __future__ import annotations

from typing import Any

__all__ = ["Event"]


class Event:
    """See the module."""

    __slots__ = ("data", "is_redacted", "name", "raw", "size")

    def __init__(self, raw: bytes, data: Any = None, name: str | None = None) -> None:
        self.raw = raw
        self.size = len(raw)
        self.data = data
        self.name = name
        self.is_redacted = False

    def __repr__(self) -> str:
        return f"Event({self.raw!r}, name={self.name!r})"
