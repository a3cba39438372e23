"""Recorded calls and transcripts cost what was worked out by hand."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from genai_prices import Usage, calc_price

from agent_step_log import read_log
from agentsnap import Prices, explain, usage_of
from tests.agentsnap.golden import RECORDED, TRANSCRIPTS, TS
from tests.agenttap.decoders.recordings import load

PRICES = Prices.load()
TRANSCRIPT_DATA = Path(__file__).parents[1] / "data" / "transcripts"


def worked_out(work: str) -> Decimal:
    """Return the USD of ``9*1 + 5752*1.25``, which is in millionths."""
    products = (product.split("*") for product in work.split("+"))
    return sum((Decimal(count) * Decimal(price) for count, price in products), Decimal(0)) / 1_000_000


def record_of(recording: Any) -> dict[str, Any]:
    """Return the `llm_call` a tap writes of a recorded exchange, in a run of its own."""
    asked, (answer, _) = recording.request_facts(), recording.decoded()
    record = {
        **answer.fields,
        "run_id": recording.name,
        "step": 1,
        "type": "llm_call",
        "ts": TS,
        "provider": asked.provider or answer.fields.get("provider"),
        "model": answer.fields.get("model") or asked.model,
        "service_tier": answer.tier,
        "error": answer.error,
        "error_type": answer.error_type,
    }
    return {key: value for key, value in record.items() if value is not None}


RECORDS = {each.name: record_of(each) for each in load()}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """All recorded exchanges as a log, each a run."""
    path = tmp_path_factory.mktemp("golden") / "recorded.jsonl"
    head = ("run_id", "step", "type", "ts")
    with path.open("w") as file:
        for record in RECORDS.values():
            ordered = {key: record[key] for key in (*head, *record)}
            file.write(json.dumps(ordered, separators=(",", ":")) + "\n")
    return path


@pytest.fixture(scope="module")
def by_run(log: Any) -> Any:
    return {group.key: group for group in usage_of(log, by="run", prices=PRICES).groups}


@pytest.fixture(scope="module")
def transcripts() -> Any:
    table = usage_of(TRANSCRIPT_DATA, by="run", prices=PRICES)
    return {group.key: group for group in table.groups}


class TestRecordedExchanges:
    @pytest.mark.parametrize("name", RECORDED)
    def test_cost_is_the_one_worked_out_by_hand(self, by_run: Any, name: Any) -> None:
        exactness, work = RECORDED[name]

        cost = by_run[name].cost
        assert (cost.exactness, cost.value) == (exactness, worked_out(work) if work else None)

    def test_every_exchange_is_counted(self, by_run: Any) -> None:
        assert by_run.keys() == RECORDS.keys()

    @pytest.mark.parametrize("name", RECORDS)
    def test_zero_is_only_what_somebody_said(self, by_run: Any, name: Any) -> None:
        cost = by_run[name].cost
        if cost.value == 0:
            record = RECORDS[name]
            assert record.get("usage", {}).get("cost") == 0 or "error" in record

    @pytest.mark.parametrize("name", RECORDS)
    def test_unknown_and_partial_say_why(self, by_run: Any, name: Any) -> None:
        group = by_run[name]
        assert bool(group.notes) == (group.cost.exactness != "exact")

    def test_explanation_comes_to_what_the_table_says(self, log: Any, by_run: Any) -> None:
        for name in RECORDED:
            derived = explain(log, name, prices=PRICES)
            assert derived.total == by_run[name].cost, name
            for call in derived.calls:
                lines = sum((line.cost.known for line in call.cost.lines), Decimal(0))
                if call.cost.source in ("list", "own"):
                    assert lines == call.cost.amount.known

    def test_library_itself_comes_to_the_same_where_all_is_known(self, log: Any) -> None:
        compared = 0
        for record in read_log(log):
            cost = PRICES.cost_of(record)
            if cost.source != "list" or cost.amount.exactness != "exact":
                continue
            kinds = {line.kind: line.count for line in cost.lines}
            if "audio input" in kinds or "billed_units" in (record.usage or {}):
                continue
            usage = Usage(
                input_tokens=record.input_tokens,
                output_tokens=record.output_tokens,
                cache_read_tokens=record.cache_read_tokens or 0,
                cache_write_tokens=record.cache_write_tokens or 0,
                web_searches=kinds.get("web search", 0),
            )
            provider, _, _model = cost.price.partition("/")
            theirs = calc_price(
                usage, record.model or "", provider_id=provider, genai_request_timestamp=_time(record.ts)
            )
            assert theirs.total_price == cost.amount.value, record.run_id
            compared += 1
        assert compared > 80


class TestTranscripts:
    @pytest.mark.parametrize("run_id", TRANSCRIPTS)
    def test_cost_is_the_one_worked_out_by_hand(self, transcripts: Any, run_id: Any) -> None:
        exactness, work = TRANSCRIPTS[run_id]

        cost = transcripts[run_id].cost
        assert (cost.exactness, cost.value) == (exactness, worked_out(work) if work else None)

    def test_tokens_are_those_the_recording_tool_told(self, transcripts: Any) -> None:
        told = json.loads(
            (TRANSCRIPT_DATA / "claude-code" / "entireio-cli" / "76-62d755ef9f-2-metadata.json").read_text()
        )["token_usage"]

        group = transcripts["claude-code-839b35f7-4dbd-4d93-9772-3c272cc87caa"]
        cached = group.cache_read.known + group.cache_write.known
        assert group.calls == told["api_call_count"]
        assert group.input.value - cached == told["input_tokens"]
        assert group.output.value == told["output_tokens"]

    def test_session_holds_its_subagents_once(self) -> None:
        sessions = usage_of(TRANSCRIPT_DATA / "claude-code", by="session", prices=PRICES)
        runs = usage_of(TRANSCRIPT_DATA / "claude-code", by="run", prices=PRICES)

        session = next(group for group in sessions.groups if (group.key or "").startswith("170cebcc"))
        parts = [group.cost for group in runs.groups if "170cebcc" in (group.key or "")]
        assert session.runs == len(parts) == 3
        assert session.cost.value == sum(part.known for part in parts)

    def test_nothing_is_left_on_the_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

        usage_of(TRANSCRIPT_DATA / "codex", prices=PRICES)

        assert list(tmp_path.iterdir()) == []


def _time(ts: float) -> Any:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(ts, UTC)
