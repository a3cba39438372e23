"""Ollama's chat and generate: streamed, as lines of JSON, unless told not to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tests.provider._facts import Asked, Piece, Reply, Truth, as_json
from tests.provider.apis._api import Api

if TYPE_CHECKING:
    from tests.provider._behaviours import Marks
    from tests.provider._facts import Answer

__all__ = ["APIS"]

_STOPS = {"end": "stop", "tools": "stop", "length": "length"}


def _read_chat(path: str, body: dict[str, Any]) -> Asked:
    results, prompt = 0, ""
    for message in body.get("messages", []):
        if message["role"] == "tool":
            results += 1
        elif message["role"] == "user":
            results, prompt = 0, prompt + (message.get("content") or "")
    tools = [
        (tool["function"]["name"], tool["function"].get("parameters") or {})
        for tool in body.get("tools") or []
    ]
    return Asked(body["model"], body.get("stream", True), tools, results, prompt, body, path)


def _read_generate(path: str, body: dict[str, Any]) -> Asked:
    return Asked(body["model"], body.get("stream", True), [], 0, body.get("prompt") or "", body, path)


def _counts(answer: Answer) -> dict[str, Any]:
    return {
        "total_duration": 5_000_000_123,
        "load_duration": 1_000_000_456,
        "prompt_eval_count": answer.usage.input,
        "prompt_eval_duration": 200_000_789,
        "eval_count": answer.usage.output,
        "eval_duration": 300_000_012,
    }


def _reply(asked: Asked, answer: Answer, *, is_chat: bool) -> Reply:
    common = {"model": answer.model, "created_at": "2026-01-01T00:00:00Z"}

    def line(text: str, **more: Any) -> dict[str, Any]:
        if not is_chat:
            return {**common, "response": text, **more}
        message = {"role": "assistant", "content": text, **more.pop("message", {})}
        return {**common, "message": message, **more}

    calls: dict[str, Any] = {}
    if answer.calls:
        asked_for = [{"function": {"name": call.name, "arguments": call.arguments}} for call in answer.calls]
        calls = {"message": {"tool_calls": asked_for}}
    last = {"done_reason": _STOPS[answer.stop], "done": True, **_counts(answer)}
    truth = Truth(
        api="ollama.chat" if is_chat else "ollama.generate",
        model=answer.model,
        text=answer.text,
        thinking=answer.thinking,
        calls=answer.calls,
        stop_reason=_STOPS[answer.stop],
        input_tokens=answer.usage.input,
        output_tokens=answer.usage.output,
    )
    thought = {"thinking": answer.thinking} if answer.thinking else {}
    if not asked.is_streamed:
        if is_chat:
            message = {**calls.get("message", {}), **thought}
            whole = line(answer.text, message=message, **last)
        else:
            whole = line(answer.text, **thought, **last)
        return Reply("application/json; charset=utf-8", [Piece(as_json(whole))], truth)
    lines: list[tuple[dict[str, Any], bool]] = []
    if thought:
        lines.append((line("", message=thought) if is_chat else line("", **thought), False))
        lines[-1][0]["done"] = False
    if answer.text:
        lines += [(line(word, done=False), True) for word in answer.words]
    if calls:
        lines.append((line("", done=False, **calls), False))
    lines.append((line("", **last), False))
    return Reply(
        "application/x-ndjson",
        [Piece(as_json(data) + b"\n", is_text) for data, is_text in lines],
        truth,
        is_streamed=True,
        more=Piece(as_json(line("and on ", done=False)) + b"\n", is_text=True),
        failure=Piece(as_json({"error": "Refused with 500"}) + b"\n"),
        failure_type="error",
    )


def _reply_chat(asked: Asked, answer: Answer, marks: Marks) -> Reply:
    return _reply(asked, answer, is_chat=True)


def _reply_generate(asked: Asked, answer: Answer, marks: Marks) -> Reply:
    return _reply(asked, answer, is_chat=False)


def _error(status: int) -> tuple[dict[str, Any], str]:
    return {"error": f"Refused with {status}"}, "error"


APIS = (
    Api("ollama.chat", re.compile(r"/api/chat$"), _read_chat, _reply_chat, _error, gives_ids=False),
    Api("ollama.generate", re.compile(r"/api/generate$"), _read_generate, _reply_generate, _error),
)
