"""Streams through a measured step: nothing changed on the way, and every way out recorded."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import pytest

from agent_step_log.testing import recording

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from agent_step_log import Record, StepLog
    from agent_step_log.testing import Recording


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Recording]:
    with recording(tmp_path) as made:
        yield made


def only(run: Recording) -> Record:
    [record] = run.steps()
    return record


class Closable:
    """A stream that notes whether it was closed, as an SDK's does."""

    def __init__(self, items: list[Any], error: BaseException | None = None) -> None:
        self.items, self.error, self.closed = iter(items), error, False
        self.response = "the SDK's own attribute"

    def __iter__(self) -> Closable:
        return self

    def __next__(self) -> Any:
        for item in self.items:
            return item
        if self.error is not None:
            raise self.error
        raise StopIteration

    def close(self) -> None:
        self.closed = True


def tool(log: StepLog, source: Any) -> Any:
    with log.tool_call("t") as call:
        return call.stream(source)


class TestStream:
    def test_items_pass_through_as_they_are(self, run: Recording) -> None:
        items = [object() for _ in range(5)]
        received = list(tool(run.log, items))

        assert all(a is b for a, b in zip(items, received, strict=True))

    def test_an_item_is_not_waited_for_before_it_is_asked_for(self, run: Recording) -> None:
        asked: list[int] = []

        def source() -> Iterator[int]:
            for number in range(3):
                asked.append(number)
                yield number

        stream = tool(run.log, source())
        assert asked == []
        next(stream)
        assert asked == [0]
        stream.close()

    def test_exhaustion_ends_it(self, run: Recording) -> None:
        assert list(tool(run.log, ["a", "b"])) == ["a", "b"]
        assert (only(run).output, only(run).error, only(run).attrs) == ("ab", None, None)

    def test_it_does_not_end_before(self, run: Recording) -> None:
        stream = tool(run.log, ["a", "b"])
        next(stream)

        assert run.steps() == []
        assert len(run.records("step_start")) == 1
        stream.close()

    def test_an_exception_ends_it_and_goes_on(self, run: Recording) -> None:
        with pytest.raises(OSError, match="cut"):
            list(tool(run.log, Closable(["a"], OSError("cut"))))

        assert (only(run).output, only(run).error, only(run).error_type) == ("a", "cut", "OSError")

    def test_closing_it_closes_the_source_and_ends_it(self, run: Recording) -> None:
        source = Closable(["a", "b"])
        stream = tool(run.log, source)
        next(stream)
        stream.close()

        assert source.closed
        assert (only(run).output, only(run).attrs) == ("a", {"stream": "closed"})

    def test_breaking_out_and_dropping_it_ends_it(self, run: Recording) -> None:
        for _ in tool(run.log, ["a", "b"]):
            break
        gc.collect()

        assert (only(run).output, only(run).attrs) == ("a", {"stream": "abandoned"})

    def test_a_stream_nobody_reads_ends_too(self, run: Recording) -> None:
        tool(run.log, ["a"])
        gc.collect()

        assert only(run).attrs == {"stream": "abandoned"}

    def test_everything_else_is_the_sources_own(self, run: Recording) -> None:
        stream = tool(run.log, Closable([]))

        assert stream.response == "the SDK's own attribute"
        with pytest.raises(AttributeError):
            _ = stream.nothing

    def test_as_a_context_manager_it_is_the_sources(self, run: Recording) -> None:
        class Managed(Closable):
            entered = left = False

            def __enter__(self) -> Managed:
                self.entered = True
                return self

            def __exit__(self, *error: object) -> None:
                self.left = True

        source = Managed(["a", "b"])
        with tool(run.log, source) as stream:
            next(stream)

        assert (source.entered, source.left) == (True, True)
        assert only(run).attrs == {"stream": "closed"}

    def test_long_output_is_kept_within_bounds(self, run: Recording) -> None:
        list(tool(run.log, (str(number) for number in range(5000))))

        output = only(run).output
        assert output.startswith("0123456789101112")
        assert output.endswith("…[cut: 1000 of 5000 items]")


