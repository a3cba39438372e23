"""One Codex rollout as the records of a run.

    what an answer holds, up to its count   llm_call: one for each loop step (X9)
    a call with its output or end event     tool_call; with neither, a step_start
    everything else that says something is an event, named in docs/importers.md

A count covers everything since the count before it, so several answers that
share one are one llm_call; what no count ever covers is one with no tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agent_step_log._records import LlmCall, StepStart, ToolCall
from agent_step_log.importers import _codex_tools as tools
from agent_step_log.importers._codex_records import Entry, turn_id_of
from agent_step_log.importers._codex_usage import Meter, Usage, usage_of
from agent_step_log.importers._runs import Run, at_line, event_name
from agent_step_log.importers._transcripts import (
    as_dict,
    as_milliseconds,
    as_name,
    as_text,
    elapsed_ms,
    headline,
    parse_object,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_ANSWER_EVENTS = {"agent_message", "agent_reasoning", "agent_reasoning_raw_content"}
_SERVER_TOOLS = {
    "response_item:web_search_call": "web_search",
    "response_item:image_generation_call": "image_generation",
}
_LEFT_OUT = {
    "event_msg:agent_reasoning_section_break",
    "event_msg:thread_name_updated",
    "inter_agent_communication_metadata",
    "response_item:compaction",
    "response_item:context_compaction",
    "response_item:ghost_snapshot",
    "session_meta",
    "turn_context",
    "untyped",
    "world_state",
}
_ERROR_EVENTS = {"event_msg:error", "event_msg:stream_error", "event_msg:warning"}
_INJECTED_MARKS = ("<", "# AGENTS.md instructions")


@dataclass(slots=True)
class Thread:
    """What building one rollout's run found beside its records."""

    run: Run
    entries: list[Entry]
    meter: Meter = field(default_factory=Meter)
    status: str = "ok"
    error: str | None = None
    #: the last turn was not over, or a tool was running
    is_in_flight: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    version: str | None = None
    #: the tool call that started a subagent, by the subagent's thread
    spawned: dict[str, str] = field(default_factory=dict)
    first_prompt: str | None = None


def build_rollout(
    run_id: str, thread_id: str, entries: list[Entry], meter: Meter, knows: Callable[[str], bool]
) -> Thread:
    """Return the run of *entries*, in order, the parent's history left out.

    Args:
        run_id: The id of the run.
        thread_id: The thread it is the rollout of.
        entries: At least one.
        meter: A meter that has read the counts of the history left out.
        knows: Tells whether the rollout of a subagent's thread is in this import.
    """
    builder = _Builder(Thread(Run(run_id), entries, meter), thread_id)
    builder.walk()
    builder.add_tools()
    builder.note_missing(knows)
    return builder.thread


