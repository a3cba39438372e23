"""Kills writers at random moments and reads back what they had acknowledged.

One round: a process is forked from this one (which has imported everything and has no
thread), records as its scenario says, and everything of it gets SIGKILL at a random
moment, most often in the middle of a record. Then the log is read, and must hold:

    every acknowledged record, once, with its payload whole
    no record twice
    beside them only damage a kill explains: the beginning of a record that nobody
        acknowledged, one for each killed process at most
    a beginning without an end for each measured step that was in flight
    the run as interrupted, and nothing else that `verify` calls an error

In half of the rounds the log is recorded into once more before it is read, as by the agent
that was started again.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import re
import select
import shutil
import signal
import tempfile
import traceback
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from agent_step_log import Damage, Record, StepLog, list_runs, read_log, verify
from tests.crash.writers import ACK, END, SCENARIOS, SIZES, START, Order, run_id_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Tally", "render_table", "run"]

_FIRST_ACK_S = 240.0  # a writer silent for so long hangs
_ENDED_S = 240.0  # a killed process that is still there after this is stuck in the kernel
_START_UP_S = 0.35  # in which a new interpreter starts
_HEAD = re.compile(rb'\{"run_id":"([^"]*)","step":(\d+),"type":"(\w+)"')
_OPENING = b'{"run_id":"run-'
_ENDINGS = frozenset({"llm_call", "tool_call", "agent_call"})
_SIZE_MIXES: tuple[tuple[int, ...], ...] = (*((size,) for size in SIZES.values()), tuple(SIZES.values()))

#: run, writer, step
Key = tuple[str, str | None, int]


@dataclass
class Tally:
    """What the rounds of one scenario came to.

    `lost`, `duplicates`, `false_damage` and `wrong` are what must not be.
    """

    title: str
    rounds: int = 0
    kills: int = 0
    acknowledged: int = 0
    lost: int = 0
    duplicates: int = 0
    torn: int = 0
    false_damage: int = 0
    glued: int = 0
    in_flight: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every promise held."""
        return not (self.lost or self.duplicates or self.false_damage or self.wrong)


def run(
    kills: int, *, seed: int, seconds: float, scenarios: Sequence[str] = (), directory: str | None = None
) -> list[Tally]:
    """Kill at least *kills* processes, in rounds shared out over the scenarios by weight.

    Args:
        kills: Processes to kill, all scenarios together.
        seed: Of every random choice; delays make no two runs the same all the same.
        seconds: No round begins after so many.
        scenarios: Keys of `SCENARIOS`. Default: all.
        directory: Where logs are written. Default: the system's place for temporary files.
    """
    _adopt_orphans()
    choose = random.Random(seed)
    names = list(scenarios or SCENARIOS)
    tallies = {name: Tally(SCENARIOS[name].title) for name in names}
    # Each scenario once, then by weight: a short run still has them all.
    order = iter(names)
    until = monotonic() + seconds
    while sum(tally.kills for tally in tallies.values()) < kills and monotonic() < until:
        name = next(order, None) or choose.choices(names, [SCENARIOS[name].weight for name in names])[0]
        place = Path(tempfile.mkdtemp(prefix="kills-", dir=directory))
        try:
            _Round(name, place, choose.randrange(1 << 30), tallies[name]).run()
        finally:
            shutil.rmtree(place, ignore_errors=True)
    return list(tallies.values())


