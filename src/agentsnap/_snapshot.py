"""`Snapshot`: what a run did, without what differs from one time to the next; kept as JSON beside a test.

    {"format": 1, "status": "ok", "steps": [step, ...]}

    step    type        llm_call, tool_call or agent_call
            tool | model | agent
            input, output                as recorded; left out where there is none
            stop_reason, tools_asked     of a model call: why it ended, the tools it asked for by name
            error, error_type            of one that failed
            status                       "unfinished", of one that never ended
            steps                        those inside it, in the order they began

Ids, times, durations, token counts and events are not in it. A text longer than
`MAX_TEXT` characters stands cut, with its length and a hash. `save` writes the keys in
alphabetical order, a line each, so that a change is a few lines in a diff.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from agent_step_log import Run, StepLog, read_run
from agentsnap.errors import SnapshotError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent_step_log import Step

    #: Called with the nearest key above a value (None: there is none) and the value: text, a number, a
    #: truth value or None. What it returns stands in its place.
    Normalize: TypeAlias = Callable[[str | None, Any], Any]

__all__ = ["MAX_TEXT", "Snapshot", "scrub", "snapshot"]

FORMAT = 1
MAX_TEXT = 4000
#: Deeper than any tool's arguments, and far from what Python's own recursion takes.
MAX_DEPTH = 100

_STEPS = ("llm_call", "tool_call", "agent_call")
_NAMES = {"llm_call": "model", "tool_call": "tool", "agent_call": "agent"}


@dataclass
class Snapshot:
    """See the module.

    Attributes:
        status: How the run stood: ok, error, cancelled, running or interrupted.
        steps: Its steps as a tree of dicts; see the module.
        error: What ended it, if an error did.
    """

    status: str = "ok"
    steps: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as the JSON it is kept as."""
        known: dict[str, Any] = {"format": FORMAT, "status": self.status, "steps": self.steps}
        if self.error is not None:
            known["error"] = self.error
        return known

    def to_json(self) -> str:
        """Return the text `save` writes."""
        return json.dumps(self.to_dict(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to *path* whole or not at all; directories are made.

        Raises:
            OSError: It cannot be written.
        """
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        # What no UTF-8 has a form for is escaped, as JSON escapes it.
        data = self.to_json().encode("utf-8", "backslashreplace")
        # Another worker may write the same one: each writes a file of its own and puts it in place.
        written = target.with_name(f".{target.name[:100]}.{os.urandom(4).hex()}")
        try:
            written.write_bytes(data)
            written.replace(target)
        except BaseException:
            written.unlink(missing_ok=True)
            raise

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Snapshot:
        """Read the one at *path*.

        Raises:
            SnapshotError: *path* is no snapshot, or one of a later version.
            OSError: It cannot be read.
        """
        try:
            known = json.loads(Path(path).read_bytes())
        except (ValueError, RecursionError) as error:
            where = f"line {error.lineno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else error
            raise SnapshotError(path, f"is no snapshot: it is not JSON ({where})") from None
        if type(known) is not dict or type(known.get("steps")) is not list:
            raise SnapshotError(path, 'is no snapshot: it has no list "steps"')
        if known.get("format") != FORMAT:
            found = f"format {known.get('format')!r}; this version reads {FORMAT}"
            raise SnapshotError(path, f"is a snapshot in {found}")
        if not _are_steps(known["steps"]):
            raise SnapshotError(path, 'is no snapshot: a step is an object with a "type"')
        return cls(str(known.get("status", "ok")), known["steps"], known.get("error"))


def snapshot(
    source: Run | StepLog | str | os.PathLike[str],
    run_id: str | None = None,
    *,
    normalize: Normalize | None = None,
) -> Snapshot:
    """Return what a run did.

    Args:
        source: A run read back (`read_run`), the `StepLog` of one, or a log: a file, directory or pattern.
        run_id: Which run of a log, as `read_run` takes it. Default: the last one started.
        normalize: Called as ``normalize(key, value)`` for every text, number, truth value and null in
            inputs, outputs and errors; what it returns stands in its place. *key* is the nearest key
            above it, or None. `scrub` is one. Default: values stand as they are.

    Raises:
        LogSourceError, LogFormatError, LogTooNewError, OSError: as `read_run`.
    """
    if isinstance(source, StepLog):
        run = read_run(source.path, source.run_id)
    else:
        run = source if isinstance(source, Run) else read_run(source, run_id)
    plain = _Plain(normalize)
    end = run.info.end
    error = None if end is None or end.error is None else str(plain.of("error", end.error))
    return Snapshot(run.info.status, _tree(run.roots, plain, 0), error)


_SCRUBBED = [
    (re.compile(pattern), name)
    for pattern, name in (
        (r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b", "<uuid>"),
        (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?", "<time>"),
        (r"\b0x[0-9a-fA-F]{6,16}\b", "<address>"),
        # pytest's directories, and what `tempfile` makes.
        (r"(?:/private)?/(?:tmp|var/folders)/(?:[\w.+-]+/)*(?:pytest-\d+|tmp\w{6,})(?:/[\w.+-]+)?", "<tmp>"),
        (r"\b(?:toolu|call|msg|chatcmpl|resp|req|run)[_-][0-9A-Za-z]{12,}\b", "<id>"),
    )
]


def scrub(key: str | None, value: Any) -> Any:  # noqa: ARG001  what `normalize` is called with
    """Take out of texts what differs every time: UUIDs, times of day, addresses, temporary paths, ids.

    In their place stand ``<uuid>``, ``<time>``, ``<address>``, ``<tmp>`` and ``<id>``. For `snapshot`'s
    *normalize*; one of your own may go on from what this returns.
    """
    if type(value) is str:
        for pattern, name in _SCRUBBED:
            value = pattern.sub(name, value)
    return value


def _tree(steps: list[Step], plain: _Plain, depth: int) -> list[dict[str, Any]]:
    if depth > MAX_DEPTH:
        return []
    found = []
    for step in steps:
        if step.type in _STEPS:
            known = _known(step, plain)
            if inner := _tree(step.children, plain, depth + 1):
                known["steps"] = inner
            found.append(known)
    return found


def _known(step: Step, plain: _Plain) -> dict[str, Any]:
    record, start = step.record, step.start
    given = record.input
    if given is None and start is not None:
        given = start.input
    known: dict[str, Any] = {
        "type": step.type,
        _NAMES[step.type]: None if step.name == "?" else step.name,
        "input": plain.of("input", given),
        "output": plain.of("output", record.output),
        "stop_reason": record.stop_reason,
        "tools_asked": [call.get("name") for call in record.tool_calls or () if type(call) is dict] or None,
        "error": plain.of("error", record.error),
        "error_type": record.error_type,
        "status": "unfinished" if step.status == "unfinished" else None,
    }
    return {key: value for key, value in known.items() if value is not None}


class _Plain:
    """Values as a snapshot has them."""

    def __init__(self, normalize: Normalize | None) -> None:
        self._normalize = normalize

    def of(self, key: str | None, value: Any, depth: int = 0) -> Any:
        if depth > MAX_DEPTH:
            return "[too deep]"
        if type(value) is dict:
            return {name: self.of(name, part, depth + 1) for name, part in value.items()}
        if type(value) is list:
            return [self.of(key, part, depth + 1) for part in value]
        if self._normalize is not None and not (value is None and depth == 0):
            value = self._normalize(key, value)
        if type(value) is str and len(value) > MAX_TEXT:
            digest = sha256(value.encode("utf-8", "backslashreplace")).hexdigest()[:12]
            value = f"{value[:MAX_TEXT]}…[{len(value):,} characters, sha256 {digest}]"
        return value


def _are_steps(steps: list[Any]) -> bool:
    waiting = list(steps)
    while waiting:
        step = waiting.pop()
        if type(step) is not dict or type(step.get("type")) is not str:
            return False
        inner = step.get("steps", [])
        if type(inner) is not list:
            return False
        waiting += inner
    return True
