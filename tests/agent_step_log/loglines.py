"""Lines of logs for the tests of reading: built by hand, so that a test says every byte it reads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from agent_step_log import Damage, read_log

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from agent_step_log import Record

T0 = 1767225600.0  # 2026-01-01


def line(type_: str, step: int, *, run: str = "r", writer: str | None = None, **keys: Any) -> bytes:
    """Return one record as the recorder lays it out, its newline included."""
    fields = {"run_id": run, "step": step, "type": type_, "ts": keys.pop("ts", T0 + step), **keys}
    if writer is not None:
        fields["writer"] = writer
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def start(run: str = "r", writer: str | None = None, **keys: Any) -> bytes:
    """Return a header; its process is on no machine, so the run reads as interrupted until it has an end."""
    process = {"pid": 1, "host": "elsewhere.invalid", "boot_id": "b", "started": 1.0}
    given: dict[str, Any] = {"ts": T0, "format": 1, "process": process, **keys}
    return line("run_start", 0, run=run, writer=writer, **given)


def end(run: str = "r", writer: str | None = None, status: str = "ok", **keys: Any) -> bytes:
    """Return the last record of a run."""
    return line("run_end", 0, run=run, writer=writer, **{"ts": T0 + 1000, "status": status, **keys})


def llm(step: int, **keys: Any) -> bytes:
    """Return a model call."""
    given = {
        "model": "m",
        "input_tokens": 10,
        "output_tokens": 2,
        "stop_reason": "end_turn",
        "duration_ms": 5,
    }
    return line("llm_call", step, **{**given, **keys})


def tool(step: int, **keys: Any) -> bytes:
    """Return a tool call."""
    given = {"tool": "t", "input": None, "output": "found", "error": None, "duration_ms": 2.5}
    return line("tool_call", step, **{**given, **keys})


def begin(step: int, of: str = "tool_call", **keys: Any) -> bytes:
    """Return the beginning of a measured step."""
    return line("step_start", step, **{"of": of, "tool": "t", **keys})


def read(path: Path, **options: Any) -> tuple[list[Record], list[Damage]]:
    """Return the records of a log and the damage told while reading it."""
    damage: list[Damage] = []
    return list(read_log(path, on_damage=damage.append, **options)), damage


def places(damage: Iterable[Damage]) -> list[tuple[int, int, str]]:
    """Return damage without its path."""
    return [(found.offset, found.length, found.reason) for found in damage]


#: Any text JSON can hold; lone surrogates are the one kind it cannot.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)

#: Any JSON payload, numbers within what every decoder holds.
payloads = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def records(draw: st.DrawFn) -> bytes:
    """One line of any type, known or not, with any payload, its newline included."""
    return line(
        draw(st.sampled_from(["llm_call", "tool_call", "event", "step_start", "handoff"])),
        draw(st.integers(0, 50)),
        run=draw(st.sampled_from(["r", "s", 'q"\\'])),
        writer=draw(st.sampled_from([None, "w1", "w2"])),
        ts=draw(st.floats(0, 2e9)),
        input=draw(payloads),
        output=draw(payloads),
        duration_ms=1,
    )
