"""One thread of a Claude Code transcript as the records of a run.

    API call                      llm_call, numbered from its first line
    tool_use with its tool_result tool_call; without one, a step_start: it was in flight
    everything else that says something about the run is an event, named in docs/importers.md

Durations come from times of writing: a tool's covers any wait for permission,
a call's any wait before it. They are upper bounds and marked so, unless the tool
itself reported how long it took.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agent_step_log._records import LlmCall, StepStart, ToolCall
from agent_step_log.importers import _claude_events as events
from agent_step_log.importers._claude_calls import is_synthetic, merge_calls, tokens_of
from agent_step_log.importers._runs import Run, at_line, error_message
from agent_step_log.importers._transcripts import (
    as_count,
    as_dict,
    as_list,
    as_milliseconds,
    as_name,
    as_text,
    elapsed_ms,
    headline,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent_step_log.importers._claude_calls import Call
    from agent_step_log.importers._claude_records import Entry


@dataclass(slots=True)
class Thread:
    """What building one thread's run found beside its records."""

    run: Run
    entries: list[Entry]
    status: str = "ok"
    error: str | None = None
    #: a tool was running, and nothing came after it
    is_in_flight: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    version: str | None = None
    #: the tool call that started a subagent: by the subagent's id, and by its prompt
    tool_of_agent: dict[str, str] = field(default_factory=dict)
    tool_of_prompt: dict[str, str] = field(default_factory=dict)
    agent_types: dict[str, str] = field(default_factory=dict)
    first_prompt: str | None = None


def build_thread(run_id: str, entries: list[Entry], child_run: Callable[[str], str | None]) -> Thread:
    """Return the run of *entries*, which are one thread's, in order, each its own and no copy.

    Args:
        run_id: The id of the run.
        entries: At least one.
        child_run: Gives the run of a subagent by its id, None if its transcript is not here.
    """
    builder = _Builder(Thread(Run(run_id), entries), child_run)
    builder.add_calls()
    builder.add_events()
    builder.gather_facts()
    return builder.thread


