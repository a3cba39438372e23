"""What a comparison takes of each step: of some hundred records at a time, while they are close.

A key is a hash, and a figure stands in a column of plain numbers: what has been taken of a
hundred thousand steps is gone through without touching their records again.

Everything is by the place of a step in the order it was met; `Digest.arranged` puts it in another order.
"""

from __future__ import annotations

from array import array
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from agent_debug_replay._diff_forms import all_canonical, is_nested, may_have_ids
from agent_step_log.limits import MAX_TOKENS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import msgspec

    from agent_step_log import Record

__all__ = ["KINDS", "TOKENS", "UNFINISHED", "Column", "Digest", "asked_for", "name_of", "said"]

#: The types of steps, by the number they have in `Digest.kinds`; 0 is any other.
KINDS = {"llm_call": 1, "tool_call": 2, "agent_call": 3, "event": 4}
TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
UNFINISHED = "unfinished"  # in the place of an outcome

_NAMES = {"tool_call": attrgetter("tool"), "llm_call": attrgetter("model"), "agent_call": attrgetter("agent")}
_other_name = attrgetter("name")
_SILENT = frozenset({hash(b""), hash(b"null")})
#: In a column: not told, and told but impossible. Less than any figure, so that both are easily left out.
_UNTOLD, _IMPOSSIBLE = -1, -2
#: Bytes of an input whose form is made while it is at hand, whether it is asked for or not.
_SHORT = 1024
_MOST_MS = 1e15  # longer than there has been writing


class Column:
    """One figure of the steps of one type that ended.

    Attributes:
        places: Of the steps, rising once arranged.
        values: The figure of each.
        bounds: What the figure of some is: by their number in the column, "lower" or "upper".
    """

    def __init__(self, field: str, *, is_whole: bool) -> None:
        self.places: Sequence[int] = []
        self.values: array[Any] = array("q" if is_whole else "d")
        self.bounds: dict[int, str] = {}
        self._field = field
        self._get = attrgetter(field)
        self._most = MAX_TOKENS if is_whole else _MOST_MS
        self._has_untold = self._has_impossible = False

    def add(self, records: Sequence[Record]) -> None:
        """Append what *records* tell."""
        values = list(map(self._get, records))
        told = values
        if None in values:
            told = [value for value in values if value is not None]
            self._has_untold = True
        if told and not (min(told) >= 0 and max(told) <= self._most):
            values = [self._cleaned(value) for value in values]
            self._has_impossible = True
        elif told is not values:
            values = [_UNTOLD if value is None else value for value in values]
        self.values.extend(array(self.values.typecode, values))

    def bound(self, number: int, bounds: dict[str, str]) -> None:
        """Note which figures of step *number* of the column are bounds."""
        if self._field in bounds:
            self.bounds[number] = bounds[self._field]

    def _cleaned(self, value: Any) -> Any:
        if value is None:
            return _UNTOLD
        return value if 0 <= value <= self._most else _IMPOSSIBLE

    def arranged(self, places: Sequence[int], order: Sequence[int] | None) -> Column:
        """Return the column with its steps at *places*; *order*: the numbers they are taken in."""
        self.places = places
        if order is not None:
            back = {number: place for place, number in enumerate(order)}
            self.values = array(self.values.typecode, [self.values[number] for number in order])
            self.bounds = {back[number]: bound for number, bound in self.bounds.items()}
        return self

    def since(self, number: int) -> tuple[float | None, set[str], bool, bool]:
        """Return the sum from *number* on (None: nobody told), and which bounds went in.

        Then whether a figure was not told, and whether one is impossible.
        """
        values = self.values[number:] if number else self.values
        untold = values.count(_UNTOLD) if self._has_untold else 0
        impossible = values.count(_IMPOSSIBLE) if self._has_impossible else 0
        bounds = {bound for place, bound in self.bounds.items() if place >= number}
        if untold + impossible == len(values) and len(values):
            return None, bounds, True, False
        total = sum(values) - untold * _UNTOLD - impossible * _IMPOSSIBLE
        return total, bounds, untold > 0, impossible > 0


