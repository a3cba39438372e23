"""Real transcripts, small made ones, and what an import of them wrote."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent_step_log.importers import ImportReport, import_claude_code, import_codex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SHIPPED = Path(__file__).parents[2] / "data" / "transcripts"
CLAUDE = SHIPPED / "claude-code"
CODEX = SHIPPED / "codex"

_NO_TRANSCRIPT = ("LICENSE", "ORIGIN", "expected-")
HEAD = ["run_id", "step", "type", "ts"]


def corpus(kind: str) -> list[Path]:
    """Return the files shipped, and those of the larger collection a developer may have beside them."""
    roots = [SHIPPED]
    if more := os.environ.get("AGENT_STEP_LOG_TEST_DATA"):
        roots.append(Path(more))
    return [path for root in roots for path in sorted((root / kind).rglob("*")) if path.is_file()]


def is_transcript(path: Path) -> bool:
    return not path.name.startswith(_NO_TRANSCRIPT) and not path.name.endswith("-metadata.json")


@dataclass
class Imported:
    """A report, and the records of every log it names."""

    report: ImportReport
    runs: dict[str, list[dict[str, Any]]]

    def only(self) -> list[dict[str, Any]]:
        (records,) = self.runs.values()
        return records


def of_type(records: Iterable[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [record for record in records if record["type"] == kind]


def events(records: Iterable[dict[str, Any]], name: str) -> list[Any]:
    return [record["data"] for record in of_type(records, "event") if record["name"] == name]


def total(records: Iterable[dict[str, Any]], name: str) -> int:
    return sum(call.get(name) or 0 for call in of_type(records, "llm_call"))


def import_claude(source: Path, into: Path) -> Imported:
    return _imported(import_claude_code, source, into)


def import_cx(source: Path, into: Path) -> Imported:
    return _imported(import_codex, source, into)


def _imported(importer: Callable[[Path, Path], ImportReport], source: Path, into: Path) -> Imported:
    report = importer(source, into)
    runs = {}
    for session in report.sessions:
        lines = session.output.read_bytes().splitlines(keepends=True)
        assert all(line.endswith(b"\n") for line in lines)
        runs[session.run_id] = [json.loads(line) for line in lines]
    return Imported(report, runs)


def write(path: Path, *records: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def assert_sound(records: list[dict[str, Any]]) -> None:
    """Assert what holds for every log an import writes, whatever it was given."""
    assert records[0]["type"] == "run_start"
    steps = sorted(record["step"] for record in records if record["step"])
    assert steps == list(range(1, len(steps) + 1))
    for record in records:
        assert list(record)[:4] == HEAD
        assert isinstance(record["ts"], int | float)
        for name, value in record.items():
            if name.endswith("_tokens") and value is not None:
                assert isinstance(value, int)
                assert 0 <= value <= 4 * 10**12
        duration = record.get("duration_ms")
        assert duration is None or duration >= 0


# Claude Code records --------------------------------------------------------------------


def stamp(seconds: int) -> str:
    return f"2026-03-01T10:{seconds // 60:02}:{seconds % 60:02}.000Z"


def user(content: Any, at: int = 0, **more: Any) -> dict[str, Any]:
    message = {"role": "user", "content": content}
    return {"type": "user", "sessionId": "s1", "timestamp": stamp(at), "message": message, **more}


def result(call_id: str, at: int = 0, content: Any = "done", **more: Any) -> dict[str, Any]:
    block = {"type": "tool_result", "tool_use_id": call_id, "content": content}
    return user([{**block, **more.pop("block", {})}], at, **more)


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def tool_use(call_id: str, name: str = "Bash", **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": given}


def usage(fresh: int, out: int, read: int = 0, written: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "input_tokens": fresh,
        "output_tokens": out,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written,
        **more,
    }


def assistant(
    message_id: str | None,
    *blocks: dict[str, Any],
    used: dict[str, Any] | None = None,
    request: str | None = "r1",
    model: str = "m",
    stop: str | None = "end_turn",
    at: int = 0,
    **more: Any,
) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "model": model, "content": list(blocks)}
    message.update(stop_reason=stop, usage=used or usage(10, 5))
    if message_id:
        message["id"] = message_id
    record = {"type": "assistant", "sessionId": "s1", "timestamp": stamp(at), "message": message}
    return {**record, **({"requestId": request} if request else {}), **more}


# Codex records --------------------------------------------------------------------------


def rollout(kind: str, payload: dict[str, Any], at: int = 0) -> dict[str, Any]:
    return {"timestamp": stamp(at), "type": kind, "payload": payload}


def meta(thread: str = "t1", **more: Any) -> dict[str, Any]:
    return rollout("session_meta", {"id": thread, "cli_version": "0.1", "model_provider": "openai", **more})


def event(kind: str, at: int = 0, **payload: Any) -> dict[str, Any]:
    return rollout("event_msg", {"type": kind, **payload}, at)


def item(kind: str, at: int = 0, **payload: Any) -> dict[str, Any]:
    return rollout("response_item", {"type": kind, **payload}, at)


def said(words: str, at: int = 0) -> dict[str, Any]:
    return item("message", at, role="assistant", content=[{"type": "output_text", "text": words}])


def counts(fresh: int, out: int, cached: int = 0, reasoning: int = 0) -> dict[str, int]:
    return {
        "input_tokens": fresh,
        "cached_input_tokens": cached,
        "output_tokens": out,
        "reasoning_output_tokens": reasoning,
        "total_tokens": fresh + out,
    }


def count(whole: dict[str, int] | None, last: dict[str, int] | None = None, at: int = 0) -> dict[str, Any]:
    return event("token_count", at, info={"total_token_usage": whole, "last_token_usage": last})