class _Builder:
    def __init__(self, thread: Thread, thread_id: str) -> None:
        self.thread, self.run, self.thread_id = thread, thread.run, thread_id
        entries = thread.entries
        self.kinds = {entry.kind for entry in entries}
        self.meta = next((entry.payload for entry in entries if entry.kind == "session_meta"), {})
        self.asked = {_call_id(entry) for entry in entries if entry.kind in tools.ASKING} - {None}
        self.answers = _first_by_call(entry for entry in entries if entry.kind in tools.ANSWERING)
        self.ends = _first_by_call(entry for entry in entries if _is_end(entry))
        self.said = _texts(entries)
        self.measured_turns = self._measured_turns()
        self.model: str | None = None
        self.turn: str | None = None
        self.pending: list[Entry] = []
        self.since: float | None = None
        self.last_input: float | None = None
        self.seen_responses: set[str] = set()
        self.is_turn_open = False
        self.last_close = 0
        self.last_answer = 0

    def _measured_turns(self) -> set[str | None]:
        """Return the turns whose use is told by records of their own, not by counters (X1)."""
        turn, measured = None, set()
        for entry in self.thread.entries:
            turn = turn_id_of(entry) or turn
            if self._is_own_record(entry):
                measured.add(turn)
        return measured

    def _is_own_record(self, entry: Entry) -> bool:
        if entry.kind != "token_usage_record":
            return False
        owner = as_name(entry.payload.get("thread_id"))
        return owner in (None, self.thread_id)

    # Walking --------------------------------------------------------------------------

    def walk(self) -> None:
        """Add everything but the tool calls, and learn how the thread ended."""
        for entry in self.thread.entries:
            self.turn = turn_id_of(entry) or self.turn
            self._take(entry)
        self._flush()
        self._gather_facts()

    def _take(self, entry: Entry) -> None:
        kind = entry.kind
        if kind in ("response_item:message", "response_item:agent_message"):
            self._take_message(entry)
        elif kind == "response_item:reasoning" or kind in tools.ASKING or kind in _SERVER_TOOLS:
            self._take_answer(entry)
        elif kind in tools.ANSWERING:
            self._take_output(entry)
        elif kind in ("event_msg:token_count", "token_usage_record"):
            self._take_count(entry)
        elif kind.startswith("event_msg:"):
            self._take_event(entry, kind.removeprefix("event_msg:"))
        elif kind == "turn_context":
            self.model = as_name(entry.payload.get("model")) or self.model
        else:
            self._take_rest(entry)

    def _take_answer(self, entry: Entry) -> None:
        if not self.pending:
            self.since = self.last_input
        self.pending.append(entry)

    def _take_output(self, entry: Entry) -> None:
        self._heard(entry)
        if _call_id(entry) not in self.asked:
            data = {"tool_call_id": _call_id(entry), "output": entry.payload.get("output")}
            self.run.add_event("tool_result", data, ts=entry.ts, line=entry.line)

    def _take_message(self, entry: Entry) -> None:
        role, text = entry.payload.get("role"), tools.text_of(entry.payload) or ""
        if role in (None, "assistant"):
            self._take_answer(entry)
        elif role == "user" and text in self.said["user"]:
            self.run.left_out["response_item:message shown as user_message"] += 1
        elif role == "user" and not text.startswith(_INJECTED_MARKS):
            self._take_prompt(entry, text)
        else:
            data = {"role": as_name(role), "text": text}
            self.run.add_event("context_message", data, ts=entry.ts, line=entry.line)

    def _take_prompt(self, entry: Entry, text: str) -> None:
        self._flush()
        self._heard(entry)
        self._closed(entry, "ok")
        self.thread.first_prompt = self.thread.first_prompt or text
        self.run.add_event("user_message", {"text": text}, ts=entry.ts, line=entry.line)

    def _heard(self, entry: Entry) -> None:
        """Note the time of something the next answer may be an answer to."""
        if entry.is_timed:
            self.last_input = max(entry.ts, self.last_input or 0.0)

    def _closed(self, entry: Entry, status: str) -> None:
        self.thread.status, self.thread.error, self.last_close = status, None, entry.line

    def _take_event(self, entry: Entry, kind: str) -> None:
        text = tools.text_of(entry.payload) or ""
        if kind == "user_message":
            self._take_prompt(entry, text)
        elif kind in _ANSWER_EVENTS:
            self._take_answer_event(entry, text)
        elif kind in ("task_started", "turn_started"):
            self._flush()
            self._heard(entry)
            self.is_turn_open = True
            self.run.left_out[entry.kind] += 1
        elif kind in ("task_complete", "turn_complete", "turn_aborted"):
            self._end_turn(entry, kind)
        elif _is_end(entry):
            self._take_end(entry)
        else:
            self._take_rest(entry)

    def _take_answer_event(self, entry: Entry, text: str) -> None:
        # An answer stands twice, as an item and as an event; the event is for the screen (X7).
        if text in self.said["assistant"]:
            self.run.left_out[entry.kind] += 1
        else:
            self._take_answer(entry)

    def _end_turn(self, entry: Entry, kind: str) -> None:
        self._flush()
        self.is_turn_open = False
        if kind == "turn_aborted":
            self._closed(entry, "cancelled")
            data: dict[str, Any] = {"reason": as_name(entry.payload.get("reason"))}
            self.run.add_event("interrupted", data, ts=entry.ts, line=entry.line)
            return
        self._closed(entry, "ok")
        data = {
            "duration_ms": as_milliseconds(entry.payload.get("duration_ms")),
            "ttft_ms": as_milliseconds(entry.payload.get("time_to_first_token_ms")),
        }
        self.run.add_event("turn_end", data, ts=entry.ts, line=entry.line)

    def _take_end(self, entry: Entry) -> None:
        """Note the end of a tool call; one nobody asked for by name is a call of its own."""
        if spawned := as_name(entry.payload.get("new_thread_id")):
            self.thread.spawned.setdefault(spawned, _call_id(entry) or "")
        is_shown = _call_id(entry) in self.asked or "response_item:web_search_call" in self.kinds
        self.run.left_out[entry.kind] += is_shown
        if not is_shown:
            self._add_tool(entry, None, entry)

    def _take_rest(self, entry: Entry) -> None:
        kind, payload = entry.kind, entry.payload
        if kind == "compacted" or (kind == "event_msg:context_compacted" and "compacted" not in self.kinds):
            data: dict[str, Any] = {"text": as_text(payload.get("message"))}
            self.run.add_event("compaction", data, ts=entry.ts, line=entry.line)
        elif kind in _ERROR_EVENTS:
            self.run.add_event("api_error", {"text": tools.text_of(payload)}, ts=entry.ts, line=entry.line)
        elif kind in _LEFT_OUT or kind == "event_msg:context_compacted" or kind.endswith("_begin"):
            self.run.left_out[kind] += 1
        else:
            self.run.unknown[kind] += 1
            name = event_name("codex", kind.split(":")[-1])
            rest = {key: value for key, value in payload.items() if key != "type"}
            self.run.add_event(name, rest, ts=entry.ts, line=entry.line)

    # Calls ----------------------------------------------------------------------------

    def _take_count(self, entry: Entry) -> None:
        if entry.kind == "token_usage_record":
            usage = self._recorded(entry)
        else:
            # Read even where it is not believed: the total must not be behind afterwards.
            usage = self.thread.meter.read(entry.payload.get("info"))
            usage = None if self.turn in self.measured_turns else usage
        if usage is None:
            self.run.left_out[entry.kind] += 1
            return
        if not self.pending:
            self.since = self.last_input
        self._add_call(self.pending, usage, entry)
        self.pending = []

    def _recorded(self, entry: Entry) -> Usage | None:
        response = as_name(entry.payload.get("response_id"))
        if not self._is_own_record(entry) or response in self.seen_responses:
            return None
        self.seen_responses.update({response} if response else ())
        return usage_of(as_dict(entry.payload.get("usage")))

    def _flush(self) -> None:
        """Add the answer nothing was ever counted for."""
        if self.pending:
            self._add_call(self.pending, Usage(None, None, None, None, None), None)
            self.pending = []

    def _add_call(self, items: list[Entry], usage: Usage, count: Entry | None) -> None:
        first = items[0] if items else count
        last = count or items[-1]
        assert first is not None
        duration = elapsed_ms(self.since, last.ts) if last.is_timed else None
        bounds = {**usage.bounds, **({"duration_ms": "upper"} if duration is not None else {})}
        record = LlmCall(
            self.run.run_id,
            0,
            "llm_call",
            last.ts,
            self.model,
            usage.input_tokens,
            usage.output_tokens,
            None,
            duration,
            provider=as_name(self.meta.get("model_provider")) or "openai",
            cache_read_tokens=usage.cache_read_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            usage=usage.verbatim,
            request_id=as_name(count.payload.get("response_id")) if count else None,
            tool_calls=[_asked(item) for item in items if item.kind in tools.ASKING] or None,
            output=[shown for item in items if (shown := _shown(item))] or None,
            bounds=bounds or None,
            attrs=at_line(first.line, turn_id=self.turn),
        )
        self.run.add(record, first.line, last.line)
        self.last_answer = first.line
        if last.is_timed:
            self.last_input = max(last.ts, self.last_input or 0.0)

    # Tools ----------------------------------------------------------------------------

    def add_tools(self) -> None:
        """Add the tool calls, after the answers that asked for them on the same line."""
        used: set[str] = set()
        last_open = 0
        for entry in self.thread.entries:
            call_id = _call_id(entry)
            if entry.kind in _SERVER_TOOLS:
                self._add_server_tool(entry)
            if entry.kind not in tools.ASKING or (call_id is not None and call_id in used):
                continue
            used.update({call_id} if call_id else ())
            answer, end = self.answers.get(call_id or ""), self.ends.get(call_id or "")
            if answer is None and end is None:
                self._add_open_tool(entry)
                last_open = entry.line
            else:
                self._add_tool(entry, answer, end)
        is_waiting = last_open >= max(self.last_answer, 1) and last_open > self.last_close
        self.thread.is_in_flight = self.is_turn_open or is_waiting

    def _add_open_tool(self, entry: Entry) -> None:
        record = StepStart(
            self.run.run_id,
            0,
            "step_start",
            entry.ts,
            "tool_call",
            tool=tools.name_of(entry.payload),
            input=tools.input_of(entry.payload),
            tool_call_id=_call_id(entry),
            attrs=at_line(entry.line),
        )
        self.run.add(record, entry.line)

    def _add_server_tool(self, entry: Entry) -> None:
        record = ToolCall(
            self.run.run_id,
            0,
            "tool_call",
            entry.ts,
            _SERVER_TOOLS[entry.kind],
            entry.payload.get("action"),
            None,
            None,
            None,
            tool_call_id=as_name(entry.payload.get("id")),
            inferred=True,
            attrs=at_line(entry.line, runs_at="provider"),
        )
        self.run.add(record, entry.line)

    def _add_tool(self, asked: Entry, answer: Entry | None, end: Entry | None) -> None:
        last = answer or end or asked
        name = tools.name_of(asked.payload) if asked is not end else _name_of_end(asked)
        outcome = self._outcome(name, asked, answer, end)
        self._learn_spawn(name, _call_id(asked), outcome.output)
        record = ToolCall(
            self.run.run_id,
            0,
            "tool_call",
            last.ts,
            name,
            tools.input_of(asked.payload) if asked is not end else asked.payload.get("invocation"),
            outcome.output,
            outcome.error,
            outcome.duration_ms,
            tool_call_id=_call_id(asked),
            inferred=True,
            bounds={"duration_ms": outcome.bound} if outcome.bound else None,
            error_type="tool_error" if outcome.error is not None else None,
            attrs=at_line(asked.line),
        )
        self.run.add(record, asked.line, last.line)

    def _outcome(self, name: str, asked: Entry, answer: Entry | None, end: Entry | None) -> tools.Outcome:
        outcome = tools.outcome_of(answer, end)
        if name == "write_stdin":
            # It waits for a command begun before: how long, and its exit code, are the command's.
            outcome.bound = None
            if outcome.is_exit_code and self._is_told_elsewhere(asked):
                outcome.error = None
        if outcome.duration_ms is None and asked is not end:
            last = answer or end or asked
            waited = elapsed_ms(asked.ts, last.ts) if asked.is_timed and last.is_timed else None
            outcome.duration_ms, outcome.bound = waited, "upper" if waited is not None else None
        return outcome

    def _is_told_elsewhere(self, asked: Entry) -> bool:
        """Tell whether the exit code write_stdin reports is that of a command with an end event."""
        session = as_dict(tools.input_of(asked.payload)).get("session_id")
        return any(str(end.payload.get("process_id")) == str(session) for end in self.ends.values())

    def _learn_spawn(self, name: str, call_id: str | None, output: Any) -> None:
        if name != "spawn_agent" or call_id is None:
            return
        facts = parse_object(output.encode("utf-8", "replace"))[0] if isinstance(output, str) else output
        for key in ("agent_id", "thread_id", "new_thread_id"):
            if child := as_name(as_dict(facts).get(key)):
                self.thread.spawned.setdefault(child, call_id)

    def note_missing(self, knows: Callable[[str], bool]) -> None:
        """Say which subagents' use is in no log."""
        missing = sum(not knows(child) for child in self.thread.spawned)
        if missing:
            subject = "1 subagent" if missing == 1 else f"{missing} subagents"
            self.run.note(f"the rollout of {subject} is not here: what it used is missing from the totals")
            self.run.bounds.update(input_tokens="lower", output_tokens="lower")

    def _gather_facts(self) -> None:
        git = as_dict(self.meta.get("git"))
        source = self.meta.get("source")
        self.thread.version = as_name(self.meta.get("cli_version"))
        self.thread.facts = {
            "cwd": as_text(self.meta.get("cwd")),
            "git_branch": as_name(git.get("branch")),
            "git_commit": as_name(git.get("commit_hash")),
            "originator": as_name(self.meta.get("originator")),
            "started_by": as_name(source) or next(iter(as_dict(source)), None),
            "title": headline(self.thread.first_prompt),
        }


