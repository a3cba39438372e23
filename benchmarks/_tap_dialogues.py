"""Multi-turn dialogues as bodies: each request holds the whole history, each answer is a stream.

Real ones are made from the transcripts of agents in a directory of the caller's
(mini-swe-agent's, SWE-agent's and tau-bench's files); without one, generated ones
take their place. The text is the transcript's; its cutting into events of a few
characters, their ids and their times are made here, as providers cut theirs.
"""

from __future__ import annotations

import json
import random
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Dialogue", "Turn", "dialogues", "generated", "stream_of", "transcripts"]

_encode = msgspec.json.encode
_TOKEN = re.compile(r"\s?\S{1,5}|\s+")


class Turn(NamedTuple):
    """One exchange: the request's body, and the events of the answer with the seconds at which each comes."""

    request: bytes
    events: list[bytes]
    times: list[float]

    @property
    def size(self) -> int:
        """Bytes of both bodies."""
        return len(self.request) + sum(map(len, self.events))


class Dialogue(NamedTuple):
    """A dialogue: where it is from, whose dialect it speaks, and its turns."""

    name: str
    api: str
    turns: list[Turn]

    @property
    def size(self) -> int:
        """Bytes of all bodies."""
        return sum(turn.size for turn in self.turns)


def dialogues(directory: Path | None) -> list[Dialogue]:
    """Return dialogues of the transcripts in *directory*, or generated ones where there are none."""
    found = transcripts(directory) if directory is not None and directory.is_dir() else []
    return [
        _dialogue(name, ("openai.chat", "anthropic.messages")[place % 2], messages)
        for place, (name, messages) in enumerate(found or generated())
    ]


def generated() -> list[tuple[str, list[dict[str, Any]]]]:
    """Return messages of made-up dialogues: words, code and listings of a small vocabulary."""
    chance = random.Random(7)
    syllables = [first + second for first in "bdfgklmnprst" for second in "aeiou"]
    words = ["".join(chance.choices(syllables, k=chance.randint(1, 4))) for _ in range(3000)]

    def text(count: int) -> str:
        lines = []
        while count > 0:
            taken = min(chance.randint(4, 14), count)
            lines.append(" " * chance.choice((0, 0, 4, 8)) + " ".join(chance.choices(words, k=taken)))
            count -= taken
        return "\n".join(lines)

    made = []
    for turns in (10, 30, 60):
        messages: list[dict[str, Any]] = [
            {"role": "system", "content": text(600)},
            {"role": "user", "content": text(200)},
        ]
        for number in range(turns):
            messages.append(
                {
                    "role": "assistant",
                    "content": text(60),
                    "tool_calls": [
                        {
                            "id": f"call_{turns}_{number}",
                            "type": "function",
                            "function": {"name": "run", "arguments": json.dumps({"command": text(12)})},
                        }
                    ],
                }
            )
            messages.append(
                {
                    "role": "tool",
                    "tool_call_id": f"call_{turns}_{number}",
                    "content": text(chance.choice((20, 150, 700))),
                }
            )
        made.append((f"generated, {turns} turns", messages))
    return made


def transcripts(directory: Path) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the messages of each transcript below *directory* that has four answers or more."""
    found: list[tuple[str, list[dict[str, Any]]]] = []
    for path in sorted([*directory.glob("mini-swe-agent/*.json"), *directory.glob("swe-agent/*.traj")]):
        document = json.loads(path.read_text(encoding="utf-8"))
        messages = (
            document if isinstance(document, list) else document.get("messages") or document.get("history")
        )
        found.append((path.relative_to(directory).as_posix(), messages or []))
    for path in sorted(directory.glob("tau-bench/*.json")):
        runs = sorted(json.loads(path.read_text(encoding="utf-8")), key=lambda run: -len(run["traj"]))
        # The longest are as long as their harness lets them be; an even choice of all of them.
        chosen = runs[:: max(len(runs) // 20, 1)]
        found += [
            (f"{path.relative_to(directory).as_posix()} {run['task_id']}", run["traj"]) for run in chosen
        ]
    return [(name, messages) for name, messages in found if _answers(messages) >= 4]


def _answers(messages: list[dict[str, Any]]) -> int:
    return sum(message.get("role") == "assistant" for message in messages)


def _dialogue(name: str, api: str, messages: list[dict[str, Any]]) -> Dialogue:
    chance = random.Random(name)
    system, history = _translated(messages, api)
    turns = []
    for place, message in enumerate(history):
        if message["role"] != "assistant" or not place:
            continue
        before = history[:place]
        if api == "openai.chat":
            request = {"model": "gpt-4o", "messages": [*system, *before], "tools": _TOOLS, "stream": True}
        else:
            request = {
                "model": "claude-sonnet-4-5",
                "max_tokens": 8192,
                "system": [{"type": "text", "text": part["content"]} for part in system],
                "messages": before,
                "tools": _TOOLS,
                "stream": True,
            }
        events = stream_of(api, _text(message), _calls(message), id=f"{chance.getrandbits(96):024x}")
        now, times = chance.uniform(0.3, 1.5), []
        for _ in events:
            now += chance.expovariate(1 / 0.012)
            times.append(now)
        turns.append(Turn(_encode(request), events, times))
    return Dialogue(name, api, turns)


_TOOLS = [
    {
        "name": "run",
        "description": "Run a command in the shell and return its output.",
        "input_schema": {"type": "object"},
    }
]


def _translated(
    messages: list[dict[str, Any]], api: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the system messages and the rest, with the keys an API takes and no others."""
    system, history = [], []
    for number, message in enumerate(messages):
        role, content = message.get("role"), message.get("content") or ""
        if role == "system":
            system.append({"role": "system", "content": _plain(content)})
            continue
        calls = message.get("tool_calls") or []
        if api == "openai.chat":
            kept = {"role": role, "content": content}
            if calls:
                kept["tool_calls"] = calls
            if role == "tool":
                kept["tool_call_id"] = message.get("tool_call_id") or f"call_{number - 1}"
        elif role == "tool":
            id_ = message.get("tool_call_id") or f"call_{number - 1}"
            result = {"type": "tool_result", "tool_use_id": id_, "content": _plain(content)}
            kept = {"role": "user", "content": [result]}
        else:
            blocks: list[dict[str, Any]] = [{"type": "text", "text": _plain(content)}] if content else []
            for call in calls:
                function = call["function"]
                arguments = function["arguments"]
                given = json.loads(arguments) if isinstance(arguments, str) and arguments[:1] == "{" else {}
                blocks.append(
                    {"type": "tool_use", "id": call["id"], "name": function["name"], "input": given}
                )
            kept = {"role": role, "content": blocks}
        history.append(kept)
    return system, history


