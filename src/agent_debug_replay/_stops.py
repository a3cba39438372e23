"""Breakpoints, watches and catch points: what each makes of a row."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from agent_debug_replay._commands import AddBreak, AddCatch, AddWatch
from agent_debug_replay._expr import MISSING
from agent_debug_replay._outcomes import Hit, StopInfo
from agent_debug_replay._table import CUT_OFF, ERROR, RETRY, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent_debug_replay._commands import Target
    from agent_debug_replay._expr import Expression
    from agent_debug_replay._replay import Replay

__all__ = ["REFUSALS", "Stop", "short", "step_named"]

#: Stop reasons of answers that were refused or filtered.
REFUSALS = frozenset(
    {
        "refusal",
        "content_filter",
        "SAFETY",
        "RECITATION",
        "PROHIBITED_CONTENT",
        "BLOCKLIST",
        "SPII",
        "guardrail_intervened",
        "content_filtered",
    }
)

_GAP_MS = 60_000.0
_LOOP = 3
_BUDGET = 1_000_000.0
_KEPT = 100_000  # digests of calls


@dataclass
class Stop:
    """One stop as it stands; see `StopInfo`. One at a step is a stop of the run *run_id* alone."""

    info: StopInfo
    made_by: AddBreak | AddWatch | AddCatch
    run_id: str

    def test(self, replay: Replay) -> Callable[[int], str | None]:
        """Return what tells what happened on a row; good until the replay's `revision` changes."""
        if isinstance(self.made_by, AddBreak):
            if self.made_by.step is not None and replay.run_id != self.run_id:
                return lambda _row: None
            return _break_test(self.made_by, replay)
        if isinstance(self.made_by, AddWatch):
            return _watch_test(self.made_by.expression, replay)
        return _catch_test(self.made_by, replay)

    def hit(self, detail: str) -> Hit | None:
        """Count one hit; None when it is to be passed over."""
        passes = self.info.ignore > 0
        self.info = replace(self.info, hits=self.info.hits + 1, ignore=max(self.info.ignore - 1, 0))
        return None if passes else Hit(self.info.number, self.info.kind, self.info.text, detail)


def _break_test(stop: AddBreak, replay: Replay) -> Callable[[int], str | None]:
    tests: list[Callable[[int], bool]] = []
    if stop.place is not None:
        tests.append(_place_test(stop.place.type, stop.place.name, replay))
    if stop.step is not None:
        wanted = step_named(replay, stop.step)
        tests.append(lambda row: row == wanted)
    if stop.condition is not None:
        tests.append(stop.condition.condition(replay))
    if len(tests) == 1:
        (only,) = tests
        return lambda row: "" if only(row) else None
    return lambda row: "" if all(test(row) for test in tests) else None


def step_named(replay: Replay, target: Target) -> int | None:
    """Return the row of the step *target* names: by its number, whoever wrote it, or as labels do.

    A label has the first letters of a writer's name.
    """
    number, writer = int(target.value), target.writer
    row = replay.index_of(number, writer)
    if row is not None:
        return row
    if writer is None:
        return replay.index_of_any(number)
    names = [name for name in replay.table.writers if name is not None and name.startswith(writer)]
    rows = [row for name in names if (row := replay.index_of(number, name)) is not None]
    return rows[0] if len(rows) == 1 else None


def _place_test(kind: str | None, name: str | None, replay: Replay) -> Callable[[int], bool]:
    table = replay.table
    kinds, names, texts = table.kind, table.name, table.strings.texts
    number = table.strings.find(kind) if kind is not None else None
    if name is None:
        return lambda row: kinds[row] == number
    matches = re.compile(fnmatch.translate(name)).match if "*" in name or "?" in name else None
    verdicts: dict[int, bool] = {}

    def holds(row: int) -> bool:
        if kind is not None and kinds[row] != number:
            return False
        at = names[row]
        if at not in verdicts:
            text = texts[at] or ""
            verdicts[at] = text == name if matches is None else matches(text) is not None
        return verdicts[at]

    return holds


def _watch_test(expression: Expression, replay: Replay) -> Callable[[int], str | None]:
    value_at = expression.value(replay)
    # What was found on the rows looked at, to look only once further back.
    known: tuple[int, Any] = (-1, MISSING)

    def test(row: int) -> str | None:
        nonlocal known
        value = value_at(row)
        if value is MISSING:
            return None
        before = MISSING
        for other in range(row - 1, -1, -1):
            if other == known[0]:
                before = known[1]
                break
            before = value_at(other)
            if before is not MISSING:
                break
        known = (row, value)
        return None if before is MISSING or before == value else f"{short(before)} → {short(value)}"

    return test


