"""The steps of a run in the order of its tree, each with the keys two runs are compared by.

    exact    depth, type, name, and what went in and came out, byte for byte
    asked    depth, type, name, and what went in, in one form
    named    depth, type, name

Depth is how many steps a step is nested in; the one form is that of `_diff_forms`. Where a model
call's prompt or answer was not recorded, its count of tokens stands for it; of the tools a model
asked for, the names count. Times and other figures are no part of any key.

All but some of `asked` are made while the records are read: `_diff_digest`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

from agent_debug_replay._diff_digest import KINDS, UNFINISHED, asked_for, name_of, said
from agent_debug_replay._diff_forms import canonical, is_same_json
from agent_step_log import Step

if TYPE_CHECKING:
    from collections.abc import Hashable

    from agent_debug_replay._diff_read import RunRead
    from agent_step_log import Record

__all__ = ["Side", "Steps", "is_same_outcome"]

_CALL, _EVENT = KINDS["llm_call"], KINDS["event"]
_ASKING = (KINDS["tool_call"], KINDS["agent_call"])


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

    def asked(self, places: Sequence[int]) -> list[int]:
        """Return a key by place that is equal for steps of the same name, depth and input.

        Those of *places* are; of others they may not be.
        """
        forms = self.run.digest.forms
        for place in places if 0 in forms else ():
            if not forms[place]:
                given = self._given(place)
                is_call = self.kinds[place] == _CALL
                forms[place] = hash(canonical(given, is_call=is_call) if isinstance(given, bytes) else given)
        return list(map(hash, zip(self.named, forms, strict=True)))

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
        return is_same_json(said(left.data_json), said(right.data_json), is_call=False)
    json, other_json = said(left.output_json), said(right.output_json)
    # Most that differ differ here already.
    if json[:1] != other_json[:1] or left.error != right.error or left.error_type != right.error_type:
        return False
    if kind != _CALL:
        return is_same_json(json, other_json, is_call=False)
    if left.stop_reason != right.stop_reason or asked_for(left) != asked_for(right):
        return False
    is_told = json or other_json or left.output_tokens == right.output_tokens
    return bool(is_told) and is_same_json(json, other_json, is_call=True)
