"""Doubles for the tests of programs that emit events.

RecordingBus    an EventBus that also keeps what was emitted
"""

from __future__ import annotations

from typing import Any

from ._bus import EventBus
from ._patterns import matches, parse_pattern

__all__ = ["RecordingBus"]


class RecordingBus(EventBus):
    """An :class:`EventBus` that keeps every event emitted on it, heard or not.

    Attributes:
        events: ``(topic, payload)``, in the order of emitting.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.events: list[tuple[str, Any]] = []

    def emit(self, topic: str, payload: Any = None) -> None:
        """Keep the event, then deliver it."""
        self.events.append((topic, payload))
        super().emit(topic, payload)

    async def emit_async(self, topic: str, payload: Any = None) -> None:
        """Keep the event, then deliver it."""
        self.events.append((topic, payload))
        await super().emit_async(topic, payload)

    def payloads(self, pattern: str = "**") -> list[Any]:
        """Return the payloads of the events whose topic *pattern* means, in order."""
        pieces = parse_pattern(pattern)
        return [payload for topic, payload in self.events if matches(pieces, topic.split("."))]
