"""OpenAI's Chat Completions, and the dialects of those who speak it too.

The dialect follows from the path: ``/groq/``, ``/mistral/``, ``/openrouter/``, ``/vllm/``, ``/deepseek/``,
``/xai/``, and Azure's ``/openai/deployments/NAME/``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tests.provider._facts import Asked, Piece, Reply, Truth, as_json, sse
from tests.provider.apis._api import Api

if TYPE_CHECKING:
    from tests.provider._behaviours import Marks
    from tests.provider._facts import Answer

__all__ = ["API"]

_DIALECT = re.compile(r"/(groq|mistral|openrouter|vllm|deepseek|xai)/|/openai/(deployments)/")
_STOPS = {"end": "stop", "tools": "tool_calls", "length": "length"}
_ERRORS = {401: "invalid_request_error", 429: "rate_limit_exceeded"}


def _dialect(path: str) -> str:
    found = _DIALECT.search(path)
    return "openai" if found is None else found.group(1) or "azure"


def _read(path: str, body: dict[str, Any]) -> Asked:
    results, prompt = 0, ""
    for message in body.get("messages", []):
        content = message.get("content") or ""
        said = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
        # smolagents tells the model of a result in a user's words.
        if message["role"] == "tool" or said.startswith("Observation:"):
            results += 1
        elif message["role"] == "user":
            results, prompt = 0, prompt + said
    tools = [
        (tool["function"]["name"], tool["function"].get("parameters") or {})
        for tool in body.get("tools") or []
    ]
    model = body.get("model") or path.partition("/deployments/")[2].partition("/")[0]
    return Asked(model, bool(body.get("stream")), tools, results, prompt, body, path)


def _usage(answer: Answer, dialect: str) -> dict[str, Any]:
    told = answer.usage
    usage: dict[str, Any] = {
        "prompt_tokens": told.input,
        "completion_tokens": told.output,
        "total_tokens": told.input + told.output,
        "prompt_tokens_details": {"cached_tokens": told.cache_read},
    }
    if dialect != "mistral":
        usage["completion_tokens_details"] = {"reasoning_tokens": told.reasoning}
    if dialect == "openai":
        usage["prompt_tokens_details"]["cache_write_tokens"] = told.cache_write
    elif dialect == "groq":
        usage |= {"queue_time": 0.01, "prompt_time": 0.02, "completion_time": 0.03, "total_time": 0.05}
    elif dialect == "openrouter":
        usage |= {"cost": 0.00123, "is_byok": False, "cost_details": {"upstream_inference_cost": None}}
    elif dialect == "deepseek":
        usage |= {
            "prompt_cache_hit_tokens": told.cache_read,
            "prompt_cache_miss_tokens": told.input - told.cache_read,
        }
    elif dialect == "xai":
        usage["num_sources_used"] = 0
    return usage


def _tool_calls(answer: Answer) -> list[dict[str, Any]]:
    return [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": as_json(call.arguments).decode()},
        }
        for call in answer.calls
    ]


def _common(answer: Answer, dialect: str, kind: str) -> dict[str, Any]:
    prefix = "gen" if dialect == "openrouter" else "chatcmpl"
    common: dict[str, Any] = {
        "id": f"{prefix}-{answer.id}",
        "object": kind,
        "created": 1700000000,
        "model": answer.model,
        "choices": [],
    }
    if dialect in {"openai", "azure"}:
        common |= {"service_tier": "default", "system_fingerprint": "fp_1"}
    elif dialect == "openrouter":
        common["provider"] = "Anthropic"
    return common


def _reasoning_key(dialect: str) -> str:
    return "reasoning" if dialect in {"groq", "openrouter"} else "reasoning_content"


def _truth(answer: Answer, usage: dict[str, Any] | None, dialect: str, request_id: str) -> Truth:
    truth = Truth(
        api="openai.chat",
        model=answer.model,
        text=answer.text,
        thinking=answer.thinking,
        calls=answer.calls,
        stop_reason=_STOPS[answer.stop],
        usage=usage,
        request_id=request_id,
        tier="default" if dialect in {"openai", "azure"} else None,
    )
    if usage is not None:
        truth.input_tokens, truth.output_tokens = answer.usage.input, answer.usage.output
        truth.cache_read_tokens = answer.usage.cache_read
        truth.cache_write_tokens = answer.usage.cache_write if dialect == "openai" else None
        truth.reasoning_tokens = None if dialect == "mistral" else answer.usage.reasoning
    return truth


def _reply(asked: Asked, answer: Answer, marks: Marks) -> Reply:
    dialect = _dialect(asked.path)
    request_id = f"req_{answer.id}"
    headers = [("x-request-id", request_id)]
    usage = None if marks.has("no-usage") else _usage(answer, dialect)
    if asked.is_streamed:
        options = asked.body.get("stream_options") or {}
        # Mistral and Groq count a stream unasked.
        if not options.get("include_usage") and dialect not in {"mistral", "groq"}:
            usage = None
        return _streamed(answer, usage, dialect, _truth(answer, usage, dialect, request_id), headers)
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None, "refusal": None}
    if answer.calls:
        message["tool_calls"] = _tool_calls(answer)
    if answer.thinking:
        message[_reasoning_key(dialect)] = answer.thinking
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _STOPS[answer.stop]}
    body = {**_common(answer, dialect, "chat.completion"), "choices": [choice]}
    if usage is not None:
        body["usage"] = usage
    if dialect == "groq":
        body["x_groq"] = {"id": request_id}
    truth = _truth(answer, usage, dialect, request_id)
    return Reply("application/json", [Piece(as_json(body))], truth, headers)


def _streamed(
    answer: Answer,
    usage: dict[str, Any] | None,
    dialect: str,
    truth: Truth,
    headers: list[tuple[str, str]],
) -> Reply:
    common = _common(answer, dialect, "chat.completion.chunk")

    def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return sse({**common, "choices": [choice], **more})

    pieces: list[Piece] = []
    if dialect == "azure":  # the verdict on the prompt comes first
        verdict = [{"prompt_index": 0, "content_filter_results": {}}]
        pieces.append(Piece(sse({**common, "model": "", "prompt_filter_results": verdict})))
    first: dict[str, Any] = {"x_groq": {"id": truth.request_id}} if dialect == "groq" else {}
    pieces.append(Piece(chunk({"role": "assistant", "content": ""}, **first)))
    if answer.thinking:
        half = len(answer.thinking) // 2
        for part in (answer.thinking[:half], answer.thinking[half:]):
            pieces.append(Piece(chunk({_reasoning_key(dialect): part})))
    if answer.text:
        pieces += [Piece(chunk({"content": word}), is_text=True) for word in answer.words]
    for index, call in enumerate(_tool_calls(answer)):
        written = call["function"]["arguments"]
        if dialect == "mistral":  # whole at once
            pieces.append(Piece(chunk({"tool_calls": [{"index": index, **call}]})))
            continue
        begun = {"index": index, **call, "function": {"name": call["function"]["name"], "arguments": ""}}
        pieces.append(Piece(chunk({"tool_calls": [begun]})))
        for part in (written[:5], written[5:]):
            delta = {"index": index, "function": {"arguments": part}}
            pieces.append(Piece(chunk({"tool_calls": [delta]})))
    last: dict[str, Any] = {}
    if dialect == "mistral" and usage is not None:
        last = {"usage": usage}
    elif dialect == "groq" and usage is not None:
        last = {"x_groq": {"id": truth.request_id, "usage": usage}}
    pieces.append(Piece(chunk({}, _STOPS[answer.stop], **last)))
    if usage is not None and not last:
        pieces.append(Piece(sse({**common, "usage": usage})))
    pieces.append(Piece(sse(b"[DONE]")))
    error, error_type = _error(500)
    return Reply(
        "text/event-stream; charset=utf-8",
        pieces,
        truth,
        headers,
        is_streamed=True,
        more=Piece(chunk({"content": "and on "}), is_text=True),
        failure=Piece(sse(error)),
        failure_type=error_type,
    )


def _error(status: int) -> tuple[dict[str, Any], str]:
    kind = _ERRORS.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": f"Refused with {status}", "type": kind, "param": None, "code": None}}, kind


API = Api("openai.chat", re.compile(r"/chat/completions$"), _read, _reply, _error)