class _Round:
    def __init__(self, name: str, place: Path, seed: int, tally: Tally) -> None:
        self.scenario = SCENARIOS[name]
        self.tally = tally
        self.choose = random.Random(seed)
        self.name = name
        self.seed = seed
        self.place = place
        path = f"{place}/logs/" if name == "directory" else f"{place}/run.jsonl"
        self.path = path
        self.acks: list[tuple[str, str | None, int, int]] = []
        self._rest = b""

    def run(self) -> None:
        self.tally.rounds += 1
        killed = self._kill()
        self.tally.kills += killed
        self.tally.acknowledged += len(self.acks)
        if not any(self._files()):
            self._wrong_if(bool(self.acks), "acknowledged records and no log")
            return
        again = self.choose.random() < 0.5
        if again:
            self._record_again()
        self._check(killed, again)

    # -- recording and killing --------------------------------------------------

    def _kill(self) -> int:
        """Start the scenario, kill all of it, and return how many processes that were."""
        reading, writing = os.pipe()
        said = self.place / "stderr"
        sizes = self.choose.choice(_SIZE_MIXES)
        order = Order(self.name, self.path, writing, sizes, self.seed)
        first = os.fork()
        if first == 0:
            _become_writer(order, reading, said)
        with suppress(OSError):
            os.setpgid(first, first)  # it does the same: whoever is first, it can be killed as a group
        os.close(writing)
        os.set_blocking(reading, False)
        # On a loaded machine a start may take longer than that each time: every fifth gets to write.
        is_awaited = self.name == "fresh" and self.tally.rounds % 5 == 0
        if not is_awaited and (self.choose.random() < 0.1 or self.name == "fresh"):
            # From its start on, wherever that gets: before the header, or in the middle of it.
            longest = _START_UP_S if self.name == "fresh" else 0.005
            self._listen(reading, self.choose.random() * longest)
        else:
            self._listen(reading, _FIRST_ACK_S, until_first=True)
            self._wrong_if(not self.acks, f"no record in {_FIRST_ACK_S} s: it hangs")
            self._listen(reading, self.choose.random() * self.scenario.longest_s)
        if self.scenario.kills_one_first:
            members = _group(first)
            os.kill(self.choose.choice(members), signal.SIGKILL)
            self._listen(reading, self.choose.random() * self.scenario.longest_s)
        os.killpg(first, signal.SIGKILL)
        self._listen(reading, _ENDED_S, until_end=True)
        os.close(reading)
        return self._bury(said)

    def _listen(
        self, pipe: int, seconds: float, *, until_first: bool = False, until_end: bool = False
    ) -> None:
        """Take in acknowledgements for *seconds*, or until there is one, or until no writer is left."""
        end = monotonic() + seconds
        while (left := end - monotonic()) > 0 and not (until_first and self.acks):
            if not select.select([pipe], [], [], left)[0]:
                break
            try:
                chunk = os.read(pipe, 1 << 16)
            except BlockingIOError:
                continue
            if not chunk:
                return
            data = self._rest + chunk
            whole = len(data) - len(data) % ACK.size
            self._rest = data[whole:]
            for slot, kind, writer, step in ACK.iter_unpack(data[:whole]):
                name = writer.rstrip(b"\0").decode() or None
                self.acks.append((run_id_of(slot), name, step, kind))
        self._wrong_if(until_end, f"a killed process is still there after {_ENDED_S} s")

    def _bury(self, said: Path) -> int:
        killed = 0
        while True:
            try:
                _, status = os.waitpid(-1, 0)
            except ChildProcessError:
                break
            killed += 1
            if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
                text = said.read_text(errors="replace").strip()
                self._wrong(f"a writer ended by itself: {status}: {text[-2000:]}")
        return min(killed, self.scenario.most_writers or killed)

    def _record_again(self) -> None:
        """Record into the log a killed agent left, as the same agent started again does."""
        log = StepLog(self.path, run_id=run_id_of(0), on_error="raise")
        for _ in range(3):
            step = log.record_tool_call("tool", {"size": 5}, "again")
            self.acks.append((log.run_id, log.writer, step, 0))
        log.close()

    # -- reading back -----------------------------------------------------------

    def _check(self, killed: int, again: bool) -> None:
        damage: list[Damage] = []
        met: Counter[tuple[Key, bool]] = Counter()
        writers: set[tuple[str, str | None]] = set()
        for record in read_log(self.path, on_damage=damage.append):
            self._wrong_if(not _is_whole(record), f"step {record.step} came back with another payload")
            writers.add((record.run_id, record.writer))
            if record.step:
                met[(record.run_id, record.writer, record.step), record.type == "step_start"] += 1
        expected = Counter(((run, writer, step), kind == START) for run, writer, step, kind in self.acks)
        self.tally.lost += sum(1 for key in expected if not met[key])
        self.tally.duplicates += sum(number - 1 for number in met.values())
        self._check_damage(damage, writers, expected, killed, again)
        self._check_runs(met, again)
        report = verify(self.path)
        errors = [problem for problem in report.problems if problem.is_error]
        others = [problem for problem in errors if problem.kind != "damage"]
        self._wrong_if(bool(others), f"verify: {others[:3]}")
        self._wrong_if(len(errors) - len(others) != len(damage), "verify and read_log differ on damage")

    def _check_damage(
        self,
        damage: list[Damage],
        writers: set[tuple[str, str | None]],
        expected: Counter[tuple[Key, bool]],
        killed: int,
        again: bool,
    ) -> None:
        """Each stretch must be the beginning of a record that was in hand when its writer was killed."""
        told: Counter[tuple[str, int, bool]] = Counter()
        for (run, _, step), is_start in expected:
            told[run, step, is_start] += 1
        torn = 0
        for stretch in damage:
            with open(stretch.path, "rb") as file:
                file.seek(stretch.offset)
                text = file.read(stretch.length + 1)
            head = _HEAD.match(text)
            if head is None and stretch.reason == "torn" and _is_cut_in_its_head(text[: stretch.length]):
                torn += 1
                continue
            if head is None or stretch.reason != "torn":
                self.tally.false_damage += 1
                self._wrong(f"{stretch}: {text[:80]!r}...")
                continue
            run, step, is_start = head[1].decode(), int(head[2]), head[3] == b"step_start"
            # A process killed before any record of its own was whole is none of the writers met.
            processes = 1 if self.name == "directory" else killed + again
            known = len({writer for name, writer in writers if name == run})
            if step and told[run, step, is_start] >= max(known, processes):
                self.tally.false_damage += 1
                self._wrong(f"{stretch} was acknowledged: {text[:80]!r}...")
                continue
            torn += 1
            self.tally.glued += text[stretch.length :] not in (b"\n", b"")
        torn += sum(map(self._check_tail, self._files()))
        self.tally.torn += torn
        self._wrong_if(torn > killed, f"{torn} torn records of {killed} killed processes")

    def _check_tail(self, path: Path) -> bool:
        """Whether the file ends inside a record; a reader passes that over in silence."""
        data = path.read_bytes()
        tail = data[data.rfind(b"\n") + 1 :]
        if not tail:
            return False
        self._wrong_if(len(tail) > 80 and not _HEAD.match(tail), f"{path.name} ends in {tail[:80]!r}")
        try:
            json.loads(tail)
        except ValueError:
            return True
        return False  # only its newline is missing: it was read

    def _check_runs(self, met: Counter[tuple[Key, bool]], again: bool) -> None:
        ended = {key for key, is_start in met if not is_start}
        open_steps = {key for key, is_start in met if is_start and key not in ended}
        acknowledged = {(run, writer, step) for run, writer, step, kind in self.acks if kind == END}
        self._wrong_if(bool(acknowledged & open_steps), "an ended step reads as unfinished")
        for info in list_runs(self.path):
            shown = {(info.run_id, writer, step) for writer, step in info.in_flight}
            wanted = {key for key in open_steps if key[0] == info.run_id}
            self._wrong_if(shown != wanted, "steps in flight are not those without an end")
            self.tally.in_flight += len(shown)
            # A log whose very header was torn off belongs to whoever recorded into it next.
            if info.headers and not (again and len(info.headers) == 1 and info.run_id == run_id_of(0)):
                self._wrong_if(info.status != "interrupted", f"{info.run_id} reads as {info.status}")

    def _files(self) -> Iterator[Path]:
        place = Path(self.path)
        yield from (path for path in place.parent.rglob("*.jsonl") if path.stat().st_size)

    def _wrong(self, what: str) -> None:
        self.tally.wrong.append(f"seed {self.seed}: {what}")

    def _wrong_if(self, condition: bool, what: str) -> None:
        if condition:
            self._wrong(what)


