"""Gemini's Interactions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tests.provider._facts import Asked, Piece, Reply, Truth, as_json, sse
from tests.provider.apis._api import Api

if TYPE_CHECKING:
    from tests.provider._behaviours import Marks
    from tests.provider._facts import Answer

__all__ = ["API"]

_STOPS = {"end": "completed", "tools": "requires_action", "length": "incomplete"}


def _read(path: str, body: dict[str, Any]) -> Asked:
    told = body.get("input") or []
    steps = told if isinstance(told, list) else [told]
    results, prompt = 0, ""
    for step in steps:
        if isinstance(step, str):
            results, prompt = 0, prompt + step
        elif step.get("type") == "function_result":
            results += 1
        elif step.get("type") == "user_input":
            results = 0
            prompt += "".join(part.get("text", "") for part in step.get("content") or [])
    tools = [
        (tool["name"], tool.get("parameters") or {})
        for tool in body.get("tools") or []
        if tool.get("type") == "function"
    ]
    return Asked(body["model"], bool(body.get("stream")), tools, results, prompt, body, path)


def _usage(answer: Answer) -> dict[str, Any]:
    told = answer.usage
    return {
        "total_input_tokens": told.input,
        "total_cached_tokens": told.cache_read,
        "total_output_tokens": told.output - told.reasoning,
        "total_thought_tokens": told.reasoning,
        "total_tokens": told.input + told.output,
        "total_tool_use_tokens": 0,
    }


def _steps(answer: Answer) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = []
    if answer.thinking:
        summary = [{"type": "text", "text": answer.thinking}]
        steps.append({"type": "thought", "signature": "c2lnbmVk", "summary": summary})
    if answer.text:
        steps.append({"type": "model_output", "content": [{"type": "text", "text": answer.text}]})
    steps += [
        {"type": "function_call", "id": call.id, "name": call.name, "arguments": call.arguments}
        for call in answer.calls
    ]
    return steps


def _body(answer: Answer) -> dict[str, Any]:
    return {
        "id": answer.id,
        "object": "interaction",
        "model": answer.model,
        "status": _STOPS[answer.stop],
        "role": "model",
        "created": "2026-01-01T00:00:00Z",
        "updated": "2026-01-01T00:00:01Z",
        "steps": _steps(answer),
        "usage": _usage(answer),
    }


def _events(answer: Answer) -> list[tuple[dict[str, Any], bool]]:
    whole = _body(answer)
    begun = {key: whole[key] for key in whole if key not in {"steps", "usage"}} | {"status": "in_progress"}
    events: list[tuple[dict[str, Any], bool]] = [
        ({"event_type": "interaction.created", "interaction": begun}, False)
    ]
    for index, step in enumerate(whole["steps"]):
        deltas: list[tuple[dict[str, Any], bool]]
        if step["type"] == "thought":
            start: dict[str, Any] = {"type": "thought"}
            said = {"type": "text", "text": answer.thinking}
            deltas = [
                ({"type": "thought_summary", "content": said}, False),
                ({"type": "thought_signature", "signature": step["signature"]}, False),
            ]
        elif step["type"] == "model_output":
            start = {"type": "model_output"}
            deltas = [({"type": "text", "text": word}, True) for word in answer.words]
        else:
            start = {**step, "arguments": {}}
            written = as_json(step["arguments"]).decode()
            deltas = [
                ({"type": "arguments_delta", "arguments": part}, False) for part in (written[:5], written[5:])
            ]
        events.append(({"event_type": "step.start", "index": index, "step": start}, False))
        events += [
            ({"event_type": "step.delta", "index": index, "delta": delta}, is_text)
            for delta, is_text in deltas
        ]
        events.append(({"event_type": "step.stop", "index": index}, False))
    # The end repeats the whole without what was streamed.
    ended = {key: whole[key] for key in whole if key != "steps"}
    events.append(({"event_type": "interaction.completed", "interaction": ended}, False))
    return events


def _reply(asked: Asked, answer: Answer, marks: Marks) -> Reply:
    truth = Truth(
        api="gemini.interactions",
        model=answer.model,
        text=answer.text,
        thinking=answer.thinking,
        calls=answer.calls,
        stop_reason=_STOPS[answer.stop],
        input_tokens=answer.usage.input,
        output_tokens=answer.usage.output,
        cache_read_tokens=answer.usage.cache_read,
        reasoning_tokens=answer.usage.reasoning,
        usage=_usage(answer),
        request_id=answer.id,
    )
    if not asked.is_streamed:
        return Reply("application/json", [Piece(as_json(_body(answer)))], truth)
    more = {"event_type": "step.delta", "index": 0, "delta": {"type": "text", "text": "and on "}}
    error = {"event_type": "error", "error": {"code": "server_error", "message": "Refused with 500"}}
    return Reply(
        "text/event-stream",
        [
            *(Piece(sse(data, data["event_type"]), is_text) for data, is_text in _events(answer)),
            Piece(sse(b"[DONE]", "done")),
        ],
        truth,
        is_streamed=True,
        more=Piece(sse(more, "step.delta"), is_text=True),
        failure=Piece(sse(error, "error")),
        failure_type="server_error",
    )


def _error(status: int) -> tuple[dict[str, Any], str]:
    kind = "invalid_request" if status < 500 else "server_error"
    return {"error": {"code": kind, "message": f"Refused with {status}"}}, kind


API = Api("gemini.interactions", re.compile(r"/interactions$"), _read, _reply, _error)
