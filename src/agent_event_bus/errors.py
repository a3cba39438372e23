"""Every exception of agent_event_bus.

    EventBusError
    ├── InvalidPatternError       also a ValueError: a pattern that could never match
    ├── InvalidPolicyError        also a ValueError: a queue that could not work
    ├── BusClosedError            subscribing to a bus that has closed
    └── EmitLoopError             handed to the error hook: handlers emit in circles

    SubscriberWarning             a handler raised; said at most once a minute for each bus

Emitting raises none of these.
"""

from __future__ import annotations

__all__ = [
    "BusClosedError",
    "EmitLoopError",
    "EventBusError",
    "InvalidPatternError",
    "InvalidPolicyError",
    "SubscriberWarning",
]


class EventBusError(Exception):
    """Base of every error this package raises on purpose."""


class InvalidPatternError(EventBusError, ValueError):
    """*pattern* is not made of segments, ``*`` and ``**``."""

    def __init__(self, pattern: object, why: str) -> None:
        self.pattern = pattern
        super().__init__(f"Pattern {pattern!r}: {why}. Write it like 'step.*' or 'step.**'.")


class InvalidPolicyError(EventBusError, ValueError):
    """The queue of a subscription is described in a way that cannot work."""


class BusClosedError(EventBusError, RuntimeError):
    """The bus was closed, so a new subscriber would never hear anything."""

    def __init__(self) -> None:
        super().__init__("This event bus is closed. Make a new EventBus to subscribe to.")


class EmitLoopError(EventBusError):
    """An event was not delivered: it was emitted by a handler of a handler of a handler, *depth* deep."""

    def __init__(self, topic: str, *, depth: int) -> None:
        self.topic, self.depth = topic, depth
        super().__init__(f"{topic!r} was emitted {depth} handlers deep: do handlers emit what calls them?")


class SubscriberWarning(RuntimeWarning):
    """A handler raised, and the bus has no error hook of yours to tell."""
