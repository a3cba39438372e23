from __future__ import annotations

import asyncio
import functools
import gc
import threading
from contextvars import ContextVar
from typing import Any

import pytest

from agent_event_bus import EventBus, Stream
from agent_event_bus._bus import MAX_NESTED_EMITS
from agent_event_bus.errors import EmitLoopError
from agent_event_bus.testing import RecordingBus

variable: ContextVar[str] = ContextVar("variable", default="unset")

WAIT = 120  # seconds until a test that hangs is called failed


class TestCoroutineHandler:
    def test_emit_queues_for_a_task_of_the_running_loop_in_order(self) -> None:
        async def main() -> list[Any]:
            heard: list[Any] = []
            done = asyncio.Event()
            bus = EventBus()

            @bus.on("a")
            async def handler(topic: str, payload: int) -> None:
                await asyncio.sleep(0)
                heard.append((payload, asyncio.get_running_loop() is loop))
                if payload == 49:
                    done.set()

            loop = asyncio.get_running_loop()
            for n in range(50):
                bus.emit("a", n)
            assert heard == []
            async with asyncio.timeout(WAIT):
                await done.wait()
                assert await bus.aclose()
            return heard

        assert asyncio.run(main()) == [(n, True) for n in range(50)]

    def test_emit_from_other_threads_reaches_the_loop(self) -> None:
        async def main() -> tuple[list[int], set[int]]:
            heard: list[int] = []
            threads: set[int] = set()
            bus = EventBus()

            async def handler(topic: str, payload: int) -> None:
                heard.append(payload)
                threads.add(threading.get_ident())

            subscription = bus.on("a", handler)

            def work() -> None:
                for n in range(100):
                    bus.emit("a", n)

            await asyncio.gather(*(asyncio.to_thread(work) for _ in range(4)))
            assert await bus.aclose(WAIT)
            assert subscription.delivered == 400
            return heard, threads

        heard, threads = asyncio.run(main())
        assert sorted(heard) == sorted(list(range(100)) * 4)
        assert threads == {threading.get_ident()}

    def test_no_task_is_left_when_nothing_waits(self) -> None:
        async def main() -> None:
            bus = EventBus()
            done = asyncio.Event()

            async def handler(topic: str, payload: Any) -> None:
                done.set()

            bus.on("a", handler)
            bus.emit("a")
            async with asyncio.timeout(WAIT):
                await done.wait()
                while len(asyncio.all_tasks()) > 1:
                    await asyncio.sleep(0)

        asyncio.run(main())

    def test_without_a_loop_a_thread_with_a_loop_of_its_own_runs_it(self) -> None:
        heard: list[tuple[int, bool]] = []

        async def handler(topic: str, payload: int) -> None:
            await asyncio.sleep(0)
            heard.append((payload, threading.current_thread() is threading.main_thread()))

        with EventBus() as bus:
            bus.on("a", functools.partial(handler))
            for n in range(3):
                bus.emit("a", n)

        assert heard == [(n, False) for n in range(3)]

    def test_after_its_loop_has_closed_a_thread_goes_on(self) -> None:
        heard: list[int] = []
        bus = EventBus()

        async def handler(topic: str, payload: int) -> None:
            heard.append(payload)

        async def main() -> None:
            bus.on("a", handler)
            bus.emit("a", 1)  # the loop ends before it gets to this one

        asyncio.run(main())
        bus.emit("a", 2)
        assert bus.close(WAIT)

        assert heard == [1, 2]

    def test_errors_are_counted_and_told(self) -> None:
        told: list[str] = []

        async def main() -> None:
            bus = EventBus(on_error=lambda error, topic, subscription: told.append(f"{topic} {error!r}"))

            async def handler(topic: str, payload: int) -> None:
                if payload:
                    raise ValueError(payload)

            subscription = bus.on("a", handler, queue=10)
            for n in range(3):
                bus.emit("a", n)
            assert await bus.aclose(WAIT)
            assert (subscription.delivered, subscription.errors, subscription.matched) == (1, 2, 3)

        asyncio.run(main())
        assert told == ["a ValueError(1)", "a ValueError(2)"]

    def test_runs_in_the_context_of_subscribing(self) -> None:
        async def main() -> list[str]:
            heard = []
            bus = EventBus()

            async def handler(topic: str, payload: Any) -> None:
                heard.append(variable.get())

            variable.set("subscribing")
            bus.on("a", handler)
            variable.set("emitting")
            bus.emit("a")
            await bus.aclose(WAIT)
            return heard

        assert asyncio.run(main()) == ["subscribing"]

    def test_full_queue_drops_by_policy(self) -> None:
        async def main(policy: Any) -> list[int]:
            heard: list[int] = []

            async def handler(topic: str, payload: int) -> None:
                heard.append(payload)

            bus = EventBus()
            subscription = bus.on("a", handler, queue=2, policy=policy, block_timeout=1000)
            for n in range(5):
                bus.emit("a", n)
            assert subscription.dropped == 3
            assert await bus.aclose(WAIT)
            return heard

        assert asyncio.run(main("drop_oldest")) == [3, 4]
        assert asyncio.run(main("drop_newest")) == [0, 1]
        # On the loop's own thread a wait would never end, so the new ones are dropped.
        assert asyncio.run(main("block")) == [0, 1]

    def test_close_on_its_own_loop_does_not_wait(self) -> None:
        async def main() -> None:
            heard: list[int] = []

            async def handler(topic: str, payload: int) -> None:
                heard.append(payload)

            bus = EventBus()
            subscription = bus.on("a", handler)
            bus.emit("a", 1)
            assert bus.flush(1000) is False
            assert bus.close(1000) is False
            async with asyncio.timeout(WAIT):
                while not subscription.delivered:
                    await asyncio.sleep(0)

        asyncio.run(main())

    def test_drain_of_many_events_lets_the_loop_go_on(self) -> None:
        async def main() -> int:
            handled = 0

            async def handler(topic: str, payload: int) -> None:
                nonlocal handled
                handled += 1

            bus = EventBus()
            bus.on("a", handler)
            for n in range(1000):
                bus.emit("a", n)
            seen = 0
            while handled < 1000:
                await asyncio.sleep(0)
                seen += 1
            return seen

        assert asyncio.run(main()) > 30