class _Builder:
    def __init__(self, thread: Thread, child_run: Callable[[str], str | None]) -> None:
        self.thread, self.run, self.child_run = thread, thread.run, child_run
        self.calls = merge_calls(thread.entries)
        self.results = _results_of(thread.entries)
        self.used_tools: set[str] = set()
        self.open_lines: list[int] = []
        self.inputs = [
            (e.line, e.ts) for e in thread.entries if e.kind == "user" and e.is_timed and e.is_whole
        ]

    # Calls and tools ------------------------------------------------------------------

    def add_calls(self) -> None:
        """Add every API call and the tool calls it asked for."""
        self._find_agents()
        previous: Call | None = None
        for call in self.calls:
            self._add_call(call, previous)
            for entry in call.entries:
                self._add_tools(entry)
            previous = call

    def _add_call(self, call: Call, previous: Call | None) -> None:
        best = call.best()
        tokens, blocks = tokens_of(best), call.blocks()
        duration = self._duration_of(call, previous)
        bounds = dict(tokens.bounds)
        if duration is not None:
            bounds["duration_ms"] = "upper"
        record = LlmCall(
            self.run.run_id,
            0,
            "llm_call",
            call.last.ts,
            as_name(best.message.get("model")),
            tokens.input_tokens,
            tokens.output_tokens,
            as_name(best.message.get("stop_reason")),
            duration,
            provider="anthropic",
            cache_read_tokens=tokens.cache_read_tokens,
            cache_write_tokens=tokens.cache_write_tokens,
            usage=as_dict(best.message.get("usage")) or None,
            request_id=call.request_id,
            tool_calls=[_asked(block) for block in blocks if block.get("type") == "tool_use"] or None,
            output=[_shown(block) for block in blocks if block.get("type") != "tool_use"] or None,
            bounds=bounds or None,
            attrs=at_line(
                call.first.line, message_id=call.message_id, cache_write_split=tokens.cache_write_split
            ),
        )
        self.run.add(record, call.first.line, call.last.line)

    def _duration_of(self, call: Call, previous: Call | None) -> float | None:
        """Return the time since what the call answers was written: it cannot have begun before."""
        at = bisect_left(self.inputs, (call.first.line, 0.0))
        starts = [self.inputs[at - 1][1]] if at else []
        if previous is not None and previous.last.is_timed and previous.last.line < call.first.line:
            starts.append(previous.last.ts)
        end = call.last.ts if call.last.is_timed else None
        return elapsed_ms(max(starts), end) if starts else None

    def _add_tools(self, entry: Entry) -> None:
        for block in entry.blocks():
            call_id = as_name(block.get("id"))
            if block.get("type") != "tool_use" or (call_id is not None and call_id in self.used_tools):
                continue
            if call_id is not None:
                self.used_tools.add(call_id)
            result = self.results.get(call_id) if call_id is not None else None
            if result is None:
                self._add_open_tool(entry, block, call_id)
            else:
                self._add_tool(entry, block, call_id, result)

    def _add_open_tool(self, entry: Entry, block: dict[str, Any], call_id: str | None) -> None:
        record = StepStart(
            self.run.run_id,
            0,
            "step_start",
            entry.ts,
            "tool_call",
            tool=_tool_name(block),
            input=block.get("input"),
            tool_call_id=call_id,
            attrs=at_line(entry.line),
        )
        self.open_lines.append(entry.line)
        self.run.add(record, entry.line)

    def _add_tool(
        self, entry: Entry, block: dict[str, Any], call_id: str | None, result: tuple[Entry, dict[str, Any]]
    ) -> None:
        answer, content = result
        report = as_dict(answer.raw.get("toolUseResult"))
        output = _shown_output(content.get("content"))
        failed = content.get("is_error") is True
        duration, is_bound = _tool_duration(entry, answer, report)
        record = ToolCall(
            self.run.run_id,
            0,
            "tool_call",
            answer.ts,
            _tool_name(block),
            block.get("input"),
            output,
            error_message(_text_of(output), "the tool reported an error") if failed else None,
            duration,
            tool_call_id=call_id,
            inferred=True,
            bounds={"duration_ms": "upper"} if is_bound else None,
            error_type="tool_error" if failed else None,
            attrs=at_line(entry.line, **self._tool_facts(_tool_name(block), report)),
        )
        self.run.add(record, entry.line, answer.line)

    def _tool_facts(self, tool: str, report: dict[str, Any]) -> dict[str, Any]:
        facts: dict[str, Any] = {}
        if report.get("interrupted") is True:
            facts["interrupted"] = True
        if tool == "WebSearch":
            facts["web_search_requests"] = _searches_in(report)
        if agent := as_name(report.get("agentId")):
            facts["agent_id"] = agent
            facts["child_run_id"] = self.child_run(agent)
            facts["agent_total_tokens"] = as_count(report.get("totalTokens"))
        return facts

    # Subagents ------------------------------------------------------------------------

    def _find_agents(self) -> None:
        """Learn which tool call started which subagent, from results and progress records."""
        for call_id, (answer, _block) in self.results.items():
            if agent := as_name(as_dict(answer.raw.get("toolUseResult")).get("agentId")):
                self.thread.tool_of_agent.setdefault(agent, call_id)
        for entry in self.thread.entries:
            if entry.kind == "progress:agent_progress":
                agent = as_name(as_dict(entry.raw.get("data")).get("agentId"))
                caller = as_name(entry.raw.get("parentToolUseID"))
                if agent and caller:
                    self.thread.tool_of_agent.setdefault(agent, caller)
        self._note_missing_agents()
        for call in self.calls:
            self._learn_prompts(call)

    def _learn_prompts(self, call: Call) -> None:
        for block in call.blocks():
            given, call_id = as_dict(block.get("input")), as_name(block.get("id"))
            if block.get("type") != "tool_use" or call_id is None:
                continue
            if prompt := as_text(given.get("prompt")):
                self.thread.tool_of_prompt.setdefault(prompt, call_id)
            if kind := as_name(given.get("subagent_type")):
                self.thread.agent_types[call_id] = kind

    def _note_missing_agents(self) -> None:
        missing = sum(self.child_run(agent) is None for agent in self.thread.tool_of_agent)
        if missing:
            subject = "1 subagent" if missing == 1 else f"{missing} subagents"
            self.run.note(f"the transcript of {subject} is not here: what it used is missing from the totals")
            self.run.bounds.update(input_tokens="lower", output_tokens="lower")

    # Events and facts -----------------------------------------------------------------

    def add_events(self) -> None:
        """Add what is no step, and learn how the thread ended."""
        last_turn = 0
        for entry in self.thread.entries:
            outcome = self._add_entry(entry)
            if outcome is not None:
                self.thread.status, self.thread.error = outcome
                last_turn = entry.line
            elif entry.kind == "assistant" and not is_synthetic(entry):
                self.thread.status, self.thread.error = "ok", None
        last_call = self.calls[-1].first.line if self.calls else 0
        last_open = max(self.open_lines, default=0)
        self.thread.is_in_flight = last_open >= max(last_call, 1) and last_open > last_turn

    def _add_entry(self, entry: Entry) -> events.Outcome | None:
        """Add the events of one record; return how the run would have ended if it were the last."""
        if not entry.is_whole:
            self.run.left_out[f"malformed {entry.kind}"] += 1
            return None
        if entry.kind == "user":
            return self._add_user(entry)
        if entry.kind == "assistant":
            return events.add_synthetic(self.run, entry) if is_synthetic(entry) else None
        return events.add_other(self.run, entry)

    def _add_user(self, entry: Entry) -> events.Outcome | None:
        for block in entry.blocks():
            if (
                block.get("type") == "tool_result"
                and as_name(block.get("tool_use_id")) not in self.used_tools
            ):
                data = {
                    "tool_call_id": as_name(block.get("tool_use_id")),
                    "output": _shown_output(block.get("content")),
                    "is_error": block.get("is_error") is True,
                }
                self.run.add_event("tool_result", data, ts=entry.ts, line=entry.line)
        spoken = events.spoken_in(entry)
        if spoken is None:
            return None
        if spoken.name == "user_message" and self.thread.first_prompt is None:
            self.thread.first_prompt = spoken.text
        self.run.add_event(spoken.name, spoken.data, ts=entry.ts, line=entry.line)
        return ("cancelled", None) if spoken.name == "interrupted" else ("ok", None)

    def gather_facts(self) -> None:
        """Collect what the header of the run says about it."""
        thread = self.thread
        raws = [entry.raw for entry in thread.entries]
        versions = list(dict.fromkeys(v for raw in raws if (v := as_name(raw.get("version")))))
        thread.version = versions[-1] if versions else None
        thread.facts = {
            "cwd": _first(raws, "cwd"),
            "git_branch": _first(raws, "gitBranch"),
            "slug": _first(raws, "slug"),
            "cli_versions": versions if len(versions) > 1 else None,
            "title": _title(thread.entries) or headline(thread.first_prompt),
        }


