"""What a subscriber holds in its hands: a subscription, or a stream of events."""

from __future__ import annotations

from ._patterns import parse_pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, Self

    from ._mailboxes import Handler, Mailbox

__all__ = ["Stream", "Subscription"]


class Subscription:
    """One handler on one pattern, until :meth:`cancel` or :meth:`close`, or the end of its ``with`` block.

    Attributes:
        pattern: The pattern, as given.
        handler: The handler, as given.
        matched: Events emitted on a topic the pattern means. Each of them is, or will be, exactly one of
            ``delivered``, ``errors`` and ``dropped``.

    Any thread may read it and end it.
    """

    __slots__ = (
        "__weakref__",
        "_inline_errors",
        "_mailbox",
        "_pieces",
        "_remove",
        "handler",
        "matched",
        "pattern",
    )

    def __init__(
        self,
        pattern: str,
        handler: Handler | None,
        mailbox: Mailbox | None,
        remove: Callable[[Subscription], object],
    ) -> None:
        self._pieces = parse_pattern(pattern)
        self.pattern, self.handler = pattern, handler
        self.matched = 0
        self._inline_errors = 0
        self._mailbox = mailbox
        self._remove = remove

    @property
    def is_queued(self) -> bool:
        """Whether the handler runs behind a queue, and not on the emitter's thread."""
        return self._mailbox is not None

    @property
    def errors(self) -> int:
        """Events the handler raised on."""
        return self._inline_errors + (0 if self._mailbox is None else self._mailbox.errors)

    @property
    def delivered(self) -> int:
        """Events the handler took without raising."""
        return self.matched - self._inline_errors if self._mailbox is None else self._mailbox.delivered

    @property
    def dropped(self) -> int:
        """Events that never reached the handler: its queue was full, or it was cancelled."""
        return 0 if self._mailbox is None else self._mailbox.dropped

    @property
    def waiting(self) -> int:
        """Events in the queue now."""
        return 0 if self._mailbox is None else self._mailbox.waiting

    @property
    def high_water(self) -> int:
        """The most events that ever were in the queue at once."""
        return 0 if self._mailbox is None else self._mailbox.high_water

    def cancel(self) -> None:
        """Hear no more; what waits in the queue is dropped. At once, idempotent, also from the handler.

        An emit going on in another thread may still reach the handler once.
        """
        self._remove(self)
        if self._mailbox is not None:
            self._mailbox.close(discard=True)

    def close(self, timeout: float = 5.0) -> bool:
        """Hear no more, and wait until what is in the queue has been delivered.

        Args:
            timeout: Seconds to wait at most. Default: 5. Called from the handler itself, or on the event
                loop the handler runs on, it does not wait: the delivery goes on after.

        Returns:
            Whether everything has been delivered.
        """
        self._remove(self)
        if self._mailbox is None:
            return True
        self._mailbox.close()
        return self._mailbox.wait(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        kind = "inline" if self._mailbox is None else f"queue={self._mailbox.size} {self._mailbox.policy}"
        return f"<Subscription {self.pattern!r} {kind} matched={self.matched} dropped={self.dropped}>"


class Stream:
    """Events as an async iterator of ``(topic, payload)``, from the moment it was made.

    ``async for topic, payload in bus.stream("step.*"):``. Ends when it or the bus is closed, after the
    events that wait. Iterate on any event loop; several tasks may share it, and each event goes to
    one of them. Leaving an ``async with`` block closes it, and so does letting go of it.
    """

    __slots__ = ("__weakref__", "_mailbox", "_subscription")

    def __init__(self, subscription: Subscription, mailbox: Mailbox) -> None:
        self._subscription = subscription
        self._mailbox = mailbox

    @property
    def dropped(self) -> int:
        """Events that found the queue full, by the stream's policy."""
        return self._mailbox.dropped

    @property
    def waiting(self) -> int:
        """Events in the queue now."""
        return self._mailbox.waiting

    @property
    def high_water(self) -> int:
        """The most events that ever were in the queue at once."""
        return self._mailbox.high_water

    def close(self) -> None:
        """Hear no more; the iteration ends after the events that wait. Idempotent, from any thread."""
        self._subscription._remove(self._subscription)
        self._mailbox.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[str, Any]:
        event = await self._mailbox.get()
        if event is None:
            raise StopAsyncIteration
        return event

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # Nobody can read it any more: without this the queue would fill up and stay.
        self._subscription._remove(self._subscription)
        self._mailbox.close(discard=True)
