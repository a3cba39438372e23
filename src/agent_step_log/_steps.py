"""Measured steps: a handle that begins with a `step_start` record and ends with one of its own.

    with log.llm_call("claude-sonnet-4-6") as call: call.response(client.messages.create(...))
    with log.tool_call("search", {"q": "x"}) as call: call.output = search("x")
    with log.agent("planner") as agent: ...            # steps inside name it as parent

What holds for every one of them:

    parent    captured by value when the handle is made; no context is needed to end it
    ending    happens once, from any thread, task or context, by whoever comes first:
              the end of the ``with``, `end`, the end of a stream, or, last of all, the
              garbage collector
    scope     inside ``with`` it is the parent of what is recorded. A scope opened in a
              generator's body counts only while that generator runs, not for the
              caller it has yielded to
"""

from __future__ import annotations

import gc
import sys
from contextlib import suppress
from contextvars import ContextVar
from time import perf_counter, time
from typing import TYPE_CHECKING, Any, Self, TypeVar

from agent_run_id import current_step
from agent_step_log._failure import failure_of
from agent_step_log._records import AgentCall, LlmCall, StepStart, ToolCall

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Iterable
    from types import FrameType, TracebackType

    from agent_step_log._steplog import StepLog
    from agent_step_log._streams import AsyncStream, Collected, Stream

__all__ = ["SETTABLE", "AgentStep", "LlmStep", "MeasuredStep", "ToolStep", "enclosing", "joined", "scope"]

Chunk = TypeVar("Chunk")

_GENERATOR = 0x20 | 0x200  # inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
#: Keys of an llm_call its caller may set by name; the rest is the recorder's to fill in.
SETTABLE = frozenset(LlmCall.__struct_fields__) - {
    *("run_id", "step", "type", "ts", "error", "error_type", "error_frames"),
    *("parent", "parent_writer", "agent", "writer", "degraded", "start_ts"),
}
_ABANDONED = "never ended: its handle was dropped"

#: The innermost scope of this context; ended ones may linger and are passed over.
scope: ContextVar[MeasuredStep | None] = ContextVar("agent_step_log_scope", default=None)


def joined(keys: dict[str, Any], given: object, name: str) -> dict[str, Any]:
    """Return *given* and *keys* as one dict; what is no dict goes in whole, as *name*."""
    if given is None:
        return dict(keys)
    # Exactly: a class of the agent's own may do anything when it is asked for its keys.
    return {**given, **keys} if type(given) is dict else {name: given, **keys}


def _set(step: MeasuredStep | None) -> None:
    scope.set(step)
    current_step.set(None if step is None else (step.log.run_id, step.step))


def _become(step: MeasuredStep | None) -> None:
    """Set the scope, and the step in flight that `agent_run_id` hands on."""
    # Before 3.12 the collector may run inside ContextVar.set, and a finaliser that sets a variable
    # too (one that records does) frees what the interrupted call works on: the process crashes.
    is_enabled = gc.isenabled()
    gc.disable()
    try:
        _set(step)
    finally:
        if is_enabled:
            gc.enable()


if sys.version_info >= (3, 12):
    _become = _set


def enclosing(log: StepLog) -> MeasuredStep | None:
    """Return the innermost open step of *log* that the running code is inside of."""
    step = scope.get()
    while step is not None and (step.log is not log or step.ended or not step.is_running()):
        step = step.outer
    return step


def _open(step: MeasuredStep | None) -> MeasuredStep | None:
    """Return *step*, or the nearest around it that has not ended.

    One left open when its log was closed will never end; what begins now is of another run.
    """
    while step is not None and (step.ended or step.log._writer.closed):
        step = step.outer
    return step


