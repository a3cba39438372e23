"""Two runs compared: their steps aligned by what they are, and where the runs part.

How steps are brought together is told in `_diff_rounds`. Figures (tokens, times) tell two steps
apart only where nothing else was recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any, overload

from agent_debug_replay._diff_fields import FieldChange, field_changes
from agent_debug_replay._diff_forms import without_call_ids
from agent_debug_replay._diff_read import RunSource, read_source
from agent_debug_replay._diff_rounds import CALL, PAIR_KINDS, Entries, entries_of
from agent_debug_replay._diff_steps import Side
from agent_debug_replay._diff_totals import Delta, deltas_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from agent_step_log import Damage, RunInfo, Step
    from agentsnap import Amount, Prices

__all__ = ["PAIR_KINDS", "Divergence", "Pair", "RunDiff", "diff"]

_HEAD_FIELDS = ("agent", "agent_version", "task_type", "environment")
_END_FIELDS = ("status", "error", "error_type")


@dataclass(frozen=True, slots=True)
class Pair:
    """A step of one run and what answers to it in the other.

    Attributes:
        kind: One of `PAIR_KINDS`. "output": the same step came to something else. "arguments": it
            was called with something else. "only_a", "only_b": the other run has no such step.
            "reordered": the other run has it elsewhere.
        a, b: The steps; None on the side that has none.
        a_place, b_place: Their places in the order of the tree, from 0.
        depth: How many steps it is nested in.
        is_harmless: It is reordered, ran beside another step in both runs, and came to the same:
            parallel steps end in any order.
    """

    kind: str
    a: Step | None
    b: Step | None
    a_place: int | None
    b_place: int | None
    depth: int
    is_harmless: bool = False

    @property
    def is_different(self) -> bool:
        """Whether it makes the runs different."""
        return self.kind != "same" and not self.is_harmless

    def changes(self) -> list[FieldChange]:
        """Return the fields that differ, decoded anew each time; none unless it has both steps.

        Paths begin with the name of the record's field: model, input, output, data, stop_reason,
        tool_calls, error, error_type. `input_tokens` and `output_tokens` are told where the
        input or output of a model call was not recorded.
        """
        return [] if self.a is None or self.b is None else _changes(self.a, self.b)


class Pairs(Sequence[Pair]):
    """The pairs of a comparison, each made when it is asked for."""

    def __init__(self, one: Side, other: Side, entries: Entries) -> None:
        self._one, self._other, self._entries = one, other, entries

    def __len__(self) -> int:
        return len(self._entries.kinds)

    @overload
    def __getitem__(self, place: int) -> Pair: ...
    @overload
    def __getitem__(self, place: slice) -> list[Pair]: ...
    def __getitem__(self, place: int | slice) -> Pair | list[Pair]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        place = range(len(self))[place]
        entries = self._entries
        i, j = entries.a[place], entries.b[place]
        return Pair(
            PAIR_KINDS[entries.kinds[place]],
            self._one.steps[i] if i >= 0 else None,
            self._other.steps[j] if j >= 0 else None,
            i if i >= 0 else None,
            j if j >= 0 else None,
            self._one.depths[i] if i >= 0 else self._other.depths[j],
            place in entries.harmless,
        )


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first place where the runs part.

    Attributes:
        pair: The first that makes them different; what went before is the same.
        a, b: What each run did there; None where it was over.
        common: How many steps and events it has before it that are the same in both.
        after: What each run came to from there on.
    """

    pair: Pair
    a: Step | None
    b: Step | None
    common: int
    after: list[Delta]


