"""Which records and exchanges hold a text.

    of a step      input, output, error          of an event    data
    of a run       metadata, error               of a tape      request, response

Looked into is every string, key and number there, one by one and with JSON's escapes undone, so
a hit never runs from one value into the next. What a step was called with is found once: in its
ending, or in its beginning if it never ended. A request repeats those before it; a text in
several requests of a tape is found in the first.

Records stream: kept are the hits of the steps that are open, and a hash of each text found on a tape.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from agent_step_log import Damage, Record
    from agenttap import Tape, TapedExchange

__all__ = ["Hit", "Text", "find_in_logs", "find_in_tapes"]

#: Characters shown before and after what was found.
AROUND = 120
_FOUND = 400  # of the text found itself
_DEEPEST = 100
# A stretch of these stands in a line of JSON as it is, unless its writer escapes what needs no escape.
_PLAIN = re.compile(r"[A-Za-z0-9 _.,:;()=+*-]+")
# Unicode has other letters that are the same as i, k and s in another case.
_PLAIN_ANY_CASE = re.compile(r"[A-HJLM-RT-Za-hjlm-rt-z0-9 _.,:;()=+*-]+")
_NEEDLESS_ESCAPE = re.compile(rb"\\u00[2-7]")

Window = tuple[float | None, float | None]
Piece = tuple[str, str]  # where, text


@dataclass(frozen=True)
class Hit:
    """A field that holds the text.

    Attributes:
        type: Of the record; "exchange" on a tape.
        name: The tool, model, agent or event; the API of an exchange.
        ts: Unix seconds of the record, or when the request was sent.
        where: The field, and the way to the value in it: ``output[0].text``.
        before, found, after: The text and what is around it, up to 120 characters a side.
        matches: How often it is in that field.
        exchange, tape: Of a tape: the exchange's number, and the file.
    """

    run_id: str
    step: int | None
    writer: str | None
    type: str
    name: str | None
    ts: float
    where: str
    before: str
    found: str
    after: str
    matches: int
    exchange: int | None = None
    tape: str | None = None


class Text:
    """What is looked for.

    Args:
        text: As it is, or an expression of Python's `re` if *is_regex*.
        any_case: Whether upper and lower case are the same.

    Raises:
        ValueError: *text* is empty or no expression.
    """

    def __init__(self, text: str, *, is_regex: bool = False, any_case: bool = False) -> None:
        if not text:
            raise ValueError("there is no text to look for")
        flags = re.IGNORECASE if any_case else 0
        try:
            self.pattern = re.compile(text if is_regex else re.escape(text), flags)
        except re.error as error:
            raise ValueError(f"{text!r} is no regular expression: {error}") from None
        plain = [] if is_regex else (_PLAIN_ANY_CASE if any_case else _PLAIN).findall(text)
        longest = max(plain, key=len, default="").encode()
        self._quick = re.compile(re.escape(longest), flags) if longest else None

    def may_be_in(self, line: bytes) -> bool:
        """Whether a line of JSON could hold it; False is certain, and quick."""
        if self._quick is None or self._quick.search(line) is not None:
            return True
        return _NEEDLESS_ESCAPE.search(line) is not None

    def look(self, pieces: Iterator[Piece]) -> Seen | None:
        """Return where it is first in *pieces*, and how often; None if it is in none."""
        first: tuple[str, str, re.Match[str]] | None = None
        times = 0
        for where, text in pieces:
            for match in self.pattern.finditer(text):
                first = first or (where, text, match)
                times += 1
        if first is None:
            return None
        where, text, match = first
        start, end = match.span()
        before, after = text[max(0, start - AROUND) : start], text[end : end + AROUND]
        return Seen(where, before, match[0][:_FOUND], after, times)


class Seen(NamedTuple):
    """A text found; the names are those of `Hit`."""

    where: str
    before: str
    found: str
    after: str
    matches: int


def find_in_logs(
    source: str, text: Text, window: Window = (None, None), on_damage: Callable[[Damage], None] | None = None
) -> Iterator[Hit]:
    """Yield the hits in the records of *source*, as they are read; those of steps that never ended last.

    Args:
        source: As for `agent_step_log.read_log`.
        window: Unix seconds between which a record was written; the end is left out.
        on_damage: As for `read_log`.

    Raises:
        StepLogError, OSError: as `read_log`.
    """
    from agent_step_log import read_log

    begun: dict[tuple[str, str | None, int], list[Hit]] = {}
    for record in read_log(source, on_damage=on_damage):
        key = (record.run_id, record.writer, record.step)
        if record.type != "step_start":
            begun.pop(key, None)
        if not _is_within(record.ts, window) or not text.may_be_in(record.line):
            continue
        hits = list(_in_record(record, text))
        if record.type == "step_start":
            if hits:
                begun[key] = hits
        else:
            yield from hits
    for hits in begun.values():
        yield from hits


def find_in_tapes(
    paths: Sequence[Path],
    text: Text,
    window: Window = (None, None),
    on_damage: Callable[[str, int, str], None] | None = None,
) -> Iterator[Hit]:
    """Yield the hits in the exchanges of the tapes at *paths*; a file that is no tape is passed over.

    Args:
        on_damage: Called with the file, the offset and the reason of each stretch that is not readable.
    """
    from agenttap import Tape
    from agenttap.errors import TapeError

    for path in paths:
        try:
            tape = Tape(path)
        except TapeError:
            continue
        yield from _in_tape(tape, text, window)
        for each in tape.damage:
            if on_damage is not None:
                on_damage(path.name, each.offset, each.reason)


def _in_record(record: Record, text: Text) -> Iterator[Hit]:
    kind = (record.of or "step") if record.type == "step_start" else record.type
    name = record.name if kind == "event" else record.tool or record.model or record.agent
    for field, value in (
        ("input", record.input),
        ("output", record.output),
        ("data", record.data),
        ("metadata", record.metadata),
        ("error", record.error),
    ):
        seen = text.look(_pieces(field, value)) if value is not None else None
        if seen is not None:
            yield Hit(record.run_id, record.step, record.writer, kind, name, record.ts, *seen)


def _in_tape(tape: Tape, text: Text, window: Window) -> Iterator[Hit]:
    known: set[int] = set()
    for exchange in tape.exchanges():
        if not _is_within(exchange.ts, window):
            continue
        for pieces in (_request(exchange), _response(exchange)):
            seen = text.look(piece for piece in pieces if hash(piece[1]) not in known)
            if seen is None:
                continue
            known.update(hash(piece) for _, piece in _both(exchange) if text.pattern.search(piece))
            yield Hit(
                tape.run_id,
                exchange.step,
                tape.writer,
                "exchange",
                exchange.api,
                exchange.ts,
                *seen,
                exchange=exchange.n,
                tape=tape.path.name,
            )


def _both(exchange: TapedExchange) -> Iterator[Piece]:
    yield from _request(exchange)
    yield from _response(exchange)


def _request(exchange: TapedExchange) -> Iterator[Piece]:
    body = exchange.request_json()
    if body is not None:
        yield from _pieces("request", body)
    elif exchange.request_body:
        yield "request", exchange.request_body.decode(errors="replace")


def _response(exchange: TapedExchange) -> Iterator[Piece]:
    facts = exchange.facts()
    said = [("response", facts.text), ("response.thinking", facts.thinking)]
    told = [piece for piece in said if piece[1]]
    yield from told
    for call in facts.calls:
        yield from _pieces(f"response.{call.name or 'call'}", call.arguments)
    if exchange.body and not told and not facts.calls:
        yield "response", exchange.body.decode(errors="replace")
    if exchange.error:
        yield "error", exchange.error


def _pieces(where: str, value: Any) -> Iterator[Piece]:
    """Yield each string, key and number of *value* with the way to it, in order."""
    waiting: list[tuple[str, Any, int]] = [(where, value, 0)]
    while waiting:
        at, item, depth = waiting.pop()
        if isinstance(item, str):
            yield at, item
        elif isinstance(item, dict):
            if depth < _DEEPEST:
                waiting += [
                    pair
                    for key, each in reversed(item.items())
                    for pair in ((f"{at}.{key}", each, depth + 1), (f"{at}.{key}", str(key), depth + 1))
                ]
        elif isinstance(item, list):
            if depth < _DEEPEST:
                places = range(len(item) - 1, -1, -1)
                waiting += [(f"{at}[{place}]", item[place], depth + 1) for place in places]
        elif item is not None:
            yield at, _number(item)


def _number(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    try:
        return str(value)
    except ValueError:  # more digits than Python will write out
        return ""


def _is_within(ts: float, window: Window) -> bool:
    since, until = window
    return (since is None or ts >= since) and (until is None or ts < until)
