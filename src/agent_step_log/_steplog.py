"""`StepLog`: the recorder an agent calls. What it writes is in `_records`, how in `_writer`.

The two `record_` methods are the hot path and are written for it: one number from
an atomic counter, one encode, one write; no lock, no list, no thread. What they
cost is measured in docs/benchmarks.md.
"""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import suppress
from gc import is_tracked
from itertools import count
from time import time
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Self, TypeVar, overload
from weakref import WeakMethod, WeakSet

import msgspec
from msgspec.structs import astuple

from agent_run_id import RunContext, RunId, current_run
from agent_step_log._failure import Failure, failure_of
from agent_step_log._interrupts import is_from_signal
from agent_step_log._process import process_facts
from agent_step_log._records import (
    FORMAT_VERSION,
    Event,
    LlmCall,
    NamedLlmCall,
    NamedToolCall,
    PlainLlmCall,
    PlainToolCall,
    RunEnd,
    RunStart,
    ToolCall,
)
from agent_step_log._steps import (
    SETTABLE,
    AgentStep,
    LlmStep,
    MeasuredStep,
    ToolStep,
    enclosing,
    joined,
    scope,
)
from agent_step_log._values import MAX_RECORD_BYTES, encode_record, json_text, may_explode, plain
from agent_step_log._version import __version__
from agent_step_log._writer import Durability, Health, LogWriter, OnError
from agent_step_log.errors import RecordLostError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from types import TracebackType
    from typing import Unpack

    from agent_step_log._records import Number
    from agent_step_log._summary import Fold, Summary
    from agent_step_log._tools_seen import ToolsSeen
    from agent_step_log._typing import Bus, Guard, LlmFields

__all__ = ["Status", "StepLog"]

Status = Literal["ok", "error", "cancelled"]
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

current_scope = scope.get

# As plain callables: a type checker cannot know how long the tuple they are given is.
_named_llm_call: Callable[..., PlainLlmCall] = NamedLlmCall
_named_tool_call: Callable[..., PlainToolCall] = NamedToolCall

_encode = msgspec.json.Encoder(enc_hook=plain).encode


