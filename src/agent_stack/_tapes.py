"""The tapes a command reads: those of one run, its exchanges by name, and a row for each of them.

An exchange is named by its number on the tape. Where several processes wrote tapes of one
run, those of the first keep their bare number and the others are ``WRITER:N``, WRITER as
many characters of the writer's name as it takes.
"""

from __future__ import annotations

import glob
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from agent_stack.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent_step_log import Record
    from agenttap import Tape, TapedExchange

__all__ = ["Damage", "Row", "WireRun", "find_run", "is_tape", "tape_paths"]

SUFFIX = ".tape.zst"


@dataclass
class Row:
    """One exchange of a listing; times in milliseconds after the request, sizes as on the wire.

    Attributes:
        name: As `WireRun.exchange` takes it.
        step: Number of its `llm_call`; `attempt` of `attempts` that step took.
    """

    name: str
    n: int
    writer: str
    tape: str
    ts: float
    client: str | None
    api: str | None
    method: str
    url: str
    status: int | None
    state: str
    error: str | None
    error_type: str | None
    headers_ms: float | None
    first_byte_ms: float | None
    first_content_ms: float | None
    end_ms: float | None
    request_bytes: int | None
    response_bytes: int | None
    redacted: int
    step: int | None
    attribution: str | None
    attempt: int = 1
    attempts: int = 1
    model: str | None = None
    provider: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    stop_reason: str | None = None
    tools: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the documented ``--json`` shape."""
        return asdict(self)


class Damage(NamedTuple):
    """Bytes of a tape that cannot be read."""

    tape: str
    offset: int
    reason: str


@dataclass
class WireRun:
    """One run's tapes, the one that began first at the front."""

    run_id: str
    tapes: list[Tape]

    def name(self, tape: Tape, n: int) -> str:
        """Return the name of exchange *n* of *tape*."""
        if tape is self.tapes[0]:
            return str(n)
        length = 4
        others = [other.writer for other in self.tapes if other is not tape]
        while length < len(tape.writer) and any(writer.startswith(tape.writer[:length]) for writer in others):
            length += 1
        return f"{tape.writer[:length]}:{n}"

    def exchange(self, name: str) -> tuple[Tape, TapedExchange]:
        """Return the exchange called *name*, and its tape.

        Raises:
            CommandError: There is none, or several.
        """
        from agenttap.errors import TapeError

        writer, _, number = name.rpartition(":")
        wanted = [tape for tape in self.tapes if tape.writer.startswith(writer)]
        found = []
        for tape in wanted:
            with suppress(TapeError):
                found.append((tape, tape.exchange(int(number))))
            if found and not writer:
                break  # a bare number is the first tape's, if that has it
        if not found:
            raise CommandError(f"Run {self.run_id} has no exchange {name}.")
        if len(found) > 1:
            names = ", ".join(f"{tape.writer}:{number}" for tape, _ in found)
            raise CommandError(f"Run {self.run_id} has several exchanges {name}: {names}.")
        return found[0]

    def exchanges(self) -> Iterator[tuple[Tape, TapedExchange]]:
        """Yield every exchange with its tape, one tape after the other."""
        for tape in self.tapes:
            for exchange in tape.exchanges():
                yield tape, exchange

    def damage(self) -> list[Damage]:
        """Return what could not be read so far, each stretch once."""
        found = [
            Damage(tape.path.name, each.offset, each.reason) for tape in self.tapes for each in tape.damage
        ]
        return list(dict.fromkeys(found))

    def rows(self) -> list[Row]:
        """Return a row for each exchange, in the order they began."""
        rows = [self._row(tape, exchange) for tape, exchange in self.exchanges()]
        rows.sort(key=lambda row: row.ts)
        _count_attempts(rows)
        self._ask_the_log(rows)
        return rows

    def row(self, tape: Tape, exchange: TapedExchange) -> Row:
        """Return the row of one exchange; of its attempts only what itself says."""
        row = self._row(tape, exchange)
        self._ask_the_log([row])
        return row

    def _row(self, tape: Tape, exchange: TapedExchange) -> Row:
        request, facts = exchange.request_facts(), exchange.facts()
        told = facts.fields
        times: dict[str, Any] = {f"{name}_ms": exchange.times.get(f"{name}_ms") for name in _TIMES}
        tokens: dict[str, Any] = {name: _number(told.get(name)) for name in _TOKENS}
        return Row(
            self.name(tape, exchange.n),
            exchange.n,
            tape.writer,
            tape.path.name,
            exchange.ts,
            exchange.client,
            exchange.api,
            exchange.method,
            exchange.url,
            exchange.status,
            exchange.state,
            exchange.error,
            exchange.error_type,
            request_bytes=exchange.request_size,
            response_bytes=exchange.size if exchange.size is not None else len(exchange.body) or None,
            redacted=exchange.redacted,
            step=exchange.step,
            attribution=exchange.attribution,
            model=_text(told.get("model")) or request.model,
            provider=_text(told.get("provider")) or request.provider,
            stop_reason=_text(told.get("stop_reason")),
            tools=[call.name or "?" for call in facts.calls],
            **times,
            **tokens,
        )

    def _ask_the_log(self, rows: list[Row]) -> None:
        """Fill in what the step log knows of exchanges that were recorded without their content."""
        wanted = [row for row in rows if row.step is not None and row.input_tokens is None]
        if not wanted:
            return
        records = self._records()
        for row in wanted:
            record = records.get((row.tape, row.n))
            if record is None or row.attempt != row.attempts:
                continue
            for name in (*_TOKENS, "model", "provider", "stop_reason"):
                if getattr(row, name) is None:
                    setattr(row, name, getattr(record, name))
            if not row.tools:
                calls = [call for call in record.tool_calls or [] if isinstance(call, dict)]
                row.tools = [str(call.get("name") or "?") for call in calls]

    def _records(self) -> dict[tuple[str, int], Record]:
        from agent_step_log import read_run
        from agent_step_log.errors import StepLogError

        found: dict[tuple[str, int], Record] = {}
        for directory in {tape.path.parent for tape in self.tapes}:
            with suppress(StepLogError, OSError):
                for _, step in read_run(directory, self.run_id).walk():
                    place = step.record.exchange
                    if isinstance(place, dict) and isinstance(place.get("tape"), str):
                        with suppress(TypeError):
                            found[place["tape"], place.get("n", 0)] = step.record
        return found


