"""Bounded queues between an emitter and a handler that runs elsewhere.

    emitter ──put──► slots (is there room?) ──► items ──► consumer ──► handler

A slot is taken before an item goes in and given back when the consumer takes the
item out, so never more than *size* items wait. Both are C queues whose operations
are atomic and re-entrant: no lock of ours is held on the way in, and a signal handler
or finaliser may emit in the middle of another emit.

The consumer is a daemon thread, started with the first item, or, for a coroutine
function subscribed under a running event loop, a task of that loop which lives only
while items wait. Without a loop, or once that loop is closed, the thread runs
the coroutines on a loop of its own.

Every item ends as exactly one of delivered, errors and dropped. The counters are plain
attributes: with the GIL ``x += 1`` is not interrupted; without it they may lag under load.
"""

from __future__ import annotations

import atexit
import os
from _queue import Empty, SimpleQueue
from _thread import _local
from collections import deque
from contextlib import suppress
from contextvars import copy_context
from sys import modules
from time import monotonic
from weakref import WeakSet

from .errors import InvalidPolicyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future, Task
    from collections.abc import Awaitable, Callable
    from threading import Event, Thread
    from typing import Any, Literal, TypeAlias

    Handler: TypeAlias = Callable[[str, Any], object]
    Policy: TypeAlias = Literal["block", "drop_oldest", "drop_newest"]
    Report: TypeAlias = Callable[[BaseException, str], object]
    _Waiters: TypeAlias = deque[tuple[AbstractEventLoop, Future[None]]]

__all__ = ["POLICIES", "Mailbox", "running_loop"]

POLICIES = ("block", "drop_oldest", "drop_newest")

# A task that drains a full queue lets the rest of its loop run after so many items.
ITEMS_PER_TURN = 16

EXIT_SECONDS = 5.0


class _Sign:
    """Goes through the queue among the items; like an Event, which does so too, it can be set."""

    def set(self) -> None:
        """Nobody waits for it."""


_STOP = _Sign()  # the last thing: finish
_LEAVE = _Sign()  # for the thread only: emitters take over

# All there are, those of closed buses included: their consumers may still have work.
_mailboxes: WeakSet[Mailbox] = WeakSet()


class _Here(_local):
    #: Whether this thread is a consumer; it must not wait for another one, which may wait for it.
    is_consumer = False


_here = _Here()


def running_loop() -> AbstractEventLoop | None:
    """The event loop running in this thread; never imports asyncio to find there is none."""
    asyncio = modules.get("asyncio")
    if asyncio is None:
        return None
    loop: AbstractEventLoop | None = asyncio._get_running_loop()
    return loop


