"""Who wants to know: publish and subscribe inside one process, with subscribers that cannot do harm."""

from __future__ import annotations

from ._bus import EventBus
from ._subscribers import Stream, Subscription

__all__ = ["EventBus", "Stream", "Subscription"]
