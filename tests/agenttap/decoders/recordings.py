"""Exchanges with real providers, as other projects have recorded them; see tests/data/wire/ORIGIN.md."""

from __future__ import annotations

import gzip
import json
import struct
from base64 import b64decode
from binascii import crc32
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from agenttap._framing import splitter
from agenttap.decoders import RequestFacts, ResponseFacts, recognise, request_facts, response_decoder

DATA = Path(__file__).parents[2] / "data" / "wire"
TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")


@dataclass
class Recording:
    """One exchange."""

    name: str
    method: str
    url: str
    status: int
    headers: dict[str, str]
    request: bytes
    body: bytes
    api: str | None = field(init=False)

    def __post_init__(self) -> None:
        # Where the request was not recorded, the path alone decides.
        self.api = recognise(self.method, self.url, self.request or None)

    def request_json(self) -> Any:
        return json.loads(self.request) if self.request else None

    def request_facts(self) -> RequestFacts:
        return request_facts(self.api or "unknown", self.url, self.request_json())

    def decoded(self, body: bytes | None = None) -> tuple[ResponseFacts, bool]:
        """Decode the response (or *body* in its place); also tell whether it was complete."""
        api = self.api or "unknown"
        facts = self.request_facts()
        if not self.request:
            facts.is_streamed = None
        split = splitter(api, self.status, self.headers)
        decoder = response_decoder(api, status=self.status, headers=self.headers, request=facts)
        for event in (*split.feed(self.body if body is None else body), *split.end()):
            decoder.add(event)
        return decoder.facts(), decoder.is_complete


def load() -> list[Recording]:
    """Return all recordings, in the order of their files."""
    found = []
    for path in sorted(DATA.glob("*.jsonl.gz")):
        for line in gzip.decompress(path.read_bytes()).decode().split("\n")[:-1]:
            row = json.loads(line)
            found.append(
                Recording(
                    f"{path.name.removesuffix('.jsonl.gz')}/{row['file']}/{row['n']}",
                    row["method"],
                    row["url"],
                    row["status"],
                    row["headers"],
                    _bytes(row, "request"),
                    _framed(row) if "payloads" in row else _bytes(row, "response"),
                )
            )
    return found


def _bytes(row: dict[str, Any], key: str) -> bytes:
    return b64decode(row[f"{key}_base64"]) if f"{key}_base64" in row else row.get(key, "").encode()


def _framed(row: dict[str, Any]) -> bytes:
    """Put the framing back around payloads that were recorded without."""
    lines = [line for line in row["payloads"].split("\n") if line.strip()]
    if "bedrock" in row["url"]:
        frames = [next(iter(json.loads(line).items())) for line in lines]
        return b"".join([frame({":event-type": kind}, json.dumps(data).encode()) for kind, data in frames])
    return b"".join([b"data: " + line.encode() + b"\n\n" for line in lines])


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    """Return one frame of an event stream."""
    block = b"".join(
        bytes([len(name)]) + name.encode() + b"\7" + struct.pack(">H", len(value)) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", 16 + len(block) + len(payload), len(block))
    body = prelude + struct.pack(">I", crc32(prelude)) + block + payload
    return body + struct.pack(">I", crc32(body))


def digest(value: Any) -> str:
    """Return a short name of a JSON value."""
    return blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=4).hexdigest()


def summary(recording: Recording) -> dict[str, Any]:
    """Return what is compared with the table: what was read of one exchange, what is not there left out."""
    if recording.api is None:
        return {"api": None}
    asked = recording.request_facts()
    facts, is_complete = recording.decoded()
    row: dict[str, Any] = {
        "api": recording.api,
        "asked": asked.model,
        "streamed": asked.is_streamed if recording.request else None,
        "results": [f"{each.id or '-'} {each.name} {digest(each.output)}" for each in asked.tool_results],
        "provider": facts.fields.get("provider"),
        "model": facts.fields.get("model"),
        "stop": facts.fields.get("stop_reason"),
        "tokens": {
            name.removesuffix("_tokens"): facts.fields[name] for name in TOKENS if name in facts.fields
        },
        "calls": [f"{call.id or '-'} {call.name} {digest(call.arguments)}" for call in facts.calls],
        "text": len(facts.text),
        "thinking": len(facts.thinking),
        "tier": facts.tier,
        "error": facts.error and facts.error[:60],
        "error_type": facts.error_type,
        "complete": is_complete,
    }
    return {name: value for name, value in row.items() if value not in (None, [], {})}
