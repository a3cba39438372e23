"""The bus: who subscribed to what, and delivering an event to them.

What an emit reads is one dictionary, topic to routes, which fills itself from the
subscriptions as topics come by. A change of subscriptions puts a new, empty one in its
place; an emit that goes on meanwhile finishes with the routes it took. So emitting
takes no lock, and a topic nobody listens to costs one look-up.

    routes     (call, subscription), ...   in the order of subscribing
    call       the handler itself, or its mailbox's `put`
"""

from __future__ import annotations

import os
from _thread import RLock, _local
from contextvars import ContextVar
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, overload
from weakref import WeakSet, ref

from ._mailboxes import Mailbox, running_loop
from ._patterns import matches, parse_pattern
from ._subscribers import Stream, Subscription
from .errors import BusClosedError, EmitLoopError, InvalidPolicyError, SubscriberWarning

if TYPE_CHECKING:
    from asyncio import Task
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, Self, TypeAlias, TypeVar

    from ._mailboxes import Handler, Policy

    H = TypeVar("H", bound=Handler)
    ErrorHook: TypeAlias = Callable[[BaseException, str, Subscription | None], object]

__all__ = ["EventBus"]

# Topics are few by design; if somebody puts ids into them, memory must not follow.
MAX_KNOWN_TOPICS = 1024

# Handlers that emit are fine; handlers that emit what calls them, and there are two of them,
# would otherwise double their number at every level.
MAX_NESTED_EMITS = 64

WARN_EVERY_SECONDS = 60.0
DEFAULT_QUEUE = 1000
DEFAULT_BLOCK_TIMEOUT = 10.0

CO_COROUTINE = 0x80  # inspect.CO_COROUTINE, without importing inspect

_buses: WeakSet[EventBus] = WeakSet()

#: [task, depth, is overrun] of the emit_async going on here; of another task it means nothing.
_async_nesting: ContextVar[list[Any] | None] = ContextVar("agent_event_bus.nesting", default=None)


class _Nesting(_local):
    #: How many emits of this thread are going on inside one another.
    depth = 0
    #: Whether they went too deep; nothing nested is delivered until the outermost one is done.
    is_overrun = False


class _Routes(dict[str, tuple[tuple["Handler", Subscription], ...]]):
    """Topic to routes, for one fixed set of subscriptions."""

    __slots__ = ("subscriptions",)

    def __init__(self, subscriptions: tuple[Subscription, ...]) -> None:
        self.subscriptions = subscriptions

    def __missing__(self, topic: str) -> tuple[tuple[Handler, Subscription], ...]:
        segments = topic.split(".")
        found = []
        for subscription in self.subscriptions:
            if matches(subscription._pieces, segments):
                mailbox = subscription._mailbox
                call: Any = subscription.handler if mailbox is None else mailbox.put
                found.append((call, subscription))
        if len(self) >= MAX_KNOWN_TOPICS:
            self.clear()
        routes = self[topic] = tuple(found)
        return routes


