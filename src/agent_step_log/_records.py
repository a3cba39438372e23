"""The records of a step log, format version 1: what one line can say.

    log     := line*
    line    := object "\\n"             UTF-8, one JSON object a line, one write(2)
    object  := head, then the keys of its type, in any order

Every object begins with the same head, in this order, so that a reader can find
the start of a record inside damaged bytes:

    run_id  str    the run it belongs to
    step    int    1, 2, ... in the order steps and events started; 0 on run records
    type    str    see RECORD_TYPES; a reader keeps a type it does not know
    ts      float  Unix seconds when the line was written

The seven classes that write are that format in full: a field without a default is always
written (``null`` when not known), a field with one is left out when it holds
its default. ``docs/format.md`` states the same for other languages.

(``run_id``, ``writer``, ``step``) is unique but for the pair of a ``step_start``
and the record that ends it. Tokens have one meaning: ``input_tokens`` is the
whole prompt, cached parts included; ``output_tokens`` includes reasoning; null
or absent means not known and is never 0.

Nothing in this module opens a file.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from msgspec import Struct

__all__ = [
    "FORMAT_VERSION",
    "RECORD_TYPES",
    "AgentCall",
    "Event",
    "LlmCall",
    "NamedLlmCall",
    "NamedToolCall",
    "PlainLlmCall",
    "PlainToolCall",
    "RunEnd",
    "RunStart",
    "StepStart",
    "ToolCall",
]

FORMAT_VERSION = 1

Number: TypeAlias = int | float


class RunStart(Struct, gc=False, omit_defaults=True):
    """The header of a run: the first record each writer puts into the log (step 0)."""

    run_id: str
    step: int
    type: str
    ts: float
    format: int
    agent: str | None = None
    agent_version: str | None = None
    task_type: str | None = None
    environment: str | None = None
    metadata: dict[str, Any] | None = None
    parent_run_id: str | None = None
    parent_step: int | None = None
    forked_from: dict[str, Any] | None = None
    #: pid, host, boot_id, started (seconds since boot), argv0, python
    process: dict[str, Any] | None = None
    #: name, version
    recorder: dict[str, Any] | None = None
    attrs: dict[str, Any] | None = None
    writer: str | None = None
    degraded: list[str] | None = None


class StepStart(Struct, gc=False, omit_defaults=True):
    """A measured step began; with nothing after it, this is what was in flight."""

    run_id: str
    step: int
    type: str
    ts: float
    #: the type of the record that will end it: llm_call, tool_call or agent_call
    of: str
    tool: str | None = None
    model: str | None = None
    agent: str | None = None
    input: Any = None
    tool_call_id: str | None = None
    parent: int | None = None
    parent_writer: str | None = None
    attrs: dict[str, Any] | None = None
    writer: str | None = None
    degraded: list[str] | None = None


class PlainLlmCall(Struct, gc=False, omit_defaults=True):
    """The keys every `llm_call` has. A call with no other is written from this: it is half the work."""

    run_id: str
    step: int
    type: str
    ts: float
    #: the model that answered
    model: str | None
    input_tokens: int | None
    output_tokens: int | None
    stop_reason: str | None
    duration_ms: Number | None


class NamedLlmCall(PlainLlmCall, gc=False, omit_defaults=True):
    """A plain `llm_call` of a writer that did not create the file."""

    writer: str


class LlmCall(PlainLlmCall, gc=False, omit_defaults=True):
    """One call of a model, written when it ends."""

    provider: str | None = None
    request_model: str | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    #: the provider's own usage object, untouched
    usage: dict[str, Any] | None = None
    #: milliseconds to the first token or chunk
    ttft_ms: Number | None = None
    request_id: str | None = None
    #: what the provider says it was served as: "priority", "batch", "flex", ...
    service_tier: str | None = None
    attempt: int | None = None
    #: what the model asked for: [{"id": ..., "name": ...}, ...]
    tool_calls: list[dict[str, Any]] | None = None
    #: its place on the tape
    exchange: Any = None
    input: Any = None
    output: Any = None
    #: which figures are not exact: {"output_tokens": "lower" | "upper"}
    bounds: dict[str, str] | None = None
    error: str | None = None
    error_type: str | None = None
    error_frames: list[dict[str, Any]] | None = None
    parent: int | None = None
    parent_writer: str | None = None
    agent: str | None = None
    attrs: dict[str, Any] | None = None
    writer: str | None = None
    degraded: list[str] | None = None
    #: when it began: the `ts` of its `step_start`; only on a step that has one
    start_ts: float | None = None


class PlainToolCall(Struct, gc=False, omit_defaults=True):
    """The keys every `tool_call` has; see `PlainLlmCall`."""

    run_id: str
    step: int
    type: str
    ts: float
    tool: str
    input: Any
    output: Any
    #: the message, null when all went well
    error: str | None
    duration_ms: Number | None


class NamedToolCall(PlainToolCall, gc=False, omit_defaults=True):
    """A plain `tool_call` of a writer that did not create the file."""

    writer: str


class ToolCall(PlainToolCall, gc=False, omit_defaults=True):
    """One call of a tool, written when it ends."""

    tool_call_id: str | None = None
    #: true when it was derived from the wire or a transcript's next request
    inferred: bool = False
    #: which figures are not exact: {"duration_ms": "upper"}
    bounds: dict[str, str] | None = None
    error_type: str | None = None
    error_frames: list[dict[str, Any]] | None = None
    parent: int | None = None
    parent_writer: str | None = None
    agent: str | None = None
    attrs: dict[str, Any] | None = None
    writer: str | None = None
    degraded: list[str] | None = None
    #: when it began: the `ts` of its `step_start`; only on a step that has one
    start_ts: float | None = None


class AgentCall(Struct, gc=False, omit_defaults=True):
    """A nested agent's scope, written when it ends; its steps name it as parent."""

    run_id: str
    step: int
    type: str
    ts: float
    agent: str | None
    input: Any
    output: Any
    error: str | None
    duration_ms: Number | None
    error_type: str | None = None
    error_frames: list[dict[str, Any]] | None = None
    parent: int | None = None
    parent_writer: str | None = None
    attrs: dict[str, Any] | None = None
    writer: str | None = None
    degraded: list[str] | None = None
    #: when it began: the `ts` of its `step_start`; only on a step that has one
    start_ts: float | None = None


class Event(Struct, gc=False, omit_defaults=True):
    """A point in time worth noting that is not a step; it takes a number like one."""

    run_id: str
    step: int
    type: str
    ts: float
    name: str
    data: Any
    parent: int | None = None
    parent_writer: str | None = None
    agent: str | None = None
    attrs: dict[str, Any] | None = None
    writer: str | None = None
    degraded: list[str] | None = None


class RunEnd(Struct, gc=False, omit_defaults=True):
    """The run was closed by this writer (step 0)."""

    run_id: str
    step: int
    type: str
    ts: float
    #: ok, error or cancelled
    status: str | None
    error: str | None = None
    error_type: str | None = None
    error_frames: list[dict[str, Any]] | None = None
    #: sums over this writer's records; see docs/format.md
    totals: dict[str, Any] | None = None
    #: the recorder's own account: written, dropped, pending, truncated, ...
    health: dict[str, Any] | None = None
    attrs: dict[str, Any] | None = None
    writer: str | None = None
    degraded: list[str] | None = None


RECORD_TYPES: dict[str, type[Struct]] = {
    "run_start": RunStart,
    "step_start": StepStart,
    "llm_call": LlmCall,
    "tool_call": ToolCall,
    "agent_call": AgentCall,
    "event": Event,
    "run_end": RunEnd,
}
