"""What runs in the processes that get killed: each scenario records for ever and acknowledges every call.

    ack   := slot u16, kind u8, writer 8 bytes, step u32      one write(2) to a pipe, after the call returned
    slot     which run of the round (a round in a directory has several)
    kind     WHOLE a plain record or an event, START a measured step has begun, END it has ended
    writer   the record's `writer`, zeros for None

Payloads carry their own size, so that whoever reads them back can tell a whole one.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import signal
import struct
import sys
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent_step_log import StepLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["ACK", "END", "SCENARIOS", "SIZES", "START", "WHOLE", "Order", "run_id_of"]

ACK = struct.Struct("<HB8sI")
WHOLE, START, END = 0, 1, 2

#: Payload sizes in bytes. One write of the larger ones takes long enough to be hit in the middle.
SIZES = {"200 B": 200, "4 KB": 4 * 1024, "64 KB": 64 * 1024, "1 MB": 1024 * 1024}


@dataclass(frozen=True)
class Order:
    """What one round asks of its writers; picklable, for those started afresh.

    Attributes:
        scenario: A key of `SCENARIOS`.
        path: Where to record: a file, or a directory with a slash at its end.
        ack: Descriptor of the pipe's writing end.
        sizes: Payload sizes to draw from.
        seed: Of the generator they are drawn with.
        slot: Which run of the round this process records.
    """

    scenario: str
    path: str
    ack: int
    sizes: tuple[int, ...]
    seed: int
    slot: int = 0


def run_id_of(slot: int) -> str:
    """Return the run id of a slot."""
    return f"run-{slot}"


class Writer:
    """Records without end and acknowledges; one for each log a process has open."""

    def __init__(
        self, order: Order, *, durability: str = "process", rotate_bytes: int | None = None, path: str = ""
    ) -> None:
        self.order = order
        self.log = StepLog(
            path or order.path,
            run_id=run_id_of(order.slot),
            durability=durability,  # type: ignore[arg-type]
            rotate_bytes=rotate_bytes,
            # A writer that cannot write must not look like one that was killed.
            on_error="raise",
        )

    def ack(self, kind: int, step: int) -> None:
        writer = (self.log.writer or "").encode().ljust(8, b"\0")
        os.write(self.order.ack, ACK.pack(self.order.slot, kind, writer, step))

    def payloads(self, salt: int = 0) -> Iterator[tuple[dict[str, object], str]]:
        """Yield the input and output of one record after the other."""
        choose = random.Random(self.order.seed * 1000 + salt)
        while True:
            size = choose.choice(self.order.sizes) - choose.randrange(100)
            # A head inside the payload, as an agent that looks at its own log has it.
            yield {"size": size, "saw": {"run_id": "run-0", "step": 1, "type": "note"}}, "x" * size

    def record_one(self, given: dict[str, object], text: str) -> None:
        self.ack(WHOLE, self.log.record_tool_call("tool", given, text, 1.5))

    def record(self, salt: int = 0) -> None:
        for given, text in self.payloads(salt):
            self.record_one(given, text)


def single(order: Order) -> None:
    """One thread; all three kinds of plain record."""
    writer = Writer(order)
    for given, text in writer.payloads():
        writer.record_one(given, text)
        writer.ack(WHOLE, writer.log.record_llm_call("m", 10, 5, "end_turn", 2.0, input=given, output=text))
        writer.ack(WHOLE, writer.log.event("saw", given))


def threads(order: Order) -> None:
    """Eight threads on one log."""
    _threads(Writer(order), 8)


def tasks(order: Order) -> None:
    """A hundred asyncio tasks on one log."""
    writer = Writer(order)

    async def work(salt: int) -> None:
        for given, text in writer.payloads(salt):
            writer.record_one(given, text)
            await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(*(work(salt) for salt in range(100)))

    asyncio.run(main())


def forked(order: Order) -> None:
    """A log opened once and recorded into by the parent and three forked children of two threads each."""
    writer = Writer(order)
    for salt in range(1, 4):
        if os.fork() == 0:
            _threads(writer, 2, salt * 10)
    writer.record()


def forked_beside_threads(order: Order) -> None:
    """Forks made while other threads are in mid-record; the children record and fork on."""
    writer = Writer(order)
    for salt in range(3):
        threading.Thread(target=writer.record, args=(salt,), daemon=True).start()
    for salt in range(10, 14):
        writer.record_one(*next(writer.payloads(salt)))
        if os.fork() == 0:
            writer.record(salt)
    writer.record(99)


def spawned(order: Order) -> None:
    """Two processes of multiprocessing's spawn method beside their parent."""
    context = multiprocessing.get_context("spawn")
    writer = Writer(order)
    os.set_inheritable(order.ack, True)
    for salt in (1, 2):
        # Spawned processes are given no descriptor of ours, but may open this one by its name.
        name = f"/proc/{os.getpid()}/fd/{order.ack}"
        context.Process(target=_spawned_child, args=(replace(order, seed=order.seed + salt), name)).start()
    writer.record()


