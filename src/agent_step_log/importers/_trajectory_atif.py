"""ATIF, the Agent Trajectory Interchange Format of Harbor (terminal-bench), versions 1.0 to 1.7.

    {schema_version, session_id, agent {name, version, model_name}, steps [step, …], final_metrics, notes}
    step     {step_id, timestamp?, source: system|user|agent, message, reasoning_content?, model_name?,
              tool_calls? [{tool_call_id, function_name, arguments}],
              observation? {results [{source_call_id?, content}]}, metrics?, is_copied_context?}
    metrics  {prompt_tokens, completion_tokens, cached_tokens (part of the prompt), cost_usd, …}

The time of a step is when it began to be written down, so a duration is at most what lies between
two. A step that is a copy of an earlier context is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent_step_log.importers._trajectory_build import Asked, Tokens, Trajectory, blocks_of, parsed
from agent_step_log.importers._transcripts import as_count, as_dict, as_list, as_name, as_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent_step_log.importers._trajectory_files import Document

NAME = "atif"

#: Of the metrics, lists as long as the prompt that say nothing about what happened.
_BULKY = frozenset({"prompt_token_ids", "completion_token_ids", "logprobs"})


def is_it(value: Any) -> bool:
    """Whether *value* is such a document."""
    document = as_dict(value)
    has_parts = isinstance(document.get("steps"), list) and isinstance(document.get("agent"), dict)
    return has_parts and isinstance(document.get("schema_version"), str)


def runs_of(document: Document) -> Iterator[Trajectory]:
    """Yield its one run."""
    value = as_dict(document.value)
    agent = as_dict(value.get("agent"))
    found = document.new(NAME, as_name(value.get("session_id")) or f"{document.stem}-{document.short_hash}")
    found.agent = as_name(agent.get("name")) or NAME
    found.agent_version = as_name(agent.get("version"))
    totals = as_dict(value.get("final_metrics"))
    found.facts = {
        "session_id": as_name(value.get("session_id")),
        "schema_version": as_name(value.get("schema_version")),
        "reported": {key: n for key, n in totals.items() if isinstance(n, int | float)} or None,
    }
    model = as_name(agent.get("model_name"))
    for step in map(as_dict, as_list(value.get("steps"))):
        if step.get("is_copied_context") is True:
            found.run.left_out["copied context"] += 1
        else:
            _take(found, step, model)
    yield found


def _take(found: Trajectory, step: dict[str, Any], model: str | None) -> None:
    ts = as_seconds(step.get("timestamp"))
    source = step.get("source")
    if source == "agent":
        asked = [
            Asked(
                as_name(call.get("function_name")) or "unknown",
                parsed(call.get("arguments")),
                as_name(call.get("tool_call_id")),
            )
            for call in map(as_dict, as_list(step.get("tool_calls")))
        ]
        found.answered(
            as_name(step.get("model_name")) or model,
            blocks_of(step.get("message"), step.get("reasoning_content")),
            asked,
            _tokens(step.get("metrics")),
            ts=ts,
            cost_usd=as_dict(step.get("metrics")).get("cost_usd"),
        )
    else:
        found.said(source, step.get("message"), ts)
    for result in map(as_dict, as_list(as_dict(step.get("observation")).get("results"))):
        content = result.get("content")
        if content is None:
            content = result.get("subagent_trajectory_ref")
        name = as_name(result.get("source_call_id"))
        if name is None and not found.is_waiting:
            found.event("observation", {"content": content})
        else:
            found.result(name, content)


def _tokens(metrics: Any) -> Tokens | None:
    told = {key: value for key, value in as_dict(metrics).items() if key not in _BULKY}
    if not told:
        return None
    extra = as_dict(told.get("extra"))
    return Tokens(
        as_count(told.get("prompt_tokens")),
        as_count(told.get("completion_tokens")),
        as_count(told.get("cached_tokens")),
        as_count(extra.get("cache_creation_input_tokens")),
        as_count(extra.get("reasoning_tokens")),
        told,
    )