class Digest:
    """What was taken of the steps of a run, in the order they were met until `arranged`.

    Attributes:
        named: A hash of the type and the name.
        exact: A hash of that and of what went in and came out, byte for byte.
        forms: A hash of what went in, in one form (see `_diff_forms`), or of the tokens in, for a model
            call whose prompt was not recorded. 0: not made yet, as it takes longer than most.
        kinds: The type of each; see `KINDS`.
        starts, ends: Unix seconds.
        errors: Places of steps that failed, rising once arranged.
        columns: By name: of model calls, each of `TOKENS` and llm_ms; of tool calls, tool_ms.
    """

    def __init__(self) -> None:
        self.named: list[int] = []
        self.exact: list[int] = []
        self.forms = array("q")
        self.kinds = bytearray()
        self.starts, self.ends = array("d"), array("d")
        self.errors: list[int] = []
        self.columns = {name: Column(name, is_whole=True) for name in TOKENS}
        self.columns |= {name: Column("duration_ms", is_whole=False) for name in ("llm_ms", "tool_ms")}
        self._of_calls = [column for name, column in self.columns.items() if name != "tool_ms"]
        self._of_tools = [self.columns["tool_ms"]]
        self._places: list[int] = []  # of all but `columns`, which have places of their own
        self._calls: list[int] = []
        self._tools: list[int] = []

    def add(self, ended: list[Record], begun: list[Record | None], places: list[int]) -> None:
        """Take the endings of some steps at *places*, with their beginnings."""
        of_kind = self.add_keys(ended, begun, places)
        self.errors += [
            place
            for record, place in zip(ended, places, strict=True)
            if record.error is not None and record.type != "event"
        ]
        for kind, columns, at in (
            ("llm_call", self._of_calls, self._calls),
            ("tool_call", self._of_tools, self._tools),
        ):
            numbers = of_kind.get(kind)
            if not numbers:
                continue
            first = len(at)
            at += [places[number] for number in numbers]
            records = [ended[number] for number in numbers]
            bounded = [
                (number, record.bounds) for number, record in enumerate(records, first) if record.bounds
            ]
            for column in columns:
                column.add(records)
                for number, bounds in bounded:
                    column.bound(number, bounds)

    def add_keys(
        self, ended: list[Record], begun: list[Record | None], places: list[int]
    ) -> dict[str, list[int]]:
        """Take all but the figures; once more for a step whose beginning was met after its ending.

        Return which of them are of each type.
        """
        types = [record.type for record in ended]
        of_kind: dict[str, list[int]] = {}
        for number, kind in enumerate(types):
            of_kind.setdefault(kind, []).append(number)
        names = [_NAMES.get(kind, _other_name)(record) for record, kind in zip(ended, types, strict=True)]
        named = list(map(hash, zip(types, names, strict=True)))
        inputs = [bytes(record.input_json) for record in ended]
        given = list(map(hash, inputs))
        out: list[Any] = _hashes([record.output_json for record in ended])
        failed: list[Any] = [
            None if record.error is None and record.error_type is None else (record.error, record.error_type)
            for record in ended
        ]
        silent = [number for number, key in enumerate(given) if key in _SILENT]
        for number in silent:
            begin = begun[number]
            inputs[number] = said(begin.input_json) if begin is not None else b""
            given[number] = hash(inputs[number])
        calls = of_kind.get("llm_call", ())
        if calls:
            for number in silent:
                if types[number] == "llm_call" and not inputs[number]:
                    given[number] = hash(ended[number].input_tokens)
        for number in calls:
            record, key = ended[number], out[number]
            tokens = record.output_tokens if key in _SILENT else None
            tools = asked_for(record) if record.tool_calls else None
            out[number] = key, tokens, record.stop_reason, tools
        for number in of_kind.get("event", ()):
            out[number], failed[number] = bytes(ended[number].data_json), None
        self._places += places
        self.named += named
        self.exact += map(hash, zip(named, given, out, failed, strict=True))
        self.forms.extend(_forms(inputs, given, types))
        self.kinds += bytes([KINDS.get(kind, 0) for kind in types])
        self.ends.extend([record.ts for record in ended])
        self.starts.extend(
            [
                _started_at(record) if begin is None else begin.ts
                for record, begin in zip(ended, begun, strict=True)
            ]
        )
        return of_kind

    def add_open(self, begun: Iterable[Record], places: Iterable[int]) -> None:
        """Take steps that have not ended."""
        for record, place in zip(begun, places, strict=True):
            kind = record.of or "step"
            named = hash((kind, name_of(record, kind)))
            json = said(record.input_json)
            given = hash(json if json or kind != "llm_call" else record.input_tokens)
            self._places.append(place)
            self.named.append(named)
            self.exact.append(hash((named, given, UNFINISHED)))
            self.forms.extend(_forms([json], [given], [kind]))
            self.kinds.append(KINDS.get(kind, 0))
            self.starts.append(record.ts)
            self.ends.append(record.ts)

    def arranged(self, order: Sequence[int], depths: Sequence[int]) -> Digest:
        """Return it in another order, which is no place to add to.

        Args:
            order: The place each step had so far.
            depths: How deep each is nested, in that order; it becomes part of its keys.
        """
        size = len(order)
        at = [0] * size
        for place, before in enumerate(order):
            at[before] = place
        places = [at[place] for place in self._places]
        put = partial(_put, places=None if places == list(range(size)) else places, size=size)
        found = Digest()
        found.named, found.exact, found.forms = put(self.named), put(self.exact), put(self.forms)
        found.kinds, found.starts, found.ends = put(self.kinds), put(self.starts), put(self.ends)
        found.errors = sorted(at[place] for place in self.errors)
        calls, tools = _arrangement(self._calls, at), _arrangement(self._tools, at)
        found.columns = {
            name: column.arranged(*(tools if name == "tool_ms" else calls))
            for name, column in self.columns.items()
        }
        if any(depths):
            for keys in (found.named, found.exact):
                _deepen(keys, depths)
        return found


