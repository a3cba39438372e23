"""The records of a Claude Code transcript that are no step: which event each becomes.

The names are a promise of docs/importers.md. A type known to say nothing about
the run is counted and left out; a type nobody knows is kept whole, as an event
named ``claude_code.<type>``, and counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from agent_step_log.importers._runs import error_message, event_name
from agent_step_log.importers._transcripts import (
    as_count,
    as_dict,
    as_list,
    as_milliseconds,
    as_name,
    as_text,
)

if TYPE_CHECKING:
    from agent_step_log.importers._claude_records import Entry
    from agent_step_log.importers._runs import Run

#: A status of run_end and its error.
Outcome: TypeAlias = tuple[str, str | None]

_LEFT_OUT = {
    "agent-name",
    "agent-setting",
    "ai-title",
    "custom-title",
    "file-history-snapshot",
    "last-prompt",
    "mode",
    "permission-mode",
    "stream_event",
    "summary",
    "system:init",
}
_ENVELOPE = {
    "agentId",
    "cwd",
    "gitBranch",
    "isSidechain",
    "parentUuid",
    "sessionId",
    "slug",
    "timestamp",
    "type",
    "userType",
    "uuid",
    "version",
}
_COMMAND_MARKS = ("<command-", "<local-command-", "<bash-")


@dataclass(slots=True, frozen=True)
class Spoken:
    """What a user record says beside tool results."""

    name: str
    text: str
    data: dict[str, Any]


def spoken_in(entry: Entry) -> Spoken | None:
    """Return the words of a user record, None if it only carries tool results."""
    blocks = entry.blocks()
    text = "\n".join(
        t for block in blocks if block.get("type") == "text" and (t := as_text(block.get("text")))
    )
    attachments = [shown for block in blocks if (shown := attachment_of(block))]
    if not text and not attachments:
        return None
    data: dict[str, Any] = {"text": text}
    if attachments:
        data["attachments"] = attachments
    return Spoken(_speech(entry, text), text, data)


def _speech(entry: Entry, text: str) -> str:
    if entry.raw.get("isCompactSummary") is True:
        return "compaction_summary"
    if text.startswith("[Request interrupted by user"):
        return "interrupted"
    if entry.raw.get("isMeta") is True:
        return "context_message"
    return "local_command" if text.lstrip().startswith(_COMMAND_MARKS) else "user_message"


def attachment_of(block: Any) -> dict[str, Any] | None:
    """Return the kind and size of an image or document; its data is left out."""
    kind = as_dict(block).get("type")
    if kind not in ("image", "document"):
        return None
    source = as_dict(block.get("source"))
    shown = {"type": kind, "media_type": as_name(source.get("media_type"))}
    return {**shown, "size_chars": len(as_text(source.get("data")) or "")}


def add_synthetic(run: Run, entry: Entry) -> Outcome | None:
    """Add what the tool itself said in the place of a model (C8)."""
    texts = (as_text(block.get("text")) for block in entry.blocks())
    text = next((text for text in texts if text), "")
    if entry.raw.get("isApiErrorMessage") is not True:
        run.add_event("synthetic_message", {"text": text}, ts=entry.ts, line=entry.line)
        return None
    data = {"text": text, "error": as_text(entry.raw.get("error"))}
    run.add_event("api_error", data, ts=entry.ts, line=entry.line)
    return "error", error_message(text, "the API call failed")


def add_other(run: Run, entry: Entry) -> Outcome | None:
    """Add the event of a record that is neither a prompt nor an answer."""
    kind = entry.kind
    if kind == "result":
        return _add_result(run, entry)
    shown = _known_event(entry)
    if shown is not None:
        run.add_event(*shown, ts=entry.ts, line=entry.line)
    elif kind in _LEFT_OUT or kind == "untyped" or kind.startswith(("progress", "attachment")):
        run.left_out[kind] += 1
    else:
        run.unknown[kind] += 1
        rest = {key: value for key, value in entry.raw.items() if key not in _ENVELOPE}
        run.add_event(event_name("claude_code", kind), rest, ts=entry.ts, line=entry.line)
    return None


def _known_event(entry: Entry) -> tuple[str, Any] | None:
    raw, kind = entry.raw, entry.kind
    if kind in ("system:compact_boundary", "system:microcompact_boundary"):
        return "compaction", _compaction(raw)
    if kind == "system:turn_duration":
        return "turn_end", {"duration_ms": as_milliseconds(raw.get("durationMs"))}
    if kind == "system:api_error":
        return "api_error", _api_error(raw)
    if kind == "system:local_command":
        return "local_command", {"text": as_text(raw.get("content"))}
    if kind == "pr-link":
        return "pull_request", _pull_request(raw)
    if kind == "queue-operation":
        return _queued(as_name(raw.get("operation")), as_text(raw.get("content")))
    if kind == "attachment:queued_command":
        return _queued("enqueue", as_text(as_dict(raw.get("attachment")).get("prompt")))
    return _hook(entry)


def _compaction(raw: dict[str, Any]) -> dict[str, Any]:
    is_micro = raw.get("subtype") == "microcompact_boundary"
    facts = as_dict(raw.get("microcompactMetadata" if is_micro else "compactMetadata"))
    return {
        "trigger": as_name(facts.get("trigger")),
        "pre_tokens": as_count(facts.get("preTokens")),
        "post_tokens": as_count(facts.get("postTokens")),
        "saved_tokens": as_count(facts.get("tokensSaved")),
        "is_micro": is_micro,
    }


def _api_error(raw: dict[str, Any]) -> dict[str, Any]:
    return {
        "error": raw.get("error"),
        "retry_attempt": as_count(raw.get("retryAttempt")),
        "max_retries": as_count(raw.get("maxRetries")),
        "retry_in_ms": as_milliseconds(raw.get("retryInMs")),
    }


def _pull_request(raw: dict[str, Any]) -> dict[str, Any]:
    return {
        "number": as_count(raw.get("prNumber")),
        "url": as_text(raw.get("prUrl")),
        "repository": as_text(raw.get("prRepository")),
    }


def _queued(operation: str | None, text: str | None) -> tuple[str, Any]:
    return "queued_message", {"operation": operation, "text": text}


def _hook(entry: Entry) -> tuple[str, Any] | None:
    raw = entry.raw
    if entry.kind == "system:stop_hook_summary":
        commands = [as_text(as_dict(info).get("command")) for info in as_list(raw.get("hookInfos"))]
        return "hook", {"event": "Stop", "commands": commands, "errors": as_list(raw.get("hookErrors"))}
    holder = as_dict(raw.get("attachment" if entry.kind.startswith("attachment:hook_") else "data"))
    if entry.kind != "progress:hook_progress" and not entry.kind.startswith("attachment:hook_"):
        return None
    return "hook", {
        "event": as_name(holder.get("hookEvent")),
        "name": as_name(holder.get("hookName")),
        "command": as_text(holder.get("command")),
    }


def _add_result(run: Run, entry: Entry) -> Outcome:
    """Add the last line of a stream-json output: is_error decides, its subtype may say success."""
    raw = entry.raw
    failed = raw.get("is_error") is True
    data = {
        "is_error": failed,
        "subtype": as_name(raw.get("subtype")),
        "turns": as_count(raw.get("num_turns")),
        "duration_ms": as_milliseconds(raw.get("duration_ms")),
        "text": as_text(raw.get("result")),
    }
    run.add_event("session_result", data, ts=entry.ts, line=entry.line)
    return (
        ("error", error_message(as_text(raw.get("result")), "the session failed")) if failed else ("ok", None)
    )