class Mailbox:
    """Items on their way to one handler, at most *size* of them, with a stated policy when full.

    Attributes:
        delivered: Items the handler took without raising.
        errors: Items the handler raised on.
        dropped: Items that never reached the handler.
        high_water: The most items that ever waited at once.
        is_closed: Whether no more items are taken in.
    """

    def __init__(
        self,
        handler: Handler | None,
        report: Report,
        *,
        name: str,
        size: int,
        policy: Policy,
        block_timeout: float,
        is_async: bool = False,
        is_awaited: bool = False,
        loop: AbstractEventLoop | None = None,
    ) -> None:
        if policy not in POLICIES:
            raise InvalidPolicyError(f"policy is {policy!r}; it is one of {', '.join(POLICIES)}.")
        if not isinstance(size, int) or size < 1:
            raise InvalidPolicyError(f"queue is {size!r}; it is a whole number from 1.")
        if not 0 <= block_timeout < 1e6:
            raise InvalidPolicyError(f"block_timeout is {block_timeout!r}; it is a number of seconds.")
        self.handler, self.report, self.name = handler, report, name
        self.size, self.policy, self.block_timeout = size, policy, block_timeout
        self.is_async, self._is_awaited, self._loop = is_async, is_awaited, loop
        # The emitter's context would differ from item to item; the subscriber's is one.
        self._context = copy_context()
        self.is_closed = False
        self._is_inline = False
        self._reset()
        _mailboxes.add(self)

    def _reset(self) -> None:
        self.delivered = self.errors = self.dropped = self.high_water = 0
        self._items: SimpleQueue[Any] = SimpleQueue()
        self._slots: SimpleQueue[None] = SimpleQueue()
        for _ in range(self.size):
            self._slots.put(None)
        # Whoever pops the one entry starts the thread.
        self._starters = [None]
        # The same for delivering on an emitter's thread.
        self._deliverers = [None]
        self._thread: Thread | None = None
        self._thread_id: int | None = None
        self._ends: list[Event] = []
        self._task: Task[None] | None = None
        self._is_scheduled = False
        self._is_stalled = False
        self._is_discarding = False
        self._is_finished = False
        self._space_waiters: _Waiters = deque()
        self._item_waiters: _Waiters = deque()

    def after_fork(self) -> None:
        """Begin anew in a forked child: what waits belongs to the parent, and so did the consumer."""
        self._loop = None
        self._reset()
        self._is_finished = self.is_closed

    @property
    def waiting(self) -> int:
        """How many items wait now."""
        return min(self._items.qsize(), self.size)

    # --- the emitter's side ---

    def put(self, topic: str, payload: Any) -> None:
        """Take one item in, or drop one; waits only under the policy ``block``, and not for ever."""
        if self.is_closed:
            self.dropped += 1
            return
        try:
            self._slots.get_nowait()
        except Empty:
            if not self._make_room():
                self.dropped += 1
                return
        self._add(topic, payload)

    async def put_async(self, topic: str, payload: Any) -> None:
        """As :meth:`put`, but the policy ``block`` lets the event loop go on while it waits.

        A coroutine function that wants no queue is awaited instead.
        """
        if self._is_awaited and not self.is_closed and self._loop in (None, running_loop()):
            await self._call(topic, payload)
        elif self.policy == "block" and not self.is_closed:
            try:
                self._slots.get_nowait()
            except Empty:
                if _here.is_consumer or self._is_own_task() or not await self._wait_for_slot():
                    self.dropped += 1
                    return
            self._add(topic, payload)
        else:
            self.put(topic, payload)

    def _add(self, topic: str, payload: Any) -> None:
        items = self._items
        items.put((topic, payload))
        waiting = items.qsize()
        if waiting > self.high_water:
            self.high_water = min(waiting, self.size)
        self._look_after()

    def _look_after(self) -> None:
        """Make sure that somebody deals with what has just been put."""
        if self._is_finished:
            # Closed between the first look and now, and the consumer has gone.
            self._discard_waiting()
        else:
            self._wake()

    def _make_room(self) -> bool:
        if self.policy == "drop_oldest":
            return self._drop_oldest()
        if self.policy == "drop_newest" or self._is_stalled or _here.is_consumer:
            return False
        if running_loop() is not None:
            # Waiting on an event loop's own thread would stop the very tasks that could make room.
            return False
        try:
            self._slots.get(timeout=self.block_timeout)
        except Empty:
            # Whoever comes next does not wait as well; the consumer lifts this when it moves again.
            self._is_stalled = True
            return False
        return self._still_open()

    def _still_open(self) -> bool:
        if self.is_closed:
            self._give_slot()  # to the next one who waits, who will find the same
            return False
        return True

    def _drop_oldest(self) -> bool:
        for _ in range(self.size + 100):
            try:
                item = self._items.get_nowait()
            except Empty:
                pass
            else:
                if item.__class__ is tuple:
                    self.dropped += 1
                    return True  # with its slot
                self._items.put(item)
            try:
                self._slots.get_nowait()
            except Empty:
                continue  # the consumer has the item and is about to give the slot back
            return True
        return False

    async def _wait_for_slot(self) -> bool:
        from asyncio import get_running_loop, timeout

        if self._is_stalled:
            return False
        loop = get_running_loop()
        try:
            async with timeout(self.block_timeout):
                while True:
                    waiter = loop.create_future()
                    self._space_waiters.append((loop, waiter))
                    try:
                        self._slots.get_nowait()
                    except Empty:
                        await _woken(self._space_waiters, waiter)
                    else:
                        _forget(self._space_waiters, waiter)
                        return self._still_open()
        except TimeoutError:
            self._is_stalled = True
            return False

    def _give_slot(self) -> None:
        self._slots.put(None)
        self._is_stalled = False
        _wake_one(self._space_waiters)

    def _is_own_task(self) -> bool:
        if self._task is None:
            return False
        from asyncio import current_task

        return current_task() is self._task

    # --- the consumer's side ---

    def _wake(self) -> None:
        if self.handler is None:
            _wake_one(self._item_waiters)
            return
        if self._is_inline:
            self._deliver_here()
            return
        loop = self._loop
        if loop is not None:
            if self._is_scheduled and not loop.is_closed():
                return
            self._is_scheduled = True
            try:
                loop.call_soon_threadsafe(self._start_task)
            except RuntimeError:
                self._loop, self._is_scheduled = None, False  # closed
            else:
                return
        if self._starters:
            self._start_thread()

    def _start_thread(self) -> None:
        from threading import Thread

        try:
            self._starters.pop()
        except IndexError:
            return
        try:
            thread = Thread(
                target=self._context.copy().run,
                args=(self._consume, self._items),
                name=f"agent-event-bus {self.name}",
                daemon=True,
            )
            thread.start()
        except RuntimeError:
            # The interpreter is shutting down, or the system has no threads left.
            self._starters.append(None)
            self._deliver_here()
        else:
            self._thread = thread

    def _consume(self, items: SimpleQueue[Any]) -> None:
        """The life of the consumer thread."""
        from threading import get_ident

        self._thread_id = get_ident()
        _here.is_consumer = True
        runner = None
        if self.is_async:
            from asyncio import Runner

            runner = Runner()
        try:
            # A fork inside the handler gives the child new items, and a thread of its own when needed.
            while self._items is items and not self._is_finished:
                item = items.get()
                if item is _LEAVE:
                    return
                if item is _STOP:
                    self._finish()
                else:
                    self._handle(item, runner)
        finally:
            if runner is not None:
                runner.close()

    def _handle(self, item: Any, runner: Any = None) -> None:
        if item.__class__ is not tuple:
            item.set()  # somebody waits until what was before this is done
            return
        self._give_slot()
        if self._is_discarding or self.handler is None:
            self.dropped += 1
            return
        topic, payload = item
        try:
            if runner is None:
                self.handler(topic, payload)
            else:
                runner.run(self.handler(topic, payload))
        except BaseException as error:  # noqa: BLE001 - this thread is ours: nobody else could be told
            self.errors += 1
            self.report(error, topic)
        else:
            self.delivered += 1

    def _deliver_here(self) -> None:
        """Let the calling thread be the consumer for what waits now, unless there is one already."""
        if self.is_async and running_loop() is not None:
            return
        was_consumer, _here.is_consumer = _here.is_consumer, True
        try:
            # Looked at again after each turn: an item may come while the one who delivers is leaving.
            while not self._items.empty():
                try:
                    self._deliverers.pop()
                except IndexError:
                    return  # in the handler, or another thread; it takes this item next
                try:
                    self._deliver_waiting()
                finally:
                    self._deliverers.append(None)
        finally:
            _here.is_consumer = was_consumer

    def _deliver_waiting(self) -> None:
        runner = None
        if self.is_async:
            from asyncio import Runner

            runner = Runner()
        try:
            while True:
                try:
                    item = self._items.get_nowait()
                except Empty:
                    return
                if item is _STOP:
                    self._finish()
                else:
                    self._handle(item, runner)
        finally:
            if runner is not None:
                runner.close()

    def _start_task(self) -> None:
        # Runs on the loop, so nothing else changes the task meanwhile.
        loop = self._loop
        if loop is not None and (self._task is None or self._task.done()):
            self._task = loop.create_task(self._drain(), context=self._context.copy())

    async def _drain(self) -> None:
        from asyncio import sleep

        items, count = self._items, 0
        try:
            while self._items is items:
                try:
                    item = items.get_nowait()
                except Empty:
                    self._is_scheduled = False
                    if items.empty() or self._is_scheduled:
                        return
                    self._is_scheduled = True  # put between the two looks
                    continue
                if item is _STOP:
                    self._finish()
                    return
                if item.__class__ is not tuple:
                    item.set()
                    continue
                self._give_slot()
                if self._is_discarding:
                    self.dropped += 1
                    continue
                await self._call(*item)
                count += 1
                if count % ITEMS_PER_TURN == 0:
                    await sleep(0)
        finally:
            self._is_scheduled = False

    async def _call(self, topic: str, payload: Any) -> None:
        handler: Callable[[str, Any], Awaitable[object]] = self.handler  # type: ignore[assignment]
        try:
            await handler(topic, payload)
        except Exception as error:  # noqa: BLE001 - isolation is what a subscriber is promised
            self.errors += 1
            self.report(error, topic)
        except BaseException:
            self.errors += 1
            raise  # cancelled with its task, or meant for the whole program
        else:
            self.delivered += 1

    async def get(self) -> tuple[str, Any] | None:
        """Return the next item of a mailbox without a handler; None once it is closed and empty."""
        from asyncio import get_running_loop

        loop = get_running_loop()
        while True:
            waiter = loop.create_future()
            self._item_waiters.append((loop, waiter))
            # Looked at only now: an item put before this line wakes nobody, one put after it wakes us.
            try:
                item: Any = self._items.get_nowait()
            except Empty:
                if not self.is_closed:
                    await _woken(self._item_waiters, waiter)
                    continue
                self._finish()
                return None
            finally:
                _forget(self._item_waiters, waiter)
            if item.__class__ is tuple:
                self._give_slot()
                self.delivered += 1
                topic, payload = item
                return topic, payload
            item.set()

    # --- the end ---

    def close(self, *, discard: bool = False) -> None:
        """Take no more in. What waits is delivered, or with *discard* dropped. Returns at once."""
        if self._is_finished or (self.is_closed and not discard):
            return
        self._is_discarding = self._is_discarding or discard
        was_closed, self.is_closed = self.is_closed, True
        self._give_slot()  # whoever waits for one finds that it is over
        if self.handler is None:
            if discard:
                self._discard_waiting()
            while self._item_waiters:
                _wake_one(self._item_waiters)
            return
        if was_closed:
            return
        if not self._has_consumer() and (discard or self._items.empty()):
            self._finish()
            return
        self._items.put(_STOP)
        self._wake()

    def _has_consumer(self) -> bool:
        return not self._starters or self._is_scheduled

    def _finish(self) -> None:
        self._is_finished = True
        self._discard_waiting()
        for end in tuple(self._ends):
            end.set()

    def _discard_waiting(self) -> None:
        while True:
            try:
                item = self._items.get_nowait()
            except Empty:
                return
            if item.__class__ is tuple:
                self._give_slot()
                self.dropped += 1
            else:
                item.set()

    def wait(self, timeout: float) -> bool:
        """Wait until a closed mailbox has dealt with its last item; False when not in *timeout* seconds."""
        if self._is_finished or self._is_consumed_here():
            return self._is_finished
        from threading import Event

        end = Event()
        self._ends.append(end)
        return self._is_finished or end.wait(timeout)

    def flush(self, timeout: float) -> bool:
        """Wait until what is in now has been dealt with; False when not in *timeout* seconds."""
        if self._is_finished or (self._items.empty() and not self._has_consumer()):
            return True
        if self.handler is None or self._is_consumed_here():
            return False
        from threading import Event

        passed = Event()
        self._items.put(passed)
        self._look_after()
        return passed.wait(timeout)

    def _is_consumed_here(self) -> bool:
        """Whether waiting here would keep the consumer from going on."""
        if _here.is_consumer:
            from threading import get_ident

            return self._thread_id == get_ident()
        return self._loop is not None and running_loop() is self._loop

    def go_inline(self, timeout: float) -> None:
        """Deliver what waits, then call the handler on the emitter's thread: the others are about to stop."""
        end = monotonic() + timeout
        self.flush(timeout)
        if self.handler is None or self._loop is not None:
            return
        self._is_inline = True
        if self._thread is not None:
            # Gone, or it would take items that the interpreter then does not let it finish.
            self._items.put(_LEAVE)
            self._thread.join(max(0.0, end - monotonic()))


