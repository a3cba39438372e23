"""Codex tool calls: what was asked, what came back, whether it failed, how long it took.

The same facts stand in different places from version to version: in a JSON string
with ``metadata``, in header lines above plain text, in an ``exec_command_end`` or
another ``*_end`` event of the same call. The event is believed first: a long
command's output record is written while it still runs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent_step_log.importers._runs import error_message
from agent_step_log.importers._transcripts import (
    as_count,
    as_dict,
    as_list,
    as_milliseconds,
    as_name,
    as_text,
    parse_object,
)

if TYPE_CHECKING:
    from agent_step_log.importers._codex_records import Entry

ASKING = {
    "response_item:function_call",
    "response_item:custom_tool_call",
    "response_item:local_shell_call",
    "response_item:tool_search_call",
}
ANSWERING = {
    "response_item:function_call_output",
    "response_item:custom_tool_call_output",
    "response_item:tool_search_output",
}
_EXIT = re.compile(r"^Process exited with code (-?\d{1,9})$", re.MULTILINE)
_WALL = re.compile(r"^Wall time: (\d{1,9}(?:\.\d{1,9})?) seconds$", re.MULTILINE)
_HEADER_CHARS = 400


@dataclass(slots=True)
class Outcome:
    """How a tool call ended."""

    output: Any
    error: str | None = None
    duration_ms: float | int | None = None
    #: which way the duration is only a bound: "lower" or "upper"
    bound: str | None = None
    #: the error is a command's exit code, not the tool's own failure
    is_exit_code: bool = False


def name_of(payload: dict[str, Any]) -> str:
    """Return the tool a call asks for, with its MCP server in front where it names one."""
    if payload.get("type") == "local_shell_call":
        return "local_shell"
    if payload.get("type") == "tool_search_call":
        return "tool_search"
    name = as_name(payload.get("name")) or "unknown"
    namespace = as_name(payload.get("namespace"))
    return f"{namespace}{name}" if namespace else name


def input_of(payload: dict[str, Any]) -> Any:
    """Return the arguments of a call: an object where the string holds one."""
    for key in ("arguments", "input", "action"):
        value = payload.get(key)
        if isinstance(value, str) and key == "arguments":
            parsed, _reason = parse_object(value.encode("utf-8", "replace"))
            return value if parsed is None else parsed
        if value is not None:
            return value
    return None


def outcome_of(answer: Entry | None, end: Entry | None) -> Outcome:
    """Return what the output record and the end event of one call say together."""
    outcome = _from_output(answer.payload.get("output")) if answer else Outcome(None)
    if end is None:
        return outcome
    said = _from_end(end.payload)
    # The command ended after its output record was written: only the event has all of it.
    is_running = outcome.bound == "lower"
    if answer is None or is_running:
        outcome.output = said.output
    if said.error is not None or is_running:
        outcome.error, outcome.is_exit_code = said.error, said.is_exit_code
    if said.duration_ms is not None:
        outcome.duration_ms, outcome.bound = said.duration_ms, None
    return outcome


def _from_output(output: Any) -> Outcome:
    if isinstance(output, str):
        parsed, _reason = parse_object(output.encode("utf-8", "replace"))
        is_wrapped = parsed is not None and ("metadata" in parsed or "output" in parsed)
        return _from_wrapped(as_dict(parsed)) if is_wrapped else _from_header(output)
    facts = as_dict(output)
    if facts.get("success") is False:
        return Outcome(output, error_message(as_text(facts.get("content")), "the tool failed"))
    return Outcome(output)


def _from_wrapped(parsed: dict[str, Any]) -> Outcome:
    facts, text = as_dict(parsed.get("metadata")), parsed.get("output")
    duration = as_milliseconds(facts.get("duration_seconds"), per_unit=1000.0)
    error = _exit_error(facts.get("exit_code"), as_text(text))
    return Outcome(text, error, duration, is_exit_code=error is not None)


def _from_header(text: str) -> Outcome:
    header = text[:_HEADER_CHARS].split("Output:", 1)[0]
    code, wall = _EXIT.search(header), _WALL.search(header)
    if re.match(r"\w{1,64} failed\b", header):
        return Outcome(text, error_message(text, "the tool failed"))
    body = text.split("Output:\n", 1)[-1]
    error = _exit_error(int(code.group(1)), body) if code else None
    duration = round(float(wall.group(1)) * 1000, 3) if wall else None
    is_running = "Process running with session ID" in header and duration is not None
    return Outcome(text, error, duration, "lower" if is_running else None, error is not None)


def _from_end(payload: dict[str, Any]) -> Outcome:
    streams = (as_text(payload.get(key)) for key in ("aggregated_output", "stdout", "stderr"))
    text = next((stream for stream in streams if stream), None)
    result = payload.get("result")
    error = _exit_error(payload.get("exit_code"), text)
    if error is None and (payload.get("success") is False or payload.get("status") == "failed"):
        error = error_message(as_text(payload.get("stderr")) or text, "the tool failed")
    if error is None and "Err" in as_dict(result):
        error = error_message(as_text(as_dict(result).get("Err")), "the tool failed")
    facts = {key: value for key, value in payload.items() if key not in ("type", "call_id", "turn_id")}
    output = text if text is not None else result if result is not None else facts or None
    return Outcome(output, error, _duration_of(payload.get("duration")))


def _exit_error(code: Any, text: str | None) -> str | None:
    if isinstance(code, bool) or not isinstance(code, int) or code == 0:
        return None
    lines = [line for line in (text or "")[-2000:].splitlines() if line.strip()]
    return error_message(f"exit code {code}: {lines[-1].strip()}" if lines else f"exit code {code}", "")


def _duration_of(duration: Any) -> float | None:
    seconds, nanos = as_count(as_dict(duration).get("secs")), as_count(as_dict(duration).get("nanos"))
    if seconds is None or nanos is None:
        return None
    return round(seconds * 1000 + nanos / 1e6, 3)


def text_of(payload: dict[str, Any]) -> str | None:
    """Return the text of a message, a reasoning summary or an event."""
    for key in ("message", "text"):
        if text := as_text(payload.get(key)):
            return text
    parts = [*as_list(payload.get("content")), *as_list(payload.get("summary"))]
    texts = [text for part in parts if (text := as_text(as_dict(part).get("text")))]
    return "\n".join(texts) or None