_TIMES = ("headers", "first_byte", "first_content", "end")
_TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")


def _count_attempts(rows: list[Row]) -> None:
    steps: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        if row.step is not None:
            steps.setdefault((row.tape, row.step), []).append(row)
    for same in steps.values():
        for place, row in enumerate(same, 1):
            row.attempt, row.attempts = place, len(same)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


# -- which run --------------------------------------------------------------------


def is_tape(source: str) -> bool:
    """Whether *source* names a tape."""
    return source.endswith(SUFFIX)


def tape_paths(source: str) -> list[Path]:
    """Return the tapes at *source*: a tape, a log (those beside it), a directory (all below), a pattern.

    Raises:
        CommandError: There is nothing there.
    """
    path = Path(source)
    if path.is_dir():
        return sorted(path.rglob(f"*{SUFFIX}"))
    if path.exists():
        return [path] if is_tape(source) else sorted(path.parent.glob(f"*{SUFFIX}"))
    matches = [Path(name) for name in sorted(glob.glob(source, recursive=True))]  # noqa: PTH207
    if not matches or "\0" in source:
        raise CommandError(f"{source}: no such file or directory.")
    tapes = {match for match in matches if is_tape(match.name)}
    for match in matches:
        if not is_tape(match.name):
            tapes.update(match.glob(f"*{SUFFIX}") if match.is_dir() else match.parent.glob(f"*{SUFFIX}"))
    return sorted(tapes)


def find_run(source: str, run_id: str | None) -> WireRun:
    """Return the tapes of one run at *source*.

    Args:
        source: As `tape_paths`; of a log, only the runs it holds.
        run_id: The run, or the beginning or end of its id. Default: the last one started that has a tape.

    Raises:
        CommandError: There is no such run, or no tape of it, or several it could be.
        TapeError: *source* is one file, and no tape.
    """
    paths = tape_paths(source)
    runs = _by_run(paths, is_named=is_tape(source) and len(paths) == 1)
    if Path(source).is_file() and not is_tape(source):
        from agent_step_log import list_runs

        known = {info.run_id for info in list_runs(source)}
        runs = {name: tapes for name, tapes in runs.items() if name in known}
    if run_id is not None:
        runs = _named(runs, run_id)
    if not runs:
        _complain(source, run_id)
    if run_id is not None and len(runs) > 1:
        raise CommandError(f"{len(runs)} runs of {source} match {run_id!r}; give more of the id.")
    ordered = [_ordered(name, tapes) for name, tapes in runs.items()]
    return max(ordered, key=lambda pair: pair[0])[1]


def _by_run(paths: Sequence[Path], *, is_named: bool) -> dict[str, list[Tape]]:
    from agenttap import Tape
    from agenttap.errors import TapeError

    runs: dict[str, list[Tape]] = {}
    for path in paths:
        try:
            tape = Tape(path)
        except TapeError:
            # Of a directory, a file that says nothing yet is passed over.
            if is_named:
                raise
            continue
        runs.setdefault(tape.run_id, []).append(tape)
    return runs


def _named(runs: dict[str, list[Tape]], run_id: str) -> dict[str, list[Tape]]:
    if run_id in runs:
        return {run_id: runs[run_id]}
    return {name: tapes for name, tapes in runs.items() if name.startswith(run_id) or name.endswith(run_id)}


def _ordered(run_id: str, tapes: list[Tape]) -> tuple[float, WireRun]:
    """Return when the first exchange of the run began, and the run with its tapes in that order."""
    began = []
    for tape in tapes:
        first = next(tape.exchanges(), None)
        tape.damage.clear()
        began.append((first.ts if first is not None else 0.0, tape.path.name, tape))
    began.sort(key=lambda item: item[:2])
    return max(item[0] for item in began), WireRun(run_id, [tape for _, _, tape in began])


def _complain(source: str, run_id: str | None) -> None:
    from agent_step_log import list_runs
    from agent_step_log.errors import StepLogError

    if run_id is not None:
        with suppress(StepLogError, OSError):
            for info in list_runs(source):
                if info.run_id.startswith(run_id) or info.run_id.endswith(run_id):
                    raise CommandError(f"Run {info.run_id} has no tape: it was recorded without agenttap.")
        raise CommandError(f"There is no tape of a run {run_id} in {source}.")
    raise CommandError(f"There is no tape in {source}: agenttap.install() makes one.")