class TestAsyncStream:
    def drive(self, run: Recording, body: Any, items: tuple[Any, ...] = ("a", "b", "c")) -> None:
        async def source() -> AsyncIterator[Any]:
            for item in items:
                await asyncio.sleep(0)
                yield item

        async def main() -> None:
            with run.log.tool_call("t") as call:
                stream = call.astream(source())
            await body(stream)

        asyncio.run(main())

    def test_exhaustion_ends_it(self, run: Recording) -> None:
        async def body(stream: Any) -> None:
            assert [item async for item in stream] == ["a", "b", "c"]

        self.drive(run, body)

        assert (only(run).output, only(run).attrs) == ("abc", None)

    def test_closing_ends_it(self, run: Recording) -> None:
        async def body(stream: Any) -> None:
            await anext(stream)
            await stream.aclose()

        self.drive(run, body)

        assert (only(run).output, only(run).attrs) == ("a", {"stream": "closed"})

    def test_cancelling_ends_it_and_says_so(self, run: Recording) -> None:
        async def body(stream: Any) -> None:
            async def consume() -> None:
                async for _ in stream:
                    waiting.set()
                    await asyncio.Event().wait()

            waiting = asyncio.Event()
            task = asyncio.create_task(consume())
            await waiting.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        self.drive(run, body)
        gc.collect()

        assert only(run).output == "a"

    def test_cancelling_while_the_source_works_is_its_error(self, run: Recording) -> None:
        async def main() -> None:
            began = asyncio.Event()

            async def source() -> AsyncIterator[str]:
                yield "a"
                began.set()
                await asyncio.Event().wait()

            async def consume() -> None:
                with run.log.tool_call("t") as call:
                    stream = call.astream(source())
                async for _ in stream:
                    pass

            task = asyncio.create_task(consume())
            await began.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(main())

        assert (only(run).output, only(run).error_type) == ("a", "asyncio.exceptions.CancelledError")

    def test_dropping_it_ends_it(self, run: Recording) -> None:
        async def body(stream: Any) -> None:
            async for _ in stream:
                break

        self.drive(run, body)
        gc.collect()

        assert only(run).attrs == {"stream": "abandoned"}


class TestToolDecorator:
    def test_a_function_is_recorded_with_its_arguments_by_name(self, run: Recording) -> None:
        @run.log.tool
        def add(a: int, b: int = 2) -> int:
            """Add."""
            return a + b

        assert add(1) == 3
        assert add(1, b=5) == 6
        assert (add.__name__, add.__doc__) == ("add", "Add.")
        assert [(r.tool, r.input, r.output) for r in run.steps()] == [
            ("add", {"a": 1}, 3),
            ("add", {"a": 1, "b": 5}, 6),
        ]

    def test_a_name_can_be_given(self, run: Recording) -> None:
        @run.log.tool(name="arithmetic.add")
        def add(a: int) -> int:
            return a

        add(1)

        assert only(run).tool == "arithmetic.add"

    def test_a_coroutine_function_stays_one(self, run: Recording) -> None:
        @run.log.tool
        async def fetch(url: str) -> str:
            await asyncio.sleep(0)
            return url.upper()

        assert asyncio.iscoroutinefunction(fetch)
        assert asyncio.run(fetch("x")) == "X"
        assert (only(run).input, only(run).output) == ({"url": "x"}, "X")

    def test_a_generator_is_followed_to_its_end(self, run: Recording) -> None:
        @run.log.tool
        def words() -> Iterator[str]:
            run.log.record_tool_call("inside")
            yield "a"
            yield "b"

        assert list(words()) == ["a", "b"]
        inside, outer = run.steps()
        assert (outer.tool, outer.output) == ("words", "ab")
        assert inside.parent == outer.step

    def test_an_asynchronous_generator_too(self, run: Recording) -> None:
        @run.log.tool
        async def words() -> AsyncIterator[str]:
            yield "a"
            await asyncio.sleep(0)
            yield "b"

        async def read() -> list[str]:
            return [word async for word in words()]

        assert asyncio.run(read()) == ["a", "b"]
        assert only(run).output == "ab"

    def test_a_method_is_recorded_without_its_object(self, run: Recording) -> None:
        class Tools:
            @run.log.tool
            def search(self, query: str) -> str:
                return query

        Tools().search("x")

        assert only(run).input == {"query": "x"}

    def test_a_call_that_does_not_fit_fails_as_it_would(self, run: Recording) -> None:
        @run.log.tool
        def add(a: int) -> int:
            return a

        with pytest.raises(TypeError, match="positional argument"):
            add(1, 2)  # type: ignore[call-arg]

        assert only(run).input == {"args": [1, 2]}
        assert only(run).error_type == "TypeError"