class EventBus:
    """Publish and subscribe inside one process.

    ``bus.on("step.*", handler)`` subscribes, ``bus.emit("step.llm_call", record)`` tells every handler
    whose pattern means the topic: ``handler(topic, payload)``, in the order of subscribing. See
    ``docs/event-bus.md`` for patterns.

    A handler's exception never reaches the emitter: it is counted, and told to the error hook.
    ``KeyboardInterrupt``, ``SystemExit`` and task cancellation are meant for the program, not for the
    handler they happen to hit, and pass through an emit; on a queue's own thread they count as errors.

    Every method may be called from any thread, from handlers, from signal handlers and from
    finalisers. After a fork the child has the same subscriptions: queues begin there empty, with counters
    at 0 and a new thread when the first event comes; what waited is delivered by the parent. At
    interpreter exit queues are given up to 5 seconds; later events are handled on the emitter's
    thread.

    Args:
        on_error: Called as ``on_error(error, topic, subscription)``, on the thread of the handler that
            raised. What it raises is ignored. *subscription* is None for an :class:`EmitLoopError`.
            Default: a :class:`SubscriberWarning`, at most once a minute.
    """

    def __init__(self, *, on_error: ErrorHook | None = None) -> None:
        self._routes = _Routes(())
        self._nesting = _Nesting()
        # Orders changes of the subscriptions between threads; emitting never takes it.
        self._changing = RLock()
        self._reporter = _Reporter(on_error)
        self._is_closed = False
        _buses.add(self)

    # --- subscribing ---

    @overload
    def on(
        self,
        pattern: str,
        handler: Handler,
        *,
        queue: int | None = None,
        policy: Policy = "drop_oldest",
        block_timeout: float = DEFAULT_BLOCK_TIMEOUT,
    ) -> Subscription: ...

    @overload
    def on(
        self,
        pattern: str,
        handler: None = None,
        *,
        queue: int | None = None,
        policy: Policy = "drop_oldest",
        block_timeout: float = DEFAULT_BLOCK_TIMEOUT,
    ) -> Callable[[H], H]: ...

    def on(
        self,
        pattern: str,
        handler: Handler | None = None,
        *,
        queue: int | None = None,
        policy: Policy = "drop_oldest",
        block_timeout: float = DEFAULT_BLOCK_TIMEOUT,
    ) -> Any:
        """Call *handler* with each event whose topic *pattern* means; without *handler*, be a decorator.

        A plain function is called on the emitter's thread, unless *queue* is given: then on a daemon
        thread of its own.

        A coroutine function is awaited by :meth:`emit_async` in the task that emits, unless *queue* is
        given. :meth:`emit` cannot wait for it and queues the event (1000 may wait unless *queue* says
        otherwise): the calls run one after the other as a task of the event loop running now; without
        one, or once that loop is closed, on a daemon thread with a loop of its own.

        Handlers behind a queue run in the context (``contextvars``) of this call.

        Args:
            pattern: Segments with ``*`` and ``**``: ``"step.*"``, ``"**.error"``, ``"**"``.
            handler: Called as ``handler(topic, payload)``; what it returns is ignored.
            queue: How many events may wait. Default: none, handled at once where that is possible.
            policy: What to do when that many wait. ``"drop_oldest"`` (default) and ``"drop_newest"`` count
                what they drop. ``"block"`` makes the emitter wait, but never where that could stop the
                consumer: in a handler behind a queue, or on the thread of a running event loop (use
                :meth:`emit_async` there), the new event is dropped and counted.
            block_timeout: Seconds that ``"block"`` waits at most, then the event is dropped and counted, and
                nobody waits again until the consumer moves. Default: 10.

        Returns:
            The subscription; as a decorator, the function unchanged (:meth:`off` ends it).

        Raises:
            InvalidPatternError: *pattern* could never match.
            InvalidPolicyError: *queue*, *policy* or *block_timeout* make no sense.
            BusClosedError: The bus is closed.
        """
        if handler is None:

            def decorate(function: H) -> H:
                self.on(pattern, function, queue=queue, policy=policy, block_timeout=block_timeout)
                return function

            parse_pattern(pattern)
            return decorate
        if not callable(handler):
            raise TypeError("handler must be callable as handler(topic, payload).")
        is_async = _is_coroutine_function(handler)
        mailbox = None
        if queue is not None or is_async:
            mailbox = Mailbox(
                handler,
                _ignore,
                name=str(pattern),
                size=DEFAULT_QUEUE if queue is None else queue,
                policy=policy,
                block_timeout=block_timeout,
                is_async=is_async,
                is_awaited=is_async and queue is None,
                loop=running_loop() if is_async else None,
            )
        elif policy != "drop_oldest":
            raise InvalidPolicyError("policy says what a full queue does; give queue= as well.")
        subscription = Subscription(pattern, handler, mailbox, partial(_remove_from, ref(self)))
        if mailbox is not None:
            mailbox.report = partial(_report_weakly, self._reporter, ref(subscription))
        self._add(subscription)
        return subscription

    def off(self, handler: Handler) -> int:
        """Cancel every subscription of *handler*; return how many there were."""
        ended = [one for one in self._routes.subscriptions if one.handler == handler]
        for subscription in ended:
            subscription.cancel()
        return len(ended)

    def stream(
        self,
        pattern: str,
        *,
        queue: int = DEFAULT_QUEUE,
        policy: Policy = "drop_oldest",
        block_timeout: float = DEFAULT_BLOCK_TIMEOUT,
    ) -> Stream:
        """Return the events whose topic *pattern* means, from now on, as an async iterator.

        Arguments and errors are those of :meth:`on`. Needs no running event loop until iterated.
        """
        mailbox = Mailbox(
            None, _ignore, name=str(pattern), size=queue, policy=policy, block_timeout=block_timeout
        )
        subscription = Subscription(pattern, None, mailbox, partial(_remove_from, ref(self)))
        self._add(subscription)
        return Stream(subscription, mailbox)

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """Those there are now, streams included, in the order of subscribing."""
        return self._routes.subscriptions

    def _add(self, subscription: Subscription) -> None:
        with self._changing:
            while True:
                routes = self._routes
                if self._is_closed:
                    raise BusClosedError
                changed = _Routes((*routes.subscriptions, subscription))
                # A finaliser may have cancelled another one in between, on this very thread.
                if self._routes is routes:
                    self._routes = changed
                    return

    def _remove(self, subscription: Subscription) -> None:
        with self._changing:
            while True:
                routes = self._routes
                if subscription not in routes.subscriptions:
                    return
                changed = _Routes(tuple(one for one in routes.subscriptions if one is not subscription))
                if self._routes is routes:
                    self._routes = changed
                    return

    # --- emitting ---

    def emit(self, topic: str, payload: Any = None) -> None:
        """Tell everybody who listens to *topic*; returns when the handlers without a queue have.

        Never waits for a handler behind a queue, unless its policy is ``"block"``. Handlers may emit;
        64 deep the event goes to the error hook instead. On a closed bus it does nothing.

        Args:
            topic: Segments, without wildcards: ``"step.llm_call"``.
            payload: Handed to the handlers as it is. Default: None.
        """
        routes = self._routes[topic]
        if not routes:
            return
        nesting = self._nesting
        depth = nesting.depth
        if depth and (depth >= MAX_NESTED_EMITS or nesting.is_overrun):
            nesting.is_overrun = True
            self._reporter.report(EmitLoopError(topic, depth=depth), topic, None)
            return
        nesting.depth = depth + 1
        try:
            for call, subscription in routes:
                subscription.matched += 1
                try:
                    call(topic, payload)
                except Exception as error:  # noqa: BLE001 - isolation is what a subscriber is promised
                    subscription._inline_errors += 1
                    self._reporter.report(error, topic, subscription)
        finally:
            nesting.depth = depth
            if not depth:
                nesting.is_overrun = False

    async def emit_async(self, topic: str, payload: Any = None) -> None:
        """As :meth:`emit`, and wait for the handlers that are coroutine functions without ``queue=``.

        They are awaited in turn, in this task. One that was subscribed under another event loop runs
        there, behind its queue. Where the policy is ``"block"`` the loop goes on while this task waits.
        Cancelling the task ends the emit; the subscribers after that point do not hear of it.
        """
        routes = self._routes[topic]
        if not routes:
            return
        from asyncio import current_task

        task: Task[Any] | None = current_task()
        nesting = _async_nesting.get()
        if nesting is None or nesting[0] is not task:
            nesting = [task, 0, False]
            _async_nesting.set(nesting)
        depth = nesting[1]
        if depth and (depth >= MAX_NESTED_EMITS or nesting[2]):
            nesting[2] = True
            self._reporter.report(EmitLoopError(topic, depth=depth), topic, None)
            return
        nesting[1] = depth + 1
        try:
            for call, subscription in routes:
                subscription.matched += 1
                try:
                    if subscription._mailbox is None:
                        call(topic, payload)
                    else:
                        await subscription._mailbox.put_async(topic, payload)
                except Exception as error:  # noqa: BLE001 - isolation is what a subscriber is promised
                    subscription._inline_errors += 1
                    self._reporter.report(error, topic, subscription)
        finally:
            nesting[1] = depth
            if not depth:
                nesting[2] = False

    # --- the end ---

    @property
    def is_closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._is_closed

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until the handlers behind queues have dealt with everything emitted before.

        Args:
            timeout: Seconds to wait at most. Default: 5.

        Returns:
            Whether they have. Called by a handler behind a queue, or on the event loop its consumer runs
            on, it cannot wait for that one and says False; ``await asyncio.to_thread(bus.flush)`` can.
            Streams do not count: their reader may never come.
        """
        end = monotonic() + timeout
        boxes = [one._mailbox for one in self._routes.subscriptions if one.handler is not None]
        flushed = [box.flush(max(0.0, end - monotonic())) for box in boxes if box is not None]
        return all(flushed)

    def close(self, timeout: float = 5.0) -> bool:
        """Take no more events, deliver what waits, and end every subscription and stream. Idempotent.

        Args:
            timeout: Seconds to wait at most. Default: 5. What has not been delivered by then goes on
                being delivered as long as the process lives.

        Returns:
            Whether everything has been delivered; False too where it cannot be waited for (see
            :meth:`flush`; use :meth:`aclose` on an event loop).
        """
        with self._changing:
            self._is_closed = True
            ended, self._routes = self._routes.subscriptions, _Routes(())
        end = monotonic() + timeout
        boxes = [(one, one._mailbox) for one in ended if one._mailbox is not None]
        for _, box in boxes:
            box.close()
        waited = [box.wait(max(0.0, end - monotonic())) for one, box in boxes if one.handler is not None]
        return all(waited)

    async def aclose(self, timeout: float = 5.0) -> bool:
        """As :meth:`close`, while the event loop goes on."""
        from asyncio import to_thread

        return await to_thread(self.close, timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        # The consumer threads do not hold the bus; nobody can emit any more, so they may end.
        for subscription in self._routes.subscriptions:
            if subscription._mailbox is not None:
                subscription._mailbox.close()

    def _after_fork(self) -> None:
        # Another thread may have been changing something at the moment of the fork, and is not here.
        self._changing = RLock()
        for subscription in self._routes.subscriptions:
            if subscription._mailbox is not None:
                subscription.matched = 0  # as the counters of the mailbox


class _Reporter:
    """Tells the error hook, or warns. Apart from the bus, so that consumer threads do not hold the bus."""

    def __init__(self, hook: ErrorHook | None) -> None:
        self._hook = hook
        self._warn_from = 0.0
        self._unsaid = 0

    def report(self, error: BaseException, topic: str, subscription: Subscription | None) -> None:
        try:
            if self._hook is not None:
                self._hook(error, topic, subscription)
            else:
                self._warn(error, topic, subscription)
        except Exception:  # noqa: BLE001, S110 - there is nobody left to tell
            pass

    def _warn(self, error: BaseException, topic: str, subscription: Subscription | None) -> None:
        now = monotonic()
        if now < self._warn_from:
            self._unsaid += 1
            return
        self._warn_from = now + WARN_EVERY_SECONDS
        unsaid, self._unsaid = self._unsaid, 0
        import warnings

        # Never the message of the error: it may hold what the payload holds.
        handler = None if subscription is None else subscription.handler
        who = (
            f"handler {getattr(handler, '__qualname__', type(handler).__name__)}" if handler else "a handler"
        )
        more = f" ({unsaid} more since the last warning)" if unsaid else ""
        what = str(error) if isinstance(error, EmitLoopError) else f"{who} raised {type(error).__name__}"
        warnings.warn(f"Event {topic!r}: {what}{more}.", SubscriberWarning, stacklevel=4)


def _ignore(error: BaseException, topic: str) -> None:
    """Stand in until the subscription is there to be named."""


def _report_weakly(
    reporter: _Reporter, subscription: ref[Subscription], error: BaseException, topic: str
) -> None:
    reporter.report(error, topic, subscription())


def _remove_from(bus: ref[EventBus], subscription: Subscription) -> None:
    there = bus()
    if there is not None:
        there._remove(subscription)


def _is_coroutine_function(fn: Any) -> bool:
    while isinstance(fn, partial):
        fn = fn.func
    for one in (fn, getattr(type(fn), "__call__", None)):  # noqa: B004 - looked at, not asked
        code = getattr(getattr(one, "__func__", one), "__code__", None)
        if getattr(code, "co_flags", 0) & CO_COROUTINE:
            return True
    return False


def _in_forked_child() -> None:
    for bus in tuple(_buses):
        bus._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked_child)
