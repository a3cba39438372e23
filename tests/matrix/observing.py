"""One conversation of a driver with the provider, with the tap on or off, and what there is to see of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.matrix.drivers import Ask, Told
from tests.provider import Provider

if TYPE_CHECKING:
    from pathlib import Path

    from agenttap import TapedExchange
    from tests.matrix.drivers import Driver
    from tests.provider import Served

__all__ = ["Seen", "ask_for", "converse", "observe"]

_QUESTION = "What is the weather, please?"
_BOTH = "What are the weather and the time, please? Ask for both in parallel."

#: What a model of that API may be called, so that no SDK refuses it.
_FAMILIES = {"anthropic": "claude", "bedrock": "anthropic.claude", "gemini": "gemini", "cohere": "command"}


@dataclass
class Seen:
    """What the SDK told, what the provider did, and what the tap wrote."""

    told: Told
    served: list[Served]
    exchanges: list[TapedExchange] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    tap_error: BaseException | None = None

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return the records of that type."""
        return [record for record in self.records if record["type"] == kind]


def ask_for(driver: Driver, provider: Provider, *, marks: str, with_tools: bool, is_locked: bool) -> Ask:
    """Return what to ask of *provider* by *driver*."""

    def nothing(shown: object) -> None:
        pass

    family = _FAMILIES.get(driver.api.partition(".")[0], "gpt")
    return Ask(
        provider.url,
        f"{family}-test-{marks}",
        _BOTH if with_tools else _QUESTION,
        with_tools,
        on_text=provider.gate.seen if is_locked and driver.waits_on == "text" else nothing,
        on_bytes=provider.gate.seen if is_locked and driver.waits_on == "bytes" else nothing,
    )


def converse(
    driver: Driver, *, marks: str = "plain", with_tools: bool = False, is_locked: bool = False
) -> Seen:
    """Hold the conversation as it is without a tap."""
    with Provider() as provider:
        told = driver.run(ask_for(driver, provider, marks=marks, with_tools=with_tools, is_locked=is_locked))
        provider.wait_done()
        return Seen(told, provider.calls)


def observe(driver: Driver, directory: Path, **how: Any) -> Seen:
    """Hold the same conversation with a tap on that writes into *directory*."""
    from agent_step_log import StepLog
    from agenttap import Tap, Tape

    log_path = directory / "run.jsonl"
    with StepLog(log_path, "run") as log, Tap(log=log) as tap:
        seen = converse(driver, **how)
    tapes = [Tape(path) for path in sorted(directory.glob("*.tape.zst"))]
    seen.exchanges = sorted(
        (exchange for tape in tapes for exchange in tape.exchanges()), key=lambda exchange: exchange.n
    )
    seen.records = [json.loads(line) for line in log_path.read_text(encoding="utf-8").splitlines()]
    seen.tap_error = tap.last_error
    return seen
