"""Logs of a small fleet of agents, the same for a seed: for tests that count them in plain Python too."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FleetRun", "write_fleet"]

T0 = 1_778_000_000.0
TASKS = ("explore", "fix-bug", "summarise", "support", "nightly")
#: Model to its word for an answer that reached its limit.
MODELS = {"claude-opus-5": "max_tokens", "gpt-6-mini": "length", "gemini-3-pro": "MAX_TOKENS"}
TOOLS = ("bash", "read_file", "grep", "web_fetch", "edit")
ERRORS = {
    "FileNotFoundError": ("No such file: {}", "tools.py", 41, "read"),
    "TimeoutError": ("no answer after 30 s", "net.py", 112, "fetch"),
}
GONE = {"pid": 1, "host": "elsewhere", "boot_id": "b", "started": 1.0}

#: The records of one run, as they stand in its log.
FleetRun = list[dict[str, Any]]


def write_fleet(folder: Path, runs: int, seed: int = 7) -> list[FleetRun]:
    """Write a log for each of *runs* runs into *folder*; return their records."""
    chance = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    fleet = [_run(chance) for _ in range(runs)]
    for records in fleet:
        lines = [json.dumps(record, separators=(",", ":")) + "\n" for record in records]
        (folder / f"{records[0]['run_id']}.jsonl").write_text("".join(lines), encoding="utf-8")
    return fleet


def _run(chance: random.Random) -> FleetRun:
    head = {"run_id": f"run_{chance.getrandbits(128):032x}"}
    ts = T0 - chance.random() * 20 * 86_400
    model = chance.choice(list(MODELS))
    start: dict[str, Any] = {
        **head, "step": 0, "type": "run_start", "ts": ts, "format": 1,
        "agent": chance.choice(("coder", "helper")), "agent_version": chance.choice(("1.0.0", "1.1.0")),
        "task_type": chance.choice(TASKS), "environment": chance.choice(("production", "ci")),
        "process": GONE,
    }  # fmt: skip
    records = [start]
    sent = chance.randint(500, 4000)
    for step in range(1, 2 * chance.randint(3, 25), 2):
        for record in (_model_call(chance, step, model, sent), _tool_call(chance, step + 1)):
            ts += record["duration_ms"] / 1000
            records.append(
                {**head, "step": record.pop("step"), "type": record.pop("type"), "ts": ts, **record}
            )
        sent += chance.randint(30, 3900)
    if chance.random() < 0.95:
        status = "ok" if chance.random() < 0.9 else "error"
        error = {"error": "gave up", "error_type": "app.GaveUpError"} if status == "error" else {}
        records.append({**head, "step": 0, "type": "run_end", "ts": ts + 0.1, "status": status, **error})
    return records


def _model_call(chance: random.Random, step: int, model: str, sent: int) -> dict[str, Any]:
    is_told = chance.random() < 0.98
    return {
        "step": step,
        "type": "llm_call",
        "model": model,
        "input_tokens": sent if is_told else None,
        "output_tokens": chance.randint(20, 900) if is_told else None,
        "stop_reason": MODELS[model] if chance.random() < 0.01 else "tool_use",
        "duration_ms": round(chance.lognormvariate(7.5, 0.6), 3),
        **({"cache_read_tokens": sent * 4 // 5} if is_told else {}),
    }


def _tool_call(chance: random.Random, step: int) -> dict[str, Any]:
    path = f"src/f{chance.randint(1, 99)}.py"
    call: dict[str, Any] = {
        "step": step,
        "type": "tool_call",
        "tool": chance.choice(TOOLS),
        "input": {"path": path},
        "output": "lorem ipsum " * chance.randint(1, 20),
        "error": None,
        "duration_ms": round(chance.lognormvariate(4, 1.2), 3),
    }
    if chance.random() < 0.04:
        kind = chance.choice(list(ERRORS))
        message, file, line, function = ERRORS[kind]
        frame = {"file": f"/app/{file}", "line": line, "function": function, "code": None}
        call |= {"output": None, "error": message.format(path), "error_type": kind, "error_frames": [frame]}
    return call