def _results_of(entries: list[Entry]) -> dict[str, tuple[Entry, dict[str, Any]]]:
    """Return the first result of every tool use: they are joined by id alone."""
    results: dict[str, tuple[Entry, dict[str, Any]]] = {}
    for entry in entries:
        for block in entry.blocks() if entry.kind == "user" else ():
            call_id = as_name(block.get("tool_use_id"))
            if block.get("type") == "tool_result" and call_id is not None:
                results.setdefault(call_id, (entry, block))
    return results


def _tool_duration(asked: Entry, answer: Entry, report: dict[str, Any]) -> tuple[float | int | None, bool]:
    """Return how long the tool took, and whether that is only an upper bound."""
    told = (
        as_milliseconds(report.get("totalDurationMs")),
        as_milliseconds(report.get("durationMs")),
        as_milliseconds(report.get("durationSeconds"), per_unit=1000.0),
    )
    own = next((duration for duration in told if duration is not None), None)
    if own is not None:
        return own, False
    waited = elapsed_ms(asked.ts, answer.ts) if asked.is_timed and answer.is_timed else None
    return waited, waited is not None


def _searches_in(report: dict[str, Any]) -> int | None:
    """Return the searches a WebSearch made: they have a fee, and no call's usage counts them."""
    counted = as_count(report.get("searchCount"))
    if counted is not None:
        return counted
    made = {as_name(as_dict(item).get("tool_use_id")) for item in as_list(report.get("results"))} - {None}
    return len(made) or None


def _tool_name(block: dict[str, Any]) -> str:
    return as_name(block.get("name")) or "unknown"


def _asked(block: dict[str, Any]) -> dict[str, Any]:
    return {"id": as_name(block.get("id")), "name": _tool_name(block)}


def _shown(block: dict[str, Any]) -> dict[str, Any]:
    """Return an assistant's block without what only the provider can read."""
    hidden = ("signature", "data") if block.get("type") in ("thinking", "redacted_thinking") else ()
    return {key: value for key, value in block.items() if key not in hidden}


def _shown_output(content: Any) -> Any:
    """Return a tool's output; of an image or a document, its kind and size."""
    if not isinstance(content, list):
        return content
    return [events.attachment_of(block) or block for block in content]


def _text_of(output: Any) -> str | None:
    if isinstance(output, str):
        return output
    texts = (as_text(as_dict(block).get("text")) for block in as_list(output))
    return next((text for text in texts if text), None)


def _first(raws: list[dict[str, Any]], key: str) -> str | None:
    return next((value for raw in raws if (value := as_text(raw.get(key)))), None)


def _title(entries: list[Entry]) -> str | None:
    """Return the latest title; a summary counts only if it is of a record in this file."""
    uuids = {entry.uuid for entry in entries}
    title = None
    for entry in entries:
        raw = entry.raw
        if entry.kind == "summary" and as_name(raw.get("leafUuid")) in uuids:
            title = headline(as_text(raw.get("summary"))) or title
        elif entry.kind in ("ai-title", "custom-title"):
            title = headline(as_text(raw.get("aiTitle")) or as_text(raw.get("customTitle"))) or title
    return title
