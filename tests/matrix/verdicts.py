"""What the tap saw of a conversation, against what the provider knows of it: four verdicts."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.matrix.drivers._driver import TOOLS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.matrix.drivers import Told
    from tests.matrix.observing import Seen
    from tests.provider import Served

__all__ = ["CELLS", "Verdict", "judge"]

#: The columns of the page.
CELLS = ("captured", "bytes equal", "tokens right", "tools right")

_TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")


@dataclass
class Verdict:
    """Of each cell what is wrong with it; nothing, where it is right."""

    wrong: dict[str, list[str]] = field(default_factory=lambda: {cell: [] for cell in CELLS})

    def expect(self, cell: str, what: str, found: Any, expected: Any) -> None:
        """Note that *found* is not *expected*."""
        if found != expected:
            self.wrong[cell].append(f"{what}: {found!r}, not {expected!r}")

    @property
    def cells(self) -> dict[str, bool]:
        """Each cell as the page has it."""
        return {cell: not reasons for cell, reasons in self.wrong.items()}

    @property
    def reasons(self) -> list[str]:
        """All that is wrong."""
        return [f"{cell}: {reason}" for cell, reasons in self.wrong.items() for reason in reasons]


def judge(seen: Seen, untapped: Told, *, over: str) -> Verdict:
    """Compare *seen* with what was served *over* a client, and with what the SDK told without a tap."""
    verdict = Verdict()
    if seen.tap_error is not None:
        verdict.wrong["captured"].append(f"in the tap: {seen.tap_error!r}")
    llm_calls = seen.of("llm_call")
    verdict.expect("captured", "exchanges", len(seen.exchanges), len(seen.served))
    verdict.expect("captured", "llm_calls", len(llm_calls), len(seen.served))
    for served, exchange, record in zip(seen.served, seen.exchanges, llm_calls, strict=False):
        truth = served.truth
        verdict.expect("captured", "API", exchange.api, truth.api)
        verdict.expect("captured", "client", exchange.client, over)
        verdict.expect("captured", "state", exchange.state, "complete")
        verdict.expect("captured", "model", record.get("model"), truth.model)
        verdict.expect("captured", "stop reason", record.get("stop_reason"), truth.stop_reason)
        verdict.expect("captured", "text", exchange.facts().text, truth.text)
        verdict.expect("captured", "place on the tape", record["exchange"]["n"], exchange.n)
        verdict.expect("bytes equal", "request", exchange.request_sha256, served.request_sha256)
        verdict.expect("bytes equal", "response", exchange.sha256, served.sha256)
        verdict.expect("bytes equal", "response on the tape", exchange.body, served.sent)
        tokens = {name: record[name] for name in _TOKENS if record.get(name) is not None}
        verdict.expect("tokens right", "tokens", tokens, truth.tokens)
        if truth.usage is not None:
            verdict.expect("tokens right", "usage", record.get("usage"), truth.usage)
    verdict.expect("bytes equal", "what the SDK told", seen.told, untapped)
    _judge_tools(verdict, seen)
    return verdict


def _judge_tools(verdict: Verdict, seen: Seen) -> None:
    for served, record in zip(seen.served, seen.of("llm_call"), strict=False):
        asked = [(call.get("id"), call["name"]) for call in record.get("tool_calls") or []]
        expected = [(call.id, call.name) for call in served.truth.calls]
        verdict.expect("tools right", "tools asked for", asked, expected)
    found = sorted(seen.of("tool_call"), key=lambda record: str(record["input"]))
    wanted = sorted(_answered(seen.served), key=lambda call: str(call[2]))
    verdict.expect("tools right", "tool_calls", len(found), len(wanted))
    for record, (id_, name, arguments, output) in zip(found, wanted, strict=False):
        verdict.expect("tools right", "name", record["tool"], name)
        verdict.expect("tools right", "input", record["input"], arguments)
        verdict.expect("tools right", "tool_call_id", record.get("tool_call_id"), id_)
        verdict.expect("tools right", "inferred", record.get("inferred"), True)
        # Each API wraps a result its own way: in an object, in a list of blocks.
        if output not in json.dumps(record["output"], ensure_ascii=False):
            verdict.expect("tools right", "output", record["output"], output)


def _answered(served: list[Served]) -> Iterator[tuple[str | None, str, dict[str, Any], str]]:
    """Yield the calls a later request answered, and with what; an agent's last word is not answered."""
    for one in served[:-1]:
        for call in one.truth.calls:
            yield call.id, call.name, call.arguments, TOOLS[call.name](**call.arguments)