def _become_writer(order: Order, reading: int, said: Path) -> None:
    """Go on as the first process of a round: a group of its own, which is killed as one. Does not return."""
    try:
        os.setpgid(0, 0)
        os.close(reading)
        errors = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(errors, 2)
        SCENARIOS[order.scenario].record(order)
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(70)


def _is_cut_in_its_head(text: bytes) -> bool:
    """Whether this is so little of a record that it does not say which one it was."""
    longest = b'{"run_id":"run-0","step":4294967295,"type":"step_start"'
    return len(text) < len(longest) and _OPENING.startswith(text[: len(_OPENING)])


def _is_whole(record: Record) -> bool:
    if record.type not in _ENDINGS or type(record.input) is not dict or "size" not in record.input:
        return True
    text = record.output
    if type(text) is not str:
        return record.type == "agent_call"
    return text == "again" or (len(text) == record.input["size"] and text == "x" * len(text))


def _group(leader: int) -> list[int]:
    """Return the living processes of the group of *leader*."""
    members = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                stat = Path(f"/proc/{name}/stat").read_text()
            except OSError:
                continue
            state, _, group = stat.rpartition(")")[2].split()[:3]
            if int(group) == leader and state not in "ZX":
                members.append(int(name))
    return members or [leader]


def _adopt_orphans() -> None:
    """Become the parent of grandchildren whose parent was killed: their end is waited for too (Linux)."""
    set_child_subreaper = 36
    ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0)


def render_table(tallies: Sequence[Tally]) -> str:
    """Return the figures as a Markdown table, with their sum as its last line."""
    columns = (
        "rounds", "kills", "acknowledged", "lost", "duplicates",
        "torn", "false_damage", "glued", "in_flight",
    )  # fmt: skip
    titles = (
        "scenario", "rounds", "kills", "records acknowledged", "lost", "duplicates",
        "torn by a kill", "false damage", "glued, recovered", "in flight, shown",
    )  # fmt: skip
    rows = [[tally.title, *(f"{getattr(tally, name):,}" for name in columns)] for tally in tallies]
    rows.append(["all", *(f"{sum(getattr(tally, name) for tally in tallies):,}" for name in columns)])
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *rest = (cell.ljust(width) for cell, width in zip(cells[:1], widths, strict=False))
        rest = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        return f"| {' | '.join([first, *rest])} |"

    rule = f"| {'-' * widths[0]} | {' | '.join('-' * (width - 1) + ':' for width in widths[1:])} |"
    return "\n".join([line(titles), rule, *map(line, rows)])


def to_json(tallies: Sequence[Tally]) -> str:
    """Return the figures as one JSON array."""
    return json.dumps([asdict(tally) for tally in tallies])
