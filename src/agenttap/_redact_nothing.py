"""The redactor of a tap that was told to leave secrets in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agenttap._redact import Redactor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agenttap._events import Event

__all__ = ["NothingRedacted"]


class NothingRedacted(Redactor):
    """Gives everything back as it is."""

    def url(self, url: str) -> str:
        """Return *url*."""
        return url

    def headers(self, headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return *headers*."""
        return list(headers)

    def body(self, body: bytes) -> tuple[bytes, int]:
        """Return *body*, nothing found."""
        return body, 0

    def text(self, text: str) -> str:
        """Return *text*."""
        return text

    def value(self, value: Any) -> Any:
        """Return *value*."""
        return value

    def stream(self, api: str, *, deltas: Any = None) -> Any:  # noqa: ARG002  as of what it stands for
        """Return what passes events on."""
        return _PassedOn()


class _PassedOn:
    def feed(self, events: list[Event]) -> list[Event]:
        return events

    def end(self) -> list[Event]:
        return []
