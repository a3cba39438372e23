"""What a run came to: counts, tokens, errors and latencies, folded from its records.

A fold takes records one at a time and holds only sums, histograms and the steps that
are open at the moment, so its memory does not grow with the run. `StepLog.summarize`
folds its own file from where it last stopped; `summarize` folds any log.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

from agent_step_log._quantiles import Latencies
from agent_step_log._reader import parse_records, read_log
from agent_step_log.errors import LogSourceError
from agent_step_log.limits import MAX_TOKENS, TRUNCATED

if TYPE_CHECKING:
    from pathlib import Path

    from agent_step_log._reader import OnDamage, Source
    from agent_step_log._record import Record

__all__ = ["Fold", "RunFold", "Summary", "summarize"]

_CHUNK = 1024 * 1024
_TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")


@dataclass
class Summary:
    """The totals of a run. Token sums are over the calls that told; `unknown_usage_count` counts the rest.

    Attributes:
        total_steps: llm, tool and agent calls; those begun and not ended too.
        total_tokens: `input_tokens` + `output_tokens`.
        error_count: Steps that ended with an error.
        duration_ms: From the first record to the last, in whole milliseconds.
        unfinished_count: Steps begun and not ended.
        truncated_count: Model calls stopped by a length limit (`agent_step_log.limits`).
        unknown_usage_count: Model calls without token counts: sums are lower bounds then.
        impossible_count: Model calls with a token count below 0, or above what a call can have: in no sum.
        backwards_count: Steps with a duration below 0, of a clock that was set back: in no latency.
        bounded_count: Records with a figure that is only a bound: sums hold it as it stands.
        stop_reasons: Stop reason to number of calls.
        models, tools, agents: Name to counts, tokens and latencies (mean, P50, P95, max in ms).
    """

    run_id: str
    total_steps: int = 0
    llm_call_count: int = 0
    tool_call_count: int = 0
    agent_call_count: int = 0
    event_count: int = 0
    total_tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    error_count: int = 0
    duration_ms: int = 0
    unfinished_count: int = 0
    truncated_count: int = 0
    unknown_usage_count: int = 0
    bounded_count: int = 0
    impossible_count: int = 0
    backwards_count: int = 0
    stop_reasons: dict[str, int] = field(default_factory=dict)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    tools: dict[str, dict[str, Any]] = field(default_factory=dict)
    agents: dict[str, dict[str, Any]] = field(default_factory=dict)


class _Group:
    """The calls of one model, tool or agent."""

    __slots__ = ("calls", "errors", "latencies", "tokens")

    def __init__(self) -> None:
        self.calls = 0
        self.errors = 0
        self.tokens = dict.fromkeys(_TOKENS, 0)
        self.latencies = Latencies()

    def add(self, record: Record) -> None:
        self.calls += 1
        self.errors += record.error is not None
        if record.duration_ms is not None and record.duration_ms >= 0:
            self.latencies.add(record.duration_ms)

    def merge(self, other: _Group) -> None:
        self.calls += other.calls
        self.errors += other.errors
        for name, number in other.tokens.items():
            self.tokens[name] += number
        self.latencies.merge(other.latencies)

    def stats(self) -> dict[str, Any]:
        tokens = {name: number for name, number in self.tokens.items() if number}
        return {"calls": self.calls, "errors": self.errors, **tokens, **self.latencies.stats()}


class RunFold:
    """The fold of one run, or of several with `merge`."""

    def __init__(self) -> None:
        self.counts = {"llm_call": 0, "tool_call": 0, "agent_call": 0, "event": 0}
        self.tokens = dict.fromkeys(_TOKENS, 0)
        self.errors = self.truncated = self.unknown_usage = self.bounded = 0
        self.impossible = self.backwards = 0
        self.stop_reasons: dict[str, int] = {}
        self.models: dict[str, _Group] = {}
        self.tools: dict[str, _Group] = {}
        self.agents: dict[str, _Group] = {}
        self.first_ts: float | None = None
        self.last_ts: float = 0.0
        #: steps begun and not ended: (writer, step) to the type to come
        self.open: dict[tuple[str | None, int], str] = {}

    def add(self, record: Record) -> None:
        """Take one record in."""
        if self.first_ts is None or record.ts < self.first_ts:
            self.first_ts = record.ts
        self.last_ts = max(self.last_ts, record.ts)
        kind = record.type
        if kind == "step_start":
            self.open[record.writer, record.step] = record.of or "step"
        elif kind in self.counts:
            self.counts[kind] += 1
            if kind != "event":
                self._ended(record)
        elif self.open:
            self.open.pop((record.writer, record.step), None)  # ended by a type of a later version

    def _ended(self, record: Record) -> None:
        self.open.pop((record.writer, record.step), None)
        self.errors += record.error is not None
        self.bounded += record.bounds is not None
        self.backwards += record.duration_ms is not None and record.duration_ms < 0
        if record.type == "llm_call":
            self._model(record)
        elif record.type == "tool_call":
            _group(self.tools, record.tool).add(record)
        else:
            _group(self.agents, record.agent).add(record)

    def _model(self, record: Record) -> None:
        group = _group(self.models, record.model)
        group.add(record)
        is_impossible = False
        for name in _TOKENS:
            number = getattr(record, name)
            if number is None:
                continue
            if 0 <= number <= MAX_TOKENS:
                self.tokens[name] += number
                group.tokens[name] += number
            else:
                is_impossible = True
        self.impossible += is_impossible
        if record.input_tokens is None or record.output_tokens is None:
            self.unknown_usage += 1
        if record.stop_reason is not None:
            self.stop_reasons[record.stop_reason] = self.stop_reasons.get(record.stop_reason, 0) + 1
            self.truncated += record.stop_reason in TRUNCATED

    def merge(self, other: RunFold) -> None:
        """Add another run's fold."""
        for kind, number in other.counts.items():
            self.counts[kind] += number
        for name, number in other.tokens.items():
            self.tokens[name] += number
        for reason, number in other.stop_reasons.items():
            self.stop_reasons[reason] = self.stop_reasons.get(reason, 0) + number
        self.errors += other.errors
        self.truncated += other.truncated
        self.unknown_usage += other.unknown_usage
        self.bounded += other.bounded
        self.impossible += other.impossible
        self.backwards += other.backwards
        for mine, theirs in (
            (self.models, other.models),
            (self.tools, other.tools),
            (self.agents, other.agents),
        ):
            for key, group in theirs.items():
                _group(mine, key).merge(group)

    @property
    def duration_ms(self) -> int:
        """From the first record to the last; 0 when a clock says what cannot be."""
        if self.first_ts is None:
            return 0
        duration = (self.last_ts - self.first_ts) * 1000
        return round(duration) if isfinite(duration) else 0

    def result(self, run_id: str) -> Summary:
        """Return the totals as they stand."""
        calls = self.counts["llm_call"] + self.counts["tool_call"] + self.counts["agent_call"]
        return Summary(
            run_id=run_id,
            total_steps=calls + len(self.open),
            llm_call_count=self.counts["llm_call"],
            tool_call_count=self.counts["tool_call"],
            agent_call_count=self.counts["agent_call"],
            event_count=self.counts["event"],
            total_tokens=self.tokens["input_tokens"] + self.tokens["output_tokens"],
            **self.tokens,
            error_count=self.errors,
            duration_ms=self.duration_ms,
            unfinished_count=len(self.open),
            truncated_count=self.truncated,
            unknown_usage_count=self.unknown_usage,
            bounded_count=self.bounded,
            impossible_count=self.impossible,
            backwards_count=self.backwards,
            stop_reasons=_sorted(self.stop_reasons),
            models={name: group.stats() for name, group in _sorted_groups(self.models)},
            tools={name: group.stats() for name, group in _sorted_groups(self.tools)},
            agents={name: group.stats() for name, group in _sorted_groups(self.agents)},
        )


