"""The documented ``--json`` shapes of one exchange and of a comparison; see docs/wire-cli.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent_stack._conversation import MISSING
from agent_stack._json import json_line
from agent_stack._render.wire_diff import verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent_stack._conversation import Change, Conversation, Diff
    from agent_stack._tapes import Row
    from agent_stack._text_diff import DiffLine
    from agenttap import TapedExchange

__all__ = ["conversations_shape", "diff_json", "exchange_json"]


def exchange_json(
    run_id: str, row: Row, exchange: TapedExchange, conversation: Conversation, *, with_events: bool
) -> str:
    """Return one exchange: its row, and request and response in full."""
    shape = {"run_id": run_id, **row.to_dict()}
    request: dict[str, Any] = {
        "sha256": exchange.request_sha256,
        "headers": exchange.headers,
        "system": [{"role": each.role, "content": each.content} for each in conversation.system],
        "tools": [name for name, _ in conversation.tools],
        "settings": conversation.settings,
        "messages": [{"role": each.role, "content": each.content} for each in conversation.messages],
        "body": exchange.request_json(),
    }
    if request["body"] is None and exchange.request_body:
        request["body"] = exchange.request_body.decode("utf-8", "replace")
    facts = exchange.facts()
    response: dict[str, Any] = {
        "http_version": exchange.http_version,
        "sha256": exchange.sha256,
        "headers": exchange.response_headers,
        "text": facts.text,
        "thinking": facts.thinking,
        "tool_calls": [
            {"id": call.id, "name": call.name, "arguments": call.arguments} for call in facts.calls
        ],
        "fields": facts.fields,
        "tier": facts.tier,
        "body": exchange.body.decode("utf-8", "replace"),
    }
    if with_events:
        response["events"] = [
            {"ms": ms, "name": event.name, "bytes": event.size, "raw": event.raw.decode("utf-8", "replace")}
            for ms, event in exchange.events()
        ]
    try:
        return json_line({**shape, "request": request, "response": response})
    except RecursionError:
        # Nested deeper than Python writes: as text, then.
        request.update(
            system=[], messages=[], settings={}, body=exchange.request_body.decode("utf-8", "replace")
        )
        response.update(fields={}, tool_calls=[])
        return json_line({**shape, "request": request, "response": response})


def diff_json(run_id: str, rows: Sequence[Row], diff: Diff) -> str:
    """Return a comparison of two requests."""
    at = diff.breaks
    cache = {
        "is_kept": at is None,
        "verdict": verdict(diff, rows[0].name, rows[1].name),
        "breaks_at": None if at is None else at.part,
        "message": None if at is None else at.number,
        "role": None if at is None else at.role,
        "what": None if at is None else at.what,
        "unchanged_messages": diff.prefix,
        "read_tokens": rows[1].cache_read_tokens,
        "input_tokens": rows[1].input_tokens,
    }
    shape: dict[str, Any] = {
        "run_id": run_id,
        "before": _side(rows[0], diff.before),
        "after": _side(rows[1], diff.after),
        "cache": cache,
        **conversations_shape(diff),
    }
    try:
        return json_line(shape)
    except RecursionError:
        for message in shape["messages"]:
            message.update(before=None, after=None)
        return json_line({**shape, "settings": []})


def conversations_shape(diff: Diff) -> dict[str, Any]:
    """Return what became of settings, tools, system prompt and messages."""
    return {
        "settings": [
            {"name": name, "before": _value(old), "after": _value(new)} for name, old, new in diff.settings
        ],
        "tools": {
            "added": diff.tools_added,
            "dropped": diff.tools_dropped,
            "changed": {name: _lines(diff.tool_diff(name)) for name in diff.tools_changed},
            "is_order_changed": diff.is_tool_order_changed,
        },
        "system": {
            "is_changed": diff.system != "same",
            "kind": diff.system,
            "lines": [] if diff.system == "same" else _lines(diff.system_diff()),
        },
        "messages": [_change(diff, change) for change in diff.changes],
    }


def _side(row: Row, conversation: Conversation) -> dict[str, Any]:
    return {
        "name": row.name,
        "n": row.n,
        "tape": row.tape,
        "ts": row.ts,
        "api": row.api,
        "model": row.model,
        "messages": len(conversation.messages),
        "tools": len(conversation.tools),
        "request_bytes": row.request_bytes,
        "cache_markers": conversation.markers,
    }


def _change(diff: Diff, change: Change) -> dict[str, Any]:
    before = diff.before.messages[change.before - 1].content if change.before is not None else None
    after = diff.after.messages[change.after - 1].content if change.after is not None else None
    has_lines = change.kind in ("changed", "extended")
    return {
        "kind": change.kind,
        "role": change.role,
        "before_number": change.before,
        "after_number": change.after,
        "before": before,
        "after": after,
        "lines": _lines(diff.lines(change)) if has_lines else [],
    }


def _value(value: Any) -> Any:
    return None if value is MISSING else value


def _lines(lines: Sequence[DiffLine]) -> list[dict[str, Any]]:
    return [
        {"sign": line.sign, "same": line.same}
        if line.sign == "…"
        else {
            "sign": line.sign,
            "text": line.text,
            "changed": [text for text, is_new in line.spans if is_new],
        }
        for line in lines
    ]
