"""Bedrock's Converse, ConverseStream, InvokeModel and InvokeModelWithResponseStream.

InvokeModel carries the model's own API: here Anthropic's Messages.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tests.provider._eventstream import frame
from tests.provider._facts import Asked, Piece, Reply, Truth, as_json
from tests.provider.apis import anthropic
from tests.provider.apis._api import Api

if TYPE_CHECKING:
    from tests.provider._behaviours import Marks
    from tests.provider._facts import Answer

__all__ = ["APIS"]

_EVENT_STREAM = "application/vnd.amazon.eventstream"
_STOPS = {"end": "end_turn", "tools": "tool_use", "length": "max_tokens"}
_ERRORS = {400: "ValidationException", 429: "ThrottlingException", 503: "ServiceUnavailableException"}
_CONVERSE = re.compile(r"/model/([^/]+)/(converse|converse-stream)$")
_INVOKE = re.compile(r"/model/([^/]+)/(invoke|invoke-with-response-stream)$")


def _model(pattern: re.Pattern[str], path: str) -> tuple[str, bool]:
    found = pattern.search(path.partition("?")[0])
    assert found is not None
    return unquote(found.group(1)), "stream" in found.group(2)


def _read_converse(path: str, body: dict[str, Any]) -> Asked:
    results, prompt = 0, ""
    for message in body.get("messages", []):
        if message["role"] != "user":
            continue
        answers = sum("toolResult" in block for block in message["content"])
        results = results + answers if answers else 0
        prompt += "".join(block.get("text", "") for block in message["content"])
    tools = [
        (tool["toolSpec"]["name"], tool["toolSpec"]["inputSchema"]["json"])
        for tool in (body.get("toolConfig") or {}).get("tools", [])
        if "toolSpec" in tool
    ]
    model, is_streamed = _model(_CONVERSE, path)
    return Asked(model, is_streamed, tools, results, prompt, body, path)


def _read_invoke(path: str, body: dict[str, Any]) -> Asked:
    model, is_streamed = _model(_INVOKE, path)
    return anthropic.read_messages(path, body, model=model, is_streamed=is_streamed)


def _event(name: str, payload: dict[str, Any]) -> bytes:
    headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    return frame(headers, as_json(payload))


def _exception() -> Piece:
    headers = {
        ":exception-type": "throttlingException",
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return Piece(frame(headers, as_json({"message": "Refused with 429"})))


def _usage(answer: Answer) -> dict[str, Any]:
    told = answer.usage
    return {
        "inputTokens": told.uncached,
        "outputTokens": told.output,
        "totalTokens": told.input + told.output,
        "cacheReadInputTokens": told.cache_read,
        "cacheWriteInputTokens": told.cache_write,
    }


def _blocks(answer: Answer) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if answer.thinking:
        text = {"text": answer.thinking, "signature": "c2lnbmVk"}
        blocks.append({"reasoningContent": {"reasoningText": text}})
    if answer.text:
        blocks.append({"text": answer.text})
    blocks += [
        {"toolUse": {"toolUseId": call.id, "name": call.name, "input": call.arguments}}
        for call in answer.calls
    ]
    return blocks


def _stream(answer: Answer) -> list[Piece]:
    pieces = [Piece(_event("messageStart", {"role": "assistant"}))]
    for index, block in enumerate(_blocks(answer)):
        deltas: list[dict[str, Any]]
        if "text" in block:
            deltas = [{"text": word} for word in answer.words]
        elif "toolUse" in block:
            start = {key: block["toolUse"][key] for key in ("toolUseId", "name")}
            begun = {"contentBlockIndex": index, "start": {"toolUse": start}}
            pieces.append(Piece(_event("contentBlockStart", begun)))
            written = as_json(block["toolUse"]["input"]).decode()
            deltas = [{"toolUse": {"input": part}} for part in (written[:5], written[5:])]
        else:
            deltas = [
                {"reasoningContent": {"text": answer.thinking}},
                {"reasoningContent": {"signature": "c2lnbmVk"}},
            ]
        pieces += [
            Piece(_event("contentBlockDelta", {"contentBlockIndex": index, "delta": delta}), "text" in delta)
            for delta in deltas
        ]
        pieces.append(Piece(_event("contentBlockStop", {"contentBlockIndex": index})))
    pieces.append(Piece(_event("messageStop", {"stopReason": _STOPS[answer.stop]})))
    metadata = {
        "usage": _usage(answer),
        "metrics": {"latencyMs": 321},
        "serviceTier": {"type": "default"},
    }
    pieces.append(Piece(_event("metadata", metadata)))
    return pieces


def _reply_converse(asked: Asked, answer: Answer, marks: Marks) -> Reply:
    headers = [("x-amzn-requestid", f"req_{answer.id}")]
    truth = Truth(
        api="bedrock.converse",
        model=asked.model,
        text=answer.text,
        thinking=answer.thinking,
        calls=answer.calls,
        stop_reason=_STOPS[answer.stop],
        input_tokens=answer.usage.input,
        output_tokens=answer.usage.output,
        cache_read_tokens=answer.usage.cache_read,
        cache_write_tokens=answer.usage.cache_write,
        usage=_usage(answer),
        request_id=f"req_{answer.id}",
        tier="default",
    )
    if asked.is_streamed:
        more = {"contentBlockIndex": 0, "delta": {"text": "and on "}}
        return Reply(
            _EVENT_STREAM,
            _stream(answer),
            truth,
            headers,
            is_streamed=True,
            more=Piece(_event("contentBlockDelta", more), is_text=True),
            failure=_exception(),
            failure_type="throttlingException",
        )
    body = {
        "metrics": {"latencyMs": 321},
        "output": {"message": {"content": _blocks(answer), "role": "assistant"}},
        "serviceTier": {"type": "default"},
        "stopReason": _STOPS[answer.stop],
        "usage": _usage(answer),
    }
    return Reply("application/json", [Piece(as_json(body))], truth, headers)


def _reply_invoke(asked: Asked, answer: Answer, marks: Marks) -> Reply:
    truth = anthropic.truth_of(answer)
    truth.api = "bedrock.invoke_model"
    headers = [
        ("x-amzn-requestid", f"req_{answer.id}"),
        ("x-amzn-bedrock-invocation-latency", "321"),
        ("x-amzn-bedrock-input-token-count", str(answer.usage.uncached)),
        ("x-amzn-bedrock-output-token-count", str(answer.usage.output)),
    ]
    if not asked.is_streamed:
        return Reply("application/json", [Piece(as_json(anthropic.body_of(answer)))], truth, headers)
    events = anthropic.events_of(answer)
    metrics = {
        "inputTokenCount": answer.usage.uncached,
        "outputTokenCount": answer.usage.output,
        "invocationLatency": 321,
        "firstByteLatency": 123,
    }
    events[-1][0]["amazon-bedrock-invocationMetrics"] = metrics
    more = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "and on "}}
    return Reply(
        _EVENT_STREAM,
        [Piece(_wrapped(data), is_text) for data, is_text in events],
        truth,
        headers[:2],
        is_streamed=True,
        more=Piece(_wrapped(more), is_text=True),
        failure=_exception(),
        failure_type="throttlingException",
    )


def _wrapped(data: dict[str, Any]) -> bytes:
    return _event("chunk", {"bytes": base64.b64encode(as_json(data)).decode(), "p": "abcdef"})


def _error(status: int) -> tuple[dict[str, Any], str]:
    return {"message": f"Refused with {status}"}, _ERRORS.get(status, "InternalServerException")


APIS = (
    Api("bedrock.converse", _CONVERSE, _read_converse, _reply_converse, _error),
    Api("bedrock.invoke_model", _INVOKE, _read_invoke, _reply_invoke, _error),
)
