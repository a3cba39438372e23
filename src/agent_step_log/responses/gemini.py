"""Google's generateContent, of the Gemini API and of Vertex AI.

    input     promptTokenCount, cached parts included, and toolUsePromptTokenCount
              (what the server's own tools put into the prompt)
    output    candidatesTokenCount, which leaves the thoughts out: they are added
    stop      finishReason of the first candidate, else why the prompt was blocked
    tools     functionCall parts; the Gemini API gives them no id
    stream    each chunk is a whole response; its usage counts the stream so far

The wire's names are camelCase; dicts with google-genai's snake_case are taken too.
"""

from __future__ import annotations

import re
from typing import Any

from agent_step_log.responses.reading import (
    MAX_BLOCKS,
    Budget,
    Parts,
    Text,
    count,
    dicts,
    known,
    members,
    text,
    token_fields,
    tree,
)

__all__ = ["ContentStream", "content_fields", "is_content"]

_COUNTS = ("promptTokenCount", "candidatesTokenCount", "totalTokenCount", "trafficType")
_snake_names: dict[str, str] = {}


def _get(parts: Parts, name: str) -> Any:
    """Return the part called *name* on the wire, under that name or its snake_case."""
    if name in parts:
        return parts[name]
    snake = _snake_names.get(name)
    if snake is None:
        snake = _snake_names[name] = re.sub("([A-Z])", lambda found: "_" + found[0].lower(), name)
    return parts.get(snake)


def is_content(parts: Parts) -> bool:
    """Tell whether *parts* are a response of this API (or a chunk of one)."""
    if issubclass(type(parts.get("candidates")), list) or members(_get(parts, "promptFeedback")):
        return True
    usage = members(_get(parts, "usageMetadata"))
    return any(_get(usage, name) is not None for name in _COUNTS)


def content_fields(parts: Parts) -> Parts:
    """Return the fields of one response."""
    candidates = dicts(tree(parts.get("candidates")))
    contents = [found for item in candidates if type(found := item.get("content")) is dict]
    usage = tree(members(_get(parts, "usageMetadata")))
    stop = text(_get(candidates[0], "finishReason")) if candidates else None
    response_id = text(_get(parts, "responseId"))
    return {
        **known(
            provider=_provider(usage),
            model=text(_get(parts, "modelVersion")),
            stop_reason=stop or text(_get(members(_get(parts, "promptFeedback")), "blockReason")),
            request_id=response_id,
            tool_calls=[call for content in contents for call in _tool_calls(content)],
            output=contents[0].get("parts") if len(contents) == 1 else contents,
        ),
        **_tokens(usage),
    }


def _provider(usage: Parts) -> str:
    """Vertex AI alone tells the kind of traffic; OpenTelemetry has a name for either of the two."""
    return "gcp.gen_ai" if _get(usage, "trafficType") is None else "gcp.vertex_ai"


def _tool_calls(content: Parts) -> list[Parts]:
    calls = [members(_get(part, "functionCall")) for part in dicts(content.get("parts"))]
    return [
        known(id=text(call.get("id")), name=text(call.get("name")))
        for call in calls
        if text(call.get("name"))
    ]


def _tokens(usage: Parts) -> Parts:
    prompt, of_tools = count(_get(usage, "promptTokenCount")), count(_get(usage, "toolUsePromptTokenCount"))
    said, thought = count(_get(usage, "candidatesTokenCount")), count(_get(usage, "thoughtsTokenCount"))
    return token_fields(
        usage,
        prompt=None if prompt is None else prompt + (of_tools or 0),
        output=None if said is None and thought is None else (said or 0) + (thought or 0),
        cache_read=count(_get(usage, "cachedContentTokenCount")),
        reasoning=thought,
    )