class MeasuredStep:
    """One step being measured; see the module for what holds for all of them.

    Attributes:
        step: Its number in the run.
        attrs: Your own key-values, put on the record that ends it.
    """

    __slots__ = (
        "__weakref__",
        "_before",
        "_frame",
        "_kind",
        "_live",
        "_start",
        "_start_ts",
        "_stream_state",
        "agent",
        "attrs",
        "error",
        "log",
        "outer",
        "parent",
        "parent_writer",
        "step",
        "writer",
    )

    def __init__(
        self,
        log: StepLog,
        kind: str,
        start: dict[str, Any],
        parent: int | None,
        attrs: dict[str, Any] | None,
    ) -> None:
        self.log = log
        self.attrs = attrs
        self.error: object = None
        # The scope around this one, for good. It was made before this one, so following
        # `outer` always ends, however scopes and contexts are entered later.
        self.outer = _open(scope.get())
        self._before: MeasuredStep | None = None
        self._kind = kind
        self._frame: object = None
        self._stream_state: str | None = None
        around = enclosing(log)
        self.agent: str | None = around.agent if around is not None else None
        self.writer = log.writer
        self.parent, self.parent_writer = log.parent_of(around, parent)
        self.step = log.next_step()
        self._live = True
        self._start_ts = time()
        log.put(
            StepStart(
                log.run_id,
                self.step,
                "step_start",
                self._start_ts,
                kind,
                agent=start.pop("agent", self.agent),
                parent=self.parent,
                parent_writer=self.parent_writer,
                attrs=attrs,
                writer=self.writer,
                **start,
            ),
            f"start.{kind}",
        )
        self._start = perf_counter()

    @property
    def ended(self) -> bool:
        """Whether the record that ends it has been written."""
        return not hasattr(self, "_live")

    def fail(self, error: object) -> None:
        """Mark the step as failed with *error* (an exception or a message); it ends as usual."""
        self.error = error

    def end(self, error: object = None) -> None:
        """End the step now; does nothing the second time. Safe from any thread, task or context."""
        try:
            # Deleting is atomic: of several who try to end it, one passes.
            del self._live
        except AttributeError:
            return
        failure = error if error is not None else self.error
        self._finish(round((perf_counter() - self._start) * 1000, 3), failure)

    def forget(self) -> None:
        """Never write the record that ends it: in a forked child, it is the parent's to end."""
        with suppress(AttributeError):
            del self._live

    def is_running(self) -> bool:
        """False for a scope opened in a generator's body while that generator is suspended."""
        if self._frame is None:
            return True
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if id(frame) == self._frame:
                return True
            frame = frame.f_back
        return False

    def _finish(self, duration_ms: float, error: object) -> None:
        raise NotImplementedError

    def _common(self, error: object) -> dict[str, Any]:
        """Return the keys every ending record may carry beside its own."""
        keys: dict[str, Any] = {"parent": self.parent, "parent_writer": self.parent_writer}
        if self._stream_state in ("closed", "abandoned"):
            self.attrs = joined({"stream": self._stream_state}, self.attrs, "attrs")
        keys["attrs"] = self.attrs
        keys["writer"] = self.writer
        keys["start_ts"] = self._start_ts
        if error is not None:
            failure = failure_of(error)
            keys["error_type"], keys["error_frames"] = failure.error_type, failure.error_frames
        return keys

    def push(self) -> MeasuredStep | None:
        """Make it the scope of the running context; return what that was, for `pop`."""
        before = scope.get()
        _become(self)
        return before

    def pop(self, before: MeasuredStep | None) -> None:
        """Give the scope back, where it still is ours to give."""
        if scope.get() is self:
            _become(_open(before))

    def __enter__(self) -> Self:
        frame = sys._getframe(1)
        if frame.f_code.co_flags & _GENERATOR:
            # Its number is enough, and keeps no reference: the frame lives as long as the generator.
            self._frame = id(frame)
        self._before = self.push()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        before, self._before = self._before, None
        self.pop(before)
        if self._stream_state is None or error is not None:
            if type(error) is GeneratorExit:
                # The consumer of a generator stopped early: its choice, not a failure.
                self._stream_state, error = "closed", None
            self.end(error)

    async def __aenter__(self) -> Self:
        frame = sys._getframe(1)
        if frame.f_code.co_flags & _GENERATOR:
            self._frame = id(frame)
        self._before = self.push()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def __del__(self) -> None:
        if hasattr(self, "_live") and hasattr(self, "_start"):
            self.end(None if self._stream_state else _ABANDONED)


