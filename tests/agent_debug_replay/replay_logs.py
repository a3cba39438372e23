"""Logs for the tests of replays: records with their head filled in, and random trees of steps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from pathlib import Path

T0 = 1_700_000_000.0  # 2023-11-14 22:13:20 UTC


def line(record: dict[str, Any], run_id: str = "run-a") -> str:
    """One record as a line; ``at`` is seconds after `T0`."""
    keys = dict(record)
    head = {
        "run_id": keys.pop("run_id", run_id),
        "step": keys.pop("step", 0),
        "type": keys.pop("type"),
        "ts": T0 + keys.pop("at", 0.0),
    }
    return json.dumps({**head, **keys}, separators=(",", ":")) + "\n"


def write(path: Path, *records: dict[str, Any], run_id: str = "run-a") -> Path:
    """Write a log of *records*, in this order."""
    path.write_text("".join(line(record, run_id) for record in records), encoding="utf-8")
    return path


def start(**more: Any) -> dict[str, Any]:
    """The header of a run."""
    return {"type": "run_start", "format": 1, "agent": "tester", **more}


def llm(step: int, at: float = 0.0, **more: Any) -> dict[str, Any]:
    """A model call."""
    known = {"model": "m-1", "input_tokens": 100, "output_tokens": 10, "stop_reason": "end_turn"}
    return {"type": "llm_call", "step": step, "at": at, **known, "duration_ms": 100.0, **more}


def tool(step: int, at: float = 0.0, **more: Any) -> dict[str, Any]:
    """A call of a tool."""
    known = {"tool": "bash", "input": {"command": f"do {step}"}, "output": "done", "error": None}
    return {"type": "tool_call", "step": step, "at": at, **known, "duration_ms": 50.0, **more}


def begun(step: int, at: float = 0.0, of: str = "tool_call", **more: Any) -> dict[str, Any]:
    """The beginning of a measured step."""
    return {"type": "step_start", "step": step, "at": at, "of": of, **more}


def agent(step: int, at: float = 0.0, **more: Any) -> dict[str, Any]:
    """The end of an agent's scope."""
    known = {"agent": "helper", "input": None, "output": None, "error": None, "duration_ms": 10.0}
    return {"type": "agent_call", "step": step, "at": at, **known, **more}


def event(step: int, at: float = 0.0, name: str = "note", **more: Any) -> dict[str, Any]:
    """An event."""
    return {"type": "event", "step": step, "at": at, "name": name, "data": None, **more}


@st.composite
def runs(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Records of one run as a log may hold them: several writers, nested, out of order, rings, in flight."""
    records: list[dict[str, Any]] = [start()]
    writers = draw(st.lists(st.sampled_from([None, "ab", "cd"]), min_size=1, max_size=2, unique=True))
    at = 0.0
    for number in range(1, draw(st.integers(0, 14)) + 1):
        at += draw(st.sampled_from([0.0, 0.5, 1.0, -0.25]))
        record = draw(_steps(number, at))
        writer = draw(st.sampled_from(writers))
        if writer is not None:
            record["writer"] = writer
        # A parent may come later, be missing, or be below the step itself.
        parent = draw(st.one_of(st.none(), st.integers(1, 15)))
        if parent is not None:
            record["parent"] = parent
            other = draw(st.sampled_from([None, "", "ab"]))
            if other is not None:
                record["parent_writer"] = other
        if record["type"] not in ("event",) and draw(st.booleans()):
            keys = ("writer", "parent", "parent_writer")
            begin = begun(
                number, at - 0.1, record["type"], **{key: record[key] for key in keys if key in record}
            )
            records.append(begin)
            if draw(st.integers(0, 4)) == 0:
                continue  # it never ended
            record["start_ts"] = T0 + at - 0.1
        records.append(record)
    shuffled = records[1:]
    if draw(st.booleans()):
        shuffled = draw(st.permutations(shuffled))
    return [records[0], *shuffled]


def _steps(number: int, at: float) -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(
        st.builds(
            lambda model, tokens, stop: llm(number, at, model=model, input_tokens=tokens, stop_reason=stop),
            st.sampled_from(["m-1", "m-2", None]),
            st.sampled_from([None, 0, 50, 5_000]),
            st.sampled_from(["end_turn", "max_tokens", None]),
        ),
        st.builds(
            lambda name, error, took: tool(number, at, tool=name, error=error, duration_ms=took),
            st.sampled_from(["bash", "read", "grep"]),
            st.sampled_from([None, None, "it broke"]),
            st.sampled_from([None, 1, 2_500.5]),
        ),
        st.builds(lambda name: agent(number, at, agent=name), st.sampled_from(["planner", None])),
        st.builds(lambda name: event(number, at, name=name), st.sampled_from(["user_message", "retry"])),
    )
