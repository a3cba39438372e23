"""The steps of a run in the order of its tree, each with the keys two runs are compared by.

    exact    depth, type, name, and what went in and came out, byte for byte
    asked    depth, type, name, and what went in, in one canonical form
    named    depth, type, name

Depth is how many steps a step is nested in. In the canonical form keys are sorted, and of a model
call the ids a provider makes up for each call (`id`, `tool_use_id`, `tool_call_id`, `call_id`) are
left out. Where a model call's prompt or answer was not recorded, its count of tokens stands for it;
of the tools a model asked for, the names count. Times and other figures are no part of any key.

Keys are made for many steps at once, column by column: a loop over steps that asks each for one thing
after the other takes several times as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, overload

import msgspec

from agent_step_log import Record, Step

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from agent_debug_replay._diff_read import RunRead

__all__ = ["Side", "Steps", "is_same_outcome", "without_call_ids"]

_CALL_IDS = frozenset({"id", "tool_use_id", "tool_call_id", "call_id"})
_DEEPEST = 60
_NAMES = {
    "tool_call": attrgetter("tool"),
    "llm_call": attrgetter("model"),
    "agent_call": attrgetter("agent"),
}
_other_name = attrgetter("name")
_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder().decode
_UNFINISHED = "unfinished"  # in the place of an outcome
_NESTED = (b"{", b"[")
_SILENT = frozenset({hash(b""), hash(b"null")})


class Steps(Sequence[Step]):
    """The steps of a run, made of their records when they are asked for."""

    def __init__(self, run: RunRead) -> None:
        self._begun, self._ended = run.begun, run.ended

    def __len__(self) -> int:
        return len(self._ended)

    @overload
    def __getitem__(self, place: int) -> Step: ...
    @overload
    def __getitem__(self, place: slice) -> list[Step]: ...
    def __getitem__(self, place: int | slice) -> Step | list[Step]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        begun, ended = self._begun[place], self._ended[place]
        record = ended or begun
        assert record is not None  # a step is made from a record
        kind = record.type if ended is not None else record.of or "step"
        return Step(record.step, record.writer, kind, begun, ended)


class Side:
    """One of two runs. Keys are hashes: whole numbers of 64 bits, of this process only.

    Attributes:
        run: Its records.
        steps: Its steps and events, parents before children.
        depths, types, names: Of each.
        records: The one of each that says most: the ending, or else the beginning.
        named, exact: The last and the first key of each.
    """

    def __init__(self, run: RunRead) -> None:
        self.run = run
        self.steps: Sequence[Step] = Steps(run) if run.steps is None else run.steps
        self.depths = run.depths
        self.records: list[Any] = [end or begin for begin, end in zip(run.begun, run.ended, strict=True)]
        self.types = [record.type for record in self.records]
        self._is_whole = None not in run.ended
        if not self._is_whole:
            self.types = [
                kind if end is not None else record.of or "step"
                for kind, end, record in zip(self.types, run.ended, self.records, strict=True)
            ]
        name_of = _NAMES.get
        self.names: list[str | None] = [
            name_of(kind, _other_name)(record) for kind, record in zip(self.types, self.records, strict=True)
        ]
        self.named: list[int] = list(map(hash, zip(self.depths, self.types, self.names, strict=True)))
        self.exact: list[int] = self._exact()

    def __len__(self) -> int:
        return len(self.records)

    def _exact(self) -> list[int]:
        given: list[Any] = _hashes([record.input_json for record in self.records])
        out: list[Any] = _hashes([record.output_json for record in self.records])
        failed: list[Any] = [
            (record.error, record.error_type)
            if record.error is not None or record.error_type is not None
            else None
            for record in self.records
        ]
        for place, key in enumerate(given):
            if key in _SILENT:
                given[place] = self._given(place)
        for place, kind in enumerate(self.types):
            if kind == "llm_call":
                record = self.records[place]
                said = out[place]
                tokens = record.output_tokens if said in _SILENT else None
                out[place] = said, tokens, record.stop_reason, _asked_for(record)
            elif kind == "event":
                out[place], failed[place] = bytes(self.records[place].data_json), None
        if not self._is_whole:
            for place, end in enumerate(self.run.ended):
                if end is None:
                    out[place], failed[place] = _UNFINISHED, None
        return list(map(hash, zip(self.named, given, out, failed, strict=True)))

    def asked(self, places: Iterable[int]) -> dict[int, int]:
        """Return a key of each of *places* that is equal for steps of the same name, depth and input."""
        types, named = self.types, self.named
        keys = {}
        for place in places:
            given = self._given(place)
            if isinstance(given, bytes):
                given = _canonical(given, is_call=types[place] == "llm_call")
            keys[place] = hash((named[place], given))
        return keys

    def is_telling(self, place: int) -> bool:
        """Whether a step says enough to be known again elsewhere by all it says."""
        return self.types[place] != "llm_call" or bool(bytes(self.records[place].output_json))

    def is_asking(self, place: int) -> bool:
        """Whether a step says enough to be known again elsewhere by its input."""
        return self.types[place] in ("tool_call", "agent_call")

    def form(self, place: int) -> tuple[str, ...]:
        """Return all that `exact` is a hash of, in words: which of two is less is the same in any process."""
        named = self.depths[place], self.types[place], self.names[place]
        return tuple(map(repr, (*named, self._given(place), *self.outcome(place))))

    def outcome(self, place: int) -> tuple[Hashable, ...]:
        """Return what a step came to, the JSON last, as it was recorded; b"" for none."""
        record, kind = self.run.ended[place], self.types[place]
        if record is None:
            return _UNFINISHED, b""
        if kind == "event":
            return kind, _said(record.data_json)
        failure = record.error, record.error_type
        said = _said(record.output_json)
        if kind != "llm_call":
            return failure, said
        tokens = None if said else record.output_tokens
        return failure, tokens, record.stop_reason, _asked_for(record), said

    def _given(self, place: int) -> Hashable:
        """Return the input as JSON, from the beginning where the ending does not have it; else the tokens."""
        record = self.records[place]
        said = _said(record.input_json)
        if not said:
            begun = self.run.begun[place]
            if begun is not None:
                said = _said(begun.input_json)
        return said if said or self.types[place] != "llm_call" else record.input_tokens


def is_same_outcome(one: Side, i: int, other: Side, j: int) -> bool:
    """Whether two steps of one type came to the same, whatever the order of keys and the ids of calls."""
    *left, said = one.outcome(i)
    *right, other_said = other.outcome(j)
    return left == right and _is_same(said, other_said, is_call=one.types[i] == "llm_call")


def _is_same(one: Any, other: Any, *, is_call: bool) -> bool:
    if one == other:
        return True
    if one[:1] not in _NESTED or other[:1] != one[:1]:
        return False
    try:
        left, right = _decode(one), _decode(other)
        if is_call:
            left, right = without_call_ids(left), without_call_ids(right)
        # To Python True is 1, and not to JSON; that two values differ can be had for less.
        return bool(left == right) and _encode(left) == _encode(right)
    except (msgspec.DecodeError, msgspec.EncodeError, RecursionError):
        return False  # a number no float holds: comparing bytes will do


def _said(raw: msgspec.Raw) -> bytes:
    """Return JSON; b"" for null, which says as much."""
    said = bytes(raw)
    return b"" if said == b"null" else said


def _hashes(raws: list[msgspec.Raw]) -> list[int]:
    return list(map(hash, map(bytes, raws)))


def _asked_for(record: Record) -> tuple[str, ...] | None:
    if not record.tool_calls:
        return None
    return tuple(str(call.get("name")) for call in record.tool_calls)


def _canonical(raw: bytes, *, is_call: bool) -> bytes:
    """Return the JSON *raw* in one form; as it is where it has none."""
    if raw[:1] not in _NESTED:
        return raw
    try:
        value = _decode(raw)
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
