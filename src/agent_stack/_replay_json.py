"""Outcomes of the debugger as JSON for other programs: one object for each command; see docs/cli.md."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent_debug_replay import ChildRun, Context, Navigator, Outcome, StepRow, Wire

__all__ = ["outcome_dict", "row_dict"]


def outcome_dict(navigator: Navigator, outcome: Outcome) -> dict[str, Any]:
    """Return *outcome* as an object whose ``outcome`` says what kind it is."""
    import agent_debug_replay as replay

    if isinstance(outcome, replay.Moved):
        row = navigator.replay.row(outcome.row) if outcome.row is not None else None
        return {
            "outcome": "moved",
            "end": outcome.end,
            "message": outcome.message,
            "run_id": navigator.replay.run_id,
            "hits": [asdict(hit) for hit in outcome.hits],
            "row": row_dict(row) if row is not None else None,
            "note": navigator.note_at(outcome.row) if outcome.row is not None else None,
            "display": {each.text: _value(navigator.value(each)) for each in navigator.displays},
        }
    if isinstance(outcome, replay.Value):
        told = {"outcome": "value", "expression": outcome.expression, "value": outcome.value}
        return {**told, "is_missing": outcome.is_missing}
    if isinstance(outcome, replay.Listing):
        return {"outcome": "rows", "rows": [row_dict(row) for row in outcome.rows]}
    if isinstance(outcome, replay.Where):
        rows_inside = [row_dict(row) for row in outcome.rows]
        return {"outcome": "where", "rows": rows_inside, "children": _children(outcome.children)}
    if isinstance(outcome, replay.Stops):
        return {"outcome": "stops", "stops": [asdict(stop) for stop in outcome.stops]}
    if isinstance(outcome, replay.Tabulated):
        rows = [
            {"row": row_dict(row), "values": [_value(value) for value in values]}
            for row, values in outcome.rows
        ]
        return {
            "outcome": "table",
            "columns": list(outcome.columns),
            "rows": rows,
            "left_out": outcome.left_out,
        }
    if isinstance(outcome, replay.Context):
        return _context_dict(outcome)
    if isinstance(outcome, replay.Wire):
        return _wire_dict(outcome)
    if isinstance(outcome, replay.Changes):
        before, after = (
            row_dict(row) if row is not None else None for row in (outcome.before, outcome.after)
        )
        return {
            "outcome": "changes",
            "before": before,
            "after": after,
            "changes": [asdict(change) for change in outcome.changes],
            "message": outcome.message,
        }
    if isinstance(outcome, replay.Files):
        return {"outcome": "files", "files": [asdict(touch) for touch in outcome.files]}
    if isinstance(outcome, replay.Marks):
        return {"outcome": "marks", "marks": {name: row_dict(row) for name, row in outcome.marks.items()}}
    if isinstance(outcome, replay.Notes):
        notes = [{"row": row_dict(row), "text": text} for row, text in outcome.notes]
        return {"outcome": "notes", "notes": notes}
    return _other_dict(outcome)


def _children(children: tuple[ChildRun, ...]) -> list[dict[str, Any]]:
    return [{**child._asdict(), "path": str(child.path)} for child in children]


def _other_dict(outcome: Outcome) -> dict[str, Any]:
    import agent_debug_replay as replay

    if isinstance(outcome, replay.StateShown):
        state = outcome.state
        if state is None:
            return {"outcome": "state", "totals": None}
        return {
            "outcome": "state",
            "totals": asdict(state.totals),
            "context": asdict(state.context),
            "files": [asdict(touch) for touch in state.files],
            "call": state.call,
            "last_error": state.last_error,
        }
    if isinstance(outcome, replay.Help):
        return {
            "outcome": "help",
            "commands": [
                {
                    "names": list(each.names),
                    "argument": each.argument,
                    "reverse": each.reverse,
                    "meaning": each.meaning,
                }
                for each in replay.TOPICS
            ],
            "fields": {info.name: info.meaning for info in replay.FIELDS.values()},
        }
    return (
        {"outcome": "note", "text": outcome.text} if isinstance(outcome, replay.Note) else {"outcome": "quit"}
    )


def row_dict(row: StepRow) -> dict[str, Any]:
    """Return the facts of a row by name."""
    facts = row._asdict()
    del facts["is_alone"]  # of the label alone
    return facts


def _value(value: Any) -> Any:
    """Return a value as JSON has it; null for what is missing, as in a table of any database."""
    from agent_debug_replay import MISSING

    return None if value is MISSING else value


def _context_dict(context: Context) -> dict[str, Any]:
    return {
        "outcome": "context",
        "row": row_dict(context.row) if context.row is not None else None,
        "source": context.source,
        "added": context.added,
        "dropped": context.dropped,
        "messages": [{"role": each.role, "content": each.content} for each in context.messages],
    }


def _wire_dict(wire: Wire) -> dict[str, Any]:
    told: dict[str, Any] = {"outcome": "wire", "part": wire.part}
    told["row"] = row_dict(wire.row) if wire.row is not None else None
    exchange = wire.exchange
    if exchange is None:
        return {**told, "exchange": None, "message": wire.message}
    told["exchange"] = {
        "n": exchange.n,
        "ts": exchange.ts,
        "api": exchange.api,
        "method": exchange.method,
        "url": exchange.url,
        "status": exchange.status,
        "state": exchange.state,
        "error": exchange.error,
        "times": exchange.times,
    }
    if wire.part == "request":
        return {**told, "request": exchange.request_json()}
    if wire.part == "events":
        events = [{"ms": ms, "text": event.raw.decode("utf-8", "replace")} for ms, event in exchange.events()]
        return {**told, "events": events}
    facts = exchange.facts()
    calls = [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in facts.calls]
    return {
        **told,
        "response": {"text": facts.text, "thinking": facts.thinking, "calls": calls, **facts.fields},
    }
