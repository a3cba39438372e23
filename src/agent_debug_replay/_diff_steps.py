"""The steps of a run in the order of its tree, each with the keys two runs are compared by.

    exact    depth, type, name, and what went in and came out, byte for byte
    asked    depth, type, name, and what went in, in one canonical form
    named    depth, type, name

Depth is how many steps a step is nested in. In the canonical form keys are sorted, and of a model
call the ids a provider makes up for each call (`id`, `tool_use_id`, `tool_call_id`, `call_id`) are
left out. Where a model call's prompt or answer was not recorded, its count of tokens stands for it;
of the tools a model asked for, the names count. Times and other figures are no part of any key.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from agent_step_log import Record, Run, Step, read_run

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence

    from agent_step_log import RunInfo

__all__ = ["RunSource", "Side", "exact_form", "side_of", "without_call_ids"]

#: A run read back, a log (its last run), a log and a run's id, or the records of ended steps.
RunSource: TypeAlias = (
    "Run | str | os.PathLike[str] | tuple[str | os.PathLike[str], str | None] | Iterable[Record]"
)

_CALL_IDS = frozenset({"id", "tool_use_id", "tool_call_id", "call_id"})
_DEEPEST = 60
_encode = msgspec.json.Encoder(order="sorted").encode


class Side:
    """One of two runs. Keys are hashes: whole numbers of 64 bits, of this process only.

    Attributes:
        run_id: None for records of no run.
        info: Its header, end and totals; None for a sequence of records.
        steps, depths: Its steps and events, parents before children.
        exact: The first key of each.
    """

    def __init__(self, run_id: str | None, info: RunInfo | None, walked: Iterable[tuple[int, Step]]) -> None:
        self.run_id, self.info = run_id, info
        self.steps: list[Step] = []
        self.depths: list[int] = []
        self.exact: list[int] = []
        self._asked: dict[int, int] = {}
        add_step, add_depth, add_key = self.steps.append, self.depths.append, self.exact.append
        for depth, step in walked:
            add_step(step)
            add_depth(depth)
            add_key(hash(exact_form(step, depth)))

    def __len__(self) -> int:
        return len(self.steps)

    def asked(self, place: int) -> int:
        """Equal for steps of the same name, depth and input."""
        key = self._asked.get(place)
        if key is None:
            step = self.steps[place]
            form = self.depths[place], step.type, _name(step), _given(step)
            key = self._asked[place] = hash(form)
        return key

    def named(self, place: int) -> int:
        """Equal for steps of the same name and depth."""
        step = self.steps[place]
        return hash((self.depths[place], step.type, _name(step)))

    def kind(self, place: int) -> int:
        """Equal for model calls of the same depth, whatever the model, and for nothing else."""
        if self.steps[place].type != "llm_call":
            return hash((id(self), place))
        return hash((self.depths[place], "llm_call"))

    def is_telling(self, place: int) -> bool:
        """Whether a step says enough to be known again elsewhere by all it says."""
        return self.steps[place].type != "llm_call" or bool(bytes(self.steps[place].record.output_json))

    def is_asking(self, place: int) -> bool:
        """Whether a step says enough to be known again elsewhere by its input."""
        return self.steps[place].type in ("tool_call", "agent_call")

    def answered(self, place: int) -> Hashable:
        """Equal for steps that came to the same."""
        return _come_out(self.steps[place])


def exact_form(step: Step, depth: int) -> tuple[Any, ...]:
    """Return what the key `exact` is the hash of."""
    record = step.end
    if record is None:
        return depth, step.type, _name(step), bytes(_input(step))
    if record.type == "tool_call":
        given, out = bytes(record.input_json), bytes(record.output_json)
        return depth, record.tool, given or bytes(_input(step)), out, record.error, record.error_type
    return depth, record.type, _name(step), _given_raw(step), _come_out_raw(record)


def side_of(source: RunSource) -> Side:
    """Return a run ready to be compared.

    Raises:
        LogSourceError, LogFormatError, LogTooNewError, OSError: as `agent_step_log.read_run`.
        TypeError: *source* is nothing that holds a run.
    """
    if isinstance(source, Run):
        return Side(source.run_id, source.info, _down(source.roots))
    if isinstance(source, str | os.PathLike):
        return side_of(read_run(source))
    if isinstance(source, tuple) and len(source) == 2 and not isinstance(source[0], Record):
        return side_of(read_run(*source))
    records = list(source)
    if not all(isinstance(record, Record) for record in records):
        raise TypeError("a run to compare is a Run, a log, (log, run id), or the records of its steps")
    return Side(records[0].run_id if records else None, None, _walked(records))


def _down(roots: Sequence[Step]) -> Iterator[tuple[int, Step]]:
    """Yield what `Run.walk` does, and keep no tuple for each step that waits.

    So many new objects at once set the garbage collector on all that has been read.
    """
    levels = [iter(roots)]
    while levels:
        for step in levels[-1]:
            yield len(levels) - 1, step
            if step.children:
                levels.append(iter(step.children))
                break
        else:
            levels.pop()


def _walked(records: Iterable[Record]) -> Iterable[tuple[int, Step]]:
    """Bring records together to steps, and those to a tree; one whose parent is missing is a root."""
    steps: dict[tuple[str | None, int], Step] = {}
    for record in records:
        if record.step <= 0:
            continue
        key = record.writer, record.step
        if record.type == "step_start":
            steps.setdefault(key, Step(record.step, record.writer, record.of or "step", start=record))
        elif key in steps:
            steps[key].end, steps[key].type = record, record.type
        else:
            steps[key] = Step(record.step, record.writer, record.type, end=record)
    children: dict[tuple[str | None, int] | None, list[Step]] = {}
    for step in sorted(steps.values(), key=lambda step: (step.started_at, step.number)):
        children.setdefault(_parent(step, steps), []).append(step)
    waiting = [(0, step) for step in reversed(children.get(None, []))]
    while waiting:
        depth, step = waiting.pop()
        yield depth, step
        below = children.get((step.writer, step.number), [])
        waiting.extend((depth + 1, child) for child in reversed(below))


def _parent(step: Step, steps: dict[tuple[str | None, int], Step]) -> tuple[str | None, int] | None:
    record = step.record
    if record.parent is None:
        return None
    writer = record.writer if record.parent_writer is None else record.parent_writer or None
    key = writer, record.parent
    # A parent starts before its children: what claims otherwise may go round in a ring.
    if key not in steps or (writer == record.writer and record.parent >= record.step):
        return None
    return key


# -- what went in, and what came out ----------------------------------------------


def _name(step: Step) -> str | None:
    record = step.record
    kind = step.type
    if kind == "tool_call":
        return record.tool
    if kind == "llm_call":
        return record.model
    return record.agent if kind == "agent_call" else record.name


def _input(step: Step) -> Any:
    """Return the input as JSON, from the beginning of the step where its ending does not have it."""
    raw = step.record.input_json
    if not bytes(raw) and step.start is not None:
        return step.start.input_json
    return raw


def _given_raw(step: Step) -> Hashable:
    raw = bytes(_input(step))
    return raw if raw or step.type != "llm_call" else step.record.input_tokens


def _come_out_raw(record: Record) -> Hashable:
    if record.type == "event":
        return bytes(record.data_json)
    failure = record.error, record.error_type
    raw = bytes(record.output_json)
    if record.type != "llm_call":
        return raw, failure
    return raw or record.output_tokens, record.stop_reason, _asked_for(record), failure


def _given(step: Step) -> Hashable:
    raw = bytes(_input(step))
    if not raw:
        return step.record.input_tokens if step.type == "llm_call" else b""
    return _canonical(raw, is_call=step.type == "llm_call")


def _come_out(step: Step) -> Hashable:
    record = step.end
    if record is None:
        return None
    if record.type == "event":
        return _canonical(bytes(record.data_json), is_call=False)
    failure = record.error, record.error_type
    is_call = record.type == "llm_call"
    out = _canonical(bytes(record.output_json), is_call=is_call)
    if not is_call:
        return out, failure
    return out or record.output_tokens, record.stop_reason, _asked_for(record), failure


def _asked_for(record: Record) -> tuple[Any, ...] | None:
    if not record.tool_calls:
        return None
    return tuple(str(call.get("name")) for call in record.tool_calls)


def _canonical(raw: bytes, *, is_call: bool) -> bytes:
    """Return the JSON *raw* in one form; as it is where it has none."""
    if raw[:1] not in (b"{", b"["):
        return b"" if raw == b"null" else raw
    try:
        value = msgspec.json.decode(raw)
        return _encode(without_call_ids(value) if is_call else value)
    except (msgspec.DecodeError, msgspec.EncodeError, RecursionError):
        return raw  # a number no float holds: comparing bytes will do


def without_call_ids(value: Any, depth: int = 0) -> Any:
    """Return *value* without the ids a provider makes up for each call."""
    if depth > _DEEPEST:
        return value
    if isinstance(value, dict):
        return {
            key: without_call_ids(item, depth + 1)
            for key, item in value.items()
            if key not in _CALL_IDS or not isinstance(item, str)
        }
    if isinstance(value, list):
        return [without_call_ids(item, depth + 1) for item in value]
    return value