class LlmStep(MeasuredStep):
    """A model call being measured.

    Set what you know (`input_tokens`, `stop_reason`, ...) or hand the provider's answer
    to `response`, or its stream to `stream`; all are optional.
    """

    __slots__ = ("_chunks", "fields")

    def __init__(
        self,
        log: StepLog,
        model: str | None,
        *,
        provider: str | None,
        input: object,  # noqa: A002  the record's own word
        parent: int | None,
        attrs: dict[str, Any] | None,
    ) -> None:
        # Keys of the llm_call record; assigned through the properties below or `update`.
        self.fields: dict[str, Any] = {"request_model": model, "provider": provider, "input": input}
        self._chunks: Any = None
        super().__init__(log, "llm_call", {"model": model, "input": input}, parent, attrs)

    def update(self, **fields: Any) -> None:
        """Set keys of the `llm_call` record by name: ``call.update(input_tokens=12)``.

        A key that record does not have goes into `attrs`.
        """
        for key, value in fields.items():
            if key in SETTABLE and key != "attrs":
                self.fields[key] = value
            else:
                self.attrs = joined({key: value}, self.attrs, "attrs")

    def response(self, response: object) -> None:
        """Take model, usage, stop reason, request id and tool calls from a provider's answer.

        Args:
            response: What the SDK returned (Anthropic, OpenAI chat or responses, Google,
                Bedrock) or the same as a dict. Anything else is ignored.
        """
        from agent_step_log.responses import response_fields

        self._take(response_fields(response))

    def _take(self, fields: dict[str, Any]) -> None:
        # Who was called is known best by the caller: dialects of one API look alike.
        if self.fields.get("provider") is not None:
            fields.pop("provider", None)
        self.update(**fields)

    def chunk(self, chunk: object) -> None:
        """Take what one event of a provider's stream tells; the first sets `ttft_ms`."""
        if self._chunks is None:
            from agent_step_log.responses import StreamFields

            self._chunks = StreamFields()
            self.fields.setdefault("ttft_ms", round((perf_counter() - self._start) * 1000, 3))
        self._chunks.add(chunk)

    def stream(self, chunks: Iterable[Chunk]) -> Stream[Chunk]:
        """Pass a provider's stream through untouched, ending the step when the stream ends."""
        from agent_step_log._streams import Stream

        self._stream_state = "open"
        return Stream(self, chunks, self.chunk)

    def astream(self, chunks: AsyncIterable[Chunk]) -> AsyncStream[Chunk]:
        """Like `stream`, for an asynchronous one."""
        from agent_step_log._streams import AsyncStream

        self._stream_state = "open"
        return AsyncStream(self, chunks, self.chunk)

    def _finish(self, duration_ms: float, error: object) -> None:
        fields = self.fields
        if self._chunks is not None:
            self._take(self._chunks.fields())
        request_model = fields.pop("request_model")
        model = fields.pop("model", None) or request_model
        if request_model == model:
            request_model = None
        self.log.put(
            LlmCall(
                self.log.run_id,
                self.step,
                "llm_call",
                time(),
                model,
                fields.pop("input_tokens", None),
                fields.pop("output_tokens", None),
                fields.pop("stop_reason", None),
                fields.pop("duration_ms", duration_ms),
                request_model=request_model,
                error=failure_of(error).error if error is not None else None,
                agent=self.agent,
                **self._common(error),
                **fields,
            ),
            "step.llm_call",
            is_numbered=False,
        )


class ToolStep(MeasuredStep):
    """A tool call being measured; put its result into `output`."""

    __slots__ = ("_collected", "input", "output", "tool", "tool_call_id")

    def __init__(
        self,
        log: StepLog,
        tool: str,
        *,
        input: object,  # noqa: A002  the record's own word
        tool_call_id: str | None,
        parent: int | None,
        attrs: dict[str, Any] | None,
    ) -> None:
        self.tool, self.input, self.tool_call_id = tool, input, tool_call_id
        self.output: object = None
        self._collected: Collected | None = None
        start = {"tool": tool, "input": input, "tool_call_id": tool_call_id}
        super().__init__(log, "tool_call", start, parent, attrs)
        if log.tools_seen is not None:
            log.tools_seen.add(tool_call_id, tool, input)

    def stream(self, items: Iterable[Chunk]) -> Stream[Chunk]:
        """Pass the items a tool yields through, ending the step when they end; they become its output."""
        from agent_step_log._streams import Collected, Stream

        self._stream_state = "open"
        self._collected = collected = Collected()
        return Stream(self, items, collected.add)

    def astream(self, items: AsyncIterable[Chunk]) -> AsyncStream[Chunk]:
        """Like `stream`, for an asynchronous one."""
        from agent_step_log._streams import AsyncStream, Collected

        self._stream_state = "open"
        self._collected = collected = Collected()
        return AsyncStream(self, items, collected.add)

    def _finish(self, duration_ms: float, error: object) -> None:
        output = self._collected.value() if self._collected is not None else self.output
        self.log.put(
            ToolCall(
                self.log.run_id,
                self.step,
                "tool_call",
                time(),
                self.tool,
                self.input,
                output,
                failure_of(error).error if error is not None else None,
                duration_ms,
                tool_call_id=self.tool_call_id,
                agent=self.agent,
                **self._common(error),
            ),
            "step.tool_call",
            is_numbered=False,
        )


class AgentStep(MeasuredStep):
    """A nested agent's scope; put its answer into `output`."""

    __slots__ = ("input", "output")

    def __init__(
        self,
        log: StepLog,
        agent: str,
        *,
        input: object,  # noqa: A002  the record's own word
        parent: int | None,
        attrs: dict[str, Any] | None,
    ) -> None:
        self.input: object = input
        self.output: object = None
        super().__init__(log, "agent_call", {"agent": agent, "input": input}, parent, attrs)
        self.agent = agent

    def _finish(self, duration_ms: float, error: object) -> None:
        self.log.put(
            AgentCall(
                self.log.run_id,
                self.step,
                "agent_call",
                time(),
                self.agent,
                self.input,
                self.output,
                failure_of(error).error if error is not None else None,
                duration_ms,
                **self._common(error),
            ),
            "step.agent_call",
            is_numbered=False,
        )