def _spawned_child(order: Order, pipe: str) -> None:
    Writer(replace(order, ack=os.open(pipe, os.O_WRONLY))).record()


def many(order: Order) -> None:
    """Eight processes that each open the same file."""
    for salt in range(1, 8):
        if os.fork() == 0:
            Writer(replace(order, seed=order.seed + salt)).record()
    Writer(order).record()


def measured(order: Order) -> None:
    """Measured forms, nested: begun, acknowledged, ended, acknowledged."""
    writer = Writer(order)
    log = writer.log
    for given, text in writer.payloads():
        with log.agent("planner", given) as scope:
            writer.ack(START, scope.step)
            with log.llm_call("m", input=given) as call:
                writer.ack(START, call.step)
                call.update(input_tokens=10, output_tokens=5, output=text)
            writer.ack(END, call.step)
            with log.tool_call("tool", given) as tool:
                writer.ack(START, tool.step)
                tool.output = text
            writer.ack(END, tool.step)
        writer.ack(END, scope.step)


def directory(order: Order) -> None:
    """Two processes, each with a run of its own, in one directory."""
    if os.fork() == 0:
        Writer(replace(order, slot=1, seed=order.seed + 1)).record()
    Writer(order).record()


def rotating(order: Order) -> None:
    """Two processes of two threads each on one file that is moved aside again and again."""
    if os.fork() == 0:
        order = replace(order, seed=order.seed + 1)
    _threads(Writer(order, rotate_bytes=128 * 1024), 2)


def disk(order: Order) -> None:
    """durability="disk": two threads that share their fdatasync."""
    _threads(Writer(order, durability="disk"), 2)


def busy(order: Order) -> None:
    """Beside a thread that never waits: the write that keeps the GIL."""

    def spin() -> None:
        number = 0
        while True:
            number += 1

    threading.Thread(target=spin, daemon=True).start()
    # Opened with a thread alive, so the GIL is kept from the first record on.
    Writer(order).record()


def signals(order: Order) -> None:
    """A signal handler that records while the main thread does."""
    writer = Writer(order)
    payloads = writer.payloads(1)
    under_way: list[int] = []

    def record(*_: object) -> None:
        if not under_way:  # large records take longer than the timer
            under_way.append(1)
            writer.record_one(*next(payloads))
            under_way.clear()

    signal.signal(signal.SIGALRM, record)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    writer.record()


def fresh(order: Order) -> None:
    """A new interpreter, killed anywhere from its start on."""
    code = "import sys, tests.crash.writers as w; w.fresh_main(sys.argv[1:])"
    argv = [sys.executable, "-c", code, order.path, str(order.ack), repr(order.sizes), str(order.seed)]
    os.set_inheritable(order.ack, True)
    os.execve(sys.executable, argv, {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})


def fresh_main(argv: list[str]) -> None:
    """Record as `single` does; runs in the new interpreter."""
    path, ack, sizes, seed = argv
    single(Order("fresh", path, int(ack), tuple(map(int, sizes.strip("(,)").split(","))), int(seed)))


def _threads(writer: Writer, number: int, salt: int = 0) -> None:
    started = [
        threading.Thread(target=writer.record, args=(salt + index,), daemon=True) for index in range(number)
    ]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()


@dataclass(frozen=True)
class Scenario:
    """One way of recording.

    Attributes:
        title: As the table shows it.
        record: What the first process of a round does.
        weight: Its share of the rounds; those that start interpreters are slow.
        kills_one_first: One process is killed, and the others go on before they are.
        longest_s: The kill comes at most so long after the first acknowledgement.
        most_writers: Processes beyond these are helpers, and are not counted. None: all are writers.
    """

    title: str
    record: Callable[[Order], None]
    weight: int = 10
    kills_one_first: bool = False
    longest_s: float = 0.030
    most_writers: int | None = None


SCENARIOS: dict[str, Scenario] = {
    "single": Scenario("one thread", single),
    "threads": Scenario("8 threads", threads),
    "tasks": Scenario("asyncio, 100 tasks", tasks),
    "forked": Scenario("fork, 4 processes", forked, kills_one_first=True),
    "forked_beside_threads": Scenario("fork beside threads", forked_beside_threads),
    "spawned": Scenario("spawn, 3 processes", spawned, weight=3, longest_s=0.5, most_writers=3),
    "many": Scenario("8 processes, one file", many, kills_one_first=True),
    "measured": Scenario("measured forms", measured),
    "directory": Scenario("directory, 2 runs", directory),
    "rotating": Scenario("rotation, 2 processes", rotating, kills_one_first=True),
    "disk": Scenario('durability="disk"', disk),
    "busy": Scenario("beside a CPU-bound thread", busy),
    "signals": Scenario("signal handler records", signals),
    "fresh": Scenario("new interpreter", fresh, weight=4),
}
