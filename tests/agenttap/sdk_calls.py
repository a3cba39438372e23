"""SDKs called with the tap on: what the tests of them share."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agent_step_log import StepLog
from agenttap import Tap, Tape

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agenttap import TapedExchange

__all__ = ["Written", "tapped"]


@dataclass
class Written:
    """What there is once the tap is off."""

    exchanges: list[TapedExchange] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [record for record in self.records if record["type"] == kind]

    @property
    def exchange(self) -> TapedExchange:
        (exchange,) = self.exchanges
        return exchange

    @property
    def call(self) -> dict[str, Any]:
        (call,) = self.of("llm_call")
        return call


@contextmanager
def tapped(directory: Path) -> Iterator[Written]:
    """Tap what is done inside; what was written is there afterwards."""
    written = Written()
    path = directory / "run.jsonl"
    with StepLog(path, "run") as log, Tap(log=log) as tap:
        yield written
    assert tap.last_error is None
    for tape in directory.glob("*.tape.zst"):
        written.exchanges += sorted(Tape(tape).exchanges(), key=lambda exchange: exchange.n)
    written.records += [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
