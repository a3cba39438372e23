"""mini-swe-agent's ``.traj.json``: a list of messages, bare or with a header.

    [message, …]                                                       its first version
    {info {exit_status, model_stats, config, mini_version}, messages, trajectory_format, instance_id}

An answer holds the provider's response in ``extra.response``, with its usage, and when it came in
``extra.timestamp``. In the bare form there is neither, and the command stands in the one fenced block
of the answer, its result in the next message of the user.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from agent_step_log.importers._trajectory_build import (
    Asked,
    Trajectory,
    asked_in,
    blocks_of,
    tokens_of,
    words_of,
)
from agent_step_log.importers._transcripts import as_dict, as_list, as_name, as_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent_step_log.importers._trajectory_files import Document

NAME = "mini-swe-agent"

_BLOCK = re.compile(r"```(?:mswea_bash_command|bash)[ \t]*\n(.*?)\n```", re.DOTALL)
_RETURNED = re.compile(r"<returncode>(-?\d{1,9})</returncode>")


def is_it(value: Any) -> bool:
    """Whether *value* is such a document."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(each, dict) and "role" in each for each in value[:3])
    document = as_dict(value)
    named = str(document.get("trajectory_format") or "").startswith("mini-swe-agent")
    return named or "mini_version" in as_dict(document.get("info"))


def runs_of(document: Document) -> Iterator[Trajectory]:
    """Yield its one run."""
    value = {"messages": document.value} if isinstance(document.value, list) else as_dict(document.value)
    info = as_dict(value.get("info"))
    config = as_dict(info.get("config"))
    model = as_name(as_dict(config.get("model")).get("model_name"))
    stem = document.stem.removesuffix(".traj")
    found = document.new(NAME, stem, document.short_hash)
    found.agent_version = as_name(info.get("mini_version"))
    stats = as_dict(info.get("model_stats"))
    found.facts = {
        "instance_id": as_name(value.get("instance_id")) or stem,
        "format_version": as_name(value.get("trajectory_format")),
        "reported": {key: number for key, number in stats.items() if isinstance(number, int | float)} or None,
    }
    status = as_name(info.get("exit_status"))
    for message in map(as_dict, as_list(value.get("messages"))):
        if message.get("role") == "exit":
            status = as_name(as_dict(message.get("extra")).get("exit_status")) or status
            if found.is_waiting:  # the command that ended the run has this for its result
                found.result(None, message.get("content"))
        else:
            _take(found, message, model)
    if status is not None and status != "Submitted":
        found.ended("error", f"ended with {status}", status.split(" ")[0])
    yield found


def _take(found: Trajectory, message: dict[str, Any], model: str | None) -> None:
    role, content, extra = message.get("role"), message.get("content"), as_dict(message.get("extra"))
    ts = extra.get("timestamp")
    at = float(ts) if isinstance(ts, int | float) and not isinstance(ts, bool) and 0 <= ts < 1e11 else None
    if role == "assistant":
        response = as_dict(extra.get("response"))
        choice = as_dict(next(iter(as_list(response.get("choices"))), None))
        asked = asked_in(message) or _in_words(words_of(content) or "")
        found.answered(
            as_name(response.get("model")) or model,
            blocks_of(content, message.get("reasoning_content")),
            asked,
            tokens_of(response.get("usage")),
            ts=at,
            stop_reason=as_name(choice.get("finish_reason")),
            request_id=as_name(response.get("id")),
            cost_usd=extra.get("cost"),
        )
    elif role == "tool" or (role == "user" and found.is_waiting):
        code = extra.get("returncode")
        text = words_of(content) or ""
        if code is None and (told := _RETURNED.search(text[:200])):
            code = int(told[1])
        error = f"exit code {code}" if isinstance(code, int) and code != 0 else None
        error = as_text(extra.get("exception_info")) or error
        output = extra["raw_output"] if isinstance(extra.get("raw_output"), str) else content
        found.result(as_name(message.get("tool_call_id")), output, error=error, ts=at)
    else:
        found.said(role, content, at)


def _in_words(text: str) -> list[Asked]:
    commands = _BLOCK.findall(text)
    return [Asked("bash", {"command": commands[0]})] if len(commands) == 1 else []
