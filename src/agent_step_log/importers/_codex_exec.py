"""What ``codex exec --json`` printed, as the records of a run.

The stream has items and one usage for each turn, and nothing else: no times, no
model, no single answers. So a turn is one llm_call, every duration is unknown,
and all records carry one time: that in the thread's id (a version 7 UUID),
failing that the file's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent_step_log._records import LlmCall, StepStart, ToolCall
from agent_step_log.importers._codex_rollout import Thread
from agent_step_log.importers._codex_usage import Meter, Usage
from agent_step_log.importers._runs import Run, at_line, error_message, event_name
from agent_step_log.importers._transcripts import as_count, as_dict, as_name, as_text

if TYPE_CHECKING:
    from agent_step_log.importers._codex_records import Entry

_TOOLS = {"command_execution", "file_change", "mcp_tool_call", "web_search", "collab_tool_call"}
_TOLD = {"id", "type", "status", "aggregated_output", "exit_code", "result", "error"}


def build_stream(run_id: str, entries: list[Entry]) -> Thread:
    """Return the run of a stream's *entries*, in order."""
    builder = _Builder(Thread(Run(run_id), entries, Meter()))
    for entry in entries:
        builder.take(entry)
    builder.finish()
    return builder.thread


class _Builder:
    def __init__(self, thread: Thread) -> None:
        self.thread, self.run = thread, thread.run
        self.begun: dict[str, Entry] = {}
        self.said: list[Entry] = []
        self.is_turn_open = False

    def take(self, entry: Entry) -> None:
        """Add what one record of the stream says."""
        if entry.kind.startswith("item."):
            self._take_item(entry, as_dict(entry.payload.get("item")))
        elif entry.kind == "turn.completed":
            self._end_turn(entry, self.thread.meter.read({"total_token_usage": entry.payload.get("usage")}))
        elif entry.kind in ("turn.failed", "error"):
            self._fail(entry)
        elif entry.kind in ("turn.started", "thread.started"):
            self.is_turn_open = self.is_turn_open or entry.kind == "turn.started"
            self.run.left_out[entry.kind] += 1
        else:
            self._keep(entry, entry.kind)

    def _keep(self, entry: Entry, kind: str) -> None:
        self.run.unknown[kind] += 1
        rest = {key: value for key, value in entry.payload.items() if key != "type"}
        self.run.add_event(event_name("codex", kind), rest, ts=entry.ts, line=entry.line)

    def _take_item(self, entry: Entry, item: dict[str, Any]) -> None:
        kind, is_over = as_name(item.get("type")), entry.kind == "item.completed"
        if kind in _TOOLS:
            begun = self.begun.setdefault(as_name(item.get("id")) or f"line {entry.line}", entry)
            if is_over:
                self.begun.pop(as_name(item.get("id")) or f"line {entry.line}", None)
                self._add_tool(begun, entry, item)
        elif kind in ("agent_message", "reasoning"):
            self.said += [entry] if is_over else []
        elif kind == "error":
            data = {"text": as_text(item.get("message"))}
            self.run.add_event("api_error", data, ts=entry.ts, line=entry.line)
        elif is_over:
            self._keep(entry, kind or "item")

    def _add_tool(self, begun: Entry, over: Entry, item: dict[str, Any]) -> None:
        error = _error_of(item)
        record = ToolCall(
            self.run.run_id,
            0,
            "tool_call",
            over.ts,
            _tool_of(item),
            {key: value for key, value in item.items() if key not in _TOLD},
            item.get("aggregated_output", item.get("result")),
            error,
            None,
            tool_call_id=as_name(item.get("id")),
            inferred=True,
            error_type="tool_error" if error is not None else None,
            attrs=at_line(begun.line),
        )
        self.run.add(record, begun.line, over.line)

    def _end_turn(self, entry: Entry | None, usage: Usage | None) -> None:
        self.is_turn_open = self.is_turn_open and entry is None
        self.thread.status, self.thread.error = "ok", None
        if entry is None and not self.said:
            return
        last = entry or self.said[-1]
        first = self.said[0] if self.said else last
        counted = usage or Usage(None, None, None, None, None)
        record = LlmCall(
            self.run.run_id,
            0,
            "llm_call",
            last.ts,
            None,
            counted.input_tokens,
            counted.output_tokens,
            None,
            None,
            provider="openai",
            cache_read_tokens=counted.cache_read_tokens,
            reasoning_tokens=counted.reasoning_tokens,
            usage=counted.verbatim,
            output=[_block(as_dict(said.payload.get("item"))) for said in self.said] or None,
            bounds=counted.bounds or None,
            attrs=at_line(first.line, covers="turn"),
        )
        self.said = []
        self.run.add(record, first.line, last.line)

    def _fail(self, entry: Entry) -> None:
        detail = entry.payload.get("error")
        text = as_text(entry.payload.get("message")) or as_text(as_dict(detail).get("message"))
        self.run.add_event("api_error", {"text": text}, ts=entry.ts, line=entry.line)
        self._end_turn(None, None)
        self.is_turn_open = self.is_turn_open and entry.kind != "turn.failed"
        self.thread.status, self.thread.error = "error", error_message(text, "the turn failed")

    def finish(self) -> None:
        """Add what was still going on when the stream stopped."""
        if self.said:
            status = self.thread.status, self.thread.error
            self._end_turn(None, None)
            self.thread.status, self.thread.error = status
        for entry in self.begun.values():
            item = as_dict(entry.payload.get("item"))
            record = StepStart(
                self.run.run_id,
                0,
                "step_start",
                entry.ts,
                "tool_call",
                tool=_tool_of(item),
                input={key: value for key, value in item.items() if key not in _TOLD},
                tool_call_id=as_name(item.get("id")),
                attrs=at_line(entry.line),
            )
            self.run.add(record, entry.line)
        self.thread.is_in_flight = self.is_turn_open or bool(self.begun)


def _tool_of(item: dict[str, Any]) -> str:
    named = ".".join(part for key in ("server", "tool") if (part := as_name(item.get(key))))
    return named or as_name(item.get("type")) or "unknown"


def _error_of(item: dict[str, Any]) -> str | None:
    code = item.get("exit_code")
    if as_count(code) != 0 and isinstance(code, int):
        return f"exit code {code}"
    if item.get("status") == "failed":
        return error_message(as_text(as_dict(item.get("error")).get("message")), "the tool failed")
    return None


def _block(item: dict[str, Any]) -> dict[str, Any]:
    text = as_text(item.get("text")) or ""
    is_thought = item.get("type") == "reasoning"
    return {"type": "thinking", "thinking": text} if is_thought else {"type": "text", "text": text}
