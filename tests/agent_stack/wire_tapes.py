"""Tapes for the tests of the command line, written with the tap's own writer: no hook, fixed times."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from agenttap._tape import TapeWriter, body_fields

if TYPE_CHECKING:
    from pathlib import Path

RUN = "run_0193e2a51c4b7d3f9a6be1d2aaaa0001"
WRITER = "0a1b2c3d"
T0 = 1_700_000_000.0  # 2023-11-14 22:13:20 UTC

ANTHROPIC = "https://api.anthropic.com/v1/messages"
HEADERS = [
    ["content-type", "application/json"],
    ["x-api-key", "<redacted:header:0a1b2c3d>"],
    ["anthropic-version", "2026-10-21"],
    ["user-agent", "sdk/1"],
]
TOOLS = [
    {"name": name, "description": f"Does {name}.", "input_schema": {"type": "object"}}
    for name in ("read_file", "grep")
]
ASK: dict[str, Any] = {"role": "user", "content": "Why does the nightly job fail?"}
CALL: list[dict[str, Any]] = [
    {"type": "thinking", "thinking": "The log first."},
    {"type": "text", "text": "I will read the log."},
    {"type": "tool_use", "id": "toolu_01", "name": "read_file", "input": {"path": "nightly.txt"}},
]
RESULT: dict[str, Any] = {
    "role": "user",
    "content": [{"type": "tool_result", "tool_use_id": "toolu_01", "content": "line 1\nERROR disk full"}],
}
HISTORY: list[dict[str, Any]] = [ASK, {"role": "assistant", "content": CALL}, RESULT]


def request(messages: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A body of Anthropic's API."""
    body = {"model": "claude-x", "max_tokens": 1024, "stream": True, "system": "Be brief.", "tools": TOOLS}
    return {**body, "messages": messages, **more}


def stream(blocks: list[dict[str, Any]], stop: str = "end_turn", **usage: int) -> bytes:
    """A response of Anthropic's API, its texts in pieces of six characters."""
    start = {"input_tokens": 100, "output_tokens": 1, **usage}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": []}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": {**message, "usage": start}}]
    for index, block in enumerate(blocks):
        kind = block["type"]
        key = {"text": "text", "thinking": "thinking"}.get(kind)
        empty = {**block, key: ""} if key else {**block, "input": {}}
        events.append({"type": "content_block_start", "index": index, "content_block": empty})
        text = block[key] if key else json.dumps(block["input"])
        delta = f"{key}_delta" if key else "input_json_delta"
        for at in range(0, len(text), 6):
            piece = {"type": delta, key or "partial_json": text[at : at + 6]}
            events.append({"type": "content_block_delta", "index": index, "delta": piece})
        events.append({"type": "content_block_stop", "index": index})
    events.append({"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": 20}})
    events.append({"type": "message_stop"})
    return "".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in events).encode()


def write_tape(
    directory: Path,
    *exchanges: dict[str, Any],
    run_id: str = RUN,
    writer: str = WRITER,
    name: str | None = None,
    content: bool = True,
) -> Path:
    """Write one tape. Of an exchange: `at` (seconds after `T0`), `body`, `answer` (None: it did not end)
    and the keys of its ``start`` and ``end`` lines that are not as usual."""

    def fail(error: BaseException) -> None:
        raise error

    directory.mkdir(parents=True, exist_ok=True)
    path = directory / (name or f"{run_id}.{writer}.tape.zst")
    tape = TapeWriter(path, {"run_id": run_id, "writer": writer}, fail)
    for n, exchange in enumerate(exchanges, 1):
        given = dict(exchange)
        body, answer = given.pop("body", b""), given.pop("answer", None)
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        usual = {"client": "httpx2", "api": "anthropic.messages", "method": "POST", "url": ANTHROPIC}
        start = {key: given.pop(key, value) for key, value in {**usual, "headers": HEADERS}.items()}
        tape.write({"type": "start", "n": n, "ts": T0 + given.pop("at", n), **start})
        kept = body_fields(sent) if content else {}
        digest = sha256(sent).hexdigest()
        tape.write({"type": "request", "n": n, "size": len(sent), "sha256": digest, **kept})
        if answer is None and "state" not in given:
            continue
        tape.write({"type": "end", "n": n, **_end(answer, content=content), **given})
    tape.close()
    return path


def _end(answer: bytes | None, *, content: bool) -> dict[str, Any]:
    if answer is None:
        return {"status": None, "times": {"end_ms": 3.0}}
    half = len(answer) // 2
    return {
        "status": 200,
        "http_version": "HTTP/1.1",
        "headers": [["content-type", "text/event-stream"]],
        "size": len(answer),
        "sha256": sha256(answer).hexdigest(),
        "times": {"headers_ms": 100.0, "first_byte_ms": 110.0, "first_content_ms": 240.0, "end_ms": 900.0},
        "state": "complete",
        "at": [[110.0, half], [900.0, len(answer) - half]],
        **(body_fields(answer) if content else {}),
    }


REFUSED = {
    "body": request([ASK]),
    "answer": b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
    "status": 529,
    "headers": HEADERS,
    "error": "Overloaded",
    "error_type": "overloaded_error",
    "step": 1,
}


def whole_run() -> list[dict[str, Any]]:
    """A refused attempt, the call again, the call after its tool, and one that never ended."""
    answer = [{"type": "text", "text": "The disk is full."}]
    return [
        {**REFUSED, "at": 0},
        {"at": 2, "body": request([ASK]), "answer": stream(CALL, "tool_use"), "step": 1},
        {"at": 5, "body": request(HISTORY), "answer": stream(answer, cache_read_input_tokens=300), "step": 3},
        {"at": 9, "body": request([*HISTORY, {"role": "assistant", "content": "The disk is full."}])},
    ]