class TestEmitAsync:
    def test_awaits_coroutine_handlers_in_the_task_that_emits(self) -> None:
        async def main() -> list[Any]:
            heard: list[Any] = []
            bus = EventBus()

            async def handler(topic: str, payload: int) -> None:
                await asyncio.sleep(0)
                heard.append((payload, asyncio.current_task() is task, variable.get()))

            variable.set("subscribing")
            subscription = bus.on("a", handler)
            bus.on("a", lambda topic, payload: heard.append(payload))
            task = asyncio.current_task()
            variable.set("emitting")
            await bus.emit_async("a", 1)
            assert (subscription.matched, subscription.delivered) == (1, 1)
            return heard

        assert asyncio.run(main()) == [(1, True, "emitting"), 1]

    def test_awaits_a_handler_subscribed_before_the_loop_ran(self) -> None:
        heard: list[int] = []
        bus = EventBus()

        @bus.on("a")
        async def handler(topic: str, payload: int) -> None:
            heard.append(threading.get_ident())

        asyncio.run(bus.emit_async("a"))
        assert heard == [threading.get_ident()]

    def test_handler_of_another_loop_runs_there(self) -> None:
        async def main() -> None:
            heard: list[int] = []
            bus = EventBus()

            async def handler(topic: str, payload: int) -> None:
                heard.append(threading.get_ident())

            bus.on("a", handler)
            await asyncio.to_thread(lambda: asyncio.run(bus.emit_async("a")))
            assert await bus.aclose(WAIT)
            assert heard == [threading.get_ident()]

        asyncio.run(main())

    def test_errors_do_not_reach_the_emitter(self) -> None:
        told: list[str] = []

        async def main() -> None:
            bus = EventBus(on_error=lambda error, topic, subscription: told.append(repr(error)))

            async def fails(topic: str, payload: Any) -> None:
                raise ValueError("async")

            def fails_too(topic: str, payload: Any) -> None:
                raise ValueError("inline")

            subscriptions = bus.on("a", fails), bus.on("a", fails_too)
            await bus.emit_async("a")
            assert [one.errors for one in subscriptions] == [1, 1]
            assert [one.delivered for one in subscriptions] == [0, 0]

        asyncio.run(main())
        assert told == ["ValueError('async')", "ValueError('inline')"]

    def test_cancelling_ends_the_emit(self) -> None:
        async def main() -> None:
            bus, inside = EventBus(), asyncio.Event()

            async def handler(topic: str, payload: Any) -> None:
                inside.set()
                await asyncio.Event().wait()

            subscription = bus.on("a", handler)
            task = asyncio.create_task(bus.emit_async("a"))
            await inside.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert subscription.errors == 1

        asyncio.run(main())

    def test_block_lets_the_loop_go_on_and_loses_nothing(self) -> None:
        async def main() -> list[int]:
            heard: list[int] = []

            async def handler(topic: str, payload: int) -> None:
                await asyncio.sleep(0)
                heard.append(payload)

            bus = EventBus()
            subscription = bus.on("a", handler, queue=2, policy="block", block_timeout=1000)

            async def emit(first: int) -> None:
                for n in range(first, 300, 3):
                    await bus.emit_async("a", n)

            async with asyncio.timeout(WAIT):
                await asyncio.gather(*(emit(n) for n in range(3)))
                assert await bus.aclose()
            assert subscription.dropped == 0
            assert subscription.high_water <= 2
            return heard

        assert sorted(asyncio.run(main())) == list(range(300))

    def test_block_waits_for_a_thread_without_stopping_the_loop(self) -> None:
        async def main() -> list[int]:
            opened = threading.Event()
            heard: list[int] = []

            def handler(topic: str, payload: int) -> None:
                assert opened.wait(WAIT)
                heard.append(payload)

            bus = EventBus()
            bus.on("a", handler, queue=1, policy="block", block_timeout=1000)

            async def emit() -> None:
                for n in range(5):
                    await bus.emit_async("a", n)

            task = asyncio.create_task(emit())
            for _ in range(20):
                await asyncio.sleep(0)
            assert not task.done()
            opened.set()
            async with asyncio.timeout(WAIT):
                await task
                assert await bus.aclose()
            return heard

        assert asyncio.run(main()) == [0, 1, 2, 3, 4]

    def test_block_gives_up_after_its_timeout(self) -> None:
        async def main() -> None:
            opened = threading.Event()
            bus = EventBus()
            subscription = bus.on(
                "a", lambda topic, payload: opened.wait(WAIT), queue=1, policy="block", block_timeout=0.01
            )
            for n in range(6):
                await bus.emit_async("a", n)
            assert subscription.dropped >= 4
            opened.set()
            assert await bus.aclose(WAIT)
            assert subscription.matched == subscription.delivered + subscription.dropped

        asyncio.run(main())

    def test_task_cancelled_while_it_waits_loses_no_place_for_others(self) -> None:
        async def main() -> None:
            opened = threading.Event()
            bus = EventBus()
            subscription = bus.on(
                "a", lambda topic, payload: opened.wait(WAIT), queue=1, policy="block", block_timeout=1000
            )
            await bus.emit_async("a", 0)
            tasks = [asyncio.create_task(bus.emit_async("a", n)) for n in range(1, 6)]
            for _ in range(20):
                await asyncio.sleep(0)
            for task in tasks[:3]:
                task.cancel()
            opened.set()
            async with asyncio.timeout(WAIT):
                await asyncio.gather(*tasks, return_exceptions=True)
                assert await bus.aclose()
            assert subscription.dropped == 0

        asyncio.run(main())

    def test_two_handlers_that_emit_what_calls_them_come_to_an_end(self) -> None:
        errors: list[BaseException] = []

        async def main() -> int:
            bus = EventBus(on_error=lambda error, topic, subscription: errors.append(error))

            async def handler(topic: str, payload: Any) -> None:
                await bus.emit_async("a")

            subscriptions = [bus.on("a", handler) for _ in range(2)]
            await bus.emit_async("a")
            return sum(one.matched for one in subscriptions)

        assert asyncio.run(main()) == 2 * MAX_NESTED_EMITS
        assert all(isinstance(error, EmitLoopError) for error in errors)

    def test_many_tasks_of_one_handler_are_not_taken_for_a_loop(self) -> None:
        errors: list[BaseException] = []

        async def main() -> int:
            bus = EventBus(on_error=lambda error, topic, subscription: errors.append(error))
            all_inside = asyncio.Barrier(2 * MAX_NESTED_EMITS)

            async def spread(topic: str, payload: Any) -> None:
                await asyncio.gather(*(bus.emit_async("b") for _ in range(2 * MAX_NESTED_EMITS)))

            async def meet(topic: str, payload: Any) -> None:
                await all_inside.wait()

            bus.on("a", spread)
            met = bus.on("b", meet)
            async with asyncio.timeout(WAIT):
                await bus.emit_async("a")
            return met.delivered

        assert asyncio.run(main()) == 2 * MAX_NESTED_EMITS
        assert errors == []

    def test_tasks_that_begin_tasks_are_not_taken_for_a_loop(self) -> None:
        async def main() -> int:
            bus = RecordingBus()
            done = asyncio.Event()
            tasks = []

            async def handler(topic: str, payload: int) -> None:
                if payload == 0:
                    done.set()
                else:
                    tasks.append(asyncio.create_task(bus.emit_async("a", payload - 1)))

            bus.on("a", handler)
            await bus.emit_async("a", 3 * MAX_NESTED_EMITS)
            async with asyncio.timeout(WAIT):
                await done.wait()
                await asyncio.gather(*tasks)
            return len(bus.events)

        assert asyncio.run(main()) == 3 * MAX_NESTED_EMITS + 1


