"""Anthropic's Messages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tests.provider._facts import Asked, Piece, Reply, Truth, as_json, sse
from tests.provider.apis._api import Api

if TYPE_CHECKING:
    from tests.provider._behaviours import Marks
    from tests.provider._facts import Answer

__all__ = ["API", "body_of", "events_of", "read_messages", "truth_of"]

_STOPS = {"end": "end_turn", "tools": "tool_use", "length": "max_tokens"}
_ERRORS = {401: "authentication_error", 429: "rate_limit_error", 529: "overloaded_error"}


def _read(path: str, body: dict[str, Any]) -> Asked:
    return read_messages(path, body, model=body["model"], is_streamed=bool(body.get("stream")))


def read_messages(path: str, body: dict[str, Any], *, model: str, is_streamed: bool) -> Asked:
    """Read a body of this API, wherever it was sent."""
    results, prompt = 0, ""
    for message in body.get("messages", []):
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if message["role"] != "user":
            continue
        answers = sum(block["type"] == "tool_result" for block in blocks)
        results = results + answers if answers else 0
        prompt += "".join(block["text"] for block in blocks if block["type"] == "text")
    tools = [(tool["name"], tool.get("input_schema") or {}) for tool in body.get("tools") or []]
    return Asked(model, is_streamed, tools, results, prompt, body, path)


def _usage(answer: Answer) -> dict[str, Any]:
    return {
        "input_tokens": answer.usage.uncached,
        "cache_creation_input_tokens": answer.usage.cache_write,
        "cache_read_input_tokens": answer.usage.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": answer.usage.cache_write,
            "ephemeral_1h_input_tokens": 0,
        },
        "output_tokens": answer.usage.output,
        "output_tokens_details": {"thinking_tokens": answer.usage.reasoning},
        "service_tier": "standard",
    }


def _blocks(answer: Answer) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if answer.thinking:
        blocks.append({"type": "thinking", "thinking": answer.thinking, "signature": "c2lnbmVk"})
    if answer.text:
        blocks.append({"type": "text", "text": answer.text})
    blocks += [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}
        for call in answer.calls
    ]
    return blocks


def body_of(answer: Answer) -> dict[str, Any]:
    """Return the whole message."""
    return {
        "id": f"msg_{answer.id}",
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": _blocks(answer),
        "stop_reason": _STOPS[answer.stop],
        "stop_sequence": None,
        "usage": _usage(answer),
    }


def events_of(answer: Answer) -> list[tuple[dict[str, Any], bool]]:
    """Return the events of the message, and for each whether it brings text."""
    begun = {**_usage(answer), "output_tokens": 1}
    del begun["output_tokens_details"]
    start = {**body_of(answer), "content": [], "stop_reason": None, "usage": begun}
    events: list[tuple[dict[str, Any], bool]] = [
        ({"type": "message_start", "message": start}, False),
        ({"type": "ping"}, False),
    ]
    for index, block in enumerate(_blocks(answer)):
        kind = block["type"]
        if kind == "text":
            empty: dict[str, Any] = {"type": "text", "text": ""}
            deltas = [{"type": "text_delta", "text": word} for word in answer.words]
        elif kind == "thinking":
            empty = {"type": "thinking", "thinking": "", "signature": ""}
            half = len(answer.thinking) // 2
            deltas = [
                {"type": "thinking_delta", "thinking": answer.thinking[:half]},
                {"type": "thinking_delta", "thinking": answer.thinking[half:]},
                {"type": "signature_delta", "signature": block["signature"]},
            ]
        else:
            empty = {**block, "input": {}}
            written = as_json(block["input"]).decode()
            parts = ("", written[:5], written[5:])
            deltas = [{"type": "input_json_delta", "partial_json": part} for part in parts]
        events.append(({"type": "content_block_start", "index": index, "content_block": empty}, False))
        events += [
            ({"type": "content_block_delta", "index": index, "delta": delta}, kind == "text")
            for delta in deltas
        ]
        events.append(({"type": "content_block_stop", "index": index}, False))
    usage = _usage(answer)
    last = {key: usage[key] for key in usage if key not in {"cache_creation", "service_tier"}}
    delta = {"stop_reason": _STOPS[answer.stop], "stop_sequence": None}
    events.append(({"type": "message_delta", "delta": delta, "usage": last}, False))
    events.append(({"type": "message_stop"}, False))
    return events


def truth_of(answer: Answer) -> Truth:
    """Return what is to be seen of it."""
    return Truth(
        api="anthropic.messages",
        model=answer.model,
        text=answer.text,
        thinking=answer.thinking,
        calls=answer.calls,
        stop_reason=_STOPS[answer.stop],
        input_tokens=answer.usage.input,
        output_tokens=answer.usage.output,
        cache_read_tokens=answer.usage.cache_read,
        cache_write_tokens=answer.usage.cache_write,
        reasoning_tokens=answer.usage.reasoning,
        usage=_usage(answer),
        request_id=f"req_{answer.id}",
        tier="standard",
    )


def _reply(asked: Asked, answer: Answer, marks: Marks) -> Reply:
    headers = [("request-id", f"req_{answer.id}")]
    truth = truth_of(answer)
    if not asked.is_streamed:
        return Reply("application/json", [Piece(as_json(body_of(answer)))], truth, headers)
    pieces = [Piece(sse(data, data["type"]), is_text) for data, is_text in events_of(answer)]
    more: dict[str, Any] = {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": "and on "},
    }
    error, error_type = _error(529)
    return Reply(
        "text/event-stream; charset=utf-8",
        pieces,
        truth,
        headers,
        is_streamed=True,
        more=Piece(sse(more, more["type"]), is_text=True),
        failure=Piece(sse(error, "error")),
        failure_type=error_type,
    )


def _error(status: int) -> tuple[dict[str, Any], str]:
    kind = _ERRORS.get(status, "api_error" if status >= 500 else "invalid_request_error")
    error = {"type": kind, "message": f"Refused with {status}"}
    return {"type": "error", "error": error, "request_id": "req_refused"}, kind


API = Api("anthropic.messages", re.compile(r"/messages$"), _read, _reply, _error)
