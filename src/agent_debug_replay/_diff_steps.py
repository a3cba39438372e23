"""The steps of a run in the order of its tree, each with the keys two runs are compared by.

    exact    depth, type, name, and what went in and came out, byte for byte
    asked    depth, type, name, and what went in, in one canonical form
    named    depth, type, name

Depth is how many steps a step is nested in. In the canonical form keys are sorted, and of a model
call the ids a provider makes up for each call (`id`, `tool_use_id`, `tool_call_id`, `call_id`) are
left out. Where a model call's prompt or answer was not recorded, its count of tokens stands for it;
of the tools a model asked for, the names count. Times and other figures are no part of any key.

All but `asked` are made while the records are read: `_diff_digest`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

import msgspec

from agent_debug_replay._diff_digest import KINDS, UNFINISHED, asked_for, name_of, said
from agent_step_log import Step

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from agent_debug_replay._diff_read import RunRead
    from agent_step_log import Record

__all__ = ["Side", "Steps", "is_same_outcome", "without_call_ids"]

_CALL_IDS = frozenset({"id", "tool_use_id", "tool_call_id", "call_id"})
_DEEPEST = 60
_CALL, _EVENT = KINDS["llm_call"], KINDS["event"]
_ASKING = (KINDS["tool_call"], KINDS["agent_call"])
_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder().decode
_NESTED = (b"{", b"[")


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
        depths, kinds: Of each; see `_diff_digest.KINDS`.
        named, exact: The last and the first key of each.
    """

    def __init__(self, run: RunRead) -> None:
        self.run = run
        self.steps: Sequence[Step] = Steps(run) if run.steps is None else run.steps
        self.depths, self.kinds = run.depths, run.digest.kinds
        self.named, self.exact = run.digest.named, run.digest.exact

    def __len__(self) -> int:
        return len(self.exact)

    def asked(self, places: Iterable[int]) -> dict[int, int]:
        """Return a key of each of *places* that is equal for steps of the same name, depth and input."""
        known, kinds, named, ended = self.run.digest.asked, self.kinds, self.named, self.run.ended
        keys: dict[int, int] = {}
        for place in places:
            key = known[place]
            if key is None:
                record = ended[place]
                given: Any = b"" if record is None else bytes(record.input_json)
                if given[:1] not in _NESTED:
                    given = self._given(place)
                if given.__class__ is bytes:
                    given = _canonical(given, is_call=kinds[place] == _CALL)
                key = hash((named[place], given))
            keys[place] = key
        return keys

    def is_telling(self, place: int) -> bool:
        """Whether a step says enough to be known again elsewhere by all it says."""
        return self.kinds[place] != _CALL or bool(bytes(self.record(place).output_json))

    def is_asking(self, place: int) -> bool:
        """Whether a step says enough to be known again elsewhere by its input."""
        return self.kinds[place] in _ASKING

    def record(self, place: int) -> Record:
        """Return the record of a step that says most: the ending, or else the beginning."""
        record = self.run.ended[place] or self.run.begun[place]
        assert record is not None  # a step is made from a record
        return record

    def form(self, place: int) -> tuple[str, ...]:
        """Return all that `exact` is a hash of, in words: which of two is less is the same in any process."""
        kind = self.steps[place].type
        named = self.depths[place], kind, name_of(self.record(place), kind)
        return tuple(map(repr, (*named, self._given(place), *self.outcome(place))))

    def outcome(self, place: int) -> tuple[Hashable, ...]:
        """Return what a step came to, the JSON last, as it was recorded; b"" for none."""
        record, kind = self.run.ended[place], self.kinds[place]
        if record is None:
            return UNFINISHED, b""
        if kind == _EVENT:
            return kind, said(record.data_json)
        json = said(record.output_json)
        if kind != _CALL:
            return record.error, record.error_type, json
        tokens = None if json else record.output_tokens
        return record.error, record.error_type, tokens, record.stop_reason, asked_for(record), json

    def _given(self, place: int) -> Hashable:
        """Return the input as JSON, from the beginning where the ending does not have it; else the tokens."""
        record = self.record(place)
        json = said(record.input_json)
        if not json:
            begun = self.run.begun[place]
            if begun is not None:
                json = said(begun.input_json)
        return json if json or self.kinds[place] != _CALL else record.input_tokens


def is_same_outcome(one: Side, i: int, other: Side, j: int) -> bool:
    """Whether two steps of one type came to the same, whatever the order of keys and the ids of calls."""
    left, right = one.run.ended[i], other.run.ended[j]
    if left is None or right is None:
        return left is right
    kind = one.kinds[i]
    if kind == _EVENT:
        return _is_same(said(left.data_json), said(right.data_json), is_call=False)
    if left.error != right.error or left.error_type != right.error_type:
        return False
    json, other_json = said(left.output_json), said(right.output_json)
    if kind != _CALL:
        return _is_same(json, other_json, is_call=False)
    if left.stop_reason != right.stop_reason or asked_for(left) != asked_for(right):
        return False
    is_told = json or other_json or left.output_tokens == right.output_tokens
    return bool(is_told) and _is_same(json, other_json, is_call=True)


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
