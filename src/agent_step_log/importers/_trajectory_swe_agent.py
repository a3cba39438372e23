"""SWE-agent's ``.traj``: steps of thought, action and observation, and the history of messages.

    trajectory   [{action, observation, response, thought, execution_time (s), state, messages}, …]
    history      [{role, content, agent, message_type?, tool_calls?, tool_call_ids?, is_demo?}, …]
    info         {exit_status, submission, model_stats {instance_cost, tokens_sent, api_calls, …}}

No times but how long an action took, and no usage of single calls. Older files have no tool calls: an
action is what was typed, and the tool is its first word where that is a command of SWE-agent's own,
else ``bash``. The demonstrations in the history are no part of the run, nor are the messages each
step repeats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent_step_log.importers._trajectory_build import Asked, Trajectory, asked_in, blocks_of
from agent_step_log.importers._transcripts import as_dict, as_list, as_milliseconds, as_name, as_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent_step_log.importers._trajectory_files import Document

NAME = "swe-agent"

#: Commands of its own; what else was typed was for the shell.
_COMMANDS = frozenset(
    {"open", "goto", "scroll_up", "scroll_down", "create", "edit", "insert", "append", "submit"}
    | {"search_dir", "search_file", "find_file", "exit_cost", "exit_context", "exit_forfeit", "view_image"}
    | {"str_replace_editor", "connect_start", "connect_sendline", "connect_stop", "debug_start"}
    | {"debug_stop", "debug_continue", "debug_step", "decompile", "disassemble"}
)


def is_it(value: Any) -> bool:
    """Whether *value* is such a document."""
    document = as_dict(value)
    steps = as_list(document.get("trajectory"))
    return isinstance(document.get("history"), list) or (bool(steps) and "action" in as_dict(steps[0]))


def runs_of(document: Document) -> Iterator[Trajectory]:
    """Yield its one run."""
    value = as_dict(document.value)
    config = as_dict(value.get("replay_config"))
    model = as_name(as_dict(as_dict(config.get("agent")).get("model")).get("name"))
    stem = document.stem.removesuffix(".traj")
    found = document.new(NAME, stem, document.short_hash)
    info = as_dict(value.get("info"))
    found.facts = {
        "instance_id": as_name(as_dict(config.get("problem_statement")).get("id")) or stem,
        "environment": as_name(value.get("environment")),
        "reported": _reported(info),
    }
    history = [as_dict(message) for message in as_list(value.get("history"))]
    history = [message for message in history if not message.get("is_demo")]
    steps = [as_dict(step) for step in as_list(value.get("trajectory"))]
    if steps:
        _take_steps(found, steps, history, model)
    else:
        take_messages(found, history, model)
    exit_status = as_name(info.get("exit_status"))
    if exit_status is not None and not exit_status.startswith("submitted"):
        found.ended("error", f"ended with {exit_status}", exit_status.split(" ")[0])
    yield found


def _reported(info: dict[str, Any]) -> dict[str, Any] | None:
    """What it says it used in all; a count of 0 is how it writes that nobody counted."""
    stats = as_dict(info.get("model_stats"))
    told = {key: number for key, number in stats.items() if isinstance(number, int | float) and number > 0}
    return {**told, "exit_status": info.get("exit_status")} if told or info.get("exit_status") else None


def _take_steps(
    found: Trajectory, steps: list[dict[str, Any]], history: list[dict[str, Any]], model: str | None
) -> None:
    actions = [message for message in history if message.get("role") == "assistant"]
    for message in history:
        if message.get("role") == "assistant":
            break
        found.said(message.get("role"), message.get("content"))
    for place, step in enumerate(steps):
        # Only where both tell the same story can the one's tool calls be taken for the other's.
        message = actions[place] if len(actions) == len(steps) else {}
        action = as_text(step.get("action")) or ""
        asked = asked_in(message) or ([_typed(action)] if action.strip() else [])
        found.answered(model, blocks_of(step.get("response") or step.get("thought")), asked)
        output = step.get("observation")
        if asked:
            lasted = as_milliseconds(step.get("execution_time"), per_unit=1000.0)
            found.result(asked[0].tool_call_id, output, duration_ms=lasted)
        else:
            found.said("environment", output)


def _typed(action: str) -> Asked:
    word = action.split(None, 1)[0]
    return Asked(word if word in _COMMANDS else "bash", {"command": action})


def take_messages(found: Trajectory, messages: list[dict[str, Any]], model: str | None) -> None:
    """Take a history of messages in the shape of OpenAI's chat API, tool calls and results by their ids."""
    for message in messages:
        role = message.get("role")
        if role == "assistant":
            asked = asked_in(message)
            action = as_text(message.get("action"))
            if not asked and action:
                asked = [_typed(action)]
            blocks = blocks_of(message.get("content"), message.get("reasoning_content"))
            found.answered(as_name(message.get("model")) or model, blocks, asked)
        elif role == "tool" or (message.get("message_type") == "observation" and found.is_waiting):
            ids = as_list(message.get("tool_call_ids"))
            found.result(
                as_name(ids[0]) if ids else as_name(message.get("tool_call_id")), message.get("content")
            )
        else:
            found.said(role, message.get("content"))