class Fold:
    """The folds of the runs of one log that is still growing."""

    def __init__(self) -> None:
        self._runs: dict[str, RunFold] = {}

    def read_on(self, path: Path, offset: int, run_id: str) -> int:
        """Take in the whole lines of *path* from *offset* on that are of *run_id*; return where they end.

        Raises:
            OSError: *path* cannot be read.
        """
        fold = self._runs.setdefault(run_id, RunFold())
        with path.open("rb") as file:
            file.seek(offset)
            rest = b""
            # As far as it goes now: threads that go on recording are faster than any reader.
            left = os.fstat(file.fileno()).st_size - offset
            while chunk := file.read(min(_CHUNK, max(left, 0))):
                left -= len(chunk)
                head, newline, tail = chunk.rpartition(b"\n")
                if not newline:
                    rest += chunk
                    continue
                for line in (rest + head).split(b"\n"):
                    for record in parse_records(line):
                        if record.run_id == run_id:
                            fold.add(record)
                offset += len(rest) + len(head) + 1
                rest = tail
        return offset

    def result(self, run_id: str) -> Summary:
        """Return the totals of one run."""
        return self._runs[run_id].result(run_id)

    def totals(self, run_id: str) -> dict[str, Any]:
        """Return the `totals` object of a `run_end` record."""
        summary = self.result(run_id)
        names = ("total_steps", "llm_call_count", "tool_call_count", "error_count", *_TOKENS, "duration_ms")
        return {name: getattr(summary, name) for name in names}


def summarize(source: Source, run_id: str | None = None, *, on_damage: OnDamage | None = None) -> Summary:
    """Return the totals of one run of *source*, or of all its runs together.

    Args:
        source: A file, directory or pattern; see `read_log`.
        run_id: The run. Default: all, and then the summary's own run_id is "*" if there are several.
        on_damage: Called once for each stretch skipped.

    Raises:
        LogSourceError: There is nothing to read, or no run *run_id* in it.
        LogFormatError, LogTooNewError, OSError: as `read_log`.
    """
    folds: dict[str, RunFold] = {}
    for record in read_log(source, run_id=run_id, on_damage=on_damage):
        folds.setdefault(record.run_id, RunFold()).add(record)
    if run_id is not None and not folds:
        raise LogSourceError(source, f"no run {run_id!r} in it")
    if len(folds) == 1:
        [(only, fold)] = folds.items()
        return fold.result(only)
    total = RunFold()
    duration = 0
    for fold in folds.values():
        total.merge(fold)
        total.open.update({(f"{id(fold)}:{writer}", step): of for (writer, step), of in fold.open.items()})
        duration += fold.result("").duration_ms
    summary = total.result(run_id or "*")
    summary.duration_ms = duration
    return summary


def _group(groups: dict[str, _Group], name: str | None) -> _Group:
    key = name if name is not None else "?"
    group = groups.get(key)
    if group is None:
        group = groups[key] = _Group()
    return group


def _sorted(counts: dict[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _sorted_groups(groups: dict[str, _Group]) -> list[tuple[str, _Group]]:
    return sorted(groups.items(), key=lambda item: (-item[1].calls, item[0]))