def _put(values: Any, *, places: list[int] | None, size: int) -> Any:
    """Return *values* put at *places*, of two at the same one the last; as they are without *places*."""
    if places is None:
        return values
    to = values[:size]
    for place, value in zip(places, values, strict=True):
        to[place] = value
    return to


def _deepen(keys: list[int], depths: Sequence[int]) -> None:
    for place, depth in enumerate(depths):
        if depth:
            keys[place] = hash((depth, keys[place]))


def _arrangement(places: list[int], at: Sequence[int]) -> tuple[Sequence[int], Sequence[int] | None]:
    """Return where some steps come to stand, rising, and the order their figures are to be taken in."""
    moved = [at[place] for place in places]
    sorted_places = sorted(moved)
    if sorted_places == moved:
        return moved, None
    return sorted_places, sorted(range(len(moved)), key=moved.__getitem__)


# -- one record -------------------------------------------------------------------


def name_of(record: Record, kind: str) -> str | None:
    """Return the tool, model, agent or event."""
    name: str | None = _NAMES.get(kind, _other_name)(record)
    return name


def said(raw: msgspec.Raw) -> bytes:
    """Return JSON; b"" for null, which says as much."""
    json = bytes(raw)
    return b"" if json == b"null" else json


def asked_for(record: Record) -> tuple[str, ...] | None:
    """Return the names of the tools a model asked for."""
    if not record.tool_calls:
        return None
    return tuple(str(call.get("name")) for call in record.tool_calls)


def _hashes(raws: list[msgspec.Raw]) -> list[int]:
    return list(map(hash, map(bytes, raws)))


def _forms(inputs: list[bytes], given: list[int], types: list[str]) -> list[int]:
    """Return `Digest.forms` of some steps, with what went in and its hash."""
    forms = given[:]
    nested = [number for number, json in enumerate(inputs) if is_nested(json)]
    short = [number for number in nested if len(inputs[number]) <= _SHORT]
    if "llm_call" in types:
        short = [
            number for number in short if types[number] != "llm_call" or not may_have_ids(inputs[number])
        ]
    for number in nested:
        forms[number] = 0
    for number, form in zip(short, all_canonical([inputs[number] for number in short]), strict=True):
        forms[number] = hash(form)
    return forms


def _started_at(record: Record) -> float:
    if record.start_ts is not None:
        return record.start_ts
    return record.ts - min(max(record.duration_ms or 0.0, 0.0), _MOST_MS) / 1000