def _plain(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text", part)) for part in content)


def _text(message: dict[str, Any]) -> str:
    content = message["content"]
    if isinstance(content, str):
        return content
    return "".join(block.get("text", "") for block in content)


def _calls(message: dict[str, Any]) -> list[tuple[str, str, str]]:
    calls = [
        (call["id"], call["function"]["name"], str(call["function"]["arguments"]))
        for call in message.get("tool_calls") or []
    ]
    if isinstance(message["content"], list):
        calls += [
            (block["id"], block["name"], json.dumps(block["input"]))
            for block in message["content"]
            if block.get("type") == "tool_use"
        ]
    return calls


def stream_of(api: str, text: str, calls: list[tuple[str, str, str]], *, id: str) -> list[bytes]:  # noqa: A002
    """Return the events of one answer: *text*, then *calls* (id, name, arguments as JSON).

    Args:
        api: "openai.chat" or "anthropic.messages".
        text: What is said.
        calls: The tools that are called.
        id: Of the answer.
    """
    make = _openai_chat if api == "openai.chat" else _anthropic
    return make(text, calls, id)


def _openai_chat(text: str, calls: list[tuple[str, str, str]], id_: str) -> list[bytes]:
    common = {
        "id": f"chatcmpl-{id_}",
        "object": "chat.completion.chunk",
        "created": 1767225600,
        "model": "gpt-4o-2024-08-06",
        "service_tier": "default",
        "system_fingerprint": "fp_1bb46167f9",
    }

    def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return b"data: " + _encode({**common, "choices": [choice], "usage": None}) + b"\n\n"

    events = [event({"role": "assistant", "content": "", "refusal": None})]
    events += [event({"content": token}) for token in _TOKEN.findall(text)]
    for index, (call_id, name, arguments) in enumerate(calls):
        function = {"name": name, "arguments": ""}
        events.append(
            event({"tool_calls": [{"index": index, "id": call_id, "type": "function", "function": function}]})
        )
        events += [
            event({"tool_calls": [{"index": index, "function": {"arguments": token}}]})
            for token in _TOKEN.findall(arguments)
        ]
    events.append(event({}, "tool_calls" if calls else "stop"))
    usage = {"prompt_tokens": 1000, "completion_tokens": len(events), "total_tokens": 1000 + len(events)}
    events.append(b"data: " + _encode({**common, "choices": [], "usage": usage}) + b"\n\n")
    return [*events, b"data: [DONE]\n\n"]


def _anthropic(text: str, calls: list[tuple[str, str, str]], id_: str) -> list[bytes]:
    def event(kind: str, **keys: Any) -> bytes:
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), _encode({"type": kind, **keys}))

    usage = {
        "input_tokens": 1000,
        "cache_read_input_tokens": 900,
        "output_tokens": 1,
        "service_tier": "standard",
    }
    message: dict[str, Any] = {
        "id": f"msg_{id_}",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": [],
        "stop_reason": None,
        "usage": usage,
    }
    events = [event("message_start", message=message), event("ping")]
    blocks: list[tuple[dict[str, Any], str, str, str]] = []
    if text:
        blocks.append(({"type": "text", "text": ""}, "text_delta", "text", text))
    blocks += [
        (
            {"type": "tool_use", "id": call_id, "name": name, "input": {}},
            "input_json_delta",
            "partial_json",
            given,
        )
        for call_id, name, given in calls
    ]
    for index, (block, kind, key, whole) in enumerate(blocks):
        events.append(event("content_block_start", index=index, content_block=block))
        events += [
            event("content_block_delta", index=index, delta={"type": kind, key: token})
            for token in _TOKEN.findall(whole)
        ]
        events.append(event("content_block_stop", index=index))
    stop = {"stop_reason": "tool_use" if calls else "end_turn", "stop_sequence": None}
    return [
        *events,
        event("message_delta", delta=stop, usage={"output_tokens": len(events)}),
        event("message_stop"),
    ]
