"""One exchange for eyes: the request as a conversation, the response put together, times and usage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent_stack._render.figures import bound_sign, moment
from agent_stack._render.lines import Line
from agent_stack._render.preview import preview
from agent_stack._render.wire_words import render_text, sign_of, size, stand, times_words
from agent_stack._render.words import content_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent_stack._conversation import Conversation, Message
    from agent_stack._message_parts import Part
    from agent_stack._tapes import Row
    from agenttap import TapedExchange
    from agenttap.decoders import ResponseFacts

__all__ = ["INDENT", "render_events", "render_exchange", "render_messages", "render_parts"]

_LABEL = 14
#: Cells before the parts of a message.
INDENT = _LABEL + 2
_TEXT_LINES = 8  # of one text
_ARGUMENT_LINES = 12
_LONG = 24  # messages from which the middle of a history is left out ...
_HEAD, _TAIL = 3, 12  # ... but for so many at its beginning and its end
_ROLES = {"user": "note", "assistant": "llm", "tool": "tool", "system": "agent", "developer": "agent"}
_TOKEN_WORDS = (
    ("input_tokens", "in"),
    ("cache_read_tokens", "  read from cache"),
    ("cache_write_tokens", "  written to cache"),
    ("output_tokens", "out"),
    ("reasoning_tokens", "  reasoning"),
)


def render_exchange(
    row: Row,
    exchange: TapedExchange,
    conversation: Conversation,
    facts: ResponseFacts,
    width: int,
    *,
    run_id: str,
    full: bool,
    with_headers: bool,
) -> Iterator[Line]:
    """Yield one exchange, from its head to its usage."""
    yield from _head(row, exchange, width, run_id, full=full)
    if with_headers:
        yield from _headers("request headers", exchange.headers)
    yield from _request(row, exchange, conversation, width, full=full)
    if with_headers:
        yield from _headers("response headers", exchange.response_headers)
    yield from _response(row, exchange, facts, width, full=full)
    yield from _usage(facts)


# -- head -------------------------------------------------------------------------


def _head(row: Row, exchange: TapedExchange, width: int, run_id: str, *, full: bool) -> Iterator[Line]:
    cells = None if full else width - INDENT
    sign, style = sign_of(row)
    title = Line(f"{sign} ", style).add(f"exchange {row.name}", "bold")
    title.add(f"  {row.model}" if row.model else "", "llm", max(8, width // 3))
    title.add(f"  {row.api or 'no call of a model'}", "dim", 40).add(f"  {stand(row)}", style, 30)
    yield title
    yield Line("─" * width, "guide")
    yield _fact("run", run_id, cells)
    yield _fact("url", f"{row.method} {row.url}", cells)
    yield _fact("started", moment(row.ts), cells)
    times = (
        ("headers", row.headers_ms),
        ("first byte", row.first_byte_ms),
        ("first content", row.first_content_ms),
        ("end", row.end_ms),
    )
    yield _fact("times", times_words(times) or "none: the tape ends before", cells)
    if row.client:
        version = (
            f" · HTTP/{str(exchange.http_version).removeprefix('HTTP/')}" if exchange.http_version else ""
        )
        yield _fact("client", row.client + version, cells)
    if row.step is not None:
        tries = f", attempt {row.attempt} of {row.attempts}" if row.attempts > 1 else ""
        yield _fact("step", f"{row.step}{tries}", cells)
    if row.redacted:
        yield _fact("redacted", f"{row.redacted:,} in this exchange: not what was sent stands here", cells)
    if row.attribution == "process":
        yield _fact("run told by", "the process: the request itself did not say", cells)
    if row.error is not None:
        words = f"{row.error_type}: {row.error}" if row.error_type else row.error
        yield _fact("error", preview(words), cells, "error")


def _fact(label: str, value: str, cells: int | None, style: str = "") -> Line:
    return Line("  ").add(label, "dim").pad(INDENT).add(value, style, cells)


def _headers(label: str, headers: Sequence[Sequence[str]]) -> Iterator[Line]:
    yield Line()
    yield Line(label, "head")
    for name, value in headers:
        yield Line("  ").add(f"{name}: ", "dim").add(value)


# -- request ----------------------------------------------------------------------


def _request(
    row: Row, exchange: TapedExchange, conversation: Conversation, width: int, *, full: bool
) -> Iterator[Line]:
    yield Line()
    yield Line("request", "head").add(f"  {size(row.request_bytes)}", "dim")
    if not exchange.request_body:
        yield Line("  ").add(_nothing(row.request_bytes, "the request was not sent, or had no body"), "dim")
        return
    if not conversation.messages and not conversation.system and not conversation.tools:
        yield from _raw(exchange.request_body, width, full=full)
        return
    if conversation.settings:
        settings = " · ".join(
            f"{name}={preview(value)}" for name, value in conversation.settings.items() if name != "model"
        )
        if settings:
            yield from _labelled("settings", settings, width, full=full)
    if conversation.tools:
        yield from _labelled(
            f"{len(conversation.tools)} tools" if len(conversation.tools) > 1 else "1 tool",
            ", ".join(name for name, _ in conversation.tools),
            width,
            full=full,
            style="tool",
        )
    for message in conversation.system:
        yield from _message("system" if message.role == "system" else message.role, message, width, full=full)
    yield from render_messages(conversation.messages, width, full=full)


def _nothing(number: int | None, otherwise: str) -> str:
    return "not on the tape: recorded without content" if number else otherwise


def _raw(body: bytes, width: int, *, full: bool) -> Iterator[Line]:
    text = body.decode("utf-8", "replace")
    yield from render_text(text if full else text[:20_000], width, indent=2, most=None if full else 20)


def _labelled(label: str, text: str, width: int, *, full: bool, style: str = "") -> Iterator[Line]:
    lines = list(render_text(text, width, indent=_LABEL + 2, most=None if full else 3, style=style))
    yield _with_label(lines.pop(0), label, "dim")
    yield from lines


def _with_label(line: Line, label: str, style: str) -> Line:
    rest = Line("  ").add(label, style, _LABEL - 1).pad(_LABEL + 2)
    # The line begins with the indent, which the label takes the place of.
    rest.pieces += line.pieces[1:]
    rest.width = line.width
    return rest


def render_messages(messages: Sequence[Message], width: int, *, full: bool, first: int = 1) -> Iterator[Line]:
    """Yield the messages of a history, numbered; without *full* a long one is cut in its middle."""
    left_out = range(_HEAD, len(messages) - _TAIL) if not full and len(messages) > _LONG else range(0)
    for place, message in enumerate(messages):
        if place in left_out:
            if place == left_out[0]:
                yield Line("  ").add(f"… {len(left_out):,} more messages (--full)", "dim")
            continue
        yield from _message(f"{place + first} {message.role}", message, width, full=full)


def _message(label: str, message: Message, width: int, *, full: bool) -> Iterator[Line]:
    lines = list(render_parts(message.parts, width, full=full)) or [
        Line(" " * (_LABEL + 2)).add("(empty)", "dim")
    ]
    head = _with_label(lines[0], label, _ROLES.get(message.role, ""))
    yield head.add("  ◇ cache", "dim") if message.has_marker else head
    yield from lines[1:]


def render_parts(parts: Sequence[Part], width: int, *, full: bool, most: int = _TEXT_LINES) -> Iterator[Line]:
    """Yield the parts of a message, indented below a label."""
    indent = _LABEL + 2
    lines = None if full else most
    for part in parts:
        pad = Line(" " * indent)
        if part.kind == "call":
            pad.add("● ", "tool").add(part.name or "?", "tool", 60)
            if part.value not in (None, {}, ""):
                short = preview(part.value)
                is_short = pad.width + len(short) + 2 <= width and "\n" not in str(part.text).strip("{}\n ")
                if is_short or (not full and pad.width + len(short) + 2 <= width):
                    yield pad.add(f"  {short}", "", width - pad.width)
                    continue
                yield pad
                arguments = None if full else _ARGUMENT_LINES
                yield from render_text(part.text, width, indent=indent + 2, most=arguments)
                continue
            yield pad
        elif part.kind == "result":
            name = part.name or part.id
            pad.add("→ ", "error" if part.is_error else "tool")
            pad.add(name or "result", "dim", max(10, width - pad.width - 16))
            yield pad.add("  error", "error") if part.is_error else pad
            yield from render_text(part.text, width, indent=indent + 2, most=lines)
        elif part.kind == "media":
            yield pad.add(f"[{part.text}]", "dim", max(10, width - indent))
        else:
            style = "dim" if part.kind in ("thinking", "other") else ""
            text = f"(thinking) {part.text}" if part.kind == "thinking" else part.text
            yield from render_text(text, width, indent=indent, most=lines, style=style)


# -- response ---------------------------------------------------------------------


def _response(
    row: Row, exchange: TapedExchange, facts: ResponseFacts, width: int, *, full: bool
) -> Iterator[Line]:
    yield Line()
    yield Line("response", "head").add(f"  {size(row.response_bytes)}", "dim")
    if exchange.status is None and not exchange.body:
        yield Line("  ").add("none yet" if row.state == "unfinished" else "none", "dim")
        return
    if not exchange.body:
        yield Line("  ").add(_nothing(row.response_bytes, "no body"), "dim")
        return
    most = None if full else 3 * _TEXT_LINES
    is_read = False
    for label, text, style in (("thinking", facts.thinking, "dim"), ("text", facts.text, "")):
        if text:
            is_read = True
            lines = list(render_text(text, width, indent=_LABEL + 2, most=most, style=style))
            yield _with_label(lines.pop(0), label, "dim")
            yield from lines
    for call in facts.calls:
        is_read = True
        yield from _asked(call.name, call.id, call.arguments, width, full=full)
    if facts.error is not None:
        is_read = True
        kind = f"{facts.error_type}: " if facts.error_type else ""
        yield from _labelled("error", f"{kind}{facts.error}", width, full=full, style="error")
    for label, value in (("stopped", facts.fields.get("stop_reason")), ("tier", facts.tier)):
        if value:
            is_read = True
            yield _fact(label, str(value), None if full else width - INDENT)
    if not is_read:
        yield from _raw(exchange.body, width, full=full)


def _asked(
    name: str | None, call_id: str | None, arguments: Any, width: int, *, full: bool
) -> Iterator[Line]:
    line = Line("  ").add("asks for", "dim").pad(_LABEL + 2).add("● ", "tool").add(name or "?", "tool", 60)
    yield line.add(f"  {call_id}", "dim", max(0, min(40, width - line.width))) if call_id else line
    if arguments not in (None, {}, ""):
        text = "\n".join(content_lines(arguments))
        most = None if full else _ARGUMENT_LINES
        yield from render_text(text, width, indent=_LABEL + 4, most=most)


def _usage(facts: ResponseFacts) -> Iterator[Line]:
    fields = facts.fields
    if not any(fields.get(name) is not None for name, _ in _TOKEN_WORDS):
        return
    yield Line()
    yield Line("usage", "head")
    bounds = fields.get("bounds")
    for name, word in _TOKEN_WORDS:
        number = fields.get(name)
        if number is None and name not in ("input_tokens", "output_tokens"):
            continue
        side = bounds.get(name) if isinstance(bounds, dict) else None
        shown = "?" if number is None else f"{bound_sign(side)}{number:,}"
        yield Line("  ").add(shown.rjust(_LABEL)).add(f"  {word}", "dim")


# -- events -----------------------------------------------------------------------


def render_events(exchange: TapedExchange, width: int, *, full: bool) -> Iterator[Line]:
    """Yield the events of the response, each with when it had come, in milliseconds after the request."""
    before: float | None = None
    for number, (ms, event) in enumerate(exchange.events(), 1):
        gap = "" if ms is None or before is None else f"+{ms - before:,.1f}"
        before = ms if ms is not None else before
        line = Line().add(f"{number}".rjust(6), "number")
        line.add(("?" if ms is None else f"{ms:,.1f} ms").rjust(14)).add(gap.rjust(12), "dim")
        line.add(f"  {event.name}" if event.name else "", "note", 34).add("  ")
        text = event.raw.decode("utf-8", "replace").strip("\r\n")
        if full:
            yield line
            yield from render_text(text, width, indent=8, most=None)
            continue
        shown = text.partition("data:")[2] if event.name and "data:" in text else text
        yield line.add(" ".join(shown[: 4 * width].split()), "dim", max(10, width - line.width))
