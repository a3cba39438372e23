"""What the panes show of one step. Every pane does work that follows its portion, not the step's size."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

from agent_stack._render.figures import duration, moment
from agent_stack._render.lines import Line
from agent_stack._render.words import error_text, frames_text
from agent_stack._tui._steps import LARGE, size
from agent_stack._tui._text import PORTIONS, Budget, lay_out, lay_out_value
from agent_step_log.errors import StepLogError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent_debug_replay import Navigator, Outcome, Payload, Replay, StepRow
    from agent_step_log import Record

__all__ = ["TABS", "detail_lines", "detail_text"]

#: Name in a wide pane and in a narrow one.
TABS = (
    ("In", "In"),
    ("Out", "Out"),
    ("Wire request", "Req"),
    ("Wire response", "Resp"),
    ("Context before", "Ctx"),
    ("Timing", "Time"),
    ("Raw", "Raw"),
)
_MOST_LINES = 200_000
_COUNTS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")


def detail_lines(navigator: Navigator, tab: int, width: int, portion: int) -> list[Line]:
    """Return pane *tab*, from 0, of the step at the cursor.

    Args:
        navigator: Where the cursor is.
        tab: Place in `TABS`.
        width: Cells in a line.
        portion: Place in `PORTIONS`: how much of it.
    """
    row = navigator.row
    if row is None:
        return [Line("The run has no steps yet.", "dim")]
    budget = Budget(PORTIONS[portion])
    try:
        lines = list(islice(_lines(navigator, row, tab, width, portion, budget), _MOST_LINES))
    except StepLogError as error:
        return list(lay_out(str(error), width, Budget(2_000), style="error"))
    if budget.left_out > 0:
        lines.append(Line(f"… {budget.left_out:,} more characters: o shows more", "note"))
    return lines


def detail_text(navigator: Navigator, tab: int) -> tuple[str, str]:
    """Return the value pane *tab* is about, whole, and the path an expression names it by.

    Raises:
        StepLogError: It cannot be read.
    """
    row = navigator.row
    if row is None:
        return "", ""
    if tab == 6:
        return b"\n".join(navigator.replay.lines(row.row)).decode("utf-8", "replace"), "step"
    payload = navigator.replay.payload(row.row)
    record = payload.record
    if tab == 1:
        path = "error" if record.error is not None and record.output is None else "output"
        value = record.error if path == "error" else record.output
    elif row.type == "event":
        path, value = "data", record.data
    else:
        path, value = "input", _given(payload)
    if value is None:
        return "", path
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2), path


def _lines(
    navigator: Navigator, row: StepRow, tab: int, width: int, portion: int, budget: Budget
) -> Iterator[Line]:
    replay = navigator.replay
    if tab not in (2, 3, 4):
        yield _title(row, width)
    if tab == 5:
        yield from _timing(navigator, row, width)
    elif tab == 6:
        yield from _raw(replay, row, width, portion, budget)
    elif tab in (2, 3):
        yield from _outcome(navigator, navigator.wire("request" if tab == 2 else "response"), width, portion)
    elif tab == 4:
        yield from _outcome(navigator, navigator.context(), width, portion)
    elif row.size_bytes > LARGE and portion == 0:
        yield from _beginning(replay, row, width, budget)
    elif tab == 0:
        payload = replay.payload(row.row)
        if row.type == "llm_call" and _given(payload) is None:
            yield Line("not in the step log; what was added since the call before:", "dim")
            yield from _outcome(navigator, navigator.context(difference=True), width, portion)
        else:
            yield from _in(payload, row, width, budget)
    else:
        yield from _out(replay.payload(row.row), row, width, budget)


def _title(row: StepRow, width: int) -> Line:
    line = Line().add(row.label, "bold", 12).add("  ").add(row.type.replace("_", " "), "dim", 16).add("  ")
    line.add(row.name or "?", "title", max(8, width - line.width - 16))
    if row.is_error:
        line.add("  ✗ failed", "error")
    elif row.is_in_flight:
        line.add("  ◌ in flight", "warn")
    return line


def _beginning(replay: Replay, row: StepRow, width: int, budget: Budget) -> Iterator[Line]:
    """Yield how a record begins that is too large to be decoded without being asked for."""
    yield Line(f"Its record is {size(row.size_bytes)}; this is how it begins. o decodes it.", "note")
    for line in replay.lines(row.row):
        budget.left_out += max(len(line) - budget.left, 0)
        yield from lay_out(line[: budget.left].decode("utf-8", "replace"), width, budget)


def _given(payload: Payload) -> Any:
    given = payload.record.input
    return payload.begin.input if given is None and payload.begin is not None else given


def _in(payload: Payload, row: StepRow, width: int, budget: Budget) -> Iterator[Line]:
    record = payload.record
    value = record.data if row.type == "event" else _given(payload)
    if value is None:
        yield Line("nothing was recorded", "dim")
        return
    yield from lay_out_value(value, width, budget)


def _out(payload: Payload, row: StepRow, width: int, budget: Budget) -> Iterator[Line]:
    record = payload.record
    is_any = False
    if record.error is not None:
        is_any = True
        yield from lay_out("✗ " + (error_text(record) or "failed"), width, budget, style="error")
        if record.error_frames:
            yield from lay_out(frames_text(record.error_frames), width, budget, indent=2, style="dim")
        if isinstance(record.error, str) and len(record.error) > 300:
            yield from lay_out(record.error, width, budget, indent=2)
    for call in record.tool_calls or []:
        if isinstance(call, dict):
            is_any = True
            yield Line("● ", "tool").add(str(call.get("name") or "?"), "tool", 60)
            arguments = call.get("arguments", call.get("input"))
            if arguments not in (None, {}, ""):
                yield from lay_out_value(arguments, width, budget, indent=4)
    if record.output is not None:
        is_any = True
        yield from lay_out_value(record.output, width, budget)
    if record.stop_reason:
        is_any = True
        yield Line("stopped: ", "dim").add(record.stop_reason, "warn" if row.is_truncated else "", 60)
    if not is_any:
        yield Line("in flight: nothing came out yet" if row.is_in_flight else "nothing was recorded", "dim")


def _outcome(navigator: Navigator, outcome: Outcome, width: int, portion: int) -> Iterator[Line]:
    from dataclasses import replace

    from agent_debug_replay import Context, Wire
    from agent_stack._render.replay_outcomes import render_outcome

    assert isinstance(outcome, Context | Wire)
    yield from render_outcome(navigator, replace(outcome, is_whole=portion > 0), width)
    if portion == 0:
        yield Line("o shows long texts whole", "dim")


# -- timing -------------------------------------------------------------------------


def _timing(navigator: Navigator, row: StepRow, width: int) -> Iterator[Line]:
    replay = navigator.replay
    yield _fact(
        "began", f"{moment(row.start)}, {duration((row.start - replay.started_at) * 1000)} into the run"
    )
    yield _fact("took", "in flight" if row.is_in_flight else duration(row.duration_ms))
    if row.size_bytes <= LARGE:
        yield from _told(replay.payload(row.row).record)
    for name in _COUNTS:
        value = getattr(row, name)
        if value is not None or (row.type == "llm_call" and name in _COUNTS[:2]):
            yield _fact(
                name.replace("_tokens", "").replace("_", " "), "?" if value is None else f"{value:,} tokens"
            )
    if row.type == "llm_call" and row.size_bytes <= LARGE:
        cost = replay.cost_usd(row.row)
        yield _fact("cost", "?" if cost is None else f"${cost:.6f}")
    yield _fact("record", f"{size(row.size_bytes)} in the log")
    if row.agent:
        yield Line("  ").add("agent", "dim").pad(14).add(row.agent, "agent", max(width - 14, 8))
    yield from _beside(replay, row, width)


def _told(record: Record) -> Iterator[Line]:
    if record.ttft_ms is not None:
        yield _fact("first token", duration(float(record.ttft_ms)))
    for name in ("attempt", "status_code", "request_id", "tool_call_id"):
        value = getattr(record, name, None)
        if value is not None:
            yield _fact(name.replace("_", " "), str(value)[:200])
    for name, value in islice((record.attrs or {}).items(), 30):
        yield Line("  ").add(name, "dim", 24).add("  ").add(json.dumps(value, ensure_ascii=False)[:200])


def _beside(replay: Replay, row: StepRow, width: int) -> Iterator[Line]:
    """Yield the steps this one overlaps or follows, as bars on one scale of time."""
    near = [
        each
        for each in replay.rows[max(row.row - 6, 0) : row.row + 7]
        if each.duration_ms is not None or each.row == row.row
    ]
    if len(near) < 2:
        return
    begin = min(each.start for each in near)
    end = max(each.end or each.start for each in near)
    room = width - 30
    if end <= begin or room < 10:
        return
    yield Line()
    yield Line("beside it", "head").add(f"  {duration((end - begin) * 1000)} across", "dim")
    for each in near:
        first = round((each.start - begin) / (end - begin) * (room - 1))
        last = max(round(((each.end or end) - begin) / (end - begin) * (room - 1)), first)
        line = Line("▶ " if each.row == row.row else "  ", "note").add(each.label, "number", 8).pad(9)
        line.add(each.name or "?", "error" if each.is_error else "", 17).pad(27)
        yield line.pad(27 + first).add("━" * (last - first + 1), "error" if each.is_error else "tool")


def _fact(label: str, text: str) -> Line:
    return Line("  ").add(label, "dim").pad(14).add(text)


# -- raw ----------------------------------------------------------------------------


def _raw(replay: Replay, row: StepRow, width: int, portion: int, budget: Budget) -> Iterator[Line]:
    for line in replay.lines(row.row):
        if row.size_bytes > LARGE and portion == 0:
            budget.left_out += max(len(line) - budget.left, 0)
            yield from lay_out(line[: budget.left].decode("utf-8", "replace"), width, budget)
            continue
        text = line.decode("utf-8", "replace")
        with suppress(ValueError, RecursionError):  # as it stands, then
            text = json.dumps(json.loads(text), ensure_ascii=False, indent=2)
        yield from lay_out(text, width, budget)
