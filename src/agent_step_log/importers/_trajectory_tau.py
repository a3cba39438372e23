"""tau-bench and tau2-bench: an agent, tools, and a user played by a model.

    tau-bench   [{task_id, trial, reward, info, traj [message, …]}, …]     no times, no usage
    tau2        {info, tasks, simulations [simulation, …]}, or one simulation by itself
    simulation  {id, task_id, trial, start_time, end_time, termination_reason, reward_info, agent_cost,
                 user_cost, messages [{role, content, tool_calls, timestamp, usage, cost}, …]}

In tau2 the simulated user is a model as well and uses tools of its own: its calls and tools carry
``agent`` user. An answer without usage was put there by the harness and is no call. A spoken
simulation (``ticks``) keeps who spoke when. Times have no zone and are taken for UTC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent_step_log.importers._trajectory_build import Trajectory, asked_in, blocks_of, tokens_of, words_of
from agent_step_log.importers._transcripts import as_dict, as_list, as_name, as_seconds, as_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent_step_log.importers._trajectory_files import Document

TAU_BENCH, TAU2 = "tau-bench", "tau2"

_FINE = frozenset({"user_stop", "agent_stop"})


def is_tau_bench(value: Any) -> bool:
    """Whether *value* is a document of tau-bench."""
    return isinstance(value, list) and bool(value) and isinstance(as_dict(value[0]).get("traj"), list)


def is_tau2(value: Any) -> bool:
    """Whether *value* is a document of tau2-bench."""
    document = as_dict(value)
    if isinstance(document.get("simulations"), list):
        return True
    has_turns = isinstance(document.get("messages"), list) or isinstance(document.get("ticks"), list)
    return has_turns and "termination_reason" in document


def tau_bench_runs(document: Document) -> Iterator[Trajectory]:
    """Yield a run for each dialogue."""
    for place, dialogue in enumerate(map(as_dict, as_list(document.value))):
        task, trial = dialogue.get("task_id"), dialogue.get("trial")
        found = document.new(TAU_BENCH, document.stem, _part(task, place), _part(trial, 0))
        found.facts = {"task_id": task, "trial": trial, "reward": _number(dialogue.get("reward"))}
        for message in map(as_dict, as_list(dialogue.get("traj"))):
            _take_chat(found, message)
        _score(found, "reward", dialogue.get("reward"), None)
        yield found


def _take_chat(found: Trajectory, message: dict[str, Any]) -> None:
    role, content = message.get("role"), message.get("content")
    if role == "assistant":
        found.answered(None, blocks_of(content), asked_in(message))
    elif role == "tool":
        # The harness writes what a tool raised in the place of its result.
        error = content if isinstance(content, str) and content.startswith("Error:") else None
        found.result(as_name(message.get("tool_call_id")), content, error=error)
    else:
        found.said(role, content)


def tau2_runs(document: Document) -> Iterator[Trajectory]:
    """Yield a run for each simulation."""
    value = as_dict(document.value)
    info = as_dict(value.get("info"))
    simulations = value.get("simulations")
    for place, each in enumerate(map(as_dict, simulations if isinstance(simulations, list) else [value])):
        yield _simulation(document, each, info, place)


def _simulation(document: Document, each: dict[str, Any], info: dict[str, Any], place: int) -> Trajectory:
    agent, user = as_dict(info.get("agent_info")), as_dict(info.get("user_info"))
    found = document.new(TAU2, as_name(each.get("id")) or f"{document.stem}-{place}")
    found.task_type = as_name(as_dict(info.get("environment_info")).get("domain_name"))
    costs = {key: each.get(key) for key in ("agent_cost", "user_cost")}
    found.facts = {
        "task_id": each.get("task_id"),
        "trial": each.get("trial"),
        "reward": _number(as_dict(each.get("reward_info")).get("reward")),
        "agent": as_name(agent.get("implementation")),
        "reported": {key: cost for key, cost in costs.items() if isinstance(cost, int | float)} or None,
    }
    found.starts(as_seconds(each.get("start_time")))
    models = {"assistant": as_name(agent.get("llm")), "user": as_name(user.get("llm"))}
    for message in map(as_dict, as_list(each.get("messages"))):
        _take_message(found, message, models)
    _take_ticks(found, [as_dict(tick) for tick in as_list(each.get("ticks"))])
    end = as_seconds(each.get("end_time"))
    reward = as_dict(each.get("reward_info"))
    if reward:
        _score(found, "reward", reward.get("reward"), end)
    found.starts(end)
    reason = as_name(each.get("termination_reason"))
    if reason is not None and reason not in _FINE:
        found.ended("error", f"ended with {reason}", reason)
    return found


def _take_message(found: Trajectory, message: dict[str, Any], models: dict[str, str | None]) -> None:
    role, content = message.get("role"), message.get("content")
    ts = as_seconds(message.get("timestamp"))
    if role in ("assistant", "user"):
        tokens = tokens_of(message.get("usage"))
        asked = asked_in(message)
        if tokens is None and not asked:
            name = "synthetic_message" if role == "assistant" else "user_message"
            found.event(name, {"text": words_of(content)}, ts)
            return
        found.answered(
            models[role],
            blocks_of(content),
            asked,
            tokens,
            ts=ts,
            agent="user" if role == "user" else None,
            cost_usd=message.get("cost"),
        )
    elif role == "tool":
        for one in map(as_dict, as_list(message.get("tool_messages")) or [message]):
            text = one.get("content")
            error = (as_text(text) or "the tool failed") if one.get("error") is True else None
            at = as_seconds(one.get("timestamp")) or ts
            found.result(as_name(one.get("id")), text, error=error, ts=at)
    else:
        found.said(role, content, ts)


def _take_ticks(found: Trajectory, ticks: list[dict[str, Any]]) -> None:
    """Take the stretches in which somebody spoke."""
    for side in ("user", "agent"):
        began: str | None = None
        texts: list[str] = []
        length = 0
        for tick in [*ticks, {}]:
            chunk = as_dict(tick.get(f"{side}_chunk"))
            if chunk.get("contains_speech") is True:
                began = began or as_text(tick.get("timestamp"))
                length += 1
                texts += [text] if (text := words_of(chunk.get("content"))) else []
            elif length:
                data = {"by": side, "ticks": length, "text": "".join(texts) or None}
                found.event("speech", data, as_seconds(began))
                began, texts, length = None, [], 0


def _number(value: Any) -> float | int | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _score(found: Trajectory, name: str, value: Any, ts: float | None) -> None:
    if isinstance(value, int | float):
        found.event("score", {"name": name, "value": value}, ts)


def _part(value: Any, fallback: int) -> str:
    return str(value) if isinstance(value, int | str) and str(value) else str(fallback)
