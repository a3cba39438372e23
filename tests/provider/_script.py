"""What the model says: a tool call while tools are offered and none has answered, then a text.

A prompt with "in parallel" in it, or the mark ``parallel``, gets two calls in the first turn.
The tool's arguments follow its schema, and are the same for the same tool.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.provider._facts import Answer, Call, Usage

if TYPE_CHECKING:
    from tests.provider._behaviours import Marks
    from tests.provider._facts import Asked

__all__ = ["TEXT", "THOUGHT", "say"]

TEXT = "It is 21 °C in Zürich 🌤, said the wire."
THOUGHT = "Let me think: the tool knows."

#: A tool whose call ends the loop of an agent that has one.
_LAST_WORD = "final_answer"

_CITIES = ("Zürich", "Reykjavík")


def say(asked: Asked, marks: Marks, *, number: int, gives_ids: bool = True) -> Answer:
    """Return the answer to *asked*, the *number*-th request of the provider's life."""
    usage = _usage(number)
    thinking = THOUGHT if marks.has("think") else ""
    calls = [] if marks.has("no-tools") else _calls(asked, number, is_parallel=_is_parallel(asked, marks))
    if not gives_ids:
        calls = [Call(None, call.name, call.arguments) for call in calls]
    return Answer(
        id=f"resp_{number:04d}",
        model=f"{asked.model}-0613",
        text="" if calls else TEXT,
        thinking=thinking,
        calls=calls,
        usage=usage,
        stop="tools" if calls else "length" if marks.has("max-tokens") else "end",
    )


def _usage(number: int) -> Usage:
    return Usage(
        uncached=100 + number,
        cache_read=2000 + 3 * number,
        cache_write=300 + 7 * number,
        output=40 + 11 * number,
        reasoning=13 + number,
    )


def _is_parallel(asked: Asked, marks: Marks) -> bool:
    return marks.has("parallel") or "in parallel" in asked.prompt


def _calls(asked: Asked, number: int, *, is_parallel: bool) -> list[Call]:
    tools = [tool for tool in asked.tools if tool[0] != _LAST_WORD]
    last_word = [tool for tool in asked.tools if tool[0] == _LAST_WORD]
    if asked.results or not tools:
        return [Call(f"call_{number:04d}_0", name, {"answer": TEXT}) for name, _ in last_word]
    chosen = tools[:2] if is_parallel else tools[:1]
    if is_parallel and len(chosen) == 1:
        chosen *= 2
    return [
        Call(f"call_{number:04d}_{place}", name, _arguments(schema, place))
        for place, (name, schema) in enumerate(chosen)
    ]


def _arguments(schema: dict[str, Any], place: int) -> dict[str, Any]:
    properties = schema.get("properties") or {}
    required = schema.get("required") or list(properties)
    return {name: _value(properties.get(name) or {}, place) for name in required}


def _value(schema: dict[str, Any], place: int) -> Any:
    kind = str(schema.get("type") or "string").lower()
    return {"integer": 7 + place, "number": 2.5 + place, "boolean": True}.get(kind, _CITIES[place])