def _wake_one(waiters: _Waiters) -> None:
    while waiters:
        try:
            loop, waiter = waiters.popleft()
        except IndexError:
            return
        try:
            loop.call_soon_threadsafe(_resolve, waiters, waiter)
        except RuntimeError:
            continue  # its loop is closed; nobody waits there any more
        return


def _resolve(waiters: _Waiters, waiter: Future[None]) -> None:
    if waiter.done():
        # Cancelled, and its task has not come round to taking it off the list.
        _wake_one(waiters)
    else:
        waiter.set_result(None)


def _forget(waiters: _Waiters, waiter: Future[None]) -> None:
    for entry in tuple(waiters):
        if entry[1] is waiter:
            with suppress(ValueError):  # another thread has just taken it to wake it
                waiters.remove(entry)
            return


async def _woken(waiters: _Waiters, waiter: Future[None]) -> None:
    try:
        await waiter
    except BaseException:
        _forget(waiters, waiter)
        if waiter.done() and not waiter.cancelled():
            _wake_one(waiters)  # woken and cancelled at once: the next one may use what there is
        raise


def _at_exit() -> None:
    end = monotonic() + EXIT_SECONDS
    for mailbox in tuple(_mailboxes):
        mailbox.go_inline(max(0.0, end - monotonic()))


def _in_forked_child() -> None:
    for mailbox in tuple(_mailboxes):
        mailbox.after_fork()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked_child)
