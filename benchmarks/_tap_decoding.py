"""How fast the bodies of each API are read: cut into events, and decoded."""

from __future__ import annotations

import struct
from time import thread_time
from typing import TYPE_CHECKING, Any
from zlib import crc32

import msgspec

from agenttap._exchange import SLICE_BYTES
from agenttap._framing import splitter
from agenttap.decoders import request_facts, response_decoder
from benchmarks._tap_dialogues import stream_of

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["STREAMS", "decode_all", "streams"]

_encode = msgspec.json.encode
_SSE = {"content-type": "text/event-stream"}

#: The APIs, each with the headers of its streams.
STREAMS = {
    "openai.chat": _SSE,
    "anthropic.messages": _SSE,
    "openai.responses": _SSE,
    "gemini.generate_content": _SSE,
    "bedrock.converse": {"content-type": "application/vnd.amazon.eventstream"},
    "ollama.chat": {"content-type": "application/x-ndjson"},
}


def streams(text: str, arguments: str) -> dict[str, list[bytes]]:
    """Return for each API the events of an answer that says *text* and then calls a tool."""
    calls = [("call_1", "run", arguments)]
    tokens = [text[at : at + 5] for at in range(0, len(text), 5)]
    return {
        "openai.chat": stream_of("openai.chat", text, calls, id="9f2c81d0"),
        "anthropic.messages": stream_of("anthropic.messages", text, calls, id="9f2c81d0"),
        "openai.responses": _responses(tokens, text, arguments),
        "gemini.generate_content": _gemini(text, arguments),
        "bedrock.converse": _converse(tokens, arguments),
        "ollama.chat": _ollama(tokens, arguments),
    }


def _responses(tokens: list[str], text: str, arguments: str) -> list[bytes]:
    number = 0

    def event(kind: str, **keys: Any) -> bytes:
        nonlocal number
        number += 1
        body = _encode({"type": kind, "sequence_number": number, **keys})
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), body)

    response: dict[str, Any] = {
        "id": "resp_1",
        "object": "response",
        "status": "in_progress",
        "model": "gpt-5",
    }
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": text, "annotations": []}],
    }
    call = {"id": "fc_1", "type": "function_call", "name": "run", "call_id": "call_1", "arguments": arguments}
    usage = {"input_tokens": 900, "output_tokens": len(tokens), "total_tokens": 900 + len(tokens)}
    return [
        event("response.created", response=response),
        event("response.output_item.added", output_index=0, item={**message, "content": []}),
        *(
            event("response.output_text.delta", **place, delta=token, logprobs=[], obfuscation="x7Gh2k")
            for token in tokens
        ),
        event("response.output_text.done", **place, text=text),
        event("response.output_item.done", output_index=0, item=message),
        event("response.output_item.added", output_index=1, item={**call, "arguments": ""}),
        event("response.function_call_arguments.done", item_id="fc_1", output_index=1, arguments=arguments),
        event("response.output_item.done", output_index=1, item=call),
        event(
            "response.completed",
            response={**response, "status": "completed", "output": [message, call], "usage": usage},
        ),
    ]


def _gemini(text: str, arguments: str) -> list[bytes]:
    def event(part: dict[str, Any], finish: str | None = None) -> bytes:
        candidate: dict[str, Any] = {"content": {"parts": [part], "role": "model"}, "index": 0}
        if finish:
            candidate["finishReason"] = finish
        usage = {"promptTokenCount": 900, "candidatesTokenCount": 40, "totalTokenCount": 940}
        body = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-2.5-pro"}
        return b"data: " + _encode({**body, "responseId": "r1"}) + b"\r\n\r\n"

    # Its pieces are longer than others'.
    events = [event({"text": text[at : at + 60]}) for at in range(0, len(text), 60)]
    return [*events, event({"functionCall": {"name": "run", "args": msgspec.json.decode(arguments)}}, "STOP")]


def _converse(tokens: list[str], arguments: str) -> list[bytes]:
    def event(kind: str, body: dict[str, Any]) -> bytes:
        headers = b""
        for name, value in (
            (":event-type", kind),
            (":content-type", "application/json"),
            (":message-type", "event"),
        ):
            headers += (
                struct.pack(f">B{len(name)}sBH", len(name), name.encode(), 7, len(value)) + value.encode()
            )
        payload = _encode(body)
        prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
        frame = prelude + struct.pack(">I", crc32(prelude)) + headers + payload
        return frame + struct.pack(">I", crc32(frame))

    start = {"toolUse": {"toolUseId": "t1", "name": "run"}}
    return [
        event("messageStart", {"p": "abcd", "role": "assistant"}),
        *(
            event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": token}, "p": "abcdefgh"})
            for token in tokens
        ),
        event("contentBlockStop", {"contentBlockIndex": 0, "p": "ab"}),
        event("contentBlockStart", {"contentBlockIndex": 1, "start": start}),
        event("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"toolUse": {"input": arguments}}}),
        event("contentBlockStop", {"contentBlockIndex": 1}),
        event("messageStop", {"stopReason": "tool_use"}),
        event(
            "metadata", {"usage": {"inputTokens": 900, "outputTokens": 40, "totalTokens": 940}, "metrics": {}}
        ),
    ]


def _ollama(tokens: list[str], arguments: str) -> list[bytes]:
    common = {"model": "qwen3", "created_at": "2026-01-01T00:00:00.000000Z"}

    def line(message: dict[str, Any], **keys: Any) -> bytes:
        return _encode({**common, "message": {"role": "assistant", **message}, "done": False, **keys}) + b"\n"

    call = {"function": {"name": "run", "arguments": msgspec.json.decode(arguments)}}
    end = {"done": True, "done_reason": "stop", "prompt_eval_count": 900, "eval_count": len(tokens)}
    return [
        *(line({"content": token}) for token in tokens),
        line({"content": "", "tool_calls": [call]}),
        line({"content": ""}, **end),
    ]


def decode_all(api: str, bodies: Iterable[bytes], headers: dict[str, str]) -> tuple[int, float]:
    """Decode *bodies*, in slices as the recorder does; return bytes and CPU seconds."""
    size, start = 0, thread_time()
    for body in bodies:
        size += len(body)
        # Gemini's path says that it streams; the others' bodies do.
        facts = request_facts(api, "https://host/models/m:streamGenerateContent", {"stream": True})
        cut = splitter(api, 200, headers, may_join=True)
        decoder = response_decoder(api, status=200, headers=headers, request=facts)
        for begin in range(0, len(body), SLICE_BYTES):
            for event in cut.feed(body[begin : begin + SLICE_BYTES]):
                decoder.add(event)
        for event in cut.end():
            decoder.add(event)
        found = decoder.facts()
        if not found.text:
            raise RuntimeError(f"nothing was read of {api}")
    return size, thread_time() - start