class StepLog:
    """Records the steps of one run into a log.

    Safe to call from any thread, task, signal handler or finaliser, and on both sides
    of a fork. A call that has returned is in the kernel: killing the process does not
    lose it. Nothing raises into the agent unless *on_error* asks for it.

    Args:
        path: A file, or a directory (existing, or ending in "/"): then the run gets a
            file of its own in it. Directories are made; files are made with mode 0600.
        run_id: Any string. Default: the current run's (`agent_run_id`), else a new one.
        agent, agent_version, task_type, environment, metadata: The run's header, all
            optional; metadata is any JSON-able mapping.
        parent_run_id, parent_step: The run and step this run was started from. Default:
            what `agent_run_id` knows.
        forked_from: Where a re-run departed from a recorded one: ``{"run_id", "step"}``.
        bus: Gets every record after it has been written: topics ``step.llm_call``,
            ``start.tool_call``, ``event.NAME``, ``run.start``, ``run.end``. The payload is
            the record object, to be read and not changed.
        guard: Asked before each measured step begins, with a `StepAhead`. It refuses the step by
            raising `CallRefusedError`, which is recorded and goes on to the agent; any other
            exception of its own is counted in `health` and ignored. One that has ``emit`` gets
            every record as well, as a bus does. Default: nobody is asked.
        durability: "process" (default) or "disk"; see `LogWriter`.
        on_error: "warn" (default), "raise" or "ignore"; see `LogWriter`.
        rotate_bytes: Move the file aside when it has grown larger. Default: never.

    Attributes:
        run_id: The run's id, as every record has it.
        root_run_id: The outermost run known above it; *run_id* itself for a root.
        guard: Who is asked, or None; see `set_guard`.
        path: The file written to, absolute.
        writer: None for the process that created the file, else this writer's own id.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        run_id: str | None = None,
        *,
        agent: str | None = None,
        agent_version: str | None = None,
        task_type: str | None = None,
        environment: str | None = None,
        metadata: dict[str, Any] | None = None,
        parent_run_id: str | None = None,
        parent_step: int | None = None,
        forked_from: dict[str, Any] | None = None,
        bus: Bus | None = None,
        guard: Guard | None = None,
        durability: Durability = "process",
        on_error: OnError = "warn",
        rotate_bytes: int | None = None,
    ) -> None:
        run = _run_of(run_id)
        self.run_id = str(run.run_id)
        self.root_run_id = str(run.root_run_id)
        if parent_run_id is not None and parent_run_id not in (run.parent_run_id, run.root_run_id):
            self.root_run_id = parent_run_id  # a run that `agent_run_id` knows nothing of
        self.path = _file_of(path, run.run_id)
        self._bus = bus
        self.guard: Guard | None = None
        self._guard_errors = 0
        if guard is not None:
            self.set_guard(guard)
        self._counts = _Counts()
        self._steps = self._counts.numbers
        self._degraded = count()
        self._summary: Fold | None = None
        self._is_ended = False
        #: The tool calls recorded here, for whoever infers tool calls from elsewhere; see `watch_tool_calls`.
        self.tools_seen: ToolsSeen | None = None
        self._writer = LogWriter(
            self.path,
            durability=durability,
            on_error=on_error,
            rotate_bytes=rotate_bytes,
            # Neither may hold this log: a log that is dropped ends its run at once.
            before_rotation=_weakly(self._fold),
            count_lines=self._counts.lines,
        )
        self._folded_to, self._folded_in = self._writer.opened_at, self._writer.inode
        self.writer = None if self._writer.created else _new_writer_id()
        self._follow_writer()
        self._header: dict[str, Any] = {
            "agent": agent if agent is not None else run.agent,
            "agent_version": agent_version,
            "task_type": task_type,
            "environment": environment,
            "metadata": {**run.metadata, **joined({}, metadata, "metadata")} or None,
            "parent_run_id": parent_run_id if parent_run_id is not None else run.parent_run_id,
            "parent_step": parent_step if parent_step is not None else run.parent_step,
            "forked_from": forked_from,
        }
        _open_logs.add(self)
        try:
            self._write_header()
        except BaseException:
            # Nobody gets this log: with nothing left to end, its finaliser has nothing to complain of.
            _open_logs.discard(self)
            self._writer.close()
            raise

    # -- plain records ---------------------------------------------------------

    def record_llm_call(
        self,
        model: str | None = None,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        stop_reason: str | None = None,
        duration_ms: Number | None = None,
        error: BaseException | str | None = None,
        parent: int | None = None,
        agent: str | None = None,
        **more: Unpack[LlmFields],
    ) -> int:
        """Record a finished model call.

        Args:
            model: The model that answered.
            input_tokens: The whole prompt, cached parts included.
            output_tokens: The answer, reasoning included.
            stop_reason: Why it stopped, in the provider's word.
            duration_ms: Milliseconds it took.
            error: An exception (its type and frames are kept) or a message.
            parent: The enclosing step's number. Default: the scope this call is made in.
            agent: The agent's name. Default: that of the scope.
            more: Other keys of the record, see `LlmFields`. A key it does not have goes into ``attrs``.

        Returns:
            The step's number in the run, from 1.
        """
        if (
            more
            or error is not None
            or parent is not None
            or agent is not None
            or self._bus is not None
            or current_scope() is not None
            or (type(model) is not str and model is not None)
        ):
            full = self._llm_record(model, input_tokens, output_tokens, stop_reason, duration_ms, more)
            self._place(full, parent, agent, error)
            self.put(full, "step.llm_call")
            return full.step
        step = next(self._steps)
        now = time()
        record = PlainLlmCall(
            self.run_id, step, "llm_call", now, model, input_tokens, output_tokens, stop_reason, duration_ms
        )
        if self.writer is not None:
            record = _named_llm_call(*astuple(record), self.writer)
        try:
            line = _encode(record) + b"\n"
            if len(line) > MAX_RECORD_BYTES:
                raise ValueError
            written = self._write(line)
        except Exception as failure:  # a value, or the disk: neither may break the agent
            if is_from_signal(failure):
                raise
            counts = (input_tokens, output_tokens, stop_reason, duration_ms)
            self.put(self._llm_record(model, *counts, more, step), "step.llm_call")
            return step
        if written != len(line) or now > self._attend_at:
            self._after_write(line, written, now)
        return step

    def record_tool_call(
        self,
        tool: str,
        input: Any = None,  # noqa: A002  the record's own word
        output: Any = None,
        duration_ms: Number | None = None,
        error: BaseException | str | None = None,
        tool_call_id: str | None = None,
        inferred: bool = False,
        parent: int | None = None,
        agent: str | None = None,
        attrs: dict[str, Any] | None = None,
        bounds: dict[str, str] | None = None,
    ) -> int:
        """Record a finished tool call.

        Args:
            tool: Its name.
            input: Its arguments; any value, see docs/values.md.
            output: What it returned.
            duration_ms: Milliseconds it took.
            error: An exception (its type and frames are kept) or a message.
            tool_call_id: The id by which the model asked for it.
            inferred: True when this was worked out afterwards, not observed.
            parent: The enclosing step's number. Default: the scope this call is made in.
            agent: The agent's name. Default: that of the scope.
            attrs: Your own key-values.
            bounds: Which figures are not exact: ``{"duration_ms": "upper"}``.

        Returns:
            The step's number in the run, from 1.
        """
        if (
            error is not None
            or tool_call_id is not None
            or inferred
            or parent is not None
            or agent is not None
            or attrs is not None
            or bounds is not None
            or self.tools_seen is not None
            or self._bus is not None
            or current_scope() is not None
            or type(tool) is not str
        ):
            full = self._tool_record(tool, input, output, duration_ms)
            full.tool_call_id, full.inferred, full.attrs = tool_call_id, inferred, attrs
            full.bounds = bounds
            if self.tools_seen is not None and not inferred:
                self.tools_seen.add(tool_call_id, full.tool, input)
            self._place(full, parent, agent, error)
            self.put(full, "step.tool_call")
            return full.step
        step = next(self._steps)
        now = time()
        record = PlainToolCall(self.run_id, step, "tool_call", now, tool, input, output, None, duration_ms)
        if self.writer is not None:
            record = _named_tool_call(*astuple(record), self.writer)
        try:
            # Only a container of containers is tracked; text, the usual payload, is not.
            if (is_tracked(output) and may_explode(output)) or (is_tracked(input) and may_explode(input)):
                raise ValueError
            line = _encode(record) + b"\n"
            if len(line) > MAX_RECORD_BYTES:
                raise ValueError
            written = self._write(line)
        except Exception as failure:  # a value, or the disk: neither may break the agent
            if is_from_signal(failure):
                raise
            self.put(self._tool_record(tool, input, output, duration_ms, step), "step.tool_call")
            return step
        if written != len(line) or now > self._attend_at:
            self._after_write(line, written, now)
        return step

    def event(
        self,
        name: str,
        data: Any = None,
        *,
        parent: int | None = None,
        agent: str | None = None,
        attrs: dict[str, Any] | None = None,
    ) -> int:
        """Record a point in time that is not a step (feedback, approval, score, pause, ...).

        Returns:
            Its number in the run; events and steps are counted together.
        """
        number = next(self._steps)
        parent, parent_writer, agent = self._placed(parent, agent)
        name = _name(name)
        self.put(
            Event(
                self.run_id,
                number,
                "event",
                time(),
                name,
                data,
                parent=parent,
                parent_writer=parent_writer,
                agent=agent,
                attrs=attrs,
                writer=self.writer,
            ),
            f"event.{name}",
        )
        return number

    # -- measured forms --------------------------------------------------------

    def llm_call(
        self,
        model: str | None = None,
        *,
        provider: str | None = None,
        input: Any = None,  # noqa: A002  the record's own word
        parent: int | None = None,
        attrs: dict[str, Any] | None = None,
    ) -> LlmStep:
        """Begin a model call and measure it: ``with log.llm_call("m") as call: call.response(r)``."""
        model = None if model is None else _name(model)
        if self.guard is not None:
            self.ask_guard("llm_call", model, parent)
        return LlmStep(self, model, provider=provider, input=input, parent=parent, attrs=attrs)

    def tool_call(
        self,
        tool: str,
        input: Any = None,  # noqa: A002  the record's own word
        *,
        tool_call_id: str | None = None,
        parent: int | None = None,
        attrs: dict[str, Any] | None = None,
    ) -> ToolStep:
        """Begin a tool call and measure it: ``with log.tool_call("t", args) as call: call.output = t()``."""
        if self.guard is not None:
            self.ask_guard("tool_call", _name(tool), parent)
        return ToolStep(self, _name(tool), input=input, tool_call_id=tool_call_id, parent=parent, attrs=attrs)

    def agent(
        self,
        name: str,
        input: Any = None,  # noqa: A002  the record's own word
        *,
        parent: int | None = None,
        attrs: dict[str, Any] | None = None,
    ) -> AgentStep:
        """Begin a nested agent: steps recorded inside its ``with`` have it as parent and carry its name."""
        if self.guard is not None:
            self.ask_guard("agent_call", _name(name), parent)
        return AgentStep(self, _name(name), input=input, parent=parent, attrs=attrs)

    @overload
    def tool(self, function: Callable[Parameters, Result], /) -> Callable[Parameters, Result]: ...
    @overload
    def tool(
        self, function: None = None, /, *, name: str | None = None
    ) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]: ...
    def tool(self, function: Any = None, /, *, name: str | None = None) -> Any:
        """Decorate a tool so that each call of it is measured and recorded.

        Plain functions, coroutine functions, generators and async generators; a
        function that returns a generator is followed to its end. Arguments become the
        input by name, the result (or all items yielded) the output.
        """
        from agent_step_log._decorate import decorate

        if function is None:
            return lambda function: decorate(self, function, name)
        return decorate(self, function, name)

    # -- for whoever records what this log's own calls may have recorded already ---------

    def open_llm_call(self) -> LlmStep | None:
        """Return the model call of this log that the running code is inside of, or None.

        What sees the same call from below adds what it knows with `LlmStep.update` instead of
        recording the call a second time.
        """
        around = enclosing(self)
        return around if isinstance(around, LlmStep) else None

    def watch_tool_calls(self) -> ToolsSeen:
        """Keep, from now on, which tool calls are recorded through this log; see `ToolsSeen`."""
        from agent_step_log._tools_seen import ToolsSeen

        if self.tools_seen is None:
            self.tools_seen = ToolsSeen()
        return self.tools_seen

    def ask_guard(self, kind: str, name: str | None, parent: int | None = None) -> None:
        """Ask the guard whether a step may begin here; returns when it may, or when there is no guard.

        The measured forms ask by themselves. What makes a step in another way (an `LlmStep` of its
        own, after the request has gone) asks here first.

        Args:
            kind: The step's type: llm_call, tool_call or agent_call.
            name: The model, tool or agent; None where it is not known.
            parent: The enclosing step's number. Default: the scope this call is made in.

        Raises:
            CallRefusedError: It may not; an event in this log tells of it.
        """
        if self.guard is None:
            return
        from agent_step_log._guard import StepAhead, ask

        around = enclosing(self)
        agent = around.agent if around is not None else None
        ahead = StepAhead(
            kind, name, self.run_id, self.root_run_id, agent or self._header["agent"], self, parent
        )
        ask(self.guard, ahead, self._guard_failed)

    def set_guard(self, guard: Guard) -> None:
        """Ask *guard* from now on; see the setting. For a log that has none."""
        self.guard = guard
        if callable(getattr(guard, "emit", None)):
            # First, so that what a subscriber of the bus asks it is answered with this record counted.
            self._bus = self._buses(guard, self._bus)

    def publish_to(self, bus: Bus) -> None:
        """Publish to *bus* too, from the next record on; see the setting of that name."""
        self._bus = self._buses(self._bus, bus)

    # -- the run ---------------------------------------------------------------

    @property
    def health(self) -> Health:
        """The recorder's own account: written, pending, dropped, degraded, ..."""
        return msgspec.structs.replace(
            self._writer.health, degraded=_peek(self._degraded), guard_errors=self._guard_errors
        )

    def summarize(self) -> Summary:
        """Return the totals of this run so far, read back from the log.

        Memory is constant and each record is read once: a later call goes on where the
        last one stopped. Covers this run's records in the file since this log was opened.
        """
        from agent_step_log._summary import Summary

        fold = self._fold()
        return Summary(run_id=self.run_id) if fold is None else fold.result(self.run_id)

    def close(self, status: Status = "ok", error: BaseException | str | None = None) -> None:
        """Write `run_end` and close the file. Does nothing the second time; never raises by default.

        Args:
            status: How the run ended; "error" when *error* is given.
            error: What ended it: an exception or a message.
        """
        if self._writer.closed:
            return
        self._end(status, error)
        _open_logs.discard(self)
        self._writer.close()
        self._follow_writer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(_status_of(error), error if _status_of(error) != "ok" else None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def __del__(self) -> None:
        if "_header" in self.__dict__:
            self.close()

    def __repr__(self) -> str:
        return f"StepLog({str(self.path)!r}, run_id={self.run_id!r})"

    # -- for the measured steps of this package --------------------------------

    def next_step(self) -> int:
        """Take the next number."""
        return next(self._steps)

    def parent_of(self, around: MeasuredStep | None, parent: int | None) -> tuple[int | None, str | None]:
        """Return the keys `parent` and `parent_writer` of a record made inside *around*."""
        if parent is not None or around is None:
            return parent, None
        # A step begun before a fork belongs to the process that began it; "" names the file's creator.
        return around.step, None if around.writer == self.writer else around.writer or ""

    def put(self, record: Any, topic: str, *, is_numbered: bool = True) -> None:
        """Encode, write and publish one record.

        Args:
            record: What to write.
            topic: Where it is published.
            is_numbered: False for one that took no number of its own: an ending or a run record.
        """
        if not is_numbered:
            next(self._counts.unnumbered)
        line = encode_record(record)
        if record.degraded is not None:
            next(self._degraded)
        try:
            self._writer.append(line, record.ts)
        finally:
            self._follow_writer()
        if self._bus is not None:
            self._publish(topic, record)

    # -- inside ----------------------------------------------------------------

    def _placed(self, parent: int | None, agent: str | None) -> tuple[int | None, str | None, str | None]:
        around = enclosing(self)
        if agent is None and around is not None:
            agent = around.agent
        return (*self.parent_of(around, parent), agent)

    def _place(
        self,
        record: LlmCall | ToolCall,
        parent: int | None,
        agent: str | None,
        error: BaseException | str | None,
    ) -> None:
        """Fill in the keys that come from where a plain record is made: its scope, its writer, its error."""
        record.parent, record.parent_writer, record.agent = self._placed(parent, agent)
        record.writer = self.writer
        if error is not None:
            record.error, record.error_type, record.error_frames = failure_of(error)

    def _llm_record(
        self,
        model: object,
        input_tokens: int | None,
        output_tokens: int | None,
        stop_reason: str | None,
        duration_ms: Number | None,
        more: Mapping[str, Any],
        step: int | None = None,
    ) -> LlmCall:
        record = LlmCall(
            self.run_id,
            next(self._steps) if step is None else step,
            "llm_call",
            time(),
            None if model is None else _name(model),
            input_tokens,
            output_tokens,
            stop_reason,
            duration_ms,
        )
        _fill(record, more)
        return record

    def _tool_record(
        self, tool: object, given: Any, output: Any, duration_ms: Number | None, step: int | None = None
    ) -> ToolCall:
        number = next(self._steps) if step is None else step
        return ToolCall(
            self.run_id, number, "tool_call", time(), _name(tool), given, output, None, duration_ms
        )

    def _after_write(self, line: bytes, written: int, now: float) -> None:
        """What a plain record leaves to be done once in a while: a failed write, or a look around."""
        try:
            if written != len(line):
                self._writer.care(line, written)
            else:
                self._writer.attend(now)
        finally:
            self._follow_writer()

    def _follow_writer(self) -> None:
        """Copy what the writer swaps when something changes: one look less for every plain record."""
        self._write = self._writer.write
        self._attend_at = self._writer.attend_at

    def _publish(self, topic: str, record: Any) -> None:
        with suppress(Exception):  # a bus has its own error hook; the agent is not it
            self._bus.emit(topic, record)  # type: ignore[union-attr]

    def _buses(self, *buses: Any) -> Bus:
        from agent_step_log._guard import Buses

        given: list[Bus] = [bus for bus in buses if bus is not None]
        return given[0] if len(given) == 1 else Buses(*given)

    def _guard_failed(self, error: BaseException) -> None:
        self._guard_errors += 1
        if self._guard_errors == 1:
            failure = failure_of(error)
            self.event("guard.failed", {"error": failure.error, "error_type": failure.error_type})

    def _write_header(self) -> None:
        record = RunStart(
            self.run_id,
            0,
            "run_start",
            time(),
            FORMAT_VERSION,
            process=process_facts(),
            recorder={"name": "agent-step-log", "version": __version__},
            writer=self.writer,
            **self._header,
        )
        self.put(record, "run.start", is_numbered=False)

    def _end(self, status: Status, error: BaseException | str | None) -> None:
        # A forked child that recorded nothing has no header, and ends without a word.
        if self._is_ended or self._writer.before_next is not None:
            return
        self._is_ended = True
        # What is pending first, so that the account given here is the last word on it.
        self._writer.flush()
        failure = failure_of(error) if error is not None else Failure("")
        health = msgspec.to_builtins(self.health)
        self.put(
            RunEnd(
                self.run_id,
                0,
                "run_end",
                time(),
                "error" if error is not None and status == "ok" else status,
                error=failure.error or None,
                error_type=failure.error_type,
                error_frames=failure.error_frames,
                totals=self._totals(),
                health={key: value for key, value in health.items() if value},
                writer=self.writer,
            ),
            "run.end",
            is_numbered=False,
        )

    def _totals(self) -> dict[str, Any] | None:
        fold = self._fold()
        return fold.totals(self.run_id) if fold is not None else None

    def _fold(self) -> Fold | None:
        """Take into the running summary what the file has gained; None when it cannot be read."""
        if not self._writer.is_regular:
            return self._summary
        try:
            from agent_step_log._sources import files_since
            from agent_step_log._summary import Fold

            if self._summary is None:
                self._summary = Fold()
            for path, inode in files_since(self.path, self._folded_in):
                offset = self._folded_to if inode == self._folded_in else 0
                self._folded_to = self._summary.read_on(path, offset, self.run_id)
                self._folded_in = inode
        except Exception:  # noqa: BLE001  a summary is never worth an agent
            return None
        return self._summary

    def _after_fork(self) -> None:
        """Become a writer of its own in a forked child: own id, own numbers, own header when it records."""
        self._writer.after_fork()
        self.writer = _new_writer_id()
        self._counts.restart()
        self._steps = self._counts.numbers
        self._degraded = count()
        self._is_ended = False
        self.tools_seen = None  # a thread that did not come along may hold its lock
        self._follow_writer()
        # Before its first record: a child that records nothing writes no header either.
        self._writer.before_next = self._write_header


class _Counts:
    """What has been handed to the writer, counted without a lock: `next` of a counter is atomic."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.numbers = count(1)  # given to steps and events; each stands for one line
        self.unnumbered = count()  # lines that took no number: endings and run records

    def lines(self) -> int:
        return _peek(self.numbers) - 1 + _peek(self.unnumbered)


def _weakly(method: Callable[[], object]) -> Callable[[], object]:
    """Return a call of *method* that does not keep its object alive, and does nothing once it is gone."""
    reference = WeakMethod(method)

    def call() -> object:
        bound = reference()
        return bound() if bound is not None else None

    return call


def _run_of(run_id: str | None) -> RunContext:
    """Return the run a log belongs to: the current one, unless another id is given."""
    run = current_run()
    if run is not None and (run_id is None or run.run_id == run_id):
        return run
    return RunContext(run_id if run_id is None or type(run_id) is str else _name(run_id))


def _file_of(path: str | os.PathLike[str], run_id: RunId) -> Path:
    # Here, not above: importing pathlib costs a quarter of what importing this package may.
    from pathlib import Path

    name = os.fspath(path)
    target = Path(os.path.abspath(name))  # noqa: PTH100  without resolving links: the path stays the user's
    # Not Path.is_dir, which raises for a name that is too long.
    if name.endswith(os.sep) or os.path.isdir(target):  # noqa: PTH112
        return target / f"{run_id.safe_name}.jsonl"
    return target


def _fill(record: LlmCall, fields: Mapping[str, Any]) -> None:
    """Set keys of *record* by name; those it does not have go into its attrs."""
    strange: dict[str, Any] = {}
    for key, value in fields.items():
        if key in SETTABLE:
            setattr(record, key, value)
        else:
            strange[key] = value
    if strange:
        record.attrs = joined(strange, record.attrs, "attrs")


def _peek(counter: count[int]) -> int:
    """Return what *counter* gives next, without taking it."""
    return int(repr(counter)[6:-1])


def _new_writer_id() -> str:
    return os.urandom(4).hex()


def _name(value: object) -> str:
    """Return a tool's or model's name as text, whatever was given for one."""
    if type(value) is str:
        return value
    text = json_text(value)
    # What JSON writes as text is that text; anything else is named by its JSON.
    return str(msgspec.json.decode(text)) if text.startswith('"') else text


def _status_of(error: BaseException | None) -> Status:
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return "ok"
    # By name: importing asyncio for its exception would triple the cost of importing this package.
    if isinstance(error, (KeyboardInterrupt, GeneratorExit)) or type(error).__name__ == "CancelledError":
        return "cancelled"
    return "error"


_open_logs: WeakSet[StepLog] = WeakSet()


def _end_all() -> None:
    """At interpreter exit: end the runs still open, and leave their files open for what still records."""
    error = getattr(sys, "last_value", None)
    for log in _all_open():
        # One that asks for exceptions must not keep the others from ending; nobody could catch it here.
        with suppress(RecordLostError):
            log._end(_status_of(error), error)


def _fork_all() -> None:
    for log in _all_open():
        log._after_fork()


def _all_open() -> list[StepLog]:
    while True:
        try:
            return list(_open_logs)
        except RuntimeError:  # another thread has just opened one, or the collector took one away
            continue


atexit.register(_end_all)
os.register_at_fork(after_in_child=_fork_all)