class _Candidate:
    """One streamed candidate: its parts, texts that follow each other made one."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._parts: list[tuple[Parts, Text | None]] = []
        self._role: str | None = None
        self._finish: str | None = None

    def add(self, candidate: Parts) -> None:
        self._finish = text(_get(candidate, "finishReason")) or self._finish
        content = members(candidate.get("content"))
        self._role = self._role or text(content.get("role"))
        for part in dicts(content.get("parts")):
            if not self._continues(part) and len(self._parts) < MAX_BLOCKS:
                self._append(part)

    def add_text(self, parts: object) -> bool:
        if type(parts) is not list or len(parts) != 1:
            return False
        part = parts[0]
        return type(part) is dict and type(part.get("text")) is str and self._continues(part)

    def _continues(self, part: Parts) -> bool:
        """Add *part* to the one before, if it is more of the same."""
        before, pieces = self._parts[-1] if self._parts else ({}, None)
        said = part.get("text")
        if type(said) is str and part.keys() <= {"text", "thought"}:
            if pieces is not None and before.get("thought") == part.get("thought"):
                pieces.add(said)
                return True
            return not said
        call, begun = _get(part, "functionCall"), _get(before, "functionCall")
        if (
            type(call) is dict
            and type(begun) is dict
            and not call.get("name")
            and _get(begun, "willContinue")
        ):
            self._continue_call(begun, call)
            return True
        return False

    def _continue_call(self, begun: Parts, call: Parts) -> None:
        """Add the next pieces of a call's arguments, each told with its path, as they came."""
        pieces = begun.setdefault("partialArgs", [])
        for piece in dicts(_get(call, "partialArgs"))[: MAX_BLOCKS - len(pieces)]:
            pieces.append(self._budget.keep(piece))
        if not _get(call, "willContinue"):
            begun.pop("willContinue", None)

    def _append(self, part: Parts) -> None:
        said = part.get("text")
        pieces = None
        if type(said) is str:
            pieces = Text(self._budget)
            pieces.add(said)
        self._parts.append((self._budget.keep({**part, "text": ""} if pieces else part), pieces))

    def value(self) -> Parts:
        parts = [part if pieces is None else {**part, "text": pieces.value()} for part, pieces in self._parts]
        content = known(role=self._role, parts=parts)
        return known(content=content, finishReason=self._finish)


class ContentStream:
    """The chunks of one streamed response, put together."""

    def __init__(self) -> None:
        self._budget = Budget()
        self._parts: Parts = {}
        self._candidates: dict[int, _Candidate] = {}

    def add(self, parts: Parts) -> bool:
        """Take one chunk; False if it is none of this API."""
        if not is_content(parts):
            return False
        for name in ("modelVersion", "responseId"):
            if found := text(_get(parts, name)):
                self._parts[name] = found[:1024]
        if feedback := members(_get(parts, "promptFeedback")):
            self._parts["promptFeedback"] = {"blockReason": text(_get(feedback, "blockReason"))}
        if usage := members(_get(parts, "usageMetadata")):
            self._parts["usageMetadata"] = usage
        for candidate in dicts(tree(parts.get("candidates"))):
            index = count(candidate.get("index")) or 0
            if index not in self._candidates and len(self._candidates) < MAX_BLOCKS:
                self._candidates[index] = _Candidate(self._budget)
            if index in self._candidates:
                self._candidates[index].add(candidate)
        return True

    def add_text(self, parts: Parts) -> bool:
        """Take *parts* if they do no more than continue the text of one candidate: nearly all chunks do.

        False: they were not taken, `add` has to. *parts* are plain JSON.
        """
        candidates, usage = parts.get("candidates"), parts.get("usageMetadata")
        if type(candidates) is not list or len(candidates) != 1 or "promptFeedback" in parts:
            return False
        candidate = candidates[0]
        if type(candidate) is not dict or "finishReason" in candidate or "finish_reason" in candidate:
            return False
        index, content = candidate.get("index", 0), candidate.get("content")
        begun = self._candidates.get(index) if type(index) is int else None
        if begun is None or type(content) is not dict or not begun.add_text(content.get("parts")):
            return False
        if type(usage) is dict:
            self._parts["usageMetadata"] = usage
        return True

    def fields(self) -> Parts:
        """Return what is known so far."""
        candidates = [self._candidates[index].value() for index in sorted(self._candidates)]
        return content_fields({**self._parts, "candidates": candidates})
