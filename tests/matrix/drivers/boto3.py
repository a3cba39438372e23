"""boto3's Bedrock runtime: Converse and InvokeModel, plain and streamed. It has no async form."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.matrix.drivers import anthropic
from tests.matrix.drivers._driver import SCHEMAS, Ask, Driver, Reply, Told, ToolUse, converse, is_installed

if TYPE_CHECKING:
    from tests.matrix.drivers._driver import Form

__all__ = ["drivers"]


def _client(ask: Ask) -> Any:
    import boto3

    return boto3.client(
        "bedrock-runtime",
        endpoint_url=ask.url,
        region_name="us-east-1",
        aws_access_key_id="none",
        aws_secret_access_key="none",
    )


def _begin(ask: Ask) -> dict[str, Any]:
    request: dict[str, Any] = {
        "modelId": ask.model,
        "messages": [{"role": "user", "content": [{"text": ask.prompt}]}],
    }
    if ask.with_tools:
        request["toolConfig"] = {
            "tools": [
                {"toolSpec": {"name": name, "description": told, "inputSchema": {"json": schema}}}
                for name, (told, schema) in SCHEMAS.items()
            ]
        }
    return request


def _proceed(request: dict[str, Any], reply: Reply, results: list[tuple[ToolUse, str]]) -> dict[str, Any]:
    blocks = [
        {"toolResult": {"toolUseId": call.id, "content": [{"text": result}]}} for call, result in results
    ]
    answered = [{"role": "assistant", "content": reply.message}, {"role": "user", "content": blocks}]
    return {**request, "messages": request["messages"] + answered}


def _reply(content: list[dict[str, Any]], usage: dict[str, Any]) -> Reply:
    text = "".join(block.get("text", "") for block in content)
    uses = [block["toolUse"] for block in content if "toolUse" in block]
    calls = [ToolUse(use["toolUseId"], use["name"], use["input"]) for use in uses]
    return Reply(text, calls, content, (usage["inputTokens"], usage["outputTokens"]))


def _joined(ask: Ask, stream: Any) -> Reply:
    blocks: dict[int, dict[str, Any]] = {}
    usage: dict[str, Any] = {}
    for event in stream:
        if "contentBlockStart" in event:
            told = event["contentBlockStart"]
            blocks[told["contentBlockIndex"]] = {"toolUse": {**told["start"]["toolUse"], "input": ""}}
        elif "contentBlockDelta" in event:
            told = event["contentBlockDelta"]
            if "text" in told["delta"]:
                ask.on_text(told["delta"]["text"])
                block = blocks.setdefault(told["contentBlockIndex"], {"text": ""})
                block["text"] += told["delta"]["text"]
            elif "toolUse" in told["delta"]:
                blocks[told["contentBlockIndex"]]["toolUse"]["input"] += told["delta"]["toolUse"]["input"]
        elif "metadata" in event:
            usage = event["metadata"]["usage"]
    for block in blocks.values():
        if "toolUse" in block:
            block["toolUse"]["input"] = json.loads(block["toolUse"]["input"])
    return _reply(list(blocks.values()), usage)


def _converse(form: Form, ask: Ask) -> Told:
    client = _client(ask)

    def send(request: dict[str, Any]) -> Reply:
        if form == "stream":
            return _joined(ask, client.converse_stream(**request)["stream"])
        response = client.converse(**request)
        return _reply(response["output"]["message"]["content"], response["usage"])

    try:
        return converse(_begin(ask), _proceed, send)
    finally:
        client.close()


def _invoke_reply(message: dict[str, Any]) -> Reply:
    text = "".join(block["text"] for block in message["content"] if block["type"] == "text")
    calls = [
        ToolUse(block["id"], block["name"], block["input"])
        for block in message["content"]
        if block["type"] == "tool_use"
    ]
    tokens = (message["usage"]["input_tokens"], message["usage"]["output_tokens"])
    return Reply(text, calls, message["content"], tokens)


def _invoke_joined(ask: Ask, stream: Any) -> Reply:
    message: dict[str, Any] = {}
    for event in stream:
        data = json.loads(event["chunk"]["bytes"])
        kind = data["type"]
        if kind == "message_start":
            message = data["message"]
        elif kind == "content_block_start":
            message["content"].append({**data["content_block"], "parts": ""})
        elif kind == "content_block_delta":
            block = message["content"][data["index"]]
            if data["delta"]["type"] == "text_delta":
                ask.on_text(data["delta"]["text"])
                block["text"] += data["delta"]["text"]
            else:
                block["parts"] += data["delta"].get("partial_json", "")
        elif kind == "message_delta":
            message["usage"] |= data["usage"]
    for block in message["content"]:
        parts = block.pop("parts")
        if block["type"] == "tool_use":
            block["input"] = json.loads(parts)
    return _invoke_reply(message)


def _invoke(form: Form, ask: Ask) -> Told:
    client = _client(ask)

    def send(request: dict[str, Any]) -> Reply:
        told = {key: value for key, value in request.items() if key != "model"}
        body = json.dumps({"anthropic_version": "bedrock-2023-05-31", **told})
        if form == "stream":
            response = client.invoke_model_with_response_stream(modelId=ask.model, body=body)
            return _invoke_joined(ask, response["body"])
        response = client.invoke_model(modelId=ask.model, body=body)
        return _invoke_reply(json.loads(response["body"].read()))

    try:
        return converse(anthropic.begin(ask), anthropic.proceed, send)
    finally:
        client.close()


def drivers() -> list[Driver]:
    """Return those this environment has."""
    if not is_installed("boto3"):
        return []
    found: list[Driver] = []
    forms: tuple[Form, ...] = ("plain", "stream")
    for form in forms:

        def add(api: str, run: Any, form: Form = form) -> None:
            found.append(Driver("boto3", "boto3", "urllib3", f"bedrock.{api}", "sync", form, run))

        add("converse", lambda ask, form=form: _converse(form, ask))
        add("invoke_model", lambda ask, form=form: _invoke(form, ask))
    return found
