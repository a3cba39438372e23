"""Records for tests, as few keys as it takes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agent_step_log import Record

if TYPE_CHECKING:
    from pathlib import Path

#: 2026-10-26 07:33:20 UTC
T0 = 1_793_000_000.0


def call(**keys: Any) -> dict[str, Any]:
    """Return an `llm_call` of Sonnet 4.5: 1,000 tokens in, 100 out, unless told otherwise."""
    return {
        "run_id": "run-a",
        "step": 1,
        "type": "llm_call",
        "ts": T0,
        "model": "claude-sonnet-4-5",
        "provider": "anthropic",
        "input_tokens": 1000,
        "output_tokens": 100,
        **keys,
    }


def start(run_id: str = "run-a", **keys: Any) -> dict[str, Any]:
    """Return a `run_start`."""
    return {"run_id": run_id, "step": 0, "type": "run_start", "ts": T0, "format": 1, **keys}


def record(**keys: Any) -> Record:
    """Return `call` as it is read from a log."""
    return parsed(call(**keys))


def parsed(keys: dict[str, Any]) -> Record:
    """Return *keys* as they are read from a log."""
    import msgspec

    return msgspec.json.decode(json.dumps(keys), type=Record)


def write(path: Path, *records: dict[str, Any]) -> Path:
    """Write a log."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(each, separators=(",", ":")) + "\n" for each in records))
    return path
