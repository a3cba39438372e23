from __future__ import annotations

import functools
import gc
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest

import agent_event_bus
from agent_event_bus import EventBus, Subscription
from agent_event_bus._bus import MAX_KNOWN_TOPICS, MAX_NESTED_EMITS, WARN_EVERY_SECONDS
from agent_event_bus.errors import (
    BusClosedError,
    EmitLoopError,
    InvalidPatternError,
    InvalidPolicyError,
    SubscriberWarning,
)
from agent_event_bus.testing import RecordingBus

if TYPE_CHECKING:
    from collections.abc import Callable


class Heard(list[Any]):
    def __call__(self, topic: str, payload: Any) -> None:
        self.append((topic, payload))


class TestOn:
    def test_handler_hears_the_topics_its_pattern_means(self) -> None:
        bus, heard = EventBus(), Heard()
        bus.on("step.*", heard)
        for topic in ("step.llm_call", "step", "run.end", "step.tool_call"):
            bus.emit(topic, topic.upper())

        assert heard == [("step.llm_call", "STEP.LLM_CALL"), ("step.tool_call", "STEP.TOOL_CALL")]

    def test_decorator_leaves_the_function_as_it_is(self) -> None:
        bus, heard = EventBus(), Heard()

        @bus.on("a")
        def handler(topic: str, payload: Any) -> str:
            heard(topic, payload)
            return "result"

        bus.emit("a", 1)
        assert heard == [("a", 1)]
        assert handler("b", 2) == "result"

    def test_handlers_are_called_in_the_order_of_subscribing(self) -> None:
        bus, order = EventBus(), []
        for name in "cab":
            bus.on("**", functools.partial(lambda name, topic, payload: order.append(name), name))
        bus.emit("x")

        assert order == ["c", "a", "b"]

    def test_one_handler_may_subscribe_twice(self) -> None:
        bus, heard = EventBus(), Heard()
        first = bus.on("a", heard)
        bus.on("*", heard)
        bus.emit("a")
        first.cancel()
        bus.emit("a")

        assert len(heard) == 3

    def test_payload_is_handed_on_as_it_is(self) -> None:
        bus, heard, payload = EventBus(), Heard(), object()
        bus.on("a", heard)
        bus.emit("a", payload)
        bus.emit("a")

        assert heard[0][1] is payload
        assert heard[1][1] is None

    def test_later_subscriber_hears_topics_already_known(self) -> None:
        bus, heard = EventBus(), Heard()
        bus.emit("a", 1)
        bus.on("a", heard)
        bus.emit("a", 2)

        assert heard == [("a", 2)]

    @pytest.mark.parametrize("handler", [None, "called as a decorator"])
    def test_bad_pattern_is_refused_at_once(self, handler: str | None) -> None:
        with pytest.raises(InvalidPatternError):
            EventBus().on("a.*b") if handler is None else EventBus().on("a.*b", print)

    def test_what_cannot_be_called_is_refused(self) -> None:
        with pytest.raises(TypeError, match="handler must be callable"):
            EventBus().on("a", 7)  # type: ignore[call-overload]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"queue": 0}, "queue is 0"),
            ({"queue": 1.5}, "queue is 1.5"),
            (
                {"queue": 1, "policy": "drop"},
                "policy is 'drop'; it is one of block, drop_oldest, drop_newest",
            ),
            ({"queue": 1, "block_timeout": float("inf")}, "block_timeout is inf"),
            ({"queue": 1, "block_timeout": -1}, "block_timeout is -1"),
            ({"policy": "block"}, "give queue= as well"),
        ],
    )
    def test_queue_that_cannot_work_is_refused(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(InvalidPolicyError, match=message):
            EventBus().on("a", print, **options)


class TestCancel:
    def test_cancelled_handler_hears_no_more(self) -> None:
        bus, heard = EventBus(), Heard()
        subscription = bus.on("a", heard)
        subscription.cancel()
        subscription.cancel()
        bus.emit("a")

        assert heard == []
        assert bus.subscriptions == ()

    def test_end_of_the_block_cancels(self) -> None:
        bus, heard = EventBus(), Heard()
        with bus.on("a", heard) as subscription:
            assert isinstance(subscription, Subscription)
            bus.emit("a", 1)
        bus.emit("a", 2)

        assert heard == [("a", 1)]

    def test_off_cancels_every_subscription_of_a_handler(self) -> None:
        bus, heard = EventBus(), Heard()
        bus.on("a", heard)
        bus.on("b", heard)
        bus.on("a", print)

        assert bus.off(heard) == 2
        assert [one.handler for one in bus.subscriptions] == [print]

    def test_handler_may_cancel_itself_and_others_during_an_emit(self) -> None:
        bus, heard = EventBus(), Heard()

        def once(topic: str, payload: Any) -> None:
            heard(topic, payload)
            mine.cancel()
            other.cancel()

        mine = bus.on("a", once)
        other = bus.on("a", heard)
        bus.emit("a", 1)
        bus.emit("a", 2)

        # The emit that was going on finishes with the handlers it began with.
        assert heard == [("a", 1), ("a", 1)]

    def test_handler_subscribed_during_an_emit_hears_the_next_one(self) -> None:
        bus, heard = EventBus(), Heard()

        def subscribe(topic: str, payload: Any) -> None:
            if payload == 1:
                bus.on("a", heard)

        bus.on("a", subscribe)
        bus.emit("a", 1)
        bus.emit("a", 2)

        assert heard == [("a", 2)]

    def test_threads_may_subscribe_and_cancel_while_others_emit(self) -> None:
        bus, heard = EventBus(), Heard()
        steady = bus.on("a", heard)
        begin = threading.Barrier(6)

        def churn() -> None:
            begin.wait()
            for _ in range(200):
                bus.on("**", print_nothing).cancel()

        def emit() -> None:
            begin.wait()
            for n in range(200):
                bus.emit("a", n)

        threads = [threading.Thread(target=work) for work in (churn, emit) * 3]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(heard) == 600
        assert bus.subscriptions == (steady,)


def print_nothing(topic: str, payload: Any) -> None:
    pass


def emit_three_secrets(bus: EventBus) -> None:
    for _ in range(3):
        bus.emit("a", "secret")


class TestIsolation:
    def test_exception_reaches_the_hook_and_not_the_emitter(self) -> None:
        told: list[tuple[BaseException, str, Subscription | None]] = []
        bus, heard = EventBus(on_error=lambda *what: told.append(what)), Heard()
        error = ValueError("secret")

        def fail(topic: str, payload: Any) -> None:
            raise error

        failing = bus.on("a", fail)
        working = bus.on("a", heard)
        bus.emit("a", 1)

        assert told == [(error, "a", failing)]
        assert heard == [("a", 1)]
        assert (failing.matched, failing.errors, failing.delivered) == (1, 1, 0)
        assert (working.matched, working.errors, working.delivered) == (1, 0, 1)

    def test_hook_that_raises_harms_nobody(self) -> None:
        def hook(*what: object) -> None:
            raise RuntimeError

        bus, heard = EventBus(on_error=hook), Heard()
        bus.on("a", lambda topic: None)  # type: ignore[arg-type, misc]
        bus.on("a", heard)
        bus.emit("a", 1)

        assert heard == [("a", 1)]

    def test_default_is_one_warning_a_minute_without_content(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = [1000.0]
        monkeypatch.setattr("agent_event_bus._bus.monotonic", lambda: now[0])
        bus = EventBus()

        @bus.on("a")
        def broken(topic: str, payload: Any) -> None:
            raise ValueError("secret")

        with pytest.warns(SubscriberWarning) as first:
            emit_three_secrets(bus)
        now[0] += WARN_EVERY_SECONDS
        with pytest.warns(SubscriberWarning) as second:
            bus.emit("a")

        who = "TestIsolation.test_default_is_one_warning_a_minute_without_content.<locals>.broken"
        assert [str(one.message) for one in first] == [f"Event 'a': handler {who} raised ValueError."]
        assert [str(one.message) for one in second] == [
            f"Event 'a': handler {who} raised ValueError (2 more since the last warning)."
        ]

    def test_warning_made_an_error_does_not_reach_the_emitter(self) -> None:
        bus, heard = EventBus(), Heard()
        bus.on("a", lambda topic: None)  # type: ignore[arg-type, misc]
        bus.on("a", heard)
        bus.emit("a")  # with warnings as errors, as this whole suite runs

        assert heard == [("a", None)]

    @pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
    def test_what_is_meant_for_the_program_passes_through(self, kind: type[BaseException]) -> None:
        def fail(topic: str, payload: Any) -> None:
            raise kind

        bus = EventBus()
        subscription = bus.on("a", fail)
        with pytest.raises(kind):
            bus.emit("a")
        subscription.cancel()
        heard = Heard()
        bus.on("a", heard)
        bus.emit("a")

        assert heard == [("a", None)]


class TestNestedEmit:
    def test_handler_may_emit(self) -> None:
        bus, heard = EventBus(), Heard()
        bus.on("a", lambda topic, payload: bus.emit("b", payload + 1))
        bus.on("**", heard)
        bus.emit("a", 1)

        assert heard == [("b", 2), ("a", 1)]

    def test_two_handlers_that_emit_what_calls_them_come_to_an_end(self) -> None:
        errors: list[BaseException] = []
        bus = EventBus(on_error=lambda error, topic, subscription: errors.append(error))
        subscriptions = [bus.on("a", lambda topic, payload: bus.emit("a")) for _ in range(2)]
        bus.emit("a")

        assert sum(one.matched for one in subscriptions) == 2 * MAX_NESTED_EMITS
        assert all(isinstance(error, EmitLoopError) for error in errors)
        assert str(errors[0]) == (
            f"'a' was emitted {MAX_NESTED_EMITS} handlers deep: do handlers emit what calls them?"
        )

    def test_after_a_loop_the_bus_works_as_before(self) -> None:
        bus, heard = EventBus(on_error=lambda *what: None), Heard()
        bus.on("a", lambda topic, payload: bus.emit("a"))
        bus.emit("a")
        bus.on("b", lambda topic, payload: bus.emit("c"))
        bus.on("c", heard)
        bus.emit("b")

        assert heard == [("c", None)]

    def test_other_threads_are_not_held_up_by_a_loop(self) -> None:
        bus, heard = EventBus(on_error=lambda *what: None), Heard()
        bus.on("c", heard)

        def loop(topic: str, payload: Any) -> None:
            thread = threading.Thread(target=bus.emit, args=("c",))
            thread.start()
            thread.join()
            bus.emit("a")

        bus.on("a", loop)
        bus.emit("a")

        assert len(heard) == MAX_NESTED_EMITS


class TestCost:
    def test_emitting_to_nobody_looks_up_one_topic_and_calls_nothing(self) -> None:
        bus = EventBus()
        bus.on("other", print)
        bus.emit("a")
        calls: list[str] = []

        def trace(frame: Any, event: str, arg: Any) -> None:
            calls.append(
                f"{event} {frame.f_code.co_name if event == 'call' else getattr(arg, '__name__', '')}"
            )

        before = sys.getprofile()
        sys.setprofile(trace)
        try:
            bus.emit("a")
        finally:
            sys.setprofile(before)

        assert [call for call in calls if not call.startswith("return")] == ["call emit", "c_call setprofile"]

    def test_pattern_is_compared_once_for_each_topic(self, monkeypatch: pytest.MonkeyPatch) -> None:
        compared: list[str] = []

        def matches(pieces: tuple[str, ...], segments: list[str]) -> bool:
            compared.append(".".join(segments))
            return True

        monkeypatch.setattr("agent_event_bus._bus.matches", matches)
        bus, heard = EventBus(), Heard()
        bus.on("**", heard)
        for _ in range(5):
            bus.emit("a.b")

        assert compared == ["a.b"]
        assert len(heard) == 5

    def test_topics_without_end_take_bounded_memory(self) -> None:
        bus, heard = EventBus(), Heard()
        bus.on("run.*", heard)
        for n in range(3 * MAX_KNOWN_TOPICS):
            bus.emit(f"run.{n}")

        assert len(heard) == 3 * MAX_KNOWN_TOPICS
        assert len(bus._routes) <= MAX_KNOWN_TOPICS

    def test_import_brings_in_neither_asyncio_nor_threads(self, run_python: Callable[[str], str]) -> None:
        loaded = run_python(
            "import sys\n"
            "from agent_event_bus import EventBus\n"
            "bus = EventBus(); bus.on('a', print); bus.emit('a', 1)\n"
            "print(*{'asyncio', 'threading', 'logging', 'inspect', 'concurrent', 'queue'} & set(sys.modules))"
        )

        assert loaded == "a 1"


class TestClosed:
    def test_emitting_does_nothing_and_subscribing_is_refused(self) -> None:
        bus, heard = EventBus(), Heard()
        bus.on("a", heard)
        with bus:
            bus.emit("a", 1)
        bus.emit("a", 2)

        assert heard == [("a", 1)]
        assert bus.is_closed
        assert bus.close() is True
        with pytest.raises(BusClosedError, match="Make a new EventBus"):
            bus.on("a", heard)
        with pytest.raises(BusClosedError):
            bus.stream("a")

    def test_bus_that_is_let_go_of_is_freed(self) -> None:
        bus = EventBus()
        subscription = bus.on("a", print)
        watched = weakref.ref(bus)
        del bus
        gc.collect()

        assert watched() is None
        subscription.cancel()


class TestSubscription:
    def test_repr_tells_how_it_goes(self) -> None:
        bus = EventBus()
        inline = bus.on("a", print_nothing)
        queued = bus.on("b", print_nothing, queue=5, policy="drop_newest")
        bus.emit("a")

        assert repr(inline) == "<Subscription 'a' inline matched=1 dropped=0>"
        assert repr(queued) == "<Subscription 'b' queue=5 drop_newest matched=0 dropped=0>"
        assert (inline.is_queued, queued.is_queued) == (False, True)
        assert (inline.waiting, inline.high_water) == (0, 0)


class TestRecordingBus:
    def test_keeps_what_is_emitted_and_delivers_it(self) -> None:
        bus, heard = RecordingBus(), Heard()
        bus.on("a", heard)
        bus.emit("a", 1)
        bus.emit("b.c", 2)

        assert bus.events == [("a", 1), ("b.c", 2)]
        assert bus.payloads("b.*") == [2]
        assert bus.payloads() == [1, 2]
        assert heard == [("a", 1)]


class TestPublicNames:
    def test_are_all_there(self) -> None:
        assert {name for name in vars(agent_event_bus) if not name.startswith("_")} - {
            "annotations",
            "errors",
            "testing",
        } == set(agent_event_bus.__all__)

    def test_partial_and_callable_objects_are_handlers(self) -> None:
        bus, got = EventBus(), []
        bus.on("a", functools.partial(lambda who, topic, payload: got.append((who, payload)), "me"))
        bus.emit("a", 1)

        assert got == [("me", 1)]