class TestStream:
    def test_yields_what_is_emitted_after_it_was_made(self) -> None:
        async def main() -> list[Any]:
            bus = EventBus()
            bus.emit("step.a", 0)
            stream = bus.stream("step.*")
            bus.emit("step.a", 1)
            bus.emit("run", 2)
            bus.emit("step.b", 3)
            bus.close()
            return [event async for event in stream]

        assert asyncio.run(main()) == [("step.a", 1), ("step.b", 3)]

    def test_waits_for_events_of_other_threads(self) -> None:
        async def main() -> list[Any]:
            bus = EventBus()
            stream = bus.stream("a")

            def work() -> None:
                for n in range(100):
                    bus.emit("a", n)
                stream.close()

            working = asyncio.create_task(asyncio.to_thread(work))
            got = [payload async for _, payload in stream]
            await working
            assert not bus.subscriptions
            return got

        assert asyncio.run(main()) == list(range(100))

    def test_full_stream_drops_by_policy_and_counts(self) -> None:
        async def main() -> tuple[list[int], int, int]:
            bus = EventBus()
            stream = bus.stream("a", queue=2)
            for n in range(5):
                bus.emit("a", n)
            assert stream.waiting == 2
            stream.close()
            return [payload async for _, payload in stream], stream.dropped, stream.high_water

        assert asyncio.run(main()) == ([3, 4], 3, 2)

    def test_block_makes_the_emitting_task_wait_for_the_reader(self) -> None:
        async def main() -> list[int]:
            bus = EventBus()
            stream = bus.stream("a", queue=1, policy="block", block_timeout=1000)

            async def emit() -> None:
                for n in range(20):
                    await bus.emit_async("a", n)
                stream.close()

            task = asyncio.create_task(emit())
            async with asyncio.timeout(WAIT):
                got = [payload async for _, payload in stream]
                await task
            return got

        assert asyncio.run(main()) == list(range(20))

    def test_each_event_goes_to_one_of_several_readers(self) -> None:
        async def main() -> list[int]:
            bus = EventBus()
            stream = bus.stream("a")

            async def read() -> list[int]:
                return [payload async for _, payload in stream]

            readers = [asyncio.create_task(read()) for _ in range(3)]
            for n in range(30):
                bus.emit("a", n)
                await asyncio.sleep(0)
            stream.close()
            async with asyncio.timeout(WAIT):
                return sorted(n for got in await asyncio.gather(*readers) for n in got)

        assert asyncio.run(main()) == list(range(30))

    def test_reader_cancelled_while_it_waits_loses_nothing(self) -> None:
        async def main() -> tuple[str, Any]:
            bus = EventBus()
            stream = bus.stream("a")
            reader = asyncio.create_task(anext(stream))
            await asyncio.sleep(0)
            bus.emit("a", 1)
            reader.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reader
            async with asyncio.timeout(WAIT):
                return await anext(stream)

        assert asyncio.run(main()) == ("a", 1)

    def test_event_meant_for_a_cancelled_reader_wakes_the_next(self) -> None:
        async def main() -> tuple[str, Any]:
            bus = EventBus()
            stream = bus.stream("a")
            readers = [asyncio.create_task(anext(stream)) for _ in range(2)]
            await asyncio.sleep(0)
            readers[0].cancel()
            bus.emit("a", 1)
            async with asyncio.timeout(WAIT):
                return await readers[1]

        assert asyncio.run(main()) == ("a", 1)

    def test_end_of_the_block_ends_the_iteration(self) -> None:
        async def main() -> None:
            bus, heard_by = EventBus(), []
            async with bus.stream("a") as stream:
                assert isinstance(stream, Stream)
                heard_by.append(len(bus.subscriptions))
            heard_by.append(len(bus.subscriptions))
            assert heard_by == [1, 0]
            with pytest.raises(StopAsyncIteration):
                await anext(stream)

        asyncio.run(main())

    def test_one_that_nobody_holds_is_cancelled(self) -> None:
        bus = EventBus()
        bus.stream("a")
        gc.collect()

        assert not bus.subscriptions

    def test_can_be_made_without_a_loop_and_read_on_several(self) -> None:
        bus = EventBus()
        stream = bus.stream("a")

        async def read() -> tuple[str, Any]:
            return await anext(stream)

        bus.emit("a", 1)
        assert asyncio.run(read()) == ("a", 1)
        bus.emit("a", 2)
        assert asyncio.run(read()) == ("a", 2)


class TestAsyncBlock:
    def test_end_of_the_block_closes_the_bus(self) -> None:
        async def main() -> list[int]:
            heard: list[int] = []

            async def handler(topic: str, payload: int) -> None:
                heard.append(payload)

            async with EventBus() as bus:
                bus.on("a", handler)
                bus.emit("a", 1)
            assert bus.is_closed
            return heard

        assert asyncio.run(main()) == [1]
