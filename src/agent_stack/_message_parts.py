"""What a message is made of, whichever provider's shape it has: texts, thoughts, calls, results, media.

    parts_of(content)    the parts, in order
    lines_of(parts)      the same as lines of text, to show or to compare

Content is what `agenttap.decoders.message_list` gives beside a role. A block of a shape nobody
knows is a part as well, shown as JSON. Nothing here does input or output.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent_stack._json import pretty_json

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Part", "lines_of", "parts_of"]

_DEEPEST = 24  # levels of content within content that are looked into

_TEXTS = frozenset({"text", "input_text", "output_text", "summary_text", "refusal"})
_CALLS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use", "function_call", "custom_tool_call"})
_MEDIA = frozenset(
    {"image", "image_url", "input_image", "input_audio", "audio", "video", "document", "file", "input_file"}
)
_FORMS = ("media_type", "mimeType", "mime_type", "format")
_MEDIA_KEYS = ("inlineData", "inline_data", "fileData", "file_data", "image", "document", "video")


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a message.

    Attributes:
        kind: text, thinking, call, result, media or other.
        text: What it says; of a call the arguments, laid out; of media a word on what it is.
        name: The tool's, of a call or a result.
        id: The call's, of a call or a result.
        value: The arguments of a call as they are; else None.
        is_error: A result that says it is one.
    """

    kind: str
    text: str
    name: str = ""
    id: str = ""
    value: Any = None
    is_error: bool = False


def parts_of(content: Any) -> list[Part]:
    """Return the parts of a message's content."""
    found: list[Part] = []
    _collect(content, found, 0)
    return found


def lines_of(parts: Sequence[Part]) -> list[str]:
    """Return *parts* as lines of text, each part that is no text under a line that says what it is."""
    lines: list[str] = []
    for part in parts:
        head = {
            "thinking": "(thinking)",
            "call": f"● {part.name or '?'}" + (f"  {part.id}" if part.id else ""),
            "result": f"→ {part.name or part.id or 'result'}" + ("  (error)" if part.is_error else ""),
            "media": f"[{part.text}]",
        }.get(part.kind)
        if head is not None:
            lines.append(head)
        if part.kind == "media":
            continue
        indent = "  " if head is not None else ""
        lines += [indent + each for each in part.text.replace("\r\n", "\n").split("\n")]
    return lines


def _collect(value: Any, found: list[Part], depth: int) -> None:
    if value is None:
        return
    if isinstance(value, str):
        found.append(Part("text", value))
    elif depth > _DEEPEST:
        found.append(Part("other", "…"))
    elif isinstance(value, list):
        for item in value:
            _collect(item, found, depth + 1)
    elif isinstance(value, dict):
        _block(value, found, depth)
    else:
        found.append(Part("other", pretty_json(value)))


def _block(block: dict[str, Any], found: list[Part], depth: int) -> None:
    if block.keys() <= {"cachePoint", "cache_control"}:
        return
    if "tool_calls" in block or "tool_call_id" in block or "function_call" in block or _is_message(block):
        _message(block, found, depth)
        return
    part = _typed(block, depth) or _keyed(block, depth)
    if part is not None:
        found.append(part)
    elif isinstance(block.get("content"), list | str) and block.get("type") in (
        "message",
        "user_input",
        "model_output",
        None,
    ):
        _collect(block["content"], found, depth + 1)
    elif isinstance(block.get("parts"), list):
        _collect(block["parts"], found, depth + 1)
    else:
        found.append(Part("other", pretty_json(block)))


def _is_message(block: dict[str, Any]) -> bool:
    """Whether *block* is a message of the chat API without its role."""
    return "type" not in block and "content" in block and "toolUseId" not in block


def _message(block: dict[str, Any], found: list[Part], depth: int) -> None:
    thoughts = (block.get(name) for name in ("reasoning_content", "reasoning", "thinking"))
    found += [Part("thinking", thought) for thought in thoughts if isinstance(thought, str) and thought]
    call_id = block.get("tool_call_id")
    tool = block.get("tool_name") or block.get("name")
    if call_id is not None or block.get("tool_name"):
        found.append(Part("result", _text_of(block.get("content"), depth), _str(tool), _str(call_id)))
    else:
        _collect(block.get("content"), found, depth + 1)
    if isinstance(block.get("refusal"), str):
        found.append(Part("text", block["refusal"]))
    calls = block.get("tool_calls")
    for call in calls if isinstance(calls, list) else []:
        if isinstance(call, dict):
            named = call.get("function") or call.get("custom") or {}
            named = named if isinstance(named, dict) else {}
            found.append(_call(named.get("name"), call.get("id"), named.get("arguments", named.get("input"))))
    named = block.get("function_call")
    if isinstance(named, dict):
        found.append(_call(named.get("name"), None, named.get("arguments")))


