"""What the provider keeps of each request and of what it answered."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from threading import Event
from time import perf_counter
from typing import TYPE_CHECKING, Any

from tests.provider._facts import Truth

if TYPE_CHECKING:
    from tests.provider._facts import Asked

__all__ = ["Served"]


@dataclass
class Served:
    """One request and its response.

    Attributes:
        path: As it was requested, query included.
        headers: Of the request, as they came, names in lower case.
        body: Of the request, as it was sent.
        api: None where no API is served at the path.
        number: Counts the answers that were begun, from 1; 0 for what got none.
        writes: When (`perf_counter` seconds) which bytes of the body were written. Content-encoding is on
            them, the framing of the transfer is not.
        ended: "whole"; "cut" by the provider; "left" by the client; "unseen": the test did not say that the
            client had seen a piece.
        done: Set when nothing more will be written.
    """

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes
    http_version: str
    api: str | None = None
    asked: Asked | None = None
    number: int = 0
    status: int | None = None
    response_headers: list[tuple[str, str]] = field(default_factory=list)
    writes: list[tuple[float, bytes]] = field(default_factory=list)
    truth: Truth = field(default_factory=Truth)
    ended: str | None = None
    done: Event = field(default_factory=Event, repr=False)

    def wrote(self, data: bytes) -> None:
        """Note bytes as written now."""
        self.writes.append((perf_counter(), data))

    @property
    def header(self) -> dict[str, str]:
        """The request's headers by name; of several the last."""
        return dict(self.headers)

    @property
    def json(self) -> Any:
        """The request's body."""
        return json.loads(self.body)

    @property
    def sent(self) -> bytes:
        """The response's body as far as it was written."""
        return b"".join(data for _, data in self.writes)

    @property
    def request_sha256(self) -> str:
        """Of the request's body."""
        return hashlib.sha256(self.body).hexdigest()

    @property
    def sha256(self) -> str:
        """Of the response's body as far as it was written."""
        return hashlib.sha256(self.sent).hexdigest()