def _call_id(entry: Entry) -> str | None:
    return as_name(entry.payload.get("call_id"))


def _asked(item: Entry) -> dict[str, Any]:
    return {"id": _call_id(item), "name": tools.name_of(item.payload)}


def _is_end(entry: Entry) -> bool:
    return entry.kind.startswith("event_msg:") and entry.kind.endswith("_end") and _call_id(entry) is not None


def _first_by_call(entries: Any) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for entry in entries:
        if call_id := _call_id(entry):
            found.setdefault(call_id, entry)
    return found


def _texts(entries: list[Entry]) -> dict[str, set[str]]:
    """Return what is said twice: prompts that have an event, answers that have an item (X7)."""
    said: dict[str, set[str]] = {"user": set(), "assistant": set()}
    for entry in entries:
        text = tools.text_of(entry.payload)
        if text is None:
            continue
        if entry.kind == "event_msg:user_message":
            said["user"].add(text)
        elif entry.kind == "response_item:reasoning" or entry.payload.get("role") == "assistant":
            said["assistant"].add(text)
    return said


def _shown(item: Entry) -> dict[str, Any] | None:
    """Return what an answer says as a block of text; encrypted reasoning says nothing."""
    text = tools.text_of(item.payload)
    if text is None or item.kind in tools.ASKING or item.kind in _SERVER_TOOLS:
        return None
    is_thought = "reasoning" in item.kind
    return {"type": "thinking", "thinking": text} if is_thought else {"type": "text", "text": text}


def _name_of_end(end: Entry) -> str:
    invocation = as_dict(end.payload.get("invocation"))
    named = [as_name(invocation.get("server")), as_name(invocation.get("tool"))]
    joined = ".".join(part for part in named if part)
    return joined or end.kind.removeprefix("event_msg:").removesuffix("_end").removesuffix("_tool_call")
