"""Accounting for Claude Code: which lines are one API call, and what it used.

A transcript repeats a call's usage on each of its lines and copies whole
histories around, so adding lines up counts most tokens several times. The
rules, by the numbers docs/importers.md gives them:

    C1  one call is message.id + requestId; a line without requestId joins by message.id
    C2  its usage is that of the whole line with most output tokens, the last on a tie;
        its content is the union of the distinct blocks of all its lines
    C3  if that line has no stop_reason, the output count is a lower bound
    C8  the model <synthetic> is the tool speaking, not a call
    C9  cache writes split into 5 minutes and 1 hour only where both are given and add up

Pure functions of entries; nothing here opens a file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from msgspec import json

from agent_step_log.importers._transcripts import as_count, as_dict, as_name, as_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent_step_log.importers._claude_records import Entry

SYNTHETIC_MODEL = "<synthetic>"


@dataclass(slots=True)
class Call:
    """One API call: every line that is a part of its answer."""

    entries: list[Entry] = field(default_factory=list)
    request_id: str | None = None

    @property
    def message_id(self) -> str | None:
        """The provider's id of the message."""
        return self.entries[0].message_id

    @property
    def first(self) -> Entry:
        """The line the answer began on."""
        return self.entries[0]

    @property
    def last(self) -> Entry:
        """The line the answer ended on."""
        return self.entries[-1]

    def best(self) -> Entry:
        """Return the line that is believed: most output tokens, the last on a tie (C2)."""
        return max(enumerate(self.entries), key=lambda item: (_output_of(item[1]), item[0]))[1]

    def blocks(self) -> list[dict[str, Any]]:
        """Return the distinct content blocks of all lines, in order (C2)."""
        distinct: dict[bytes, dict[str, Any]] = {}
        for entry in self.entries:
            for block in entry.blocks():
                distinct.setdefault(_identity(block), block)
        return list(distinct.values())


@dataclass(slots=True, frozen=True)
class Tokens:
    """What one call used, in the meaning every step log gives these words."""

    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    bounds: dict[str, str]
    #: cache_write_tokens by how long they are kept; `assumed` where the transcript does not say
    cache_write_split: dict[str, Any] | None


def is_synthetic(entry: Entry) -> bool:
    """Tell whether an assistant record is the tool's own words and no API call (C8)."""
    return entry.message.get("model") == SYNTHETIC_MODEL or entry.raw.get("isApiErrorMessage") is True


def merge_calls(entries: Iterable[Entry]) -> list[Call]:
    """Return the API calls of one thread in the order they began (C1)."""
    calls: list[Call] = []
    by_key: dict[tuple[str, str | None], Call] = {}
    for entry in entries:
        if entry.kind != "assistant" or not entry.is_whole or is_synthetic(entry):
            continue
        call = _call_for(entry, by_key)
        if not call.entries:
            calls.append(call)
        call.entries.append(entry)
    return calls


def _call_for(entry: Entry, by_key: dict[tuple[str, str | None], Call]) -> Call:
    message, request = entry.message_id, entry.request_id
    if message is None:
        return Call(request_id=request)  # nothing to merge by: a message of its own
    if request is None:
        return _joined(message, by_key)
    unnamed = by_key.pop((message, None), None)
    if unnamed is not None and unnamed.request_id is None:
        unnamed.request_id = request
        by_key[message, request] = unnamed
    call = by_key.setdefault((message, request), Call(request_id=request))
    by_key[message, None] = call
    return call


def _joined(message: str, by_key: dict[tuple[str, str | None], Call]) -> Call:
    """Return the latest call of *message*, whatever its request."""
    return by_key.setdefault((message, None), Call())


def tokens_of(best: Entry) -> Tokens:
    """Normalise the usage of the line that is believed (C2, C3, C9)."""
    usage = as_dict(best.message.get("usage"))
    fresh, output = as_count(usage.get("input_tokens")), as_count(usage.get("output_tokens"))
    read = as_count(usage.get("cache_read_input_tokens"))
    written = as_count(usage.get("cache_creation_input_tokens"))
    bounds: dict[str, str] = {}
    if output is not None and as_text(best.message.get("stop_reason")) is None:
        bounds["output_tokens"] = "lower"
    if fresh is not None and _is_malformed(usage):
        bounds["input_tokens"] = "lower"
    total = None if fresh is None else fresh + (read or 0) + (written or 0)
    return Tokens(total, output, read, written, bounds, _cache_split(usage, written))


def _is_malformed(usage: dict[str, Any]) -> bool:
    """Tell whether a part of the prompt is given but is no count."""
    parts = (usage.get(key) for key in ("cache_read_input_tokens", "cache_creation_input_tokens"))
    return any(part is not None and as_count(part) is None for part in parts)


def _cache_split(usage: dict[str, Any], written: int | None) -> dict[str, Any] | None:
    if not written:
        return None
    detail = as_dict(usage.get("cache_creation"))
    short = as_count(detail.get("ephemeral_5m_input_tokens"))
    long = as_count(detail.get("ephemeral_1h_input_tokens"))
    if short is not None and long is not None and short + long == written:
        return {"5m": short, "1h": long}
    # The dearer rate is not assumed: what is shown must not be more than was used.
    return {"5m": written, "assumed": True}


def _output_of(entry: Entry) -> int:
    count = as_count(as_dict(entry.message.get("usage")).get("output_tokens"))
    return -1 if count is None else count


def _identity(block: dict[str, Any]) -> bytes:
    if block.get("type") == "tool_use" and (call_id := as_name(block.get("id"))):
        return b"tool_use " + call_id.encode("utf-8", "replace")
    try:
        return json.encode(block, order="deterministic")
    except (TypeError, ValueError, OverflowError, RecursionError):
        return repr(id(block)).encode()  # cannot be compared, so it is distinct