class RunDiff:
    """What is between two runs; made by `diff`, and not changed afterwards.

    Attributes:
        a_id, b_id: The runs' ids; None for records of no run.
        a_info, b_info: Their headers and ends; None for records handed in as such. `RunInfo.summary` is only
            filled for a `Run` handed in as such.
        a_damage, b_damage: What of their files was no record.
        a_steps, b_steps: Their steps and events, parents before children; each made when it is asked for,
            without its children, unless a `Run` was handed in.
        pairs: Every step and event of both, once, in the order of the first run; what only the
            second has stands where it came there.
    """

    def __init__(self, one: Side, other: Side, entries: Entries) -> None:
        self.a_id, self.b_id = one.run.run_id, other.run.run_id
        self.a_info, self.b_info = one.run.info, other.run.info
        self.a_damage: Sequence[Damage] = one.run.damage
        self.b_damage: Sequence[Damage] = other.run.damage
        self.a_steps: Sequence[Step] = one.steps
        self.b_steps: Sequence[Step] = other.steps
        self.pairs: Sequence[Pair] = Pairs(one, other, entries)
        self._one, self._other, self._entries = one, other, entries

    @property
    def counts(self) -> dict[str, int]:
        """How many pairs there are of each of `PAIR_KINDS`."""
        return {kind: self._entries.kinds.count(code) for code, kind in enumerate(PAIR_KINDS)}

    @cached_property
    def is_same(self) -> bool:
        """Whether the runs did the same and ended the same: times, tokens and headers do not count."""
        return self.first is None and not self.end_changes

    @cached_property
    def head_changes(self) -> list[FieldChange]:
        """How the headers differ: agent, agent_version, task_type, environment."""
        if self.a_info is None or self.b_info is None:
            return []
        return _compared(self.a_info.header, self.b_info.header, _HEAD_FIELDS)

    @cached_property
    def end_changes(self) -> list[FieldChange]:
        """How the ends differ: status, error, error_type."""
        if self.a_info is None or self.b_info is None:
            return []
        return field_changes(_end_of(self.a_info), _end_of(self.b_info))

    def stretches(self) -> Iterator[tuple[str, int, int]]:
        """Yield ``(kind, begin, end)`` of each stretch of `pairs` of one kind, in order."""
        begin = 0
        for code, stretch in groupby(self._entries.kinds):
            end = begin + sum(1 for _ in stretch)
            yield PAIR_KINDS[code], begin, end
            begin = end

    @cached_property
    def totals(self) -> list[Delta]:
        """The figures of both runs; see `Delta`."""
        return deltas_of(self._one.run.digest, self._other.run.digest)

    def costs(self, prices: Prices) -> tuple[Amount[Decimal], Amount[Decimal]]:
        """Return what each run cost in USD, by *prices*, as `agentsnap.usage_of` counts it.

        Raises:
            MissingExtraError: *prices* need the price library, and it is not installed.
        """
        return _cost(self._one, prices), _cost(self._other, prices)

    @cached_property
    def first(self) -> Divergence | None:
        """Where they part; None if they do not."""
        entries = self._entries
        common = a_next = b_next = 0
        for kind, begin, end in self.stretches():
            if kind == "same":
                common, a_next, b_next = common + end - begin, entries.a[end - 1] + 1, entries.b[end - 1] + 1
                continue
            for place in range(begin, end):
                if place not in entries.harmless:
                    return self._divergence(self.pairs[place], common, a_next, b_next)
        return None

    def _divergence(self, pair: Pair, common: int, a_next: int, b_next: int) -> Divergence:
        a, b = pair.a, pair.b
        if a is None and a_next < len(self.a_steps):
            a = self.a_steps[a_next]
        if b is None or pair.kind == "reordered":
            b = self.b_steps[b_next] if b_next < len(self.b_steps) else None
        if not a_next and not b_next:
            return Divergence(pair, a, b, common, self.totals)
        after = deltas_of(self._one.run.digest, self._other.run.digest, a_next, b_next)
        return Divergence(pair, a, b, common, after)


def _cost(side: Side, prices: Prices) -> Amount[Decimal]:
    from agentsnap import usage_of_records

    calls = [side.record(place) for place, kind in enumerate(side.kinds) if kind == CALL]
    # What is inside of a call ends before it does.
    return usage_of_records(reversed(calls), by="model", prices=prices).total.cost


def diff(a: RunSource, b: RunSource) -> RunDiff:
    """Compare two runs.

    Args:
        a, b: Each a `Run` as `agent_step_log.read_run` returns it, a log (its last run is taken), a
            pair of a log and a run's id, or the `Record`s of a run's steps.

    Raises:
        RunNotFoundError, ReplayError, LogSourceError, LogFormatError, LogTooNewError,
            OSError: as `Replay.open`.
        TypeError: *a* or *b* is nothing that holds a run.
    """
    one, other = Side(read_source(a)), Side(read_source(b))
    return RunDiff(one, other, entries_of(one, other))


# -- fields -----------------------------------------------------------------------


def _changes(a: Step, b: Step) -> list[FieldChange]:
    found = _compared(a.record, b.record, ("model",)) if a.type == "llm_call" else []
    is_call = a.type == "llm_call"
    for name in ("input", "data", "output"):
        before, after = _value(a, name), _value(b, name)
        if is_call:
            before, after = without_call_ids(before), without_call_ids(after)
        if is_call and name != "data" and before is None and after is None:
            found += _compared(a.record, b.record, (f"{name}_tokens",))
        elif before is None or after is None:
            found += [] if before is after else [_appeared(name, before, after)]
        else:
            found += field_changes(before, after, name)
    before, after = ([call.get("name") for call in step.record.tool_calls or []] for step in (a, b))
    found += field_changes(before, after, "tool_calls")
    if (a.end is None) != (b.end is None):
        found.append(FieldChange("status", "changed", a.status, b.status))
    return found + _compared(a.record, b.record, ("stop_reason", "error", "error_type"))


def _value(step: Step, name: str) -> Any:
    value = getattr(step.record, name)
    return step.start.input if value is None and name == "input" and step.start is not None else value


def _compared(before: Any, after: Any, names: Sequence[str]) -> list[FieldChange]:
    pairs = [(name, getattr(before, name, None), getattr(after, name, None)) for name in names]
    return [_appeared(name, old, new) for name, old, new in pairs if old != new]


def _appeared(name: str, before: Any, after: Any) -> FieldChange:
    kind = "added" if before is None else "removed" if after is None else "changed"
    return FieldChange(name, kind, before, after)


def _end_of(info: RunInfo) -> dict[str, Any]:
    end = info.end
    return {"status": info.status} | {
        name: getattr(end, name) for name in _END_FIELDS[1:] if end is not None and getattr(end, name)
    }