def _typed(block: dict[str, Any], depth: int) -> Part | None:
    """Return a block that says what it is in its ``type``."""
    kind = block.get("type")
    if not isinstance(kind, str):
        return None
    text = block.get("text", block.get("refusal"))
    if kind in _TEXTS and isinstance(text, str):
        return Part("text", text)
    if kind in ("thinking", "redacted_thinking"):
        said = block.get("thinking")
        return Part("thinking", said if isinstance(said, str) else "(not told)")
    if kind in ("reasoning", "thought"):
        return Part("thinking", _text_of(block.get("summary") or block.get("content"), depth) or "(not told)")
    if kind in _CALLS:
        given = block.get("input", block.get("arguments"))
        return _call(block.get("name"), block.get("call_id") or block.get("id"), given)
    told = [block[name] for name in ("content", "output", "result") if name in block]
    if told and kind.endswith(("_result", "_output")):
        call_id = block.get("tool_use_id") or block.get("call_id") or block.get("id")
        failed = block.get("is_error") is True
        return Part(
            "result", _text_of(told[0], depth), _str(block.get("name")), _str(call_id), is_error=failed
        )
    if kind in _MEDIA:
        return Part("media", _media(kind, block))
    return None


def _keyed(block: dict[str, Any], depth: int) -> Part | None:
    """Return a block that says what it is by the one key it has."""
    if isinstance(block.get("text"), str):
        return Part("thinking" if block.get("thought") else "text", block["text"])
    for name in ("functionCall", "toolUse"):
        call = block.get(name)
        if isinstance(call, dict):
            given = call.get("args", call.get("input"))
            return _call(call.get("name"), call.get("id", call.get("toolUseId")), given)
    for name in ("functionResponse", "function_response", "toolResult"):
        result = block.get(name)
        if isinstance(result, dict):
            said = result.get("response", result.get("content"))
            call_id = result.get("id", result.get("toolUseId"))
            failed = result.get("status") == "error"
            text = _text_of(said, depth)
            return Part("result", text, _str(result.get("name")), _str(call_id), is_error=failed)
    thought = block.get("reasoningContent")
    if isinstance(thought, dict):
        return Part("thinking", _text_of(thought.get("reasoningText", thought), depth) or "(not told)")
    for name in _MEDIA_KEYS:
        if isinstance(block.get(name), dict):
            return Part("media", _media(name, block[name]))
    return None


def _call(name: Any, call_id: Any, given: Any) -> Part:
    value = given
    if isinstance(given, str):
        try:
            value = json.loads(given)
        except (ValueError, RecursionError):
            value = given
    text = value if isinstance(value, str) else "" if value in (None, {}) else pretty_json(value)
    return Part("call", text, _str(name), _str(call_id), value)


def _text_of(content: Any, depth: int) -> str:
    """Return content inside of a block as one text."""
    if isinstance(content, dict) and not any(key in content for key in ("type", "text", "content", "parts")):
        return pretty_json(content)
    inner: list[Part] = []
    _collect(
        [item.get("json", item) if _is_json(item) else item for item in content]
        if isinstance(content, list)
        else content,
        inner,
        depth + 1,
    )
    return "\n".join(f"[{part.text}]" if part.kind == "media" else part.text for part in inner)


def _is_json(item: Any) -> bool:
    """Bedrock's way to say that a result is a value and not a text."""
    return isinstance(item, dict) and item.keys() == {"json"}


def _media(kind: str, block: dict[str, Any]) -> str:
    source = block.get("source")
    inner = source if isinstance(source, dict) else block
    form = next(
        (inner[key] for key in ("media_type", "mimeType", "mime_type", "format") if key in inner), None
    )
    data = next((inner[key] for key in ("data", "bytes") if isinstance(inner.get(key), str)), None)
    words = [kind.removeprefix("input_").removesuffix("_url")]
    if isinstance(form, str):
        words.append(form)
    if data is not None:
        words.append(f"{len(data):,} characters of base64")
    return " ".join(words)


def _str(value: Any) -> str:
    return value if isinstance(value, str) else ""
