from __future__ import annotations

import gc
import signal
import threading
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest

from agent_event_bus import EventBus
from agent_event_bus.errors import SubscriberWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

variable: ContextVar[str] = ContextVar("variable", default="unset")

WAIT = 120  # seconds until a test that hangs is called failed


class Gate:
    """A handler that stops at its first event until it is opened."""

    def __init__(self) -> None:
        self.entered, self.opened = threading.Event(), threading.Event()
        self.heard: list[Any] = []

    def __call__(self, topic: str, payload: Any) -> None:
        self.entered.set()
        assert self.opened.wait(WAIT)
        self.heard.append(payload)


@pytest.fixture
def bus() -> Iterator[EventBus]:
    with EventBus() as bus:
        yield bus


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


def emit_and_close(bus: EventBus) -> None:
    bus.emit("a")
    bus.close(WAIT)


class TestThread:
    def test_handler_runs_on_a_daemon_thread_in_order(self, bus: EventBus) -> None:
        heard: list[tuple[int, bool, bool]] = []

        def handler(topic: str, payload: int) -> None:
            here = threading.current_thread()
            heard.append((payload, here.daemon, here is threading.main_thread()))

        subscription = bus.on("a", handler, queue=1000)
        for n in range(500):
            bus.emit("a", n)

        assert bus.flush(WAIT)
        assert heard == [(n, True, False) for n in range(500)]
        assert (subscription.delivered, subscription.errors, subscription.dropped) == (500, 0, 0)
        assert 1 <= subscription.high_water <= 500

    def test_thread_begins_with_the_first_event(self, bus: EventBus) -> None:
        before = threading.active_count()
        bus.on("a", print, queue=1)
        bus.emit("b")

        assert threading.active_count() == before

    def test_handler_runs_in_the_context_of_subscribing(self, bus: EventBus) -> None:
        heard = []
        variable.set("subscribing")
        bus.on("a", lambda topic, payload: heard.append(variable.get()), queue=10)
        variable.set("emitting")
        bus.emit("a")
        bus.flush(WAIT)

        assert heard == ["subscribing"]

    @pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
    def test_errors_are_counted_told_and_survived(self, error: type[BaseException]) -> None:
        told: list[type[BaseException]] = []
        heard: list[int] = []

        def handler(topic: str, payload: int) -> None:
            if payload == 1:
                raise error
            heard.append(payload)

        with EventBus(on_error=lambda error, topic, subscription: told.append(type(error))) as bus:
            subscription = bus.on("a", handler, queue=10)
            for n in range(3):
                bus.emit("a", n)
            assert bus.flush(WAIT)

        assert heard == [0, 2]
        assert told == [error]
        assert (subscription.delivered, subscription.errors) == (2, 1)

    def test_default_warning_comes_from_the_thread_too(self) -> None:
        bus = EventBus()

        def handler(topic: str, payload: Any) -> None:
            raise ValueError

        bus.on("a", handler, queue=10)
        with pytest.warns(SubscriberWarning, match="handler .*handler raised ValueError"):
            emit_and_close(bus)

    def test_many_emitters_lose_nothing_below_the_bound(self, bus: EventBus) -> None:
        heard: list[tuple[int, int]] = []
        subscription = bus.on("a", lambda topic, payload: heard.append(payload), queue=4000)
        begin = threading.Barrier(8)

        def emit(mine: int) -> None:
            begin.wait()
            for n in range(500):
                bus.emit("a", (mine, n))

        threads = [threading.Thread(target=emit, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert bus.flush(WAIT)

        assert sorted(heard) == [(mine, n) for mine in range(8) for n in range(500)]
        for mine in range(8):
            assert [n for who, n in heard if who == mine] == list(range(500))
        assert subscription.matched == subscription.delivered == 4000


class TestPolicies:
    def test_drop_oldest_keeps_the_newest(self, bus: EventBus, gate: Gate) -> None:
        subscription = bus.on("a", gate, queue=3)
        bus.emit("a", 0)
        assert gate.entered.wait(WAIT)
        for n in range(1, 8):
            bus.emit("a", n)
        assert (subscription.waiting, subscription.high_water, subscription.dropped) == (3, 3, 4)
        gate.opened.set()
        assert bus.flush(WAIT)

        assert gate.heard == [0, 5, 6, 7]

    def test_drop_newest_keeps_the_oldest(self, bus: EventBus, gate: Gate) -> None:
        subscription = bus.on("a", gate, queue=3, policy="drop_newest")
        bus.emit("a", 0)
        assert gate.entered.wait(WAIT)
        for n in range(1, 8):
            bus.emit("a", n)
        assert (subscription.waiting, subscription.high_water, subscription.dropped) == (3, 3, 4)
        gate.opened.set()
        assert bus.flush(WAIT)

        assert gate.heard == [0, 1, 2, 3]

    def test_block_loses_nothing(self, bus: EventBus) -> None:
        heard: list[int] = []
        subscription = bus.on(
            "a", lambda topic, payload: heard.append(payload), queue=2, policy="block", block_timeout=1000
        )
        for n in range(2000):
            bus.emit("a", n)
        assert bus.flush(WAIT)

        assert heard == list(range(2000))
        assert subscription.dropped == 0
        assert subscription.high_water <= 2

    def test_block_waits_until_the_consumer_takes_one(self, bus: EventBus, gate: Gate) -> None:
        bus.on("a", gate, queue=1, policy="block", block_timeout=1000)
        bus.emit("a", 0)
        assert gate.entered.wait(WAIT)
        bus.emit("a", 1)
        emitter = threading.Thread(target=bus.emit, args=("a", 2))
        emitter.start()
        emitter.join(0.05)
        assert emitter.is_alive()
        gate.opened.set()
        emitter.join(WAIT)
        assert bus.flush(WAIT)

        assert gate.heard == [0, 1, 2]

    def test_block_gives_up_after_its_timeout_and_then_waits_no_more(self, bus: EventBus, gate: Gate) -> None:
        subscription = bus.on("a", gate, queue=1, policy="block", block_timeout=0.01)
        bus.emit("a", 0)
        assert gate.entered.wait(WAIT)
        bus.emit("a", 1)
        bus.emit("a", 2)
        assert subscription._mailbox is not None
        subscription._mailbox.block_timeout = WAIT * 10
        bus.emit("a", 3)  # would be stuck here if it waited once more
        assert subscription.dropped == 2
        gate.opened.set()
        assert bus.flush(WAIT)
        for n in range(4, 40):
            bus.emit("a", n)
        assert bus.flush(WAIT)

        # The consumer moved, so emitters wait for it again and nothing more is lost.
        assert gate.heard == [0, 1, *range(4, 40)]

    def test_block_never_waits_in_a_handler_for_the_handler_itself(self, bus: EventBus) -> None:
        heard: list[int] = []

        def handler(topic: str, payload: int) -> None:
            heard.append(payload)
            if payload == 0:
                for n in range(1, 5):
                    bus.emit("a", n)

        subscription = bus.on("a", handler, queue=2, policy="block", block_timeout=1000)
        bus.emit("a", 0)
        assert bus.flush(WAIT)

        assert heard == [0, 1, 2]
        assert subscription.dropped == 2

    def test_two_blocking_handlers_that_feed_each_other_do_not_stop(self, bus: EventBus) -> None:
        counts = {"a": 0, "b": 0}

        def feed(other: str) -> Callable[[str, int], None]:
            def handler(topic: str, payload: int) -> None:
                counts[topic] += 1
                if payload:
                    bus.emit(other, payload - 1)
                    bus.emit(other, payload - 1)

            return handler

        subscriptions = [
            bus.on("a", feed("b"), queue=1, policy="block", block_timeout=1000),
            bus.on("b", feed("a"), queue=1, policy="block", block_timeout=1000),
        ]
        for _ in range(50):
            bus.emit("a", 5)
        assert bus.flush(WAIT)
        assert bus.flush(WAIT)
        assert bus.close(WAIT)

        for one in subscriptions:
            assert one.matched == one.delivered + one.dropped
            assert one.errors == 0
        assert counts["a"] >= 50

    def test_close_releases_those_who_wait(self, gate: Gate) -> None:
        bus = EventBus()
        subscription = bus.on("a", gate, queue=1, policy="block", block_timeout=1000)
        bus.emit("a", 0)
        assert gate.entered.wait(WAIT)
        bus.emit("a", 1)
        emitters = [threading.Thread(target=bus.emit, args=("a", n)) for n in range(2, 6)]
        for emitter in emitters:
            emitter.start()
        while subscription.matched < 6:
            pass
        assert bus.close(timeout=0) is False
        for emitter in emitters:
            emitter.join(WAIT)
            assert not emitter.is_alive()
        gate.opened.set()
        assert subscription.close(WAIT)

        assert gate.heard == [0, 1]
        assert subscription.dropped == 4

    def test_signal_handler_may_emit_into_a_full_queue_in_the_middle_of_an_emit(self, bus: EventBus) -> None:
        heard: list[str] = []
        fired = [0]

        def on_signal(*_: object) -> None:
            fired[0] += 1
            if fired[0] >= 30:
                # Where the consumer gets no turn for long, handlers would stand on one another without end.
                signal.setitimer(signal.ITIMER_REAL, 0)
            bus.emit("a", "signal")

        subscription = bus.on(
            "a", lambda topic, payload: heard.append(payload), queue=2, policy="block", block_timeout=1000
        )
        before = signal.signal(signal.SIGALRM, on_signal)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
            while fired[0] < 30:
                bus.emit("a", "emit")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert bus.flush(WAIT)

        assert heard.count("signal") == fired[0]
        assert subscription.matched == subscription.delivered == len(heard)


class TestEnds:
    def test_close_delivers_what_waits(self) -> None:
        bus = EventBus()
        heard: list[int] = []
        subscription = bus.on("a", lambda topic, payload: heard.append(payload), queue=1000)
        for n in range(1000):
            bus.emit("a", n)

        assert bus.close(WAIT) is True
        assert bus.close() is True
        assert heard == list(range(1000))
        assert subscription.waiting == 0

    def test_close_of_an_unused_queue_waits_for_nothing(self) -> None:
        bus = EventBus()
        bus.on("a", print, queue=1000)

        assert bus.close(timeout=0) is True

    def test_cancel_drops_what_waits(self, bus: EventBus, gate: Gate) -> None:
        subscription = bus.on("a", gate, queue=10)
        for n in range(4):
            bus.emit("a", n)
        assert gate.entered.wait(WAIT)
        subscription.cancel()
        gate.opened.set()
        assert subscription.close(WAIT)

        assert gate.heard == [0]
        assert (subscription.delivered, subscription.dropped) == (1, 3)

    def test_end_of_the_block_delivers_what_waits(self, bus: EventBus) -> None:
        heard: list[int] = []
        with bus.on("a", lambda topic, payload: heard.append(payload), queue=100):
            for n in range(100):
                bus.emit("a", n)

        assert heard == list(range(100))

    def test_handler_may_close_its_own_subscription_and_the_bus(self) -> None:
        bus = EventBus()
        results: list[bool] = []
        done = threading.Event()

        def handler(topic: str, payload: Any) -> None:
            results.extend([bus.flush(1000), subscription.close(1000), bus.close(1000)])
            done.set()

        subscription = bus.on("a", handler, queue=10)
        bus.emit("a")
        assert done.wait(WAIT)

        # It cannot wait for itself; the bus has no subscription left to wait for.
        assert results == [False, False, True]
        assert subscription.close(WAIT)

    def test_flush_gives_up_after_its_timeout(self, bus: EventBus, gate: Gate) -> None:
        bus.on("a", gate, queue=10)
        bus.emit("a", 1)

        assert bus.flush(0.01) is False

    def test_flush_is_not_lost_when_the_oldest_is_dropped(self, bus: EventBus, gate: Gate) -> None:
        bus.on("a", gate, queue=1)
        bus.emit("a", 0)
        assert gate.entered.wait(WAIT)
        flushed: list[bool] = []
        flusher = threading.Thread(target=lambda: flushed.append(bus.flush(WAIT)))
        flusher.start()
        for n in range(1, 50):
            bus.emit("a", n)
        gate.opened.set()
        flusher.join(WAIT)

        assert flushed == [True]
        assert bus.flush(WAIT)
        assert gate.heard == [0, 49]

    def test_every_event_is_counted_once_whatever_happens(self) -> None:
        bus = EventBus(on_error=lambda *what: None)

        def handler(topic: str, payload: int) -> None:
            if payload % 7 == 0:
                raise ValueError

        subscriptions = [
            bus.on("a", handler, queue=5, policy="drop_oldest"),
            bus.on("a", handler, queue=5, policy="drop_newest"),
            bus.on("a", handler, queue=5, policy="block"),
        ]
        begin = threading.Barrier(5)

        def emit() -> None:
            begin.wait()
            for n in range(300):
                bus.emit("a", n)

        threads = [threading.Thread(target=emit) for _ in range(4)]
        for thread in threads:
            thread.start()
        begin.wait()
        while subscriptions[0].matched < 300:
            pass
        subscriptions[1].cancel()  # in the middle of it
        bus.close(WAIT)
        for thread in threads:
            thread.join()
        for one in subscriptions:
            assert one.close(WAIT)
            assert one.matched == one.delivered + one.errors + one.dropped
            assert one.high_water <= 5

    def test_thread_ends_with_the_bus_that_is_let_go_of(self) -> None:
        bus = EventBus()
        heard: list[int] = []
        threads: list[threading.Thread] = []

        def handler(topic: str, payload: int) -> None:
            threads.append(threading.current_thread())
            heard.append(payload)

        bus.on("a", handler, queue=10)
        bus.emit("a", 1)
        watched = weakref.ref(bus)
        del bus
        gc.collect()
        assert watched() is None
        while not threads:
            pass
        threads[0].join(WAIT)

        assert not threads[0].is_alive()
        assert heard == [1]


class TestProcess:
    def test_interpreter_exit_delivers_what_waits_and_what_comes_later(
        self, run_python: Callable[[str], str]
    ) -> None:
        printed = run_python(
            "import atexit, threading, time\n"
            "atexit.register(lambda: bus.emit('a', 'after'))\n"  # before the import: runs after its exit hook
            "from agent_event_bus import EventBus\n"
            "bus = EventBus()\n"
            "atexit.register(lambda: bus.emit('a', 3))\n"  # after the import: as at any other time
            "def handler(topic, payload):\n"
            "    time.sleep(0.01)\n"
            "    print(payload, threading.current_thread() is threading.main_thread(), flush=True)\n"
            "bus.on('a', handler, queue=10)\n"
            "for n in range(3): bus.emit('a', n)\n"
        )

        assert printed.splitlines() == [*(f"{n} False" for n in range(4)), "after True"]

    def test_after_exit_handlers_behind_queues_may_still_feed_each_other(
        self, run_python: Callable[[str], str]
    ) -> None:
        printed = run_python(
            "import atexit\n"
            "atexit.register(lambda: bus.emit('a', 3))\n"  # before the import: runs after its exit hook
            "from agent_event_bus import EventBus\n"
            "bus = EventBus()\n"
            "other = {'a': 'b', 'b': 'a'}\n"
            "def handler(topic, payload):\n"
            "    print(topic, payload, flush=True)\n"
            "    if payload: bus.emit(other[topic], payload - 1)\n"
            "async def async_handler(topic, payload): handler(topic, payload)\n"
            "bus.on('a', handler, queue=10)\n"
            "bus.on('b', async_handler)\n"
        )

        assert printed.splitlines() == ["a 3", "b 2", "a 1", "b 0"]

    def test_where_no_thread_can_be_started_the_emitter_delivers(
        self, bus: EventBus, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", refuse)
        heard: list[tuple[int, bool]] = []
        emitting = threading.get_ident()
        bus.on(
            "a", lambda topic, payload: heard.append((payload, emitting == threading.get_ident())), queue=5
        )
        bus.emit("a", 1)
        bus.emit("a", 2)

        assert heard == [(1, True), (2, True)]

    def test_forked_child_has_a_thread_of_its_own_and_none_of_the_parents_events(
        self, run_python: Callable[[str], str]
    ) -> None:
        printed = run_python(
            "import os, threading\n"
            "from agent_event_bus import EventBus\n"
            "bus, go, entered = EventBus(), threading.Event(), threading.Event()\n"
            "r, w = os.pipe()\n"
            "def handler(topic, payload):\n"
            "    entered.set(); go.wait()\n"
            "    os.write(w, f'{os.getpid() == parent} {payload}\\n'.encode())\n"
            "parent = os.getpid()\n"
            "sub = bus.on('a', handler, queue=2, policy='block')\n"
            "for n in range(2): bus.emit('a', n)\n"
            "entered.wait(); bus.emit('a', 2)\n"
            "holder = threading.Thread(target=bus._changing.acquire)\n"  # subscribing at that moment
            "holder.start(); holder.join()\n"
            "pid = os.fork()\n"
            "if not pid:\n"
            "    go.set()\n"
            "    bus.on('b', print).cancel()\n"
            "    for n in range(10, 15): bus.emit('a', n)\n"
            "    ok = bus.close(30) and (sub.matched, sub.delivered, sub.dropped) == (5, 5, 0)\n"
            "    os._exit(0 if ok else 1)\n"
            "assert os.waitpid(pid, 0)[1] == 0\n"
            "bus._after_fork(); sub.matched = 3; go.set()\n"  # the parent's lock is as lost
            "assert bus.close(30) and sub.delivered == 3\n"
            "os.close(w); print(os.read(r, 1000).decode())\n"
        )

        assert printed.splitlines() == [f"False {n}" for n in range(10, 15)] + [f"True {n}" for n in range(3)]

    def test_fork_inside_a_handler_does_not_deliver_twice(self, run_python: Callable[[str], str]) -> None:
        printed = run_python(
            "import os\n"
            "from agent_event_bus import EventBus\n"
            "bus = EventBus(); r, w = os.pipe(); parent = os.getpid()\n"
            "def handler(topic, payload):\n"
            "    os.write(w, f'{payload} '.encode())\n"
            "    if payload == 0 and not os.fork():\n"
            "        return\n"  # the child goes on in a thread that was the consumer
            "bus.on('a', handler, queue=10)\n"
            "for n in range(4): bus.emit('a', n)\n"
            "bus.close(30); os.wait(); os.close(w)\n"
            "print(os.read(r, 1000).decode())\n"
        )

        assert printed.split() == ["0", "1", "2", "3"]
