"""The record as a reader has it: one class for every type, known and unknown."""

from __future__ import annotations

from typing import Any

from msgspec import DecodeError, Raw, Struct, field, json

from agent_step_log._mending import mended
from agent_step_log._records import Number  # noqa: TC001  msgspec reads the annotations

__all__ = ["Record"]

_NOTHING = Raw(b"")
_split: tuple[bytes, list[bytes]] = (b"", [b""])  # the block whose lines were asked for last


class Record(Struct, gc=False):
    """One line read back, whatever its type: a key it does not have is None.

    Reading knows one class where writing knows seven: a reader meets types and
    keys of later versions, and one shape is faster to decode than a choice of
    shapes. What this version has no field for stays in `line`; see `extra`.
    """

    run_id: str
    step: int
    type: str
    ts: float
    of: str | None = None
    model: str | None = None
    tool: str | None = None
    agent: str | None = None
    name: str | None = None
    # Most of a log's bytes, and most readers want none of them: decoded when asked for.
    input_json: Raw = field(default=_NOTHING, name="input")
    output_json: Raw = field(default=_NOTHING, name="output")
    data_json: Raw = field(default=_NOTHING, name="data")
    input_tokens: int | None = None
    output_tokens: int | None = None
    stop_reason: str | None = None
    duration_ms: Number | None = None
    provider: str | None = None
    request_model: str | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    usage: dict[str, Any] | None = None
    ttft_ms: Number | None = None
    request_id: str | None = None
    service_tier: str | None = None
    attempt: int | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None
    exchange: Any = None
    inferred: bool | None = None
    bounds: dict[str, str] | None = None
    error: str | None = None
    error_type: str | None = None
    error_frames: list[dict[str, Any]] | None = None
    start_ts: float | None = None
    parent: int | None = None
    parent_writer: str | None = None
    writer: str | None = None
    attrs: dict[str, Any] | None = None
    degraded: list[str] | None = None
    format: int | None = None
    agent_version: str | None = None
    task_type: str | None = None
    environment: str | None = None
    metadata: dict[str, Any] | None = None
    parent_run_id: str | None = None
    parent_step: int | None = None
    forked_from: dict[str, Any] | None = None
    process: dict[str, Any] | None = None
    recorder: dict[str, Any] | None = None
    status: str | None = None
    totals: dict[str, Any] | None = None
    health: dict[str, Any] | None = None
    # The bytes it was read from: line number `at` of `block`. Set by the reader, never by a key.
    block: bytes = field(default=b"", name="agent-step-log:block")
    at: int = field(default=0, name="agent-step-log:at")

    @property
    def input(self) -> Any:
        """What went into the step, decoded anew each time; None where the line does not say."""
        return _decoded(self.input_json)

    @property
    def output(self) -> Any:
        """What came out of it, decoded anew each time."""
        return _decoded(self.output_json)

    @property
    def data(self) -> Any:
        """The data of an event, decoded anew each time."""
        return _decoded(self.data_json)

    @property
    def line(self) -> bytes:
        """The line it was read from, its newline left out."""
        return _lines_of(self.block)[self.at]

    def to_dict(self) -> dict[str, Any]:
        """Return every key of the line, those unknown to this version too."""
        try:
            decoded: dict[str, Any] = json.decode(self.line)
        except (DecodeError, RecursionError):
            # It has been read, so it can be mended; see the reader.
            decoded = json.decode(mended(self.line, is_deep=True))
        return decoded

    def extra(self) -> dict[str, Any]:
        """Return the keys of the line this version has no field for."""
        return {key: value for key, value in self.to_dict().items() if key not in _KNOWN_KEYS}


_KNOWN_KEYS = frozenset(Record.__struct_encode_fields__)


def _decoded(value: Raw) -> Any:
    if not bytes(value):
        return None
    try:
        return json.decode(value)
    except DecodeError:
        # A number no float holds; its place in the line was JSON all the same.
        return json.decode(mended(bytes(value), is_deep=False))


def _lines_of(block: bytes) -> list[bytes]:
    global _split
    whole, lines = _split
    if whole is not block:
        lines = block.split(b"\n")
        _split = (block, lines)
    return lines