def _catch_test(stop: AddCatch, replay: Replay) -> Callable[[int], str | None]:
    table = replay.table
    texts, flags = table.strings.texts, table.flags
    if stop.kind == "error":
        return lambda row: (texts[table.error_type[row]] or "failed") if flags[row] & ERROR else None
    if stop.kind == "retry":
        return _retry_test(replay)
    if stop.kind == "truncation":
        return lambda row: texts[table.stop_reason[row]] if flags[row] & CUT_OFF else None
    if stop.kind == "refusal":
        return lambda row: found if (found := texts[table.stop_reason[row]]) in REFUSALS else None
    if stop.kind == "compaction":
        return _compaction_test(replay)
    if stop.kind == "gap":
        return _gap_test(_GAP_MS if stop.limit is None else stop.limit, replay)
    if stop.kind == "budget":
        return _budget_test(stop, replay)
    return _loop_test(_LOOP if stop.limit is None else max(int(stop.limit), 2), replay)


def _retry_test(replay: Replay) -> Callable[[int], str | None]:
    table = replay.table
    event = table.strings.find("event")

    def test(row: int) -> str | None:
        if table.flags[row] & RETRY:
            return "not the first attempt"
        name = table.strings.texts[table.name[row]] or ""
        return name if table.kind[row] == event and "retry" in name else None

    return test


def _compaction_test(replay: Replay) -> Callable[[int], str | None]:
    table = replay.table
    event = table.strings.find("event")

    def test(row: int) -> str | None:
        name = table.strings.texts[table.name[row]] or ""
        return name if table.kind[row] == event and "compact" in name else None

    return test


def _gap_test(limit_ms: float, replay: Replay) -> Callable[[int], str | None]:
    from agent_debug_replay._expr import Expression

    gap_at = Expression("gap").value(replay)

    def test(row: int) -> str | None:
        gap = gap_at(row)
        return f"nothing for {gap / 1000:.1f} s" if gap is not MISSING and gap >= limit_ms else None

    return test


def _budget_test(stop: AddCatch, replay: Replay) -> Callable[[int], str | None]:
    """Tell the row on which the sum passes the limit; there is at most one."""
    limit = _BUDGET if stop.limit is None else stop.limit
    table = replay.table
    if stop.of == "cost":
        costs = (replay.cost_usd(row) or 0 for row in range(len(replay)))
        sums = list(accumulate(float(cost) for cost in costs))
    else:
        both = zip(table.input_tokens, table.output_tokens, strict=True)
        sums = list(
            accumulate(
                (0 if into == UNKNOWN else into) + (0 if out == UNKNOWN else out) for into, out in both
            )
        )
    crossing = next((row for row, value in enumerate(sums) if value > limit), -1)
    unit = "USD" if stop.of == "cost" else "tokens"
    return lambda row: f"{sums[row]:,.6g} {unit} so far" if row == crossing else None


def _loop_test(times: int, replay: Replay) -> Callable[[int], str | None]:
    """Tell a tool call that is, with those of its parent right before it, the same *times* in a row."""
    table = replay.table
    tool = table.strings.find("tool_call")
    marks: dict[int, tuple[bytes, bytes]] = {}

    def mark(row: int) -> tuple[bytes, bytes]:
        found = marks.get(row)
        if found is None:
            payload = replay.payload(row)
            record = payload.record
            into = bytes(record.input_json)
            if not into and payload.begin is not None:
                into = bytes(payload.begin.input_json)
            out = bytes(record.output_json)
            name = table.name[row].to_bytes(4, "little")
            found = blake2b(name + into, digest_size=8).digest(), _digest(out)
            if len(marks) > _KEPT:
                marks.clear()
            marks[row] = found
        return found

    def earlier(row: int) -> list[int]:
        rows: list[int] = []
        for other in range(row - 1, max(row - 50 * times, -1), -1):
            if table.kind[other] == tool and table.parent[other] == table.parent[row]:
                # Another tool in between is no loop; most rows need no look at the log.
                if table.name[other] != table.name[row]:
                    break
                rows.append(other)
                if len(rows) == times - 1:
                    break
        return rows

    def test(row: int) -> str | None:
        if table.kind[row] != tool:
            return None
        before = earlier(row)
        if len(before) < times - 1:
            return None
        mine = mark(row)
        others = [mark(other) for other in before]
        if all(other[0] == mine[0] for other in others):
            return f"the same call {times} times"
        # Little output is the same by chance: "ok", "", null.
        if mine[1] and all(other[1] == mine[1] for other in others):
            return f"the same output {times} times"
        return None

    return test


def _digest(out: bytes) -> bytes:
    return blake2b(out, digest_size=8).digest() if len(out) >= 24 else b""


def short(value: Any) -> str:
    """Return a value in few characters."""
    text = repr(value) if not isinstance(value, str) else f'"{value}"'
    return text if len(text) <= 60 else text[:59] + "…"
