"""Gemini's generateContent and streamGenerateContent: one document, events, or one array in pieces."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tests.provider._facts import Asked, Piece, Reply, Truth, as_json, sse
from tests.provider.apis._api import Api

if TYPE_CHECKING:
    from tests.provider._behaviours import Marks
    from tests.provider._facts import Answer

__all__ = ["API"]

_STOPS = {"end": "STOP", "tools": "STOP", "length": "MAX_TOKENS"}
_ERRORS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}
_PATH = re.compile(r"/models/([^/:]+):(generateContent|streamGenerateContent)$")


def _get(parts: dict[str, Any], camel: str) -> Any:
    snake = re.sub("([A-Z])", lambda found: "_" + found.group(1).lower(), camel)
    return parts.get(camel, parts.get(snake))


def _read(path: str, body: dict[str, Any]) -> Asked:
    found = _PATH.search(path.partition("?")[0])
    assert found is not None
    results, prompt = 0, ""
    for content in body.get("contents", []):
        if content.get("role", "user") == "model":
            continue
        answers = sum(_get(part, "functionResponse") is not None for part in content["parts"])
        results = results + answers if answers else 0
        prompt += "".join(part.get("text") or "" for part in content["parts"])
    tools = []
    for tool in body.get("tools") or []:
        for declared in _get(tool, "functionDeclarations") or []:
            schema = _get(declared, "parametersJsonSchema") or declared.get("parameters") or {}
            tools.append((declared["name"], schema))
    return Asked(
        found.group(1), found.group(2) == "streamGenerateContent", tools, results, prompt, body, path
    )


def _usage(answer: Answer) -> dict[str, Any]:
    told = answer.usage
    return {
        "promptTokenCount": told.input,
        "cachedContentTokenCount": told.cache_read,
        "candidatesTokenCount": told.output - told.reasoning,
        "thoughtsTokenCount": told.reasoning,
        "totalTokenCount": told.input + told.output,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": told.input}],
        "trafficType": "ON_DEMAND",
    }


def _item(answer: Answer, parts: list[dict[str, Any]], *, is_last: bool) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    usage = _usage(answer)
    if is_last:
        candidate["finishReason"] = _STOPS[answer.stop]
    else:  # what is known before the end; the last one counts
        usage = {"promptTokenCount": usage["promptTokenCount"], "candidatesTokenCount": 1}
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": answer.model,
        "responseId": answer.id,
    }


def _parts(answer: Answer) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    if answer.thinking:
        parts.append({"text": answer.thinking, "thought": True})
    parts += [{"text": word} for word in answer.words if word]
    parts += [
        {"functionCall": {"name": call.name, "args": call.arguments}, "thoughtSignature": "c2lnbmVk"}
        for call in answer.calls
    ]
    return parts


def _reply(asked: Asked, answer: Answer, marks: Marks) -> Reply:
    truth = Truth(
        api="gemini.generate_content",
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
        tier="ON_DEMAND",
    )
    parts = _parts(answer)
    if not asked.is_streamed:
        whole = _item(answer, parts, is_last=True)
        if answer.text:
            said = [part for part in parts if "functionCall" in part or part.get("thought")]
            whole["candidates"][0]["content"]["parts"] = [*said, {"text": answer.text}]
        return Reply("application/json; charset=UTF-8", [Piece(as_json(whole))], truth)
    items = [
        (_item(answer, [part], is_last=place == len(parts)), "text" in part and not part.get("thought"))
        for place, part in enumerate(parts, 1)
    ]
    more = _item(answer, [{"text": "and on "}], is_last=False)
    error, error_type = _error(503)
    if "alt=sse" in asked.path:
        return Reply(
            "text/event-stream",
            [Piece(sse(item), is_text) for item, is_text in items],
            truth,
            is_streamed=True,
            more=Piece(sse(more), is_text=True),
            failure=Piece(sse(error)),
            failure_type=error_type,
        )
    pieces = [
        Piece((b"[" if not place else b",\r\n") + as_json(item), is_text)
        for place, (item, is_text) in enumerate(items)
    ]
    return Reply(
        "application/json; charset=UTF-8",
        [*pieces, Piece(b"]")],
        truth,
        is_streamed=True,
        more=Piece(b",\r\n" + as_json(more), is_text=True),
        failure=Piece(b",\r\n" + as_json(error) + b"]"),
        failure_type=error_type,
    )


def _error(status: int) -> tuple[dict[str, Any], str]:
    kind = _ERRORS.get(status, "INTERNAL")
    return {"error": {"code": status, "message": f"Refused with {status}", "status": kind}}, kind


API = Api("gemini.generate_content", _PATH, _read, _reply, _error, gives_ids=False)
