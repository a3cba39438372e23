"""Tool calls told to a model in words: how smolagents puts its history, whatever the API.

    assistant   "... Calling tools:\\n" + repr([{"id": ..., "function": {"name": ..., "arguments": ...}}])
    user        "Observation:\\n" + the results, one below the other, in the order of the calls
    user        "Call id: ...\\nError:\\n" + what went wrong

The result of one call is the whole observation. Of several calls each gets its line
where there are as many lines; else each gets the whole, for where one result ends and
the next begins is not told.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from agent_step_log.responses.reading import Parts, dicts, members, text
from agenttap.decoders._decoder import arguments_of, texts
from agenttap.decoders._types import ToolResult

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["results_in_words"]

_ASKED, _SEEN, _FAILED, _ID = "Calling tools:\n", "Observation:\n", "Error:\n", "Call id: "
#: Characters of a list of calls that are read. What is longer is not read.
_LONGEST = 1 << 20


def results_in_words(messages: list[Parts]) -> Iterator[ToolResult]:
    """Yield the calls *messages* tell in words together with what came of them. Never raises."""
    calls: list[Parts] = []
    for message in messages:
        content = message.get("content")
        said = content if type(content) is str else texts(dicts(content))
        if message.get("role") == "assistant":
            calls = _calls(said)
        elif calls and said.lstrip().startswith(_SEEN):
            yield from _results(calls, said.partition(_SEEN)[2], is_error=None)
            calls = []
        elif calls and said.lstrip().startswith(_ID) and _FAILED in said:
            yield from _results(calls, said.partition(_FAILED)[2], is_error=True)
            calls = []


def _calls(said: str) -> list[Parts]:
    _, mark, written = said.rpartition(_ASKED)
    if not mark or len(written) > _LONGEST:
        return []
    try:
        calls = ast.literal_eval(written.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return []
    return [call for call in dicts(calls) if text(members(call.get("function")).get("name"))]


def _results(calls: list[Parts], seen: str, *, is_error: bool | None) -> Iterator[ToolResult]:
    lines = seen.split("\n")
    outputs = lines if len(lines) == len(calls) and not is_error else [seen] * len(calls)
    for call, output in zip(calls, outputs, strict=True):
        asked = call["function"]
        arguments = arguments_of(asked.get("arguments"))
        yield ToolResult(text(call.get("id")), asked["name"], arguments, output, is_error)
