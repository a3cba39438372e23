"""Cohere's Chat, version 2."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tests.provider._facts import Asked, Piece, Reply, Truth, as_json, sse
from tests.provider.apis._api import Api

if TYPE_CHECKING:
    from tests.provider._behaviours import Marks
    from tests.provider._facts import Answer

__all__ = ["API"]

_STOPS = {"end": "COMPLETE", "tools": "TOOL_CALL", "length": "MAX_TOKENS"}


def _read(path: str, body: dict[str, Any]) -> Asked:
    results, prompt = 0, ""
    for message in body.get("messages", []):
        content = message.get("content") or ""
        if message["role"] == "tool":
            results += 1
        elif message["role"] == "user":
            said = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
            results, prompt = 0, prompt + said
    tools = [
        (tool["function"]["name"], tool["function"].get("parameters") or {})
        for tool in body.get("tools") or []
    ]
    return Asked(body["model"], bool(body.get("stream")), tools, results, prompt, body, path)


def _usage(answer: Answer) -> dict[str, Any]:
    told = answer.usage
    return {
        "billed_units": {"input_tokens": told.uncached, "output_tokens": told.output},
        "tokens": {"input_tokens": told.input, "output_tokens": told.output},
        "cached_tokens": told.cache_read,
    }


def _tool_calls(answer: Answer) -> list[dict[str, Any]]:
    return [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": as_json(call.arguments).decode()},
        }
        for call in answer.calls
    ]


def _truth(asked: Asked, answer: Answer) -> Truth:
    return Truth(
        api="cohere.chat",
        model=asked.model,
        text=answer.text,
        thinking=answer.thinking,
        calls=answer.calls,
        stop_reason=_STOPS[answer.stop],
        input_tokens=answer.usage.input,
        output_tokens=answer.usage.output,
        cache_read_tokens=answer.usage.cache_read,
        usage=_usage(answer),
        request_id=answer.id,
    )


def _content(answer: Answer) -> list[dict[str, Any]]:
    content = [{"type": "thinking", "thinking": answer.thinking}] if answer.thinking else []
    return [*content, {"type": "text", "text": answer.text}] if answer.text else content


def _reply(asked: Asked, answer: Answer, marks: Marks) -> Reply:
    if asked.is_streamed:
        return _streamed(asked, answer)
    message: dict[str, Any] = {"role": "assistant"}
    if content := _content(answer):
        message["content"] = content
    if answer.calls:
        message |= {"tool_plan": "I ask.", "tool_calls": _tool_calls(answer)}
    body = {
        "id": answer.id,
        "finish_reason": _STOPS[answer.stop],
        "message": message,
        "usage": _usage(answer),
    }
    return Reply("application/json", [Piece(as_json(body))], _truth(asked, answer))


def _streamed(asked: Asked, answer: Answer) -> Reply:
    pieces: list[Piece] = []

    def add(kind: str, message: dict[str, Any] | None = None, is_text: bool = False, **more: Any) -> None:
        data: dict[str, Any] = {"type": kind, **more}
        if message is not None:
            data["delta"] = {"message": message}
        pieces.append(Piece(sse(data, kind), is_text))

    begun: dict[str, Any] = {
        "role": "assistant",
        "content": [],
        "tool_plan": "",
        "tool_calls": [],
        "citations": [],
    }
    add("message-start", begun, id=answer.id)
    for index, part in enumerate(_content(answer)):
        kind = part["type"]
        add("content-start", {"content": {"type": kind, kind: ""}}, index=index)
        for said in answer.words if kind == "text" else [answer.thinking]:
            add("content-delta", {"content": {kind: said}}, is_text=kind == "text", index=index)
        add("content-end", index=index)
    if answer.calls:
        add("tool-plan-delta", {"tool_plan": "I ask."})
    for index, call in enumerate(_tool_calls(answer)):
        written = call["function"]["arguments"]
        begun = {**call, "function": {"name": call["function"]["name"], "arguments": ""}}
        add("tool-call-start", {"tool_calls": begun}, index=index)
        for part_ in (written[:5], written[5:]):
            add("tool-call-delta", {"tool_calls": {"function": {"arguments": part_}}}, index=index)
        add("tool-call-end", index=index)
    ended = {"finish_reason": _STOPS[answer.stop], "usage": _usage(answer)}
    add("message-end", id=answer.id, delta=ended)
    more = {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "and on "}}}}
    failed = {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "Refused with 500"}}
    return Reply(
        "text/event-stream",
        pieces,
        _truth(asked, answer),
        is_streamed=True,
        more=Piece(sse(more, "content-delta"), is_text=True),
        failure=Piece(sse(failed, "message-end")),
        failure_type="ERROR",
    )


def _error(status: int) -> tuple[dict[str, Any], str]:
    return {"id": "refused", "message": f"Refused with {status}"}, str(status)


API = Api("cohere.chat", re.compile(r"/v2/chat$"), _read, _reply, _error)
