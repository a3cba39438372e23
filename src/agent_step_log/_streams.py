"""Streams passed through a measured step: every item untouched, every way out recorded.

    exhausted   the step ends as it is
    exception   the step ends with it, cancellation too; the exception goes on
    close       ``attrs.stream`` is "closed": the consumer stopped early
    collected   ``attrs.stream`` is "abandoned": the consumer dropped the stream

An item is looked at after it has been received and never held back. While the
source runs, the step is the scope of what it records; the consumer is outside of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Iterable

    from agent_step_log._steps import MeasuredStep

__all__ = ["AsyncStream", "Collected", "Stream"]

Item = TypeVar("Item")

_MAX_ITEMS = 1000  # of a tool's stream kept for its output
_MAX_CHARACTERS = 1024 * 1024  # of its text items together


class Collected:
    """The output of a tool that yields: its items, text joined, within fixed bounds."""

    def __init__(self) -> None:
        self._items: list[object] = []
        self._count = 0
        self._characters = 0

    def add(self, item: object) -> None:
        """Keep *item* if there still is room."""
        self._count += 1
        if len(self._items) < _MAX_ITEMS and self._characters < _MAX_CHARACTERS:
            self._items.append(item)
            if type(item) is str:
                self._characters += len(item)

    def value(self) -> object:
        """Return one string if all items were text, else the list; with a last note if some were not kept."""
        kept = self._items
        text: list[str] = [item for item in kept if type(item) is str]
        note = f"…[cut: {len(kept)} of {self._count} items]" if len(kept) < self._count else ""
        if kept and len(text) == len(kept):
            return "".join(text) + note
        return [*kept, note] if note else kept


class _Passing:
    """What a synchronous and an asynchronous stream share: the step, and its ending."""

    def __init__(self, step: MeasuredStep, source: Any, see: Callable[[Any], None]) -> None:
        self._step = step
        self._source = source
        self._see = see

    def _finish(self, state: str | None, error: BaseException | None = None) -> None:
        if not self._step.ended:
            self._step._stream_state = state
            self._step.end(error)

    def __getattr__(self, name: str) -> Any:
        """Everything else is the stream's own: ``.response``, ``.text_stream``, ``.get_final_message()``."""
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._source, name)

    def __del__(self) -> None:
        if "_step" in self.__dict__:
            self._finish("abandoned")


class Stream(_Passing, Iterator[Item], Generic[Item]):
    """A synchronous stream; see the module. Not thread-safe, as the stream in it is not."""

    def __init__(self, step: MeasuredStep, source: Iterable[Item], see: Callable[[Any], None]) -> None:
        super().__init__(step, source, see)
        self._next = iter(source)

    def __next__(self) -> Item:
        before = self._step.push()
        try:
            item = next(self._next)
        except StopIteration:
            self._finish(None)
            raise
        except BaseException as error:
            self._finish(None, error)
            raise
        finally:
            self._step.pop(before)
        self._see(item)
        return item

    def close(self) -> None:
        """Close the source, if it can be closed, and end the step."""
        try:
            for closable in (self._next, self._source):
                if hasattr(closable, "close"):
                    closable.close()
                    break
        finally:
            self._finish("closed")

    def __enter__(self) -> Self:
        if hasattr(self._source, "__enter__"):
            self._source.__enter__()
        return self

    def __exit__(self, *error: Any) -> Any:
        try:
            if hasattr(self._source, "__exit__"):
                return self._source.__exit__(*error)
            self.close()
        finally:
            self._finish("closed" if error[1] is None else None, error[1])
        return None


class AsyncStream(_Passing, AsyncIterator[Item], Generic[Item]):
    """An asynchronous stream; see the module. For one task at a time, as the stream in it is."""

    def __init__(self, step: MeasuredStep, source: AsyncIterable[Item], see: Callable[[Any], None]) -> None:
        super().__init__(step, source, see)
        self._next = aiter(source)

    async def __anext__(self) -> Item:
        before = self._step.push()
        try:
            item = await anext(self._next)
        except StopAsyncIteration:
            self._finish(None)
            raise
        except BaseException as error:
            self._finish(None, error)
            raise
        finally:
            self._step.pop(before)
        self._see(item)
        return item

    async def aclose(self) -> None:
        """Close the source, if it can be closed, and end the step."""
        try:
            for closable in (self._next, self._source):
                if hasattr(closable, "aclose"):
                    await closable.aclose()
                    break
        finally:
            self._finish("closed")

    async def __aenter__(self) -> Self:
        if hasattr(self._source, "__aenter__"):
            await self._source.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> Any:
        try:
            if hasattr(self._source, "__aexit__"):
                return await self._source.__aexit__(*error)
            await self.aclose()
        finally:
            self._finish("closed" if error[1] is None else None, error[1])
        return None
