"""OpenAI's Responses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tests.provider._facts import Asked, Piece, Reply, Truth, as_json, sse
from tests.provider.apis._api import Api

if TYPE_CHECKING:
    from tests.provider._behaviours import Marks
    from tests.provider._facts import Answer

__all__ = ["API"]


def _read(path: str, body: dict[str, Any]) -> Asked:
    told = body.get("input") or []
    items = [{"role": "user", "content": told}] if isinstance(told, str) else told
    results, prompt = 0, ""
    for item in items:
        if item.get("type") == "function_call_output":
            results += 1
        elif item.get("role") == "user":
            content = item["content"]
            said = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
            results, prompt = 0, prompt + said
    tools = [
        (tool["name"], tool.get("parameters") or {})
        for tool in body.get("tools") or []
        if tool.get("type") == "function"
    ]
    return Asked(body["model"], bool(body.get("stream")), tools, results, prompt, body, path)


def _usage(answer: Answer) -> dict[str, Any]:
    told = answer.usage
    return {
        "input_tokens": told.input,
        "input_tokens_details": {"cached_tokens": told.cache_read, "cache_write_tokens": told.cache_write},
        "output_tokens": told.output,
        "output_tokens_details": {"reasoning_tokens": told.reasoning},
        "total_tokens": told.input + told.output,
    }


def _items(answer: Answer) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if answer.thinking:
        summary = [{"type": "summary_text", "text": answer.thinking}]
        items.append({"id": f"rs_{answer.id}", "type": "reasoning", "summary": summary})
    if answer.text:
        part = {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []}
        items.append(
            {
                "id": f"msg_{answer.id}",
                "type": "message",
                "status": "completed",
                "role": "assistant",
                "content": [part],
            }
        )
    items += [
        {
            "id": f"fc_{call.id}",
            "type": "function_call",
            "status": "completed",
            "call_id": call.id,
            "name": call.name,
            "arguments": as_json(call.arguments).decode(),
        }
        for call in answer.calls
    ]
    return items


def _body(asked: Asked, answer: Answer) -> dict[str, Any]:
    is_cut = answer.stop == "length"
    return {
        "id": answer.id,
        "object": "response",
        "created_at": 1700000000,
        "status": "incomplete" if is_cut else "completed",
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
        "instructions": asked.body.get("instructions"),
        "metadata": {},
        "model": answer.model,
        "output": _items(answer),
        "parallel_tool_calls": True,
        "previous_response_id": asked.body.get("previous_response_id"),
        "service_tier": "default",
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": _usage(answer),
    }


def _events(asked: Asked, answer: Answer) -> list[tuple[dict[str, Any], bool]]:
    whole = _body(asked, answer)
    begun = {**whole, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    events: list[tuple[dict[str, Any], bool]] = []

    def add(kind: str, is_text: bool = False, **more: Any) -> None:
        events.append(({"type": kind, "sequence_number": len(events), **more}, is_text))

    add("response.created", response=begun)
    add("response.in_progress", response=begun)
    for index, item in enumerate(whole["output"]):
        place = {"item_id": item["id"], "output_index": index}
        if item["type"] == "message":
            add("response.output_item.added", output_index=index, item={**item, "content": []})
            (part,) = item["content"]
            here = {**place, "content_index": 0}
            add("response.content_part.added", **here, part={**part, "text": ""})
            for word in answer.words:
                add("response.output_text.delta", is_text=True, **here, delta=word, logprobs=[])
            add("response.output_text.done", **here, text=answer.text, logprobs=[])
            add("response.content_part.done", **here, part=part)
        elif item["type"] == "reasoning":
            add("response.output_item.added", output_index=index, item={**item, "summary": []})
            here = {**place, "summary_index": 0}
            part = item["summary"][0]
            add("response.reasoning_summary_part.added", **here, part={**part, "text": ""})
            half = len(answer.thinking) // 2
            for said in (answer.thinking[:half], answer.thinking[half:]):
                add("response.reasoning_summary_text.delta", **here, delta=said)
            add("response.reasoning_summary_text.done", **here, text=answer.thinking)
            add("response.reasoning_summary_part.done", **here, part=part)
        else:
            add("response.output_item.added", output_index=index, item={**item, "arguments": ""})
            written = item["arguments"]
            for said in (written[:5], written[5:]):
                add("response.function_call_arguments.delta", **place, delta=said)
            done = {"name": item["name"], "arguments": written}
            add("response.function_call_arguments.done", **place, **done)
        add("response.output_item.done", output_index=index, item=item)
    add(f"response.{whole['status']}", response=whole)
    return events


def _reply(asked: Asked, answer: Answer, marks: Marks) -> Reply:
    headers = [("x-request-id", f"req_{answer.id}")]
    truth = Truth(
        api="openai.responses",
        model=answer.model,
        text=answer.text,
        thinking=answer.thinking,
        calls=answer.calls,
        stop_reason="max_output_tokens" if answer.stop == "length" else "completed",
        input_tokens=answer.usage.input,
        output_tokens=answer.usage.output,
        cache_read_tokens=answer.usage.cache_read,
        cache_write_tokens=answer.usage.cache_write,
        reasoning_tokens=answer.usage.reasoning,
        usage=_usage(answer),
        request_id=f"req_{answer.id}",
        tier="default",
    )
    if not asked.is_streamed:
        return Reply("application/json", [Piece(as_json(_body(asked, answer)))], truth, headers)
    more: dict[str, Any] = {
        "type": "response.output_text.delta",
        "sequence_number": 99,
        "item_id": f"msg_{answer.id}",
        "output_index": 0,
        "content_index": 0,
        "delta": "and on ",
        "logprobs": [],
    }
    told = {"code": "server_error", "message": "Refused with 500"}
    failed = {**_body(asked, answer), "status": "failed", "error": told, "output": [], "usage": None}
    failure: dict[str, Any] = {"type": "response.failed", "sequence_number": 98, "response": failed}
    return Reply(
        "text/event-stream; charset=utf-8",
        [Piece(sse(data, data["type"]), is_text) for data, is_text in _events(asked, answer)],
        truth,
        headers,
        is_streamed=True,
        more=Piece(sse(more, more["type"]), is_text=True),
        failure=Piece(sse(failure, failure["type"])),
        failure_type="server_error",
    )


def _error(status: int) -> tuple[dict[str, Any], str]:
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return {"error": {"message": f"Refused with {status}", "type": kind, "param": None, "code": None}}, kind


API = Api("openai.responses", re.compile(r"/responses$"), _read, _reply, _error)
